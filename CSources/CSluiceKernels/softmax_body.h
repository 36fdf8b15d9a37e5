// Softmax over contiguous rows, and over a middle axis with one row a lane.
#pragma once
#include "loop_nest.h"
#include "row_vec_body.h"

static float SL_FN(softmax_maximum)(size_t count, const float *input) {
    const size_t whole = count - count % VEC_LANES;
    vec highest = vec_splat(-INFINITY);
    for (size_t i = 0; i < whole; i += VEC_LANES) highest = vec_max(highest, vec_load(input + i));
    if (count > whole) {
        highest = vec_max(highest, SL_FN(load_tail_or)(input + whole, count - whole, -INFINITY));
    }
    float maximum;
    SL_JOIN_LANES(maximum, highest, vec_max);
    return maximum;
}

// Exponentials of a row, which wait in the output for the sum that is returned.
static float SL_FN(softmax_exponentials)(size_t count, float maximum, const float *input,
                                         float *output) {
    const size_t whole = count - count % VEC_LANES;
    const size_t rest = count - whole;
    const vec shift = vec_splat(maximum);
    vec sum0 = vec_zero(), sum1 = vec_zero();
    size_t i = 0;
    for (; i + 2 * VEC_LANES <= count; i += 2 * VEC_LANES) {
        const vec e0 = vec_exp(vec_sub(vec_load(input + i), shift));
        const vec e1 = vec_exp(vec_sub(vec_load(input + i + VEC_LANES), shift));
        vec_store(output + i, e0);
        vec_store(output + i + VEC_LANES, e1);
        sum0 = vec_add(sum0, e0);
        sum1 = vec_add(sum1, e1);
    }
    for (; i < whole; i += VEC_LANES) {
        const vec e = vec_exp(vec_sub(vec_load(input + i), shift));
        vec_store(output + i, e);
        sum0 = vec_add(sum0, e);
    }
    if (rest > 0) {
        const vec e = vec_exp(vec_sub(vec_load_tail(input + whole, rest), shift));
        vec_store_tail(output + whole, rest, e);
        sum1 = vec_add(sum1, SL_FN(first_lanes_or)(e, rest, 0));
    }
    float sum;
    SL_JOIN_LANES(sum, vec_add(sum0, sum1), vec_add);
    return sum;
}

static void SL_FN(softmax_divide)(size_t count, float sum, float *output) {
    const size_t whole = count - count % VEC_LANES;
    const vec scale = vec_div(vec_splat(1.0f), vec_splat(sum));
    for (size_t i = 0; i < whole; i += VEC_LANES) {
        vec_store(output + i, vec_mul(vec_load(output + i), scale));
    }
    if (count > whole) {
        const vec e = vec_load_tail(output + whole, count - whole);
        vec_store_tail(output + whole, count - whole, vec_mul(e, scale));
    }
}

// Contiguous rows, some at a time: a step waits long for the one before it in the same row.
static void SL_FN(softmax_rows)(size_t rows, size_t count, const float *input, float *output) {
    enum { MOST_ROWS = 4, MOST_FLOATS = 4096 };
    const size_t fit = 1 + MOST_FLOATS / count;
    const size_t group = fit < MOST_ROWS ? fit : MOST_ROWS;
    float maxima[MOST_ROWS], sums[MOST_ROWS];
    for (size_t first = 0; first < rows; first += group) {
        const size_t own = rows - first < group ? rows - first : group;
        for (size_t r = 0; r < own; r++) {
            maxima[r] = SL_FN(softmax_maximum)(count, input + (first + r) * count);
        }
        for (size_t r = 0; r < own; r++) {
            const size_t at = (first + r) * count;
            sums[r] = SL_FN(softmax_exponentials)(count, maxima[r], input + at, output + at);
        }
        for (size_t r = 0; r < own; r++) {
            SL_FN(softmax_divide)(count, sums[r], output + (first + r) * count);
        }
    }
}

// `vectors` vectors of neighbouring rows whose elements are `inner` apart; only the first `valid`
// lanes of a single vector when it is not whole.
SL_INLINE void SL_FN(softmax_across)(size_t vectors, size_t valid, size_t axis_size, size_t inner,
                                     const float *input, float *output) {
    enum { MOST_VECTORS = 4 };
    const bool whole = valid == VEC_LANES;
    vec highest[MOST_VECTORS], sum[MOST_VECTORS], scale[MOST_VECTORS];
    SL_UNROLL for (size_t v = 0; v < vectors; v++) {
        highest[v] = vec_splat(-INFINITY);
        sum[v] = vec_zero();
    }
    for (size_t a = 0; a < axis_size; a++) {
        SL_UNROLL for (size_t v = 0; v < vectors; v++) {
            const float *const from = input + a * inner + v * VEC_LANES;
            highest[v] = vec_max(highest[v], whole ? vec_load(from) : vec_load_tail(from, valid));
        }
    }
    for (size_t a = 0; a < axis_size; a++) {
        SL_UNROLL for (size_t v = 0; v < vectors; v++) {
            const float *const from = input + a * inner + v * VEC_LANES;
            float *const to = output + a * inner + v * VEC_LANES;
            const vec x = whole ? vec_load(from) : vec_load_tail(from, valid);
            const vec e = vec_exp(vec_sub(x, highest[v]));
            sum[v] = vec_add(sum[v], e);
            if (whole) {
                vec_store(to, e);
            } else {
                vec_store_tail(to, valid, e);
            }
        }
    }
    SL_UNROLL for (size_t v = 0; v < vectors; v++) scale[v] = vec_div(vec_splat(1.0f), sum[v]);
    for (size_t a = 0; a < axis_size; a++) {
        SL_UNROLL for (size_t v = 0; v < vectors; v++) {
            float *const to = output + a * inner + v * VEC_LANES;
            if (whole) {
                vec_store(to, vec_mul(vec_load(to), scale[v]));
            } else {
                vec_store_tail(to, valid, vec_mul(vec_load_tail(to, valid), scale[v]));
            }
        }
    }
}

static void SL_FN(sl_softmax)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_softmax_args *const args = erased;
    const size_t inner = args->inner;
    const size_t size = args->axis_size;
    sl_span rows = sl_group_span(args->outer * inner, args->rows_per_task, task);
    if (inner == 1) {
        const size_t at = rows.first * size;
        SL_FN(softmax_rows)(rows.end - rows.first, size, args->input + at, args->output + at);
        return;
    }
    while (rows.first < rows.end) {
        const size_t start = rows.first % inner;
        const size_t offset = rows.first / inner * size * inner + start;
        const float *const input = args->input + offset;
        float *const output = args->output + offset;
        const size_t left = rows.end - rows.first;
        const size_t count = inner - start < left ? inner - start : left;
        if (count >= 4 * VEC_LANES) {
            SL_FN(softmax_across)(4, VEC_LANES, size, inner, input, output);
            rows.first += 4 * VEC_LANES;
        } else if (count >= VEC_LANES) {
            SL_FN(softmax_across)(1, VEC_LANES, size, inner, input, output);
            rows.first += VEC_LANES;
        } else {
            SL_FN(softmax_across)(1, count, size, inner, input, output);
            rows.first += count;
        }
    }
}
