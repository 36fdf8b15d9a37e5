// How many tasks a call of each operation other than convolution has.
#include "loop_nest.h"

size_t sl_pool_task_count(const sl_isa *isa, const sl_pool_args *args) {
    (void)isa;
    if (args->out_w == 0) return 0;
    const size_t groups = sl_ceil_div(args->out_h, args->rows_per_task);
    return (size_t)args->images * args->blocks * groups;
}

size_t sl_global_pool_task_count(const sl_isa *isa, const sl_global_pool_args *args) {
    (void)isa;
    return (size_t)args->images * args->blocks;
}

// Runs of pixels of each channel block of each image.
static size_t block_run_count(const sl_isa *isa, size_t images, size_t channels, size_t pixels,
                              size_t pixels_per_task) {
    if (pixels == 0) return 0;
    return images * sl_ceil_div(channels, isa->lanes) * sl_ceil_div(pixels, pixels_per_task);
}

size_t sl_layout_task_count(const sl_isa *isa, const sl_layout_args *args) {
    return block_run_count(isa, args->images, args->channels, args->pixels, args->pixels_per_task);
}

size_t sl_channels_task_count(const sl_isa *isa, const sl_channels_args *args) {
    return block_run_count(isa, args->images, args->channels, args->pixels, args->pixels_per_task);
}

size_t sl_softmax_task_count(const sl_isa *isa, const sl_softmax_args *args) {
    (void)isa;
    if (args->axis_size == 0) return 0;
    return sl_ceil_div(args->outer * args->inner, args->rows_per_task);
}

size_t sl_normalize_task_count(const sl_isa *isa, const sl_normalize_args *args) {
    (void)isa;
    if (args->size == 0) return 0;
    return sl_ceil_div(args->rows, args->rows_per_task);
}

size_t sl_unary_task_count(const sl_isa *isa, const sl_unary_args *args) {
    (void)isa;
    return sl_piece_count(args->count, args->planes, args->elements_per_task);
}

size_t sl_binary_task_count(const sl_isa *isa, const sl_binary_args *args) {
    (void)isa;
    return sl_piece_count(sl_box_elements(args->rank, args->dims), args->planes,
                          args->elements_per_task);
}

size_t sl_select_task_count(const sl_isa *isa, const sl_select_args *args) {
    (void)isa;
    return sl_ceil_div(sl_box_elements(args->rank, args->dims), args->elements_per_task);
}

size_t sl_copy_task_count(const sl_isa *isa, const sl_copy_args *args) {
    (void)isa;
    return sl_ceil_div(sl_box_elements(args->rank, args->dims), args->elements_per_task);
}

size_t sl_fill_task_count(const sl_isa *isa, const sl_fill_args *args) {
    (void)isa;
    return sl_ceil_div(args->count, args->elements_per_task);
}

size_t sl_reduce_task_count(const sl_isa *isa, const sl_reduce_args *args) {
    (void)isa;
    return sl_ceil_div(args->outer * args->inner, args->rows_per_task);
}

size_t sl_resize_task_count(const sl_isa *isa, const sl_resize_args *args) {
    (void)isa;
    if (args->out_w == 0) return 0;
    return args->planes * sl_ceil_div(args->out_h, args->rows_per_task);
}

size_t sl_gather_task_count(const sl_isa *isa, const sl_gather_args *args) {
    (void)isa;
    if (args->index_count == 0 || args->inner_bytes == 0) return 0;
    return args->outer;
}

size_t sl_cast_task_count(const sl_isa *isa, const sl_cast_args *args) {
    (void)isa;
    return sl_ceil_div(args->count, args->elements_per_task);
}

size_t sl_pack_matrix_task_count(const sl_isa *isa, const sl_pack_matrix_args *args) {
    return sl_ceil_div(args->n, isa->panel);
}

size_t sl_lrn_task_count(const sl_isa *isa, const sl_lrn_args *args) {
    (void)isa;
    if (args->channels == 0) return 0;
    return args->images * sl_ceil_div(args->pixels, args->pixels_per_task);
}
