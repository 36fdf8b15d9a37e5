// Vectors of 8 floats for AVX2 with FMA. To be included inside a target region, after immintrin.h.
//
// vec_min and vec_max return their second operand when either is NaN.
#pragma once

#define VEC_LANES 8
typedef __m256 vec;
typedef __m256 vmask;

SL_INLINE vec vec_load(const float *p) {
    return _mm256_loadu_ps(p);
}
SL_INLINE void vec_store(float *p, vec v) {
    _mm256_storeu_ps(p, v);
}
SL_INLINE vec vec_splat(float x) {
    return _mm256_set1_ps(x);
}
SL_INLINE vec vec_zero(void) {
    return _mm256_setzero_ps();
}
SL_INLINE vec vec_add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}
SL_INLINE vec vec_sub(vec a, vec b) {
    return _mm256_sub_ps(a, b);
}
SL_INLINE vec vec_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}
SL_INLINE vec vec_div(vec a, vec b) {
    return _mm256_div_ps(a, b);
}
SL_INLINE vec vec_min(vec a, vec b) {
    return _mm256_min_ps(a, b);
}
SL_INLINE vec vec_max(vec a, vec b) {
    return _mm256_max_ps(a, b);
}
SL_INLINE vec vec_fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}
SL_INLINE vec vec_fnma(vec a, vec b, vec c) {
    return _mm256_fnmadd_ps(a, b, c);
}
SL_INLINE vec vec_sqrt(vec a) {
    return _mm256_sqrt_ps(a);
}
SL_INLINE vec vec_abs(vec a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
SL_INLINE vec vec_neg(vec a) {
    return _mm256_xor_ps(_mm256_set1_ps(-0.0f), a);
}
SL_INLINE vec vec_floor(vec a) {
    return _mm256_floor_ps(a);
}
SL_INLINE vec vec_ceil(vec a) {
    return _mm256_ceil_ps(a);
}
SL_INLINE vec vec_round_even(vec a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// |magnitude| with the sign of `sign`.
SL_INLINE vec vec_copysign(vec magnitude, vec sign) {
    const vec bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}

SL_INLINE vmask vec_less(vec a, vec b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
SL_INLINE vec vec_select(vmask mask, vec if_true, vec if_false) {
    return _mm256_blendv_ps(if_false, if_true, mask);
}

#define SL_FINISH_FIRST(v) __asm__ volatile("" : "+x"(v) : : "memory")

SL_INLINE __m256i vec_tail_mask(size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}
// The first n < VEC_LANES floats, zeros after them; touches no other byte.
SL_INLINE vec vec_load_tail(const float *p, size_t n) {
    return _mm256_maskload_ps(p, vec_tail_mask(n));
}
SL_INLINE void vec_store_tail(float *p, size_t n, vec v) {
    _mm256_maskstore_ps(p, vec_tail_mask(n), v);
}

// Numbers of lanes, and the lanes of a vector that they name.
typedef __m256i vec_index;

SL_INLINE vec_index vec_index_load(const int32_t *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}
SL_INLINE vec_index vec_index_add(vec_index a, int32_t n) {
    return _mm256_add_epi32(a, _mm256_set1_epi32(n));
}
SL_INLINE vec vec_permute(vec a, vec_index index) {
    return _mm256_permutevar8x32_ps(a, index);
}
// Lane k of each two, or of each four lanes, in all of them; k is a constant.
SL_INLINE vec vec_splat_pairs(vec a, const int k) {
    return k == 0 ? _mm256_permute_ps(a, 0xa0) : _mm256_permute_ps(a, 0xf5);
}
SL_INLINE vec vec_splat_quads(vec a, const int k) {
    return k == 0   ? _mm256_permute_ps(a, 0x00)
           : k == 1 ? _mm256_permute_ps(a, 0x55)
           : k == 2 ? _mm256_permute_ps(a, 0xaa)
                    : _mm256_permute_ps(a, 0xff);
}

// p * 2^n for normal p and whole n, where the product is normal too: n is added to the exponent.
// What NaN is converted to adds nothing.
SL_INLINE vec vec_add_to_exponent(vec p, vec n) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}
#define SL_ADD_TO_EXPONENT(p, n) vec_add_to_exponent(p, n)

// Splits positive normal x into m * 2^e with sqrt(1/2) <= m < sqrt(2), approximately.
SL_INLINE vec vec_split_exponent(vec x, vec *mantissa) {
    const __m256i half_root = _mm256_set1_epi32(0x3f3504f3);
    const __m256i above = _mm256_sub_epi32(_mm256_castps_si256(x), half_root);
    const __m256i exponent = _mm256_srai_epi32(above, 23);
    const __m256i fraction = _mm256_and_si256(above, _mm256_set1_epi32(0x007fffff));
    *mantissa = _mm256_castsi256_ps(_mm256_add_epi32(fraction, half_root));
    return _mm256_cvtepi32_ps(exponent);
}
