// The tile kernels of convolution and matrix product.
//
// Every output element is one chain of fused multiply-adds for each chunk of channels, the bias
// last, over the packed order of the weights (channel block, tap, channel in block), whatever the
// size of its tile and however its addresses were found; so its bits depend on nothing else. Only a
// call with a single pixel an image, which reads each weight once and waits for memory, keeps four
// interleaved chains.
#pragma once

// Stands in for pixels outside the image.
static const float SL_FN(zero_pixel)[VEC_LANES] = {0};

enum {
    // Taps whose addresses an indirect tile keeps at hand.
    TABLE_TAPS = 9,
    TILE_PARTS = SL_TILE_ROOM / PIXEL_WORDS,
};

// Where the pixels of a tile are: `step` floats apart from `first` on, or each `walk` floats after
// an address of its own. Those evenly spaced are addressed from `bases`, SL_PIXELS_A_BASE of them
// from each: one register holds what they differ by.
typedef struct {
    const float *first;
    size_t step;
    const float *const *each;
    ptrdiff_t walk;
    const float *bases[SL_BASE_COUNT];
} pixel_source;

SL_INLINE void SL_FN(start_bases)(const int pixels, pixel_source *from) {
    SL_UNROLL for (int b = 0; b * SL_PIXELS_A_BASE < pixels; b++) {
        from->bases[b] = from->first + (size_t)(b * SL_PIXELS_A_BASE) * from->step;
        SL_KEEP_IN_REGISTER(from->bases[b]);
    }
}

// Goes on by `count` channels.
SL_INLINE void SL_FN(skip_channels)(const int pixels, pixel_source *from, size_t count) {
    from->walk += (ptrdiff_t)count;
    if (from->each != NULL) return;
    SL_UNROLL for (int b = 0; b * SL_PIXELS_A_BASE < pixels; b++) {
        from->bases[b] += count;
        SL_KEEP_IN_REGISTER(from->bases[b]);
    }
}

SL_INLINE const float *SL_FN(pixel_at)(const pixel_source *from, int p) {
    if (from->each != NULL) return from->each[p] + from->walk;
    return from->bases[p / SL_PIXELS_A_BASE] + (size_t)(p % SL_PIXELS_A_BASE) * from->step;
}

// Whether each multiplication reads the pixel's element itself, and none is loaded before: one
// instruction fewer, for a load more. Where two registers make the address the processor would take
// it apart again, and if all pixels did it, loads would set the pace.
SL_INLINE bool SL_FN(reads_in_place)(const int pixels, const pixel_source *from, int p) {
    return SL_BROADCASTS_IN_PLACE && pixels > 8 && from->each == NULL && p % SL_PIXELS_A_BASE == 0;
}

// Multiplies channel k of the pixels with row k of the panel; `chunk` is where that row is copied
// on its way, or NULL.
SL_INLINE void SL_FN(add_products)(const int pixels, const int vectors, vec sum[][3],
                                   const pixel_source *from, weight_rows weights, float *chunk,
                                   size_t k) {
    vec w[3];
    SL_UNROLL for (int o = 0; o < vectors; o++) w[o] = SL_FN(load_weights)(vectors, weights, k, o);
    SL_UNROLL for (int o = 0; o < vectors && chunk != NULL; o++) {
        vec_store(chunk + (k * (size_t)vectors + (size_t)o) * VEC_LANES, w[o]);
    }
    SL_UNROLL for (int p = 0; p < pixels; p++) {
        if (SL_FN(reads_in_place)(pixels, from, p)) {
            SL_UNROLL for (int o = 0; o < vectors; o++) {
                sum[p][o] = vec_fma(vec_splat(SL_FN(pixel_at)(from, p)[k]), w[o], sum[p][o]);
                SL_FINISH_FIRST(sum[p][o]);
            }
            continue;
        }
        const vec x = vec_splat(SL_FN(pixel_at)(from, p)[k]);
        SL_UNROLL for (int o = 0; o < vectors; o++) sum[p][o] = vec_fma(x, w[o], sum[p][o]);
        // Tiles that fill the registers: what the next pixel needs must not come early.
        if (vectors == 3 || pixels > 8) {
            SL_UNROLL for (int o = 0; o < vectors; o++) SL_FINISH_FIRST(sum[p][o]);
        }
    }
}

