// Elements of any dtype to and from the five C types that kernels compute in: int32_t, int64_t,
// uint64_t, float and double. Every conversion that follows is exact going in and a C cast going
// out; floats outside the integer range give what x86 gives (the smallest int64_t, narrowed).
#pragma once
#include "half_float.h"
#include "kernel_internal.h"

// The type a dtype is computed in. It holds every value of the dtype.
typedef enum {
    SL_WIDE_INT32,
    SL_WIDE_INT64,
    SL_WIDE_UINT64,
    SL_WIDE_FLOAT,
    SL_WIDE_DOUBLE,
} SL_FN(wide_kind);

SL_INLINE SL_FN(wide_kind) SL_FN(wide_kind_of)(sl_dtype dtype) {
    switch (dtype) {
        case SL_U8:
        case SL_I8:
        case SL_U16:
        case SL_I16:
        case SL_I32:
        case SL_BOOL:
            return SL_WIDE_INT32;
        case SL_U32:
        case SL_I64:
            return SL_WIDE_INT64;
        case SL_U64:
            return SL_WIDE_UINT64;
        case SL_F64:
            return SL_WIDE_DOUBLE;
        case SL_F32:
        case SL_F16:
        case SL_BF16:
            return SL_WIDE_FLOAT;
    }
    return SL_WIDE_FLOAT;
}

SL_INLINE size_t SL_FN(dtype_bytes)(sl_dtype dtype) {
    switch (dtype) {
        case SL_U8:
        case SL_I8:
        case SL_BOOL:
            return 1;
        case SL_U16:
        case SL_I16:
        case SL_F16:
        case SL_BF16:
            return 2;
        case SL_F32:
        case SL_I32:
        case SL_U32:
            return 4;
        case SL_I64:
        case SL_U64:
        case SL_F64:
            return 8;
    }
    return 4;
}

// --- Loads of `count` elements, `stride` apart -------------------------------------------------

#define SL_LOAD_CASE(code, element, convert)                                 \
    case code: {                                                             \
        const element *const from = source;                                  \
        if (stride == 1) {                                                   \
            for (size_t i = 0; i < count; i++) target[i] = convert(from[i]); \
        } else {                                                             \
            for (size_t i = 0; i < count; i++) {                             \
                target[i] = convert(from[(ptrdiff_t)i * stride]);            \
            }                                                                \
        }                                                                    \
        return;                                                              \
    }

static void SL_FN(load_int32)(sl_dtype dtype, size_t count, const void *source, ptrdiff_t stride,
                              int32_t *restrict target) {
    switch (dtype) {
        SL_LOAD_CASE(SL_BOOL, uint8_t, )
        SL_LOAD_CASE(SL_U8, uint8_t, )
        SL_LOAD_CASE(SL_I8, int8_t, )
        SL_LOAD_CASE(SL_U16, uint16_t, )
        SL_LOAD_CASE(SL_I16, int16_t, )
        SL_LOAD_CASE(SL_I32, int32_t, )
        default:
            return;
    }
}

static void SL_FN(load_int64)(sl_dtype dtype, size_t count, const void *source, ptrdiff_t stride,
                              int64_t *restrict target) {
    switch (dtype) {
        SL_LOAD_CASE(SL_BOOL, uint8_t, )
        SL_LOAD_CASE(SL_U8, uint8_t, )
        SL_LOAD_CASE(SL_I8, int8_t, )
        SL_LOAD_CASE(SL_U16, uint16_t, )
        SL_LOAD_CASE(SL_I16, int16_t, )
        SL_LOAD_CASE(SL_I32, int32_t, )
        SL_LOAD_CASE(SL_U32, uint32_t, )
        SL_LOAD_CASE(SL_I64, int64_t, )
        default:
            return;
    }
}

static void SL_FN(load_uint64)(sl_dtype dtype, size_t count, const void *source, ptrdiff_t stride,
                               uint64_t *restrict target) {
    switch (dtype) {
        SL_LOAD_CASE(SL_U64, uint64_t, )
        default:
            return;
    }
}

static void SL_FN(load_float)(sl_dtype dtype, size_t count, const void *source, ptrdiff_t stride,
                              float *restrict target) {
    switch (dtype) {
        SL_LOAD_CASE(SL_F32, float, )
        SL_LOAD_CASE(SL_F16, uint16_t, sl_float_of_float16)
        SL_LOAD_CASE(SL_BF16, uint16_t, sl_float_of_bfloat16)
        default:
            return;
    }
}

static void SL_FN(load_double)(sl_dtype dtype, size_t count, const void *source, ptrdiff_t stride,
                               double *restrict target) {
    switch (dtype) {
        SL_LOAD_CASE(SL_F64, double, )
        default:
            return;
    }
}

