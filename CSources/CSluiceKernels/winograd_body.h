// Winograd convolution: transforms patches of the input once, then panel after panel transforms
// the filters, multiplies at each point with the tile kernel, and transforms back. Many input
// channels are done in groups, which add to the output one after the other.
//
// The sum at a point is a sum of chains over chunks of the input channels, which follow from shape
// and ISA as groups do, so the bits of an output do not depend on how tiles and panels are cut.
#pragma once

// The scratch of one task: transformed patches [point][channel block][tile][lane], transformed
// filters of a chunk of channels, for some points [point][zeros, channel][output], and of the next
// one if they are transformed ahead, products [point][tile][output], the bias of a panel.
typedef struct {
    bool is_line;
    size_t taps;  // of the longer side of the filter
    sl_winograd_form form;
    sl_winograd_grid grid;
    size_t blocks;  // of tiles
    size_t first_tile, tiles;
    float *patches, *products;
    float *filters[2];  // both the same unless they are transformed ahead
    bool is_ahead;
    bool is_at_once;  // filters are multiplied as they are transformed
    float *chains;    // then instead of filters: sums of a chunk [vector][point][tile][output]
    float *bias;      // of a panel that comes from afar, else NULL
    size_t patch_stride, filter_stride, product_stride;
    size_t pairs;          // of rows of points whose filters are there at a time; lines: all points
    size_t filter_points;  // of those
} winograd_plan;

static void SL_FN(plan_winograd)(const sl_winograd_args *args, size_t block, float *scratch,
                                 winograd_plan *plan) {
    const sl_winograd_sizes sizes = sl_winograd_scratch(args, VEC_LANES);
    plan->is_line = sl_winograd_is_line(args);
    plan->taps = args->taps_h == 1 ? args->taps_w : args->taps_h;
    plan->form = sl_winograd_form_of(args);
    plan->grid = sl_winograd_grid_of(args);
    const size_t tiles = sl_winograd_tiles(args);
    plan->blocks = sl_ceil_div(tiles, args->tiles_per_block);
    const sl_span span = sl_group_of(tiles, plan->blocks, block);
    plan->first_tile = span.first;
    plan->tiles = span.end - span.first;
    plan->patch_stride = sizes.patch_stride;
    plan->filter_stride = sizes.filter_stride;
    plan->product_stride = sizes.product_stride;
    plan->pairs = plan->is_line ? PATCH_PAIRS : args->pairs_at_once;
    plan->filter_points = sl_winograd_filter_points(args);
    plan->patches = scratch;
    plan->is_ahead = args->filters_ahead;
    plan->is_at_once = args->filters_at_once;
    const size_t filter_floats = sl_winograd_filter_floats(args, sizes);
    plan->filters[0] = plan->patches + plan->form.points * sizes.patch_stride;
    plan->chains = plan->filters[0];
    plan->filters[1] = plan->filters[0] + (plan->is_ahead ? filter_floats : 0);
    plan->products = plan->filters[1] + filter_floats;
    float *const end = plan->products + plan->form.points * sizes.product_stride;
    plan->bias = args->conv.chunks_weights ? end - SL_WINOGRAD_GAP : NULL;
}

// Image, row and column of the first output pixel of a tile.
typedef struct {
    size_t image, y, x;
} winograd_tile;

SL_INLINE winograd_tile SL_FN(locate_tile)(const winograd_plan *plan, size_t number) {
    const sl_winograd_axis *const rows = &plan->grid.rows, *const columns = &plan->grid.columns;
    const size_t tile = plan->first_tile + number, row = tile / columns->tiles;
    return (winograd_tile){
        .image = row / rows->tiles,
        .y = sl_winograd_tile_start(rows, row % rows->tiles),
        .x = sl_winograd_tile_start(columns, tile % columns->tiles),
    };
}

// How many pixels of the tile that starts at `first` come before `end`.
SL_INLINE size_t SL_FN(pixels_before)(size_t end, size_t first, const sl_winograd_axis *axis) {
    return first < end ? sl_min_size(axis->size, sl_ceil_div(end - first, axis->step)) : 0;
}

// Where the patch of a tile is, in its first channel block, and how far the next block is.
typedef struct {
    patch_source source;
    size_t rows;  // of a patch, or pixels of a line
    size_t block_step[LINE_POINTS];
} patch_walk;

static const float SL_FN(outside)[VEC_LANES] = {0};