// One step: multiplies `count` channels of the pixels with as many rows of the panel.
SL_INLINE void SL_FN(add_channels)(const int pixels, const int vectors, vec sum[][3],
                                   const tile_job *job, pixel_source from, weight_rows weights,
                                   line_walk *lines, const size_t count) {
    if (from.each == NULL) SL_FN(start_bases)(pixels, &from);
    if (count == VEC_LANES) {
        const size_t lines_a_pass = job->lines_a_pass;
        if (lines_a_pass == 0) SL_FN(move_line)(job, lines);
        SL_PRAGMA(clang loop unroll(disable))
        for (size_t left = VEC_LANES / SL_K_UNROLL; left > 0; left--) {
            if (lines_a_pass > 0) {
                SL_FN(move_line)(job, lines);
                if (lines_a_pass > 1) SL_FN(move_line)(job, lines);
            }
            if (lines->filters != NULL) SL_FN(pass_filters)(lines->filters);
            SL_UNROLL for (size_t k = 0; k < SL_K_UNROLL; k++) {
                SL_FN(add_products)(pixels, vectors, sum, &from, weights, NULL, k);
            }
            SL_FN(skip_channels)(pixels, &from, SL_K_UNROLL);
            weights = SL_FN(skip_rows)(vectors, weights, SL_K_UNROLL);
        }
    } else {
        _Pragma("clang loop unroll(disable)") for (size_t k = 0; k < count; k++) {
            SL_FN(add_products)(pixels, vectors, sum, &from, weights, NULL, k);
        }
    }
}

// Asks for the pixels that a run multiplies next, whose first one is `ask_step` from here.
SL_INLINE void SL_FN(ask_ahead)(const int pixels, const tile_job *job, const float *first) {
    enum { STEP = FLOATS_PER_LINE / VEC_LANES };
    first += job->ask_step;
    if (job->asks_close) {
        SL_UNROLL for (int p = 0; p < pixels; p += STEP) {
            __builtin_prefetch(first + (size_t)p * job->step, 0, 3);
        }
    } else {
        SL_UNROLL for (int p = 0; p < pixels; p += STEP) {
            __builtin_prefetch(first + (size_t)p * job->step, 0, 2);
        }
    }
}

// A run of tiles whose pixels are evenly spaced and whose taps are all inside the image. One flat
// loop over blocks and taps: the table of the job leads from one tap to the next.
SL_INLINE void SL_FN(strided_run)(const int pixels, const int vectors, const bool filters,
                                  const tile_job *job) {
    const size_t taps = job->args->taps, channels = job->channels;
    const size_t rest = channels % VEC_LANES;
    line_walk lines = {job->prefetch, job->carry_source, job->carry_target,
                       filters ? job->filters : NULL};
    const float *first = job->first;
    ptrdiff_t out_first = job->out_first;
    for (size_t tiles = job->run; tiles > 0; tiles--) {
        vec sum[SL_HALF_PANEL_PIXELS][3];
        weight_rows weights = SL_FN(start_tile)(pixels, vectors, sum, job, out_first);
        pixel_source from = {.first = first, .step = job->step};
        size_t tap = 0;
        for (size_t left = channels / VEC_LANES * taps; left > 0; left--) {
            if (job->ask_step != 0) SL_FN(ask_ahead)(pixels, job, from.first);
            SL_FN(add_channels)(pixels, vectors, sum, job, from, weights, &lines, VEC_LANES);
            weights = SL_FN(skip_tap)(vectors, weights, job, tap, VEC_LANES);
            from.first += job->tap_step[tap];
            tap = tap + 1 == taps ? 0 : tap + 1;
        }
        if (rest > 0) weights = SL_FN(enter_rest)(vectors, weights, job, rest);
        for (size_t left = rest > 0 ? taps : 0; left > 0; left--) {
            SL_FN(add_channels)(pixels, vectors, sum, job, from, weights, &lines, rest);
            weights = SL_FN(skip_tap)(vectors, weights, job, tap, rest);
            from.first += job->tap_step[tap++];
        }
        SL_FN(add_bias)(pixels, vectors, sum, job);
        SL_FN(finish_tile)(pixels, vectors, sum, job, out_first);
        first += job->run_step;
        out_first += (ptrdiff_t)job->run_out_step;
    }
}

SL_INLINE void SL_FN(strided_tile)(const int pixels, const int vectors, const tile_job *job) {
    SL_FN(strided_run)(pixels, vectors, false, job);
}
SL_INLINE void SL_FN(filtering_tile)(const int pixels, const int vectors, const tile_job *job) {
    SL_FN(strided_run)(pixels, vectors, true, job);
}

