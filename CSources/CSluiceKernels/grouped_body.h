// Grouped convolution whose groups do not fill vectors of channels: one or two vectors of outputs,
// a run of pixels in registers.
//
// Vectors with outputs of several groups are computed once for each of these, and the lanes of the
// group are stored; or at once for all, if the channels they read stand in one block of the input:
// a permutation of it.
//
// Each sum goes over the blocks in which its group has channels, in each over the taps and under
// each over the channels, whatever the run it is in; taps outside the image are left out.
#pragma once

// What the lanes of a pass read: all the same channel, or each one of the block, which vec_permute
// finds or, where groups are two or four lanes that read themselves, vec_splat_pairs and
// vec_splat_quads.
typedef enum { GROUPED_SPLAT, GROUPED_PERMUTE, GROUPED_PAIRS, GROUPED_QUADS } grouped_kind;

// What one pass computes of one or two vectors of outputs.
typedef struct {
    size_t vectors;
    // First input channel of the group. Of a permutation: first channel of the block, and the
    // channel in it that each lane reads for channel 0 of its group.
    size_t channel;
    grouped_kind kind;
    vec_index index;
    // Lanes of each vector that are stored, and whether those are all.
    vmask own[2];
    bool is_whole[2];
} grouped_pass;

// One step of a sum: channels of one block under one tap.
typedef struct {
    ptrdiff_t offset;  // of the input, from channel 0 under tap (0, 0)
    uint32_t weight_row;
    uint32_t channels;
} grouped_step;

// The steps of a sum, as many as there is room for. The sum goes on from channel `channel` of the
// group and tap `tap`; from the start again when that is past the end.
enum { LISTED_STEPS = 28 };
typedef struct {
    size_t count;
    size_t channel, tap;
    grouped_step step[LISTED_STEPS];
} step_list;

// Runs of as many pixels each, in a line, under which the same taps are inside the image.
typedef struct {
    const sl_grouped_args *args;
    const grouped_pass *pass;
    const float *weights;
    // Row and column of the first pixel's tap (0, 0), where channel 0 of row 0 and column 0 is, and
    // floats from one pixel to the next.
    int64_t y, x;
    const float *image;
    size_t step;
    float *output;
    const float *residual;
    size_t out_step;
    size_t runs;
    // The steps of whole sums under which all taps are inside, for runs of those; else NULL.
    const step_list *all_steps;
} grouped_job;

typedef void (*grouped_fn)(const grouped_job *job);

// Lists the steps that follow those listed before, leaving out taps outside the image.
static __attribute__((noinline)) void SL_FN(list_steps)(const grouped_job *job, step_list *list) {
    const sl_grouped_args *const args = job->args;
    const size_t channels = args->channels_per_group;
    size_t channel = list->channel < channels ? list->channel : 0, tap = list->tap;
    list->count = 0;
    while (channel < channels && list->count < LISTED_STEPS) {
        const size_t first = job->pass->channel + channel;
        const size_t left = channels - channel, lane = first % VEC_LANES;
        const size_t count =
            job->pass->kind == GROUPED_SPLAT ? sl_min_size(left, VEC_LANES - lane) : left;
        for (; tap < args->taps && list->count < LISTED_STEPS; tap++) {
            const int64_t y = job->y + args->tap_dy[tap], x = job->x + args->tap_dx[tap];
            if ((uint64_t)y >= args->in_h || (uint64_t)x >= args->in_w) continue;
            list->step[list->count++] = (grouped_step){
                .offset = args->tap_dy[tap] * (ptrdiff_t)args->in_row_stride +
                          args->tap_dx[tap] * (ptrdiff_t)VEC_LANES +
                          (ptrdiff_t)(first / VEC_LANES * args->in_block_stride + lane),
                .weight_row = (uint32_t)(1 + channel * args->taps + tap),
                .channels = (uint32_t)count,
            };
        }
        if (tap < args->taps) break;
        tap = 0;
        channel += count;
    }
    list->channel = channel;
    list->tap = tap;
}

// Where a step reads: pixels, or the block that is permuted; and weights, whose rows are `row`
// floats apart, those of the second vector `second` floats after those of the first.
typedef struct {
    pixel_source from;
    vec_index index;
    const float *weights;
    size_t row, second;
} grouped_walk;

