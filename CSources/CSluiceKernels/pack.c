// Packing of weights into the panels the kernels read, from unaligned little-endian float32.
#include "kernel_internal.h"

enum { PACK_ROWS = 64 };  // Rows written at a time: a panel's part of the first-level cache.

static size_t panel_width(const sl_isa *isa, sl_pack_order order, size_t channels_left) {
    const bool has_pairs = order == SL_PACK_BLOCKED || order == SL_PACK_PLANAR;
    return has_pairs && channels_left > isa->lanes ? 2 * (size_t)isa->lanes : isa->lanes;
}

size_t sl_packed_floats(const sl_isa *isa, uint32_t out_channels, uint32_t channels,
                        uint32_t taps) {
    const size_t rows = 1 + (size_t)channels * taps;
    // Panels of two vectors and the last of one: in all, as many vectors as the channels fill.
    return rows * sl_ceil_div(out_channels, isa->lanes) * isa->lanes;
}

static inline float load_float(const unsigned char *at) {
    uint32_t bits;
    memcpy(&bits, at, sizeof bits);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bits = __builtin_bswap32(bits);
#endif
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// A run of rows of one panel: row r takes, for output channel oc, the float at
// source + 4 * (oc * oc_stride + r * row_stride).
typedef struct {
    const unsigned char *source;
    ptrdiff_t oc_stride, row_stride;
    size_t rows;
    size_t channels;  // output channels of the panel; the rest of its width is zero
    size_t width;
    const float *scale;  // of the panel's first channel, or NULL
    float *target;
    size_t target_stride;  // floats between rows
    bool adds;
} row_run;

// Neighbouring output channels are neighbours in the source: copies row by row.
static void pack_rows_straight(const row_run *run) {
    for (size_t r = 0; r < run->rows; r++) {
        const unsigned char *const from = run->source + 4 * (ptrdiff_t)r * run->row_stride;
        float *const to = run->target + r * run->target_stride;
        for (size_t oc = 0; oc < run->channels; oc++) {
            const float factor = run->scale == NULL ? 1.0f : run->scale[oc];
            const float weight = load_float(from + 4 * oc) * factor;
            to[oc] = run->adds ? to[oc] + weight : weight;
        }
    }
}

// Otherwise each channel is read along the rows, few enough rows at a time for the cache.
static void pack_rows_across(const row_run *run) {
    for (size_t first = 0; first < run->rows; first += PACK_ROWS) {
        const size_t end = sl_min_size(run->rows, first + PACK_ROWS);
        for (size_t oc = 0; oc < run->channels; oc++) {
            const float factor = run->scale == NULL ? 1.0f : run->scale[oc];
            const unsigned char *from = run->source + 4 * ((ptrdiff_t)oc * run->oc_stride +
                                                           (ptrdiff_t)first * run->row_stride);
            float *to = run->target + first * run->target_stride + oc;
            for (size_t r = first; r < end; r++) {
                const float weight = load_float(from) * factor;
                *to = run->adds ? *to + weight : weight;
                to += run->target_stride;
                from += 4 * run->row_stride;
            }
        }
    }
}

static void pack_rows(const row_run *run) {
    if (run->oc_stride == 1) {
        pack_rows_straight(run);
    } else {
        pack_rows_across(run);
    }
    if (run->channels == run->width || run->adds) return;
    for (size_t r = 0; r < run->rows; r++) {
        memset(run->target + r * run->target_stride + run->channels, 0,
               (run->width - run->channels) * sizeof(float));
    }
}

static void pack_bias(const sl_pack_args *args, size_t first, size_t channels, size_t width,
                      float *target) {
    for (size_t i = 0; i < width; i++) {
        target[i] = args->bias != NULL && i < channels ? args->bias[first + i] : 0.0f;
    }
}

// The row of an input channel under a tap, after the bias.
static size_t packed_row(const sl_isa *isa, const sl_pack_args *args, size_t c, size_t tap) {
    if (args->order != SL_PACK_BLOCKED) return c * args->taps + tap;
    const size_t block = c - c % isa->lanes;
    const size_t block_channels = sl_min_size(isa->lanes, args->channels - block);
    return block * args->taps + tap * block_channels + (c - block);
}

// Adds the weights of the output channels of a panel, the first of which has number `first`, for
// the input channels of the same numbers.
static void add_diagonal(const sl_isa *isa, const sl_pack_args *args, row_run run,
                         const unsigned char *source, size_t first, float *panel) {
    for (size_t oc = 0; oc < run.channels; oc++) {
        for (size_t tap = 0; tap < args->taps; tap++) {
            if (args->tap_offset[tap] < 0) continue;
            const size_t row = packed_row(isa, args, first + oc, tap);
            const ptrdiff_t at = (ptrdiff_t)oc * run.oc_stride + args->tap_offset[tap];
            const float factor = run.scale == NULL ? 1.0f : run.scale[oc];
            panel[row * run.width + oc] += load_float(source + 4 * at) * factor;
        }
    }
}

// The rows of one panel that the channels at hand fill. `panel` is its first row after the bias.
static void pack_panel(const sl_isa *isa, const sl_pack_args *args, row_run run,
                       const unsigned char *source, float *panel) {
    const size_t lanes = isa->lanes, taps = args->taps;
    const bool is_blocked = args->order == SL_PACK_BLOCKED;
    const size_t end = (size_t)args->channel_first + args->channel_count;
    for (size_t c = args->channel_first; c < end; c += run.rows) {
        // Channels of one block are neighbouring rows under one tap; in the other orders each
        // channel stands alone, its rows being its taps.
        const size_t block = c - c % lanes;
        const size_t block_channels = sl_min_size(lanes, args->channels - block);
        const size_t block_end = sl_min_size(end, block + block_channels);
        const bool is_matrix = is_blocked && taps == 1;
        run.rows = is_matrix ? end - c : is_blocked ? block_end - c : 1;
        for (size_t tap = 0; tap < taps; tap++) {
            if (args->tap_offset[tap] < 0) continue;
            run.source = source + 4 * ((ptrdiff_t)(c - args->channel_first) * run.row_stride +
                                       args->tap_offset[tap]);
            run.target = panel + packed_row(isa, args, c, tap) * run.width;
            pack_rows(&run);
        }
    }
}

void sl_pack(const sl_isa *isa, const sl_pack_args *args) {
    assert(args->channel_first + args->channel_count <= args->channels);
    const size_t rows = 1 + (size_t)args->channels * args->taps;
    const unsigned char *source = args->source;
    float *target = args->target;
    size_t width = 0;
    for (size_t first = 0; first < args->out_channels; first += width) {
        const size_t left = args->out_channels - first;
        width = panel_width(isa, args->order, left);
        const row_run run = {
            .oc_stride = args->oc_stride,
            .row_stride = args->channel_stride,
            .channels = sl_min_size(width, left),
            .width = width,
            .scale = args->scale == NULL ? NULL : args->scale + first,
            .target_stride = width,
            .adds = args->adds,
        };
        const unsigned char *const from = source + 4 * (ptrdiff_t)first * args->oc_stride;
        if (args->channel_first == 0 && !args->adds) {
            pack_bias(args, first, run.channels, width, target);
        }
        if (args->is_diagonal) {
            add_diagonal(isa, args, run, from, args->diagonal_first + first, target + width);
        } else {
            pack_panel(isa, args, run, from, target + width);
        }
        target += rows * width;
    }
}