// A tile whose pixels stand anywhere, all taps inside: the same walk from tap to tap for each.
SL_INLINE void SL_FN(placed_tile)(const int pixels, const int vectors, const tile_job *job) {
    const size_t taps = job->args->taps, channels = job->channels;
    const float *at[SL_TILE_ROOM];
    SL_UNROLL for (int p = 0; p < pixels; p++) at[p] = job->each[p];
    line_walk lines = {job->prefetch, job->carry_source, job->carry_target, NULL};
    vec sum[SL_HALF_PANEL_PIXELS][3];
    weight_rows weights = SL_FN(start_tile)(pixels, vectors, sum, job, job->out_first);
    pixel_source from = {.each = at};
    for (size_t left = sl_ceil_div(channels, VEC_LANES); left > 0; left--) {
        const size_t count =
            left > 1 || channels % VEC_LANES == 0 ? VEC_LANES : channels % VEC_LANES;
        if (count < VEC_LANES) weights = SL_FN(enter_rest)(vectors, weights, job, count);
        for (size_t tap = 0; tap < taps; tap++) {
            SL_FN(add_channels)(pixels, vectors, sum, job, from, weights, &lines, count);
            weights = SL_FN(skip_tap)(vectors, weights, job, tap, count);
            from.walk += job->tap_step[tap];
        }
    }
    SL_FN(add_bias)(pixels, vectors, sum, job);
    SL_FN(finish_tile)(pixels, vectors, sum, job, job->out_first);
}

// The addresses of a tile's pixels under some taps, and whether each moves on from one channel
// block to the next: pixels outside the image point at zeros and stay there. Wide tiles work the
// latter out again each time, to stay within the stack a kernel may use.
#define SL_HAS_WIDE_TILES (SL_TILE_PIXELS > 8)
typedef struct {
    pixel_words address[TABLE_TAPS][TILE_PARTS];
#if !SL_HAS_WIDE_TILES
    pixel_marks moves[TABLE_TAPS][TILE_PARTS];
#endif
} address_table;

SL_INLINE void SL_FN(fill_table)(const tile_job *job, const float *block, size_t first_tap,
                                 size_t count, address_table *table) {
    const sl_conv_args *const args = job->args;
    const pixel_words zeros = (uint64_t)SL_FN(zero_pixel);
    const size_t parts = sl_ceil_div(job->pixels, PIXEL_WORDS);
    for (size_t t = 0; t < count; t++) {
        const int32_t dy = args->tap_dy[first_tap + t], dx = args->tap_dx[first_tap + t];
        const ptrdiff_t offset =
            dy * (ptrdiff_t)args->in_row_stride + dx * (ptrdiff_t)args->in_pixel_stride;
        const uint64_t base = (uint64_t)block + (uint64_t)offset * sizeof(float);
        for (size_t part = 0; part < parts; part++) {
            // As unsigned numbers, coordinates before the image are beyond its end.
            const pixel_coordinates y = job->row[part] + (uint32_t)dy;
            const pixel_coordinates x = job->column[part] + (uint32_t)dx;
            const pixel_flags is_inside = (y < args->in_h) & (x < args->in_w);
            const pixel_words inside =
                (pixel_words) __builtin_convertvector(is_inside, pixel_wide_flags);
            table->address[t][part] = (inside & (job->origin[part] + base)) | (~inside & zeros);
#if !SL_HAS_WIDE_TILES
            table->moves[t][part] = __builtin_convertvector(is_inside, pixel_marks);
#endif
        }
    }
}

static __attribute__((noinline)) void SL_FN(call_fill_table)(const tile_job *job,
                                                             const float *block, size_t first_tap,
                                                             size_t count, address_table *table) {
    SL_FN(fill_table)(job, block, first_tap, count, table);
}

// Fills the table while sums are in registers, which a call would put on the stack.
SL_INLINE void SL_FN(refill_table)(const tile_job *job, const float *block, size_t first_tap,
                                   size_t count, address_table *table) {
#if SL_HAS_WIDE_TILES
    SL_FN(fill_table)(job, block, first_tap, count, table);
#else
    SL_FN(call_fill_table)(job, block, first_tap, count, table);
#endif
}

