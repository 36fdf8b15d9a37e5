// Waiting on a word: spin, then futex.
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sluice_platform.h"

struct sl_signal {
    _Alignas(64) _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
};

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

sl_signal *sl_signal_create(void) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, sizeof(sl_signal)) != 0) return NULL;
    sl_signal *signal = memory;
    atomic_init(&signal->value, 0);
    atomic_init(&signal->sleepers, 0);
    return signal;
}

void sl_signal_destroy(sl_signal *signal) {
    free(signal);
}

uint32_t sl_signal_value(const sl_signal *signal) {
    return atomic_load_explicit(&signal->value, memory_order_acquire);
}

void sl_signal_advance(sl_signal *signal) {
    atomic_fetch_add(&signal->value, 1);
    if (atomic_load(&signal->sleepers) != 0) {
        syscall(SYS_futex, &signal->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
}

// Whether the counter has come to `target`; it may have gone round since.
static bool has_reached(uint32_t value, uint32_t target) {
    return (int32_t)(value - target) >= 0;
}

void sl_signal_wait(sl_signal *signal, uint32_t target, uint32_t spins) {
    for (uint32_t round = 0; round < spins; round++) {
        if (has_reached(sl_signal_value(signal), target)) return;
        relax();
    }
    atomic_fetch_add(&signal->sleepers, 1);
    uint32_t value = atomic_load(&signal->value);
    while (!has_reached(value, target)) {
        syscall(SYS_futex, &signal->value, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
        value = atomic_load(&signal->value);
    }
    atomic_fetch_sub(&signal->sleepers, 1);
}
