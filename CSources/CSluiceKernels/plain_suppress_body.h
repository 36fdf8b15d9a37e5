// Non-maximum suppression. A line (the boxes of one image for one class) has one owner.
#pragma once
#include <string.h>

#include "loop_nest.h"

// A number of a box in the scratch, which the caller has as floats.
typedef uint32_t __attribute__((may_alias)) plain_box_number;

typedef struct {
    float x0, y0, x1, y1;
} plain_box;

static plain_box plain_load_box(const sl_suppress_args *args, size_t line, size_t box) {
    const float *const at = args->boxes + (line / args->classes * args->box_count + box) * 4;
    if (args->are_centred) {
        const float half_width = at[2] / 2, half_height = at[3] / 2;
        return (plain_box){at[0] - half_width, at[1] - half_height, at[0] + half_width,
                           at[1] + half_height};
    }
    // Corners in any order, y first.
    return (plain_box){fminf(at[1], at[3]), fminf(at[0], at[2]), fmaxf(at[1], at[3]),
                       fmaxf(at[0], at[2])};
}

// Whether the overlap of two boxes is above `threshold` of their union.
static bool plain_overlaps(plain_box a, plain_box b, float threshold) {
    const float x0 = fmaxf(a.x0, b.x0), x1 = fminf(a.x1, b.x1);
    const float y0 = fmaxf(a.y0, b.y0), y1 = fminf(a.y1, b.y1);
    if (x1 <= x0 || y1 <= y0) return false;
    const float common = (x1 - x0) * (y1 - y0);
    const float area_a = (a.x1 - a.x0) * (a.y1 - a.y0);
    const float area_b = (b.x1 - b.x0) * (b.y1 - b.y0);
    const float all = area_a + area_b - common;
    if (area_a <= 0 || area_b <= 0 || all <= 0) return false;
    return common / all > threshold;
}

static bool plain_scores_higher(const float *scores, plain_box_number a, plain_box_number b) {
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

// Puts `box` where it belongs in the part of the heap (best on top) below slot `at`.
static void plain_sift_boxes(const float *scores, plain_box_number *heap, size_t held, size_t at,
                             plain_box_number box) {
    for (size_t child = 2 * at + 1; child < held; child = 2 * at + 1) {
        if (child + 1 < held && plain_scores_higher(scores, heap[child + 1], heap[child])) child++;
        if (!plain_scores_higher(scores, heap[child], box)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = box;
}

// Takes the task's line: a heap of the candidates gives as many of the best as are looked at.
void sl_suppress(const void *erased, size_t task, float *scratch) {
    const sl_suppress_args *const args = erased;
    const float *const scores = args->scores + task * args->box_count;
    int64_t *const taken = args->output + task * args->limit;
    plain_box_number *const heap = (plain_box_number *)(void *)scratch;
    size_t held = 0;
    for (size_t box = 0; box < args->box_count; box++) {
        const float score = scores[box];
        if (score != score) continue;
        if (args->score_threshold != NULL && !(score > *args->score_threshold)) continue;
        heap[held++] = (plain_box_number)box;
    }
    for (size_t i = held / 2; i-- > 0;) plain_sift_boxes(scores, heap, held, i, heap[i]);
    size_t count = 0;
    while (held > 0 && count < args->limit) {
        const plain_box_number best = heap[0];
        held--;
        if (held > 0) plain_sift_boxes(scores, heap, held, 0, heap[held]);
        const plain_box box = plain_load_box(args, task, best);
        bool is_free = true;
        for (size_t i = 0; i < count && is_free; i++) {
            const plain_box other = plain_load_box(args, task, (size_t)taken[i]);
            is_free = !plain_overlaps(box, other, *args->iou_threshold);
        }
        if (is_free) taken[count++] = best;
    }
    while (count < args->limit) taken[count++] = -1;
}

size_t sl_suppress_task_count(const sl_suppress_args *args) {
    return args->lines;
}
