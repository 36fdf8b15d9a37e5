// Reductions of a middle axis, and local response normalisation.
//
// A contiguous row is reduced in four vectors side by side, then across lanes pairwise. A strided
// axis is reduced one output a lane, in order, in partial results of a fixed number of elements.
// Neither depends on how the outputs are cut into tasks.
#pragma once
#include "loop_nest.h"
#include "row_vec_body.h"

SL_INLINE float SL_FN(reduce_start)(sl_reduce_kind kind) {
    switch (kind) {
        case SL_REDUCE_MINIMUM:
            return INFINITY;
        case SL_REDUCE_MAXIMUM:
            return -INFINITY;
        case SL_REDUCE_PRODUCT:
            return 1.0f;
        default:
            return 0.0f;
    }
}

SL_INLINE vec SL_FN(reduce_join)(sl_reduce_kind kind, vec a, vec b) {
    switch (kind) {
        case SL_REDUCE_MINIMUM:
            return SL_FN(min_or_nan)(a, b);
        case SL_REDUCE_MAXIMUM:
            return SL_FN(max_or_nan)(a, b);
        case SL_REDUCE_PRODUCT:
            return vec_mul(a, b);
        default:
            return vec_add(a, b);
    }
}

// What joins the result for input x.
SL_INLINE vec SL_FN(reduce_term)(sl_reduce_kind kind, vec x, vec shift) {
    switch (kind) {
        case SL_REDUCE_L1:
            return vec_abs(x);
        case SL_REDUCE_L2:
        case SL_REDUCE_SUM_SQUARES:
            return vec_mul(x, x);
        case SL_REDUCE_LOG_SUM_EXP:
            return vec_exp(vec_sub(x, shift));
        default:
            return x;
    }
}

// An input that joins without effect, for the lanes past a row's end.
SL_INLINE float SL_FN(reduce_filler)(sl_reduce_kind kind) {
    return kind == SL_REDUCE_LOG_SUM_EXP ? -INFINITY : SL_FN(reduce_start)(kind);
}

SL_INLINE vec SL_FN(reduce_finish)(sl_reduce_kind kind, vec total, vec shift, size_t axis_size) {
    switch (kind) {
        case SL_REDUCE_MEAN:
            return vec_div(total, vec_splat((float)axis_size));
        case SL_REDUCE_L2:
            return vec_sqrt(total);
        case SL_REDUCE_LOG_SUM:
            return vec_log(total);
        case SL_REDUCE_LOG_SUM_EXP:
            return vec_add(vec_log(total), shift);
        default:
            return total;
    }
}

// The maximum where it is finite, else 0: what a sum of exponentials is taken relative to.
SL_INLINE vec SL_FN(finite_or_zero)(vec x) {
    return vec_select(vec_less(vec_abs(x), vec_splat(INFINITY)), x, vec_zero());
}

SL_INLINE vec SL_FN(reduce_row_lanes)(sl_reduce_kind kind, size_t count, const float *input,
                                      vec shift) {
    vec part[4];
    SL_UNROLL for (size_t v = 0; v < 4; v++) part[v] = vec_splat(SL_FN(reduce_start)(kind));
    size_t i = 0;
    for (; i + 4 * VEC_LANES <= count; i += 4 * VEC_LANES) {
        SL_UNROLL for (size_t v = 0; v < 4; v++) {
            const vec x = vec_load(input + i + v * VEC_LANES);
            part[v] = SL_FN(reduce_join)(kind, part[v], SL_FN(reduce_term)(kind, x, shift));
        }
    }
    for (; i + VEC_LANES <= count; i += VEC_LANES) {
        const vec x = vec_load(input + i);
        part[0] = SL_FN(reduce_join)(kind, part[0], SL_FN(reduce_term)(kind, x, shift));
    }
    if (i < count) {
        const vec x = SL_FN(load_tail_or)(input + i, count - i, SL_FN(reduce_filler)(kind));
        part[1] = SL_FN(reduce_join)(kind, part[1], SL_FN(reduce_term)(kind, x, shift));
    }
    return SL_FN(reduce_join)(kind, SL_FN(reduce_join)(kind, part[0], part[1]),
                              SL_FN(reduce_join)(kind, part[2], part[3]));
}

