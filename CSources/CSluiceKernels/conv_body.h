// Convolution, transposed convolution and matrix product: cuts a task into tiles and panels and
// picks the kernel of each.
#pragma once

enum {
    // Floats of results that stay in the first cache until their activation.
    ACTIVATED_FLOATS = 4 * 1024,
    // Most taps of a strided tile, whose way from tap to tap is a table; others are indirect.
    STRIDED_TAPS = 49,
};

// What all tiles of a task have in common.
typedef struct {
    sl_tile_cut cut;
    size_t image;
    // Whether input (output) pixels are evenly spaced over the whole image, rows included.
    bool input_is_flat, output_is_flat;
    // Where pixel 0 of the image would be beside the pixels that were gathered; NULL when none are.
    const float *gathered;
    // From each tap to the next in floats, from the last to the first of the next channel block.
    int32_t tap_step[STRIDED_TAPS];
    ptrdiff_t first_tap;
    int32_t min_dy, max_dy, min_dx, max_dx;
} conv_plan;

SL_INLINE ptrdiff_t SL_FN(tap_offset)(const sl_conv_args *args, size_t tap) {
    return args->tap_dy[tap] * (ptrdiff_t)args->in_row_stride +
           args->tap_dx[tap] * (ptrdiff_t)args->in_pixel_stride;
}

static void SL_FN(plan_conv)(const sl_conv_args *args, size_t image, conv_plan *plan) {
    plan->image = image;
    plan->gathered = NULL;
    plan->cut = sl_cut_tiles((size_t)args->out_h * args->out_w, SL_TILE_PIXELS);
    plan->min_dy = plan->min_dx = INT32_MAX;
    plan->max_dy = plan->max_dx = INT32_MIN;
    for (uint32_t t = 0; t < args->taps; t++) {
        const int32_t dy = args->tap_dy[t], dx = args->tap_dx[t];
        if (dy < plan->min_dy) plan->min_dy = dy;
        if (dy > plan->max_dy) plan->max_dy = dy;
        if (dx < plan->min_dx) plan->min_dx = dx;
        if (dx > plan->max_dx) plan->max_dx = dx;
    }
    plan->first_tap = SL_FN(tap_offset)(args, 0);
    for (size_t t = 0; t < args->taps && args->taps <= STRIDED_TAPS; t++) {
        const bool is_last = t + 1 == args->taps;
        const ptrdiff_t next = is_last ? (ptrdiff_t)args->in_block_stride + plan->first_tap
                                       : SL_FN(tap_offset)(args, t + 1);
        plan->tap_step[t] = (int32_t)(next - SL_FN(tap_offset)(args, t));
    }
    const bool is_pointwise = plan->min_dy == 0 && plan->max_dy == 0 && plan->min_dx == 0 &&
                              plan->max_dx == 0 && args->stride_h == 1 && args->stride_w == 1;
    plan->input_is_flat = is_pointwise && args->taps <= STRIDED_TAPS && args->in_w == args->out_w &&
                          args->in_h == args->out_h &&
                          args->in_row_stride == args->in_w * args->in_pixel_stride;
    plan->output_is_flat = args->out_row_stride == args->out_w * args->out_pixel_stride;
}

