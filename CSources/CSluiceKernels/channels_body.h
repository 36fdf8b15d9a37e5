// Channels of blocked tensors put together in any order: each vector of the result is made of the
// vectors that hold its channels, one permutation of each.
#pragma once

// One vector that some lanes of a block of the result come from: which lane of it each of them is,
// and 1 for those that are, 0 for others.
typedef struct {
    const float *from;
    int32_t index[VEC_LANES];
    float own[VEC_LANES];
} channel_part;

enum { FEW_PARTS = 6 };

// At most FEW_PARTS, a number known to the compiler.
SL_INLINE void SL_FN(join_few)(const size_t count, const channel_part *parts, size_t pixels,
                               float *output) {
    vec_index index[FEW_PARTS];
    vmask own[FEW_PARTS];
    SL_UNROLL for (size_t k = 0; k < count; k++) {
        index[k] = vec_index_load(parts[k].index);
        own[k] = vec_less(vec_zero(), vec_load(parts[k].own));
    }
    for (size_t at = 0; at < pixels * VEC_LANES; at += VEC_LANES) {
        vec joined = vec_permute(vec_load(parts[0].from + at), index[0]);
        SL_UNROLL for (size_t k = 1; k < count; k++) {
            const vec more = vec_permute(vec_load(parts[k].from + at), index[k]);
            joined = vec_select(own[k], more, joined);
        }
        vec_store(output + at, joined);
    }
}

// Any number, one after the other.
static void SL_FN(join_many)(size_t count, const channel_part *parts, size_t pixels,
                             float *output) {
    SL_FN(join_few)(FEW_PARTS, parts, pixels, output);
    for (size_t k = FEW_PARTS; k < count; k++) {
        const vec_index index = vec_index_load(parts[k].index);
        const vmask own = vec_less(vec_zero(), vec_load(parts[k].own));
        for (size_t at = 0; at < pixels * VEC_LANES; at += VEC_LANES) {
            const vec more = vec_permute(vec_load(parts[k].from + at), index);
            vec_store(output + at, vec_select(own, more, vec_load(output + at)));
        }
    }
}

static void SL_FN(sl_channels)(const void *erased, size_t task, float *scratch) {
    (void)scratch;
    const sl_channels_args *const args = erased;
    const size_t blocks = sl_ceil_div(args->channels, VEC_LANES);
    const sl_row_task at = sl_row_task_at(task, blocks, args->pixels, args->pixels_per_task);
    const sl_span channels = sl_group_span(args->channels, VEC_LANES, at.plane);
    const size_t first = at.image * args->image_stride + at.rows.first * VEC_LANES;

    channel_part parts[VEC_LANES];
    size_t count = 0;
    for (size_t c = channels.first; c < channels.end; c++) {
        const sl_channel_source source = args->sources[c];
        const float *const block =
            args->inputs[source.input] + source.channel / VEC_LANES * args->block_stride + first;
        size_t k = 0;
        while (k < count && parts[k].from != block) k++;
        if (k == count) parts[count++] = (channel_part){.from = block};
        parts[k].index[c - channels.first] = (int32_t)(source.channel % VEC_LANES);
        parts[k].own[c - channels.first] = 1;
    }
    float *const output = args->output + at.plane * args->block_stride + first;
    const size_t pixels = at.rows.end - at.rows.first;
    switch (count) {
        case 1:
            SL_FN(join_few)(1, parts, pixels, output);
            break;
        case 2:
            SL_FN(join_few)(2, parts, pixels, output);
            break;
        case 3:
            SL_FN(join_few)(3, parts, pixels, output);
            break;
        case 4:
            SL_FN(join_few)(4, parts, pixels, output);
            break;
        case 5:
            SL_FN(join_few)(5, parts, pixels, output);
            break;
        case 6:
            SL_FN(join_few)(6, parts, pixels, output);
            break;
        default:
            SL_FN(join_many)(count, parts, pixels, output);
    }
}
