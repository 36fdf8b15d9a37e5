// Helpers of kernels that reduce rows: minimum and maximum that keep NaN, tails with a neutral
// element, and the join of a vector's lanes in a fixed order.
#pragma once

// NaN when either operand is; vec_max alone keeps only a NaN that stands second. An infinite or
// NaN a takes the sum, in which |b| matters only if it is NaN itself.
SL_INLINE vec SL_FN(max_or_nan)(vec a, vec b) {
    const vec sum = vec_add(a, vec_abs(b));
    return vec_select(vec_less(a, vec_splat(INFINITY)), vec_max(a, b), sum);
}

SL_INLINE vec SL_FN(min_or_nan)(vec a, vec b) {
    const vec difference = vec_sub(a, vec_abs(b));
    return vec_select(vec_less(vec_splat(-INFINITY), a), vec_min(a, b), difference);
}

// The first n lanes of x, and `fill` in the others.
SL_INLINE vec SL_FN(first_lanes_or)(vec x, size_t n, float fill) {
    float numbers[VEC_LANES];
    SL_UNROLL for (int i = 0; i < VEC_LANES; i++) numbers[i] = (float)i;
    return vec_select(vec_less(vec_load(numbers), vec_splat((float)n)), x, vec_splat(fill));
}

// The first n floats, and `fill` in the other lanes.
SL_INLINE vec SL_FN(load_tail_or)(const float *from, size_t n, float fill) {
    return SL_FN(first_lanes_or)(vec_load_tail(from, n), n, fill);
}

// The lanes `distance` further on; of the last ones, any.
SL_INLINE vec SL_FN(later_lanes)(vec x, const int distance) {
    int32_t lanes[VEC_LANES];
    SL_UNROLL for (int i = 0; i < VEC_LANES; i++) lanes[i] = (i + distance) % VEC_LANES;
    return vec_permute(x, vec_index_load(lanes));
}

// Joins all lanes pairwise, halves first; `join` is a function of two vectors, of which lane 0 is
// used.
#define SL_JOIN_LANES(result, value, join)                                    \
    do {                                                                      \
        vec joined_ = (value);                                                \
        SL_UNROLL for (int width_ = VEC_LANES / 2; width_ > 0; width_ /= 2) { \
            joined_ = join(joined_, SL_FN(later_lanes)(joined_, width_));     \
        }                                                                     \
        float lanes_[VEC_LANES];                                              \
        vec_store(lanes_, joined_);                                           \
        (result) = lanes_[0];                                                 \
    } while (0)
