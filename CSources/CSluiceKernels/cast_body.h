// Conversion between element types, a short run at a time through the type the source is
// computed in.
#pragma once
#include "convert_body.h"
#include "loop_nest.h"

enum { SL_CAST_RUN = 64 };

// Floats to integers of at most 32 bits. When the whole run fits an int32_t, which is the rule,
// the conversion is one vector instruction; the result is the same either way.
static void SL_FN(cast_float_run)(sl_dtype to, size_t count, const float *source, void *target) {
    int outside = 0;
    for (size_t i = 0; i < count; i++) outside |= !(fabsf(source[i]) < 0x1p31f);
    if (outside) {
        SL_FN(store_float)(to, count, source, target);
        return;
    }
    int32_t whole[SL_CAST_RUN];
    for (size_t i = 0; i < count; i++) whole[i] = (int32_t)source[i];
    SL_FN(store_int32)(to, count, whole, target);
}

static void SL_FN(cast_run)(sl_dtype from, sl_dtype to, size_t count, const void *source,
                            void *target) {
    switch (SL_FN(wide_kind_of)(from)) {
        case SL_WIDE_INT32: {
            int32_t wide[SL_CAST_RUN];
            SL_FN(load_int32)(from, count, source, 1, wide);
            SL_FN(store_int32)(to, count, wide, target);
            return;
        }
        case SL_WIDE_INT64: {
            int64_t wide[SL_CAST_RUN];
            SL_FN(load_int64)(from, count, source, 1, wide);
            SL_FN(store_int64)(to, count, wide, target);
            return;
        }
        case SL_WIDE_UINT64: {
            uint64_t wide[SL_CAST_RUN];
            SL_FN(load_uint64)(from, count, source, 1, wide);
            SL_FN(store_uint64)(to, count, wide, target);
            return;
        }
        case SL_WIDE_FLOAT: {
            float wide[SL_CAST_RUN];
            SL_FN(load_float)(from, count, source, 1, wide);
            const SL_FN(wide_kind) kind = SL_FN(wide_kind_of)(to);
            if (kind == SL_WIDE_INT32 && to != SL_BOOL) {
                SL_FN(cast_float_run)(to, count, wide, target);
            } else {
                SL_FN(store_float)(to, count, wide, target);
            }
            return;
        }
        case SL_WIDE_DOUBLE: {
            double wide[SL_CAST_RUN];
            SL_FN(load_double)(from, count, source, 1, wide);
            SL_FN(store_double)(to, count, wide, target);
            return;
        }
    }
}

static void SL_FN(sl_cast)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_cast_args *const args = erased;
    const size_t from_bytes = SL_FN(dtype_bytes)(args->from);
    const size_t to_bytes = SL_FN(dtype_bytes)(args->to);
    const sl_span span = sl_group_span(args->count, args->elements_per_task, task);
    const char *const input = args->input;
    char *const output = args->output;

    if (args->from == args->to) {
        memmove(output + span.first * to_bytes, input + span.first * from_bytes,
                (span.end - span.first) * to_bytes);
        return;
    }
    for (size_t i = span.first; i < span.end; i += SL_CAST_RUN) {
        const size_t count = span.end - i < SL_CAST_RUN ? span.end - i : (size_t)SL_CAST_RUN;
        SL_FN(cast_run)(args->from, args->to, count, input + i * from_bytes, output + i * to_bytes);
    }
}