SL_INLINE float SL_FN(reduce_row)(sl_reduce_kind kind, size_t count, const float *input) {
    float result;
    vec shift = vec_zero();
    if (kind == SL_REDUCE_LOG_SUM_EXP) {
        const vec lanes = SL_FN(reduce_row_lanes)(SL_REDUCE_MAXIMUM, count, input, shift);
        SL_JOIN_LANES(result, lanes, SL_FN(max_or_nan));
        shift = SL_FN(finite_or_zero)(vec_splat(result));
    }
    const vec lanes = SL_FN(reduce_row_lanes)(kind, count, input, shift);
#define SL_REDUCE_JOIN(a, b) SL_FN(reduce_join)(kind, a, b)
    SL_JOIN_LANES(result, lanes, SL_REDUCE_JOIN);
#undef SL_REDUCE_JOIN
    float finished[VEC_LANES];
    vec_store(finished, SL_FN(reduce_finish)(kind, vec_splat(result), shift, count));
    return finished[0];
}

// `vectors` vectors of outputs; their inputs are `inner` apart. Of a single vector `valid` lanes
// count. `shift` and `total` have a vector each.
SL_INLINE void SL_FN(reduce_lanes)(sl_reduce_kind kind, size_t vectors, size_t valid,
                                   size_t axis_size, size_t inner, const float *input,
                                   const vec *shift, vec *total) {
    enum { PARTIAL = 128, MOST_VECTORS = 4 };
    const vec start = vec_splat(SL_FN(reduce_start)(kind));
    SL_UNROLL for (size_t v = 0; v < vectors; v++) total[v] = start;
    for (size_t first = 0; first < axis_size; first += PARTIAL) {
        const size_t end = axis_size - first < PARTIAL ? axis_size : first + PARTIAL;
        vec partial[MOST_VECTORS];
        SL_UNROLL for (size_t v = 0; v < vectors; v++) partial[v] = start;
        for (size_t a = first; a < end; a++) {
            SL_UNROLL for (size_t v = 0; v < vectors; v++) {
                const float *const from = input + a * inner + v * VEC_LANES;
                const vec x = valid == VEC_LANES ? vec_load(from) : vec_load_tail(from, valid);
                const vec term = SL_FN(reduce_term)(kind, x, shift[v]);
                partial[v] = SL_FN(reduce_join)(kind, partial[v], term);
            }
        }
        SL_UNROLL for (size_t v = 0; v < vectors; v++) {
            total[v] = SL_FN(reduce_join)(kind, total[v], partial[v]);
        }
    }
}

SL_INLINE void SL_FN(reduce_across)(sl_reduce_kind kind, size_t vectors, size_t valid,
                                    size_t axis_size, size_t inner, const float *input,
                                    float *output) {
    vec shift[4], total[4];
    SL_UNROLL for (size_t v = 0; v < vectors; v++) shift[v] = vec_zero();
    if (kind == SL_REDUCE_LOG_SUM_EXP) {
        SL_FN(reduce_lanes)
        (SL_REDUCE_MAXIMUM, vectors, valid, axis_size, inner, input, shift, total);
        SL_UNROLL for (size_t v = 0; v < vectors; v++) shift[v] = SL_FN(finite_or_zero)(total[v]);
    }
    SL_FN(reduce_lanes)(kind, vectors, valid, axis_size, inner, input, shift, total);
    SL_UNROLL for (size_t v = 0; v < vectors; v++) {
        const vec result = SL_FN(reduce_finish)(kind, total[v], shift[v], axis_size);
        if (valid == VEC_LANES) {
            vec_store(output + v * VEC_LANES, result);
        } else {
            vec_store_tail(output, valid, result);
        }
    }
}

// Outputs [rows.first, rows.end) for a constant kind.
SL_INLINE void SL_FN(reduce_rows)(sl_reduce_kind kind, const sl_reduce_args *args, sl_span rows) {
    const size_t size = args->axis_size;
    const size_t inner = args->inner;
    if (inner == 1) {
        for (size_t row = rows.first; row < rows.end; row++) {
            args->output[row] = SL_FN(reduce_row)(kind, size, args->input + row * size);
        }
        return;
    }
    while (rows.first < rows.end) {
        const size_t start = rows.first % inner;
        const float *const input = args->input + rows.first / inner * size * inner + start;
        float *const output = args->output + rows.first;
        const size_t left = rows.end - rows.first;
        const size_t count = inner - start < left ? inner - start : left;
        if (count >= 4 * VEC_LANES) {
            SL_FN(reduce_across)(kind, 4, VEC_LANES, size, inner, input, output);
            rows.first += 4 * VEC_LANES;
        } else if (count >= VEC_LANES) {
            SL_FN(reduce_across)(kind, 1, VEC_LANES, size, inner, input, output);
            rows.first += VEC_LANES;
        } else {
            SL_FN(reduce_across)(kind, 1, count, size, inner, input, output);
            rows.first += count;
        }
    }
}

