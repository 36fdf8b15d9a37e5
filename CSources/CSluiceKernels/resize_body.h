// Resizing by tables of source rows and columns with weights, for pixels of one float (NCHW) or
// of one vector (blocked).
//
// Every output is sum over row taps of (row weight * sum over column taps of (column weight *
// pixel)), in the order of the tables; the special cases below keep that order.
#pragma once
#include "loop_nest.h"

// One output row of vectors: the plane it reads, its source rows and their weights.
typedef struct {
    const sl_resize_args *args;
    const float *plane;
    const int32_t *index;
    const float *weight;
} SL_FN(resize_line);

// Source row of tap i, NULL outside the image.
SL_INLINE const float *SL_FN(resize_source)(const SL_FN(resize_line) * line, size_t i) {
    const size_t row_floats = (size_t)line->args->in_w * VEC_LANES;
    return line->index[i] < 0 ? NULL : line->plane + (size_t)line->index[i] * row_floats;
}

// Output pixel ox, any number of taps.
SL_INLINE vec SL_FN(resize_pixel)(const SL_FN(resize_line) * line, size_t ox) {
    const sl_resize_args *const args = line->args;
    const int32_t *const column = args->column_index + ox * args->taps_w;
    const float *const weight = args->column_weight + ox * args->taps_w;
    const vec outside = vec_splat(args->extrapolation);
    vec total = vec_zero();
    for (size_t i = 0; i < args->taps_h; i++) {
        const float *const row = SL_FN(resize_source)(line, i);
        vec across = vec_zero();
        for (size_t j = 0; j < args->taps_w; j++) {
            const bool is_inside = row && column[j] >= 0;
            const vec value = is_inside ? vec_load(row + (size_t)column[j] * VEC_LANES) : outside;
            const vec w = vec_splat(weight[j]);
            across = j == 0 ? vec_mul(w, value) : vec_fma(w, value, across);
        }
        const vec w = vec_splat(line->weight[i]);
        total = i == 0 ? vec_mul(w, across) : vec_fma(w, across, total);
    }
    return total;
}

// Two taps on both axes, all of them inside the image for most pixels.
SL_INLINE void SL_FN(resize_linear_row)(const SL_FN(resize_line) * line, float *output) {
    const sl_resize_args *const args = line->args;
    const int32_t *const columns = args->column_index;
    const float *const weights = args->column_weight;
    const float *const row0 = SL_FN(resize_source)(line, 0);
    const float *const row1 = SL_FN(resize_source)(line, 1);
    const vec top_weight = vec_splat(line->weight[0]);
    const vec bottom_weight = vec_splat(line->weight[1]);
    for (size_t ox = 0; ox < args->out_w; ox++) {
        const int32_t column0 = columns[2 * ox], column1 = columns[2 * ox + 1];
        float *const to = output + ox * VEC_LANES;
        if (!row0 || !row1 || column0 < 0 || column1 < 0) {
            vec_store(to, SL_FN(resize_pixel)(line, ox));
            continue;
        }
        const size_t left = (size_t)column0 * VEC_LANES, right = (size_t)column1 * VEC_LANES;
        const vec left_weight = vec_splat(weights[2 * ox]);
        const vec right_weight = vec_splat(weights[2 * ox + 1]);
        vec top = vec_mul(left_weight, vec_load(row0 + left));
        vec bottom = vec_mul(left_weight, vec_load(row1 + left));
        top = vec_fma(right_weight, vec_load(row0 + right), top);
        bottom = vec_fma(right_weight, vec_load(row1 + right), bottom);
        vec_store(to, vec_fma(bottom_weight, bottom, vec_mul(top_weight, top)));
    }
}

// A single tap on both axes is a copy.
SL_INLINE void SL_FN(resize_nearest_row)(const SL_FN(resize_line) * line, float *output) {
    const int32_t *const columns = line->args->column_index;
    const float *const row = SL_FN(resize_source)(line, 0);
    const vec outside = vec_splat(line->args->extrapolation);
    for (size_t ox = 0; ox < line->args->out_w; ox++) {
        const bool is_inside = row && columns[ox] >= 0;
        vec_store(output + ox * VEC_LANES,
                  is_inside ? vec_load(row + (size_t)columns[ox] * VEC_LANES) : outside);
    }
}

