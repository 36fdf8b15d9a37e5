// How many tasks a call of each kind of convolution has, and the scratch one task needs.
#include "kernel_internal.h"

size_t sl_conv_task_count(const sl_isa *isa, const sl_conv_args *args) {
    const sl_conv_grid grid = sl_conv_grid_of(args, isa->lanes, isa->tile_pixels);
    return args->images * grid.pixel_groups * grid.panel_groups;
}

// Floats of a packed panel.
static size_t panel_floats(const sl_isa *isa, const sl_conv_args *args) {
    return sl_panel_floats(isa->lanes, 1 + sl_packed_taps(args) * args->channels);
}

size_t sl_conv_first_weight(const sl_isa *isa, const sl_conv_args *args, size_t task) {
    const sl_conv_grid grid = sl_conv_grid_of(args, isa->lanes, isa->tile_pixels);
    const size_t group = task / grid.pixel_groups % grid.panel_groups;
    return sl_group_of(grid.panels, grid.panel_groups, group).first * panel_floats(isa, args);
}

// Products with a vector of weights, for each channel of a pixel, that make a copy of it worth
// while.
enum { LEAST_PRODUCTS = 8 };

// Floats that one gathered row takes, all channels of a chunk.
static size_t gathered_row_floats(const sl_isa *isa, const sl_conv_args *args) {
    const sl_gather_axis columns = sl_gather_along(args->tap_dx, args->taps, args->stride_w);
    return sl_gathered_places(columns, args->out_w) * sl_chunk_channels(args, isa->lanes);
}

// Floats of one tile of gathered pixels, all channels of a chunk.
static size_t pixel_tile_floats(const sl_isa *isa, const sl_conv_args *args) {
    return isa->tile_pixels * sl_chunk_channels(args, isa->lanes);
}

size_t sl_conv_gather_tiles(const sl_isa *isa, const sl_conv_args *args, size_t floats) {
    const size_t pixels = (size_t)args->out_h * args->out_w;
    const size_t panels =
        sl_min_size(sl_panel_count(args->out_channels, isa->lanes), args->panels_per_task);
    const bool shares_sets = pixels > 1 && panels > 1 && sl_shares_cache_sets(args, isa->lanes);
    if (args->affine.is_applied || shares_sets) {
        const size_t tiles = floats / pixel_tile_floats(isa, args);
        return sl_min_size(tiles, sl_ceil_div(pixels, isa->tile_pixels));
    }
    // A single pixel has nothing beside it, and a plain product is read as it is.
    if (pixels <= 1 || args->taps == 0 || args->taps > SL_STRIDED_TAPS) return 0;
    const bool is_pointwise = args->taps == 1 && args->tap_dy[0] == 0 && args->tap_dx[0] == 0;
    if (is_pointwise && args->stride_h == 1 && args->stride_w == 1) return 0;
    const sl_gather_axis rows = sl_gather_along(args->tap_dy, args->taps, args->stride_h);
    const sl_gather_axis columns = sl_gather_along(args->tap_dx, args->taps, args->stride_w);
    if (panels * args->taps < (size_t)LEAST_PRODUCTS * rows.stride * columns.stride) return 0;
    const size_t fit = floats / gathered_row_floats(isa, args);
    if (fit >= sl_gathered_places(rows, args->out_h)) return sl_ceil_div(pixels, isa->tile_pixels);
    const size_t first = sl_gathered_places(rows, 1);
    if (fit < first) return 0;
    const size_t more_rows = (fit - first) / rows.stride;
    return (more_rows * args->out_w + 1) / isa->tile_pixels;
}

size_t sl_conv_gather_floats(const sl_isa *isa, const sl_conv_args *args) {
    if (args->gather_tiles == 0) return 0;
    if (sl_gathers_pixels(args, isa->lanes)) {
        return args->gather_tiles * pixel_tile_floats(isa, args);
    }
    const sl_gather_axis rows = sl_gather_along(args->tap_dy, args->taps, args->stride_h);
    return sl_gathered_places(rows, sl_gather_rows(args, isa->tile_pixels)) *
           gathered_row_floats(isa, args);
}