SL_INLINE void SL_FN(move_table)(const int pixels, const sl_conv_args *args, address_table *table) {
    for (size_t t = 0; t < args->taps; t++) {
        SL_UNROLL for (size_t part = 0; part < sl_ceil_div((size_t)pixels, PIXEL_WORDS); part++) {
#if SL_HAS_WIDE_TILES
            const pixel_words zeros = (uint64_t)SL_FN(zero_pixel);
            const pixel_words is_inside = (pixel_words)(table->address[t][part] != zeros);
            table->address[t][part] += is_inside & (args->in_block_stride * sizeof(float));
#else
            const pixel_words moves =
                (pixel_words) __builtin_convertvector(table->moves[t][part], pixel_wide_flags);
            table->address[t][part] += moves & (args->in_block_stride * sizeof(float));
#endif
        }
    }
}

// Adds `count` channels of one block under all taps; returns the next row of weights.
SL_INLINE weight_rows SL_FN(add_indirect_block)(const int pixels, const int vectors, vec sum[][3],
                                                const tile_job *job, const float *block,
                                                address_table *table, weight_rows weights,
                                                line_walk *lines, const size_t count) {
    const size_t taps = job->args->taps;
    for (size_t first = 0; first < taps; first += TABLE_TAPS) {
        const size_t here = sl_min_size(TABLE_TAPS, taps - first);
        if (taps > TABLE_TAPS) SL_FN(refill_table)(job, block, first, here, table);
        for (size_t t = 0; t < here; t++) {
            const float *at[SL_TILE_ROOM];
            memcpy(at, table->address[t],
                   sl_ceil_div((size_t)pixels, PIXEL_WORDS) * sizeof(pixel_words));
            const pixel_source from = {.each = at};
            SL_FN(add_channels)(pixels, vectors, sum, job, from, weights, lines, count);
            weights = SL_FN(skip_tap)(vectors, weights, job, first + t, count);
        }
    }
    return weights;
}

// Any tile: every pixel has an address of its own under each tap.
SL_INLINE void SL_FN(indirect_tile)(const int pixels, const int vectors, const tile_job *job) {
    const sl_conv_args *const args = job->args;
    const size_t taps = args->taps;
    address_table table;
    if (taps <= TABLE_TAPS) SL_FN(call_fill_table)(job, job->image, 0, taps, &table);
    vec sum[SL_HALF_PANEL_PIXELS][3];
    weight_rows weights = SL_FN(start_tile)(pixels, vectors, sum, job, job->out_first);
    line_walk lines = {job->prefetch, job->carry_source, job->carry_target, NULL};
    const float *block = job->image;
    for (size_t left = job->channels / VEC_LANES; left > 0; left--) {
        weights = SL_FN(add_indirect_block)(pixels, vectors, sum, job, block, &table, weights,
                                            &lines, VEC_LANES);
        block += args->in_block_stride;
        if (taps <= TABLE_TAPS) SL_FN(move_table)(pixels, args, &table);
    }
    const size_t rest = job->channels % VEC_LANES;
    if (rest > 0) {
        weights = SL_FN(enter_rest)(vectors, weights, job, rest);
        SL_FN(add_indirect_block)
        (pixels, vectors, sum, job, block, &table, weights, &lines, rest);
    }
    SL_FN(add_bias)(pixels, vectors, sum, job);
    SL_FN(finish_tile)(pixels, vectors, sum, job, job->out_first);
}

// Adds the products of `channels` channels of one pixel, from those of `block` on, to four chains.
SL_INLINE const float *SL_FN(add_single_pixel)(const int vectors, float *chunk, const tile_job *job,
                                               const float *block, size_t channels,
                                               const float *weights, vec sum[4][3]) {
    const sl_conv_args *const args = job->args;
    const size_t width = (size_t)vectors * VEC_LANES;
    for (size_t left = channels; left > 0; block += args->in_block_stride) {
        const size_t count = sl_min_size(left, VEC_LANES);
        if (count < VEC_LANES) weights -= job->first_gap * (VEC_LANES - count) * width;
        for (uint32_t tap = 0; tap < args->taps; tap++) {
            const int32_t y = (int32_t)job->row[0][0] + args->tap_dy[tap];
            const int32_t x = (int32_t)job->column[0][0] + args->tap_dx[tap];
            const bool is_inside = (uint32_t)y < args->in_h && (uint32_t)x < args->in_w;
            const float *const inside =
                block + y * (ptrdiff_t)args->in_row_stride + x * (ptrdiff_t)args->in_pixel_stride;
            pixel_source from = {.first = is_inside ? inside : SL_FN(zero_pixel)};
            SL_FN(start_bases)(1, &from);
            const weight_rows rows = {weights, NULL};
            // Without branches among them, the loads run further ahead.
            if (count == VEC_LANES) {
                SL_UNROLL for (size_t k = 0; k < VEC_LANES; k++) {
                    SL_FN(add_products)(1, vectors, sum + k % 4, &from, rows, chunk, k);
                }
            } else {
                for (size_t k = 0; k < count; k += 4) {
                    SL_UNROLL for (size_t chain = 0; chain < 4; chain++) {
                        if (k + chain < count) {
                            SL_FN(add_products)
                            (1, vectors, sum + chain, &from, rows, chunk, k + chain);
                        }
                    }
                }
            }
            weights += (1 + (size_t)job->tap_gap[tap * job->gap_step]) * count * width;
        }
        left -= count;
    }
    return weights;
}

