// Packs a float32 matrix [K, N] into panels of the tile kernel at run time, times a factor and
// with zero bias.
#pragma once
#include "loop_nest.h"
#include "transpose_body.h"

// Columns of one panel: whole panels but for the last, which is a single vector when that is
// enough.
static void SL_FN(sl_pack_matrix)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    enum { FULL_WIDTH = 2 * VEC_LANES };
    const sl_pack_matrix_args *const args = erased;
    const sl_span span = sl_group_span(args->n, FULL_WIDTH, task);
    const size_t cols = span.end - span.first;
    const size_t width = cols <= VEC_LANES ? (size_t)VEC_LANES : (size_t)FULL_WIDTH;
    const size_t rows = args->k;
    const float *const source = args->source + span.first * args->n_stride;
    float *const panel = args->target + task * sl_panel_floats(VEC_LANES, rows + 1);
    float *const target = panel + width;

    for (size_t col = 0; col < width; col++) panel[col] = 0.0f;
    size_t row = 0;
    if (args->n_stride == 1) {
        const size_t last = width - VEC_LANES;
        for (; row < rows; row++) {
            const float *const in = source + row * args->k_stride;
            float *const out = target + row * width;
            if (last > 0) vec_store(out, vec_load(in));
            vec_store(out + last,
                      cols == width ? vec_load(in + last) : vec_load_tail(in + last, cols - last));
        }
    } else if (args->k_stride == 1) {
        // Squares are turned in registers, the last one filled up with zeros; rows that are left
        // over follow below.
        const size_t tail = cols % VEC_LANES, square_cols = cols - tail;
        float square[VEC_LANES * VEC_LANES] = {0};
        for (; row + VEC_LANES <= rows; row += VEC_LANES) {
            float *const out = target + row * width;
            for (size_t col = 0; col < square_cols; col += VEC_LANES) {
                SL_FN(transpose_tile)
                (source + row + col * args->n_stride, (ptrdiff_t)args->n_stride, out + col,
                 (ptrdiff_t)width);
            }
            if (tail == 0) continue;
            for (size_t col = 0; col < tail; col++) {
                vec_store(square + col * VEC_LANES,
                          vec_load(source + row + (square_cols + col) * args->n_stride));
            }
            SL_FN(transpose_tile)(square, VEC_LANES, out + square_cols, (ptrdiff_t)width);
        }
    }
    for (; row < rows; row++) {
        for (size_t col = 0; col < width; col++) {
            target[row * width + col] =
                col < cols ? source[row * args->k_stride + col * args->n_stride] : 0.0f;
        }
    }
    if (args->scale != 1.0f) {
        const vec scale = vec_splat(args->scale);
        for (float *at = target; at < target + rows * width; at += VEC_LANES) {
            vec_store(at, vec_mul(vec_load(at), scale));
        }
    }
}
