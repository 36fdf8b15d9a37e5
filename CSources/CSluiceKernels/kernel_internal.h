// What the kernel sources share: names of variants, target regions, small size arithmetic and the
// private half of the kernel table. Nothing here is seen outside this module.
#pragma once
#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "sluice_kernels.h"

// SL_FN(name) is name_<isa> in the source of one ISA, which defines SL_ISA before the body files.
#define SL_JOIN_(name, isa) name##_##isa
#define SL_JOIN(name, isa) SL_JOIN_(name, isa)
#define SL_FN(name) SL_JOIN(name, SL_ISA)

#define SL_PRAGMA_(text) _Pragma(#text)
#define SL_PRAGMA(text) SL_PRAGMA_(text)
// Everything between the two may use the named CPU features; no compiler flag is needed. System
// headers must be included before the region.
#define SL_BEGIN_TARGET(features) \
    SL_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define SL_END_TARGET SL_PRAGMA(clang attribute pop)

#define SL_INLINE static inline __attribute__((always_inline, unused))
#define SL_UNROLL _Pragma("clang loop unroll(full)")

SL_INLINE size_t sl_ceil_div(size_t value, size_t divisor) {
    return (value + divisor - 1) / divisor;
}

SL_INLINE size_t sl_min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

// Numbers from `first` to the one before `end`.
typedef struct {
    size_t first, end;
} sl_span;

// Group `group` of `total` things in `groups` groups. Sizes differ by one at most, and so do sums
// over as many neighbours: workers that take halves of the groups have halves of the work.
SL_INLINE sl_span sl_group_of(size_t total, size_t groups, size_t group) {
    return (sl_span){total * group / groups, total * (group + 1) / groups};
}

// Taps [first, end) of `count`, `step` apart from place `start` on, that are in [low, high).
SL_INLINE sl_span sl_taps_inside(int64_t start, size_t count, int64_t step, int64_t low,
                                 int64_t high) {
    const int64_t first = start < low ? (low - start + step - 1) / step : 0;
    const int64_t past = start < high ? (high - start + step - 1) / step : 0;
    const size_t end = sl_min_size(count, (size_t)past);
    return (sl_span){sl_min_size(end, (size_t)first), end};
}

// A run of output rows of one plane of one image.
typedef struct {
    size_t image, plane;
    sl_span rows;
} sl_row_task;

// Task number (image * row_groups + row_group) * planes + plane: neighbours have the same rows, as
// neighbouring tasks of a convolution of a large image do.
SL_INLINE sl_row_task sl_row_task_at(size_t task, size_t planes, size_t height,
                                     size_t rows_per_task) {
    const size_t groups = sl_ceil_div(height, rows_per_task);
    const size_t first = task / planes % groups * rows_per_task;
    return (sl_row_task){
        .image = task / planes / groups,
        .plane = task % planes,
        .rows = {first, sl_min_size(height, first + rows_per_task)},
    };
}

// The neighbouring tasks that the same one of `workers` workers has, unless another helps.
typedef struct {
    size_t worker;
    sl_span tasks;
} sl_worker_share;

SL_INLINE sl_worker_share sl_worker_share_of(size_t task, size_t tasks, size_t workers) {
    const size_t count = workers == 0 ? 1 : workers;
    const size_t worker = task * count / tasks;
    return (sl_worker_share){
        .worker = worker,
        .tasks = {sl_ceil_div(tasks * worker, count), sl_ceil_div(tasks * (worker + 1), count)},
    };
}

// What is read next: floats that should be brought close.
typedef struct {
    const float *from;
    size_t floats;
} sl_next_read;

// What a worker reads next.
SL_INLINE sl_next_read sl_next_of_worker(const sl_next_reads *next, size_t worker) {
    if (next->floats == 0) return (sl_next_read){0};
    return (sl_next_read){.from = next->from + worker * next->worker_step, .floats = next->floats};
}

// Part `part` of `parts` of what is read next.
SL_INLINE sl_next_read sl_next_share(sl_next_read next, size_t part, size_t parts) {
    if (next.floats == 0) return next;
    const sl_span share = sl_group_of(next.floats, parts, part);
    return (sl_next_read){.from = next.from + share.first, .floats = share.end - share.first};
}

// The share of one of `tasks` tasks in asking for what its worker reads next.
SL_INLINE sl_next_read sl_next_of_task(const sl_next_reads *next, size_t task, size_t tasks) {
    const sl_worker_share own = sl_worker_share_of(task, tasks, next->workers);
    return sl_next_share(sl_next_of_worker(next, own.worker), task - own.tasks.first,
                         own.tasks.end - own.tasks.first);
}

