// What every tile kernel shares: the job one call gets and the epilogue that ends it.
//
// A tile is up to SL_TILE_PIXELS output pixels x one panel of one or two channel vectors, or fewer
// pixels x the last two panels, if the last is a half panel: three vectors. Its sums live in
// registers until the store.
#pragma once

// One number a pixel, several at a time: the addresses of a tile are found together. Whole vectors
// would be aligned, and the stack with them.
enum { PIXEL_WORDS = 8 };
typedef uint64_t pixel_words __attribute__((ext_vector_type(PIXEL_WORDS), aligned(8)));
typedef int64_t pixel_wide_flags __attribute__((ext_vector_type(PIXEL_WORDS)));
typedef uint32_t pixel_coordinates __attribute__((ext_vector_type(PIXEL_WORDS), aligned(4)));
typedef int32_t pixel_flags __attribute__((ext_vector_type(PIXEL_WORDS)));
typedef int8_t pixel_marks __attribute__((ext_vector_type(PIXEL_WORDS)));
// Tiles of a half panel, one vector wide, may take more pixels: the registers are there, and short
// chains would wait for each addition.
#ifndef SL_HALF_PANEL_PIXELS
#define SL_HALF_PANEL_PIXELS SL_TILE_PIXELS
#define SL_FOR_HALF_PANEL_SIZES(X)
#endif
// Tiles of three vectors have fewer pixels; 0 where there are none.
#ifndef SL_TRIPLE_PIXELS
#define SL_TRIPLE_PIXELS 0
#define SL_FOR_TRIPLE_SIZES(X)
#endif
// Tiles of two vectors that transform filters meanwhile, where registers have room for both: most
// pixels; 0 where there are none.
#ifndef SL_FILTERING_PIXELS
#define SL_FILTERING_PIXELS 0
#define SL_FOR_FILTERING_SIZES(X)
#endif
// Tiles of Winograd's algorithm with which filters are multiplied as they are transformed, where
// registers have room for the sums: at most 4; 0 where not said.
#ifndef SL_AT_ONCE_TILES
#define SL_AT_ONCE_TILES 0
#endif
// Evenly spaced pixels that are addressed from one register; all of a tile where not said.
#ifndef SL_PIXELS_A_BASE
#define SL_PIXELS_A_BASE SL_HALF_PANEL_PIXELS
#endif
#define SL_BASE_COUNT ((SL_HALF_PANEL_PIXELS + SL_PIXELS_A_BASE - 1) / SL_PIXELS_A_BASE)
// Whether a multiplication can repeat an element of memory along a vector.
#ifndef SL_BROADCASTS_IN_PLACE
#define SL_BROADCASTS_IN_PLACE false
#endif
// Channels up to which tiles ask for the input of the next into the first cache, and not only into
// the second; any number where not said.
#ifndef SL_ASK_CHANNELS
#define SL_ASK_CHANNELS SIZE_MAX
#endif
// Has the compiler keep a pointer as it is, and not as its distance from another one.
#ifndef SL_KEEP_IN_REGISTER
#define SL_KEEP_IN_REGISTER(p)
#endif
// Has the compiler compute a vector before it loads anything that the source loads later.
#ifndef SL_FINISH_FIRST
#define SL_FINISH_FIRST(v)
#endif
enum {
    FLOATS_PER_LINE = 16,
    // How far ahead of itself a carried upload asks for its source.
    CARRY_AHEAD = 1024,
    // Lines that a pass of the innermost loop asks for or carries at most.
    MOST_A_PASS = 2,
};
#define SL_TILE_ROOM ((SL_HALF_PANEL_PIXELS + PIXEL_WORDS - 1) / PIXEL_WORDS * PIXEL_WORDS)

