// Vectors of 16 floats for AVX-512 (F, BW, VL, DQ). To be included inside a target region, after
// immintrin.h.
//
// vec_min and vec_max return their second operand when either is NaN.
#pragma once

#define VEC_LANES 16
typedef __m512 vec;
typedef __mmask16 vmask;

SL_INLINE vec vec_load(const float *p) {
    return _mm512_loadu_ps(p);
}
SL_INLINE void vec_store(float *p, vec v) {
    _mm512_storeu_ps(p, v);
}
SL_INLINE vec vec_splat(float x) {
    return _mm512_set1_ps(x);
}
SL_INLINE vec vec_zero(void) {
    return _mm512_setzero_ps();
}
SL_INLINE vec vec_add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}
SL_INLINE vec vec_sub(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}
SL_INLINE vec vec_mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}
SL_INLINE vec vec_div(vec a, vec b) {
    return _mm512_div_ps(a, b);
}
SL_INLINE vec vec_min(vec a, vec b) {
    return _mm512_min_ps(a, b);
}
SL_INLINE vec vec_max(vec a, vec b) {
    return _mm512_max_ps(a, b);
}
SL_INLINE vec vec_fma(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}
SL_INLINE vec vec_fnma(vec a, vec b, vec c) {
    return _mm512_fnmadd_ps(a, b, c);
}
SL_INLINE vec vec_sqrt(vec a) {
    return _mm512_sqrt_ps(a);
}
SL_INLINE vec vec_abs(vec a) {
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a);
}
SL_INLINE vec vec_neg(vec a) {
    return _mm512_xor_ps(_mm512_set1_ps(-0.0f), a);
}
SL_INLINE vec vec_floor(vec a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
SL_INLINE vec vec_ceil(vec a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}
SL_INLINE vec vec_round_even(vec a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// |magnitude| with the sign of `sign`.
SL_INLINE vec vec_copysign(vec magnitude, vec sign) {
    const vec bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign));
}

SL_INLINE vmask vec_less(vec a, vec b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
SL_INLINE vec vec_select(vmask mask, vec if_true, vec if_false) {
    return _mm512_mask_blend_ps(mask, if_false, if_true);
}

#if !defined(SL_SIMULATES_AVX512)
#define SL_FINISH_FIRST(v) __asm__ volatile("" : "+v"(v) : : "memory")
#define SL_KEEP_IN_REGISTER(p) __asm__("" : "+r"(p))
// p * 2^n, one instruction.
#define SL_SCALE(p, n) _mm512_scalef_ps(p, n)
#endif

// The first n < VEC_LANES floats, zeros after them; touches no other byte.
SL_INLINE vec vec_load_tail(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p);
}
SL_INLINE void vec_store_tail(float *p, size_t n, vec v) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), v);
}

// Numbers of lanes, and the lanes of a vector that they name.
typedef __m512i vec_index;

SL_INLINE vec_index vec_index_load(const int32_t *p) {
    return _mm512_loadu_si512(p);
}
SL_INLINE vec_index vec_index_add(vec_index a, int32_t n) {
    return _mm512_add_epi32(a, _mm512_set1_epi32(n));
}
SL_INLINE vec vec_permute(vec a, vec_index index) {
    return _mm512_permutexvar_ps(index, a);
}
// Lane k of each two, or of each four lanes, in all of them; k is a constant.
SL_INLINE vec vec_splat_pairs(vec a, const int k) {
    return k == 0 ? _mm512_permute_ps(a, 0xa0) : _mm512_permute_ps(a, 0xf5);
}
SL_INLINE vec vec_splat_quads(vec a, const int k) {
    return k == 0   ? _mm512_permute_ps(a, 0x00)
           : k == 1 ? _mm512_permute_ps(a, 0x55)
           : k == 2 ? _mm512_permute_ps(a, 0xaa)
                    : _mm512_permute_ps(a, 0xff);
}

// 2^n for whole n in [-126, 127].
SL_INLINE vec vec_power_of_two(vec n) {
    const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
}

// Splits positive normal x into m * 2^e with sqrt(1/2) <= m < sqrt(2), approximately.
SL_INLINE vec vec_split_exponent(vec x, vec *mantissa) {
    const __m512i half_root = _mm512_set1_epi32(0x3f3504f3);
    const __m512i above = _mm512_sub_epi32(_mm512_castps_si512(x), half_root);
    const __m512i exponent = _mm512_srai_epi32(above, 23);
    const __m512i fraction = _mm512_and_si512(above, _mm512_set1_epi32(0x007fffff));
    *mantissa = _mm512_castsi512_ps(_mm512_add_epi32(fraction, half_root));
    return _mm512_cvtepi32_ps(exponent);
}
