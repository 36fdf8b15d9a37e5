// The three transforms of Winograd convolution on 6x6 patches: F(4x4, 3x3) and F(2x2, 5x5).
//
// Both evaluate at the points 0, +-a, +-b and infinity with a = 5/8, b = 3/2, so they share the
// transform of the input. With p over the finite points and m(x) = x (x^2 - a^2) (x^2 - b^2):
//     input   B^T: row p has the coefficients of m(x) / (x - p), the last row those of m(x)
//     weights G:   row p is (1, p, p^2, ...) / N(p), N(p) the derivative of m at p; last (0.. 1)
//     output  A^T: row i has p^i, and 1 for infinity in the last row
// (Toom-Cook: Lavin and Gray, arXiv 1509.09308; points: Alam et al., arXiv 2201.10369).
#pragma once

enum { PATCH = 6, PATCH_POINTS = PATCH * PATCH, PATCH_PAIRS = SL_WINOGRAD_PAIRS };

// Rows of the matrices in pairs that share terms: those of 0 and infinity, of +-a and of +-b.
SL_INLINE size_t SL_FN(pair_row)(size_t pair, size_t number) {
    return pair > 0 ? 2 * pair - 1 + number : number * (PATCH - 1);
}

#define WINOGRAD_A 0.625f
#define WINOGRAD_B 1.5f
#define WINOGRAD_A2 (WINOGRAD_A * WINOGRAD_A)
#define WINOGRAD_B2 (WINOGRAD_B * WINOGRAD_B)
#define WINOGRAD_NORM_A (1.0f / (2.0f * WINOGRAD_A2 * (WINOGRAD_A2 - WINOGRAD_B2)))
#define WINOGRAD_NORM_B (1.0f / (2.0f * WINOGRAD_B2 * (WINOGRAD_B2 - WINOGRAD_A2)))

// Six values of a row or column of a patch, times B^T.
SL_INLINE void SL_FN(transform_inputs)(const vec d[PATCH], vec out[PATCH]) {
    const vec a = vec_splat(WINOGRAD_A), b = vec_splat(WINOGRAD_B);
    const vec a2 = vec_splat(WINOGRAD_A2), b2 = vec_splat(WINOGRAD_B2);
    const vec product = vec_splat(WINOGRAD_A2 * WINOGRAD_B2);
    const vec sum = vec_splat(WINOGRAD_A2 + WINOGRAD_B2);
    const vec even_a = vec_fnma(b2, d[2], d[4]), odd_a = vec_fnma(b2, d[1], d[3]);
    const vec even_b = vec_fnma(a2, d[2], d[4]), odd_b = vec_fnma(a2, d[1], d[3]);
    out[0] = vec_fma(product, d[0], vec_fnma(sum, d[2], d[4]));
    out[1] = vec_fma(a, odd_a, even_a);
    out[2] = vec_fnma(a, odd_a, even_a);
    out[3] = vec_fma(b, odd_b, even_b);
    out[4] = vec_fnma(b, odd_b, even_b);
    out[5] = vec_fma(product, d[1], vec_fnma(sum, d[3], d[5]));
}

// `taps` values of a row or column of a filter, times the two rows of G of a pair of points.
SL_INLINE void SL_FN(transform_weight_pair)(const int taps, const size_t pair, const vec g[5],
                                            vec out[2]) {
    if (pair == 0) {
        out[0] = vec_mul(vec_splat(1.0f / (WINOGRAD_A2 * WINOGRAD_B2)), g[0]);
        out[1] = g[taps - 1];
        return;
    }
    const float p = pair == 1 ? WINOGRAD_A : WINOGRAD_B, p2 = p * p;
    const float norm = pair == 1 ? WINOGRAD_NORM_A : WINOGRAD_NORM_B;
    vec even = vec_fma(vec_splat(norm * p2), g[2], vec_mul(vec_splat(norm), g[0]));
    vec odd = vec_mul(vec_splat(norm * p), g[1]);
    if (taps == 5) {
        even = vec_fma(vec_splat(norm * p2 * p2), g[4], even);
        odd = vec_fma(vec_splat(norm * p2 * p), g[3], odd);
    }
    out[0] = vec_add(even, odd);
    out[1] = vec_sub(even, odd);
}

// The same times all of G.
SL_INLINE void SL_FN(transform_weights)(const int taps, const vec g[5], vec out[PATCH]) {
    SL_UNROLL for (size_t pair = 0; pair < PATCH_PAIRS; pair++) {
        vec both[2];
        SL_FN(transform_weight_pair)(taps, pair, g, both);
        out[SL_FN(pair_row)(pair, 0)] = both[0];
        out[SL_FN(pair_row)(pair, 1)] = both[1];
    }
}

