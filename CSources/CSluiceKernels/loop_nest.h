// Walking a strided box in row-major order, for every kernel that broadcasts or copies.
//
// A nest holds the box with neighbouring dimensions merged where all operands allow it. A walk
// starts at any position of the box and returns rectangles of rows x columns, so that the inner
// loops stay long even when the innermost dimension of the caller is short.
#pragma once
#include "kernel_internal.h"

enum { SL_NEST_OPERANDS = 3 };

typedef struct {
    uint32_t rank;
    size_t dims[SL_MAX_RANK];
    ptrdiff_t stride[SL_NEST_OPERANDS][SL_MAX_RANK];
} sl_nest;

// A rectangle of the box: element (row, col) of operand o is at offset[o] + row * row_stride[o]
// + col * col_stride[o]. Its elements are consecutive in the row-major order of the box.
typedef struct {
    size_t rows, cols;
    ptrdiff_t offset[SL_NEST_OPERANDS];
    ptrdiff_t row_stride[SL_NEST_OPERANDS];
    ptrdiff_t col_stride[SL_NEST_OPERANDS];
} sl_run;

// The part of [0, total) that group number `group` of `per_group` items covers.
SL_INLINE sl_span sl_group_span(size_t total, size_t per_group, size_t group) {
    const size_t first = group * per_group;
    return (sl_span){first, total - first < per_group ? total : first + per_group};
}

// Adds the next inner dimension; operands that are not used get stride 0.
SL_INLINE void sl_nest_push(sl_nest *nest, size_t dim, ptrdiff_t s0, ptrdiff_t s1, ptrdiff_t s2) {
    if (dim == 1) return;
    const ptrdiff_t extent = (ptrdiff_t)dim;
    uint32_t at = nest->rank;
    if (at > 0 && nest->stride[0][at - 1] == s0 * extent &&
        nest->stride[1][at - 1] == s1 * extent && nest->stride[2][at - 1] == s2 * extent) {
        at--;
        nest->dims[at] *= dim;
    } else {
        nest->dims[at] = dim;
        nest->rank++;
    }
    nest->stride[0][at] = s0;
    nest->stride[1][at] = s1;
    nest->stride[2][at] = s2;
}

// Makes a nest of at least one dimension out of what was pushed.
SL_INLINE void sl_nest_finish(sl_nest *nest) {
    if (nest->rank > 0) return;
    nest->rank = 1;
    nest->dims[0] = 1;
    for (int o = 0; o < SL_NEST_OPERANDS; o++) nest->stride[o][0] = 0;
}

// The longest rectangle that starts at `position` and does not pass `end`.
SL_INLINE sl_run sl_nest_run(const sl_nest *nest, size_t position, size_t end) {
    const uint32_t last = nest->rank - 1;
    const size_t cols = nest->dims[last];
    size_t quotient = position / cols;
    const size_t col = position % cols;

    sl_run run = {.rows = 1, .cols = 1};
    for (int o = 0; o < SL_NEST_OPERANDS; o++) {
        run.col_stride[o] = nest->stride[o][last];
        run.row_stride[o] = last > 0 ? nest->stride[o][last - 1] : 0;
        run.offset[o] = (ptrdiff_t)col * nest->stride[o][last];
    }
    size_t rows_left = 1;
    for (uint32_t d = last; d-- > 0;) {
        const size_t index = quotient % nest->dims[d];
        quotient /= nest->dims[d];
        if (d + 1 == last) rows_left = nest->dims[d] - index;
        for (int o = 0; o < SL_NEST_OPERANDS; o++) {
            run.offset[o] += (ptrdiff_t)index * nest->stride[o][d];
        }
    }

    const size_t count = end - position;
    if (col != 0 || count < cols) {
        run.cols = cols - col < count ? cols - col : count;
    } else {
        const size_t whole_rows = count / cols;
        run.cols = cols;
        run.rows = whole_rows < rows_left ? whole_rows : rows_left;
    }
    return run;
}

SL_INLINE size_t sl_box_elements(uint32_t rank, const size_t *dims) {
    size_t elements = 1;
    for (uint32_t d = 0; d < rank; d++) elements *= dims[d];
    return elements;
}

// Tasks of `total` elements that are `planes` equal parts, each cut into pieces of per_task: task
// number = piece * planes + plane, so that neighbours have the same rows of their planes.
SL_INLINE size_t sl_piece_count(size_t total, size_t planes, size_t per_task) {
    return planes * sl_ceil_div(total / planes, per_task);
}

SL_INLINE sl_span sl_piece_span(size_t total, size_t planes, size_t per_task, size_t task) {
    const size_t plane = total / planes, start = task % planes * plane;
    const sl_span piece = sl_group_span(plane, per_task, task / planes);
    return (sl_span){start + piece.first, start + piece.end};
}
