// One element of any dtype at a time, for the kernels that are written for every type.
#pragma once
#include <math.h>

#include "convert_body.h"
#include "loop_nest.h"

SL_INLINE const void *plain_at(sl_dtype dtype, const void *base, size_t index) {
    return (const char *)base + index * SL_FN(dtype_bytes)(dtype);
}

SL_INLINE void *plain_to(sl_dtype dtype, void *base, size_t index) {
    return (char *)base + index * SL_FN(dtype_bytes)(dtype);
}

SL_INLINE int64_t plain_load_int64(sl_dtype dtype, const void *base, size_t index) {
    int64_t value = 0;
    SL_FN(load_int64)(dtype, 1, plain_at(dtype, base, index), 1, &value);
    return value;
}

SL_INLINE uint64_t plain_load_uint64(sl_dtype dtype, const void *base, size_t index) {
    uint64_t value = 0;
    SL_FN(load_uint64)(dtype, 1, plain_at(dtype, base, index), 1, &value);
    return value;
}

// Of every dtype; wide integers are rounded.
SL_INLINE double plain_load_double(sl_dtype dtype, const void *base, size_t index) {
    switch (SL_FN(wide_kind_of)(dtype)) {
        case SL_WIDE_FLOAT: {
            float value = 0;
            SL_FN(load_float)(dtype, 1, plain_at(dtype, base, index), 1, &value);
            return value;
        }
        case SL_WIDE_DOUBLE: {
            double value = 0;
            SL_FN(load_double)(dtype, 1, plain_at(dtype, base, index), 1, &value);
            return value;
        }
        case SL_WIDE_UINT64:
            return (double)plain_load_uint64(dtype, base, index);
        default:
            return (double)plain_load_int64(dtype, base, index);
    }
}

SL_INLINE void plain_store_int64(sl_dtype dtype, void *base, size_t index, int64_t value) {
    SL_FN(store_int64)(dtype, 1, &value, plain_to(dtype, base, index));
}

SL_INLINE void plain_store_uint64(sl_dtype dtype, void *base, size_t index, uint64_t value) {
    SL_FN(store_uint64)(dtype, 1, &value, plain_to(dtype, base, index));
}

SL_INLINE void plain_store_double(sl_dtype dtype, void *base, size_t index, double value) {
    SL_FN(store_double)(dtype, 1, &value, plain_to(dtype, base, index));
}

SL_INLINE bool plain_is_float(sl_dtype dtype) {
    const SL_FN(wide_kind) kind = SL_FN(wide_kind_of)(dtype);
    return kind == SL_WIDE_FLOAT || kind == SL_WIDE_DOUBLE;
}

// Whether a comes before b in ascending order; not-a-number comes last.
SL_INLINE bool plain_less_int64(int64_t a, int64_t b) {
    return a < b;
}
SL_INLINE bool plain_less_uint64(uint64_t a, uint64_t b) {
    return a < b;
}
SL_INLINE bool plain_less_double(double a, double b) {
    return a < b || (b != b && a == a);
}

// Runs `call(type)` for the C type in which `dtype` is compared and added.
#define SL_PLAIN_DISPATCH(dtype, call)                         \
    if (plain_is_float(dtype)) {                               \
        call(double)                                           \
    } else if (SL_FN(wide_kind_of)(dtype) == SL_WIDE_UINT64) { \
        call(uint64)                                           \
    } else {                                                   \
        call(int64)                                            \
    }
