// Binary functions of every dtype, and those of float32 that have no vector form: operands are
// loaded into short runs of a type that holds them, computed there, and narrowed again.
//
// Integers wrap. Division and modulo by zero give 0.
#pragma once
#include "convert_body.h"
#include "loop_nest.h"

enum { SL_WIDE_RUN = 64 };

// --- Integers ----------------------------------------------------------------------------------

// base^exponent modulo 2^64.
SL_INLINE uint64_t SL_FN(power_uint64)(uint64_t base, uint64_t exponent) {
    uint64_t result = 1;
    for (; exponent != 0; exponent >>= 1) {
        if (exponent & 1) result *= base;
        base *= base;
    }
    return result;
}

// Negative exponents leave a fraction, which truncates to 0 but for bases 1 and -1.
SL_INLINE int64_t SL_FN(power_int64)(int64_t base, int64_t exponent) {
    if (exponent >= 0) {
        return (int64_t)SL_FN(power_uint64)((uint64_t)base, (uint64_t)exponent);
    }
    if (base == -1) return exponent & 1 ? -1 : 1;
    return base == 1;
}

SL_INLINE int64_t SL_FN(divide_int64)(int64_t a, int64_t b) {
    if (b == 0) return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

SL_INLINE int64_t SL_FN(remainder_int64)(int64_t a, int64_t b) {
    return b == 0 || b == -1 ? 0 : a % b;
}

// The remainder with the sign of the divisor.
SL_INLINE int64_t SL_FN(modulo_int64)(int64_t a, int64_t b) {
    const int64_t rest = SL_FN(remainder_int64)(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

#define SL_WIDE_CASE(kind, expression)        \
    case kind:                                \
        for (size_t i = 0; i < count; i++) {  \
            const SL_WIDE x = a[i], y = b[i]; \
            output[i] = expression;           \
        }                                     \
        return;

#define SL_WIDE int64_t
#define SL_WRAP(operation) (int64_t)((uint64_t)x operation(uint64_t) y)
static void SL_FN(arithmetic_int64)(sl_binary_kind kind, size_t count, const int64_t *a,
                                    const int64_t *b, int64_t *output) {
    switch (kind) {
        SL_WIDE_CASE(SL_BINARY_ADD, SL_WRAP(+))
        SL_WIDE_CASE(SL_BINARY_SUBTRACT, SL_WRAP(-))
        SL_WIDE_CASE(SL_BINARY_MULTIPLY, SL_WRAP(*))
        SL_WIDE_CASE(SL_BINARY_DIVIDE, SL_FN(divide_int64)(x, y))
        SL_WIDE_CASE(SL_BINARY_POWER, SL_FN(power_int64)(x, y))
        SL_WIDE_CASE(SL_BINARY_MINIMUM, x < y ? x : y)
        SL_WIDE_CASE(SL_BINARY_MAXIMUM, x > y ? x : y)
        SL_WIDE_CASE(SL_BINARY_MODULO, SL_FN(modulo_int64)(x, y))
        SL_WIDE_CASE(SL_BINARY_MODULO_TRUNCATED, SL_FN(remainder_int64)(x, y))
        SL_WIDE_CASE(SL_BINARY_PARAMETRIC_RELU, x < 0 ? SL_WRAP(*) : x)
        SL_WIDE_CASE(SL_BINARY_BITWISE_AND, x & y)
        SL_WIDE_CASE(SL_BINARY_BITWISE_OR, x | y)
        SL_WIDE_CASE(SL_BINARY_BITWISE_XOR, x ^ y)
        SL_WIDE_CASE(SL_BINARY_SHIFT_LEFT, (uint64_t)y > 63 ? 0 : (int64_t)((uint64_t)x << y))
        SL_WIDE_CASE(SL_BINARY_SHIFT_RIGHT, x >> ((uint64_t)y > 63 ? 63 : y))
        default:
            return;
    }
}
#undef SL_WRAP
#undef SL_WIDE

#define SL_WIDE uint64_t
static void SL_FN(arithmetic_uint64)(sl_binary_kind kind, size_t count, const uint64_t *a,
                                     const uint64_t *b, uint64_t *output) {
    switch (kind) {
        SL_WIDE_CASE(SL_BINARY_ADD, x + y)
        SL_WIDE_CASE(SL_BINARY_SUBTRACT, x - y)
        SL_WIDE_CASE(SL_BINARY_MULTIPLY, x * y)
        SL_WIDE_CASE(SL_BINARY_DIVIDE, y == 0 ? 0 : x / y)
        SL_WIDE_CASE(SL_BINARY_POWER, SL_FN(power_uint64)(x, y))
        SL_WIDE_CASE(SL_BINARY_MINIMUM, x < y ? x : y)
        SL_WIDE_CASE(SL_BINARY_MAXIMUM, x > y ? x : y)
        SL_WIDE_CASE(SL_BINARY_MODULO, y == 0 ? 0 : x % y)
        SL_WIDE_CASE(SL_BINARY_MODULO_TRUNCATED, y == 0 ? 0 : x % y)
        SL_WIDE_CASE(SL_BINARY_PARAMETRIC_RELU, ((void)y, x))
        SL_WIDE_CASE(SL_BINARY_BITWISE_AND, x & y)
        SL_WIDE_CASE(SL_BINARY_BITWISE_OR, x | y)
        SL_WIDE_CASE(SL_BINARY_BITWISE_XOR, x ^ y)
        SL_WIDE_CASE(SL_BINARY_SHIFT_LEFT, y > 63 ? 0 : x << y)
        SL_WIDE_CASE(SL_BINARY_SHIFT_RIGHT, y > 63 ? 0 : x >> y)
        default:
            return;
    }
}
#undef SL_WIDE

// --- Floats ------------------------------------------------------------------------------------

// The square is a product, which is faster than the general function and as exact.
SL_INLINE float SL_FN(power_float)(float base, float exponent) {
    return exponent == 2.0f ? base * base : powf(base, exponent);
}

SL_INLINE double SL_FN(power_double)(double base, double exponent) {
    return exponent == 2.0 ? base * base : pow(base, exponent);
}

// The remainder with the sign of the divisor.
SL_INLINE float SL_FN(modulo_float)(float a, float b) {
    const float rest = fmodf(a, b);
    return rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
}

SL_INLINE double SL_FN(modulo_double)(double a, double b) {
    const double rest = fmod(a, b);
    return rest != 0.0 && (rest < 0.0) != (b < 0.0) ? rest + b : rest;
}

#define SL_FLOAT_ARITHMETIC(name, power, modulo, remainder)                                        \
    static void SL_FN(name)(sl_binary_kind kind, size_t count, const SL_WIDE *a, const SL_WIDE *b, \
                            SL_WIDE *output) {                                                     \
        switch (kind) {                                                                            \
            SL_WIDE_CASE(SL_BINARY_ADD, x + y)                                                     \
            SL_WIDE_CASE(SL_BINARY_SUBTRACT, x - y)                                                \
            SL_WIDE_CASE(SL_BINARY_MULTIPLY, x *y)                                                 \
            SL_WIDE_CASE(SL_BINARY_DIVIDE, x / y)                                                  \
            SL_WIDE_CASE(SL_BINARY_POWER, power(x, y))                                             \
            SL_WIDE_CASE(SL_BINARY_MINIMUM, x < y || x != x ? x : y)                               \
            SL_WIDE_CASE(SL_BINARY_MAXIMUM, x > y || x != x ? x : y)                               \
            SL_WIDE_CASE(SL_BINARY_MODULO, modulo(x, y))                                           \
            SL_WIDE_CASE(SL_BINARY_MODULO_TRUNCATED, remainder(x, y))                              \
            SL_WIDE_CASE(SL_BINARY_PARAMETRIC_RELU, x < 0 ? x * y : x)                             \
            default:                                                                               \
                return;                                                                            \
        }                                                                                          \
    }
#define SL_WIDE float
SL_FLOAT_ARITHMETIC(arithmetic_float, SL_FN(power_float), SL_FN(modulo_float), fmodf)
#undef SL_WIDE
#define SL_WIDE double
SL_FLOAT_ARITHMETIC(arithmetic_double, SL_FN(power_double), SL_FN(modulo_double), fmod)
#undef SL_WIDE
#undef SL_FLOAT_ARITHMETIC

// --- Predicates --------------------------------------------------------------------------------

#define SL_PREDICATES(name)                                                                        \
    static void SL_FN(name)(sl_binary_kind kind, size_t count, const SL_WIDE *a, const SL_WIDE *b, \
                            uint8_t *output) {                                                     \
        switch (kind) {                                                                            \
            SL_WIDE_CASE(SL_BINARY_EQUAL, x == y)                                                  \
            SL_WIDE_CASE(SL_BINARY_LESS, x < y)                                                    \
            SL_WIDE_CASE(SL_BINARY_LESS_OR_EQUAL, x <= y)                                          \
            SL_WIDE_CASE(SL_BINARY_GREATER, x > y)                                                 \
            SL_WIDE_CASE(SL_BINARY_GREATER_OR_EQUAL, x >= y)                                       \
            SL_WIDE_CASE(SL_BINARY_AND, x != 0 && y != 0)                                          \
            SL_WIDE_CASE(SL_BINARY_OR, x != 0 || y != 0)                                           \
            default:                                                                               \
                return;                                                                            \
        }                                                                                          \
    }
#define SL_WIDE int64_t
SL_PREDICATES(predicate_int64)
#undef SL_WIDE
#define SL_WIDE uint64_t
SL_PREDICATES(predicate_uint64)
#undef SL_WIDE
#define SL_WIDE float
SL_PREDICATES(predicate_float)
#undef SL_WIDE
#define SL_WIDE double
SL_PREDICATES(predicate_double)
#undef SL_WIDE
#undef SL_PREDICATES
#undef SL_WIDE_CASE

// --- Runs --------------------------------------------------------------------------------------

// `count` elements of one row; operand elements are a_stride and b_stride apart.
#define SL_WIDE_RUN_FUNCTION(type, wide)                                                          \
    static void SL_FN(binary_run_##type)(const sl_binary_args *args, size_t count, const void *a, \
                                         ptrdiff_t a_stride, const void *b, ptrdiff_t b_stride,   \
                                         void *output) {                                          \
        wide x[SL_WIDE_RUN], y[SL_WIDE_RUN];                                                      \
        SL_FN(load_##type)(args->dtype, count, a, a_stride, x);                                   \
        SL_FN(load_##type)(args->dtype, count, b, b_stride, y);                                   \
        if (args->kind >= SL_BINARY_EQUAL && args->kind <= SL_BINARY_OR) {                        \
            SL_FN(predicate_##type)(args->kind, count, x, y, output);                             \
        } else {                                                                                  \
            SL_FN(arithmetic_##type)(args->kind, count, x, y, x);                                 \
            SL_FN(store_##type)(args->dtype, count, x, output);                                   \
        }                                                                                         \
    }
SL_WIDE_RUN_FUNCTION(int64, int64_t)
SL_WIDE_RUN_FUNCTION(uint64, uint64_t)
SL_WIDE_RUN_FUNCTION(float, float)
SL_WIDE_RUN_FUNCTION(double, double)
#undef SL_WIDE_RUN_FUNCTION

// A rectangle whose first output element is number `first`.
static void SL_FN(binary_wide)(const sl_binary_args *args, const sl_run *run, size_t first) {
    const bool is_predicate = args->kind >= SL_BINARY_EQUAL && args->kind <= SL_BINARY_OR;
    const size_t in_bytes = SL_FN(dtype_bytes)(args->dtype);
    const size_t out_bytes = is_predicate ? 1 : in_bytes;
    const SL_FN(wide_kind) wide = SL_FN(wide_kind_of)(args->dtype);
    for (size_t row = 0; row < run->rows; row++) {
        for (size_t col = 0; col < run->cols; col += SL_WIDE_RUN) {
            const size_t rest = run->cols - col;
            const size_t count = rest < SL_WIDE_RUN ? rest : (size_t)SL_WIDE_RUN;
            ptrdiff_t at[2];
            for (int o = 0; o < 2; o++) {
                at[o] = run->offset[o] + (ptrdiff_t)row * run->row_stride[o] +
                        (ptrdiff_t)col * run->col_stride[o];
            }
            const void *const a = (const char *)args->a + at[0] * (ptrdiff_t)in_bytes;
            const void *const b = (const char *)args->b + at[1] * (ptrdiff_t)in_bytes;
            void *const out = (char *)args->output + (first + row * run->cols + col) * out_bytes;
            const ptrdiff_t a_stride = run->col_stride[0];
            const ptrdiff_t b_stride = run->col_stride[1];
            switch (wide) {
                case SL_WIDE_INT32:
                case SL_WIDE_INT64:
                    SL_FN(binary_run_int64)(args, count, a, a_stride, b, b_stride, out);
                    break;
                case SL_WIDE_UINT64:
                    SL_FN(binary_run_uint64)(args, count, a, a_stride, b, b_stride, out);
                    break;
                case SL_WIDE_FLOAT:
                    SL_FN(binary_run_float)(args, count, a, a_stride, b, b_stride, out);
                    break;
                case SL_WIDE_DOUBLE:
                    SL_FN(binary_run_double)(args, count, a, a_stride, b, b_stride, out);
                    break;
            }
        }
    }
}
