// Vectors of SL_PORTABLE_LANES floats written with the compiler's vector extension, for any CPU.
// With 4 lanes they become SSE2 or NEON instructions; with 16 they stand in for AVX-512 in tests.
//
// vec_min and vec_max return their second operand when either is NaN.
#pragma once

// Wide vectors have no fixed calling convention; none crosses a call that is not inlined.
#pragma clang diagnostic ignored "-Wpsabi"

#define VEC_LANES SL_PORTABLE_LANES
typedef float vec __attribute__((ext_vector_type(VEC_LANES)));
typedef int32_t vmask __attribute__((ext_vector_type(VEC_LANES)));

SL_INLINE vec vec_load(const float *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
SL_INLINE void vec_store(float *p, vec v) {
    memcpy(p, &v, sizeof v);
}
SL_INLINE vec vec_splat(float x) {
    return (vec)(x);
}
SL_INLINE vec vec_zero(void) {
    return (vec)(0.0f);
}
SL_INLINE vec vec_add(vec a, vec b) {
    return a + b;
}
SL_INLINE vec vec_sub(vec a, vec b) {
    return a - b;
}
SL_INLINE vec vec_mul(vec a, vec b) {
    return a * b;
}
SL_INLINE vec vec_div(vec a, vec b) {
    return a / b;
}

SL_INLINE vmask vec_bits(vec a) {
    vmask bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
SL_INLINE vec vec_from_bits(vmask bits) {
    vec a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

SL_INLINE vmask vec_less(vec a, vec b) {
    return a < b;
}
SL_INLINE vec vec_select(vmask mask, vec if_true, vec if_false) {
    return vec_from_bits((mask & vec_bits(if_true)) | (~mask & vec_bits(if_false)));
}
SL_INLINE vec vec_min(vec a, vec b) {
    return vec_select(a < b, a, b);
}
SL_INLINE vec vec_max(vec a, vec b) {
    return vec_select(a > b, a, b);
}

// One rounding where the CPU has such an instruction (the compiler contracts the expression), two
// elsewhere.
SL_INLINE vec vec_fma(vec a, vec b, vec c) {
    return a * b + c;
}
SL_INLINE vec vec_fnma(vec a, vec b, vec c) {
    return c - a * b;
}

SL_INLINE vec vec_sqrt(vec a) {
    return __builtin_elementwise_sqrt(a);
}
SL_INLINE vec vec_abs(vec a) {
    return vec_from_bits(vec_bits(a) & 0x7fffffff);
}
SL_INLINE vec vec_neg(vec a) {
    return -a;
}
SL_INLINE vec vec_floor(vec a) {
    return __builtin_elementwise_floor(a);
}
SL_INLINE vec vec_ceil(vec a) {
    return __builtin_elementwise_ceil(a);
}
SL_INLINE vec vec_round_even(vec a) {
    return __builtin_elementwise_roundeven(a);
}

// |magnitude| with the sign of `sign`.
SL_INLINE vec vec_copysign(vec magnitude, vec sign) {
    const vmask bit = (vmask)(INT32_MIN);
    return vec_from_bits((vec_bits(magnitude) & ~bit) | (vec_bits(sign) & bit));
}

// The first n < VEC_LANES floats, zeros after them; touches no other byte.
SL_INLINE vec vec_load_tail(const float *p, size_t n) {
    float lanes[VEC_LANES] = {0};
    for (size_t i = 0; i < n; i++) lanes[i] = p[i];
    return vec_load(lanes);
}
SL_INLINE void vec_store_tail(float *p, size_t n, vec v) {
    float lanes[VEC_LANES];
    vec_store(lanes, v);
    for (size_t i = 0; i < n; i++) p[i] = lanes[i];
}

// Numbers of lanes, and the lanes of a vector that they name.
typedef vmask vec_index;

SL_INLINE vec_index vec_index_load(const int32_t *p) {
    vec_index index;
    memcpy(&index, p, sizeof index);
    return index;
}
SL_INLINE vec_index vec_index_add(vec_index a, int32_t n) {
    return a + n;
}
SL_INLINE vec vec_permute(vec a, vec_index index) {
    vec value = a;
    for (int lane = 0; lane < VEC_LANES; lane++) value[lane] = a[index[lane] % VEC_LANES];
    return value;
}

// Lane k of each two, or of each four lanes, in all of them.
SL_INLINE vec vec_splat_pairs(vec a, const int k) {
    vec value = a;
    for (int lane = 0; lane < VEC_LANES; lane++) value[lane] = a[lane / 2 * 2 + k];
    return value;
}
SL_INLINE vec vec_splat_quads(vec a, const int k) {
    vec value = a;
    for (int lane = 0; lane < VEC_LANES; lane++) value[lane] = a[lane / 4 * 4 + k];
    return value;
}

// 2^n for whole n in [-126, 127]. Lanes that hold NaN give an unspecified value.
SL_INLINE vec vec_power_of_two(vec n) {
    const vec shifted = n + 12582912.0f;  // 1.5 * 2^23: the low bits now hold n.
    return vec_from_bits((vec_bits(shifted) - 0x4b400000 + 127) << 23);
}

// Splits positive normal x into m * 2^e with sqrt(1/2) <= m < sqrt(2), approximately.
SL_INLINE vec vec_split_exponent(vec x, vec *mantissa) {
    const vmask above = vec_bits(x) - 0x3f3504f3;
    *mantissa = vec_from_bits((above & 0x007fffff) + 0x3f3504f3);
    return __builtin_convertvector(above >> 23, vec);
}
