// Grouped convolution whose groups do not fill vectors of channels: one vector of outputs of up to
// VEC_LANES groups, or two vectors of one group, a run of pixels in registers.
//
// Each sum goes over the channels of its group and for each over the taps, 16 of them at a time,
// whatever the run it is in and however its lanes find their channels; taps outside the image are
// left out.
#pragma once

// How the lanes of a block of outputs find the input channel of their group.
typedef enum {
    // All belong to one group: one float, repeated.
    GROUPED_SPLAT,
    // All channels they read stand in one block of the input: a permutation of it.
    GROUPED_PERMUTE,
    // One float of each of two groups, repeated and blended; of each of any number.
    GROUPED_PAIR,
    GROUPED_BLEND,
    // Two blocks at a time: both of one group; the first or the second of two groups and the other
    // of one of them.
    GROUPED_DOUBLE,
    GROUPED_PAIR_SPLAT,
    GROUPED_SPLAT_PAIR,
} grouped_kind;

typedef struct {
    grouped_kind kind;
    size_t groups;
    // First input channel of each group; the lanes from which on it is theirs.
    size_t channel[VEC_LANES];
    vmask from[VEC_LANES];
    // The channel of each lane in the one block of the input, for channel 0 of its group.
    vec_index index;
} grouped_lanes;

static void SL_FN(find_lanes)(const sl_grouped_args *args, size_t block, grouped_lanes *lanes) {
    float number[VEC_LANES];
    int32_t index[VEC_LANES];
    size_t last = SIZE_MAX;
    lanes->groups = 0;
    for (size_t lane = 0; lane < VEC_LANES; lane++) number[lane] = (float)lane;
    for (size_t lane = 0; lane < VEC_LANES; lane++) {
        size_t output = args->first_channel + block * VEC_LANES + lane;
        // Padding lanes have zero weights; they read what the last channel reads.
        if (output >= args->out_channels) output = args->out_channels - 1;
        const size_t group = output / args->out_channels_per_group;
        const size_t channel = group * args->channels_per_group;
        index[lane] = (int32_t)(channel % VEC_LANES);
        if (group == last) continue;
        last = group;
        lanes->channel[lanes->groups] = channel;
        lanes->from[lanes->groups] = vec_less(vec_splat((float)lane - 0.5f), vec_load(number));
        lanes->groups++;
    }
    const size_t end = lanes->channel[lanes->groups - 1] + args->channels_per_group;
    const bool is_one_block = lanes->channel[0] / VEC_LANES == (end - 1) / VEC_LANES;
    lanes->index = vec_index_load(index);
    lanes->kind = lanes->groups == 1   ? GROUPED_SPLAT
                  : is_one_block       ? GROUPED_PERMUTE
                  : lanes->groups == 2 ? GROUPED_PAIR
                                       : GROUPED_BLEND;
}

// Makes of the lanes of a block those of it and the next, if the two have a group in common that
// makes that worth while.
static bool SL_FN(join_lanes)(grouped_lanes *lanes, const grouped_lanes *next) {
    const bool is_splat = lanes->kind == GROUPED_SPLAT;
    if (next->kind == GROUPED_SPLAT && next->channel[0] == lanes->channel[lanes->groups - 1] &&
        (is_splat || lanes->kind == GROUPED_PAIR)) {
        lanes->kind = is_splat ? GROUPED_DOUBLE : GROUPED_PAIR_SPLAT;
        return true;
    }
    if (!is_splat || next->kind != GROUPED_PAIR || next->channel[0] != lanes->channel[0]) {
        return false;
    }
    *lanes = *next;
    lanes->kind = GROUPED_SPLAT_PAIR;
    return true;
}

// A run of pixels under which the same taps are inside the image.
typedef struct {
    const sl_grouped_args *args;
    const grouped_lanes *lanes;
    const float *weights;
    // Row and column of the first pixel's tap (0, 0), where channel 0 of row 0 and column 0 is, and
    // floats from one pixel to the next.
    int64_t y, x;
    const float *image;
    size_t step;
    float *output;
    const float *residual;
    size_t out_step;
} grouped_job;

