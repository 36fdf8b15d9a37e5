// Convolution, transposed convolution and matrix product: cuts a task into tiles and panels and
// picks the kernel of each.
#pragma once

enum {
    // Floats of results that stay in the first cache until their activation.
    ACTIVATED_FLOATS = 4 * 1024,
};

// What all tiles of a task have in common.
typedef struct {
    sl_tile_cut cut;
    size_t image;
    // Whether what tiles read holds every pixel under every tap, and there are not too many taps.
    bool is_inside;
    // Whether input (output) pixels are evenly spaced over the whole image, rows included.
    bool input_is_flat, output_is_flat;
    // The input tiles read: the image, or what was gathered of it, where all taps are inside.
    bool is_gathered;
    // Gathered pixel by pixel, through an affine map or as they are, not row by row.
    bool is_mapped;
    // Whether the L2 cache has the input.
    bool input_is_close;
    size_t row_stride, pixel_stride, block_stride;
    sl_gather_axis rows, columns;
    // From each tap to the next in floats, from the last to the first of the next channel block.
    int32_t tap_step[SL_STRIDED_TAPS];
    // Taps of the weights that are not computed, as of tile_job.
    size_t first_gap;
    uint8_t tap_gap[SL_STRIDED_TAPS];
    // From the start of what tiles read to pixel (0, 0) of the image under the first tap.
    ptrdiff_t origin;
} conv_plan;

SL_INLINE ptrdiff_t SL_FN(tap_offset)(const conv_plan *plan, const sl_conv_args *args, size_t tap) {
    return args->tap_dy[tap] * (ptrdiff_t)plan->row_stride +
           args->tap_dx[tap] * (ptrdiff_t)plan->pixel_stride;
}

static void SL_FN(plan_conv)(const sl_conv_args *args, size_t image, conv_plan *plan) {
    plan->image = image;
    plan->cut = sl_cut_tiles((size_t)args->out_h * args->out_w, SL_TILE_PIXELS);
    plan->is_gathered = args->gather_tiles > 0;
    plan->is_mapped = plan->is_gathered && sl_gathers_pixels(args, VEC_LANES);
    assert(plan->is_gathered || !args->affine.is_applied);
    plan->rows = sl_gather_along(args->tap_dy, args->taps, args->stride_h);
    plan->columns = sl_gather_along(args->tap_dx, args->taps, args->stride_w);
    const bool is_pointwise = plan->rows.min_tap == 0 && plan->rows.max_tap == 0 &&
                              plan->columns.min_tap == 0 && plan->columns.max_tap == 0;
    size_t width = args->in_w;
    bool all_is_inside = is_pointwise && args->in_w == args->out_w && args->in_h == args->out_h;
    plan->origin = 0;
    if (plan->is_mapped) {
        assert(all_is_inside && args->stride_h == 1 && args->stride_w == 1);
        plan->rows.stride = plan->columns.stride = 1;
        plan->pixel_stride = VEC_LANES;
        plan->row_stride = width * VEC_LANES;
        plan->block_stride = args->gather_tiles * SL_TILE_PIXELS * VEC_LANES;
    } else if (plan->is_gathered) {
        width = sl_gathered_places(plan->columns, args->out_w);
        const size_t rows = sl_gathered_places(plan->rows, sl_gather_rows(args, SL_TILE_PIXELS));
        plan->pixel_stride = VEC_LANES;
        plan->row_stride = width * VEC_LANES;
        plan->block_stride = rows * plan->row_stride;
        all_is_inside = width == args->out_w;
        plan->origin = -(plan->rows.min_tap * (ptrdiff_t)plan->row_stride +
                         plan->columns.min_tap * (ptrdiff_t)plan->pixel_stride);
    } else {
        plan->rows.stride = args->stride_h;
        plan->columns.stride = args->stride_w;
        plan->pixel_stride = args->in_pixel_stride;
        plan->row_stride = args->in_row_stride;
        plan->block_stride = args->in_block_stride;
    }
    plan->origin += args->taps > 0 ? SL_FN(tap_offset)(plan, args, 0) : 0;
    for (size_t t = 0; t < args->taps && args->taps <= SL_STRIDED_TAPS; t++) {
        const bool is_last = t + 1 == args->taps;
        const ptrdiff_t next = SL_FN(tap_offset)(plan, args, is_last ? 0 : t + 1) +
                               (is_last ? (ptrdiff_t)plan->block_stride : 0);
        plan->tap_step[t] = (int32_t)(next - SL_FN(tap_offset)(plan, args, t));
    }
    plan->first_gap = args->tap_index == NULL || args->taps == 0 ? 0 : args->tap_index[0];
    for (size_t t = 0; t < args->taps && args->tap_index != NULL; t++) {
        const uint32_t next =
            t + 1 < args->taps ? args->tap_index[t + 1] : args->packed_taps + args->tap_index[0];
        plan->tap_gap[t] = (uint8_t)(next - args->tap_index[t] - 1);
    }
    const sl_gather_axis rows = plan->rows, columns = plan->columns;
    const bool covers =
        plan->is_gathered ||
        (rows.min_tap >= 0 && columns.min_tap >= 0 &&
         (int64_t)(args->out_h - 1) * args->stride_h + rows.max_tap < (int64_t)args->in_h &&
         (int64_t)(args->out_w - 1) * args->stride_w + columns.max_tap < (int64_t)args->in_w);
    plan->is_inside = covers && args->taps > 0 && args->taps <= SL_STRIDED_TAPS;
    plan->input_is_flat = all_is_inside && args->taps > 0 && args->taps <= SL_STRIDED_TAPS &&
                          plan->rows.stride == 1 && plan->columns.stride == 1 &&
                          (args->in_h == 1 || plan->row_stride == width * plan->pixel_stride);
    plan->output_is_flat =
        args->out_h == 1 || args->out_row_stride == args->out_w * args->out_pixel_stride;
}

