// Channels of blocked tensors put together in any order: each vector of the result is made of the
// vectors that hold its channels, one permutation of each.
#pragma once

// One vector that some lanes of a block of the result come from.
typedef struct {
    const float *from;
    vec_index index;
    vmask own;
} channel_part;

SL_INLINE void SL_FN(join_parts)(const size_t count, const channel_part *parts, size_t pixels,
                                 float *output) {
    for (size_t p = 0; p < pixels; p++) {
        const size_t at = p * VEC_LANES;
        vec joined = vec_permute(vec_load(parts[0].from + at), parts[0].index);
        for (size_t k = 1; k < count; k++) {
            const vec more = vec_permute(vec_load(parts[k].from + at), parts[k].index);
            joined = vec_select(parts[k].own, more, joined);
        }
        vec_store(output + at, joined);
    }
}

static void SL_FN(sl_channels)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_channels_args *const args = erased;
    const size_t blocks = sl_group_count(args->channels, VEC_LANES);
    const sl_row_task at = sl_row_task_at(task, blocks, args->pixels, args->pixels_per_task);
    const sl_span channels = sl_group_span(args->channels, VEC_LANES, at.plane);
    const size_t block_floats = args->pixels * VEC_LANES;
    const size_t first = at.rows.first * VEC_LANES;

    const float *from[VEC_LANES];
    int32_t index[VEC_LANES][VEC_LANES];
    float own[VEC_LANES][VEC_LANES];
    size_t count = 0;
    for (size_t c = channels.first; c < channels.end; c++) {
        const sl_channel_source source = args->sources[c];
        const float *const block = args->inputs[source.input] +
                                   at.image * args->in_image_strides[source.input] +
                                   source.channel / VEC_LANES * block_floats + first;
        size_t k = 0;
        while (k < count && from[k] != block) k++;
        if (k == count) {
            from[count++] = block;
            memset(index[k], 0, sizeof index[k]);
            memset(own[k], 0, sizeof own[k]);
        }
        index[k][c - channels.first] = (int32_t)(source.channel % VEC_LANES);
        own[k][c - channels.first] = 1;
    }
    channel_part parts[VEC_LANES];
    for (size_t k = 0; k < count; k++) {
        parts[k] = (channel_part){
            .from = from[k],
            .index = vec_index_load(index[k]),
            .own = vec_less(vec_zero(), vec_load(own[k])),
        };
    }
    float *const output =
        args->output + at.image * args->out_image_stride + at.plane * block_floats + first;
    const size_t pixels = at.rows.end - at.rows.first;
    switch (count) {
        case 1:
            SL_FN(join_parts)(1, parts, pixels, output);
            break;
        case 2:
            SL_FN(join_parts)(2, parts, pixels, output);
            break;
        case 3:
            SL_FN(join_parts)(3, parts, pixels, output);
            break;
        case 4:
            SL_FN(join_parts)(4, parts, pixels, output);
            break;
        case 5:
            SL_FN(join_parts)(5, parts, pixels, output);
            break;
        case 6:
            SL_FN(join_parts)(6, parts, pixels, output);
            break;
        default:
            SL_FN(join_parts)(count, parts, pixels, output);
    }
}