typedef struct {
    const sl_conv_args *args;
    size_t pixels;
    // Input channels, and where channel 0 of the image's pixel (0, 0) is.
    size_t channels;
    const float *image;
    // Input of a strided tile: pixel 0 under tap 0 of channel block 0, floats between pixels, and
    // from each tap to the next.
    const float *first;
    size_t step;
    const int32_t *tap_step;
    // A strided call computes a run of tiles, input and output this many floats apart.
    size_t run;
    size_t run_step, run_out_step;
    // Input of a placed tile: each pixel under tap 0 of channel block 0. Of an indirect tile: the
    // place of offset (0, 0) of each pixel in bytes from `image`, its row and its column, which may
    // be outside the image.
    union {
        const float *each[SL_TILE_ROOM];
        pixel_words origin[SL_TILE_ROOM / PIXEL_WORDS];
    };
    pixel_coordinates row[SL_TILE_ROOM / PIXEL_WORDS];
    pixel_coordinates column[SL_TILE_ROOM / PIXEL_WORDS];
    // The panel. Where it holds more taps than are computed: how many come before the first of them
    // in each channel block, and after each of them until the next one, or until the first of the
    // next block. Elsewhere a single 0, with a step of 0 from tap to tap.
    const float *weights;
    size_t first_gap;
    const uint8_t *tap_gap;
    size_t gap_step;
    // The half panel that is computed along with it, in tiles of three vectors.
    const float *third;
    // Where to ask for lines of what is read next; a step of zero floats asks for nothing new. One
    // line in each step of one channel block and one tap, or `lines_a_pass` of them (at most two)
    // in each pass of the innermost loop, where a step is too long for them to arrive in time.
    const float *prefetch;
    size_t prefetch_step;
    size_t lines_a_pass;
    // Lines to copy, as many as are asked for, while `carries`.
    const float *carry_source;
    float *carry_target;
    bool carries;
    // Whether those lines come to the first cache or to the second.
    bool lines_come_close;
    // How far beyond what it multiplies a run asks for input that comes from far away, into the
    // first or the second cache; 0 for none.
    bool asks_close;
    ptrdiff_t ask_step;
    // The filters that a tile of kind TILE_FILTERING transforms meanwhile.
    filter_walk *filters;
    // Where chunks of weights are copied as they are multiplied; NULL reads them in place.
    float *chunk;
    // Output. `tail` is the number of channels the last vector stores.
    float *output;
    const float *residual;
    // Each pixel is `out_offset` floats after pixel `out_first`. The offsets of evenly spaced
    // pixels stay from tile to tile: `even_step` floats apart, or 0 when they are of another kind.
    ptrdiff_t out_first;
    ptrdiff_t out_offset[SL_TILE_ROOM];
    size_t even_step;
    size_t out_block_stride;
    size_t tail;
    // Bounds of the results, and whether each of them bounds anything.
    float low, high;
    bool has_low, has_high;
    // A long sum is computed in chunks of channels. Whether this is not the first: sums start
    // without a bias, and the residual is the output.
    bool resumes;
    // Whether to ask for the lines of the output before they are stored to: where hardware does not
    // foresee them and they come from far away.
    bool asks_for_output;
} tile_job;

typedef void (*tile_fn)(const tile_job *job);

// Where the next lines to ask for and to copy are, and filters to transform (NULL for none).
typedef struct {
    const float *prefetch;
    const float *carry_source;
    float *carry_target;
    filter_walk *filters;
} line_walk;

// Asks for a line that is read much later.
SL_INLINE void SL_FN(ask_for_line)(const tile_job *job, const float *line) {
    if (job->lines_come_close) {
        __builtin_prefetch(line, 0, 3);
    } else {
        __builtin_prefetch(line, 0, 2);
    }
}

