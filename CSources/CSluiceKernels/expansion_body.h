// A pointwise convolution and the depthwise one that reads its result, a band of rows at a time:
// what lies between them, the widest tensor of an inverted residual, never leaves the caches.
#pragma once

static void SL_FN(sl_expansion)(const void *raw_args, size_t task, float *scratch) {
    const sl_expansion_args *const args = raw_args;
    const sl_conv_args *const whole = &args->conv;
    const sl_depthwise_args *const depthwise = &args->depthwise;
    const size_t panels = sl_panel_count(whole->out_channels, VEC_LANES);
    const sl_row_task at = sl_row_task_at(task, panels, depthwise->out_h, depthwise->rows_per_task);
    assert(at.image < whole->images);
    const size_t first_row = at.rows.first, end_row = at.rows.end;
    const size_t panel = at.plane, image = at.image;
    const size_t vectors = sl_panel_vectors(whole->out_channels, VEC_LANES, panel);

    const size_t band = sl_expansion_band(args, VEC_LANES);
    const size_t row_stride = depthwise->in_row_stride;
    const sl_row_window window = sl_depthwise_window(depthwise);
    const size_t block_stride = sl_window_rows(window, band) * row_stride;

    // The convolution of some rows.
    sl_conv_args conv = *whole;
    const size_t channels_left = conv.out_channels - panel * 2 * VEC_LANES;
    conv.out_channels = (uint32_t)sl_min_size(channels_left, 2 * VEC_LANES);
    const size_t taps = (size_t)depthwise->kernel_h * depthwise->kernel_w;
    const size_t packed_rows = 2 + (size_t)conv.channels + taps;
    conv.weights += panel * sl_panel_floats(VEC_LANES, packed_rows);
    const size_t groups = sl_ceil_div(depthwise->out_h, depthwise->rows_per_task);
    const sl_worker_share own =
        sl_worker_share_of(task, whole->images * groups * panels, whole->next.workers);
    sl_next_read next = sl_next_of_worker(&whole->next, own.worker);
    if (task + 1 < own.tasks.end) {
        const size_t after = (task + 1) % panels;
        next.from = whole->weights + after * sl_panel_floats(VEC_LANES, packed_rows);
        next.floats =
            sl_panel_vectors(whole->out_channels, VEC_LANES, after) * VEC_LANES * packed_rows;
    }
    const float *const packed = conv.weights + vectors * VEC_LANES * (1 + (size_t)conv.channels);
    // Panels follow one another on the same rows.
    const sl_span computed = sl_window_span(window, first_row, end_row);
    const size_t in_floats = (computed.end - computed.first) * conv.in_w * conv.channels;
    conv.input_is_close = panel > 0 && task > own.tasks.first && SL_FN(stays_close)(in_floats);
    conv.out_pixel_stride = VEC_LANES;
    conv.out_row_stride = row_stride;
    conv.out_block_stride = block_stride;
    const float *const input = whole->input + image * whole->in_image_stride;

    float *const output = depthwise->output + image * depthwise->out_image_stride +
                          panel * 2 * depthwise->out_block_stride;
    // Rows of the result in between that the scratch holds; those that two bands need stay.
    sl_span held = {0, 0};
    for (size_t first = first_row; first < end_row; first += band) {
        const size_t end = sl_min_size(first + band, end_row);
        const sl_span needed = sl_window_span(window, first, end);
        const sl_span missing =
            sl_slide_band(scratch, vectors, block_stride, row_stride, held, needed);
        held = needed;
        if (missing.first < missing.end) {
            conv.input = input + missing.first * conv.in_row_stride;
            conv.output = scratch + (missing.first - needed.first) * row_stride;
            const sl_next_read asked = {next.from, end == end_row ? next.floats : 0};
            SL_FN(conv_alone)(&conv, missing.end - missing.first, conv.out_w, asked);
        }
        // Where row 0 of the result in between would be.
        const float *const origin = scratch - needed.first * row_stride;
        for (size_t o = 0; o < vectors; o++) {
            SL_FN(dw_rows)
            (depthwise, packed + o * (taps + 1) * VEC_LANES, origin + o * block_stride, NULL,
             output + o * depthwise->out_block_stride, (sl_span){first, end});
        }
    }
}