// Six products of a row or column, times A^T: PATCH + 1 - taps sums.
SL_INLINE void SL_FN(transform_outputs)(const int taps, const vec m[PATCH], vec out[4]) {
    const float a = WINOGRAD_A, b = WINOGRAD_B;
    const vec sum_a = vec_add(m[1], m[2]), difference_a = vec_sub(m[1], m[2]);
    const vec sum_b = vec_add(m[3], m[4]), difference_b = vec_sub(m[3], m[4]);
    out[0] = vec_add(m[0], vec_add(sum_a, sum_b));
    out[1] = vec_fma(vec_splat(a), difference_a, vec_mul(vec_splat(b), difference_b));
    if (taps == 5) {
        out[1] = vec_add(m[5], out[1]);
        return;
    }
    out[2] = vec_fma(vec_splat(a * a), sum_a, vec_mul(vec_splat(b * b), sum_b));
    out[3] = vec_fma(vec_splat(a * a * a), difference_a,
                     vec_fma(vec_splat(b * b * b), difference_b, m[5]));
}

// Where one patch of one channel block reads: PATCH rows, in each of which columns are some floats
// apart (a zero stands in for rows outside, with a step of 0), and the columns [first, end) that
// are inside. For a line the rows are its pixels.
typedef struct {
    const float *row[LINE_POINTS];
    size_t column_step[PATCH];
    size_t first_column, end_column;
} patch_source;

// Transforms a patch of one channel block; point i goes to target + i * point_stride.
static __attribute__((noinline)) void SL_FN(transform_patch)(const patch_source *source,
                                                             float *target, size_t point_stride) {
    vec half[PATCH][PATCH];
    for (size_t x = 0; x < PATCH; x++) {
        vec column[PATCH], d[PATCH];
        if (x >= source->first_column && x < source->end_column) {
            SL_UNROLL for (int y = 0; y < PATCH; y++) {
                column[y] = vec_load(source->row[y] + x * source->column_step[y]);
            }
            SL_FN(transform_inputs)(column, d);
        } else {
            SL_UNROLL for (int y = 0; y < PATCH; y++) d[y] = vec_zero();
        }
        SL_UNROLL for (int y = 0; y < PATCH; y++) half[y][x] = d[y];
    }
    SL_UNROLL for (size_t y = 0; y < PATCH; y++) {
        vec out[PATCH];
        SL_FN(transform_inputs)(half[y], out);
        float *const to = target + y * PATCH * point_stride;
        SL_UNROLL for (size_t x = 0; x < PATCH; x++) vec_store(to + x * point_stride, out[x]);
    }
}

// Transforms the filters of one input channel to one vector of outputs, for the points in the rows
// of pairs [first, end): tap t is at source + t * tap_stride, point i of them goes to
// target + i * point_stride, pair after pair.
SL_INLINE void SL_FN(transform_filter)(const int taps, const size_t first, const size_t end,
                                       const float *source, size_t tap_stride, float *target,
                                       size_t point_stride) {
    vec half[PATCH][5];
    SL_UNROLL for (size_t x = 0; x < (size_t)taps; x++) {
        vec g[5];
        SL_UNROLL for (size_t y = 0; y < (size_t)taps; y++) {
            g[y] = vec_load(source + (y * (size_t)taps + x) * tap_stride);
        }
        SL_UNROLL for (size_t pair = first; pair < end; pair++) {
            vec both[2];
            SL_FN(transform_weight_pair)(taps, pair, g, both);
            half[2 * (pair - first)][x] = both[0];
            half[2 * (pair - first) + 1][x] = both[1];
        }
    }
    SL_UNROLL for (size_t y = 0; y < 2 * (end - first); y++) {
        vec out[PATCH];
        SL_FN(transform_weights)(taps, half[y], out);
        float *const to = target + y * PATCH * point_stride;
        SL_UNROLL for (size_t x = 0; x < PATCH; x++) vec_store(to + x * point_stride, out[x]);
    }
}

// Transforms the products of one tile and one vector of outputs: point i is at
// source + i * point_stride; out[y * size + x] for the tile's pixels.
SL_INLINE void SL_FN(transform_tile)(const int taps, const float *source, size_t point_stride,
                                     vec out[16]) {
    const int size = PATCH + 1 - taps;
    vec half[4][PATCH];
    SL_UNROLL for (size_t x = 0; x < PATCH; x++) {
        vec m[PATCH], column[4];
        SL_UNROLL for (size_t y = 0; y < PATCH; y++) {
            m[y] = vec_load(source + (y * PATCH + x) * point_stride);
        }
        SL_FN(transform_outputs)(taps, m, column);
        SL_UNROLL for (int y = 0; y < size; y++) half[y][x] = column[y];
    }
    SL_UNROLL for (int y = 0; y < size; y++)
        SL_FN(transform_outputs)(taps, half[y], out + y * size);
}
