// The intrinsics that vec_avx512.h uses, computed two halves at a time by AVX2 instructions, so
// that `make test-avx512` runs the AVX-512 sources on CPUs without it. SIMDe (Debian: libsimde-dev)
// has most of them; those its release lacks follow. An intrinsic that neither has does not compile,
// since nothing in such a build may use AVX-512 instructions.
#pragma once

// Wide vectors have no fixed calling convention; none crosses a call that is not inlined.
#pragma clang diagnostic ignored "-Wpsabi"

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

typedef union {
    __m512 floats;
    __m512i integers;
    __m256 float_half[2];
    __m256i integer_half[2];
    float lane[16];
} sl_simulated_512;

static inline __m512i sl_simulated_cvtps_epi32(__m512 a) {
    sl_simulated_512 v = {.floats = a};
    for (int i = 0; i < 2; i++) v.integer_half[i] = _mm256_cvtps_epi32(v.float_half[i]);
    return v.integers;
}

static inline __m512 sl_simulated_cvtepi32_ps(__m512i a) {
    sl_simulated_512 v = {.integers = a};
    for (int i = 0; i < 2; i++) v.float_half[i] = _mm256_cvtepi32_ps(v.integer_half[i]);
    return v.floats;
}

static inline __m512i sl_simulated_srai_epi32(__m512i a, int count) {
    sl_simulated_512 v = {.integers = a};
    for (int i = 0; i < 2; i++) v.integer_half[i] = _mm256_srai_epi32(v.integer_half[i], count);
    return v.integers;
}

// Two bits of `lanes` for each lane of a quarter.
static inline __m512 sl_simulated_permute_ps(__m512 a, int lanes) {
    const sl_simulated_512 from = {.floats = a};
    sl_simulated_512 v;
    for (int i = 0; i < 16; i++) v.lane[i] = from.lane[i / 4 * 4 + (lanes >> i % 4 * 2 & 3)];
    return v.floats;
}

// Lanes that the mask leaves out are not accessed, so that a sanitizer sees what a tail touches.
static inline __m512 sl_simulated_maskz_loadu_ps(__mmask16 mask, const void *source) {
    sl_simulated_512 v = {.lane = {0}};
    for (int i = 0; i < 16; i++) {
        if (mask >> i & 1) memcpy(&v.lane[i], (const char *)source + 4 * i, 4);
    }
    return v.floats;
}

static inline void sl_simulated_mask_storeu_ps(void *target, __mmask16 mask, __m512 a) {
    const sl_simulated_512 v = {.floats = a};
    for (int i = 0; i < 16; i++) {
        if (mask >> i & 1) memcpy((char *)target + 4 * i, &v.lane[i], 4);
    }
}

#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32(a) sl_simulated_cvtps_epi32(a)
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps(a) sl_simulated_cvtepi32_ps(a)
#undef _mm512_srai_epi32
#define _mm512_srai_epi32(a, count) sl_simulated_srai_epi32(a, count)
#undef _mm512_permute_ps
#define _mm512_permute_ps(a, lanes) sl_simulated_permute_ps(a, lanes)
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps(mask, source) sl_simulated_maskz_loadu_ps(mask, source)
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps(target, mask, a) sl_simulated_mask_storeu_ps(target, mask, a)
// The macro of SIMDe applies operators to its argument without parentheses.
#undef _mm512_roundscale_ps
#define _mm512_roundscale_ps(a, mode) simde_mm512_roundscale_ps(a, (mode))
