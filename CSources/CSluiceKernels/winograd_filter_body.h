// Filters of 3x3 taps, transformed a pair of rows of points at a time: between the multiplications
// of others, so that what is stored to the second cache does not make anything wait.
#pragma once

// Filters of some input channels that are not transformed yet; those of one vector of outputs come
// after those of another, channel after channel.
typedef struct {
    const float *source;  // tap 0 of the next ones
    float *target;        // their first point that is not there
    size_t tap_stride, point_stride;
    size_t pair;  // of rows of points
    size_t width;
    size_t left;      // vectors of filters of a block of channels; 0: all are done
    size_t channels;  // that come after it
    // In every how many passes of an innermost loop some are transformed, and in how many again.
    size_t interval, wait;
} filter_walk;

SL_INLINE void SL_FN(enter_filters)(filter_walk *walk) {
    const size_t count = sl_min_size(VEC_LANES, walk->channels);
    walk->channels -= count;
    walk->tap_stride = count * walk->width;
    walk->left = walk->tap_stride / VEC_LANES;
}

// Transforms the next filters for one pair of rows of points.
SL_INLINE void SL_FN(transform_next)(filter_walk *walk) {
    enum { SIDE = 3, TAPS = SIDE * SIDE, PAIR_POINTS = 2 * PATCH, AHEAD = 2 };
    if (walk->left == 0) return;
    const size_t stride = walk->point_stride;
    // Weights come from far away: ask for those of a later block, a third for each pair.
    const float *const later = walk->source + AHEAD * TAPS * VEC_LANES * walk->width;
    SL_UNROLL for (size_t t = 0; t < SIDE; t++) {
        __builtin_prefetch(later + (walk->pair * SIDE + t) * walk->tap_stride, 0, 2);
    }
    if (walk->pair == 0) {
        SL_FN(transform_filter)(SIDE, 0, 1, walk->source, walk->tap_stride, walk->target, stride);
    } else if (walk->pair == 1) {
        SL_FN(transform_filter)(SIDE, 1, 2, walk->source, walk->tap_stride, walk->target, stride);
    } else {
        SL_FN(transform_filter)(SIDE, 2, 3, walk->source, walk->tap_stride, walk->target, stride);
    }
    walk->target += PAIR_POINTS * stride;
    if (++walk->pair < PATCH_PAIRS) return;
    walk->pair = 0;
    walk->target -= PATCH_POINTS * stride;
    walk->target += VEC_LANES;
    walk->source += VEC_LANES;
    if (--walk->left > 0) return;
    walk->source += (TAPS - 1) * walk->tap_stride;
    SL_FN(enter_filters)(walk);
}

// Spreads what is left over `passes` passes: what one transform stores has left the first cache
// when the next one comes.
SL_INLINE void SL_FN(spread_filters)(filter_walk *walk, size_t passes) {
    const size_t all = PATCH_PAIRS * (walk->left + walk->channels * walk->width / VEC_LANES);
    walk->interval = walk->wait = passes > all && all > 0 ? passes / all : 1;
}

// One pass of an innermost loop.
SL_INLINE void SL_FN(pass_filters)(filter_walk *walk) {
    if (--walk->wait > 0) return;
    walk->wait = walk->interval;
    SL_FN(transform_next)(walk);
}

// What was not transformed meanwhile.
static __attribute__((noinline)) void SL_FN(finish_filters)(filter_walk *walk) {
    while (walk->left > 0) SL_FN(transform_next)(walk);
}