static void SL_FN(sl_reduce)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_reduce_args *const args = erased;
    const sl_span rows = sl_group_span(args->outer * args->inner, args->rows_per_task, task);
#define SL_REDUCE_CASE(kind)                  \
    case kind:                                \
        SL_FN(reduce_rows)(kind, args, rows); \
        return;
    switch (args->kind) {
        SL_REDUCE_CASE(SL_REDUCE_SUM)
        SL_REDUCE_CASE(SL_REDUCE_MEAN)
        SL_REDUCE_CASE(SL_REDUCE_MINIMUM)
        SL_REDUCE_CASE(SL_REDUCE_MAXIMUM)
        SL_REDUCE_CASE(SL_REDUCE_PRODUCT)
        SL_REDUCE_CASE(SL_REDUCE_L1)
        SL_REDUCE_CASE(SL_REDUCE_L2)
        SL_REDUCE_CASE(SL_REDUCE_SUM_SQUARES)
        SL_REDUCE_CASE(SL_REDUCE_LOG_SUM)
        SL_REDUCE_CASE(SL_REDUCE_LOG_SUM_EXP)
    }
#undef SL_REDUCE_CASE
}

// --- Local response normalisation --------------------------------------------------------------

// base^beta; the usual exponents by square roots.
SL_INLINE vec SL_FN(lrn_power)(vec base, float beta) {
    if (beta == 1.0f) return base;
    if (beta == 0.5f) return vec_sqrt(base);
    if (beta == 0.75f) {
        const vec root = vec_sqrt(base);
        return vec_mul(root, vec_sqrt(root));
    }
    return vec_exp(vec_mul(vec_splat(beta), vec_log(base)));
}

// All channels of one vector of pixels. The sum of squares is taken anew for every channel: a
// sliding sum would carry rounding errors along.
SL_INLINE void SL_FN(lrn_pixels)(const sl_lrn_args *args, size_t valid, const float *input,
                                 float *output) {
    const size_t channels = args->channels;
    const size_t before = (args->size - 1) / 2;
    const size_t after = args->size / 2;
    const vec alpha = vec_splat(args->alpha / (float)args->size);
    const bool whole = valid == VEC_LANES;
    for (size_t c = 0; c < channels; c++) {
        const size_t first = c > before ? c - before : 0;
        const size_t last = channels - 1 - c > after ? c + after : channels - 1;
        vec sum = vec_zero();
        for (size_t k = first; k <= last; k++) {
            const float *const from = input + k * args->pixels;
            const vec x = whole ? vec_load(from) : vec_load_tail(from, valid);
            sum = vec_fma(x, x, sum);
        }
        const vec base = vec_fma(alpha, sum, vec_splat(args->bias));
        const float *const from = input + c * args->pixels;
        float *const to = output + c * args->pixels;
        const vec x = whole ? vec_load(from) : vec_load_tail(from, valid);
        const vec result = vec_div(x, SL_FN(lrn_power)(base, args->beta));
        if (whole) {
            vec_store(to, result);
        } else {
            vec_store_tail(to, valid, result);
        }
    }
}

static void SL_FN(sl_lrn)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_lrn_args *const args = erased;
    const size_t groups = sl_ceil_div(args->pixels, args->pixels_per_task);
    const sl_span pixels = sl_group_span(args->pixels, args->pixels_per_task, task % groups);
    const size_t offset = task / groups * args->channels * args->pixels;
    size_t pixel = pixels.first;
    for (; pixel + VEC_LANES <= pixels.end; pixel += VEC_LANES) {
        SL_FN(lrn_pixels)
        (args, VEC_LANES, args->input + offset + pixel, args->output + offset + pixel);
    }
    if (pixel < pixels.end) {
        SL_FN(lrn_pixels)
        (args, pixels.end - pixel, args->input + offset + pixel, args->output + offset + pixel);
    }
}