// Asks for one line and copies one, and goes on to the next.
SL_INLINE void SL_FN(move_line)(const tile_job *job, line_walk *lines) {
    SL_FN(ask_for_line)(job, lines->prefetch);
    lines->prefetch += job->prefetch_step;
    if (!job->carries) return;
    SL_UNROLL for (size_t i = 0; i < FLOATS_PER_LINE; i += VEC_LANES) {
        vec_store(lines->carry_target + i, vec_load(lines->carry_source + i));
    }
    // What comes from memory is asked for long before.
    SL_FN(ask_for_line)(job, lines->carry_source + CARRY_AHEAD);
    lines->carry_source += FLOATS_PER_LINE;
    lines->carry_target += FLOATS_PER_LINE;
}

// Lines of each step when each pass of the innermost loop has `lines_a_pass`.
SL_INLINE size_t SL_FN(lines_a_step)(size_t lines_a_pass) {
    return lines_a_pass == 0 ? 1 : lines_a_pass * (VEC_LANES / SL_K_UNROLL);
}

// The fewest lines a pass with which `steps` have room for `lines`, or the most there are.
SL_INLINE size_t SL_FN(spread_lines)(size_t lines, size_t steps) {
    size_t lines_a_pass = 0;
    while (lines_a_pass < MOST_A_PASS && steps * SL_FN(lines_a_step)(lines_a_pass) < lines) {
        lines_a_pass++;
    }
    return lines_a_pass;
}

// What is left of the share of a carried upload that one task has, and how dense its lines are.
typedef struct {
    const float *source;
    float *target;
    size_t floats;
    size_t lines_a_pass;
} carrier;

// The share of a task, which has `steps` steps.
SL_INLINE carrier SL_FN(start_carrier)(const sl_carried_upload *upload, size_t task, size_t tasks,
                                       size_t steps) {
    if (upload->floats == 0) return (carrier){NULL, NULL, 0, 0};
    const size_t lines = sl_ceil_div(upload->floats, FLOATS_PER_LINE);
    const sl_span share = sl_group_of(lines, tasks, task);
    const size_t start = share.first * FLOATS_PER_LINE;
    return (carrier){
        .source = upload->source + start,
        .target = upload->target + start,
        .floats = sl_min_size(share.end * FLOATS_PER_LINE, upload->floats) - start,
        .lines_a_pass = SL_FN(spread_lines)(share.end - share.first, steps),
    };
}

// Gives the next call as many lines as it has room for, `lines` in each tile of its run, and
// shortens the run to where they end. What does not fill a tile waits for finish_carrier.
SL_INLINE void SL_FN(load_carrier)(carrier *carrier, size_t lines, tile_job *job) {
    const size_t tiles = lines > 0 ? carrier->floats / FLOATS_PER_LINE / lines : 0;
    job->carries = tiles > 0;
    if (!job->carries) return;
    job->run = sl_min_size(job->run, tiles);
    job->carry_source = carrier->source;
    job->carry_target = carrier->target;
    const size_t floats = job->run * lines * FLOATS_PER_LINE;
    carrier->source += floats;
    carrier->target += floats;
    carrier->floats -= floats;
}

// Copies what no multiplication carried.
SL_INLINE void SL_FN(finish_carrier)(const carrier *carrier) {
    if (carrier->floats > 0) {
        memcpy(carrier->target, carrier->source, carrier->floats * sizeof(float));
    }
}

// Places the output pixels of a tile `step` floats apart from `first` on.
SL_INLINE void SL_FN(space_evenly)(tile_job *job, size_t first, size_t step) {
    job->out_first = (ptrdiff_t)first;
    if (job->even_step == step) return;
    job->even_step = step;
    for (size_t p = 0; p < SL_TILE_ROOM; p++) job->out_offset[p] = (ptrdiff_t)(p * step);
}

// The bounds of a clamp; there are none in others, the activations applied after the store too.
SL_INLINE void SL_FN(set_bounds)(tile_job *job, sl_activation activation) {
    const bool is_clamp = activation.kind == SL_ACTIVATION_CLAMP;
    job->low = activation.p0;
    job->high = activation.p1;
    job->has_low = is_clamp && job->low > -INFINITY;
    job->has_high = is_clamp && job->high < INFINITY;
}

