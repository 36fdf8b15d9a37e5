// Rows brought to mean 0 and variance 1. A row's sums are those of reduce_body.h; it is read again
// while it is in the first cache.
#pragma once
#include "loop_nest.h"
#include "reduce_body.h"
#include "row_vec_body.h"

static float SL_FN(sum_of_squares_around)(size_t count, float mean, const float *input) {
    const vec shift = vec_splat(mean);
    vec part[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    size_t i = 0;
    for (; i + 4 * VEC_LANES <= count; i += 4 * VEC_LANES) {
        SL_UNROLL for (size_t v = 0; v < 4; v++) {
            const vec x = vec_sub(vec_load(input + i + v * VEC_LANES), shift);
            part[v] = vec_fma(x, x, part[v]);
        }
    }
    for (; i + VEC_LANES <= count; i += VEC_LANES) {
        const vec x = vec_sub(vec_load(input + i), shift);
        part[0] = vec_fma(x, x, part[0]);
    }
    if (i < count) {
        const vec x = vec_sub(SL_FN(load_tail_or)(input + i, count - i, mean), shift);
        part[1] = vec_fma(x, x, part[1]);
    }
    float sum;
    SL_JOIN_LANES(sum, vec_add(vec_add(part[0], part[1]), vec_add(part[2], part[3])), vec_add);
    return sum;
}

// One vector of a row, with what it is multiplied by and what is added, where there is such.
SL_INLINE vec SL_FN(normalize_vector)(const sl_normalize_args *args, vec x, vec mean, vec inverse,
                                      vec scale, vec shift) {
    const vec y = vec_mul(vec_sub(x, mean), inverse);
    if (args->scale == NULL) return args->shift == NULL ? y : vec_add(y, shift);
    return args->shift == NULL ? vec_mul(y, scale) : vec_fma(y, scale, shift);
}

static void SL_FN(normalize_row)(const sl_normalize_args *args, float mean, float inverse,
                                 const float *input, float *output) {
    const size_t count = args->size, rest = count % VEC_LANES, whole = count - rest;
    const vec m = vec_splat(mean), r = vec_splat(inverse);
    vec scale = vec_zero(), shift = vec_zero();
    for (size_t i = 0; i < whole; i += VEC_LANES) {
        if (args->scale != NULL) scale = vec_load(args->scale + i);
        if (args->shift != NULL) shift = vec_load(args->shift + i);
        const vec x = vec_load(input + i);
        vec_store(output + i, SL_FN(normalize_vector)(args, x, m, r, scale, shift));
    }
    if (rest == 0) return;
    if (args->scale != NULL) scale = vec_load_tail(args->scale + whole, rest);
    if (args->shift != NULL) shift = vec_load_tail(args->shift + whole, rest);
    const vec x = vec_load_tail(input + whole, rest);
    vec_store_tail(output + whole, rest, SL_FN(normalize_vector)(args, x, m, r, scale, shift));
}

// Some rows at a time: a step waits long for the one before it in the same row.
static void SL_FN(sl_normalize)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    enum { MOST_ROWS = 4, MOST_FLOATS = 4096 };
    const sl_normalize_args *const args = erased;
    const size_t size = args->size, fit = 1 + MOST_FLOATS / size;
    const size_t group = fit < MOST_ROWS ? fit : MOST_ROWS;
    const sl_span rows = sl_group_span(args->rows, args->rows_per_task, task);
    float means[MOST_ROWS], inverses[MOST_ROWS];
    for (size_t first = rows.first; first < rows.end; first += group) {
        const size_t own = rows.end - first < group ? rows.end - first : group;
        const float *const input = args->input + first * size;
        for (size_t r = 0; r < own; r++) {
            means[r] = SL_FN(reduce_row)(SL_REDUCE_MEAN, size, input + r * size);
        }
        for (size_t r = 0; r < own; r++) {
            const float sum = SL_FN(sum_of_squares_around)(size, means[r], input + r * size);
            inverses[r] = 1.0f / sqrtf(sum / (float)size + args->epsilon);
        }
        for (size_t r = 0; r < own; r++) {
            SL_FN(normalize_row)
            (args, means[r], inverses[r], input + r * size, args->output + (first + r) * size);
        }
    }
}
