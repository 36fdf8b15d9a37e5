// Few tiles and filters of 3x3 taps: the points of a filter are multiplied as soon as they are
// transformed, a row of them at a time, and stored nowhere. Each row is worked out again from all
// taps, which takes less time than storing what so few multiplications use.
#pragma once

#if SL_AT_ONCE_TILES > 0

// Sums of the chains of a chunk: a row of points of one vector of outputs, over the channels of a
// block.
typedef struct {
    // Tap 0 of the first channel, floats from one tap and from one channel to the next.
    const float *filters;
    size_t tap_stride, width;
    size_t channels;
    // Patches of the row's first point, [tile][lane], and floats from one point to the next.
    const float *patches;
    size_t patch_stride;
    // [point][tile][lane]; each starts with zero or goes on from what is there.
    float *chains;
    bool starts;
    // Weights that are read later and come from far away: a row asks for its share of them.
    const float *later;
} row_products;

SL_INLINE void SL_FN(add_row)(const int tiles, const size_t row, const row_products *job) {
    // A row's share is a line and a half a channel.
    enum { SIDE = 3, LINES_ASKED = 2 };
    const size_t pair = (row + 1) / 2 % PATCH_PAIRS;
    const size_t tap_stride = job->tap_stride, stride = job->patch_stride;
    const float *filters = job->filters, *later = job->later;
    const float *patches = job->patches, *far_patches = patches + PATCH / 2 * stride;
    vec sum[PATCH][SL_AT_ONCE_TILES];
    SL_UNROLL for (size_t p = 0; p < PATCH; p++) {
        SL_UNROLL for (int t = 0; t < tiles; t++) {
            const float *const chain = job->chains + (p * (size_t)tiles + (size_t)t) * VEC_LANES;
            sum[p][t] = job->starts ? vec_zero() : vec_load(chain);
        }
    }
    _Pragma("clang loop unroll(disable)") for (size_t left = job->channels; left > 0; left--) {
        SL_UNROLL for (size_t line = 0; line < LINES_ASKED; line++) {
            __builtin_prefetch(later + line * FLOATS_PER_LINE, 0, 2);
        }
        vec column[5];
        SL_UNROLL for (size_t x = 0; x < SIDE; x++) {
            vec g[5], both[2];
            SL_UNROLL for (size_t y = 0; y < SIDE; y++) {
                g[y] = vec_load(filters + (y * SIDE + x) * tap_stride);
            }
            SL_FN(transform_weight_pair)(SIDE, pair, g, both);
            column[x] = both[row == SL_FN(pair_row)(pair, 1)];
            SL_FINISH_FIRST(column[x]);
        }
        SL_UNROLL for (size_t q = 0; q < PATCH_PAIRS; q++) {
            vec both[2];
            SL_FN(transform_weight_pair)(SIDE, q, column, both);
            SL_UNROLL for (size_t i = 0; i < 2; i++) {
                const size_t p = SL_FN(pair_row)(q, i);
                const float *const point =
                    p < PATCH / 2 ? patches + p * stride : far_patches + (p - PATCH / 2) * stride;
                SL_UNROLL for (int t = 0; t < tiles; t++) {
                    const vec x = vec_splat(point[(size_t)t * VEC_LANES]);
                    sum[p][t] = vec_fma(x, both[i], sum[p][t]);
                    // What the next point needs must not come early: sums fill the registers.
                    SL_FINISH_FIRST(sum[p][t]);
                }
            }
        }
        filters += job->width;
        later += LINES_ASKED * FLOATS_PER_LINE;
        patches++;
        far_patches++;
    }
    SL_UNROLL for (size_t p = 0; p < PATCH; p++) {
        SL_UNROLL for (int t = 0; t < tiles; t++) {
            vec_store(job->chains + (p * (size_t)tiles + (size_t)t) * VEC_LANES, sum[p][t]);
        }
    }
}

typedef void (*row_products_fn)(const row_products *job);

#define SL_DEFINE_ROW(tiles, row)                                         \
    static void SL_FN(add_row_##row##x##tiles)(const row_products *job) { \
        SL_FN(add_row)(tiles, row, job);                                  \
    }
#define SL_DEFINE_ROWS(tiles) \
    SL_DEFINE_ROW(tiles, 0)   \
    SL_DEFINE_ROW(tiles, 1)   \
    SL_DEFINE_ROW(tiles, 2) SL_DEFINE_ROW(tiles, 3) SL_DEFINE_ROW(tiles, 4) SL_DEFINE_ROW(tiles, 5)
