// Depthwise convolution on blocked tensors: one vector of channels at a time, a run of output
// pixels in registers, so that a weight is loaded once a run. Wide kernels go over the columns of
// the input instead of their taps: a pixel is loaded once for all of the run that it serves, and
// runs at the sides of the image leave out what is no part of it.
//
// Sums start with the bias and go over the taps in row-major order; taps outside the image are
// left out. A pixel is always reached in the same way, whatever rows a task has.
#pragma once

// Kernel width, column stride and column dilation; compile-time constants where `is_fixed`.
typedef struct {
    size_t width, stride, dilation;
    bool is_fixed;
} dw_shape;

// A row of the output of one block, and what its kernel rows that are inside the image read.
typedef struct {
    const float *input;  // column 0 of the input row under the first of them
    size_t kernel_row_stride;
    size_t kernel_rows;
    const float *weights;  // of the first of them
    const float *bias;
    const float *residual;
    float *output;
    float low, high;
} dw_row;

SL_INLINE void SL_FN(dw_store)(const dw_row *row, size_t ox, vec sum) {
    if (row->residual != NULL) sum = vec_add(sum, vec_load(row->residual + ox * VEC_LANES));
    vec_store(row->output + ox * VEC_LANES,
              vec_clamp(sum, vec_splat(row->low), vec_splat(row->high)));
}

SL_INLINE void SL_FN(dw_tap)(const int count, const dw_shape shape, vec *sum, const float *line,
                             const float *weights, size_t kx) {
    const vec w = vec_load(weights + kx * VEC_LANES);
    const float *const at = line + kx * shape.dilation * VEC_LANES;
    SL_UNROLL for (int i = 0; i < count; i++) {
        const vec value = vec_load(at + (size_t)i * shape.stride * VEC_LANES);
        sum[i] = vec_fma(value, w, sum[i]);
    }
}

// `count` neighbours from `ox` on whose taps are all inside the row; `x` is the input column under
// the first tap of the first of them.
SL_INLINE void SL_FN(dw_run)(const int count, const dw_shape shape, const dw_row *row, size_t ox,
                             size_t x) {
    vec sum[16];
    const vec bias = vec_load(row->bias);
    SL_UNROLL for (int i = 0; i < count; i++) sum[i] = bias;
    const float *line = row->input + x * VEC_LANES;
    const float *weights = row->weights;
    for (size_t ky = 0; ky < row->kernel_rows; ky++) {
        if (shape.is_fixed) {
            SL_UNROLL for (size_t kx = 0; kx < shape.width; kx++) {
                SL_FN(dw_tap)(count, shape, sum, line, weights, kx);
            }
        } else {
            for (size_t kx = 0; kx < shape.width; kx++) {
                SL_FN(dw_tap)(count, shape, sum, line, weights, kx);
            }
        }
        line += row->kernel_row_stride;
        weights += shape.width * VEC_LANES;
    }
    SL_UNROLL for (int i = 0; i < count; i++) SL_FN(dw_store)(row, ox + (size_t)i, sum[i]);
}

// One pixel some of whose taps are left or right of the image.
SL_INLINE void SL_FN(dw_edge_pixel)(const dw_shape shape, const dw_row *row, size_t ox, int64_t x,
                                    size_t in_w) {
    vec sum = vec_load(row->bias);
    const int64_t dilation = (int64_t)shape.dilation;
    // Taps [first, end) are inside, none of them where first is not before end: that takes less
    // time than sl_taps_inside, which shows with a pixel at each edge.
    const size_t first = x >= 0 ? 0 : (size_t)((-x + dilation - 1) / dilation);
    const int64_t room = (int64_t)in_w - x;
    size_t end = room <= 0 ? 0 : (size_t)((room + dilation - 1) / dilation);
    if (end > shape.width) end = shape.width;
    const float *line = row->input;
    const float *weights = row->weights;
    for (size_t ky = 0; ky < row->kernel_rows; ky++) {
        for (size_t kx = first; kx < end; kx++) {
            const float *const at = line + (x + (int64_t)kx * dilation) * VEC_LANES;
            sum = vec_fma(vec_load(at), vec_load(weights + kx * VEC_LANES), sum);
        }
        line += row->kernel_row_stride;
        weights += shape.width * VEC_LANES;
    }
    SL_FN(dw_store)(row, ox, sum);
}