static void SL_FN(locate_line)(const sl_winograd_args *args, const winograd_plan *plan,
                               size_t number, patch_walk *walk) {
    const sl_conv_args *const conv = &args->conv;
    const winograd_tile tile = SL_FN(locate_tile)(plan, number);
    const float *const image = conv->input + tile.image * conv->in_image_stride;
    const bool is_row = args->taps_h == 1;
    ptrdiff_t y = (ptrdiff_t)tile.y - args->pad_top;
    ptrdiff_t x = (ptrdiff_t)tile.x - args->pad_left;
    walk->rows = plan->form.points;
    for (size_t pixel = 0; pixel < walk->rows; pixel++) {
        const bool is_inside =
            y >= 0 && y < (ptrdiff_t)conv->in_h && x >= 0 && x < (ptrdiff_t)conv->in_w;
        const ptrdiff_t offset = y * (ptrdiff_t)conv->in_row_stride + x * VEC_LANES;
        walk->source.row[pixel] = is_inside ? image + offset : SL_FN(outside);
        walk->block_step[pixel] = is_inside ? conv->in_block_stride : 0;
        y += is_row ? 0 : (ptrdiff_t)plan->grid.rows.step;
        x += is_row ? (ptrdiff_t)plan->grid.columns.step : 0;
    }
}

static void SL_FN(locate_patch)(const sl_winograd_args *args, const winograd_plan *plan,
                                size_t number, patch_walk *walk) {
    const sl_conv_args *const conv = &args->conv;
    const winograd_tile tile = SL_FN(locate_tile)(plan, number);
    const ptrdiff_t y0 = (ptrdiff_t)tile.y - args->pad_top;
    const ptrdiff_t x0 = (ptrdiff_t)tile.x - args->pad_left;
    const ptrdiff_t columns = (ptrdiff_t)conv->in_w - x0;
    const size_t step_w = plan->grid.columns.step;
    walk->source.first_column = x0 < 0 ? sl_ceil_div((size_t)-x0, step_w) : 0;
    walk->source.end_column =
        columns < 0 ? 0 : sl_min_size(sl_ceil_div((size_t)columns, step_w), PATCH);
    const float *const image = conv->input + tile.image * conv->in_image_stride;
    walk->rows = PATCH;
    for (ptrdiff_t row = 0; row < PATCH; row++) {
        const ptrdiff_t y = y0 + row * (ptrdiff_t)plan->grid.rows.step;
        const bool is_inside = y >= 0 && y < (ptrdiff_t)conv->in_h;
        const ptrdiff_t offset = y * (ptrdiff_t)conv->in_row_stride + x0 * VEC_LANES;
        walk->source.row[row] = is_inside ? image + offset : SL_FN(outside);
        walk->source.column_step[row] = is_inside ? step_w * VEC_LANES : 0;
        walk->block_step[row] = is_inside ? conv->in_block_stride : 0;
    }
}

static __attribute__((noinline)) void SL_FN(transform_patches)(const sl_winograd_args *args,
                                                               const winograd_plan *plan,
                                                               sl_span channels) {
    // Tiles side by side are transformed together: what is stored to a point is then side by side
    // too.
    enum { TOGETHER = 4 };
    const size_t first_block = channels.first / VEC_LANES;
    const size_t channel_blocks = sl_ceil_div(channels.end - channels.first, VEC_LANES);
    patch_walk walks[TOGETHER];
    for (size_t first = 0; first < plan->tiles; first += TOGETHER) {
        const size_t count = sl_min_size(TOGETHER, plan->tiles - first);
        for (size_t t = 0; t < count; t++) {
            if (plan->is_line) {
                SL_FN(locate_line)(args, plan, first + t, &walks[t]);
            } else {
                SL_FN(locate_patch)(args, plan, first + t, &walks[t]);
            }
            for (size_t y = 0; y < walks[t].rows; y++) {
                walks[t].source.row[y] += first_block * walks[t].block_step[y];
            }
        }
        for (size_t block = 0; block < channel_blocks; block++) {
            float *const target = plan->patches + (block * plan->tiles + first) * VEC_LANES;
            for (size_t t = 0; t < count; t++) {
                patch_walk *const walk = &walks[t];
                float *const to = target + t * VEC_LANES;
                if (!plan->is_line) {
                    SL_FN(transform_patch)(&walk->source, to, plan->patch_stride);
                } else if (walk->rows == LINE_POINTS) {
                    SL_FN(transform_line)(LINE_PAIRS, walk->source.row, to, plan->patch_stride);
                } else {
                    SL_FN(transform_line)(LINE_PAIRS - 1, walk->source.row, to, plan->patch_stride);
                }
                for (size_t y = 0; y < walk->rows; y++) walk->source.row[y] += walk->block_step[y];
            }
        }
    }
}

