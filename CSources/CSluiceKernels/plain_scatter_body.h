// Writing rows where indices point, of every dtype. A task owns a run of elements of the table and
// looks at all indices, so updates of one element keep their order.
#pragma once
#include "plain_body.h"

#define SL_PLAIN_JOIN(suffix, wide, exact)                                                     \
    static void plain_join_##suffix(const sl_scatter_args *args, size_t target, size_t from) { \
        const wide a = plain_load_##suffix(args->dtype, args->output, target);                 \
        const wide b = plain_load_##suffix(args->dtype, args->updates, from);                  \
        wide joined = b;                                                                       \
        switch (args->kind) {                                                                  \
            case SL_SCATTER_ADD:                                                               \
                joined = (wide)((exact)a + (exact)b);                                          \
                break;                                                                         \
            case SL_SCATTER_MULTIPLY:                                                          \
                joined = (wide)((exact)a * (exact)b);                                          \
                break;                                                                         \
            case SL_SCATTER_MINIMUM:                                                           \
                joined = a < b || a != a ? a : b;                                              \
                break;                                                                         \
            case SL_SCATTER_MAXIMUM:                                                           \
                joined = a > b || a != a ? a : b;                                              \
                break;                                                                         \
            case SL_SCATTER_REPLACE:                                                           \
                break;                                                                         \
        }                                                                                      \
        plain_store_##suffix(args->dtype, args->output, target, joined);                       \
    }
SL_PLAIN_JOIN(int64, int64_t, uint64_t)
SL_PLAIN_JOIN(uint64, uint64_t, uint64_t)
SL_PLAIN_JOIN(double, double, double)
#undef SL_PLAIN_JOIN

// What of the row of `width` elements at `start` is a task's own; nothing: first >= end.
SL_INLINE sl_span plain_overlap(size_t start, size_t width, sl_span own) {
    return (sl_span){start > own.first ? start : own.first,
                     start + width < own.end ? start + width : own.end};
}

// Replaces the task's elements: `unit` bytes at a time where rows are of one element.
SL_INLINE void plain_replace(const sl_scatter_args *args, sl_span own, size_t unit) {
    const size_t width = args->width;
    char *const output = args->output;
    const char *const updates = args->updates;
    for (size_t i = 0; i < args->count; i++) {
        const int64_t row = args->row_numbers[i];
        if (row < 0 || (uint64_t)row >= args->rows) continue;
        if (width == 1) {
            const size_t target = (size_t)row;
            if (target < own.first || target >= own.end) continue;
            memcpy(output + target * unit, updates + i * unit, unit);
            continue;
        }
        const size_t start = (size_t)row * width;
        const sl_span of_row = plain_overlap(start, width, own);
        if (of_row.first >= of_row.end) continue;
        memcpy(output + of_row.first * unit, updates + (i * width + of_row.first - start) * unit,
               (of_row.end - of_row.first) * unit);
    }
}

void sl_scatter(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_scatter_args *const args = erased;
    const size_t width = args->width;
    const size_t unit = SL_FN(dtype_bytes)(args->dtype);
    const sl_span own = sl_group_span(args->rows * width, args->elements_per_task, task);
    memcpy(plain_to(args->dtype, args->output, own.first),
           plain_at(args->dtype, args->table, own.first), (own.end - own.first) * unit);
    if (args->kind == SL_SCATTER_REPLACE) {
        // The most frequent size is known to the compiler.
        if (unit == 4) {
            plain_replace(args, own, 4);
        } else {
            plain_replace(args, own, unit);
        }
        return;
    }
    for (size_t i = 0; i < args->count; i++) {
        const int64_t row = args->row_numbers[i];
        if (row < 0 || (uint64_t)row >= args->rows) continue;
        const size_t start = (size_t)row * width;
        const sl_span of_row = plain_overlap(start, width, own);
        for (size_t target = of_row.first; target < of_row.end; target++) {
            const size_t from = i * width + target - start;
#define SL_CALL(suffix) plain_join_##suffix(args, target, from);
            SL_PLAIN_DISPATCH(args->dtype, SL_CALL)
#undef SL_CALL
        }
    }
}

size_t sl_scatter_task_count(const sl_scatter_args *args) {
    return sl_ceil_div(args->rows * args->width, args->elements_per_task);
}