SL_INLINE void SL_FN(dw_line_as)(const dw_shape shape, const dw_row *row, size_t in_w, size_t out_w,
                                 int64_t pad_left) {
    // Outputs [first, end) have all their taps inside the row.
    const int64_t stride = (int64_t)shape.stride;
    const int64_t span = (int64_t)((shape.width - 1) * shape.dilation);
    const int64_t from = pad_left <= 0 ? 0 : (pad_left + stride - 1) / stride;
    const int64_t slack = (int64_t)in_w - 1 - span + pad_left;
    const int64_t until = slack < 0 ? 0 : slack / stride + 1;
    const size_t first = sl_min_size((size_t)from, out_w);
    size_t end = sl_min_size((size_t)until, out_w);
    if (end < first) end = first;

    for (size_t ox = 0; ox < first; ox++) {
        SL_FN(dw_edge_pixel)(shape, row, ox, (int64_t)ox * stride - pad_left, in_w);
    }
    size_t ox = first;
    size_t x = (size_t)((int64_t)first * stride - pad_left);
    for (; ox + SL_DEPTHWISE_RUN <= end; ox += SL_DEPTHWISE_RUN) {
        SL_FN(dw_run)(SL_DEPTHWISE_RUN, shape, row, ox, x);
        x += SL_DEPTHWISE_RUN * shape.stride;
    }
    for (; ox + 4 <= end; ox += 4, x += 4 * shape.stride) SL_FN(dw_run)(4, shape, row, ox, x);
    if (ox + 2 <= end) {
        SL_FN(dw_run)(2, shape, row, ox, x);
        ox += 2;
        x += 2 * shape.stride;
    }
    if (ox < end) SL_FN(dw_run)(1, shape, row, ox, x);
    for (ox = end; ox < out_w; ox++) {
        SL_FN(dw_edge_pixel)(shape, row, ox, (int64_t)ox * stride - pad_left, in_w);
    }
}

// Every `dilation`-th pixel of a row, and the columns that they see. Column 0 is under the first
// tap of the first pixel.
typedef struct {
    size_t pixels, kernel_width;
    int64_t first_column, end_column;  // that are inside the image
    const float *residual;
    float *output;
    int64_t input;  // floats from the start of a row to column 0, which may be outside
    int64_t step;   // floats between columns, and between pixels
} dw_phase;

// Sums, weights and a pixel fill sixteen registers.
enum { DW_RUN = 8, DW_TAPS = 7 };

// Bits [first, end) of 64, as far as there are.
SL_INLINE uint64_t SL_FN(dw_bits)(int64_t first, int64_t end) {
    const uint64_t below = end <= 0 ? 0 : end >= 64 ? UINT64_MAX : ((uint64_t)1 << end) - 1;
    return first <= 0 ? below : first >= 64 ? 0 : below >> first << first;
}

// `taps` neighbours of a kernel row for `count` pixels; the first column they see is at `input` +
// `at`. At an edge, bit x of `inside` says whether column x is inside the image; elsewhere all are.
SL_INLINE void SL_FN(dw_taps)(const int count, const int taps, const bool is_edge,
                              const float *input, int64_t at, int64_t step, uint64_t inside,
                              const float *weights, vec *sum) {
    vec w[DW_TAPS];
    SL_UNROLL for (int k = 0; k < taps; k++) w[k] = vec_load(weights + k * VEC_LANES);
    SL_UNROLL for (int x = 0; x < count - 1 + taps; x++) {
        if (!is_edge || (inside >> x & 1) != 0) {
            const vec value = vec_load(input + at);
            SL_UNROLL for (int k = 0; k < taps; k++) {
                if (x >= k && x - k < count) sum[x - k] = vec_fma(value, w[k], sum[x - k]);
            }
        }
        at += step;
    }
}