// Some input channels of a panel.
typedef struct {
    const float *weights;  // of the panel
    size_t panel, vectors;
    size_t all, first, count;
} winograd_chunk;

// The row of filters that starts a chain.
SL_INLINE void SL_FN(clear_starts)(const winograd_plan *plan, size_t vectors, float *filters) {
    for (size_t point = 0; point < plan->filter_points; point++) {
        float *const row = filters + point * plan->filter_stride;
        for (size_t o = 0; o < vectors; o++) vec_store(row + o * VEC_LANES, vec_zero());
    }
}

// Transforms the filters of some input channels of a panel: of a line for all points, others for
// pairs [first, end) of rows of points.
SL_INLINE void SL_FN(transform_filters)(const bool is_line, const int taps, const int vectors,
                                        const size_t first, const size_t end, winograd_chunk chunk,
                                        const winograd_plan *plan) {
    enum { AHEAD = 2 };
    const size_t width = (size_t)vectors * VEC_LANES;
    const size_t all_taps = (size_t)(is_line ? taps : taps * taps);
    const size_t rows_per_block = all_taps * VEC_LANES;
    float *target = plan->filters[0];
    SL_FN(clear_starts)(plan, (size_t)vectors, target);
    for (size_t c = chunk.first; c < chunk.first + chunk.count; c++) {
        const size_t block = c / VEC_LANES;
        const size_t block_channels = sl_min_size(VEC_LANES, chunk.all - block * VEC_LANES);
        const float *const source =
            chunk.weights + (1 + block * rows_per_block + c % VEC_LANES) * width;
        target += width;
        // Weights come from far away: ask for those of a later block, or of the next panel.
        const float *const later = source + AHEAD * rows_per_block * width;
        SL_UNROLL for (size_t t = 0; t < all_taps; t++) {
            __builtin_prefetch(later + t * VEC_LANES * width, 0, 2);
        }
        SL_UNROLL for (int o = 0; o < vectors; o++) {
            const float *const from = source + o * VEC_LANES;
            float *const to = target + o * VEC_LANES;
            const size_t tap_stride = block_channels * width;
            if (is_line) {
                SL_FN(transform_line_filter)(taps, from, tap_stride, to, plan->filter_stride);
            } else {
                SL_FN(transform_filter)
                (taps, first, end, from, tap_stride, to, plan->filter_stride);
            }
        }
    }
}

// All points at once, or those of one pair of rows.
SL_INLINE void SL_FN(transform_pairs)(const int taps, const int vectors, size_t pair,
                                      winograd_chunk chunk, const winograd_plan *plan) {
    if (plan->pairs == PATCH_PAIRS) {
        SL_FN(transform_filters)(false, taps, vectors, 0, PATCH_PAIRS, chunk, plan);
    } else if (pair == 0) {
        SL_FN(transform_filters)(false, taps, vectors, 0, 1, chunk, plan);
    } else if (pair == 1) {
        SL_FN(transform_filters)(false, taps, vectors, 1, 2, chunk, plan);
    } else {
        SL_FN(transform_filters)(false, taps, vectors, 2, 3, chunk, plan);
    }
}

static __attribute__((noinline)) void SL_FN(transform_pairs_3x2)(size_t pair, winograd_chunk chunk,
                                                                 const winograd_plan *plan) {
    SL_FN(transform_pairs)(3, 2, pair, chunk, plan);
}
static __attribute__((noinline)) void SL_FN(transform_pairs_3x1)(size_t pair, winograd_chunk chunk,
                                                                 const winograd_plan *plan) {
    SL_FN(transform_pairs)(3, 1, pair, chunk, plan);
}
static __attribute__((noinline)) void SL_FN(transform_pairs_5x2)(size_t pair, winograd_chunk chunk,
                                                                 const winograd_plan *plan) {
    SL_FN(transform_pairs)(5, 2, pair, chunk, plan);
}
static __attribute__((noinline)) void SL_FN(transform_pairs_5x1)(size_t pair, winograd_chunk chunk,
                                                                 const winograd_plan *plan) {
    SL_FN(transform_pairs)(5, 1, pair, chunk, plan);
}