SL_INLINE bool SL_FN(acts_after_store)(sl_activation activation) {
    return activation.kind != SL_ACTIVATION_NONE && activation.kind != SL_ACTIVATION_CLAMP;
}

// Where the next row of a panel is, and of the half panel beside it in a tile of three vectors.
typedef struct {
    const float *panel;
    const float *third;
} weight_rows;

// Goes on by `count` rows.
SL_INLINE weight_rows SL_FN(skip_rows)(const int vectors, weight_rows at, size_t count) {
    at.panel += count * (size_t)(vectors == 1 ? 1 : 2) * VEC_LANES;
    if (vectors == 3) at.third += count * VEC_LANES;
    return at;
}

static const uint8_t SL_FN(no_gap)[1] = {0};

// Goes on by one tap of `count` channels and the taps after it that are not computed.
SL_INLINE weight_rows SL_FN(skip_tap)(const int vectors, weight_rows at, const tile_job *job,
                                      size_t tap, size_t count) {
    const size_t gap = job->tap_gap[tap * job->gap_step];
    return SL_FN(skip_rows)(vectors, at, (1 + gap) * count);
}

// Goes from where the first computed tap of a whole channel block would be to where it is in a last
// block of `rest` channels.
SL_INLINE weight_rows SL_FN(enter_rest)(const int vectors, weight_rows at, const tile_job *job,
                                        size_t rest) {
    const size_t back = job->first_gap * (VEC_LANES - rest);
    at.panel -= back * (size_t)(vectors == 1 ? 1 : 2) * VEC_LANES;
    if (vectors == 3) at.third -= back * VEC_LANES;
    return at;
}

// Vector `o` of row `k`.
SL_INLINE vec SL_FN(load_weights)(const int vectors, weight_rows at, size_t k, int o) {
    if (o == 2) return vec_load(at.third + k * VEC_LANES);
    return vec_load(at.panel + (k * (size_t)(vectors == 1 ? 1 : 2) + (size_t)o) * VEC_LANES);
}

// Asks for the rows of a tile in what lies like the output, from its first pixel on.
SL_INLINE void SL_FN(ask_for_rows)(const int pixels, const int vectors, const tile_job *job,
                                   const float *first) {
    SL_UNROLL for (int o = 0; o < vectors; o++) {
        SL_UNROLL for (int p = 0; p < pixels; p += FLOATS_PER_LINE / VEC_LANES) {
            const float *const row = first + (size_t)o * job->out_block_stride;
            __builtin_prefetch(row + job->out_offset[p], 0, 3);
        }
    }
}

// The same for lines that the tile stores to.
SL_INLINE void SL_FN(ask_for_output)(const int pixels, const int vectors, const tile_job *job,
                                     ptrdiff_t out_first) {
    SL_UNROLL for (int p = 0; p < pixels; p++) {
        const float *const row = job->output + out_first + job->out_offset[p];
        SL_UNROLL for (int o = 0; o < vectors; o += FLOATS_PER_LINE / VEC_LANES) {
            __builtin_prefetch(row + (size_t)o * job->out_block_stride, 1, 3);
        }
    }
}

// Sums start with nothing; returns the row of the first computed tap.
SL_INLINE weight_rows SL_FN(start_tile)(const int pixels, const int vectors, vec sum[][3],
                                        const tile_job *job, ptrdiff_t out_first) {
    const weight_rows at = {job->weights, job->third};
    if (job->residual != NULL) {
        SL_FN(ask_for_rows)(pixels, vectors, job, job->residual + out_first);
    }
    if (job->asks_for_output) SL_FN(ask_for_output)(pixels, vectors, job, out_first);
    SL_UNROLL for (int o = 0; o < vectors; o++) {
        SL_UNROLL for (int p = 0; p < pixels; p++) sum[p][o] = vec_zero();
    }
    return SL_FN(skip_rows)(vectors, at, !job->resumes + job->first_gap * VEC_LANES);
}