// Fills in where the tile's pixels are.
SL_INLINE tile_kind SL_FN(place_tile)(const conv_plan *plan, const sl_conv_args *args, size_t first,
                                      size_t pixels, tile_job *job) {
    job->first = job->image + plan->origin;
    if (plan->output_is_flat) {
        SL_FN(space_evenly)(job, first * args->out_pixel_stride, args->out_pixel_stride);
        if (plan->input_is_flat && pixels > 1) {
            job->first += first * plan->pixel_stride;
            return TILE_STRIDED;
        }
    }
    const uint32_t width = args->out_w;
    uint32_t oy = (uint32_t)first / width, ox = (uint32_t)first % width;
    const bool is_one_row = ox + pixels <= width;
    if (is_one_row && !plan->output_is_flat) {
        const size_t start = oy * args->out_row_stride + ox * args->out_pixel_stride;
        SL_FN(space_evenly)(job, start, args->out_pixel_stride);
    }
    const int64_t y0 = (int64_t)oy * args->stride_h, x0 = (int64_t)ox * args->stride_w;
    const int64_t x_last = x0 + (int64_t)(pixels - 1) * args->stride_w;
    const bool is_inside =
        plan->is_inside ||
        (is_one_row && y0 + plan->rows.min_tap >= 0 && x0 + plan->columns.min_tap >= 0 &&
         y0 + plan->rows.max_tap < (int64_t)args->in_h &&
         x_last + plan->columns.max_tap < (int64_t)args->in_w);
    if (is_inside && is_one_row && pixels > 1 && args->taps <= SL_STRIDED_TAPS) {
        job->first += oy * plan->rows.stride * plan->row_stride +
                      ox * plan->columns.stride * plan->pixel_stride;
        return TILE_STRIDED;
    }
    const bool is_placed = plan->is_inside && pixels > 1;
    const bool is_even = plan->output_is_flat || is_one_row;
    if (!is_even) {
        job->out_first = 0;
        job->even_step = 0;
    }
    for (size_t p = 0; p < pixels; p++) {
        const size_t y = oy * plan->rows.stride, x = ox * plan->columns.stride;
        const size_t place = y * plan->row_stride + x * plan->pixel_stride;
        if (is_placed) {
            job->each[p] = job->first + place;
        } else {
            const size_t part = p / PIXEL_WORDS, word = p % PIXEL_WORDS;
            job->row[part][word] = (uint32_t)y;
            job->column[part][word] = (uint32_t)x;
            job->origin[part][word] = place * sizeof(float);
        }
        if (!is_even) {
            job->out_offset[p] =
                (ptrdiff_t)(oy * args->out_row_stride + ox * args->out_pixel_stride);
        }
        if (++ox == width) {
            ox = 0;
            oy++;
        }
    }
    return is_placed ? TILE_PLACED : TILE_INDIRECT;
}