static __attribute__((noinline)) void SL_FN(transform_lines)(winograd_chunk chunk,
                                                             const winograd_plan *plan) {
    const size_t vectors = chunk.vectors;
    if (plan->taps == 3 && vectors == 2) {
        SL_FN(transform_filters)(true, 3, 2, 0, 0, chunk, plan);
    } else if (plan->taps == 3) {
        SL_FN(transform_filters)(true, 3, 1, 0, 0, chunk, plan);
    } else if (plan->taps == 5 && vectors == 2) {
        SL_FN(transform_filters)(true, 5, 2, 0, 0, chunk, plan);
    } else if (plan->taps == 5) {
        SL_FN(transform_filters)(true, 5, 1, 0, 0, chunk, plan);
    } else if (vectors == 2) {
        SL_FN(transform_filters)(true, 7, 2, 0, 0, chunk, plan);
    } else {
        SL_FN(transform_filters)(true, 7, 1, 0, 0, chunk, plan);
    }
}

// Those of a chunk for the points from pair `pair` of rows on, or of a line.
static void SL_FN(make_filters)(size_t pair, winograd_chunk chunk, const winograd_plan *plan) {
    if (plan->is_line) {
        SL_FN(transform_lines)(chunk, plan);
    } else if (plan->taps == 3 && chunk.vectors == 2) {
        SL_FN(transform_pairs_3x2)(pair, chunk, plan);
    } else if (plan->taps == 3) {
        SL_FN(transform_pairs_3x1)(pair, chunk, plan);
    } else if (chunk.vectors == 2) {
        SL_FN(transform_pairs_5x2)(pair, chunk, plan);
    } else {
        SL_FN(transform_pairs_5x1)(pair, chunk, plan);
    }
}

// The walk over the filters of a chunk that are transformed ahead, to `target`.
SL_INLINE filter_walk SL_FN(start_filters)(winograd_chunk chunk, const winograd_plan *plan,
                                           float *target) {
    const size_t width = chunk.vectors * VEC_LANES;
    filter_walk walk = {
        .source = chunk.weights + (1 + chunk.first * plan->taps * plan->taps) * width,
        .target = target + width,
        .point_stride = plan->filter_stride,
        .width = width,
        .channels = chunk.count,
    };
    SL_FN(enter_filters)(&walk);
    return walk;
}

// Point `number` of those from pair `pair` of rows on, or of a line.
SL_INLINE size_t SL_FN(pair_point)(const winograd_plan *plan, size_t pair, size_t number) {
    if (plan->is_line) return number;
    const size_t row = SL_FN(pair_row)(pair + number / PATCH / 2, number / PATCH % 2);
    return row * PATCH + number % PATCH;
}