size_t sl_winograd_task_count(const sl_isa *isa, const sl_winograd_args *args) {
    const size_t panels = sl_panel_count(args->conv.out_channels, isa->lanes);
    return sl_ceil_div(sl_winograd_tiles(args), args->tiles_per_block) *
           sl_ceil_div(panels, args->conv.panels_per_task);
}

size_t sl_winograd_first_weight(const sl_isa *isa, const sl_winograd_args *args, size_t task) {
    const size_t panels = sl_panel_count(args->conv.out_channels, isa->lanes);
    const size_t shares = sl_ceil_div(panels, args->conv.panels_per_task);
    return sl_group_of(panels, shares, task % shares).first * panel_floats(isa, &args->conv);
}

size_t sl_winograd_scratch_floats(const sl_isa *isa, const sl_winograd_args *args) {
    const size_t points = sl_winograd_form_of(args).points;
    const sl_winograd_sizes sizes = sl_winograd_scratch(args, isa->lanes);
    // No gap follows the products of the last point.
    return points * (sizes.patch_stride + sizes.product_stride) +
           sl_winograd_filter_floats(args, sizes) * (args->filters_ahead ? 2 : 1) -
           SL_WINOGRAD_GAP + (args->conv.chunks_weights ? 2 * isa->lanes : 0);
}

size_t sl_winograd_point_count(const sl_winograd_args *args) {
    return sl_winograd_form_of(args).points;
}

size_t sl_winograd_tile_count(const sl_winograd_args *args) {
    return sl_winograd_tiles(args);
}

// Tiles of the largest block.
static size_t block_tiles(const sl_winograd_args *args) {
    const size_t tiles = sl_winograd_tiles(args);
    return sl_ceil_div(tiles, sl_ceil_div(tiles, args->tiles_per_block));
}

static bool is_3x3(const sl_winograd_args *args) {
    return args->taps_h == 3 && args->taps_w == 3;
}

bool sl_winograd_can_filter_ahead(const sl_isa *isa, const sl_winograd_args *args) {
    return is_3x3(args) && args->conv.out_channels > isa->lanes &&
           sl_largest_tile(sl_cut_tiles(block_tiles(args), isa->tile_pixels)) <=
               isa->filtering_pixels;
}

bool sl_winograd_can_filter_at_once(const sl_isa *isa, const sl_winograd_args *args) {
    return is_3x3(args) && block_tiles(args) <= isa->at_once_tiles;
}

size_t sl_winograd_tiles_within(const sl_isa *isa, const sl_winograd_args *args, size_t floats) {
    enum { LEAST = SL_WINOGRAD_FEWEST };
    sl_winograd_args few = *args, more = *args;
    few.tiles_per_block = LEAST;
    more.tiles_per_block = LEAST + 1;
    const size_t least = sl_winograd_scratch_floats(isa, &few);
    const size_t per_tile = sl_winograd_scratch_floats(isa, &more) - least;
    if (per_tile == 0 || floats <= least) return LEAST;
    return LEAST + (floats - least) / per_tile;
}

size_t sl_conv_nchw_task_count(const sl_conv_nchw_args *args) {
    return args->images * sl_ceil_div(sl_planar_window(args).out_h, args->rows_per_task);
}

// Padded rows under `rows` output rows, then a step for each tap.
static size_t padded_floats(const sl_conv_nchw_args *args, size_t rows) {
    const size_t taps = (size_t)args->kernel_h * args->kernel_w;
    return args->channels * (sl_planar_rows(args, rows) * sl_planar_row_floats(args) + taps);
}