typedef void (*grouped_fn)(const grouped_job *job);

// The inputs of one pixel for one or two vectors of outputs: `at` is what the first group reads,
// the `offset` of each other one is relative to that.
SL_INLINE void SL_FN(grouped_inputs)(const grouped_kind kind, const grouped_lanes *lanes,
                                     const float *at, const size_t offset[VEC_LANES],
                                     vec_index index, vec inputs[2]) {
    if (kind == GROUPED_PERMUTE) {
        inputs[0] = vec_permute(vec_load(at), index);
        return;
    }
    inputs[0] = inputs[1] = vec_splat(*at);
    if (kind == GROUPED_SPLAT || kind == GROUPED_DOUBLE) return;
    if (kind == GROUPED_BLEND) {
        for (size_t g = 1; g < lanes->groups; g++) {
            inputs[0] = vec_select(lanes->from[g], vec_splat(at[offset[g]]), inputs[0]);
        }
        return;
    }
    const vec second = vec_splat(at[offset[1]]);
    const vec blended = vec_select(lanes->from[1], second, inputs[0]);
    inputs[kind == GROUPED_SPLAT_PAIR] = blended;
    if (kind == GROUPED_PAIR_SPLAT) inputs[1] = second;
}

// Taps that are inside the image under a run, of those from `first` on.
enum { LISTED_TAPS = 16 };
typedef struct {
    size_t count;
    size_t tap[LISTED_TAPS];
    // The input under the tap, in the first channel block.
    const float *at[LISTED_TAPS];
} tap_list;

static __attribute__((noinline)) void SL_FN(list_taps)(const grouped_job *job, size_t first,
                                                       tap_list *list) {
    const sl_grouped_args *const args = job->args;
    list->count = 0;
    for (size_t tap = first; tap < args->taps && tap < first + LISTED_TAPS; tap++) {
        const int64_t y = job->y + args->tap_dy[tap], x = job->x + args->tap_dx[tap];
        if ((uint64_t)y >= args->in_h || (uint64_t)x >= args->in_w) continue;
        list->tap[list->count] = tap * VEC_LANES;
        list->at[list->count] =
            job->image + (size_t)y * args->in_row_stride + (size_t)x * args->in_pixel_stride;
        list->count++;
    }
}