// The fixed cut of `count` pixels into tiles of at most `limit`, as even as possible, the larger
// ones first. It depends on the shape and the ISA alone, so a pixel is always in the same tile.
typedef struct {
    size_t count;   // tiles
    size_t base;    // pixels of a small tile
    size_t larger;  // tiles that have one pixel more; they come first
} sl_tile_cut;

SL_INLINE sl_tile_cut sl_cut_tiles(size_t pixels, size_t limit) {
    const size_t count = sl_ceil_div(pixels, limit);
    if (count == 0) return (sl_tile_cut){0, 0, 0};
    return (sl_tile_cut){count, pixels / count, pixels % count};
}

// Pixels of the largest tile.
SL_INLINE size_t sl_largest_tile(sl_tile_cut cut) {
    return cut.base + (cut.larger > 0);
}

// Taps that the packed weights hold.
SL_INLINE size_t sl_packed_taps(const sl_conv_args *args) {
    return args->tap_index == NULL ? args->taps : args->packed_taps;
}

// Input channels of a chain of about 512 rows of a panel, in whole blocks: longer chains round
// more. A tile of narrower vectors has fewer sums and is done sooner, so what a chunk costs is more
// of it.
SL_INLINE size_t sl_chain_channels(const sl_conv_args *args, size_t lanes) {
    const size_t rows = lanes < 16 ? 1024 : 512;
    // A phase of a transposed convolution may have no taps at all: its results are the bias.
    const size_t rows_per_block = (size_t)args->taps * lanes;
    return rows_per_block == 0 ? args->channels : (1 + rows / rows_per_block) * lanes;
}

// Input channels whose sums are added to the output together: whole blocks, in chunks of about the
// same size. The residual is added to the first, since the sums may wait where it was. A single
// pixel has one chunk, whose chains end in registers; so has a sum over no channel.
SL_INLINE size_t sl_chunk_channels(const sl_conv_args *args, size_t lanes) {
    if (args->channels == 0) return lanes;
    const size_t blocks = sl_ceil_div(args->channels, lanes);
    if ((size_t)args->out_h * args->out_w == 1) return blocks * lanes;
    const size_t chunks = sl_ceil_div(args->channels, sl_chain_channels(args, lanes));
    return sl_ceil_div(blocks, chunks) * lanes;
}

// What a convolution needs along one axis of its input, gathered so that nothing else stands
// between: outputs are `stride` apart there, and what is side by side was `step` apart.
typedef struct {
    int32_t min_tap, max_tap;
    uint32_t stride, step;
} sl_gather_axis;

SL_INLINE sl_gather_axis sl_gather_along(const int32_t *taps, size_t count, uint32_t stride) {
    sl_gather_axis axis = {.min_tap = INT32_MAX, .max_tap = INT32_MIN};
    for (size_t t = 0; t < count; t++) {
        if (taps[t] < axis.min_tap) axis.min_tap = taps[t];
        if (taps[t] > axis.max_tap) axis.max_tap = taps[t];
    }
    // One tap skips what lies between; several read it all.
    const bool is_single = axis.min_tap == axis.max_tap;
    axis.stride = is_single ? 1 : stride;
    axis.step = is_single ? stride : 1;
    return axis;
}

// Places along the axis that `outputs` neighbours read.
SL_INLINE size_t sl_gathered_places(sl_gather_axis axis, size_t outputs) {
    return (outputs - 1) * axis.stride + (size_t)(axis.max_tap - axis.min_tap) + 1;
}

// Whether the pixels of a plain product are so far apart that those of a tile share one set of the
// first cache, which has fewer ways than a tile has pixels: each would be read again for every
// block of channels.
SL_INLINE bool sl_shares_cache_sets(const sl_conv_args *args, size_t lanes) {
    enum { SET_STRIDE_BYTES = 4096 };
    return args->taps == 1 && args->tap_dy[0] == 0 && args->tap_dx[0] == 0 && args->stride_h == 1 &&
           args->stride_w == 1 && args->in_h == args->out_h && args->in_w == args->out_w &&
           args->channels % lanes == 0 &&
           args->in_pixel_stride % (SET_STRIDE_BYTES / sizeof(float)) == 0;
}

// Whether what is gathered are pixels as they stand, not rows with what is beside them.
SL_INLINE bool sl_gathers_pixels(const sl_conv_args *args, size_t lanes) {
    return args->affine.is_applied || sl_shares_cache_sets(args, lanes);
}