size_t sl_conv_nchw_scratch_floats(const sl_isa *isa, const sl_conv_nchw_args *args) {
    const sl_row_window window = sl_planar_window(args);
    const size_t rows = sl_window_rows(window, sl_min_size(args->rows_per_task, window.out_h));
    // Two vectors of channels of a band.
    const bool has_band = args->pool != NULL || args->depthwise != NULL;
    const size_t band_floats =
        2 * (size_t)isa->lanes * args->out_w * sl_window_rows(window, SL_PLANAR_BAND);
    return (has_band ? band_floats : 0) + padded_floats(args, rows);
}

size_t sl_depthwise_task_count(const sl_isa *isa, const sl_depthwise_args *args) {
    (void)isa;
    const size_t row_groups = sl_ceil_div(args->out_h, args->rows_per_task);
    return (size_t)args->images * args->blocks * row_groups;
}

size_t sl_expansion_task_count(const sl_isa *isa, const sl_expansion_args *args) {
    const size_t panels = sl_panel_count(args->conv.out_channels, isa->lanes);
    const size_t rows = args->depthwise.out_h;
    return args->conv.images * panels * sl_ceil_div(rows, args->depthwise.rows_per_task);
}

size_t sl_expansion_first_weight(const sl_isa *isa, const sl_expansion_args *args, size_t task) {
    const size_t panels = sl_panel_count(args->conv.out_channels, isa->lanes);
    // The taps of the depthwise convolution and its bias follow each panel.
    const size_t taps = (size_t)args->depthwise.kernel_h * args->depthwise.kernel_w;
    return task % panels * sl_panel_floats(isa->lanes, 2 + args->conv.channels + taps);
}

size_t sl_expansion_scratch_floats(const sl_isa *isa, const sl_expansion_args *args) {
    const sl_row_window window = sl_depthwise_window(&args->depthwise);
    const size_t rows = sl_window_rows(window, sl_expansion_band(args, isa->lanes));
    return 2 * (size_t)isa->lanes * rows * args->depthwise.in_w;
}

size_t sl_bottleneck_task_count(const sl_bottleneck_args *args) {
    return args->depthwise.images * sl_ceil_div(args->depthwise.out_h, args->rows_per_task);
}

size_t sl_bottleneck_scratch_floats(const sl_isa *isa, const sl_bottleneck_args *args) {
    const sl_bottleneck_sizes sizes = sl_bottleneck_scratch(args, isa->lanes);
    const size_t bands = args->depthwise.blocks * (sizes.wide_block + sizes.deep_block);
    const sl_conv_nchw_args *const planar = args->planar;
    if (planar == NULL) return bands;
    return bands + padded_floats(planar, sizes.wide_block / sizes.wide_row);
}

size_t sl_feed_forward_task_count(const sl_feed_forward_args *args) {
    return args->bands;
}

size_t sl_feed_forward_scratch_floats(const sl_isa *isa, const sl_feed_forward_args *args) {
    return sl_ceil_div(args->widen.out_channels, isa->lanes) * isa->lanes *
           sl_feed_forward_band(args);
}

bool sl_grouped_is_slow(const sl_isa *isa, uint32_t channels, uint32_t out_channels,
                        uint32_t groups) {
    // Of channels and outputs of one group.
    for (size_t first = 0; first < (size_t)groups * out_channels; first += isa->lanes) {
        const size_t end = sl_min_size(first + isa->lanes, (size_t)groups * out_channels);
        const size_t first_group = first / out_channels, end_group = (end - 1) / out_channels + 1;
        const bool is_one_block =
            first_group * channels / isa->lanes == (end_group * channels - 1) / isa->lanes;
        if (!is_one_block && end_group - first_group > SL_GROUPED_FEW) return true;
    }
    return false;
}

size_t sl_grouped_task_count(const sl_isa *isa, const sl_grouped_args *args) {
    (void)isa;
    const size_t row_groups = sl_ceil_div(args->out_h, args->rows_per_task);
    return args->images * sl_ceil_div(args->blocks, 2) * row_groups;
}