// Part of a task: tiles [first_tile, end_tile) of one panel, input channels from first_channel on.
typedef struct {
    size_t panel;
    size_t vectors;
    size_t first_tile, end_tile;
    size_t first_channel, channels;
    // Whether no run before read the same input in this pass: it is not in the L2 cache yet.
    bool reads_first;
} cell_run;

// Computes one run. Meanwhile asks for what is read next: it comes from far away.
static void SL_FN(run_tiles)(const conv_plan *plan, const sl_conv_args *args, const cell_run *run,
                             sl_next_read next, carrier *carrier, tile_job *job) {
    const size_t steps = run->channels / VEC_LANES * args->taps;
    const float *next_line = next.from;
    size_t lines_left = next.floats / FLOATS_PER_LINE;
    // Bits do not depend on tiles, so each width cuts the same pixels anew.
    static const size_t most_pixels[] = {SL_HALF_PANEL_PIXELS, SL_TILE_PIXELS, SL_TRIPLE_PIXELS};
    const size_t start = sl_tile_first(plan->cut, run->first_tile);
    const size_t end = sl_tile_first(plan->cut, run->end_tile);
    const sl_tile_cut cut = sl_cut_tiles(end - start, most_pixels[run->vectors - 1]);
    const bool is_flat = plan->input_is_flat && plan->output_is_flat;
    const size_t asked = SL_FN(spread_lines)(lines_left, steps * cut.count);
    for (size_t tile = 0; tile < cut.count; tile += job->run) {
        const size_t first = start + sl_tile_first(cut, tile);
        job->pixels = cut.base + (tile < cut.larger);
        const bool carries = job->pixels > 1 && carrier->floats > 0;
        job->lines_a_pass = lines_left > 0 ? asked : 0;
        if (carries && job->lines_a_pass < carrier->lines_a_pass) {
            job->lines_a_pass = carrier->lines_a_pass;
        }
        const size_t lines = steps * SL_FN(lines_a_step)(job->lines_a_pass);
        // Tiles of a size that stand evenly go in one call, apart where asking or carrying ends.
        job->run = 1;
        if (is_flat && job->pixels > 1) {
            job->run = (tile < cut.larger ? cut.larger : cut.count) - tile;
            if (lines_left > 0 && lines > 0) {
                job->run = sl_min_size(job->run, sl_ceil_div(lines_left, lines));
            }
            job->run_step = job->pixels * plan->pixel_stride;
            const bool asks_ahead = args->taps == 1 && run->reads_first && !plan->input_is_close;
            job->ask_step = asks_ahead ? (ptrdiff_t)job->run_step : 0;
            job->asks_close = args->asks_close || run->channels <= SL_ASK_CHANNELS;
            job->run_out_step = job->pixels * args->out_pixel_stride;
        }
        job->prefetch = lines_left > 0 ? next_line : job->weights;
        job->prefetch_step = lines_left > 0 ? FLOATS_PER_LINE : 0;
        SL_FN(load_carrier)(carrier, carries ? lines : 0, job);
        lines_left -= sl_min_size(lines_left, job->run * lines);
        next_line += job->run * lines * FLOATS_PER_LINE;
        const tile_kind kind = SL_FN(place_tile)(plan, args, first, job->pixels, job);
        SL_FN(tile_table)[kind][job->pixels][run->vectors - 1](job);
    }
}

// Where the weights of a panel for channels from `first_channel` on start: with the bias, or with
// the row at which a later chunk goes on.
static const float *SL_FN(panel_weights)(const sl_conv_args *args, size_t panel,
                                         size_t first_channel) {
    const size_t vectors = sl_panel_vectors(args->out_channels, VEC_LANES, panel);
    const size_t taps = sl_packed_taps(args);
    const size_t rows_before = first_channel == 0 ? 0 : 1 + first_channel * taps;
    const size_t panel_floats = sl_panel_floats(VEC_LANES, 1 + taps * args->channels);
    return args->weights + panel * panel_floats + rows_before * vectors * VEC_LANES;
}