// Output rows that args->gather_tiles tiles may touch, wherever they start.
SL_INLINE size_t sl_gather_rows(const sl_conv_args *args, size_t tile_pixels) {
    const size_t pixels = args->gather_tiles * tile_pixels, width = args->out_w;
    return sl_min_size(args->out_h, (pixels + width - 2) / width + 1);
}

// The first pixel of a tile; tile == cut.count gives the end.
SL_INLINE size_t sl_tile_first(sl_tile_cut cut, size_t tile) {
    return tile * cut.base + sl_min_size(tile, cut.larger);
}

// Panels of two vectors that `channels` need; the last may hold one.
SL_INLINE size_t sl_panel_count(size_t channels, size_t lanes) {
    return sl_ceil_div(channels, 2 * lanes);
}

// Floats of a packed panel of `rows` rows.
SL_INLINE size_t sl_panel_floats(size_t lanes, size_t rows) {
    return rows * 2 * lanes;
}

// How a convolution falls into tasks: groups of tiles and of panels of each image.
typedef struct {
    size_t tiles, panels;
    size_t pixel_groups, panel_groups;
} sl_conv_grid;

SL_INLINE sl_conv_grid sl_conv_grid_of(const sl_conv_args *args, size_t lanes, size_t tile_pixels) {
    const size_t tiles = sl_ceil_div((size_t)args->out_h * args->out_w, tile_pixels);
    const size_t panels = sl_panel_count(args->out_channels, lanes);
    return (sl_conv_grid){
        .tiles = tiles,
        .panels = panels,
        .pixel_groups = sl_ceil_div(tiles, args->tiles_per_task),
        .panel_groups = sl_ceil_div(panels, args->panels_per_task),
    };
}

// Vectors of a panel: two, or one when the channels that remain fit in one vector.
SL_INLINE size_t sl_panel_vectors(size_t channels, size_t lanes, size_t panel) {
    return channels - panel * 2 * lanes > lanes ? 2 : 1;
}

// Scratch of sl_winograd: floats between points, of transformed patches, filters and products, and
// of the sums of a chunk.
typedef struct {
    size_t patch_stride, filter_stride, product_stride, chain_stride;
} sl_winograd_sizes;

// A line between points keeps them off the same cache sets.
enum { SL_WINOGRAD_GAP = 16 };

// Input channels whose products one chain adds up: all in chunks of whole blocks, as even as
// possible. Chains of this length are more exact than the single one of a direct convolution.
SL_INLINE size_t sl_winograd_chunk(const sl_conv_args *args, size_t lanes) {
    enum { CHUNK_CHANNELS = 64 };
    const size_t blocks = sl_ceil_div(args->channels, lanes);
    const size_t chunks = sl_ceil_div(blocks * lanes, CHUNK_CHANNELS);
    return sl_ceil_div(blocks, chunks) * lanes;
}

// Input channels whose patches are transformed together, whole chunks: what a tile takes has a
// bound. The sums of later ones are added to the output.
SL_INLINE size_t sl_winograd_group(const sl_conv_args *args, size_t lanes) {
    enum { GROUP_CHANNELS = 256 };
    const size_t chunk = sl_winograd_chunk(args, lanes);
    const size_t chunks = sl_ceil_div(args->channels, chunk);
    const size_t groups = sl_ceil_div(chunks * chunk, GROUP_CHANNELS);
    return sl_ceil_div(chunks, groups) * chunk;
}

// A tile of Winograd's algorithm, and at how many points its patch and filter are multiplied.
typedef struct {
    size_t height, width;
    size_t points;
} sl_winograd_form;

SL_INLINE bool sl_winograd_is_line(const sl_winograd_args *args) {
    return args->taps_h != args->taps_w;
}

SL_INLINE size_t sl_winograd_line_points(size_t taps) {
    return taps == 7 ? 9 : 7;
}

SL_INLINE sl_winograd_form sl_winograd_form_of(const sl_winograd_args *args) {
    if (!sl_winograd_is_line(args)) {
        enum { SIDE = 6 };
        const size_t size = SIDE + 1 - args->taps_h;
        return (sl_winograd_form){size, size, SIDE * SIDE};
    }
    const size_t taps = (size_t)args->taps_h * args->taps_w;
    const size_t points = sl_winograd_line_points(taps), size = points + 1 - taps;
    const bool is_row = args->taps_h == 1;
    return (sl_winograd_form){is_row ? 1 : size, is_row ? size : 1, points};
}