// `count` pixels from number `pixel` on.
SL_INLINE void SL_FN(dw_column_run)(const int count, const bool is_edge, const dw_row *row,
                                    const dw_phase *phase, size_t pixel) {
    vec sum[DW_RUN];
    const vec bias = vec_load(row->bias);
    SL_UNROLL for (int i = 0; i < count; i++) sum[i] = bias;
    const int64_t step = phase->step, at = phase->input + (int64_t)pixel * step;
    const int64_t width = (int64_t)phase->kernel_width;
    const int64_t first = phase->first_column - (int64_t)pixel;
    const int64_t end = phase->end_column - (int64_t)pixel;
    const float *line = row->input;
    const float *weights = row->weights;
    for (size_t ky = 0; ky < row->kernel_rows; ky++) {
#define SL_DW_TAPS(taps, k)                                                                     \
    SL_FN(dw_taps)                                                                              \
    (count, taps, is_edge, line, at + (k) * step, step, SL_FN(dw_bits)(first - (k), end - (k)), \
     weights + (k) * VEC_LANES, sum)
        int64_t k = 0;
        for (; k + 7 <= width; k += 7) SL_DW_TAPS(7, k);
        for (; k + 5 <= width; k += 5) SL_DW_TAPS(5, k);
        for (; k + 3 <= width; k += 3) SL_DW_TAPS(3, k);
        for (; k < width; k++) SL_DW_TAPS(1, k);
#undef SL_DW_TAPS
        line += row->kernel_row_stride;
        weights += width * VEC_LANES;
    }
    const vec low = vec_splat(row->low), high = vec_splat(row->high);
    SL_UNROLL for (int i = 0; i < count; i++) {
        const int64_t to = ((int64_t)pixel + i) * step;
        if (phase->residual != NULL) sum[i] = vec_add(sum[i], vec_load(phase->residual + to));
        vec_store(phase->output + to, vec_clamp(sum[i], low, high));
    }
}

// A sum waits for the one before it, so a run takes as long for few pixels as for many.
SL_INLINE void SL_FN(dw_pixels)(const dw_row *row, const dw_phase *phase) {
    const sl_tile_cut cut = sl_cut_tiles(phase->pixels, DW_RUN);
    size_t pixel = 0;
    for (size_t run = 0; run < cut.count; run++) {
        const size_t count = cut.base + (run < cut.larger);
        const int64_t end = (int64_t)(pixel + count - 1 + phase->kernel_width);
        const bool is_edge = (int64_t)pixel < phase->first_column || end > phase->end_column;
        switch (count) {
#define SL_DW_RUN(count)                                           \
    case count:                                                    \
        if (is_edge) {                                             \
            SL_FN(dw_column_run)(count, true, row, phase, pixel);  \
        } else {                                                   \
            SL_FN(dw_column_run)(count, false, row, phase, pixel); \
        }                                                          \
        break;
            SL_DW_RUN(1)
            SL_DW_RUN(2)
            SL_DW_RUN(3)
            SL_DW_RUN(4)
            SL_DW_RUN(5)
            SL_DW_RUN(6)
            SL_DW_RUN(7)
            SL_DW_RUN(8)
#undef SL_DW_RUN
        }
        pixel += count;
    }
}

// A row of a wide kernel without a stride.
SL_INLINE void SL_FN(dw_line_by_columns)(const sl_depthwise_args *args, const dw_row *row) {
    const int64_t dilation = args->dilation_w, in_w = args->in_w;
    const int64_t phases = (int64_t)sl_min_size(args->dilation_w, args->out_w);
    for (int64_t start = 0; start < phases; start++) {
        const int64_t column = start - args->pad_left, lanes = VEC_LANES;
        const dw_phase phase = {
            .pixels = sl_ceil_div(args->out_w - (size_t)start, args->dilation_w),
            .kernel_width = args->kernel_w,
            .first_column = column >= 0 ? 0 : (-column + dilation - 1) / dilation,
            .end_column = column >= in_w ? 0 : (in_w - column + dilation - 1) / dilation,
            .residual = row->residual == NULL ? NULL : row->residual + start * lanes,
            .output = row->output + start * lanes,
            .input = column * lanes,
            .step = dilation * lanes,
        };
        SL_FN(dw_pixels)(row, &phase);
    }
}

SL_INLINE void SL_FN(dw_line)(const sl_depthwise_args *args, const dw_row *row) {
    const size_t in_w = args->in_w, out_w = args->out_w;
    const size_t width = args->kernel_w, stride = args->stride_w, dilation = args->dilation_w;
    const int64_t pad = args->pad_left;
    if (width == 3 && stride == 1 && dilation == 1) {
        SL_FN(dw_line_as)((dw_shape){3, 1, 1, true}, row, in_w, out_w, pad);
    } else if (width == 3 && stride == 2 && dilation == 1) {
        SL_FN(dw_line_as)((dw_shape){3, 2, 1, true}, row, in_w, out_w, pad);
    } else if (width == 5 && stride == 1 && dilation == 1) {
        SL_FN(dw_line_as)((dw_shape){5, 1, 1, true}, row, in_w, out_w, pad);
    } else if (width == 5 && stride == 2 && dilation == 1) {
        SL_FN(dw_line_as)((dw_shape){5, 2, 1, true}, row, in_w, out_w, pad);
    } else {
        const dw_shape shape = {width, stride, dilation, false};
        SL_FN(dw_line_as)(shape, row, in_w, out_w, pad);
    }
}

