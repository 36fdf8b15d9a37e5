// The openblas core under the driver of sl_conv: the same arguments, tasks and packed weights, the
// products by sgemm.
//
// OpenBLAS rounds differently for different shapes of a call, so a call always covers one cell of
// a grid that shape and ISA fix: up to SL_OPENBLAS_CELL tiles of one image x one panel. A task must
// be a union of cells: tiles_per_task is a multiple of SL_OPENBLAS_CELL, or covers all tiles of an
// image. panels_per_task is free.
#include "kernel_internal.h"

static _Atomic(sl_sgemm_fn) installed_sgemm;

void sl_openblas_install(sl_sgemm_fn sgemm) {
    atomic_store(&installed_sgemm, sgemm);
}

static sl_tile_cut cut_of(const sl_isa *isa, const sl_conv_args *args) {
    return sl_cut_tiles((size_t)args->out_h * args->out_w, isa->tile_pixels);
}

static size_t cell_pixels(sl_tile_cut cut) {
    return sl_tile_first(cut, sl_min_size(cut.count, SL_OPENBLAS_CELL));
}

static size_t depth_of(const sl_conv_args *args) {
    return (size_t)args->taps * args->channels;
}

size_t sl_conv_openblas_scratch_floats(const sl_isa *isa, const sl_conv_args *args) {
    // The rows of A and the rows of one panel of C.
    return cell_pixels(cut_of(isa, args)) * (depth_of(args) + isa->panel);
}

// Maps `count` channels from `first` on in place.
static void apply_affine(const sl_input_affine *affine, size_t lanes, size_t image, size_t first,
                         size_t count, float *row) {
    for (size_t i = 0; i < count; i++) {
        const size_t c = first + i;
        const size_t at =
            image * affine->scale_image_stride + c / lanes * affine->scale_block_stride + c % lanes;
        const float scale = affine->scale == NULL ? 1 : affine->scale[at];
        const float shift = affine->shift == NULL ? 0 : affine->shift[c];
        row[i] = fminf(fmaxf(fmaf(row[i], scale, shift), affine->low), affine->high);
    }
}

// Writes the row of A of one output pixel: its inputs in the order of the packed weights.
static void gather_row(const sl_isa *isa, const sl_conv_args *args, size_t image_number,
                       size_t pixel, float *row) {
    const float *const image = args->input + image_number * args->in_image_stride;
    const int64_t y0 = (int64_t)(pixel / args->out_w * args->stride_h);
    const int64_t x0 = (int64_t)(pixel % args->out_w * args->stride_w);
    for (size_t c = 0; c < args->channels; c += isa->lanes) {
        const size_t count = sl_min_size(isa->lanes, args->channels - c);
        const float *const block = image + c / isa->lanes * args->in_block_stride;
        for (size_t tap = 0; tap < args->taps; tap++, row += count) {
            const int64_t y = y0 + args->tap_dy[tap], x = x0 + args->tap_dx[tap];
            if (y < 0 || y >= args->in_h || x < 0 || x >= args->in_w) {
                memset(row, 0, count * sizeof(float));
                continue;
            }
            const float *const from =
                block + (size_t)y * args->in_row_stride + (size_t)x * args->in_pixel_stride;
            memcpy(row, from, count * sizeof(float));
            if (args->affine.is_applied) {
                apply_affine(&args->affine, isa->lanes, image_number, c, count, row);
            }
        }
    }
}

// A cell of the grid while it is computed: `pixels` rows of C of `width` floats.
typedef struct {
    const sl_isa *isa;
    const sl_conv_args *args;
    size_t image, panel;
    size_t first_pixel, pixels;
    size_t width;
    float *c;
} cell;

