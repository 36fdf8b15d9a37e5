// The first layer: a row-major NCHW input of few channels, a blocked output.
//
// A task copies the input rows it needs, with their zero padding, into scratch; then no tap can
// fall outside and a tile of one output row is a plain strided walk. Sums are one chain of fused
// multiply-adds an element, in the order (channel, tap).
#pragma once

// Where a tile finds its input in the scratch, and how far it is from each tap to the next.
typedef struct {
    const float *first;
    size_t step;
    size_t taps;
    const int32_t *tap_step;
} planar_source;

typedef void (*planar_fn)(const tile_job *job, const planar_source *source);

// A run of neighbouring tiles of one row. One flat loop over channels and taps.
SL_INLINE void SL_FN(planar_tile)(const int pixels, const int vectors, const tile_job *job,
                                  const planar_source *source) {
    const size_t step = source->step, taps = source->taps;
    const int32_t *const tap_step = source->tap_step;
    const float *first = source->first;
    ptrdiff_t out_first = job->out_first;
    for (size_t tiles = job->run; tiles > 0; tiles--) {
        vec sum[SL_TILE_PIXELS][3];
        weight_rows weights = SL_FN(start_tile)(pixels, vectors, sum, job, out_first);
        const float *at = first;
        // Unrolled, neighbouring taps would share broadcasts and run out of registers.
        _Pragma("clang loop unroll(disable)") for (size_t t = 0; t < taps; t++) {
            vec w[2];
            SL_UNROLL for (int o = 0; o < vectors; o++) {
                w[o] = SL_FN(load_weights)(vectors, weights, 0, o);
            }
            SL_UNROLL for (int p = 0; p < pixels; p++) {
                const vec x = vec_splat(at[(size_t)p * step]);
                SL_UNROLL for (int o = 0; o < vectors; o++) {
                    sum[p][o] = vec_fma(x, w[o], sum[p][o]);
                    // Wide tiles fill the registers: no pixel may be loaded before its turn.
                    if (pixels > 8) SL_FINISH_FIRST(sum[p][o]);
                }
            }
            at += tap_step[t];
            weights = SL_FN(skip_rows)(vectors, weights, 1);
        }
        SL_FN(add_bias)(pixels, vectors, sum, job);
        SL_FN(finish_tile)(pixels, vectors, sum, job, out_first);
        first += (size_t)pixels * step;
        out_first += (ptrdiff_t)job->run_out_step;
    }
}

#ifndef SL_TILES_ARE_LOOPS
#define SL_DEFINE_PLANAR(pixels)                                                             \
    static void SL_FN(planar_##pixels##x1)(const tile_job *job, const planar_source *from) { \
        SL_FN(planar_tile)(pixels, 1, job, from);                                            \
    }                                                                                        \
    static void SL_FN(planar_##pixels##x2)(const tile_job *job, const planar_source *from) { \
        SL_FN(planar_tile)(pixels, 2, job, from);                                            \
    }
#define SL_PLANAR_ROW(pixels) [pixels] = {SL_FN(planar_##pixels##x1), SL_FN(planar_##pixels##x2)},
#else
#define SL_DEFINE_PLANAR(pixels)
#define SL_PLANAR_ROW(pixels) [pixels] = {SL_FN(planar_any_x1), SL_FN(planar_any_x2)},
static void SL_FN(planar_any_x1)(const tile_job *job, const planar_source *from) {
    SL_FN(planar_tile)((int)job->pixels, 1, job, from);
}
static void SL_FN(planar_any_x2)(const tile_job *job, const planar_source *from) {
    SL_FN(planar_tile)((int)job->pixels, 2, job, from);
}
#endif

SL_DEFINE_PLANAR(1)
SL_FOR_TILE_SIZES(SL_DEFINE_PLANAR)

static const planar_fn SL_FN(planar_table)[SL_TILE_PIXELS + 1][2] = {
    SL_PLANAR_ROW(1) SL_FOR_TILE_SIZES(SL_PLANAR_ROW)};