#undef SL_LOAD_CASE

// --- Stores of `count` consecutive elements ----------------------------------------------------

SL_INLINE int64_t SL_FN(truncate_to_int64)(double value) {
    return value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : INT64_MIN;
}

SL_INLINE uint64_t SL_FN(truncate_to_uint64)(double value) {
    if (value >= 0x1p63 && value < 0x1p64) return (uint64_t)value;
    return (uint64_t)SL_FN(truncate_to_int64)(value);
}

SL_INLINE uint16_t SL_FN(float16_of_double)(double value) {
    return sl_float16_of(sl_float_to_odd(value));
}

SL_INLINE uint16_t SL_FN(bfloat16_of_double)(double value) {
    return sl_bfloat16_of(sl_float_to_odd(value));
}

#define SL_STORE_CASE(code, element, convert)                                   \
    case code: {                                                                \
        element *const to = target;                                             \
        for (size_t i = 0; i < count; i++) to[i] = (element)convert(source[i]); \
        return;                                                                 \
    }

#define SL_STORE_HALF(code, convert)                                           \
    case code: {                                                               \
        uint16_t *const to = target;                                           \
        for (size_t i = 0; i < count; i++) to[i] = convert((double)source[i]); \
        return;                                                                \
    }

#define SL_STORE_BOOL                                              \
    case SL_BOOL: {                                                \
        uint8_t *const to = target;                                \
        for (size_t i = 0; i < count; i++) to[i] = source[i] != 0; \
        return;                                                    \
    }

#define SL_STORE_INTEGERS(convert)           \
    SL_STORE_CASE(SL_U8, uint8_t, convert)   \
    SL_STORE_CASE(SL_I8, int8_t, convert)    \
    SL_STORE_CASE(SL_U16, uint16_t, convert) \
    SL_STORE_CASE(SL_I16, int16_t, convert)  \
    SL_STORE_CASE(SL_I32, int32_t, convert)  \
    SL_STORE_CASE(SL_U32, uint32_t, convert) \
    SL_STORE_CASE(SL_I64, int64_t, convert)

#define SL_STORE_FROM_INTEGER(name, wide)                                                     \
    static void SL_FN(name)(sl_dtype dtype, size_t count, const wide *source, void *target) { \
        switch (dtype) {                                                                      \
            SL_STORE_INTEGERS()                                                               \
            SL_STORE_CASE(SL_U64, uint64_t, )                                                 \
            SL_STORE_CASE(SL_F32, float, )                                                    \
            SL_STORE_CASE(SL_F64, double, )                                                   \
            SL_STORE_HALF(SL_F16, SL_FN(float16_of_double))                                   \
            SL_STORE_HALF(SL_BF16, SL_FN(bfloat16_of_double))                                 \
            SL_STORE_BOOL                                                                     \
        }                                                                                     \
    }
SL_STORE_FROM_INTEGER(store_int32, int32_t)
SL_STORE_FROM_INTEGER(store_int64, int64_t)
SL_STORE_FROM_INTEGER(store_uint64, uint64_t)
#undef SL_STORE_FROM_INTEGER

static void SL_FN(store_float)(sl_dtype dtype, size_t count, const float *source, void *target) {
    switch (dtype) {
        SL_STORE_INTEGERS(SL_FN(truncate_to_int64))
        SL_STORE_CASE(SL_U64, uint64_t, SL_FN(truncate_to_uint64))
        SL_STORE_CASE(SL_F32, float, )
        SL_STORE_CASE(SL_F64, double, )
        SL_STORE_CASE(SL_F16, uint16_t, sl_float16_of)
        SL_STORE_CASE(SL_BF16, uint16_t, sl_bfloat16_of)
        SL_STORE_BOOL
    }
}

static void SL_FN(store_double)(sl_dtype dtype, size_t count, const double *source, void *target) {
    switch (dtype) {
        SL_STORE_INTEGERS(SL_FN(truncate_to_int64))
        SL_STORE_CASE(SL_U64, uint64_t, SL_FN(truncate_to_uint64))
        SL_STORE_CASE(SL_F32, float, )
        SL_STORE_CASE(SL_F64, double, )
        SL_STORE_CASE(SL_F16, uint16_t, SL_FN(float16_of_double))
        SL_STORE_CASE(SL_BF16, uint16_t, SL_FN(bfloat16_of_double))
        SL_STORE_BOOL
    }
}

#undef SL_STORE_INTEGERS
#undef SL_STORE_BOOL
#undef SL_STORE_HALF
#undef SL_STORE_CASE