// Multiplies patches and filters of a chunk, from channel number `first` of its group on, at each
// point from pair `pair` of rows on whose filters are there. Meanwhile transforms those of the job
// and asks for the weights that are transformed next.
static void SL_FN(multiply_points)(const winograd_plan *plan, const float *filters, size_t pair,
                                   const winograd_chunk *chunk, size_t first,
                                   sl_next_read next_weights, carrier *carrier, tile_job *job) {
    const size_t vectors = chunk->vectors, width = vectors * VEC_LANES;
    const sl_tile_cut cut =
        sl_cut_tiles(plan->tiles, vectors == 1 ? SL_HALF_PANEL_PIXELS : SL_TILE_PIXELS);
    const bool is_filtering = vectors == 2 && sl_largest_tile(cut) <= SL_FILTERING_PIXELS;
    const tile_kind kind = is_filtering && job->filters->left > 0 ? TILE_FILTERING : TILE_STRIDED;
    job->channels = chunk->count;
    const size_t steps = chunk->count / VEC_LANES, points = plan->filter_points;
    size_t asked = next_weights.floats / FLOATS_PER_LINE;
    job->lines_a_pass = SL_FN(spread_lines)(asked, steps * cut.count * points);
    SL_FN(spread_filters)(job->filters, steps * VEC_LANES / SL_K_UNROLL * cut.count * points);
    if (carrier->floats > 0 && job->lines_a_pass < carrier->lines_a_pass) {
        job->lines_a_pass = carrier->lines_a_pass;
    }
    const size_t tile_lines = steps * SL_FN(lines_a_step)(job->lines_a_pass);
    job->prefetch = next_weights.from;
    const float *const all_patches = plan->patches + first / VEC_LANES * plan->tiles * VEC_LANES;
    for (size_t number = 0; number < points; number++) {
        const size_t point = SL_FN(pair_point)(plan, pair, number);
        const float *const patches = all_patches + point * plan->patch_stride;
        // Patches of the next point come from far away.
        const bool is_last = number + 1 == points;
        const size_t next = is_last ? point : SL_FN(pair_point)(plan, pair, number + 1);
        job->ask_step = ((ptrdiff_t)next - (ptrdiff_t)point) * (ptrdiff_t)plan->patch_stride;
        job->weights = filters + number * plan->filter_stride;
        job->output = plan->products + point * plan->product_stride;
        job->residual = first > 0 ? job->output : NULL;
        for (size_t group = 0; group < cut.count; group += job->run) {
            const size_t tile = sl_tile_first(cut, group);
            job->run = (group < cut.larger ? cut.larger : cut.count) - group;
            job->pixels = cut.base + (group < cut.larger);
            SL_FN(load_carrier)(carrier, tile_lines, job);
            job->prefetch_step = asked > 0 ? FLOATS_PER_LINE : 0;
            job->first = patches + tile * VEC_LANES;
            job->out_first = (ptrdiff_t)(tile * width);
            job->run_step = job->pixels * VEC_LANES;
            job->run_out_step = job->pixels * width;
            SL_FN(tile_table)[kind][job->pixels][vectors - 1](job);
            const size_t done = sl_min_size(asked, tile_lines * job->run);
            job->prefetch += done * FLOATS_PER_LINE;
            asked -= done;
        }
    }
}

// What ends a panel after a group of channels: a bias (NULL for none), what lies like the output
// (NULL for nothing) is added, and an activation.
typedef struct {
    const float *bias, *added;
    sl_activation activation;
} winograd_end;

// The bias and the residual start the sums of the first group, the last one ends the operation.
SL_INLINE winograd_end SL_FN(end_of_group)(const sl_conv_args *conv, const float *bias,
                                           sl_span group) {
    const sl_activation none = {.kind = SL_ACTIVATION_NONE};
    const bool is_first = group.first == 0, is_last = group.end == conv->channels;
    return (winograd_end){
        .bias = is_first ? bias : NULL,
        .added = is_first ? conv->residual : conv->output,
        .activation = is_last ? conv->activation : none,
    };
}

// Transforms the products of one panel back and stores the results.
SL_INLINE void SL_FN(finish_panel)(const bool is_line, const int taps, const sl_conv_args *conv,
                                   const winograd_plan *plan, size_t panel, size_t vectors,
                                   const winograd_end *end) {
    const sl_winograd_axis *const down = &plan->grid.rows, *const across = &plan->grid.columns;
    const bool is_clamp = end->activation.kind == SL_ACTIVATION_CLAMP;
    const vec low = vec_splat(is_clamp ? end->activation.p0 : -INFINITY);
    const vec high = vec_splat(is_clamp ? end->activation.p1 : INFINITY);
    const bool acts_later = SL_FN(acts_after_store)(end->activation);
    const size_t row_step = down->step * conv->out_row_stride;
    const size_t pixel_step = across->step * conv->out_pixel_stride;
    for (size_t t = 0; t < plan->tiles; t++) {
        const winograd_tile tile = SL_FN(locate_tile)(plan, t);
        const size_t rows = SL_FN(pixels_before)(conv->out_h, tile.y, down);
        const size_t columns = SL_FN(pixels_before)(conv->out_w, tile.x, across);
        for (size_t o = 0; o < vectors; o++) {
            vec sums[16];
            const size_t at = (t * vectors + o) * VEC_LANES;
            const float *const products = plan->products + at;
            if (is_line) {
                SL_FN(transform_line_tile)(taps, products, plan->product_stride, sums);
            } else {
                SL_FN(transform_tile)(taps, products, plan->product_stride, sums);
            }
            const size_t start = tile.image * conv->out_image_stride +
                                 (panel * 2 + o) * conv->out_block_stride +
                                 tile.y * conv->out_row_stride + tile.x * conv->out_pixel_stride;
            const vec first = end->bias == NULL ? vec_zero() : vec_load(end->bias + o * VEC_LANES);
            for (size_t y = 0; y < rows; y++) {
                const size_t row = start + y * row_step;
                for (size_t x = 0; x < columns; x++) {
                    const size_t pixel = row + x * pixel_step;
                    vec sum = vec_add(sums[y * across->size + x], first);
                    if (end->added != NULL) sum = vec_add(sum, vec_load(end->added + pixel));
                    vec_store(conv->output + pixel, vec_clamp(sum, low, high));
                }
            }
            if (!acts_later) continue;
            // Rows of pixels side by side are done in one call.
            const bool is_dense = pixel_step == VEC_LANES;
            for (size_t y = 0; y < (is_dense ? 1 : rows); y++) {
                float *const done = conv->output + start + y * row_step;
                const size_t count = is_dense ? rows : columns;
                const size_t step = is_dense ? row_step : pixel_step;
                SL_FN(sl_activate_rows)
                (count, is_dense ? columns * VEC_LANES : VEC_LANES, done, step, done, step,
                 end->activation);
            }
        }
    }
}