// One pixel: four chains (channel in block modulo 4), so that the loads of weights and not the
// latency of the additions set the pace. As in larger tiles, long sums are those of several chains.
// Weights go through `chunk`, or are read in place if it is NULL.
SL_INLINE void SL_FN(single_pixel)(const int vectors, float *chunk, const tile_job *job) {
    const sl_conv_args *const args = job->args;
    const float *weights = job->weights;
    vec total[1][3];
    SL_UNROLL for (int o = 0; o < vectors; o++) {
        total[0][o] = vec_load(weights + o * VEC_LANES);
        if (chunk != NULL) vec_store(chunk + o * VEC_LANES, total[0][o]);
    }
    weights += (1 + job->first_gap * VEC_LANES) * (size_t)vectors * VEC_LANES;
    const size_t most = sl_chain_channels(args, VEC_LANES);
    const float *block = job->image;
    for (size_t left = job->channels; left > 0;) {
        const size_t channels = sl_min_size(left, most);
        vec sum[4][3];
        SL_UNROLL for (int chain = 0; chain < 4; chain++) {
            SL_UNROLL for (int o = 0; o < vectors; o++) sum[chain][o] = vec_zero();
        }
        weights = SL_FN(add_single_pixel)(vectors, chunk, job, block, channels, weights, sum);
        SL_UNROLL for (int o = 0; o < vectors; o++) {
            const vec first = vec_add(sum[0][o], sum[1][o]), second = vec_add(sum[2][o], sum[3][o]);
            total[0][o] = vec_add(total[0][o], vec_add(first, second));
        }
        block += channels / VEC_LANES * args->in_block_stride;
        left -= channels;
    }
    SL_FN(finish_tile)(1, vectors, total, job, job->out_first);
}

// Aligned, so that their speed does not hang on the size of what stands before them.
static __attribute__((aligned(64))) void SL_FN(tile_1x1)(const tile_job *job) {
    // Two instances: no branch stands among the loads.
    if (job->chunk == NULL) {
        SL_FN(single_pixel)(1, NULL, job);
    } else {
        SL_FN(single_pixel)(1, job->chunk, job);
    }
}
static __attribute__((aligned(64))) void SL_FN(tile_1x2)(const tile_job *job) {
    if (job->chunk == NULL) {
        SL_FN(single_pixel)(2, NULL, job);
    } else {
        SL_FN(single_pixel)(2, job->chunk, job);
    }
}

