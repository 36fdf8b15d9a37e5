// An inverted residual depth first: what widens the image (a pointwise convolution or the first
// layer), the depthwise convolution and the projection, a band of rows at a time. Neither of the
// wide tensors between them leaves the second cache.
#pragma once

// Rows [rows.first, rows.end) of the wide result into `band`, where its row 0 would be.
// The calls of their own keep frames off the stack of what is called beside them.
static __attribute__((noinline)) void SL_FN(widen_rows)(const sl_bottleneck_args *args,
                                                        const sl_bottleneck_sizes *sizes,
                                                        size_t image, sl_span rows, float *band) {
    sl_conv_args conv = *args->pointwise;
    conv.input += image * conv.in_image_stride + rows.first * conv.in_row_stride;
    conv.output = band + rows.first * sizes->wide_row;
    conv.out_block_stride = sizes->wide_block;
    conv.out_row_stride = sizes->wide_row;
    conv.out_pixel_stride = VEC_LANES;
    SL_FN(conv_alone)(&conv, rows.end - rows.first, conv.out_w, (sl_next_read){0});
}

// Rows of the output from those of the depthwise convolution; asks for `next`, NULL for nothing.
static __attribute__((noinline)) void SL_FN(narrow_rows)(const sl_bottleneck_args *args,
                                                         const sl_bottleneck_sizes *sizes,
                                                         size_t image, sl_span rows,
                                                         const float *deep,
                                                         const sl_next_read *next) {
    sl_conv_args conv = args->project;
    const size_t offset = image * conv.out_image_stride + rows.first * conv.out_row_stride;
    conv.input = deep;
    conv.input_is_close = true;
    conv.in_pixel_stride = VEC_LANES;
    conv.in_row_stride = sizes->deep_row;
    conv.in_block_stride = sizes->deep_block;
    conv.output += offset;
    if (conv.residual != NULL) conv.residual += offset;
    const sl_next_read none = {0};
    SL_FN(conv_alone)(&conv, rows.end - rows.first, conv.out_w, next == NULL ? none : *next);
}

// The same of a wide result that the first layer makes.
static __attribute__((noinline)) void SL_FN(planar_rows)(const sl_bottleneck_args *args,
                                                         const sl_bottleneck_sizes *sizes,
                                                         size_t image, sl_span rows, float *band,
                                                         float *scratch) {
    const sl_conv_nchw_args *const planar = args->planar;
    planar_panel share = SL_FN(read_planar_rows)(planar, image, rows, scratch);
    tile_job job = SL_FN(planar_job)(planar);
    job.out_block_stride = sizes->wide_block;
    const size_t panels = sl_panel_count(planar->out_channels, VEC_LANES);
    for (size_t panel = 0; panel < panels; panel++) {
        job.weights = planar->weights + panel * 2 * VEC_LANES * (1 + share.source.taps);
        share.vectors = sl_panel_vectors(planar->out_channels, VEC_LANES, panel);
        SL_FN(run_planar_rows)
        (&share, rows, band + panel * 2 * sizes->wide_block, NULL, sizes->wide_row, &job);
    }
}

// Rows [rows.first, rows.end) of the depthwise convolution; `wide` is where row 0 of what it reads
// would be.
static __attribute__((noinline)) void SL_FN(depthwise_rows)(const sl_bottleneck_args *args,
                                                            const sl_bottleneck_sizes *sizes,
                                                            sl_span rows, const float *wide,
                                                            float *deep) {
    const sl_depthwise_args *const depthwise = &args->depthwise;
    const size_t weights = (1 + (size_t)depthwise->kernel_h * depthwise->kernel_w) * VEC_LANES;
    deep -= rows.first * sizes->deep_row;
    for (size_t o = 0; o < depthwise->blocks; o++) {
        SL_FN(dw_rows)
        (depthwise, depthwise->weights + o * weights, wide + o * sizes->wide_block, NULL,
         deep + o * sizes->deep_block, rows);
    }
}

static void SL_FN(sl_bottleneck)(const void *raw_args, size_t task, float *scratch) {
    const sl_bottleneck_args *const args = raw_args;
    const sl_depthwise_args *const depthwise = &args->depthwise;
    const size_t tasks = sl_bottleneck_task_count(args);
    assert(task < tasks);
    const sl_row_task own = sl_row_task_at(task, 1, depthwise->out_h, args->rows_per_task);
    const sl_next_read next = sl_next_of_task(&args->project.next, task, tasks);

    const sl_bottleneck_sizes sizes = sl_bottleneck_scratch(args, VEC_LANES);
    const sl_row_window window = sl_depthwise_window(depthwise);
    float *const wide = scratch;
    float *const deep = wide + depthwise->blocks * sizes.wide_block;
    float *const padded = deep + depthwise->blocks * sizes.deep_block;
    // Rows of the wide result that the scratch holds; those that two bands need stay.
    sl_span held = {0, 0};
    for (size_t first = own.rows.first; first < own.rows.end; first += sizes.band) {
        const sl_span rows = {first, sl_min_size(first + sizes.band, own.rows.end)};
        const sl_span needed = sl_window_span(window, rows.first, rows.end);
        const sl_span missing =
            sl_slide_band(wide, depthwise->blocks, sizes.wide_block, sizes.wide_row, held, needed);
        held = needed;
        // Where row 0 of the wide result would be.
        float *const origin = wide - needed.first * sizes.wide_row;
        if (missing.first < missing.end && args->planar != NULL) {
            SL_FN(planar_rows)(args, &sizes, own.image, missing, origin, padded);
        } else if (missing.first < missing.end) {
            SL_FN(widen_rows)(args, &sizes, own.image, missing, origin);
        }
        SL_FN(depthwise_rows)(args, &sizes, rows, origin, deep);
        SL_FN(narrow_rows)
        (args, &sizes, own.image, rows, deep, rows.end == own.rows.end ? &next : NULL);
    }
}