// Adds `count` channels and goes on to the next.
SL_INLINE void SL_FN(add_grouped)(const int pixels, const int vectors, const grouped_kind kind,
                                  vec sum[][2], grouped_walk *walk, const size_t count) {
    SL_UNROLL for (size_t k = 0; k < count; k++) {
        vec w[2];
        SL_UNROLL for (int o = 0; o < vectors; o++) {
            w[o] = vec_load(walk->weights + (size_t)o * walk->second);
        }
        SL_UNROLL for (int p = 0; p < pixels; p++) {
            const float *const at = SL_FN(pixel_at)(&walk->from, p);
            const vec x =
                kind == GROUPED_SPLAT ? vec_splat(at[k]) : vec_permute(vec_load(at), walk->index);
            SL_UNROLL for (int o = 0; o < vectors; o++) {
                sum[p][o] = vec_fma(x, w[o], sum[p][o]);
                SL_FINISH_FIRST(sum[p][o]);
            }
        }
        walk->weights += walk->row;
        if (kind != GROUPED_SPLAT) walk->index = vec_index_add(walk->index, 1);
    }
    if (kind == GROUPED_SPLAT) SL_FN(skip_channels)(pixels, &walk->from, count);
}

// Adds all channels of groups of two or four lanes: a pixel is loaded once.
SL_INLINE void SL_FN(add_lanes)(const int pixels, const grouped_kind kind, vec sum[][2],
                                const grouped_walk *walk) {
    const int channels = kind == GROUPED_PAIRS ? 2 : 4;
    vec w[4];
    SL_UNROLL for (int k = 0; k < channels; k++) {
        w[k] = vec_load(walk->weights + (size_t)k * walk->row);
    }
    SL_UNROLL for (int p = 0; p < pixels; p++) {
        const vec pixel = vec_load(SL_FN(pixel_at)(&walk->from, p));
        SL_UNROLL for (int k = 0; k < channels; k++) {
            const vec x =
                kind == GROUPED_PAIRS ? vec_splat_pairs(pixel, k) : vec_splat_quads(pixel, k);
            sum[p][0] = vec_fma(x, w[k], sum[p][0]);
            SL_FINISH_FIRST(sum[p][0]);
        }
    }
}

// Adds the channels of a step.
SL_INLINE void SL_FN(add_step)(const int pixels, const int vectors, const grouped_kind kind,
                               vec sum[][2], grouped_walk *walk, size_t channels) {
    if (kind == GROUPED_PAIRS || kind == GROUPED_QUADS) {
        SL_FN(add_lanes)(pixels, kind, sum, walk);
        return;
    }
    _Pragma("clang loop unroll(disable)") for (size_t k = channels / 4; k > 0; k--) {
        SL_FN(add_grouped)(pixels, vectors, kind, sum, walk, 4);
    }
    if (channels & 2) SL_FN(add_grouped)(pixels, vectors, kind, sum, walk, 2);
    if (channels & 1) SL_FN(add_grouped)(pixels, vectors, kind, sum, walk, 1);
}

SL_INLINE void SL_FN(finish_grouped)(const int pixels, const int vectors, vec sum[][2],
                                     const grouped_job *job, size_t out_first) {
    const sl_grouped_args *const args = job->args;
    const size_t step = job->out_step, block = args->out_block_stride;
    if (job->residual != NULL) {
        const float *const from = job->residual + out_first;
        SL_UNROLL for (int p = 0; p < pixels; p++) {
            SL_UNROLL for (int o = 0; o < vectors; o++) {
                const vec more = vec_load(from + (size_t)p * step + (size_t)o * block);
                sum[p][o] = vec_add(sum[p][o], more);
            }
        }
    }
    if (args->activation.kind == SL_ACTIVATION_CLAMP) {
        const vec low = vec_splat(args->activation.p0), high = vec_splat(args->activation.p1);
        SL_UNROLL for (int p = 0; p < pixels; p++) {
            SL_UNROLL for (int o = 0; o < vectors; o++) {
                sum[p][o] = vec_clamp(sum[p][o], low, high);
            }
        }
    }
    SL_UNROLL for (int o = 0; o < vectors; o++) {
        float *const to = job->output + out_first + (size_t)o * block;
        if (job->pass->is_whole[o]) {
            SL_UNROLL for (int p = 0; p < pixels; p++) vec_store(to + (size_t)p * step, sum[p][o]);
            continue;
        }
        const vmask own = job->pass->own[o];
        SL_UNROLL for (int p = 0; p < pixels; p++) {
            float *const at = to + (size_t)p * step;
            vec_store(at, vec_select(own, sum[p][o], vec_load(at)));
        }
    }
}

