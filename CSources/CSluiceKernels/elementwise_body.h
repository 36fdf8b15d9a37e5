// Element-wise functions of one, two and three operands.
//
// Float32 tails run through the same vector code as whole vectors, so the bits of an element do
// not depend on where the work was cut.
#pragma once
#include "binary_wide_body.h"
#include "loop_nest.h"
#include "row_vec_body.h"

static void SL_FN(sl_unary)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_unary_args *const args = erased;
    const sl_span span = sl_piece_span(args->count, args->planes, args->elements_per_task, task);
    SL_FN(sl_activate_array)
    (span.end - span.first, args->input + span.first, args->output + span.first, args->activation);
}

// --- Binary functions of float32 with innermost strides 0 or 1 ---------------------------------

// Minimum and maximum give NaN when either operand is NaN, as everywhere in ONNX.
SL_INLINE vec SL_FN(binary_vec)(sl_binary_kind kind, vec a, vec b) {
    switch (kind) {
        case SL_BINARY_ADD:
            return vec_add(a, b);
        case SL_BINARY_SUBTRACT:
            return vec_sub(a, b);
        case SL_BINARY_MULTIPLY:
            return vec_mul(a, b);
        case SL_BINARY_DIVIDE:
            return vec_div(a, b);
        case SL_BINARY_MINIMUM:
            return SL_FN(min_or_nan)(a, b);
        case SL_BINARY_MAXIMUM:
            return SL_FN(max_or_nan)(a, b);
        default:  // SL_BINARY_PARAMETRIC_RELU
            return vec_select(vec_less(a, vec_zero()), vec_mul(a, b), a);
    }
}

// A rectangle of the output, which is contiguous; operand rows are a_step and b_step apart.
typedef struct {
    size_t rows, cols;
    const float *a;
    const float *b;
    ptrdiff_t a_step, b_step;
    float *output;
    float low, high;  // of a clamp
} SL_FN(binary_rectangle);

SL_INLINE void SL_FN(binary_store)(bool clamp, SL_FN(binary_rectangle) r, float *at, vec value) {
    if (clamp) value = vec_clamp(value, vec_splat(r.low), vec_splat(r.high));
    vec_store(at, value);
}

// Whether an operand is contiguous (1) or one value a row (0) is a constant of each instance.
SL_INLINE void SL_FN(binary_rows)(sl_binary_kind kind, bool clamp, bool a_moves, bool b_moves,
                                  SL_FN(binary_rectangle) r) {
    for (size_t row = 0; row < r.rows; row++) {
        const float *const a = r.a + (ptrdiff_t)row * r.a_step;
        const float *const b = r.b + (ptrdiff_t)row * r.b_step;
        float *const output = r.output + row * r.cols;
        const vec a_value = a_moves ? vec_zero() : vec_splat(a[0]);
        const vec b_value = b_moves ? vec_zero() : vec_splat(b[0]);
        size_t col = 0;
        for (; col + 4 * VEC_LANES <= r.cols; col += 4 * VEC_LANES) {
            vec value[4];
            SL_UNROLL for (size_t i = 0; i < 4; i++) {
                const size_t at = col + i * VEC_LANES;
                value[i] = SL_FN(binary_vec)(kind, a_moves ? vec_load(a + at) : a_value,
                                             b_moves ? vec_load(b + at) : b_value);
            }
            SL_UNROLL for (size_t i = 0; i < 4; i++) {
                SL_FN(binary_store)(clamp, r, output + col + i * VEC_LANES, value[i]);
            }
        }
        for (; col + VEC_LANES <= r.cols; col += VEC_LANES) {
            const vec value = SL_FN(binary_vec)(kind, a_moves ? vec_load(a + col) : a_value,
                                                b_moves ? vec_load(b + col) : b_value);
            SL_FN(binary_store)(clamp, r, output + col, value);
        }
        const size_t rest = r.cols - col;
        if (rest > 0) {
            vec value = SL_FN(binary_vec)(kind, a_moves ? vec_load_tail(a + col, rest) : a_value,
                                          b_moves ? vec_load_tail(b + col, rest) : b_value);
            if (clamp) value = vec_clamp(value, vec_splat(r.low), vec_splat(r.high));
            vec_store_tail(output + col, rest, value);
        }
    }
}