SL_INLINE void SL_FN(grouped_run)(const int pixels, const grouped_kind kind,
                                  const grouped_job *job) {
    const sl_grouped_args *const args = job->args;
    const grouped_lanes *const lanes = job->lanes;
    const int vectors = kind >= GROUPED_DOUBLE ? 2 : 1;
    const bool is_one = kind == GROUPED_SPLAT || kind == GROUPED_PERMUTE || kind == GROUPED_DOUBLE;
    const size_t channels = args->channels_per_group, row = args->taps * (size_t)VEC_LANES;
    const size_t block_weights = VEC_LANES + channels * row;
    const size_t block_stride = args->in_block_stride;
    vec sum[SL_HALF_PANEL_PIXELS][2];
    SL_UNROLL for (int o = 0; o < vectors; o++) {
        const vec bias = vec_load(job->weights + (size_t)o * block_weights);
        SL_UNROLL for (int p = 0; p < pixels; p++) sum[p][o] = bias;
    }
    tap_list taps;
    for (size_t first = 0; first < args->taps; first += LISTED_TAPS) {
        SL_FN(list_taps)(job, first, &taps);
        const float *weights = job->weights + VEC_LANES;
        for (size_t c = 0; c < channels; c++, weights += row) {
            size_t offset[VEC_LANES];
            const size_t reads = is_one ? 1 : kind == GROUPED_BLEND ? lanes->groups : 2;
            for (size_t g = 0; g < reads; g++) {
                const size_t channel = lanes->channel[g] + c;
                const size_t lane = kind == GROUPED_PERMUTE ? 0 : channel % VEC_LANES;
                offset[g] = channel / VEC_LANES * block_stride + lane;
                if (g > 0) offset[g] -= offset[0];
            }
            const vec_index index = vec_index_add(lanes->index, (int32_t)c);
            for (size_t t = 0; t < taps.count; t++) {
                pixel_source from = {.first = taps.at[t] + offset[0], .step = job->step};
                SL_FN(start_bases)(pixels, &from);
                const float *const at = weights + taps.tap[t];
                vec w[2];
                SL_UNROLL for (int o = 0; o < vectors; o++) {
                    w[o] = vec_load(at + (size_t)o * block_weights);
                }
                SL_UNROLL for (int p = 0; p < pixels; p++) {
                    vec inputs[2];
                    SL_FN(grouped_inputs)
                    (kind, lanes, SL_FN(pixel_at)(&from, p), offset, index, inputs);
                    SL_UNROLL for (int o = 0; o < vectors; o++) {
                        sum[p][o] = vec_fma(inputs[o], w[o], sum[p][o]);
                        if (pixels > 8) SL_FINISH_FIRST(sum[p][o]);
                    }
                }
            }
        }
    }
    const bool is_clamp = args->activation.kind == SL_ACTIVATION_CLAMP;
    const vec low = vec_splat(is_clamp ? args->activation.p0 : -INFINITY);
    const vec high = vec_splat(is_clamp ? args->activation.p1 : INFINITY);
    SL_UNROLL for (int p = 0; p < pixels; p++) {
        SL_UNROLL for (int o = 0; o < vectors; o++) {
            const size_t offset = (size_t)p * job->out_step + (size_t)o * args->out_block_stride;
            vec result = sum[p][o];
            if (job->residual != NULL) result = vec_add(result, vec_load(job->residual + offset));
            vec_store(job->output + offset, vec_clamp(result, low, high));
        }
    }
}

#define SL_DEFINE_GROUPED_KIND(name, kind, pixels)                         \
    static void SL_FN(grouped_##name##_##pixels)(const grouped_job *job) { \
        SL_FN(grouped_run)(pixels, kind, job);                             \
    }
#define SL_DEFINE_DOUBLE(pixels)                              \
    SL_DEFINE_GROUPED_KIND(double, GROUPED_DOUBLE, pixels)    \
    SL_DEFINE_GROUPED_KIND(first, GROUPED_PAIR_SPLAT, pixels) \
    SL_DEFINE_GROUPED_KIND(second, GROUPED_SPLAT_PAIR, pixels)
#define SL_DEFINE_GROUPED(pixels)                            \
    SL_DEFINE_GROUPED_KIND(splat, GROUPED_SPLAT, pixels)     \
    SL_DEFINE_GROUPED_KIND(permute, GROUPED_PERMUTE, pixels) \
    SL_DEFINE_GROUPED_KIND(pair, GROUPED_PAIR, pixels)       \
    SL_DEFINE_GROUPED_KIND(blend, GROUPED_BLEND, pixels)