// At how many points filters are there at a time.
SL_INLINE size_t sl_winograd_filter_points(const sl_winograd_args *args) {
    const size_t points = sl_winograd_form_of(args).points;
    const bool is_cut = !sl_winograd_is_line(args);
    return is_cut ? points / SL_WINOGRAD_PAIRS * args->pairs_at_once : points;
}

// How an axis of an output is cut into tiles. A dilated filter reads every dilation-th row and
// column: the pixels that do so together, a phase, are an axis of their own, which has no dilation.
// The first phases may have one pixel more than the others, and so one tile more.
typedef struct {
    uint32_t tiles;
    uint32_t size, step;  // pixels of a tile, and how far apart they are
    uint32_t long_phases;
    uint32_t long_tiles, short_tiles;  // of a phase
} sl_winograd_axis;

SL_INLINE sl_winograd_axis sl_winograd_axis_of(uint32_t pixels, uint32_t dilation, size_t size) {
    const uint32_t each = pixels / dilation, more = pixels % dilation;
    const uint32_t long_tiles = (uint32_t)sl_ceil_div((size_t)each + 1, size);
    const uint32_t short_tiles = (uint32_t)sl_ceil_div(each, size);
    return (sl_winograd_axis){
        .tiles = more * long_tiles + (dilation - more) * short_tiles,
        .size = (uint32_t)size,
        .step = dilation,
        .long_phases = more,
        .long_tiles = long_tiles,
        .short_tiles = short_tiles,
    };
}

// The first pixel of a tile.
SL_INLINE size_t sl_winograd_tile_start(const sl_winograd_axis *axis, size_t tile) {
    const size_t long_end = (size_t)axis->long_phases * axis->long_tiles;
    const bool is_long = tile < long_end;
    const size_t each = is_long ? axis->long_tiles : axis->short_tiles;
    const size_t place = is_long ? tile : tile - long_end;
    const size_t phase = place / each + (is_long ? 0 : axis->long_phases);
    return phase + place % each * axis->size * axis->step;
}

typedef struct {
    sl_winograd_axis rows, columns;
} sl_winograd_grid;

SL_INLINE sl_winograd_grid sl_winograd_grid_of(const sl_winograd_args *args) {
    const sl_winograd_form form = sl_winograd_form_of(args);
    return (sl_winograd_grid){
        .rows = sl_winograd_axis_of(args->conv.out_h, args->dilation_h, form.height),
        .columns = sl_winograd_axis_of(args->conv.out_w, args->dilation_w, form.width),
    };
}

// How many tiles, of all images, an output is cut into.
SL_INLINE size_t sl_winograd_tiles(const sl_winograd_args *args) {
    const sl_winograd_grid grid = sl_winograd_grid_of(args);
    return (size_t)args->conv.images * grid.rows.tiles * grid.columns.tiles;
}

SL_INLINE sl_winograd_sizes sl_winograd_scratch(const sl_winograd_args *args, size_t lanes) {
    const size_t tiles = sl_min_size(args->tiles_per_block, sl_winograd_tiles(args));
    const size_t channels = sl_winograd_chunk(&args->conv, lanes);
    return (sl_winograd_sizes){
        .patch_stride = sl_winograd_group(&args->conv, lanes) * tiles + SL_WINOGRAD_GAP,
        .filter_stride = (channels + 1) * 2 * lanes + SL_WINOGRAD_GAP,
        .product_stride = tiles * 2 * lanes + SL_WINOGRAD_GAP,
        .chain_stride = tiles * 2 * lanes,
    };
}

// Scratch for the filters of a chunk, or for its sums.
SL_INLINE size_t sl_winograd_filter_floats(const sl_winograd_args *args, sl_winograd_sizes sizes) {
    if (args->filters_at_once) return sl_winograd_form_of(args).points * sizes.chain_stride;
    return sl_winograd_filter_points(args) * sizes.filter_stride;
}

// Scratch of sl_conv_nchw: floats of a zero-padded row, and rows under `out_rows` output rows.
SL_INLINE size_t sl_planar_row_floats(const sl_conv_nchw_args *args) {
    return (size_t)(args->out_w - 1) * args->stride_w +
           (size_t)(args->kernel_w - 1) * args->dilation_w + 1;
}

SL_INLINE size_t sl_planar_rows(const sl_conv_nchw_args *args, size_t out_rows) {
    return (out_rows - 1) * args->stride_h + (size_t)(args->kernel_h - 1) * args->dilation_h + 1;
}

// How rows of a result follow from the rows it is made of: `reach` of them under each, which start
// `stride` rows apart and `pad_top` rows above the first.
typedef struct {
    size_t in_h, out_h, reach, stride;
    int64_t pad_top;
} sl_row_window;

