// The three transforms of Winograd convolution along one axis, for filters of 1xN or Nx1 taps: F(5,
// 3) and F(3, 5) on patches of 7 pixels, F(3, 7) on patches of 9.
//
// They evaluate at infinity and at P pairs of points +-p. With m(x) the product of all x^2 - p^2
// and q(x) = m(x) / (x^2 - p^2), an even polynomial:
//     input   B^T: row +-p has the coefficients of (x +- p) q(x), the last row those of m(x)
//     weights G:   row +-p is (1, +-p, p^2, ...) / N, N = +-2p q(p); last (0.. 1)
//     output  A^T: row i has (+-p)^i, and 1 for infinity in the last row
// (Toom-Cook: Lavin and Gray, arXiv 1509.09308). tools/winograd_points.py finds the points: those
// multiples of 1/16 that amplify rounding least in the worst output.
#pragma once

// The most of each.
enum { LINE_PAIRS = 4, LINE_POINTS = 2 * LINE_PAIRS + 1, LINE_TAPS = 7, LINE_SIZE = 5 };

// Constants: with `pairs` and `number` known they are computed by the compiler.
SL_INLINE double SL_FN(line_point)(const int pairs, const int number) {
    const double three[] = {0.3125, 0.875, 1.625};
    const double four[] = {0.25, 0.6875, 1.125, 2.0625};
    return pairs == 3 ? three[number] : four[number];
}

SL_INLINE double SL_FN(line_power)(const double p, const int exponent) {
    double power = 1;
    SL_UNROLL for (int i = 0; i < exponent; i++) power *= p;
    return power;
}

// The coefficients of x^0, x^2, ... of m(x) without the factor of point `left_out` (none: -1).
SL_INLINE void SL_FN(line_factors)(const int pairs, const int left_out,
                                   double factors[LINE_PAIRS + 1]) {
    factors[0] = 1;
    SL_UNROLL for (int i = 1; i <= LINE_PAIRS; i++) factors[i] = 0;
    SL_UNROLL for (int i = 0; i < pairs; i++) {
        if (i == left_out) continue;
        const double p = SL_FN(line_point)(pairs, i);
        SL_UNROLL for (int k = LINE_PAIRS; k > 0; k--) {
            factors[k] = factors[k - 1] - p * p * factors[k];
        }
        factors[0] *= -p * p;
    }
}

// Values of a line, times B^T.
SL_INLINE void SL_FN(transform_line_inputs)(const int pairs, const vec d[LINE_POINTS],
                                            vec out[LINE_POINTS]) {
    double factors[LINE_PAIRS + 1];
    SL_UNROLL for (int i = 0; i < pairs; i++) {
        SL_FN(line_factors)(pairs, i, factors);
        vec even = d[2 * pairs - 2], odd = d[2 * pairs - 1];
        SL_UNROLL for (int k = pairs - 2; k >= 0; k--) {
            even = vec_fma(vec_splat((float)factors[k]), d[2 * k], even);
            odd = vec_fma(vec_splat((float)factors[k]), d[2 * k + 1], odd);
        }
        const vec p = vec_splat((float)SL_FN(line_point)(pairs, i));
        out[2 * i] = vec_fma(p, even, odd);
        out[2 * i + 1] = vec_fnma(p, even, odd);
    }
    SL_FN(line_factors)(pairs, -1, factors);
    vec last = d[2 * pairs];
    SL_UNROLL for (int k = pairs - 1; k >= 0; k--) {
        last = vec_fma(vec_splat((float)factors[k]), d[2 * k], last);
    }
    out[2 * pairs] = last;
}

