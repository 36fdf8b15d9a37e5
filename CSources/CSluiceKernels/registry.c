// The tables of this build and which of them this machine can run.
#include "kernel_internal.h"

// Best first. The portable table that always works stands before the one only tests ask for.
static const sl_isa *const tables[] = {
#if defined(__x86_64__)
    &sl_isa_avx512,
    &sl_isa_avx2,
#endif
    &sl_isa_generic,
    &sl_isa_emulated512,
};

enum { TABLE_COUNT = sizeof tables / sizeof tables[0] };

size_t sl_isa_count(void) {
    return TABLE_COUNT;
}

const sl_isa *sl_isa_at(size_t index) {
    assert(index < TABLE_COUNT);
    return tables[index];
}

#if defined(__x86_64__)
// The compiler's check also asks the operating system whether it saves the wide registers.
static bool has_features(const sl_isa *isa) {
    __builtin_cpu_init();
#if defined(SL_SIMULATES_AVX512)
    const bool needs_avx2_only = isa == &sl_isa_avx2 || isa == &sl_isa_avx512;
#else
    const bool needs_avx2_only = isa == &sl_isa_avx2;
#endif
    if (needs_avx2_only) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    }
    if (isa == &sl_isa_avx512) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2");
    }
    return true;
}

bool sl_cpu_asks_close(void) {
    __builtin_cpu_init();
    return __builtin_cpu_is("amd");
}
#else
static bool has_features(const sl_isa *isa) {
    (void)isa;
    return true;
}

bool sl_cpu_asks_close(void) {
    return false;
}
#endif

// One bit a table, and a bit that says the others are known. Threads that meet here before it is
// set find the same answer.
static uint32_t supported_tables(void) {
    static _Atomic uint32_t known;
    const uint32_t is_known = 1u << TABLE_COUNT;
    uint32_t bits = atomic_load_explicit(&known, memory_order_relaxed);
    if (bits & is_known) return bits;
    bits = is_known;
    for (uint32_t i = 0; i < TABLE_COUNT; i++) {
        if (has_features(tables[i])) bits |= 1u << i;
    }
    atomic_store_explicit(&known, bits, memory_order_relaxed);
    return bits;
}

bool sl_isa_is_supported(const sl_isa *isa) {
    for (uint32_t i = 0; i < TABLE_COUNT; i++) {
        if (tables[i] == isa) return supported_tables() >> i & 1;
    }
    return false;
}

const sl_isa *sl_isa_select(const char *name) {
    const bool wants_best = name == NULL || name[0] == '\0';
    for (uint32_t i = 0; i < TABLE_COUNT; i++) {
        const bool is_wanted = wants_best || strcmp(tables[i]->name, name) == 0;
        if (is_wanted && (supported_tables() >> i & 1)) return tables[i];
    }
    return NULL;
}