#define SL_ROWS(tiles)                                                                       \
    [tiles] = {SL_FN(add_row_0x##tiles), SL_FN(add_row_1x##tiles), SL_FN(add_row_2x##tiles), \
               SL_FN(add_row_3x##tiles), SL_FN(add_row_4x##tiles), SL_FN(add_row_5x##tiles)},

SL_DEFINE_ROWS(2)
SL_DEFINE_ROWS(3)
SL_DEFINE_ROWS(4)

static const row_products_fn SL_FN(row_table)[SL_AT_ONCE_TILES + 1][PATCH] = {SL_ROWS(2) SL_ROWS(3)
                                                                                  SL_ROWS(4)};

// What a chunk's multiplications ask for and carry, some lines after each row.
SL_INLINE void SL_FN(move_lines)(size_t count, tile_job *job, carrier *carrier) {
    job->run = 1;
    SL_FN(load_carrier)(carrier, count, job);
    if (job->prefetch_step == 0 && !job->carries) return;
    line_walk lines = {job->prefetch, job->carry_source, job->carry_target, NULL};
    for (size_t line = 0; line < count; line++) SL_FN(move_line)(job, &lines);
    job->prefetch = lines.prefetch;
}

// The sums after the last channel of a chunk: the `first` ones, or added to those before them.
static void SL_FN(end_chains)(const winograd_plan *plan, bool first, size_t vectors) {
    const float *chain = plan->chains;
    for (size_t o = 0; o < vectors; o++) {
        for (size_t point = 0; point < PATCH_POINTS; point++) {
            float *to = plan->products + point * plan->product_stride + o * VEC_LANES;
            for (size_t t = 0; t < plan->tiles; t++) {
                const vec sum = vec_load(chain);
                vec_store(to, first ? sum : vec_add(sum, vec_load(to)));
                chain += VEC_LANES;
                to += vectors * VEC_LANES;
            }
        }
    }
}

// Multiplies patches and filters of a chunk, from channel number `first` of its group on, at all
// points. Meanwhile asks for the weights of its later blocks, and for what is read next: those of
// another chunk, or anything if `is_last`.
static void SL_FN(multiply_at_once)(const winograd_plan *plan, const winograd_chunk *chunk,
                                    size_t first, sl_next_read next, bool is_last, carrier *carrier,
                                    tile_job *job) {
    // Steps of the other way to multiply that a row of points stands for, with one vector of two.
    enum { TAPS = 9, BLOCKS_AHEAD = 2, STEPS_A_ROW = PATCH / 2 };
    const size_t vectors = chunk->vectors, width = vectors * VEC_LANES;
    const size_t blocks = sl_ceil_div(chunk->count, VEC_LANES), tiles = plan->tiles;
    const size_t block_floats = TAPS * VEC_LANES * width;
    size_t asked = is_last ? next.floats / FLOATS_PER_LINE : 0;
    size_t lines_a_pass = SL_FN(spread_lines)(asked, blocks * vectors * PATCH * STEPS_A_ROW);
    if (carrier->floats > 0 && lines_a_pass < carrier->lines_a_pass) {
        lines_a_pass = carrier->lines_a_pass;
    }
    const size_t lines = STEPS_A_ROW * SL_FN(lines_a_step)(lines_a_pass);
    job->prefetch = next.from;
    for (size_t block = 0; block < blocks; block++) {
        const size_t channel = chunk->first + block * VEC_LANES;
        const float *const filters = chunk->weights + (1 + channel * TAPS) * width;
        const size_t later = block + BLOCKS_AHEAD;
        const float *const patches =
            plan->patches + (first / VEC_LANES + block) * tiles * VEC_LANES;
        row_products products = {
            .width = width,
            .channels = sl_min_size(VEC_LANES, chunk->all - channel),
            .patch_stride = plan->patch_stride,
            .chains = plan->chains,
            .starts = block == 0,
            .later = later < blocks || is_last ? filters + BLOCKS_AHEAD * block_floats
                                               : next.from + (later - blocks) * block_floats,
        };
        products.tap_stride = products.channels * width;
        for (size_t o = 0; o < vectors; o++) {
            products.filters = filters + o * VEC_LANES;
            products.patches = patches;
            for (size_t row = 0; row < PATCH; row++) {
                SL_FN(row_table)[tiles][row](&products);
                products.patches += PATCH * plan->patch_stride;
                products.chains += PATCH * tiles * VEC_LANES;
                products.later += block_floats / (PATCH * vectors);
                job->prefetch_step = asked > 0 ? FLOATS_PER_LINE : 0;
                SL_FN(move_lines)(lines, job, carrier);
                asked -= sl_min_size(asked, lines);
            }
        }
    }
    SL_FN(end_chains)(plan, first == 0, vectors);
}

#endif
