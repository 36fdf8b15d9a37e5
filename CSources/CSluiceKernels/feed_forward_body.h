// Two pointwise convolutions a band of pixels at a time: the wide result between them never leaves
// the second cache.
#pragma once

// Both convolutions of the pixels of a band; `wide` holds what is between them, `block_stride`
// floats from a channel block to the next. The calls of their own keep frames off the stack of what
// is called beside them.
static __attribute__((noinline)) void SL_FN(widen_pixels)(const sl_conv_args *whole, sl_span pixels,
                                                          float *wide, size_t block_stride) {
    sl_conv_args conv = *whole;
    conv.input += pixels.first * conv.in_pixel_stride;
    conv.output = wide;
    conv.out_pixel_stride = VEC_LANES;
    conv.out_block_stride = block_stride;
    conv.mask_tail = false;
    SL_FN(conv_alone)(&conv, 1, pixels.end - pixels.first, (sl_next_read){0});
}

static __attribute__((noinline)) void SL_FN(narrow_pixels)(const sl_conv_args *whole,
                                                           sl_span pixels, const float *wide,
                                                           size_t block_stride, sl_next_read next) {
    sl_conv_args conv = *whole;
    conv.input = wide;
    conv.input_is_close = true;
    conv.in_pixel_stride = VEC_LANES;
    conv.in_block_stride = block_stride;
    const size_t offset = pixels.first * conv.out_pixel_stride;
    conv.output += offset;
    if (conv.residual != NULL) conv.residual += offset;
    SL_FN(conv_alone)(&conv, 1, pixels.end - pixels.first, next);
}

static void SL_FN(sl_feed_forward)(const void *raw_args, size_t task, float *scratch) {
    const sl_feed_forward_args *const args = raw_args;
    const size_t bands = sl_feed_forward_task_count(args);
    assert(task < bands);
    const sl_span pixels = sl_group_of(args->widen.out_w, bands, task);
    const size_t block_stride = sl_feed_forward_band(args) * VEC_LANES;
    SL_FN(widen_pixels)(&args->widen, pixels, scratch, block_stride);
    SL_FN(narrow_pixels)
    (&args->narrow, pixels, scratch, block_stride,
     sl_next_of_task(&args->narrow.next, task, bands));
}
