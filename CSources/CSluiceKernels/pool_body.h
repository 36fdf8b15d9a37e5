// Maximum and average pooling on blocked tensors, by windows and over all pixels.
//
// A window is reduced column by column: first down each column, then across the columns in
// ascending order. Columns that neighbouring windows share are reduced once. The order is the same
// at the edges and inside, so the bits of a pixel do not depend on the path that computed it.
#pragma once
#include "loop_nest.h"

SL_INLINE vec SL_FN(pool_join)(bool is_average, vec a, vec b) {
    return is_average ? vec_add(a, b) : vec_max(a, b);
}

SL_INLINE vec SL_FN(pool_column)(bool is_average, size_t rows, const float *at, size_t row_step) {
    vec total = vec_load(at);
    for (size_t row = 1; row < rows; row++) {
        total = SL_FN(pool_join)(is_average, total, vec_load(at + row * row_step));
    }
    return total;
}

// `count` windows of rows x cols taps that lie wholly inside the image, `window_step` floats apart.
typedef struct {
    size_t rows, cols;
    size_t row_step, col_step, window_step;
    const float *input;
    float *output;
    size_t count;
    float scale;  // of an average
} SL_FN(pool_windows);

SL_INLINE void SL_FN(pool_store)(bool is_average, SL_FN(pool_windows) w, size_t i, vec total) {
    if (is_average) total = vec_mul(total, vec_splat(w.scale));
    vec_store(w.output + i * VEC_LANES, total);
}

// Any window. The description is passed by value here and below, so that no store can change it.
SL_INLINE void SL_FN(pool_any)(bool is_average, size_t rows, size_t cols, SL_FN(pool_windows) w) {
    for (size_t i = 0; i < w.count; i++) {
        const float *const at = w.input + i * w.window_step;
        vec total = SL_FN(pool_column)(is_average, rows, at, w.row_step);
        for (size_t col = 1; col < cols; col++) {
            const vec column =
                SL_FN(pool_column)(is_average, rows, at + col * w.col_step, w.row_step);
            total = SL_FN(pool_join)(is_average, total, column);
        }
        SL_FN(pool_store)(is_average, w, i, total);
    }
}

// Three columns, two apart: the last column of a window is the first of the next.
SL_INLINE void SL_FN(pool_3_by_2)(bool is_average, size_t rows, SL_FN(pool_windows) w) {
    vec left = SL_FN(pool_column)(is_average, rows, w.input, w.row_step);
    for (size_t i = 0; i < w.count; i++) {
        const float *const at = w.input + i * 2 * VEC_LANES;
        const vec middle = SL_FN(pool_column)(is_average, rows, at + VEC_LANES, w.row_step);
        const vec right = SL_FN(pool_column)(is_average, rows, at + 2 * VEC_LANES, w.row_step);
        left = SL_FN(pool_join)(is_average, left, middle);
        SL_FN(pool_store)(is_average, w, i, SL_FN(pool_join)(is_average, left, right));
        left = right;
    }
}

// Three columns, one apart: two columns carry over.
SL_INLINE void SL_FN(pool_3_by_1)(bool is_average, size_t rows, SL_FN(pool_windows) w) {
    vec left = SL_FN(pool_column)(is_average, rows, w.input, w.row_step);
    vec middle = SL_FN(pool_column)(is_average, rows, w.input + VEC_LANES, w.row_step);
    for (size_t i = 0; i < w.count; i++) {
        const float *const at = w.input + (i + 2) * VEC_LANES;
        const vec right = SL_FN(pool_column)(is_average, rows, at, w.row_step);
        left = SL_FN(pool_join)(is_average, left, middle);
        SL_FN(pool_store)(is_average, w, i, SL_FN(pool_join)(is_average, left, right));
        left = middle;
        middle = right;
    }
}

SL_INLINE void SL_FN(pool_dispatch)(bool is_average, SL_FN(pool_windows) w) {
    if (w.count == 0) return;
    const bool adjacent = w.col_step == VEC_LANES;
    if (w.cols == 3 && adjacent && w.window_step == 2 * VEC_LANES) {
        if (w.rows == 3) {
            SL_FN(pool_3_by_2)(is_average, 3, w);
        } else {
            SL_FN(pool_3_by_2)(is_average, w.rows, w);
        }
    } else if (w.cols == 3 && adjacent && w.window_step == VEC_LANES) {
        if (w.rows == 3) {
            SL_FN(pool_3_by_1)(is_average, 3, w);
        } else {
            SL_FN(pool_3_by_1)(is_average, w.rows, w);
        }
    } else if (w.cols == 2 && w.rows == 2) {
        SL_FN(pool_any)(is_average, 2, 2, w);
    } else {
        SL_FN(pool_any)(is_average, w.rows, w.cols, w);
    }
}

static void SL_FN(pool_run)(bool is_average, const SL_FN(pool_windows) * w) {
    if (is_average) {
        SL_FN(pool_dispatch)(true, *w);
    } else {
        SL_FN(pool_dispatch)(false, *w);
    }
}

// What an average divides by, for windows with these taps inside the image.
SL_INLINE size_t SL_FN(pool_counted)(const sl_pool_args *args, bool rows, int64_t start,
                                     size_t inside) {
    if (!args->count_includes_padding) return inside;
    const uint32_t size = rows ? args->in_h : args->in_w;
    const int32_t before = rows ? args->pad_top : args->pad_left;
    const int32_t after = rows ? args->pad_bottom : args->pad_right;
    const sl_span taps = sl_taps_inside(start, rows ? args->kernel_h : args->kernel_w,
                                        rows ? args->dilation_h : args->dilation_w,
                                        -(int64_t)before, (int64_t)size + after);
    return taps.end - taps.first;
}