static void SL_FN(run_panel)(const conv_plan *plan, const sl_conv_args *args, const cell_run *run,
                             sl_next_read next, carrier *carrier, tile_job *job) {
    const size_t channels_left = args->out_channels - run->panel * 2 * VEC_LANES;
    const size_t last_channels = channels_left - (run->vectors - 1) * VEC_LANES;
    const size_t offset =
        plan->image * args->out_image_stride + run->panel * 2 * args->out_block_stride;
    const bool is_first = run->first_channel == 0;
    const bool is_last = run->first_channel + run->channels == args->channels;
    job->channels = run->channels;
    job->resumes = !is_first;
    job->weights = SL_FN(panel_weights)(args, run->panel, run->first_channel);
    job->third =
        run->vectors < 3 ? NULL : SL_FN(panel_weights)(args, run->panel + 1, run->first_channel);
    if (!plan->is_gathered) {
        job->image = args->input + plan->image * args->in_image_stride +
                     run->first_channel / VEC_LANES * args->in_block_stride;
    }
    job->output = args->output + offset;
    // The residual itself goes with the first chunk: the output may lie where it was.
    const float *const added = is_first ? args->residual : args->output;
    job->residual = added != NULL ? added + offset : NULL;
    job->tail = args->mask_tail && last_channels < VEC_LANES ? last_channels : VEC_LANES;
    const sl_activation none = {.kind = SL_ACTIVATION_NONE};
    SL_FN(set_bounds)(job, is_last ? args->activation : none);
    SL_FN(run_tiles)(plan, args, run, next, carrier, job);
}

// Panels that a run computes: a half panel goes with the one before it.
SL_INLINE size_t SL_FN(run_panels)(const cell_run *run) {
    return (run->vectors + 1) / 2;
}

// What is read after a run: the weights of the next panel for the same channels, else of the first
// panel for the next channels, else for the first ones again in another pass; `next` after all.
static __attribute__((noinline)) sl_next_read SL_FN(read_after)(const sl_conv_args *args,
                                                                const cell_run *run, sl_span panels,
                                                                bool is_last_pass,
                                                                sl_next_read next) {
    const size_t chunk = sl_chunk_channels(args, VEC_LANES);
    size_t panel = run->panel + SL_FN(run_panels)(run);
    size_t first_channel = run->first_channel, channels = run->channels;
    if (panel >= panels.end) {
        panel = panels.first;
        first_channel += channels;
        if (first_channel == args->channels) {
            if (is_last_pass) return next;
            first_channel = 0;
        }
        channels = sl_min_size(chunk, args->channels - first_channel);
    }
    const size_t vectors = sl_panel_vectors(args->out_channels, VEC_LANES, panel);
    return (sl_next_read){
        .from = SL_FN(panel_weights)(args, panel, first_channel),
        .floats = channels * sl_packed_taps(args) * vectors * VEC_LANES,
    };
}

// The activations that are not clamps, on cells just stored: pixels that stand evenly in one call.
static void SL_FN(activate_run)(const conv_plan *plan, const sl_conv_args *args,
                                const cell_run *run, const tile_job *job) {
    const size_t end = sl_tile_first(plan->cut, run->end_tile), step = args->out_pixel_stride;
    size_t count;
    for (size_t first = sl_tile_first(plan->cut, run->first_tile); first < end; first += count) {
        const size_t y = first / args->out_w, x = first % args->out_w;
        count = plan->output_is_flat ? end - first : sl_min_size(args->out_w - x, end - first);
        float *const at = job->output + y * args->out_row_stride + x * step;
        for (size_t o = 0; o < run->vectors; o++) {
            const size_t cols = o + 1 < run->vectors ? VEC_LANES : job->tail;
            float *const rows = at + o * args->out_block_stride;
            SL_FN(sl_activate_rows)(count, cols, rows, step, rows, step, args->activation);
        }
    }
}