// Adds the bias, the first row of the panel, where sums do not go on from earlier ones. Were it
// first, each product would be rounded to its size.
SL_INLINE void SL_FN(add_bias)(const int pixels, const int vectors, vec sum[][3],
                               const tile_job *job) {
    if (job->resumes) return;
    const weight_rows at = {job->weights, job->third};
    SL_UNROLL for (int o = 0; o < vectors; o++) {
        const vec bias = SL_FN(load_weights)(vectors, at, 0, o);
        SL_UNROLL for (int p = 0; p < pixels; p++) sum[p][o] = vec_add(sum[p][o], bias);
    }
}

SL_INLINE void SL_FN(add_residual)(const int pixels, const int vectors, vec sum[][3],
                                   const tile_job *job, ptrdiff_t out_first) {
    const float *const first = job->residual + out_first;
    const size_t block = job->out_block_stride, tail = job->tail;
    const int last = vectors - 1;
    SL_UNROLL for (int p = 0; p < pixels; p++) {
        const float *const at = first + job->out_offset[p];
        SL_UNROLL for (int o = 0; o < last; o++) {
            sum[p][o] = vec_add(sum[p][o], vec_load(at + (size_t)o * block));
        }
    }
    if (tail == VEC_LANES) {
        SL_UNROLL for (int p = 0; p < pixels; p++) {
            const float *const at = first + job->out_offset[p] + (size_t)last * block;
            sum[p][last] = vec_add(sum[p][last], vec_load(at));
        }
        return;
    }
    SL_UNROLL for (int p = 0; p < pixels; p++) {
        const float *const at = first + job->out_offset[p] + (size_t)last * block;
        sum[p][last] = vec_add(sum[p][last], vec_load_tail(at, tail));
        // All loads at once would put sums on the stack.
        SL_FINISH_FIRST(sum[p][last]);
    }
}

SL_INLINE void SL_FN(store_tile)(const int pixels, const int vectors, vec sum[][3],
                                 const tile_job *job, ptrdiff_t out_first) {
    float *const first = job->output + out_first;
    const size_t block = job->out_block_stride, tail = job->tail;
    const int last = vectors - 1;
    SL_UNROLL for (int p = 0; p < pixels; p++) {
        float *const at = first + job->out_offset[p];
        SL_UNROLL for (int o = 0; o < last; o++) vec_store(at + (size_t)o * block, sum[p][o]);
    }
    if (tail == VEC_LANES) {
        SL_UNROLL for (int p = 0; p < pixels; p++) {
            vec_store(first + job->out_offset[p] + (size_t)last * block, sum[p][last]);
        }
        return;
    }
    SL_UNROLL for (int p = 0; p < pixels; p++) {
        vec_store_tail(first + job->out_offset[p] + (size_t)last * block, tail, sum[p][last]);
    }
}

// Adds the residual, clamps and stores. A bound that bounds nothing is left out: comparisons take
// the place of multiplications.
SL_INLINE void SL_FN(finish_tile)(const int pixels, const int vectors, vec sum[][3],
                                  const tile_job *job, ptrdiff_t out_first) {
    if (job->residual != NULL) SL_FN(add_residual)(pixels, vectors, sum, job, out_first);
    if (job->has_low) {
        const vec low = vec_splat(job->low);
        SL_UNROLL for (int p = 0; p < pixels; p++) {
            SL_UNROLL for (int o = 0; o < vectors; o++) sum[p][o] = vec_max(low, sum[p][o]);
        }
    }
    if (job->has_high) {
        const vec high = vec_splat(job->high);
        SL_UNROLL for (int p = 0; p < pixels; p++) {
            SL_UNROLL for (int o = 0; o < vectors; o++) sum[p][o] = vec_min(high, sum[p][o]);
        }
    }
    SL_FN(store_tile)(pixels, vectors, sum, job, out_first);
}