// Copies a part of a row of channel `c`, through the affine map of the input if there is one.
static void SL_FN(copy_planar_row)(const sl_input_affine *affine, size_t image, size_t c,
                                   const float *from, float *to, size_t count) {
    if (!affine->is_applied) {
        memcpy(to, from, count * sizeof(float));
        return;
    }
    const float *const factors = affine->scale;
    const size_t at = image * affine->scale_image_stride +
                      c / VEC_LANES * affine->scale_block_stride + c % VEC_LANES;
    const vec scale = vec_splat(factors == NULL ? 1 : factors[at]);
    const vec shift = vec_splat(affine->shift == NULL ? 0 : affine->shift[c]);
    const vec low = vec_splat(affine->low), high = vec_splat(affine->high);
    size_t i = 0;
    for (; i + VEC_LANES <= count; i += VEC_LANES) {
        vec_store(to + i, vec_clamp(vec_fma(vec_load(from + i), scale, shift), low, high));
    }
    if (i < count) {
        const vec x = vec_load_tail(from + i, count - i);
        vec_store_tail(to + i, count - i, vec_clamp(vec_fma(x, scale, shift), low, high));
    }
}

// Copies the rows that output rows from `first_row` on read, zeros where the image ends.
static void SL_FN(copy_padded_rows)(const sl_conv_nchw_args *args, size_t image, size_t first_row,
                                    size_t rows, size_t row_floats, float *target) {
    const int64_t top = (int64_t)(first_row * args->stride_h) - args->pad_top;
    const int64_t left = -(int64_t)args->pad_left;
    // Columns [from, to) of a padded row lie inside the image.
    const int64_t width = args->in_w;
    int64_t from = left < 0 ? -left : 0;
    if (from > (int64_t)row_floats) from = (int64_t)row_floats;
    int64_t to = width - left;
    if (to > (int64_t)row_floats) to = (int64_t)row_floats;
    if (to < from) to = from;
    for (size_t c = 0; c < args->channels; c++) {
        const float *const plane =
            args->input + image * args->in_image_stride + c * args->in_plane_stride;
        for (size_t r = 0; r < rows; r++, target += row_floats) {
            const int64_t y = top + (int64_t)r;
            if (y < 0 || y >= (int64_t)args->in_h) {
                memset(target, 0, row_floats * sizeof(float));
                continue;
            }
            const float *const line = plane + (size_t)y * args->in_row_stride;
            memset(target, 0, (size_t)from * sizeof(float));
            SL_FN(copy_planar_row)
            (&args->affine, image, c, line + (from + left), target + from, (size_t)(to - from));
            memset(target + to, 0, (row_floats - (size_t)to) * sizeof(float));
        }
    }
}

// Fills in the way from tap to tap, in the order (channel, row, column), through padded rows of
// `row` floats, `plane` floats a channel.
static void SL_FN(walk_taps)(const sl_conv_nchw_args *args, size_t plane, size_t row,
                             int32_t *tap_step) {
    const size_t next_row = args->dilation_h * row;
    const size_t row_width = (size_t)(args->kernel_w - 1) * args->dilation_w;
    const size_t height = (args->kernel_h - 1) * next_row;
    for (size_t c = 0; c < args->channels; c++) {
        for (size_t ky = 0; ky < args->kernel_h; ky++) {
            for (size_t kx = 0; kx + 1 < args->kernel_w; kx++) {
                *tap_step++ = (int32_t)args->dilation_w;
            }
            const bool is_last = ky + 1 == args->kernel_h;
            *tap_step++ = (int32_t)((is_last ? plane - height : next_row) - row_width);
        }
    }
}