// Taps of a filter, times G.
SL_INLINE void SL_FN(transform_line_weights)(const int pairs, const int taps,
                                             const vec g[LINE_TAPS], vec out[LINE_POINTS]) {
    SL_UNROLL for (int i = 0; i < pairs; i++) {
        const double p = SL_FN(line_point)(pairs, i);
        double factors[LINE_PAIRS + 1], q = 0;
        SL_FN(line_factors)(pairs, i, factors);
        SL_UNROLL for (int k = 0; k < pairs; k++) q += factors[k] * SL_FN(line_power)(p, 2 * k);
        const double scale = 1 / (2 * p * q);
        vec even = vec_mul(vec_splat((float)scale), g[0]);
        vec odd = vec_mul(vec_splat((float)(scale * p)), g[1]);
        SL_UNROLL for (int t = 2; t < taps; t++) {
            const vec factor = vec_splat((float)(scale * SL_FN(line_power)(p, t)));
            if (t % 2 == 0) {
                even = vec_fma(factor, g[t], even);
            } else {
                odd = vec_fma(factor, g[t], odd);
            }
        }
        out[2 * i] = vec_add(odd, even);
        out[2 * i + 1] = vec_sub(odd, even);
    }
    out[2 * pairs] = g[taps - 1];
}

// Products of a line, times A^T: 2 * pairs + 2 - taps sums.
SL_INLINE void SL_FN(transform_line_outputs)(const int pairs, const int taps,
                                             const vec m[LINE_POINTS], vec out[LINE_SIZE]) {
    const int size = 2 * pairs + 2 - taps;
    vec sums[LINE_PAIRS], differences[LINE_PAIRS];
    SL_UNROLL for (int i = 0; i < pairs; i++) {
        sums[i] = vec_add(m[2 * i], m[2 * i + 1]);
        differences[i] = vec_sub(m[2 * i], m[2 * i + 1]);
    }
    SL_UNROLL for (int o = 0; o < size; o++) {
        vec sum = o + 1 == size ? m[2 * pairs] : vec_zero();
        SL_UNROLL for (int i = pairs - 1; i >= 0; i--) {
            const float factor = (float)SL_FN(line_power)(SL_FN(line_point)(pairs, i), o);
            sum = vec_fma(vec_splat(factor), o % 2 == 0 ? sums[i] : differences[i], sum);
        }
        out[o] = sum;
    }
}

SL_INLINE int SL_FN(line_pairs)(const int taps) {
    return (int)sl_winograd_line_points((size_t)taps) / 2;
}

// Transforms a line of one channel block: pixel i is at source[i], point i goes to
// target + i * point_stride.
SL_INLINE void SL_FN(transform_line)(const int pairs, const float *const source[LINE_POINTS],
                                     float *target, size_t point_stride) {
    vec d[LINE_POINTS], out[LINE_POINTS];
    SL_UNROLL for (int i = 0; i < 2 * pairs + 1; i++) d[i] = vec_load(source[i]);
    SL_FN(transform_line_inputs)(pairs, d, out);
    SL_UNROLL for (int i = 0; i < 2 * pairs + 1; i++) {
        vec_store(target + (size_t)i * point_stride, out[i]);
    }
}

// Transforms the filters of one input channel to one vector of outputs: tap t is at
// source + t * tap_stride, point i goes to target + i * point_stride.
SL_INLINE void SL_FN(transform_line_filter)(const int taps, const float *source, size_t tap_stride,
                                            float *target, size_t point_stride) {
    const int pairs = SL_FN(line_pairs)(taps);
    vec g[LINE_TAPS], out[LINE_POINTS];
    SL_UNROLL for (int t = 0; t < taps; t++) g[t] = vec_load(source + (size_t)t * tap_stride);
    SL_FN(transform_line_weights)(pairs, taps, g, out);
    SL_UNROLL for (int i = 0; i < 2 * pairs + 1; i++) {
        vec_store(target + (size_t)i * point_stride, out[i]);
    }
}

// Transforms the products of one tile and one vector of outputs: point i is at
// source + i * point_stride.
SL_INLINE void SL_FN(transform_line_tile)(const int taps, const float *source, size_t point_stride,
                                          vec out[LINE_SIZE]) {
    const int pairs = SL_FN(line_pairs)(taps);
    vec m[LINE_POINTS];
    SL_UNROLL for (int i = 0; i < 2 * pairs + 1; i++) {
        m[i] = vec_load(source + (size_t)i * point_stride);
    }
    SL_FN(transform_line_outputs)(pairs, taps, m, out);
}