// Copies what is inside the image of a gathered row, which starts at column `first`, and puts zeros
// beside it. `row` is where column 0 is.
SL_INLINE void SL_FN(gather_row)(const sl_conv_args *args, sl_gather_axis columns, size_t width,
                                 const float *row, float *to) {
    const int64_t step = columns.step, first = columns.min_tap;
    const sl_span inside = sl_taps_inside(first, width, step, 0, args->in_w);
    memset(to, 0, inside.first * VEC_LANES * sizeof(float));
    const float *from = row + (first + (int64_t)inside.first * step) * VEC_LANES;
    for (size_t x = inside.first; x < inside.end; x++, from += step * VEC_LANES) {
        vec_store(to + x * VEC_LANES, vec_load(from));
    }
    memset(to + inside.end * VEC_LANES, 0, (width - inside.end) * VEC_LANES * sizeof(float));
}

// Gathers the input of the run's tiles and channels: [channel block][row][column][lane].
static void SL_FN(gather_rows)(const sl_conv_args *args, const cell_run *run, const conv_plan *plan,
                               float *scratch, tile_job *job) {
    const size_t first_row = sl_tile_first(plan->cut, run->first_tile) / args->out_w;
    const size_t last_row = (sl_tile_first(plan->cut, run->end_tile) - 1) / args->out_w;
    const size_t rows = sl_gathered_places(plan->rows, last_row - first_row + 1);
    const size_t width = plan->row_stride / VEC_LANES;
    const int64_t start = (int64_t)first_row * args->stride_h + plan->rows.min_tap;
    const float *block = args->input + plan->image * args->in_image_stride +
                         run->first_channel / VEC_LANES * args->in_block_stride;
    for (size_t b = 0; b < sl_ceil_div(run->channels, VEC_LANES); b++) {
        for (size_t r = 0; r < rows; r++) {
            const int64_t y = start + (int64_t)(r * plan->rows.step);
            float *const to = scratch + b * plan->block_stride + r * plan->row_stride;
            if (y >= 0 && y < (int64_t)args->in_h) {
                SL_FN(gather_row)
                (args, plan->columns, width, block + y * (int64_t)args->in_row_stride, to);
            } else {
                memset(to, 0, plan->row_stride * sizeof(float));
            }
        }
        block += args->in_block_stride;
    }
    // Tiles count rows from the image's first one.
    job->image = scratch - first_row * plan->rows.stride * plan->row_stride;
}

// Copies the input of the run's tiles and channels: [channel block][pixel][lane].
static void SL_FN(copy_pixels)(const sl_conv_args *args, const cell_run *run, const conv_plan *plan,
                               float *scratch, tile_job *job) {
    const size_t start = sl_tile_first(plan->cut, run->first_tile);
    const size_t end = sl_tile_first(plan->cut, run->end_tile);
    const float *const input = args->input + plan->image * args->in_image_stride +
                               run->first_channel / VEC_LANES * args->in_block_stride;
    for (size_t p = start; p < end; p++) {
        const float *from = input + p * args->in_pixel_stride;
        float *to = scratch + (p - start) * VEC_LANES;
        for (size_t c = 0; c < run->channels; c += VEC_LANES) {
            vec_store(to, vec_load(from));
            from += args->in_block_stride;
            to += plan->block_stride;
        }
    }
    // Tiles count pixels from the image's first one.
    job->image = scratch - start * VEC_LANES;
}

// Maps the input of the run's tiles and channels: [channel block][pixel][lane].
static void SL_FN(map_pixels)(const sl_conv_args *args, const cell_run *run, const conv_plan *plan,
                              float *scratch, tile_job *job) {
    const sl_input_affine *const affine = &args->affine;
    const size_t start = sl_tile_first(plan->cut, run->first_tile);
    const size_t pixels = sl_tile_first(plan->cut, run->end_tile) - start;
    const vec low = vec_splat(affine->low), high = vec_splat(affine->high);
    for (size_t c = 0; c < run->channels; c += VEC_LANES) {
        const size_t channel = run->first_channel + c;
        const size_t block = channel / VEC_LANES;
        const float *const from = args->input + plan->image * args->in_image_stride +
                                  block * args->in_block_stride + start * VEC_LANES;
        float *const to = scratch + c / VEC_LANES * plan->block_stride;
        vec scale = vec_splat(1), shift = vec_zero();
        if (affine->scale != NULL) {
            scale = vec_load(affine->scale + plan->image * affine->scale_image_stride +
                             block * affine->scale_block_stride);
        }
        if (affine->shift != NULL) shift = vec_load(affine->shift + channel);
        for (size_t i = 0; i < pixels * VEC_LANES; i += VEC_LANES) {
            vec_store(to + i, vec_clamp(vec_fma(vec_load(from + i), scale, shift), low, high));
        }
    }
    // Tiles count pixels from the image's first one.
    job->image = scratch - start * VEC_LANES;
}

