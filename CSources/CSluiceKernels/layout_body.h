// Between row-major and blocked tensors: square transposes in registers, the last pixels one by
// one; with the channels of a pixel side by side, a vector of them at a time.
#pragma once
#include "loop_nest.h"
#include "transpose_body.h"

// `pixels` floats of `channels` planes, which start `plane` floats apart, into one block; missing
// channels become zero lanes.
static void SL_FN(layout_to_blocked)(size_t channels, size_t plane, size_t pixels,
                                     const float *input, float *output) {
    size_t pixel = 0;
    if (channels == VEC_LANES) {
        for (; pixel + VEC_LANES <= pixels; pixel += VEC_LANES) {
            SL_FN(transpose_tile)
            (input + pixel, (ptrdiff_t)plane, output + pixel * VEC_LANES, VEC_LANES);
        }
    } else {
        float tile[VEC_LANES * VEC_LANES] = {0};
        for (; pixel + VEC_LANES <= pixels; pixel += VEC_LANES) {
            for (size_t c = 0; c < channels; c++) {
                vec_store(tile + c * VEC_LANES, vec_load(input + c * plane + pixel));
            }
            SL_FN(transpose_tile)(tile, VEC_LANES, output + pixel * VEC_LANES, VEC_LANES);
        }
    }
    for (; pixel < pixels; pixel++) {
        for (size_t c = 0; c < VEC_LANES; c++) {
            output[pixel * VEC_LANES + c] = c < channels ? input[c * plane + pixel] : 0.0f;
        }
    }
}

// The other way.
static void SL_FN(layout_to_planes)(size_t channels, size_t plane, size_t pixels,
                                    const float *input, float *output) {
    size_t pixel = 0;
    if (channels == VEC_LANES) {
        for (; pixel + VEC_LANES <= pixels; pixel += VEC_LANES) {
            SL_FN(transpose_tile)
            (input + pixel * VEC_LANES, VEC_LANES, output + pixel, (ptrdiff_t)plane);
        }
    } else {
        float tile[VEC_LANES * VEC_LANES];
        for (; pixel + VEC_LANES <= pixels; pixel += VEC_LANES) {
            SL_FN(transpose_tile)(input + pixel * VEC_LANES, VEC_LANES, tile, VEC_LANES);
            for (size_t c = 0; c < channels; c++) {
                vec_store(output + c * plane + pixel, vec_load(tile + c * VEC_LANES));
            }
        }
    }
    for (size_t c = 0; c < channels; c++) {
        for (size_t p = pixel; p < pixels; p++) {
            output[c * plane + p] = input[p * VEC_LANES + c];
        }
    }
}

// `pixels` times `channels` floats, `width` floats apart, into one block; missing channels become
// zero lanes.
static void SL_FN(layout_pixels_to_blocked)(size_t channels, size_t width, size_t pixels,
                                            const float *input, float *output) {
    for (size_t p = 0; p < pixels; p++) {
        const float *const from = input + p * width;
        vec_store(output + p * VEC_LANES,
                  channels == VEC_LANES ? vec_load(from) : vec_load_tail(from, channels));
    }
}

// The other way.
static void SL_FN(layout_to_pixels)(size_t channels, size_t width, size_t pixels,
                                    const float *input, float *output) {
    for (size_t p = 0; p < pixels; p++) {
        const vec x = vec_load(input + p * VEC_LANES);
        if (channels == VEC_LANES) {
            vec_store(output + p * width, x);
        } else {
            vec_store_tail(output + p * width, channels, x);
        }
    }
}

static void SL_FN(sl_layout)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_layout_args *const args = erased;
    const size_t blocks = sl_ceil_div(args->channels, VEC_LANES);
    const sl_row_task at = sl_row_task_at(task, blocks, args->pixels, args->pixels_per_task);
    const sl_span channels = sl_group_span(args->channels, VEC_LANES, at.plane);
    const size_t count = channels.end - channels.first;
    const size_t first = at.rows.first, pixels = at.rows.end - first;

    const size_t blocked = at.plane * args->block_stride + first * VEC_LANES;
    const size_t plain = args->channels_last ? first * args->channels + channels.first
                                             : channels.first * args->pixels + first;
    const float *const input = args->input + at.image * args->in_image_stride;
    float *const output = args->output + at.image * args->out_image_stride;
    if (args->to_blocked && args->channels_last) {
        SL_FN(layout_pixels_to_blocked)
        (count, args->channels, pixels, input + plain, output + blocked);
    } else if (args->to_blocked) {
        SL_FN(layout_to_blocked)(count, args->pixels, pixels, input + plain, output + blocked);
    } else if (args->channels_last) {
        SL_FN(layout_to_pixels)(count, args->channels, pixels, input + blocked, output + plain);
    } else {
        SL_FN(layout_to_planes)(count, args->pixels, pixels, input + blocked, output + plain);
    }
}