// Rows of one vector with the same b for all: a blocked tensor and a value per channel.
SL_INLINE void SL_FN(binary_pixels)(sl_binary_kind kind, bool clamp, SL_FN(binary_rectangle) r) {
    const vec b = vec_load(r.b);
    size_t row = 0;
    for (; row + 4 <= r.rows; row += 4) {
        vec value[4];
        SL_UNROLL for (size_t i = 0; i < 4; i++) {
            value[i] = SL_FN(binary_vec)(kind, vec_load(r.a + (ptrdiff_t)(row + i) * r.a_step), b);
        }
        SL_UNROLL for (size_t i = 0; i < 4; i++) {
            SL_FN(binary_store)(clamp, r, r.output + (row + i) * VEC_LANES, value[i]);
        }
    }
    for (; row < r.rows; row++) {
        const vec a = vec_load(r.a + (ptrdiff_t)row * r.a_step);
        SL_FN(binary_store)(clamp, r, r.output + row * VEC_LANES, SL_FN(binary_vec)(kind, a, b));
    }
}

SL_INLINE void SL_FN(binary_shapes)(sl_binary_kind kind, bool clamp, bool a_moves, bool b_moves,
                                    SL_FN(binary_rectangle) r) {
    if (a_moves && b_moves && r.cols == VEC_LANES && r.b_step == 0) {
        SL_FN(binary_pixels)(kind, clamp, r);
    } else if (a_moves && b_moves) {
        SL_FN(binary_rows)(kind, clamp, true, true, r);
    } else if (a_moves) {
        SL_FN(binary_rows)(kind, clamp, true, false, r);
    } else if (b_moves) {
        SL_FN(binary_rows)(kind, clamp, false, true, r);
    } else {
        SL_FN(binary_rows)(kind, clamp, false, false, r);
    }
}

static void SL_FN(binary_fast)(sl_binary_kind kind, bool clamp, bool a_moves, bool b_moves,
                               SL_FN(binary_rectangle) r) {
#define SL_BINARY_CASE(kind)                                        \
    case kind:                                                      \
        if (clamp) {                                                \
            SL_FN(binary_shapes)(kind, true, a_moves, b_moves, r);  \
        } else {                                                    \
            SL_FN(binary_shapes)(kind, false, a_moves, b_moves, r); \
        }                                                           \
        return;
    switch (kind) {
        SL_BINARY_CASE(SL_BINARY_ADD)
        SL_BINARY_CASE(SL_BINARY_SUBTRACT)
        SL_BINARY_CASE(SL_BINARY_MULTIPLY)
        SL_BINARY_CASE(SL_BINARY_DIVIDE)
        SL_BINARY_CASE(SL_BINARY_MINIMUM)
        SL_BINARY_CASE(SL_BINARY_MAXIMUM)
        SL_BINARY_CASE(SL_BINARY_PARAMETRIC_RELU)
        default:
            return;
    }
#undef SL_BINARY_CASE
}

// Whether the call squares a: a product then gives the same bits in vectors.
SL_INLINE bool SL_FN(binary_is_square)(const sl_binary_args *args, const sl_nest *nest) {
    if (args->kind != SL_BINARY_POWER || args->dtype != SL_F32) return false;
    for (uint32_t d = 0; d < nest->rank; d++) {
        if (nest->stride[1][d] != 0) return false;
    }
    return *(const float *)args->b == 2.0f;
}

SL_INLINE bool SL_FN(binary_has_fast_path)(const sl_binary_args *args, const sl_nest *nest) {
    if (args->dtype != SL_F32) return false;
    const ptrdiff_t a_stride = nest->stride[0][nest->rank - 1];
    const ptrdiff_t b_stride = nest->stride[1][nest->rank - 1];
    if ((a_stride | b_stride) & ~(ptrdiff_t)1) return false;
    switch (args->kind) {
        case SL_BINARY_ADD:
        case SL_BINARY_SUBTRACT:
        case SL_BINARY_MULTIPLY:
        case SL_BINARY_DIVIDE:
        case SL_BINARY_MINIMUM:
        case SL_BINARY_MAXIMUM:
        case SL_BINARY_PARAMETRIC_RELU:
            return true;
        default:
            return false;
    }
}

SL_INLINE bool SL_FN(binary_is_predicate)(sl_binary_kind kind) {
    return kind >= SL_BINARY_EQUAL && kind <= SL_BINARY_OR;
}

