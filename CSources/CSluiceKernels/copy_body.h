// Moving elements without looking at them: strided copies, fills and gathers. The elements are
// unsigned words of their size whatever their type, so every bit pattern survives.
#pragma once
#include "cast_body.h"
#include "loop_nest.h"
#include "transpose_body.h"

typedef uint16_t __attribute__((may_alias)) SL_FN(word16);
typedef uint32_t __attribute__((may_alias)) SL_FN(word32);
typedef uint64_t __attribute__((may_alias)) SL_FN(word64);

// Copies a rectangle element by element. The caller's constant strides become specialised loops.
#define SL_COPY_WORDS(name, word)                                                                 \
    SL_INLINE void SL_FN(name##_row)(size_t cols, const word *input, ptrdiff_t in_stride,         \
                                     word *output, ptrdiff_t out_stride) {                        \
        for (size_t col = 0; col < cols; col++) {                                                 \
            output[(ptrdiff_t)col * out_stride] = input[(ptrdiff_t)col * in_stride];              \
        }                                                                                         \
    }                                                                                             \
    static void SL_FN(name)(const sl_run *run, const void *input, void *output) {                 \
        const ptrdiff_t in_stride = run->col_stride[0];                                           \
        const ptrdiff_t out_stride = run->col_stride[1];                                          \
        for (size_t row = 0; row < run->rows; row++) {                                            \
            const ptrdiff_t r = (ptrdiff_t)row;                                                   \
            const word *const in = (const word *)input + run->offset[0] + r * run->row_stride[0]; \
            word *const out = (word *)output + run->offset[1] + r * run->row_stride[1];           \
            if (out_stride == 1 && in_stride == 0) {                                              \
                SL_FN(name##_row)(run->cols, in, 0, out, 1);                                      \
            } else if (out_stride == 1 && in_stride == 2) {                                       \
                SL_FN(name##_row)(run->cols, in, 2, out, 1);                                      \
            } else if (out_stride == 1 && in_stride == -1) {                                      \
                SL_FN(name##_row)(run->cols, in, -1, out, 1);                                     \
            } else if (out_stride == 1) {                                                         \
                SL_FN(name##_row)(run->cols, in, in_stride, out, 1);                              \
            } else {                                                                              \
                SL_FN(name##_row)(run->cols, in, in_stride, out, out_stride);                     \
            }                                                                                     \
        }                                                                                         \
    }
SL_COPY_WORDS(copy_words8, uint8_t)
SL_COPY_WORDS(copy_words16, SL_FN(word16))
SL_COPY_WORDS(copy_words32, SL_FN(word32))
SL_COPY_WORDS(copy_words64, SL_FN(word64))
#undef SL_COPY_WORDS

// Moves a few words of a row, 32 bytes at a time; the last ones, of at least 32, overlap.
SL_INLINE void SL_FN(copy_short_row)(const char *in, char *out, size_t bytes) {
    size_t at = 0;
    for (; at + 32 <= bytes; at += 32) memcpy(out + at, in + at, 32);
    if (at == bytes) return;
    if (bytes >= 32) {
        memcpy(out + bytes - 32, in + bytes - 32, 32);
    } else if (bytes >= 16) {
        memcpy(out, in, 16);
        memcpy(out + bytes - 16, in + bytes - 16, 16);
    } else if (bytes >= 8) {
        memcpy(out, in, 8);
        memcpy(out + bytes - 8, in + bytes - 8, 8);
    } else {
        for (; at < bytes; at++) out[at] = in[at];
    }
}

// Rows whose columns are contiguous on both sides. Short rows, such as one pixel of a blocked
// tensor or of one head, become vector moves instead of calls.
static void SL_FN(copy_rows)(const sl_run *run, size_t element_bytes, const void *input,
                             void *output) {
    enum { SHORT_ROW = 256 };
    const ptrdiff_t bytes = (ptrdiff_t)element_bytes;
    const char *const in = (const char *)input + run->offset[0] * bytes;
    char *const out = (char *)output + run->offset[1] * bytes;
    const ptrdiff_t in_step = run->row_stride[0] * bytes;
    const ptrdiff_t out_step = run->row_stride[1] * bytes;
    const size_t row_bytes = run->cols * element_bytes;
    for (size_t row = 0; row < run->rows; row++) {
        const ptrdiff_t r = (ptrdiff_t)row;
        if (row_bytes <= SHORT_ROW) {
            SL_FN(copy_short_row)(in + r * in_step, out + r * out_step, row_bytes);
        } else {
            memcpy(out + r * out_step, in + r * in_step, row_bytes);
        }
    }
}

// The rectangle with rows and columns exchanged.
SL_INLINE sl_run SL_FN(run_transposed)(const sl_run *run) {
    sl_run turned = *run;
    turned.rows = run->cols;
    turned.cols = run->rows;
    for (int o = 0; o < SL_NEST_OPERANDS; o++) {
        turned.row_stride[o] = run->col_stride[o];
        turned.col_stride[o] = run->row_stride[o];
    }
    return turned;
}

// The part of a rectangle that starts at (row, col).
SL_INLINE sl_run SL_FN(run_part)(const sl_run *run, size_t row, size_t col, size_t rows,
                                 size_t cols) {
    sl_run part = *run;
    part.rows = rows;
    part.cols = cols;
    for (int o = 0; o < SL_NEST_OPERANDS; o++) {
        part.offset[o] += (ptrdiff_t)row * run->row_stride[o];
        part.offset[o] += (ptrdiff_t)col * run->col_stride[o];
    }
    return part;
}

static void SL_FN(copy_elements)(const sl_run *run, size_t element_bytes, const void *input,
                                 void *output) {
    switch (element_bytes) {
        case 1:
            SL_FN(copy_words8)(run, input, output);
            return;
        case 2:
            SL_FN(copy_words16)(run, input, output);
            return;
        case 4:
            SL_FN(copy_words32)(run, input, output);
            return;
        case 8:
            SL_FN(copy_words64)(run, input, output);
            return;
        default:
            break;
    }
    const ptrdiff_t bytes = (ptrdiff_t)element_bytes;
    for (size_t row = 0; row < run->rows; row++) {
        for (size_t col = 0; col < run->cols; col++) {
            const sl_run one = SL_FN(run_part)(run, row, col, 1, 1);
            memcpy((char *)output + one.offset[1] * bytes,
                   (const char *)input + one.offset[0] * bytes, element_bytes);
        }
    }
}

// A rectangle read along its rows dimension (in row stride 1) and written along its columns (out
// column stride 1). Bands of rows keep the lines that are written partially in the L1 cache.
static void SL_FN(copy_transposed)(const sl_run *run, size_t element_bytes, const void *input,
                                   void *output) {
    enum { BAND_ROWS = 64, TILE_COLS = 16 };
    const size_t tile = element_bytes == 4 ? (size_t)VEC_LANES : (size_t)TILE_COLS;
    for (size_t row = 0; row < run->rows; row += BAND_ROWS) {
        const size_t rows = run->rows - row < BAND_ROWS ? run->rows - row : BAND_ROWS;
        for (size_t col = 0; col < run->cols; col += tile) {
            const size_t cols = run->cols - col < tile ? run->cols - col : tile;
            size_t done = 0;
            if (element_bytes == 4 && cols == VEC_LANES) {
                const sl_run at = SL_FN(run_part)(run, row, col, rows, cols);
                const float *const in = (const float *)input + at.offset[0];
                float *const out = (float *)output + at.offset[1];
                for (; done + VEC_LANES <= rows; done += VEC_LANES) {
                    SL_FN(transpose_tile)
                    (in + done, run->col_stride[0], out + (ptrdiff_t)done * run->row_stride[1],
                     run->row_stride[1]);
                }
            }
            if (done == rows) continue;
            const sl_run rest = SL_FN(run_part)(run, row + done, col, rows - done, cols);
            SL_FN(copy_elements)(&rest, element_bytes, input, output);
        }
    }
}

static void SL_FN(sl_copy)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_copy_args *const args = erased;
    const size_t bytes = args->element_bytes;
    sl_nest nest = {.rank = 0};
    for (uint32_t d = 0; d < args->rank; d++) {
        sl_nest_push(&nest, args->dims[d], args->in_stride[d], args->out_stride[d], 0);
    }
    sl_nest_finish(&nest);

    sl_span span =
        sl_group_span(sl_box_elements(args->rank, args->dims), args->elements_per_task, task);
    while (span.first < span.end) {
        const sl_run run = sl_nest_run(&nest, span.first, span.end);
        span.first += run.rows * run.cols;

        const bool in_contiguous = run.col_stride[0] == 1 || run.cols == 1;
        const bool out_contiguous = run.col_stride[1] == 1 || run.cols == 1;
        if (in_contiguous && out_contiguous) {
            SL_FN(copy_rows)(&run, bytes, args->input, args->output);
        } else if (run.rows > 1 && run.row_stride[0] == 1 && run.col_stride[1] == 1) {
            SL_FN(copy_transposed)(&run, bytes, args->input, args->output);
        } else if (run.rows > 1 && run.col_stride[0] == 1 && run.row_stride[1] == 1) {
            const sl_run turned = SL_FN(run_transposed)(&run);
            SL_FN(copy_transposed)(&turned, bytes, args->input, args->output);
        } else {
            SL_FN(copy_elements)(&run, bytes, args->input, args->output);
        }
    }
}

static void SL_FN(sl_fill)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_fill_args *const args = erased;
    const sl_span span = sl_group_span(args->count, args->elements_per_task, task);
    const uint64_t pattern = args->pattern;
    switch (args->element_bytes) {
        case 1: {
            memset((char *)args->output + span.first, (int)(pattern & 0xff), span.end - span.first);
            return;
        }
        case 2: {
            SL_FN(word16) *const output = args->output;
            for (size_t i = span.first; i < span.end; i++) output[i] = (uint16_t)pattern;
            return;
        }
        case 4: {
            SL_FN(word32) *const output = args->output;
            for (size_t i = span.first; i < span.end; i++) output[i] = (uint32_t)pattern;
            return;
        }
        default: {
            SL_FN(word64) *const output = args->output;
            for (size_t i = span.first; i < span.end; i++) output[i] = pattern;
            return;
        }
    }
}

// Position of slice `i` on the gathered axis: negative ones count from the end, wild ones are
// clamped.
SL_INLINE size_t SL_FN(gather_index)(const sl_gather_args *args, size_t i) {
    int64_t index = args->indices_are_64_bit ? ((const int64_t *)args->indices)[i]
                                             : ((const int32_t *)args->indices)[i];
    const int64_t size = (int64_t)args->axis_size;
    if (index < 0) index += size;
    if (index >= size) index = size - 1;
    return index < 0 ? 0 : (size_t)index;
}

static void SL_FN(sl_gather)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_gather_args *const args = erased;
    const size_t bytes = args->inner_bytes;
    const char *const input = (const char *)args->input + task * args->axis_size * bytes;
    char *const output = (char *)args->output + task * args->index_count * bytes;
    // An empty axis has nothing to clamp an index to.
    if (args->axis_size == 0) {
        memset(output, 0, args->index_count * bytes);
        return;
    }
    for (size_t i = 0; i < args->index_count; i++) {
        const char *const from = input + SL_FN(gather_index)(args, i) * bytes;
        switch (bytes) {
            case 1:
                output[i] = from[0];
                break;
            case 4:
                memcpy(output + 4 * i, from, 4);
                break;
            case 8:
                memcpy(output + 8 * i, from, 8);
                break;
            default:
                memcpy(output + i * bytes, from, bytes);
                break;
        }
    }
}