#define SL_GROUPED_CELLS(pixels)                             \
    [pixels] = {                                             \
        [GROUPED_SPLAT] = SL_FN(grouped_splat_##pixels),     \
        [GROUPED_PERMUTE] = SL_FN(grouped_permute_##pixels), \
        [GROUPED_PAIR] = SL_FN(grouped_pair_##pixels),       \
        [GROUPED_BLEND] = SL_FN(grouped_blend_##pixels),     \
    },
SL_DEFINE_GROUPED(1)
SL_FOR_TILE_SIZES(SL_DEFINE_GROUPED)
SL_FOR_HALF_PANEL_SIZES(SL_DEFINE_GROUPED)
SL_DEFINE_DOUBLE(1)
SL_FOR_TILE_SIZES(SL_DEFINE_DOUBLE)

static const grouped_fn SL_FN(grouped_table)[][GROUPED_BLEND + 1] = {
    SL_GROUPED_CELLS(1) SL_FOR_TILE_SIZES(SL_GROUPED_CELLS)
        SL_FOR_HALF_PANEL_SIZES(SL_GROUPED_CELLS)};

#define SL_DOUBLE_CELLS(pixels)                                                 \
    [pixels] = {                                                                \
        [GROUPED_DOUBLE - GROUPED_DOUBLE] = SL_FN(grouped_double_##pixels),     \
        [GROUPED_PAIR_SPLAT - GROUPED_DOUBLE] = SL_FN(grouped_first_##pixels),  \
        [GROUPED_SPLAT_PAIR - GROUPED_DOUBLE] = SL_FN(grouped_second_##pixels), \
    },
static const grouped_fn SL_FN(double_table)[][GROUPED_SPLAT_PAIR - GROUPED_DOUBLE + 1] = {
    SL_DOUBLE_CELLS(1) SL_FOR_TILE_SIZES(SL_DOUBLE_CELLS)};

// Outputs [first, end) along one axis whose taps are all inside the image.
static sl_span SL_FN(inner_outputs)(const int32_t *taps, size_t count, uint32_t stride,
                                    uint32_t in_size, uint32_t out_size) {
    const sl_gather_axis axis = sl_gather_along(taps, count, stride);
    if (count == 0) return (sl_span){0, out_size};
    const int64_t last = (int64_t)in_size - 1 - axis.max_tap;
    const int64_t first = axis.min_tap < 0 ? (stride - 1 - (int64_t)axis.min_tap) / stride : 0;
    const int64_t end = last < 0 ? 0 : last / stride + 1;
    const size_t from = sl_min_size((size_t)first, out_size);
    const size_t to = sl_min_size((size_t)end, out_size);
    return (sl_span){from, to < from ? from : to};
}

// Where a block's outputs and their input are, for runs along a row or a column.
typedef struct {
    grouped_job job;
    float *output;
    const float *residual;
} grouped_block;

// `count` outputs from (oy, ox) on, neighbours in a row or in a column.
static void SL_FN(grouped_line)(grouped_block *block, size_t oy, size_t ox, size_t count,
                                bool is_column) {
    const sl_grouped_args *const args = block->job.args;
    grouped_job *const job = &block->job;
    job->step =
        is_column ? args->stride_h * args->in_row_stride : args->stride_w * args->in_pixel_stride;
    job->out_step = is_column ? args->out_row_stride : args->out_pixel_stride;
    const grouped_kind kind = job->lanes->kind;
    const bool is_double = kind >= GROUPED_DOUBLE;
    // Two inputs a pixel take the registers of two pixels.
    const size_t most = !is_double               ? SL_HALF_PANEL_PIXELS
                        : kind == GROUPED_DOUBLE ? SL_TILE_PIXELS
                                                 : SL_TILE_PIXELS - 2;
    const sl_tile_cut cut = sl_cut_tiles(count, most);
    for (size_t run = 0; run < cut.count; run++) {
        const size_t first = sl_tile_first(cut, run);
        const size_t y = is_column ? oy + first : oy, x = is_column ? ox : ox + first;
        const size_t offset = y * args->out_row_stride + x * args->out_pixel_stride;
        job->y = (int64_t)(y * args->stride_h);
        job->x = (int64_t)(x * args->stride_w);
        job->output = block->output + offset;
        job->residual = block->residual == NULL ? NULL : block->residual + offset;
        const size_t pixels = cut.base + (run < cut.larger);
        if (is_double) {
            SL_FN(double_table)[pixels][kind - GROUPED_DOUBLE](job);
        } else {
            SL_FN(grouped_table)[pixels][kind](job);
        }
    }
}

// Rows [rows.first, rows.end) of block `number` of outputs of one image; of it and the next where
// `lanes` are those of both.
static void SL_FN(grouped_rows)(const sl_grouped_args *args, size_t image, size_t number,
                                sl_span rows, const grouped_lanes *lanes) {
    const size_t start = image * args->out_image_stride + number * args->out_block_stride;
    const size_t weight_rows = 1 + (size_t)args->channels_per_group * args->taps;
    grouped_block block = {
        .job = {.args = args,
                .lanes = lanes,
                .weights = args->weights + number * weight_rows * VEC_LANES,
                .image = args->input + image * args->in_image_stride},
        .output = args->output + start,
        .residual = args->residual == NULL ? NULL : args->residual + start,
    };
    // Columns whose taps are all inside go along the rows, the others down the rows whose are.
    const sl_span inner_rows =
        SL_FN(inner_outputs)(args->tap_dy, args->taps, args->stride_h, args->in_h, args->out_h);
    const sl_span inner =
        SL_FN(inner_outputs)(args->tap_dx, args->taps, args->stride_w, args->in_w, args->out_w);
    for (size_t oy = rows.first; oy < rows.end; oy++) {
        SL_FN(grouped_line)(&block, oy, inner.first, inner.end - inner.first, false);
    }
    for (size_t ox = 0; ox < args->out_w; ox++) {
        if (ox == inner.first) ox = inner.end;
        if (ox >= args->out_w) break;
        for (size_t oy = rows.first; oy < rows.end;) {
            const bool is_inner = oy >= inner_rows.first && oy < inner_rows.end;
            const size_t end = is_inner ? sl_min_size(inner_rows.end, rows.end) : oy + 1;
            SL_FN(grouped_line)(&block, oy, ox, end - oy, true);
            oy = end;
        }
    }
    if (!SL_FN(acts_after_store)(args->activation)) return;
    for (size_t oy = rows.first; oy < rows.end; oy++) {
        for (size_t o = 0; o < (lanes->kind >= GROUPED_DOUBLE ? 2 : 1); o++) {
            float *const line =
                block.output + o * args->out_block_stride + oy * args->out_row_stride;
            SL_FN(sl_activate_rows)
            (args->out_w, VEC_LANES, line, args->out_pixel_stride, line, args->out_pixel_stride,
             args->activation);
        }
    }
}

// Whether rows follow each other without a gap and each pixel reads the one in its place alone.
static bool SL_FN(is_flat_group)(const sl_grouped_args *args) {
    return args->taps == 1 && args->tap_dy[0] == 0 && args->tap_dx[0] == 0 && args->stride_h == 1 &&
           args->stride_w == 1 && args->in_w == args->out_w && args->in_h == args->out_h &&
           args->in_row_stride == args->in_w * args->in_pixel_stride &&
           args->out_row_stride == args->out_w * args->out_pixel_stride;
}

static void SL_FN(sl_grouped)(const void *raw_args, size_t task, float *scratch) {
    (void)scratch;
    sl_grouped_args args = *(const sl_grouped_args *)raw_args;
    const size_t pairs = sl_ceil_div(args.blocks, 2);
    const sl_row_task at = sl_row_task_at(task, pairs, args.out_h, args.rows_per_task);
    assert(at.image < args.images);
    sl_span rows = at.rows;
    const size_t number = at.plane * 2;
    if (SL_FN(is_flat_group)(&args)) {
        // All rows are one long row.
        args.input += rows.first * args.in_row_stride;
        args.output += rows.first * args.out_row_stride;
        if (args.residual != NULL) args.residual += rows.first * args.out_row_stride;
        args.in_w = args.out_w = (uint32_t)((rows.end - rows.first) * args.out_w);
        args.in_h = args.out_h = 1;
        rows = (sl_span){0, 1};
    }
    grouped_lanes lanes, next;
    SL_FN(find_lanes)(&args, number, &lanes);
    const bool has_next = number + 1 < args.blocks;
    if (has_next) SL_FN(find_lanes)(&args, number + 1, &next);
    const bool is_double = has_next && SL_FN(join_lanes)(&lanes, &next);
    SL_FN(grouped_rows)(&args, at.image, number, rows, &lanes);
    if (has_next && !is_double) SL_FN(grouped_rows)(&args, at.image, number + 1, rows, &next);
}