SL_INLINE void SL_FN(grouped_runs)(const int pixels, const int vectors, const grouped_kind kind,
                                   const grouped_job *job) {
    const sl_grouped_args *const args = job->args;
    const size_t row = args->taps * (size_t)VEC_LANES;
    const size_t second = VEC_LANES + args->channels_per_group * row;
    const float *const first =
        job->image + job->y * (int64_t)args->in_row_stride + job->x * (int64_t)VEC_LANES;
    step_list own;
    own.channel = own.tap = 0;
    const step_list *const list = job->all_steps != NULL ? job->all_steps : &own;
    if (job->all_steps == NULL) SL_FN(list_steps)(job, &own);
    const bool is_all = list->channel == args->channels_per_group;
    for (size_t run = 0; run < job->runs; run++) {
        const float *const pixel = first + run * (size_t)pixels * job->step;
        vec sum[SL_HALF_PANEL_PIXELS][2];
        SL_UNROLL for (int o = 0; o < vectors; o++) {
            const vec bias = vec_load(job->weights + (size_t)o * second);
            SL_UNROLL for (int p = 0; p < pixels; p++) sum[p][o] = bias;
        }
        for (;;) {
            for (size_t i = 0; i < list->count; i++) {
                const grouped_step *const step = &list->step[i];
                grouped_walk walk = {
                    .from = {.first = pixel + step->offset, .step = job->step},
                    .index = job->pass->index,
                    .weights = job->weights + (size_t)step->weight_row * VEC_LANES,
                    .row = row,
                    .second = second,
                };
                SL_FN(start_bases)(pixels, &walk.from);
                SL_FN(add_step)(pixels, vectors, kind, sum, &walk, step->channels);
            }
            if (is_all) break;
            const bool is_end = own.channel == args->channels_per_group;
            // The first steps of the next run follow the last of this one.
            SL_FN(list_steps)(job, &own);
            if (is_end) break;
        }
        SL_FN(finish_grouped)(pixels, vectors, sum, job, run * (size_t)pixels * job->out_step);
    }
}

#define SL_DEFINE_GROUPED_KIND(name, pixels, vectors, kind)                \
    static void SL_FN(grouped_##name##_##pixels)(const grouped_job *job) { \
        SL_FN(grouped_runs)(pixels, vectors, kind, job);                   \
    }
#define SL_DEFINE_GROUPED(pixels)                               \
    SL_DEFINE_GROUPED_KIND(splat, pixels, 1, GROUPED_SPLAT)     \
    SL_DEFINE_GROUPED_KIND(permute, pixels, 1, GROUPED_PERMUTE) \
    SL_DEFINE_GROUPED_KIND(pairs, pixels, 1, GROUPED_PAIRS)     \
    SL_DEFINE_GROUPED_KIND(quads, pixels, 1, GROUPED_QUADS)
#define SL_DEFINE_GROUPED_WIDE(pixels) SL_DEFINE_GROUPED_KIND(wide, pixels, 2, GROUPED_SPLAT)
SL_DEFINE_GROUPED(1)
SL_FOR_TILE_SIZES(SL_DEFINE_GROUPED)
SL_FOR_HALF_PANEL_SIZES(SL_DEFINE_GROUPED)
SL_DEFINE_GROUPED_WIDE(1)
SL_FOR_TILE_SIZES(SL_DEFINE_GROUPED_WIDE)