// Adds the residual to C, or stores C to the output, channel vector by channel vector.
static void visit_cell(const cell *cell, bool stores) {
    const sl_conv_args *const args = cell->args;
    const size_t lanes = cell->isa->lanes;
    const size_t channels_left = args->out_channels - cell->panel * cell->isa->panel;
    const size_t base =
        cell->image * args->out_image_stride + cell->panel * 2 * args->out_block_stride;
    for (size_t p = 0; p < cell->pixels; p++) {
        const size_t oy = (cell->first_pixel + p) / args->out_w;
        const size_t ox = (cell->first_pixel + p) % args->out_w;
        const size_t at = base + oy * args->out_row_stride + ox * args->out_pixel_stride;
        for (size_t o = 0; o * lanes < cell->width; o++) {
            const size_t left = channels_left - o * lanes;
            const size_t count = args->mask_tail ? sl_min_size(lanes, left) : lanes;
            float *const sums = cell->c + p * cell->width + o * lanes;
            const size_t offset = at + o * args->out_block_stride;
            if (stores) {
                memcpy(args->output + offset, sums, count * sizeof(float));
            } else {
                for (size_t i = 0; i < count; i++) sums[i] += args->residual[offset + i];
            }
        }
    }
}

static void compute_cell(const cell *cell, const float *rows) {
    const sl_conv_args *const args = cell->args;
    const size_t depth = depth_of(args);
    const float *const bias =
        args->weights + cell->panel * sl_panel_floats(cell->isa->lanes, depth + 1);
    for (size_t p = 0; p < cell->pixels; p++) {
        memcpy(cell->c + p * cell->width, bias, cell->width * sizeof(float));
    }
    const sl_sgemm_fn sgemm = atomic_load_explicit(&installed_sgemm, memory_order_relaxed);
    sgemm(cell->pixels, cell->width, depth, rows, depth, bias + cell->width, cell->width, cell->c,
          cell->width);
    if (args->residual != NULL) visit_cell(cell, false);
    if (args->activation.kind != SL_ACTIVATION_NONE) {
        const size_t count = cell->pixels * cell->width;
        const sl_unary_args unary = {.count = count,
                                     .input = cell->c,
                                     .output = cell->c,
                                     .activation = args->activation,
                                     .planes = 1,
                                     .elements_per_task = count};
        cell->isa->unary(&unary, 0, NULL);
    }
    visit_cell(cell, true);
}

void sl_conv_openblas(const sl_isa *isa, const sl_conv_args *args, size_t task, float *scratch) {
    assert(atomic_load(&installed_sgemm) != NULL);
    const sl_tile_cut cut = cut_of(isa, args);
    assert(args->tiles_per_task % SL_OPENBLAS_CELL == 0 || args->tiles_per_task >= cut.count);
    const sl_conv_grid grid = sl_conv_grid_of(args, isa->lanes, isa->tile_pixels);
    const size_t share = task / grid.pixel_groups;
    const size_t image = share / grid.panel_groups;
    assert(image < args->images);
    const size_t first_panel = share % grid.panel_groups * args->panels_per_task;
    const size_t end_panel = sl_min_size(grid.panels, first_panel + args->panels_per_task);
    const size_t first_tile = task % grid.pixel_groups * args->tiles_per_task;
    const size_t end_tile = sl_min_size(cut.count, first_tile + args->tiles_per_task);

    float *const rows = scratch;
    for (size_t tile = first_tile; tile < end_tile; tile += SL_OPENBLAS_CELL) {
        const size_t first = sl_tile_first(cut, tile);
        const size_t end = sl_tile_first(cut, sl_min_size(cut.count, tile + SL_OPENBLAS_CELL));
        for (size_t p = first; p < end; p++) {
            gather_row(isa, args, image, p, rows + (p - first) * depth_of(args));
        }
        for (size_t panel = first_panel; panel < end_panel; panel++) {
            const cell cell = {
                .isa = isa,
                .args = args,
                .image = image,
                .panel = panel,
                .first_pixel = first,
                .pixels = end - first,
                .width = isa->lanes * sl_panel_vectors(args->out_channels, isa->lanes, panel),
                .c = rows + (end - first) * depth_of(args),
            };
            compute_cell(&cell, rows);
        }
    }
}
