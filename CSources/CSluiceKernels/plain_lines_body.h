// Kernels that walk the lines of a row-major [outer, axis_size, inner] along its middle axis, of
// every dtype. A line has one owner, so nothing depends on how lines are cut into tasks.
#pragma once
#include "plain_body.h"

static sl_span plain_lines(const sl_lines *lines, size_t task) {
    return sl_group_span(lines->outer * lines->inner, lines->lines_per_task, task);
}

size_t sl_lines_task_count(const sl_lines *lines) {
    return sl_ceil_div(lines->outer * lines->inner, lines->lines_per_task);
}

// The first element of a line in a tensor whose axis has `size` elements.
static size_t plain_line_start(const sl_lines *lines, size_t line, size_t size) {
    return line / lines->inner * size * lines->inner + line % lines->inner;
}

// --- Reductions --------------------------------------------------------------------------------

// Integers wrap; their means truncate.
#define SL_PLAIN_REDUCE(suffix, wide, lowest, highest)                                             \
    static void plain_reduce_##suffix(const sl_line_reduce_args *args, size_t start, size_t row) { \
        const sl_reduce_kind kind = args->kind;                                                    \
        wide total = kind == SL_REDUCE_MINIMUM   ? highest                                         \
                     : kind == SL_REDUCE_MAXIMUM ? lowest                                          \
                     : kind == SL_REDUCE_PRODUCT ? 1                                               \
                                                 : 0;                                              \
        for (size_t i = 0; i < args->lines.axis_size; i++) {                                       \
            const wide x =                                                                         \
                plain_load_##suffix(args->dtype, args->input, start + i * args->lines.inner);      \
            switch (kind) {                                                                        \
                case SL_REDUCE_MINIMUM:                                                            \
                    total = x < total ? x : total;                                                 \
                    break;                                                                         \
                case SL_REDUCE_MAXIMUM:                                                            \
                    total = x > total ? x : total;                                                 \
                    break;                                                                         \
                case SL_REDUCE_PRODUCT:                                                            \
                    total = (wide)((uint64_t)total * (uint64_t)x);                                 \
                    break;                                                                         \
                case SL_REDUCE_L1:                                                                 \
                    total = (wide)((uint64_t)total +                                               \
                                   (lowest != 0 && x < 1 ? 0 - (uint64_t)x : (uint64_t)x));        \
                    break;                                                                         \
                case SL_REDUCE_SUM_SQUARES:                                                        \
                    total = (wide)((uint64_t)total + (uint64_t)x * (uint64_t)x);                   \
                    break;                                                                         \
                default:                                                                           \
                    total = (wide)((uint64_t)total + (uint64_t)x);                                 \
                    break;                                                                         \
            }                                                                                      \
        }                                                                                          \
        if (kind == SL_REDUCE_MEAN && args->lines.axis_size > 0) {                                 \
            total = total / (wide)args->lines.axis_size;                                           \
        }                                                                                          \
        plain_store_##suffix(args->dtype, args->output, row, total);                               \
    }
SL_PLAIN_REDUCE(int64, int64_t, INT64_MIN, INT64_MAX)
SL_PLAIN_REDUCE(uint64, uint64_t, 0, UINT64_MAX)
#undef SL_PLAIN_REDUCE

// The reductions that leave the integers.
static void plain_reduce_double(const sl_line_reduce_args *args, size_t start, size_t row) {
    const size_t size = args->lines.axis_size;
    double total = 0, shift = 0;
    if (args->kind == SL_REDUCE_LOG_SUM_EXP && size > 0) {
        shift = -INFINITY;
        for (size_t i = 0; i < size; i++) {
            const double x =
                plain_load_double(args->dtype, args->input, start + i * args->lines.inner);
            shift = x > shift ? x : shift;
        }
    }
    for (size_t i = 0; i < size; i++) {
        const double x = plain_load_double(args->dtype, args->input, start + i * args->lines.inner);
        total += args->kind == SL_REDUCE_L2            ? x * x
                 : args->kind == SL_REDUCE_LOG_SUM_EXP ? exp(x - shift)
                                                       : x;
    }
    total = args->kind == SL_REDUCE_L2 ? sqrt(total) : log(total) + shift;
    plain_store_double(args->dtype, args->output, row, total);
}

// What the minimum (or maximum) of no elements is: the last value of the type.
static int64_t plain_limit(sl_dtype dtype, bool is_minimum) {
    const unsigned bits = (unsigned)(8 * SL_FN(dtype_bytes)(dtype));
    if (dtype == SL_BOOL) return is_minimum;
    if (dtype == SL_U8 || dtype == SL_U16 || dtype == SL_U32) {
        return is_minimum ? (int64_t)(UINT64_MAX >> (64 - bits)) : 0;
    }
    return is_minimum ? INT64_MAX >> (64 - bits) : INT64_MIN >> (64 - bits);
}

void sl_line_reduce(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_line_reduce_args *const args = erased;
    const sl_span span = plain_lines(&args->lines, task);
    const bool is_real = args->kind == SL_REDUCE_L2 || args->kind == SL_REDUCE_LOG_SUM ||
                         args->kind == SL_REDUCE_LOG_SUM_EXP;
    for (size_t row = span.first; row < span.end; row++) {
        const size_t start = plain_line_start(&args->lines, row, args->lines.axis_size);
        if (is_real) {
            plain_reduce_double(args, start, row);
        } else if (SL_FN(wide_kind_of)(args->dtype) == SL_WIDE_UINT64) {
            plain_reduce_uint64(args, start, row);
        } else if (args->lines.axis_size == 0 &&
                   (args->kind == SL_REDUCE_MINIMUM || args->kind == SL_REDUCE_MAXIMUM)) {
            const int64_t limit = plain_limit(args->dtype, args->kind == SL_REDUCE_MINIMUM);
            plain_store_int64(args->dtype, args->output, row, limit);
        } else {
            plain_reduce_int64(args, start, row);
        }
    }
}