SL_INLINE void SL_FN(dw_rows_as)(const bool by_columns, const sl_depthwise_args *args,
                                 const float *packed, const float *input, const float *residual,
                                 float *output, sl_span rows) {
    const bool is_clamp = args->activation.kind == SL_ACTIVATION_CLAMP;
    const bool acts_after = SL_FN(acts_after_store)(args->activation);
    for (size_t oy = rows.first; oy < rows.end; oy++) {
        const int64_t dilation = args->dilation_h;
        const int64_t y = (int64_t)(oy * args->stride_h) - args->pad_top;
        const sl_span inside = sl_taps_inside(y, args->kernel_h, dilation, 0, args->in_h);
        const size_t kernel_rows = inside.end - inside.first;
        const int64_t top = kernel_rows > 0 ? y + (int64_t)inside.first * dilation : 0;
        const size_t offset = oy * args->out_row_stride;
        const dw_row row = {
            .input = input + (size_t)top * args->in_row_stride,
            .kernel_row_stride = args->dilation_h * args->in_row_stride,
            .kernel_rows = kernel_rows,
            .weights = packed + (1 + inside.first * args->kernel_w) * VEC_LANES,
            .bias = packed,
            .residual = residual == NULL ? NULL : residual + offset,
            .output = output + offset,
            .low = is_clamp ? args->activation.p0 : -INFINITY,
            .high = is_clamp ? args->activation.p1 : INFINITY,
        };
        if (by_columns) {
            SL_FN(dw_line_by_columns)(args, &row);
        } else {
            SL_FN(dw_line)(args, &row);
        }
        if (acts_after) {
            SL_FN(sl_activate_array)((size_t)args->out_w * VEC_LANES, row.output, row.output,
                                     args->activation);
        }
    }
}

// Calls of their own keep their vectors off the stack of what is called beside them.
static __attribute__((noinline)) void SL_FN(dw_rows_by_taps)(const sl_depthwise_args *args,
                                                             const float *packed,
                                                             const float *input,
                                                             const float *residual, float *output,
                                                             sl_span rows) {
    SL_FN(dw_rows_as)(false, args, packed, input, residual, output, rows);
}

static __attribute__((noinline)) void SL_FN(dw_rows_by_columns)(const sl_depthwise_args *args,
                                                                const float *packed,
                                                                const float *input,
                                                                const float *residual,
                                                                float *output, sl_span rows) {
    SL_FN(dw_rows_as)(true, args, packed, input, residual, output, rows);
}

// Rows [rows.first, rows.end) of one block; `input`, `residual` and `output` are where its row 0
// is.
SL_INLINE void SL_FN(dw_rows)(const sl_depthwise_args *args, const float *packed,
                              const float *input, const float *residual, float *output,
                              sl_span rows) {
    if (args->kernel_w > 5 && args->stride_w == 1) {
        SL_FN(dw_rows_by_columns)(args, packed, input, residual, output, rows);
    } else {
        SL_FN(dw_rows_by_taps)(args, packed, input, residual, output, rows);
    }
}

static void SL_FN(sl_depthwise)(const void *raw_args, size_t task, float *scratch) {
    (void)scratch;
    const sl_depthwise_args *const args = raw_args;
    const sl_row_task at = sl_row_task_at(task, args->blocks, args->out_h, args->rows_per_task);
    assert(at.image < args->images);
    const size_t taps = (size_t)args->kernel_h * args->kernel_w;
    const float *const packed = args->weights + at.plane * (taps + 1) * VEC_LANES;
    const float *const input =
        args->input + at.image * args->in_image_stride + at.plane * args->in_block_stride;
    const size_t start = at.image * args->out_image_stride + at.plane * args->out_block_stride;
    const float *const residual = args->residual == NULL ? NULL : args->residual + start;
    SL_FN(dw_rows)(args, packed, input, residual, args->output + start, at.rows);
}
