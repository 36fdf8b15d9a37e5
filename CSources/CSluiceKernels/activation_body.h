// Activations on arrays: one loop a function, so that nothing is decided per element.
#pragma once

// Each function with its own pair of loops: rows of `cols` floats, a tail at the end of each.
#define SL_DEFINE_ACTIVATION_ROWS(kind, function)                                       \
    static void SL_FN(rows_of_##function)(size_t rows, size_t cols, const float *input, \
                                          size_t input_stride, float *output,           \
                                          size_t output_stride, float p0, float p1) {   \
        const vec first = vec_splat(p0), second = vec_splat(p1);                        \
        for (size_t row = 0; row < rows; row++) {                                       \
            const float *const from = input + row * input_stride;                       \
            float *const to = output + row * output_stride;                             \
            size_t col = 0;                                                             \
            for (; col + VEC_LANES <= cols; col += VEC_LANES) {                         \
                vec_store(to + col, function(vec_load(from + col), first, second));     \
            }                                                                           \
            if (col == cols) continue;                                                  \
            const vec x = vec_load_tail(from + col, cols - col);                        \
            vec_store_tail(to + col, cols - col, function(x, first, second));           \
        }                                                                               \
    }

SL_FOR_ACTIVATIONS(SL_DEFINE_ACTIVATION_ROWS)

// Applies the activation to `rows` rows of `cols` floats; input and output rows are input_stride
// and output_stride floats apart. The output may be the input.
static void SL_FN(sl_activate_rows)(size_t rows, size_t cols, const float *input,
                                    size_t input_stride, float *output, size_t output_stride,
                                    sl_activation activation) {
    if (input_stride == cols && output_stride == cols) {
        // All rows are one long row.
        cols *= rows;
        rows = 1;
    }
#define SL_ACTIVATION_CASE(kind, function)                                                      \
    case kind:                                                                                  \
        SL_FN(rows_of_##function)                                                               \
        (rows, cols, input, input_stride, output, output_stride, activation.p0, activation.p1); \
        break;
    switch (activation.kind) { SL_FOR_ACTIVATIONS(SL_ACTIVATION_CASE) }
#undef SL_ACTIVATION_CASE
}

// Applies the activation to `count` contiguous floats.
static void SL_FN(sl_activate_array)(size_t count, const float *input, float *output,
                                     sl_activation activation) {
    SL_FN(sl_activate_rows)(1, count, input, count, output, count, activation);
}
