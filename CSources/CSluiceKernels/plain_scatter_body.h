// Writing rows where indices point, of every dtype. A task owns columns of the whole table, so
// updates of one element keep their order.
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

void sl_scatter(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_scatter_args *const args = erased;
    const size_t width = args->width;
    const sl_span columns = sl_group_span(width, args->columns_per_task, task);
    const size_t bytes = (columns.end - columns.first) * SL_FN(dtype_bytes)(args->dtype);
    for (size_t row = 0; row < args->rows; row++) {
        const size_t at = row * width + columns.first;
        memcpy(plain_to(args->dtype, args->output, at), plain_at(args->dtype, args->table, at),
               bytes);
    }
    for (size_t i = 0; i < args->count; i++) {
        const int64_t row = args->row_numbers[i];
        if (row < 0 || (uint64_t)row >= args->rows) continue;
        for (size_t column = columns.first; column < columns.end; column++) {
            const size_t target = (size_t)row * width + column;
            const size_t from = i * width + column;
#define SL_CALL(suffix) plain_join_##suffix(args, target, from);
            SL_PLAIN_DISPATCH(args->dtype, SL_CALL)
#undef SL_CALL
        }
    }
}

size_t sl_scatter_task_count(const sl_scatter_args *args) {
    return sl_group_count(args->width, args->columns_per_task);
}