// One output row. `plane` is the input block, `output` the row.
static void SL_FN(pool_row)(const sl_pool_args *args, const float *plane, size_t oy,
                            float *output) {
    const int64_t start_y = (int64_t)oy * args->stride_h - args->pad_top;
    const sl_span tap_rows =
        sl_taps_inside(start_y, args->kernel_h, args->dilation_h, 0, args->in_h);
    const size_t rows = tap_rows.end - tap_rows.first;
    const size_t rows_counted = SL_FN(pool_counted)(args, true, start_y, rows);
    const int64_t top = start_y + (int64_t)(tap_rows.first * args->dilation_h);

    SL_FN(pool_windows)
    w = {
        .rows = rows,
        .row_step = args->dilation_h * args->in_row_stride,
        .col_step = (size_t)args->dilation_w * VEC_LANES,
        .window_step = (size_t)args->stride_w * VEC_LANES,
    };
    const int64_t reach = (int64_t)(args->kernel_w - 1) * args->dilation_w;
    for (size_t ox = 0; ox < args->out_w; ox += w.count) {
        const int64_t start_x = (int64_t)ox * args->stride_w - args->pad_left;
        const sl_span tap_cols =
            sl_taps_inside(start_x, args->kernel_w, args->dilation_w, 0, args->in_w);
        w.cols = tap_cols.end - tap_cols.first;
        w.count = 1;
        if (rows > 0 && w.cols == args->kernel_w) {
            const size_t fitting =
                (size_t)((int64_t)args->in_w - 1 - reach - start_x) / args->stride_w + 1;
            w.count = fitting < args->out_w - ox ? fitting : args->out_w - ox;
        }
        w.output = output + ox * VEC_LANES;
        if (rows == 0 || w.cols == 0) {
            const float lowest = -0x1.fffffep127f;
            vec_store(w.output, vec_splat(args->is_average ? 0.0f : lowest));
            continue;
        }
        const size_t counted = rows_counted * SL_FN(pool_counted)(args, false, start_x, w.cols);
        const int64_t left = start_x + (int64_t)(tap_cols.first * args->dilation_w);
        w.scale = 1.0f / (float)counted;
        w.input = plane + (size_t)top * args->in_row_stride + (size_t)left * VEC_LANES;
        SL_FN(pool_run)(args->is_average, &w);
    }
    if (args->activation.kind != SL_ACTIVATION_NONE) {
        SL_FN(sl_activate_array)((size_t)args->out_w * VEC_LANES, output, output, args->activation);
    }
}

static void SL_FN(sl_pool)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_pool_args *const args = erased;
    const sl_row_task at = sl_row_task_at(task, args->blocks, args->out_h, args->rows_per_task);
    const float *const plane =
        args->input + at.image * args->in_image_stride + at.plane * args->in_block_stride;
    float *const output =
        args->output + at.image * args->out_image_stride + at.plane * args->out_block_stride;
    for (size_t oy = at.rows.first; oy < at.rows.end; oy++) {
        SL_FN(pool_row)(args, plane, oy, output + oy * args->out_row_stride);
    }
}

// Joins all pixels of one block: pixel p goes to partial result p % 8, then the eight are joined
// pairwise.
SL_INLINE vec SL_FN(global_pool_join)(bool is_average, size_t pixels, const float *input) {
    enum { PARTS = 8 };
    const vec start = is_average ? vec_zero() : vec_splat(-INFINITY);
    vec part[PARTS];
    for (size_t i = 0; i < PARTS; i++)
        part[i] = i < pixels && !is_average ? vec_load(input) : start;
    size_t pixel = 0;
    for (; pixel + PARTS <= pixels; pixel += PARTS) {
        SL_UNROLL for (size_t i = 0; i < PARTS; i++) {
            const vec value = vec_load(input + (pixel + i) * VEC_LANES);
            part[i] = SL_FN(pool_join)(is_average, part[i], value);
        }
    }
    for (size_t i = 0; pixel < pixels; i++, pixel++) {
        const vec value = vec_load(input + pixel * VEC_LANES);
        part[i] = SL_FN(pool_join)(is_average, part[i], value);
    }
    SL_UNROLL for (size_t width = PARTS / 2; width > 0; width /= 2) {
        SL_UNROLL for (size_t i = 0; i < width; i++) {
            part[i] = SL_FN(pool_join)(is_average, part[i], part[i + width]);
        }
    }
    return part[0];
}

static void SL_FN(sl_global_pool)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_global_pool_args *const args = erased;
    const size_t block = task % args->blocks;
    const size_t image = task / args->blocks;
    const float *const input =
        args->input + image * args->in_image_stride + block * args->in_block_stride;
    float *const output =
        args->output + image * args->out_image_stride + block * args->out_block_stride;
    if (args->is_average) {
        const vec total = SL_FN(global_pool_join)(true, args->pixels, input);
        vec_store(output, vec_div(total, vec_splat((float)args->pixels)));
    } else {
        vec_store(output, SL_FN(global_pool_join)(false, args->pixels, input));
    }
    if (args->activation.kind != SL_ACTIVATION_NONE) {
        SL_FN(sl_activate_array)(VEC_LANES, output, output, args->activation);
    }
}