SL_INLINE sl_row_window sl_depthwise_window(const sl_depthwise_args *args) {
    const size_t reach = (size_t)(args->kernel_h - 1) * args->dilation_h + 1;
    return (sl_row_window){args->in_h, args->out_h, reach, args->stride_h, args->pad_top};
}

// From rows of the first layer to what is stored of them.
SL_INLINE sl_row_window sl_planar_window(const sl_conv_nchw_args *args) {
    if (args->depthwise != NULL) return sl_depthwise_window(args->depthwise);
    const sl_pool_args *const pool = args->pool;
    if (pool == NULL) return (sl_row_window){args->out_h, args->out_h, 1, 1, 0};
    return (sl_row_window){pool->in_h, pool->out_h, pool->kernel_h, pool->stride_h, pool->pad_top};
}

// Rows under `rows` rows of the result.
SL_INLINE size_t sl_window_rows(sl_row_window window, size_t rows) {
    return sl_min_size((rows - 1) * window.stride + window.reach, window.in_h);
}

// The rows under rows [first, end) of the result.
SL_INLINE sl_span sl_window_span(sl_row_window window, size_t first, size_t end) {
    const int64_t top = (int64_t)(first * window.stride) - window.pad_top;
    const int64_t bottom = (int64_t)((end - 1) * window.stride + window.reach) - window.pad_top;
    const int64_t height = (int64_t)window.in_h;
    const int64_t from = top < 0 ? 0 : top < height ? top : height;
    const int64_t to = bottom < from ? from : bottom < height ? bottom : height;
    return (sl_span){(size_t)from, (size_t)to};
}

// Moves a band of blocks, whose rows are those of `held`, on to rows `needed`: rows of both stay,
// and come first. Returns the others, which are missing. A call of its own keeps frames small.
static __attribute__((noinline, unused)) sl_span sl_slide_band(float *band, size_t blocks,
                                                               size_t block_stride,
                                                               size_t row_stride, sl_span held,
                                                               sl_span needed) {
    const size_t kept = held.end > needed.first ? held.end - needed.first : 0;
    for (size_t o = 0; o < blocks && kept > 0; o++) {
        float *const block = band + o * block_stride;
        memmove(block, block + (needed.first - held.first) * row_stride,
                kept * row_stride * sizeof(float));
    }
    return (sl_span){needed.first + kept, needed.end};
}

// Output rows of a band of sl_expansion: as many as keep the rows under them, of one panel, close.
SL_INLINE size_t sl_expansion_band(const sl_expansion_args *args, size_t lanes) {
    enum { BAND_FLOATS = 16 * 1024 };
    const sl_depthwise_args *const depthwise = &args->depthwise;
    const size_t fit = BAND_FLOATS / (2 * lanes * depthwise->in_w);
    const size_t first = sl_window_rows(sl_depthwise_window(depthwise), 1);
    const size_t band = fit > first ? 1 + (fit - first) / depthwise->stride_h : 1;
    return sl_min_size(band, depthwise->rows_per_task);
}

// Scratch of sl_bottleneck: output rows of a band, and floats of a row and of a channel block of
// the wide result under a band and of the depthwise rows made of it.
typedef struct {
    size_t band;
    size_t wide_row, wide_block;
    size_t deep_row, deep_block;
} sl_bottleneck_sizes;

SL_INLINE sl_bottleneck_sizes sl_bottleneck_scratch(const sl_bottleneck_args *args, size_t lanes) {
    const sl_depthwise_args *const depthwise = &args->depthwise;
    sl_bottleneck_sizes sizes = {
        .band = sl_min_size(args->rows_per_band, args->rows_per_task),
        .wide_row = depthwise->in_w * lanes,
        .deep_row = depthwise->out_w * lanes,
    };
    const size_t rows = sl_window_rows(sl_depthwise_window(depthwise), sizes.band);
    sizes.wide_block = rows * sizes.wide_row;
    sizes.deep_block = sizes.band * sizes.deep_row;
    return sizes;
}

// The most pixels of a band of sl_feed_forward.
SL_INLINE size_t sl_feed_forward_band(const sl_feed_forward_args *args) {
    return sl_ceil_div(args->widen.out_w, args->bands);
}

extern const sl_isa sl_isa_generic;
extern const sl_isa sl_isa_emulated512;
#if defined(__x86_64__)
extern const sl_isa sl_isa_avx512;
extern const sl_isa sl_isa_avx2;
#endif