static void SL_FN(gather_input)(const sl_conv_args *args, const cell_run *run,
                                const conv_plan *plan, float *scratch, tile_job *job) {
    if (args->affine.is_applied) {
        SL_FN(map_pixels)(args, run, plan, scratch, job);
    } else if (plan->is_mapped) {
        SL_FN(copy_pixels)(args, run, plan, scratch, job);
    } else {
        SL_FN(gather_rows)(args, run, plan, scratch, job);
    }
}

// The vectors of the run that starts at a panel: those of the panel and, with the last full panel,
// the one of the half panel after it, which alone would wait for its loads of input. Tiles of three
// vectors are there for pixels that need no addresses of their own.
static size_t SL_FN(run_vectors)(const conv_plan *plan, const sl_conv_args *args, size_t panel,
                                 size_t end_panel) {
    const size_t vectors = sl_panel_vectors(args->out_channels, VEC_LANES, panel);
    const bool is_direct = plan->is_gathered || (plan->input_is_flat && plan->output_is_flat);
    const bool is_single = (size_t)args->out_h * args->out_w == 1;
    if (SL_TRIPLE_PIXELS == 0 || !is_direct || is_single || panel + 1 >= end_panel) return vectors;
    const size_t next = sl_panel_vectors(args->out_channels, VEC_LANES, panel + 1);
    return next == 1 ? vectors + 1 : vectors;
}

// Whether the L2 cache keeps input until it is read again for other panels.
SL_INLINE bool SL_FN(stays_close)(size_t floats) {
    return floats <= 2 * SL_PASS_FLOATS;
}

// What a task has to do, and how many tasks there are.
typedef struct {
    size_t image;
    sl_span tiles, panels;
    size_t pixel_groups;
    size_t count;
} conv_task;

static conv_task SL_FN(locate_task)(const sl_conv_args *args, size_t task) {
    const sl_conv_grid grid = sl_conv_grid_of(args, VEC_LANES, SL_TILE_PIXELS);
    const size_t share = task / grid.pixel_groups;
    return (conv_task){
        .image = share / grid.panel_groups,
        .tiles = sl_group_of(grid.tiles, grid.pixel_groups, task % grid.pixel_groups),
        .panels = sl_group_of(grid.panels, grid.panel_groups, share % grid.panel_groups),
        .pixel_groups = grid.pixel_groups,
        .count = args->images * grid.pixel_groups * grid.panel_groups,
    };
}

// Whether the L2 cache has the input of a task: its worker has read it for other panels.
static __attribute__((noinline)) bool SL_FN(input_is_close)(const sl_conv_args *args, size_t task) {
    if (args->input_is_close) return true;
    const conv_task at = SL_FN(locate_task)(args, task);
    const sl_span own = sl_worker_share_of(task, at.count, args->next.workers).tasks;
    return at.panels.first > 0 && task >= own.first + at.pixel_groups &&
           SL_FN(stays_close)((size_t)args->in_h * args->in_w * args->channels);
}

// Tiles that go through all channels and panels together: as many as leave their input in the L2
// cache meanwhile. Activations read a pass of a panel again: it should not have left the first.
static size_t SL_FN(pass_tiles)(const sl_conv_args *args, const conv_plan *plan, size_t chunk) {
    const size_t tile_floats = chunk * SL_TILE_PIXELS * args->stride_h * args->stride_w;
    const size_t most = plan->is_gathered ? args->gather_tiles : 1 + SL_PASS_FLOATS / tile_floats;
    const size_t close = 1 + ACTIVATED_FLOATS / (SL_TILE_PIXELS * 2 * VEC_LANES);
    return SL_FN(acts_after_store)(args->activation) ? sl_min_size(most, close) : most;
}