SL_INLINE void SL_FN(resize_row)(const SL_FN(resize_line) * line, float *output) {
    const sl_resize_args *const args = line->args;
    if (args->taps_h == 2 && args->taps_w == 2) {
        SL_FN(resize_linear_row)(line, output);
    } else if (args->taps_h == 1 && args->taps_w == 1) {
        SL_FN(resize_nearest_row)(line, output);
    } else {
        for (size_t ox = 0; ox < args->out_w; ox++) {
            vec_store(output + ox * VEC_LANES, SL_FN(resize_pixel)(line, ox));
        }
    }
}

// How many columns of a plane are computed together, and how many rows of sums across are kept.
enum { RESIZE_TOGETHER = 128, RESIZE_ROWS = 4 };

// The sums over column taps of `count` neighbours in one row of the source (NULL: outside). They
// are computed side by side; a constant number of taps lets the compiler gather them.
SL_INLINE void SL_FN(resize_across)(const sl_resize_args *args, const size_t taps, size_t first,
                                    size_t count, const float *row, float *restrict across) {
    const int32_t *const columns = args->column_index + first * taps;
    const float *const weights = args->column_weight + first * taps;
    const float outside = args->extrapolation;
    for (size_t x = 0; x < count; x++) {
        float sum = 0.0f;
        for (size_t j = 0; j < taps; j++) {
            const int32_t column = columns[x * taps + j];
            sum += weights[x * taps + j] * (row && column >= 0 ? row[column] : outside);
        }
        across[x] = sum;
    }
}

// Rows of a plane of single floats, some columns after the others. Sums across stay for the next
// rows, which read mostly the same rows of the source.
static void SL_FN(resize_plane)(const sl_resize_args *args, const float *plane, sl_span rows,
                                float *output) {
    float across[RESIZE_ROWS][RESIZE_TOGETHER], total[RESIZE_TOGETHER];
    memset(across, 0, sizeof across);
    for (size_t first = 0; first < args->out_w; first += RESIZE_TOGETHER) {
        const size_t count = sl_min_size(args->out_w - first, RESIZE_TOGETHER);
        int32_t kept[RESIZE_ROWS] = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN};
        for (size_t oy = rows.first; oy < rows.end; oy++) {
            for (size_t i = 0; i < args->taps_h; i++) {
                const int32_t index = args->row_index[oy * args->taps_h + i];
                const size_t place = (uint32_t)index % RESIZE_ROWS;
                float *const sums = across[place];
                if (kept[place] != index) {
                    kept[place] = index;
                    const float *const row = index < 0 ? NULL : plane + (size_t)index * args->in_w;
                    switch (args->taps_w) {
                        case 1:
                            SL_FN(resize_across)(args, 1, first, count, row, sums);
                            break;
                        case 2:
                            SL_FN(resize_across)(args, 2, first, count, row, sums);
                            break;
                        case 4:
                            SL_FN(resize_across)(args, 4, first, count, row, sums);
                            break;
                        default:
                            SL_FN(resize_across)(args, args->taps_w, first, count, row, sums);
                    }
                }
                const vec weight = vec_splat(args->row_weight[oy * args->taps_h + i]);
                for (size_t x = 0; x < count; x += VEC_LANES) {
                    const vec sum = vec_load(sums + x);
                    vec_store(total + x, i == 0 ? vec_mul(weight, sum)
                                                : vec_fma(weight, sum, vec_load(total + x)));
                }
            }
            if (args->activation.kind != SL_ACTIVATION_NONE) {
                SL_FN(sl_activate_array)(count, total, total, args->activation);
            }
            memcpy(output + oy * args->out_w + first, total, count * sizeof(float));
        }
    }
}

static void SL_FN(sl_resize)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_resize_args *const args = erased;
    const sl_row_task at = sl_row_task_at(task, args->planes, args->out_h, args->rows_per_task);
    const float *const plane = args->input + at.plane * args->in_plane_stride;
    float *const output = args->output + at.plane * args->out_plane_stride;
    if (!args->is_blocked) {
        SL_FN(resize_plane)(args, plane, at.rows, output);
        return;
    }
    const size_t row_floats = (size_t)args->out_w * VEC_LANES;
    for (size_t oy = at.rows.first; oy < at.rows.end; oy++) {
        const SL_FN(resize_line) line = {
            .args = args,
            .plane = plane,
            .index = args->row_index + oy * args->taps_h,
            .weight = args->row_weight + oy * args->taps_h,
        };
        float *const row = output + oy * row_floats;
        SL_FN(resize_row)(&line, row);
        if (args->activation.kind != SL_ACTIVATION_NONE) {
            SL_FN(sl_activate_array)(row_floats, row, row, args->activation);
        }
    }
}
