// Functions of one element, of every dtype.
#pragma once
#include "plain_body.h"

static double plain_number(sl_map_kind kind, double x) {
    switch (kind) {
        case SL_MAP_SIN:
            return sin(x);
        case SL_MAP_COS:
            return cos(x);
        case SL_MAP_TAN:
            return tan(x);
        case SL_MAP_ASIN:
            return asin(x);
        case SL_MAP_ACOS:
            return acos(x);
        case SL_MAP_ATAN:
            return atan(x);
        case SL_MAP_SINH:
            return sinh(x);
        case SL_MAP_COSH:
            return cosh(x);
        case SL_MAP_ASINH:
            return asinh(x);
        case SL_MAP_ACOSH:
            return acosh(x);
        case SL_MAP_ATANH:
            return atanh(x);
        case SL_MAP_SIGN:
            return x > 0 ? 1 : x < 0 ? -1 : x;
        default:
            return x;
    }
}

static int64_t plain_integer(sl_map_kind kind, int64_t x, bool is_unsigned) {
    switch (kind) {
        case SL_MAP_SIGN:
            return is_unsigned ? x != 0 : (x > 0) - (x < 0);
        case SL_MAP_RELU:
            return is_unsigned || x > 0 ? x : 0;
        case SL_MAP_ABSOLUTE:
            return is_unsigned || x >= 0 ? x : (int64_t)(0 - (uint64_t)x);
        case SL_MAP_NEGATE:
            return (int64_t)(0 - (uint64_t)x);
        case SL_MAP_BITWISE_NOT:
            return ~x;
        default:
            return x;
    }
}

static bool plain_test(sl_map_kind kind, double x) {
    switch (kind) {
        case SL_MAP_IS_NAN:
            return x != x;
        case SL_MAP_IS_INFINITE:
            return isinf(x);
        case SL_MAP_IS_POSITIVE_INFINITE:
            return x == INFINITY;
        default:
            return kind == SL_MAP_IS_NEGATIVE_INFINITE && x == -INFINITY;
    }
}

void sl_map(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_map_args *const args = erased;
    const sl_dtype dtype = args->dtype;
    const sl_span span = sl_group_span(args->count, args->elements_per_task, task);
    const bool is_wide = SL_FN(wide_kind_of)(dtype) == SL_WIDE_UINT64;
    for (size_t i = span.first; i < span.end; i++) {
        if (args->kind >= SL_MAP_IS_NAN) {
            const double x = plain_load_double(dtype, args->input, i);
            ((uint8_t *)args->output)[i] = plain_test(args->kind, x);
        } else if (plain_is_float(dtype)) {
            const double x = plain_load_double(dtype, args->input, i);
            plain_store_double(dtype, args->output, i, plain_number(args->kind, x));
        } else if (is_wide) {
            const int64_t x = (int64_t)plain_load_uint64(dtype, args->input, i);
            plain_store_uint64(dtype, args->output, i,
                               (uint64_t)plain_integer(args->kind, x, true));
        } else {
            const int64_t x = plain_load_int64(dtype, args->input, i);
            plain_store_int64(dtype, args->output, i, plain_integer(args->kind, x, false));
        }
    }
}

size_t sl_map_task_count(const sl_map_args *args) {
    return sl_ceil_div(args->count, args->elements_per_task);
}
