// Grouped convolution whose groups do not fill vectors: every lane gathers the input channel of
// its own group. Correct for any grouping, not tuned.
#pragma once

enum { GROUPED_RUN = 4 };

// Where lane l of a block finds channel c of its group: offset[l] floats into a pixel's data.
SL_INLINE void SL_FN(group_offsets)(const sl_grouped_args *args, size_t block, size_t c,
                                    size_t offset[VEC_LANES]) {
    for (size_t lane = 0; lane < VEC_LANES; lane++) {
        size_t channel = args->first_channel + block * VEC_LANES + lane;
        // Padding lanes have zero weights; they read what the last channel reads.
        if (channel >= args->out_channels) channel = args->out_channels - 1;
        const size_t group = channel / args->out_channels_per_group;
        const size_t source = group * args->channels_per_group + c;
        offset[lane] = source / VEC_LANES * args->in_block_stride + source % VEC_LANES;
    }
}

SL_INLINE vec SL_FN(gather_lanes)(const float *pixel, const size_t offset[VEC_LANES]) {
    float lanes[VEC_LANES];
    for (size_t lane = 0; lane < VEC_LANES; lane++) lanes[lane] = pixel[offset[lane]];
    return vec_load(lanes);
}

// Up to GROUPED_RUN neighbours of output row oy, from column ox on.
static void SL_FN(grouped_run)(const sl_grouped_args *args, size_t image, size_t block, size_t oy,
                               size_t ox, size_t count) {
    const float *const input = args->input + image * args->in_image_stride;
    const size_t rows = (size_t)args->channels_per_group * args->taps;
    const float *weights = args->weights + block * (rows + 1) * VEC_LANES;
    vec sum[GROUPED_RUN];
    for (size_t i = 0; i < GROUPED_RUN; i++) sum[i] = vec_load(weights);
    weights += VEC_LANES;
    for (size_t c = 0; c < args->channels_per_group; c++) {
        size_t offset[VEC_LANES];
        SL_FN(group_offsets)(args, block, c, offset);
        for (size_t tap = 0; tap < args->taps; tap++, weights += VEC_LANES) {
            const int64_t y = (int64_t)(oy * args->stride_h) + args->tap_dy[tap];
            if (y < 0 || y >= (int64_t)args->in_h) continue;
            const float *const line = input + (size_t)y * args->in_row_stride;
            const vec w = vec_load(weights);
            for (size_t i = 0; i < count; i++) {
                const int64_t x = (int64_t)((ox + i) * args->stride_w) + args->tap_dx[tap];
                if (x < 0 || x >= (int64_t)args->in_w) continue;
                const float *const pixel = line + (size_t)x * args->in_pixel_stride;
                sum[i] = vec_fma(SL_FN(gather_lanes)(pixel, offset), w, sum[i]);
            }
        }
    }
    const bool is_clamp = args->activation.kind == SL_ACTIVATION_CLAMP;
    const vec low = vec_splat(is_clamp ? args->activation.p0 : -INFINITY);
    const vec high = vec_splat(is_clamp ? args->activation.p1 : INFINITY);
    for (size_t i = 0; i < count; i++) {
        const size_t offset = image * args->out_image_stride + block * args->out_block_stride +
                              oy * args->out_row_stride + (ox + i) * args->out_pixel_stride;
        vec result = sum[i];
        if (args->residual != NULL) result = vec_add(result, vec_load(args->residual + offset));
        vec_store(args->output + offset, vec_clamp(result, low, high));
    }
}

static void SL_FN(sl_grouped)(const void *raw_args, size_t task, float *scratch) {
    (void)scratch;
    const sl_grouped_args *const args = raw_args;
    const size_t row_groups = sl_ceil_div(args->out_h, args->rows_per_task);
    assert(task < args->images * args->blocks * row_groups);
    const size_t first_row = task % row_groups * args->rows_per_task;
    const size_t end_row = sl_min_size(args->out_h, first_row + args->rows_per_task);
    const size_t block = task / row_groups % args->blocks;
    const size_t image = task / row_groups / args->blocks;
    for (size_t oy = first_row; oy < end_row; oy++) {
        for (size_t ox = 0; ox < args->out_w; ox += GROUPED_RUN) {
            const size_t count = sl_min_size(GROUPED_RUN, args->out_w - ox);
            SL_FN(grouped_run)(args, image, block, oy, ox, count);
        }
        if (SL_FN(acts_after_store)(args->activation)) {
            float *const line = args->output + image * args->out_image_stride +
                                block * args->out_block_stride + oy * args->out_row_stride;
            SL_FN(sl_activate_rows)
            (args->out_w, VEC_LANES, line, args->out_pixel_stride, line, args->out_pixel_stride,
             args->activation);
        }
    }
}