// Fills in where the tile's pixels are; returns whether the tile needs the indirect kernel.
SL_INLINE bool SL_FN(place_tile)(const conv_plan *plan, const sl_conv_args *args, size_t first,
                                 size_t pixels, tile_job *job) {
    if (plan->output_is_flat) {
        SL_FN(space_evenly)(job, first * args->out_pixel_stride, args->out_pixel_stride);
        if (plan->input_is_flat && pixels > 1) {
            job->first = job->image + first * args->in_pixel_stride;
            return false;
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
    const bool is_inside = is_one_row && y0 + plan->min_dy >= 0 && x0 + plan->min_dx >= 0 &&
                           y0 + plan->max_dy < (int64_t)args->in_h &&
                           x_last + plan->max_dx < (int64_t)args->in_w;
    if (is_inside && pixels > 1 && args->taps <= STRIDED_TAPS) {
        job->first = job->image + (y0 * (ptrdiff_t)args->in_row_stride +
                                   x0 * (ptrdiff_t)args->in_pixel_stride + plan->first_tap);
        return false;
    }
    const bool is_even = plan->output_is_flat || is_one_row;
    if (!is_even) {
        job->out_first = 0;
        job->even_step = 0;
    }
    for (size_t p = 0; p < pixels; p++) {
        const uint32_t y = oy * args->stride_h, x = ox * args->stride_w;
        const size_t part = p / PIXEL_WORDS, word = p % PIXEL_WORDS;
        job->row[part][word] = y;
        job->column[part][word] = x;
        job->origin[part][word] =
            (y * args->in_row_stride + x * args->in_pixel_stride) * sizeof(float);
        if (!is_even) {
            job->out_offset[p] =
                (ptrdiff_t)(oy * args->out_row_stride + ox * args->out_pixel_stride);
        }
        if (++ox == width) {
            ox = 0;
            oy++;
        }
    }
    return true;
}

// Part of a task: tiles [first_tile, end_tile) of one panel, input channels from first_channel on.
typedef struct {
    size_t panel;
    size_t vectors;
    size_t first_tile, end_tile;
    size_t first_channel, channels;
} cell_run;

// Computes one run. Meanwhile asks for the lines the next panel's run will read: they come from
// far away.
static void SL_FN(run_tiles)(const conv_plan *plan, const sl_conv_args *args, const cell_run *run,
                             size_t next_panel, carrier *carrier, tile_job *job) {
    const size_t steps = run->channels / VEC_LANES * args->taps;
    const float *next_line = job->weights + next_panel;
    size_t lines_left =
        next_panel == 0 ? 0 : run->channels * args->taps * 2 * VEC_LANES / FLOATS_PER_LINE;
    // Bits do not depend on tiles, so a half panel cuts the same pixels anew.
    const size_t start = sl_tile_first(plan->cut, run->first_tile);
    const size_t end = sl_tile_first(plan->cut, run->end_tile);
    const sl_tile_cut cut =
        sl_cut_tiles(end - start, run->vectors == 1 ? SL_HALF_PANEL_PIXELS : SL_TILE_PIXELS);
    const bool is_flat = plan->input_is_flat && plan->output_is_flat;
    for (size_t tile = 0; tile < cut.count; tile += job->run) {
        const size_t first = start + sl_tile_first(cut, tile);
        job->pixels = cut.base + (tile < cut.larger);
        // Tiles of a size that stand evenly go in one call, apart where asking or carrying ends.
        job->run = 1;
        if (is_flat && job->pixels > 1) {
            job->run = (tile < cut.larger ? cut.larger : cut.count) - tile;
            if (lines_left > 0 && steps > 0) {
                job->run = sl_min_size(job->run, sl_ceil_div(lines_left, steps));
            }
            job->run_step = job->pixels * args->in_pixel_stride;
            job->run_out_step = job->pixels * args->out_pixel_stride;
        }
        job->prefetch = lines_left > 0 ? next_line : job->weights;
        job->prefetch_step = lines_left > 0 ? FLOATS_PER_LINE : 0;
        SL_FN(load_carrier)(carrier, job->pixels > 1 ? steps : 0, job);
        lines_left -= sl_min_size(lines_left, job->run * steps);
        next_line += job->run * steps * FLOATS_PER_LINE;
        const bool is_indirect = SL_FN(place_tile)(plan, args, first, job->pixels, job);
        const tile_fn tile_kernel = is_indirect
                                        ? SL_FN(indirect_table)[job->pixels][run->vectors - 1]
                                        : SL_FN(strided_table)[job->pixels][run->vectors - 1];
        tile_kernel(job);
    }
}

static void SL_FN(run_panel)(const conv_plan *plan, const sl_conv_args *args, const cell_run *run,
                             carrier *carrier, tile_job *job) {
    const size_t width = run->vectors * VEC_LANES;
    const size_t panel_floats = 2 * VEC_LANES * (1 + (size_t)args->taps * args->channels);
    const size_t channels_left = args->out_channels - run->panel * 2 * VEC_LANES;
    const size_t last_channels = channels_left - (run->vectors - 1) * VEC_LANES;
    const size_t offset =
        plan->image * args->out_image_stride + run->panel * 2 * args->out_block_stride;
    const bool is_first = run->first_channel == 0;
    const bool is_last = run->first_channel + run->channels == args->channels;
    const bool is_clamp = is_last && args->activation.kind == SL_ACTIVATION_CLAMP;
    const size_t rows_before = is_first ? 0 : 1 + run->first_channel * args->taps;
    job->channels = run->channels;
    job->resumes = !is_first;
    job->weights = args->weights + run->panel * panel_floats + rows_before * width;
    job->image = plan->gathered != NULL
                     ? plan->gathered
                     : args->input + plan->image * args->in_image_stride +
                           run->first_channel / VEC_LANES * args->in_block_stride;
    job->output = args->output + offset;
    job->residual = is_last && args->residual != NULL ? args->residual + offset : NULL;
    job->tail = args->mask_tail && last_channels < VEC_LANES ? last_channels : VEC_LANES;
    job->low = is_clamp ? args->activation.p0 : -INFINITY;
    job->high = is_clamp ? args->activation.p1 : INFINITY;
    // The next panel's rows of the same channels, when it is a full one.
    const bool has_next = channels_left >= 4 * VEC_LANES;
    SL_FN(run_tiles)(plan, args, run, has_next ? panel_floats : 0, carrier, job);
}

// The activations that are not clamps, on cells just stored.
static void SL_FN(activate_run)(const conv_plan *plan, const sl_conv_args *args,
                                const cell_run *run, tile_job *job) {
    for (size_t tile = run->first_tile; tile < run->end_tile; tile++) {
        const size_t pixels = plan->cut.base + (tile < plan->cut.larger);
        SL_FN(place_tile)(plan, args, sl_tile_first(plan->cut, tile), pixels, job);
        SL_FN(activate_tile)(job, pixels, run->vectors, args->activation);
    }
}

// Copies the input pixels of tiles [first_tile, end_tile) and of the run's channels side by side:
// [channel block][pixel][lane].
static void SL_FN(gather_pixels)(const sl_conv_args *args, const cell_run *run, conv_plan *plan,
                                 float *scratch) {
    const size_t first = sl_tile_first(plan->cut, run->first_tile);
    const size_t end = sl_tile_first(plan->cut, run->end_tile);
    const size_t blocks = sl_ceil_div(run->channels, VEC_LANES);
    const float *const image = args->input + plan->image * args->in_image_stride +
                               run->first_channel / VEC_LANES * args->in_block_stride;
    float *to = scratch;
    for (size_t block = 0; block < blocks; block++) {
        const float *const from = image + block * args->in_block_stride;
        size_t y = first / args->out_w, x = first % args->out_w;
        for (size_t pixel = first; pixel < end; pixel++, to += VEC_LANES) {
            const size_t row = y * args->stride_h * args->in_row_stride;
            vec_store(to, vec_load(from + row + x * args->stride_w * args->in_pixel_stride));
            if (++x == args->out_w) {
                x = 0;
                y++;
            }
        }
    }
    plan->tap_step[0] = (int32_t)((end - first) * VEC_LANES);
    plan->gathered = scratch - first * VEC_LANES;
}

static void SL_FN(sl_conv)(const void *raw_args, size_t task, float *scratch) {
    const sl_conv_args *const args = raw_args;
    const size_t tiles = sl_ceil_div((size_t)args->out_h * args->out_w, SL_TILE_PIXELS);
    const size_t panels = sl_panel_count(args->out_channels, VEC_LANES);
    const size_t pixel_groups = sl_ceil_div(tiles, args->tiles_per_task);
    const size_t panel_groups = sl_ceil_div(panels, args->panels_per_task);
    assert(task < args->images * pixel_groups * panel_groups);
    const size_t first_panel = task % panel_groups * args->panels_per_task;
    const size_t end_panel = sl_min_size(panels, first_panel + args->panels_per_task);
    const size_t pixel_group = task / panel_groups % pixel_groups;
    const size_t end_tile = sl_min_size(tiles, (pixel_group + 1) * args->tiles_per_task);
    const size_t image = task / panel_groups / pixel_groups;

    conv_plan plan;
    SL_FN(plan_conv)(args, image, &plan);
    tile_job job;
    memset(&job, 0, sizeof job);
    job.args = args;
    job.out_block_stride = args->out_block_stride;
    job.step = args->in_pixel_stride * args->stride_w;
    job.tap_step = plan.tap_step;

    // Channels in chunks, so that a panel's part stays close while tiles pass by; as many tiles at
    // a time as leave their input in the L2 cache while the panels pass by.
    const size_t chunk = sl_chunk_channels(args, VEC_LANES);
    const size_t first_tile = pixel_group * args->tiles_per_task;
    const bool gathers = args->gather_floats > 0;
    const size_t tile_floats =
        chunk * SL_TILE_PIXELS * (gathers ? 1 : args->stride_h * args->stride_w);
    const size_t room = gathers ? args->gather_floats - tile_floats : SL_PASS_INPUT_FLOATS;
    // Activations read a pass of a panel again: it should not have left the first cache.
    const bool acts_later = SL_FN(acts_after_store)(args->activation);
    const size_t most = 1 + room / tile_floats;
    const size_t close = 1 + ACTIVATED_FLOATS / (SL_TILE_PIXELS * 2 * VEC_LANES);
    const sl_tile_cut passes =
        sl_cut_tiles(end_tile - first_tile, acts_later ? sl_min_size(most, close) : most);
    if (gathers) {
        plan.input_is_flat = true;
        job.step = VEC_LANES;
    }
    carrier carrier = SL_FN(start_carrier)(&args->carried, task);
    for (size_t pass = 0; pass < passes.count; pass++) {
        cell_run run = {.first_tile = first_tile + sl_tile_first(passes, pass),
                        .end_tile = first_tile + sl_tile_first(passes, pass + 1)};
        for (size_t channel = 0; channel < args->channels; channel += chunk) {
            run.first_channel = channel;
            run.channels = sl_min_size(chunk, args->channels - channel);
            if (gathers) SL_FN(gather_pixels)(args, &run, &plan, scratch);
            const bool is_last = channel + run.channels == args->channels;
            for (run.panel = first_panel; run.panel < end_panel; run.panel++) {
                run.vectors = sl_panel_vectors(args->out_channels, VEC_LANES, run.panel);
                SL_FN(run_panel)(&plan, args, &run, &carrier, &job);
                if (is_last && acts_later) {
                    SL_FN(activate_run)(&plan, args, &run, &job);
                }
            }
        }
    }
    SL_FN(finish_carrier)(&carrier);
}
