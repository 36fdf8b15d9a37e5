// Between row-major NCHW and blocked tensors: square transposes in registers, the last pixels one
// by one.
#pragma once
#include "loop_nest.h"
#include "transpose_body.h"

// `channels` planes of `pixels` floats into one block; missing channels become zero lanes.
static void SL_FN(layout_to_blocked)(size_t channels, size_t pixels, const float *input,
                                     float *output) {
    size_t pixel = 0;
    if (channels == VEC_LANES) {
        for (; pixel + VEC_LANES <= pixels; pixel += VEC_LANES) {
            SL_FN(transpose_tile)
            (input + pixel, (ptrdiff_t)pixels, output + pixel * VEC_LANES, VEC_LANES);
        }
    } else {
        float tile[VEC_LANES * VEC_LANES] = {0};
        for (; pixel + VEC_LANES <= pixels; pixel += VEC_LANES) {
            for (size_t c = 0; c < channels; c++) {
                vec_store(tile + c * VEC_LANES, vec_load(input + c * pixels + pixel));
            }
            SL_FN(transpose_tile)(tile, VEC_LANES, output + pixel * VEC_LANES, VEC_LANES);
        }
    }
    for (; pixel < pixels; pixel++) {
        for (size_t c = 0; c < VEC_LANES; c++) {
            output[pixel * VEC_LANES + c] = c < channels ? input[c * pixels + pixel] : 0.0f;
        }
    }
}

// One block into `channels` planes of `pixels` floats.
static void SL_FN(layout_to_planes)(size_t channels, size_t pixels, const float *input,
                                    float *output) {
    size_t pixel = 0;
    if (channels == VEC_LANES) {
        for (; pixel + VEC_LANES <= pixels; pixel += VEC_LANES) {
            SL_FN(transpose_tile)
            (input + pixel * VEC_LANES, VEC_LANES, output + pixel, (ptrdiff_t)pixels);
        }
    } else {
        float tile[VEC_LANES * VEC_LANES];
        for (; pixel + VEC_LANES <= pixels; pixel += VEC_LANES) {
            SL_FN(transpose_tile)(input + pixel * VEC_LANES, VEC_LANES, tile, VEC_LANES);
            for (size_t c = 0; c < channels; c++) {
                vec_store(output + c * pixels + pixel, vec_load(tile + c * VEC_LANES));
            }
        }
    }
    for (size_t c = 0; c < channels; c++) {
        for (size_t p = pixel; p < pixels; p++) {
            output[c * pixels + p] = input[p * VEC_LANES + c];
        }
    }
}

static void SL_FN(sl_layout)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_layout_args *const args = erased;
    const size_t blocks = sl_group_count(args->channels, VEC_LANES);
    const size_t block = task % blocks;
    const size_t image = task / blocks;
    const sl_span channels = sl_group_span(args->channels, VEC_LANES, block);

    const float *const input = args->input + image * args->in_image_stride;
    float *const output = args->output + image * args->out_image_stride;
    // Both layouts reach a block after the same number of floats.
    const size_t offset = channels.first * args->pixels;
    const size_t count = channels.end - channels.first;
    if (args->to_blocked) {
        SL_FN(layout_to_blocked)(count, args->pixels, input + offset, output + offset);
    } else {
        SL_FN(layout_to_planes)(count, args->pixels, input + offset, output + offset);
    }
}