static void SL_FN(sl_conv)(const void *raw_args, size_t number, float *scratch) {
    const sl_conv_args *const args = raw_args;
    const conv_task task = SL_FN(locate_task)(args, number);
    assert(number < task.count);
    conv_plan plan;
    SL_FN(plan_conv)(args, task.image, &plan);
    plan.input_is_close = SL_FN(input_is_close)(args, number);
    tile_job job;
    memset(&job, 0, sizeof job);
    job.args = args;
    job.out_block_stride = args->out_block_stride;
    job.asks_for_output = args->out_pixel_stride > VEC_LANES;
    job.step = plan.pixel_stride * plan.columns.stride;
    job.lines_come_close = args->asks_close;
    job.chunk = args->chunks_weights ? scratch : NULL;
    job.tap_step = plan.tap_step;
    job.first_gap = plan.first_gap;
    job.tap_gap = args->tap_index == NULL ? SL_FN(no_gap) : plan.tap_gap;
    job.gap_step = args->tap_index != NULL;

    // Channels in chunks, so that a panel's part stays close while tiles pass by.
    const size_t chunk = sl_chunk_channels(args, VEC_LANES);
    const size_t tiles = task.tiles.end - task.tiles.first;
    const sl_tile_cut passes = sl_cut_tiles(tiles, SL_FN(pass_tiles)(args, &plan, chunk));
    const size_t steps = args->channels / VEC_LANES * args->taps * tiles;
    carrier carrier = SL_FN(start_carrier)(&args->carried, number, task.count,
                                           steps * (task.panels.end - task.panels.first));
    const sl_next_read next = sl_next_of_task(&args->next, number, task.count);
    for (size_t pass = 0; pass < passes.count; pass++) {
        const bool is_last_pass = pass + 1 == passes.count;
        cell_run run = {.first_tile = task.tiles.first + sl_tile_first(passes, pass),
                        .end_tile = task.tiles.first + sl_tile_first(passes, pass + 1)};
        size_t channel = 0;
        // Without channels the sums are the bias.
        do {
            run.first_channel = channel;
            run.channels = sl_min_size(chunk, args->channels - channel);
            if (plan.is_gathered) SL_FN(gather_input)(args, &run, &plan, scratch, &job);
            const bool is_last = channel + run.channels == args->channels;
            run.panel = task.panels.first;
            while (run.panel < task.panels.end) {
                run.reads_first = run.panel == task.panels.first;
                run.vectors = SL_FN(run_vectors)(&plan, args, run.panel, task.panels.end);
                const sl_next_read after =
                    SL_FN(read_after)(args, &run, task.panels, is_last_pass, next);
                SL_FN(run_panel)(&plan, args, &run, after, &carrier, &job);
                if (is_last && SL_FN(acts_after_store)(args->activation)) {
                    SL_FN(activate_run)(&plan, args, &run, &job);
                }
                run.panel += SL_FN(run_panels)(&run);
            }
            channel += chunk;
        } while (channel < args->channels);
    }
    SL_FN(finish_carrier)(&carrier);
}

// The convolution of `rows` rows of `width` pixels as one call of its own, inside of another
// operation: it asks for `next`, and does not gather, copy or carry anything.
SL_INLINE void SL_FN(conv_alone)(sl_conv_args *conv, size_t rows, size_t width, sl_next_read next) {
    conv->images = 1;
    conv->in_h = conv->out_h = (uint32_t)rows;
    conv->in_w = conv->out_w = (uint32_t)width;
    conv->tiles_per_task = (uint32_t)(rows * width);
    conv->panels_per_task = (uint32_t)sl_panel_count(conv->out_channels, VEC_LANES);
    conv->gather_tiles = 0;
    conv->chunks_weights = false;
    conv->carried.floats = 0;
    conv->next = (sl_next_reads){.from = next.from, .floats = next.floats};
    SL_FN(sl_conv)(conv, 0, NULL);
}