static __attribute__((noinline)) void SL_FN(finish_panel_3)(const sl_conv_args *conv,
                                                            const winograd_plan *plan, size_t panel,
                                                            size_t vectors,
                                                            const winograd_end *end) {
    SL_FN(finish_panel)(false, 3, conv, plan, panel, vectors, end);
}
static __attribute__((noinline)) void SL_FN(finish_panel_5)(const sl_conv_args *conv,
                                                            const winograd_plan *plan, size_t panel,
                                                            size_t vectors,
                                                            const winograd_end *end) {
    SL_FN(finish_panel)(false, 5, conv, plan, panel, vectors, end);
}
static __attribute__((noinline)) void SL_FN(finish_line)(const sl_conv_args *conv,
                                                         const winograd_plan *plan, size_t panel,
                                                         size_t vectors, const winograd_end *end) {
    if (plan->taps == 3) {
        SL_FN(finish_panel)(true, 3, conv, plan, panel, vectors, end);
    } else if (plan->taps == 5) {
        SL_FN(finish_panel)(true, 5, conv, plan, panel, vectors, end);
    } else {
        SL_FN(finish_panel)(true, 7, conv, plan, panel, vectors, end);
    }
}

// Chunk `number` of a group of channels of some panels, panel after panel.
static winograd_chunk SL_FN(chunk_at)(const sl_conv_args *conv, sl_span panels, sl_span group,
                                      size_t number) {
    const size_t most = sl_winograd_chunk(conv, VEC_LANES);
    const size_t chunks = sl_ceil_div(group.end - group.first, most);
    const size_t panel = panels.first + number / chunks;
    const size_t first = group.first + number % chunks * most;
    return (winograd_chunk){
        .weights = SL_FN(panel_weights)(conv, panel, 0),
        .panel = panel,
        .vectors = sl_panel_vectors(conv->out_channels, VEC_LANES, panel),
        .all = conv->channels,
        .first = first,
        .count = sl_min_size(most, group.end - first),
    };
}

#include "winograd_at_once_body.h"

// The weights of a chunk.
static sl_next_read SL_FN(chunk_weights)(const sl_conv_args *conv, winograd_chunk chunk) {
    return (sl_next_read){
        .from = SL_FN(panel_weights)(conv, chunk.panel, chunk.first),
        .floats = conv->taps * chunk.count * chunk.vectors * VEC_LANES,
    };
}