// One output row of one panel.
static void SL_FN(run_planar_row)(const sl_conv_nchw_args *args, const planar_source *row,
                                  size_t vectors, tile_job *job) {
    const sl_tile_cut cut = sl_cut_tiles(args->out_w, SL_TILE_PIXELS);
    for (size_t tile = 0; tile < cut.count; tile += job->run) {
        const size_t first = sl_tile_first(cut, tile);
        planar_source source = *row;
        source.first += first * args->stride_w;
        job->pixels = cut.base + (tile < cut.larger);
        job->run = (tile < cut.larger ? cut.larger : cut.count) - tile;
        job->run_out_step = job->pixels * VEC_LANES;
        SL_FN(space_evenly)(job, first * VEC_LANES, VEC_LANES);
        SL_FN(planar_table)[job->pixels][vectors - 1](job, &source);
    }
    if (SL_FN(acts_after_store)(args->activation)) {
        SL_FN(sl_activate_rows)
        (vectors, (size_t)args->out_w * VEC_LANES, job->output, job->out_block_stride, job->output,
         job->out_block_stride, args->activation);
    }
}

// What the rows of one panel of one task share.
typedef struct {
    const sl_conv_nchw_args *args;
    planar_source source;
    // The row of the convolution that the scratch starts with.
    size_t first_row;
    size_t row_floats;
    size_t vectors;
    // Weights of a depthwise convolution for one block, 0 without one.
    size_t block_weights;
} planar_panel;

// Copies the padded input under rows [rows.first, rows.end) to the scratch, for any panel.
static planar_panel SL_FN(read_planar_rows)(const sl_conv_nchw_args *args, size_t image,
                                            sl_span rows, float *scratch) {
    const size_t count = rows.end - rows.first;
    const size_t in_rows = count > 0 ? sl_planar_rows(args, count) : 0;
    const size_t row_floats = sl_planar_row_floats(args);
    SL_FN(copy_padded_rows)(args, image, rows.first, in_rows, row_floats, scratch);
    const size_t plane = in_rows * row_floats;
    int32_t *const tap_step = (int32_t *)(scratch + args->channels * plane);
    SL_FN(walk_taps)(args, plane, row_floats, tap_step);
    const size_t taps = (size_t)args->channels * args->kernel_h * args->kernel_w;
    return (planar_panel){
        .args = args,
        .source = {.first = scratch, .step = args->stride_w, .taps = taps, .tap_step = tap_step},
        .first_row = rows.first,
        .row_floats = row_floats,
    };
}

static tile_job SL_FN(planar_job)(const sl_conv_nchw_args *args) {
    tile_job job;
    memset(&job, 0, sizeof job);
    job.out_block_stride = args->out_block_stride;
    job.tail = VEC_LANES;
    SL_FN(set_bounds)(&job, args->activation);
    return job;
}

// Rows [rows.first, rows.end) of a panel; `output` and `residual` are where row 0 is.
static void SL_FN(run_planar_rows)(const planar_panel *panel, sl_span rows, float *output,
                                   const float *residual, size_t row_stride, tile_job *job) {
    const sl_conv_nchw_args *const args = panel->args;
    for (size_t oy = rows.first; oy < rows.end; oy++) {
        planar_source row = panel->source;
        row.first += (oy - panel->first_row) * args->stride_h * panel->row_floats;
        job->output = output + oy * row_stride;
        job->residual = residual == NULL ? NULL : residual + oy * row_stride;
        SL_FN(run_planar_row)(args, &row, panel->vectors, job);
    }
}

// Rows of the result of one block, from a band of the convolution: `row_zero` is where its row 0
// would be, `weights` are the block's for a depthwise convolution.
static void SL_FN(finish_planar_rows)(const sl_conv_nchw_args *args, const float *row_zero,
                                      const float *weights, float *output, sl_span rows) {
    if (args->depthwise != NULL) {
        SL_FN(dw_rows)(args->depthwise, weights, row_zero, NULL, output, rows);
        return;
    }
    for (size_t oy = rows.first; oy < rows.end; oy++) {
        SL_FN(pool_row)(args->pool, row_zero, oy, output + oy * args->out_row_stride);
    }
}