// --- Where the best elements stand -------------------------------------------------------------

// Keeps the `count` best places in a heap with the worst on top, then takes it apart from the
// worst to the best: the order is total, because equal elements compare by their places.
#define SL_PLAIN_PLACES(suffix, wide)                                                            \
    static bool plain_comes_first_##suffix(const sl_places_args *args, size_t start, int64_t a,  \
                                           int64_t b) {                                          \
        const size_t inner = args->lines.inner;                                                  \
        const wide x = plain_load_##suffix(args->dtype, args->input, start + (size_t)a * inner); \
        const wide y = plain_load_##suffix(args->dtype, args->input, start + (size_t)b * inner); \
        if (plain_less_##suffix(x, y)) return !args->largest;                                    \
        if (plain_less_##suffix(y, x)) return args->largest;                                     \
        return args->takes_last ? a > b : a < b;                                                 \
    }                                                                                            \
    /* Puts `place` where it belongs in the part of the heap below slot `at`. */                 \
    static void plain_sift_##suffix(const sl_places_args *args, size_t start, int64_t *heap,     \
                                    size_t held, size_t at, int64_t place) {                     \
        const size_t inner = args->lines.inner;                                                  \
        for (size_t child = 2 * at + 1; child < held; child = 2 * at + 1) {                      \
            if (child + 1 < held && plain_comes_first_##suffix(args, start, heap[child * inner], \
                                                               heap[(child + 1) * inner])) {     \
                child++;                                                                         \
            }                                                                                    \
            if (!plain_comes_first_##suffix(args, start, place, heap[child * inner])) break;     \
            heap[at * inner] = heap[child * inner];                                              \
            at = child;                                                                          \
        }                                                                                        \
        heap[at * inner] = place;                                                                \
    }                                                                                            \
    static void plain_places_##suffix(const sl_places_args *args, size_t line) {                 \
        const size_t inner = args->lines.inner, count = args->count;                             \
        const size_t start = plain_line_start(&args->lines, line, args->lines.axis_size);        \
        int64_t *const heap = args->output + plain_line_start(&args->lines, line, count);        \
        if (count == 0) return;                                                                  \
        for (size_t i = 0; i < count; i++) heap[i * inner] = (int64_t)i;                         \
        for (size_t i = count / 2; i-- > 0;) {                                                   \
            plain_sift_##suffix(args, start, heap, count, i, heap[i * inner]);                   \
        }                                                                                        \
        for (size_t i = count; i < args->lines.axis_size; i++) {                                 \
            if (plain_comes_first_##suffix(args, start, (int64_t)i, heap[0])) {                  \
                plain_sift_##suffix(args, start, heap, count, 0, (int64_t)i);                    \
            }                                                                                    \
        }                                                                                        \
        for (size_t held = count; held-- > 1;) {                                                 \
            const int64_t last = heap[held * inner];                                             \
            heap[held * inner] = heap[0];                                                        \
            plain_sift_##suffix(args, start, heap, held, 0, last);                               \
        }                                                                                        \
    }
SL_PLAIN_PLACES(int64, int64_t)
SL_PLAIN_PLACES(uint64, uint64_t)
SL_PLAIN_PLACES(double, double)
#undef SL_PLAIN_PLACES

void sl_places(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_places_args *const args = erased;
    const sl_span span = plain_lines(&args->lines, task);
    for (size_t line = span.first; line < span.end; line++) {
#define SL_CALL(suffix) plain_places_##suffix(args, line);
        SL_PLAIN_DISPATCH(args->dtype, SL_CALL)
#undef SL_CALL
    }
}

// --- Running sums and products -----------------------------------------------------------------

#define SL_PLAIN_SCAN(suffix, wide, exact)                                                        \
    static void plain_scan_##suffix(const sl_scan_args *args, size_t line) {                      \
        const size_t size = args->lines.axis_size;                                                \
        const size_t start = plain_line_start(&args->lines, line, size);                          \
        wide total = args->is_product ? 1 : 0;                                                    \
        for (size_t i = 0; i < size; i++) {                                                       \
            const size_t at = start + (args->is_reversed ? size - 1 - i : i) * args->lines.inner; \
            const wide x = plain_load_##suffix(args->dtype, args->input, at);                     \
            const wide next = args->is_product ? (wide)((exact)total * (exact)x)                  \
                                               : (wide)((exact)total + (exact)x);                 \
            plain_store_##suffix(args->dtype, args->output, at,                                   \
                                 args->is_exclusive ? total : next);                              \
            total = next;                                                                         \
        }                                                                                         \
    }
SL_PLAIN_SCAN(int64, int64_t, uint64_t)
SL_PLAIN_SCAN(uint64, uint64_t, uint64_t)
SL_PLAIN_SCAN(double, double, double)
#undef SL_PLAIN_SCAN

void sl_scan(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_scan_args *const args = erased;
    const sl_span span = plain_lines(&args->lines, task);
    for (size_t line = span.first; line < span.end; line++) {
#define SL_CALL(suffix) plain_scan_##suffix(args, line);
        SL_PLAIN_DISPATCH(args->dtype, SL_CALL)
#undef SL_CALL
    }
}