static void SL_FN(sl_binary)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    // An activation other than a clamp is a second pass over this much, hot in the L1 cache.
    enum { ACTIVATED_AT_ONCE = 2048 };
    const sl_binary_args *args = erased;
    sl_nest nest = {.rank = 0};
    for (uint32_t d = 0; d < args->rank; d++) {
        sl_nest_push(&nest, args->dims[d], (ptrdiff_t)args->a_stride[d],
                     (ptrdiff_t)args->b_stride[d], 0);
    }
    sl_nest_finish(&nest);
    sl_binary_args squared;
    if (SL_FN(binary_is_square)(args, &nest)) {
        squared = *args;
        squared.kind = SL_BINARY_MULTIPLY;
        squared.b = args->a;
        memcpy(nest.stride[1], nest.stride[0], sizeof nest.stride[1]);
        args = &squared;
    }

    const bool is_float = args->dtype == SL_F32 && !SL_FN(binary_is_predicate)(args->kind);
    const bool fast = SL_FN(binary_has_fast_path)(args, &nest);
    const bool clamp = fast && args->activation.kind == SL_ACTIVATION_CLAMP;
    const bool activate = is_float && !clamp && args->activation.kind != SL_ACTIVATION_NONE;
    sl_span span = sl_piece_span(sl_box_elements(args->rank, args->dims), args->planes,
                                 args->elements_per_task, task);
    while (span.first < span.end) {
        const size_t first = span.first;
        const bool is_long = activate && span.end - first > ACTIVATED_AT_ONCE;
        const sl_run run =
            sl_nest_run(&nest, first, is_long ? first + ACTIVATED_AT_ONCE : span.end);
        span.first += run.rows * run.cols;
        if (!fast) {
            SL_FN(binary_wide)(args, &run, first);
        } else {
            const SL_FN(binary_rectangle) r = {
                .rows = run.rows,
                .cols = run.cols,
                .a = (const float *)args->a + run.offset[0],
                .b = (const float *)args->b + run.offset[1],
                .a_step = run.row_stride[0],
                .b_step = run.row_stride[1],
                .output = (float *)args->output + first,
                .low = args->activation.p0,
                .high = args->activation.p1,
            };
            SL_FN(binary_fast)
            (args->kind, clamp, run.col_stride[0] == 1, run.col_stride[1] == 1, r);
        }
        if (activate) {
            float *const written = (float *)args->output + first;
            SL_FN(sl_activate_array)(run.rows * run.cols, written, written, args->activation);
        }
    }
}

// --- Select ------------------------------------------------------------------------------------

typedef uint16_t __attribute__((may_alias)) SL_FN(select16);
typedef uint32_t __attribute__((may_alias)) SL_FN(select32);
typedef uint64_t __attribute__((may_alias)) SL_FN(select64);

#define SL_SELECT_WORDS(name, word)                                                       \
    static void SL_FN(name)(const sl_run *run, const uint8_t *condition, const word *a,   \
                            const word *b, word *output) {                                \
        for (size_t row = 0; row < run->rows; row++) {                                    \
            const ptrdiff_t r = (ptrdiff_t)row;                                           \
            const uint8_t *const c = condition + run->offset[0] + r * run->row_stride[0]; \
            const word *const x = a + run->offset[1] + r * run->row_stride[1];            \
            const word *const y = b + run->offset[2] + r * run->row_stride[2];            \
            word *const out = output + row * run->cols;                                   \
            for (size_t i = 0; i < run->cols; i++) {                                      \
                const ptrdiff_t col = (ptrdiff_t)i;                                       \
                const word if_true = x[col * run->col_stride[1]];                         \
                const word if_false = y[col * run->col_stride[2]];                        \
                out[i] = c[col * run->col_stride[0]] ? if_true : if_false;                \
            }                                                                             \
        }                                                                                 \
    }
SL_SELECT_WORDS(select_words8, uint8_t)
SL_SELECT_WORDS(select_words16, SL_FN(select16))
SL_SELECT_WORDS(select_words32, SL_FN(select32))
SL_SELECT_WORDS(select_words64, SL_FN(select64))
#undef SL_SELECT_WORDS

static void SL_FN(sl_select)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_select_args *const args = erased;
    sl_nest nest = {.rank = 0};
    for (uint32_t d = 0; d < args->rank; d++) {
        sl_nest_push(&nest, args->dims[d], (ptrdiff_t)args->condition_stride[d],
                     (ptrdiff_t)args->a_stride[d], (ptrdiff_t)args->b_stride[d]);
    }
    sl_nest_finish(&nest);
    sl_span span =
        sl_group_span(sl_box_elements(args->rank, args->dims), args->elements_per_task, task);
    while (span.first < span.end) {
        const sl_run run = sl_nest_run(&nest, span.first, span.end);
        char *const output = (char *)args->output + span.first * args->element_bytes;
        void *const to = output;
        span.first += run.rows * run.cols;
        switch (args->element_bytes) {
            case 1:
                SL_FN(select_words8)(&run, args->condition, args->a, args->b, to);
                break;
            case 2:
                SL_FN(select_words16)(&run, args->condition, args->a, args->b, to);
                break;
            case 4:
                SL_FN(select_words32)(&run, args->condition, args->a, args->b, to);
                break;
            default:
                SL_FN(select_words64)(&run, args->condition, args->a, args->b, to);
                break;
        }
    }
}