#ifndef SL_TILES_ARE_LOOPS
#define SL_DEFINE_TILE(kind, pixels, vectors)                             \
    static void SL_FN(kind##_##pixels##x##vectors)(const tile_job *job) { \
        SL_FN(kind##_tile)(pixels, vectors, job);                         \
    }
#define SL_TILE(kind, pixels, vectors) SL_FN(kind##_##pixels##x##vectors)
#else
#define SL_DEFINE_TILE(kind, pixels, vectors)
#define SL_TILE(kind, pixels, vectors) SL_FN(kind##_any_x##vectors)
#define SL_DEFINE_ANY_TILE(kind, vectors)                           \
    static void SL_FN(kind##_any_x##vectors)(const tile_job *job) { \
        SL_FN(kind##_tile)((int)job->pixels, vectors, job);         \
    }
SL_DEFINE_ANY_TILE(strided, 1)
SL_DEFINE_ANY_TILE(strided, 2)
SL_DEFINE_ANY_TILE(strided, 3)
SL_DEFINE_ANY_TILE(filtering, 2)
SL_DEFINE_ANY_TILE(placed, 1)
SL_DEFINE_ANY_TILE(placed, 2)
SL_DEFINE_ANY_TILE(placed, 3)
SL_DEFINE_ANY_TILE(indirect, 1)
SL_DEFINE_ANY_TILE(indirect, 2)
#endif

#define SL_DEFINE_HALF_PANEL_TILES(pixels) \
    SL_DEFINE_TILE(strided, pixels, 1)     \
    SL_DEFINE_TILE(placed, pixels, 1)      \
    SL_DEFINE_TILE(indirect, pixels, 1)
#define SL_DEFINE_TILES(pixels)        \
    SL_DEFINE_HALF_PANEL_TILES(pixels) \
    SL_DEFINE_TILE(strided, pixels, 2) \
    SL_DEFINE_TILE(placed, pixels, 2)  \
    SL_DEFINE_TILE(indirect, pixels, 2)
SL_FOR_TILE_SIZES(SL_DEFINE_TILES)
SL_FOR_HALF_PANEL_SIZES(SL_DEFINE_HALF_PANEL_TILES)
#define SL_DEFINE_TRIPLE_TILES(pixels) \
    SL_DEFINE_TILE(strided, pixels, 3) \
    SL_DEFINE_TILE(placed, pixels, 3)
SL_FOR_TRIPLE_SIZES(SL_DEFINE_TRIPLE_TILES)
#define SL_DEFINE_FILTERING_TILE(pixels) SL_DEFINE_TILE(filtering, pixels, 2)
SL_FOR_FILTERING_SIZES(SL_DEFINE_FILTERING_TILE)

// How a tile finds its pixels; TILE_FILTERING is TILE_STRIDED that transforms filters meanwhile.
typedef enum { TILE_STRIDED, TILE_PLACED, TILE_INDIRECT, TILE_FILTERING } tile_kind;

#define SL_TILE_CELL(kind, pixels, vectors) [pixels][vectors - 1] = SL_TILE(kind, pixels, vectors),
#define SL_HALF_STRIDED_CELL(pixels) SL_TILE_CELL(strided, pixels, 1)
#define SL_HALF_PLACED_CELL(pixels) SL_TILE_CELL(placed, pixels, 1)
#define SL_HALF_INDIRECT_CELL(pixels) SL_TILE_CELL(indirect, pixels, 1)
#define SL_STRIDED_CELLS(pixels) SL_HALF_STRIDED_CELL(pixels) SL_TILE_CELL(strided, pixels, 2)
#define SL_PLACED_CELLS(pixels) SL_HALF_PLACED_CELL(pixels) SL_TILE_CELL(placed, pixels, 2)
#define SL_INDIRECT_CELLS(pixels) SL_HALF_INDIRECT_CELL(pixels) SL_TILE_CELL(indirect, pixels, 2)
#define SL_TRIPLE_STRIDED_CELL(pixels) SL_TILE_CELL(strided, pixels, 3)
#define SL_TRIPLE_PLACED_CELL(pixels) SL_TILE_CELL(placed, pixels, 3)
#define SL_FILTERING_CELL(pixels) SL_TILE_CELL(filtering, pixels, 2)

// The kernel of a tile: by kind, pixels, and vectors of the panel less one. A single pixel is
// always indirect.
static const tile_fn SL_FN(tile_table)[][SL_HALF_PANEL_PIXELS + 1][3] = {
    [TILE_STRIDED] = {SL_FOR_TILE_SIZES(SL_STRIDED_CELLS)
                          SL_FOR_HALF_PANEL_SIZES(SL_HALF_STRIDED_CELL)
                              SL_FOR_TRIPLE_SIZES(SL_TRIPLE_STRIDED_CELL)},
    [TILE_PLACED] = {SL_FOR_TILE_SIZES(SL_PLACED_CELLS) SL_FOR_HALF_PANEL_SIZES(SL_HALF_PLACED_CELL)
                         SL_FOR_TRIPLE_SIZES(SL_TRIPLE_PLACED_CELL)},
    [TILE_INDIRECT] = {[1] = {SL_FN(tile_1x1), SL_FN(tile_1x2)},
                       SL_FOR_TILE_SIZES(SL_INDIRECT_CELLS)
                           SL_FOR_HALF_PANEL_SIZES(SL_HALF_INDIRECT_CELL)},
    [TILE_FILTERING] = {[0] = {NULL}, SL_FOR_FILTERING_SIZES(SL_FILTERING_CELL)},
};