// Multiplies the patches of a task's block and a group of channels with its panels; `next` is what
// is read after it. A call of its own keeps the job off the stack of the transform of the patches.
static __attribute__((noinline)) void SL_FN(run_winograd_panels)(const sl_winograd_args *args,
                                                                 const winograd_plan *plan,
                                                                 sl_span panels, sl_span group,
                                                                 sl_next_read next,
                                                                 carrier *carrier) {
    const sl_conv_args *const conv = &args->conv;
    // At a point the product is a 1x1 convolution of the tiles, without bias or bounds.
    const int32_t block_step = (int32_t)(plan->tiles * VEC_LANES);
    static const sl_conv_args product = {.taps = 1};
    tile_job job;
    memset(&job, 0, sizeof job);
    job.args = &product;
    job.step = VEC_LANES;
    job.tap_step = &block_step;
    job.tap_gap = SL_FN(no_gap);
    job.out_block_stride = VEC_LANES;
    job.tail = VEC_LANES;
    job.asks_close = true;
    job.lines_come_close = conv->asks_close;
    if (plan->is_ahead) SL_FN(clear_starts)(plan, 2, plan->filters[1]);
    const size_t most = sl_winograd_chunk(conv, VEC_LANES);
    const size_t chunks = (panels.end - panels.first) * sl_ceil_div(group.end - group.first, most);
    for (size_t number = 0; number < chunks; number++) {
        const winograd_chunk chunk = SL_FN(chunk_at)(conv, panels, group, number);
        const bool is_last = number + 1 == chunks;
        const winograd_chunk later = SL_FN(chunk_at)(conv, panels, group, number + !is_last);
        filter_walk walk = {.left = 0};
        sl_next_read after = is_last ? next : SL_FN(chunk_weights)(conv, later);
        if (!is_last && plan->is_ahead) {
            walk = SL_FN(start_filters)(later, plan, plan->filters[(number + 1) % 2]);
            after.floats = 0;  // The walk asks for its weights itself.
        }
#if SL_AT_ONCE_TILES > 0
        if (plan->is_at_once) {
            SL_FN(multiply_at_once)
            (plan, &chunk, chunk.first - group.first, after, is_last, carrier, &job);
        }
#endif
        job.filters = &walk;
        SL_FN(space_evenly)(&job, 0, chunk.vectors * VEC_LANES);
        for (size_t pair = 0; pair < PATCH_PAIRS && !plan->is_at_once; pair += plan->pairs) {
            if (number == 0 || !plan->is_ahead) SL_FN(make_filters)(pair, chunk, plan);
            const sl_next_read share =
                sl_next_share(after, pair / plan->pairs, PATCH_PAIRS / plan->pairs);
            SL_FN(multiply_points)
            (plan, plan->filters[number % 2], pair, &chunk, chunk.first - group.first, share,
             carrier, &job);
        }
        SL_FN(finish_filters)(&walk);
        if (chunk.first + chunk.count < group.end) continue;
        const float *bias = chunk.weights;
        if (plan->bias != NULL) {
            bias = memcpy(plan->bias, bias, chunk.vectors * VEC_LANES * sizeof(float));
        }
        const winograd_end end = SL_FN(end_of_group)(conv, bias, group);
        if (plan->is_line) {
            SL_FN(finish_line)(conv, plan, chunk.panel, chunk.vectors, &end);
        } else if (plan->taps == 3) {
            SL_FN(finish_panel_3)(conv, plan, chunk.panel, chunk.vectors, &end);
        } else {
            SL_FN(finish_panel_5)(conv, plan, chunk.panel, chunk.vectors, &end);
        }
    }
}

static void SL_FN(sl_winograd)(const void *raw_args, size_t task, float *scratch) {
    const sl_winograd_args *const args = raw_args;
    const sl_conv_args *const conv = &args->conv;
    const size_t all_panels = sl_panel_count(conv->out_channels, VEC_LANES);
    const size_t shares = sl_ceil_div(all_panels, conv->panels_per_task);
    const sl_span panels = sl_group_of(all_panels, shares, task % shares);
    winograd_plan plan;
    SL_FN(plan_winograd)(args, task / shares, scratch, &plan);
    const size_t tasks = plan.blocks * shares;
    const size_t steps = conv->channels / VEC_LANES * plan.form.points *
                         sl_ceil_div(plan.tiles, SL_TILE_PIXELS) * (panels.end - panels.first);
    carrier carrier = SL_FN(start_carrier)(&conv->carried, task, tasks, steps);
    const size_t most = sl_winograd_group(conv, VEC_LANES);
    sl_span group = {0, sl_min_size(most, conv->channels)};
    while (group.first < conv->channels) {
        SL_FN(transform_patches)(args, &plan, group);
        const sl_span later = {group.end, sl_min_size(group.end + most, conv->channels)};
        const sl_next_read next =
            later.first < conv->channels
                ? SL_FN(chunk_weights)(conv, SL_FN(chunk_at)(conv, panels, later, 0))
                : sl_next_of_task(&conv->next, task, tasks);
        SL_FN(run_winograd_panels)(args, &plan, panels, group, next, &carrier);
        group = later;
    }
    SL_FN(finish_carrier)(&carrier);
}