// Rows [rows.first, rows.end) of the pool or the depthwise convolution of a panel, a band at a
// time. Rows of the convolution that two bands need are kept for the second. `weights` are those
// of the panel for a depthwise convolution.
static void SL_FN(run_planar_bands)(const planar_panel *panel, sl_span rows, float *band,
                                    const float *weights, float *output, tile_job *job) {
    const sl_conv_nchw_args *const args = panel->args;
    const sl_row_window window = sl_planar_window(args);
    const size_t row_stride = (size_t)args->out_w * VEC_LANES;
    const size_t block_stride = sl_window_rows(window, SL_PLANAR_BAND) * row_stride;
    job->out_block_stride = block_stride;
    // Rows of the convolution that the band holds.
    sl_span held = {0, 0};
    for (size_t first = rows.first; first < rows.end; first += SL_PLANAR_BAND) {
        const size_t end = sl_min_size(first + SL_PLANAR_BAND, rows.end);
        const sl_span needed = sl_window_span(window, first, end);
        const sl_span missing =
            sl_slide_band(band, panel->vectors, block_stride, row_stride, held, needed);
        held = needed;
        // Where row 0 of the convolution would be.
        float *const origin = band - needed.first * row_stride;
        SL_FN(run_planar_rows)(panel, missing, origin, NULL, row_stride, job);
        for (size_t o = 0; o < panel->vectors; o++) {
            SL_FN(finish_planar_rows)
            (args, origin + o * block_stride, weights + o * panel->block_weights,
             output + o * args->out_block_stride, (sl_span){first, end});
        }
    }
}

static void SL_FN(sl_conv_nchw)(const void *raw_args, size_t task, float *scratch) {
    const sl_conv_nchw_args *const args = raw_args;
    const size_t panels = sl_panel_count(args->out_channels, VEC_LANES);
    const sl_row_window window = sl_planar_window(args);
    const size_t out_rows = window.out_h;
    const size_t row_groups = sl_ceil_div(out_rows, args->rows_per_task);
    assert(task < args->images * row_groups);
    const size_t first_row = task % row_groups * args->rows_per_task;
    const sl_span rows = {first_row, sl_min_size(out_rows, first_row + args->rows_per_task)};
    const size_t image = task / row_groups;

    float *const band = scratch;
    const bool has_band = args->pool != NULL || args->depthwise != NULL;
    if (has_band) scratch += 2 * sl_window_rows(window, SL_PLANAR_BAND) * args->out_w * VEC_LANES;
    const sl_span computed = sl_window_span(window, rows.first, rows.end);
    planar_panel share = SL_FN(read_planar_rows)(args, image, computed, scratch);
    tile_job job = SL_FN(planar_job)(args);
    job.asks_for_output = !has_band;
    const size_t k = share.source.taps;
    const sl_depthwise_args *const depthwise = args->depthwise;
    const size_t taps =
        depthwise != NULL ? 1 + (size_t)depthwise->kernel_h * depthwise->kernel_w : 0;
    for (size_t panel = 0; panel < panels; panel++) {
        job.weights = args->weights + panel * (k + 1 + taps) * 2 * VEC_LANES;
        const size_t offset = image * args->out_image_stride + panel * 2 * args->out_block_stride;
        const float *const residual = args->residual == NULL ? NULL : args->residual + offset;
        share.vectors = sl_panel_vectors(args->out_channels, VEC_LANES, panel);
        share.block_weights = taps * VEC_LANES;
        float *const output = args->output + offset;
        if (has_band) {
            const float *const weights = job.weights + share.vectors * VEC_LANES * (k + 1);
            SL_FN(run_planar_bands)(&share, rows, band, weights, output, &job);
        } else {
            SL_FN(run_planar_rows)(&share, rows, output, residual, args->out_row_stride, &job);
        }
    }
}