// The kernels of runs of one vector, by pixels and kind, and of two.
#define SL_GROUPED_CELLS(pixels)                             \
    [pixels] = {                                             \
        [GROUPED_SPLAT] = SL_FN(grouped_splat_##pixels),     \
        [GROUPED_PERMUTE] = SL_FN(grouped_permute_##pixels), \
        [GROUPED_PAIRS] = SL_FN(grouped_pairs_##pixels),     \
        [GROUPED_QUADS] = SL_FN(grouped_quads_##pixels),     \
    },
static const grouped_fn SL_FN(grouped_table)[][GROUPED_QUADS + 1] = {
    SL_GROUPED_CELLS(1) SL_FOR_TILE_SIZES(SL_GROUPED_CELLS)
        SL_FOR_HALF_PANEL_SIZES(SL_GROUPED_CELLS)};
#define SL_GROUPED_WIDE_CELL(pixels) [pixels] = SL_FN(grouped_wide_##pixels),
static const grouped_fn SL_FN(grouped_wide_table)[] = {SL_GROUPED_WIDE_CELL(1)
                                                           SL_FOR_TILE_SIZES(SL_GROUPED_WIDE_CELL)};

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
    grouped_job *const job = &block->job;
    const sl_grouped_args *const args = job->args;
    const grouped_pass *const pass = job->pass;
    const bool is_wide = pass->vectors == 2;
    job->step = is_column ? args->stride_h * args->in_row_stride : args->stride_w * VEC_LANES;
    job->out_step = is_column ? args->out_row_stride : args->out_pixel_stride;
    const size_t most = is_wide                       ? SL_TILE_PIXELS
                        : pass->kind == GROUPED_SPLAT ? SL_HALF_PANEL_PIXELS
                                                      : sl_min_size(SL_HALF_PANEL_PIXELS, 8);
    const sl_tile_cut cut = sl_cut_tiles(count, most);
    for (size_t run = 0; run < cut.count; run += job->runs) {
        const size_t first = sl_tile_first(cut, run);
        const size_t y = is_column ? oy + first : oy, x = is_column ? ox : ox + first;
        const size_t offset = y * args->out_row_stride + x * args->out_pixel_stride;
        job->y = (int64_t)(y * args->stride_h);
        job->x = (int64_t)(x * args->stride_w);
        job->output = block->output + offset;
        job->residual = block->residual == NULL ? NULL : block->residual + offset;
        job->runs = (run < cut.larger ? cut.larger : cut.count) - run;
        const size_t pixels = cut.base + (run < cut.larger);
        if (is_wide) {
            SL_FN(grouped_wide_table)[pixels](job);
        } else {
            SL_FN(grouped_table)[pixels][pass->kind](job);
        }
    }
}

// Rows [rows.first, rows.end) of a pass over the blocks from `number` on of one image.
static void SL_FN(run_pass)(const sl_grouped_args *args, size_t image, size_t number, sl_span rows,
                            const grouped_pass *pass) {
    const size_t start = image * args->out_image_stride + number * args->out_block_stride;
    const size_t weight_rows = 1 + (size_t)args->channels_per_group * args->taps;
    grouped_block block = {
        .job = {.args = args,
                .pass = pass,
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
    step_list all_steps;
    all_steps.channel = all_steps.tap = 0;
    block.job.y = (int64_t)inner_rows.first * args->stride_h;
    block.job.x = (int64_t)inner.first * args->stride_w;
    SL_FN(list_steps)(&block.job, &all_steps);
    const bool fits = all_steps.channel == args->channels_per_group;
    for (size_t oy = rows.first; oy < rows.end; oy++) {
        const bool is_inner = oy >= inner_rows.first && oy < inner_rows.end;
        block.job.all_steps = fits && is_inner ? &all_steps : NULL;
        SL_FN(grouped_line)(&block, oy, inner.first, inner.end - inner.first, false);
    }
    block.job.all_steps = NULL;
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
}

// The lanes [first, end) of a vector.
static vmask SL_FN(lanes_between)(size_t first, size_t end) {
    float marks[VEC_LANES];
    for (size_t lane = 0; lane < VEC_LANES; lane++) marks[lane] = lane >= first && lane < end;
    return vec_less(vec_zero(), vec_load(marks));
}

// The group of an output. Padding lanes have zero weights and go with the last.
static size_t SL_FN(group_of_output)(const sl_grouped_args *args, size_t output) {
    return sl_min_size(output, args->out_channels - 1) / args->out_channels_per_group;
}

// Whether the vector of outputs from `first` on is of several groups and one block holds all they
// read; then makes the pass that computes it.
static bool SL_FN(permute_vector)(const sl_grouped_args *args, size_t first, grouped_pass *pass) {
    const size_t group = SL_FN(group_of_output)(args, first);
    const size_t last = SL_FN(group_of_output)(args, first + VEC_LANES - 1);
    const size_t channel = group * args->channels_per_group;
    const size_t end = (last + 1) * args->channels_per_group;
    if (group == last || channel / VEC_LANES != (end - 1) / VEC_LANES) return false;
    int32_t index[VEC_LANES];
    // Whether each lane reads its own group, of so many lanes.
    const size_t size = args->channels_per_group;
    bool reads_itself = size == 2 || size == 4;
    for (size_t lane = 0; lane < VEC_LANES; lane++) {
        const size_t own = SL_FN(group_of_output)(args, first + lane) * size % VEC_LANES;
        index[lane] = (int32_t)own;
        reads_itself = reads_itself && own == lane / size * size;
    }
    *pass = (grouped_pass){
        .vectors = 1,
        .channel = channel / VEC_LANES * VEC_LANES,
        .kind = !reads_itself ? GROUPED_PERMUTE
                : size == 2   ? GROUPED_PAIRS
                              : GROUPED_QUADS,
        .index = vec_index_load(index),
        .is_whole = {true},
    };
    return true;
}

// The outputs of one group among the vectors [span.first, span.end), in outputs. Returns how many
// vectors are before it.
static size_t SL_FN(group_pass)(const sl_grouped_args *args, sl_span span, size_t group,
                                grouped_pass *pass) {
    const size_t size = args->out_channels_per_group;
    const bool is_last = (group + 1) * size == args->out_channels;
    const size_t from = group * size < span.first ? 0 : group * size - span.first;
    const size_t to =
        is_last ? span.end - span.first : sl_min_size((group + 1) * size, span.end) - span.first;
    const size_t before = from / VEC_LANES;
    *pass = (grouped_pass){
        .vectors = sl_ceil_div(to, VEC_LANES) - before,
        .channel = group * args->channels_per_group,
    };
    for (size_t o = 0; o < pass->vectors; o++) {
        const size_t start = (before + o) * VEC_LANES;
        const size_t first = from < start ? 0 : from - start;
        const size_t end = sl_min_size(to - start, VEC_LANES);
        pass->own[o] = SL_FN(lanes_between)(first, end);
        pass->is_whole[o] = first == 0 && end == VEC_LANES;
    }
    return before;
}

// Rows of the blocks [first, end), at most two, of one image.
static void SL_FN(grouped_blocks)(const sl_grouped_args *args, size_t image, size_t first,
                                  size_t end, sl_span rows) {
    const sl_span outputs = {args->first_channel + first * VEC_LANES,
                             args->first_channel + end * VEC_LANES};
    const size_t last = SL_FN(group_of_output)(args, outputs.end - 1);
    grouped_pass pass;
    for (size_t group = SL_FN(group_of_output)(args, outputs.first); group <= last; group++) {
        const size_t before = SL_FN(group_pass)(args, outputs, group, &pass);
        SL_FN(run_pass)(args, image, first + before, rows, &pass);
    }
}

// Whether rows follow each other without a gap and each pixel reads the one in its place alone.
static bool SL_FN(is_flat_group)(const sl_grouped_args *args) {
    return args->taps == 1 && args->tap_dy[0] == 0 && args->tap_dx[0] == 0 && args->stride_h == 1 &&
           args->stride_w == 1 && args->in_w == args->out_w && args->in_h == args->out_h &&
           args->in_row_stride == args->in_w * VEC_LANES &&
           args->out_row_stride == args->out_w * args->out_pixel_stride;
}

static void SL_FN(sl_grouped)(const void *raw_args, size_t task, float *scratch) {
    (void)scratch;
    sl_grouped_args args = *(const sl_grouped_args *)raw_args;
    const size_t pairs = sl_ceil_div(args.blocks, 2);
    const sl_row_task at = sl_row_task_at(task, pairs, args.out_h, args.rows_per_task);
    assert(at.image < args.images);
    sl_span rows = at.rows;
    if (SL_FN(is_flat_group)(&args)) {
        // All rows are one long row.
        args.input += rows.first * args.in_row_stride;
        args.output += rows.first * args.out_row_stride;
        if (args.residual != NULL) args.residual += rows.first * args.out_row_stride;
        args.in_w = args.out_w = (uint32_t)((rows.end - rows.first) * args.out_w);
        args.in_h = args.out_h = 1;
        rows = (sl_span){0, 1};
    }
    const size_t first = at.plane * 2, end = sl_min_size(first + 2, args.blocks);
    grouped_pass pass;
    for (size_t block = first; block < end;) {
        size_t next = block;
        while (next < end &&
               !SL_FN(permute_vector)(&args, args.first_channel + next * VEC_LANES, &pass)) {
            next++;
        }
        if (block < next) SL_FN(grouped_blocks)(&args, at.image, block, next, rows);
        if (next < end) SL_FN(run_pass)(&args, at.image, next, rows, &pass);
        block = next + 1;
    }
    if (!SL_FN(acts_after_store)(args.activation)) return;
    for (size_t o = first; o < end; o++) {
        for (size_t oy = rows.first; oy < rows.end; oy++) {
            float *const line = args.output + at.image * args.out_image_stride +
                                o * args.out_block_stride + oy * args.out_row_stride;
            SL_FN(sl_activate_rows)
            (args.out_w, VEC_LANES, line, args.out_pixel_stride, line, args.out_pixel_stride,
             args.activation);
        }
    }
}
