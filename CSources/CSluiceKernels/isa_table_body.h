// All kernels of one ISA and their table.
#pragma once

#include "vec_math.h"

#include "activation_body.h"
#include "winograd_line_body.h"
#include "winograd_transform_body.h"

#include "winograd_filter_body.h"

#include "tile_body.h"

#include "conv_tile_body.h"

#include "conv_body.h"
#include "winograd_body.h"

#include "pool_body.h"

#include "depthwise_body.h"

#include "conv_nchw_body.h"
#include "expansion_body.h"
#include "fma_peak_body.h"
#include "grouped_body.h"

#include "bottleneck_body.h"
#include "feed_forward_body.h"

#include "channels_body.h"
#include "copy_body.h"
#include "elementwise_body.h"
#include "layout_body.h"
#include "pack_matrix_body.h"
#include "reduce_body.h"

#include "normalize_body.h"
#include "resize_body.h"
#include "softmax_body.h"

const sl_isa SL_FN(sl_isa) = {
    .name = SL_ISA_NAME,
    .lanes = VEC_LANES,
    .panel = 2 * VEC_LANES,
    .tile_pixels = SL_TILE_PIXELS,
    .pass_floats = SL_PASS_FLOATS,
    .carried_lines = MOST_A_PASS * VEC_LANES / SL_K_UNROLL,
    .filtering_pixels = SL_FILTERING_PIXELS,
    .at_once_tiles = SL_AT_ONCE_TILES,
    .is_tuned = SL_IS_TUNED,
    .fma_loop = SL_FN(fma_loop),
    .fma_round_flops = 2 * SL_FMA_CHAINS * VEC_LANES,
    .conv = SL_FN(sl_conv),
    .winograd = SL_FN(sl_winograd),
    .conv_nchw = SL_FN(sl_conv_nchw),
    .depthwise = SL_FN(sl_depthwise),
    .expansion = SL_FN(sl_expansion),
    .bottleneck = SL_FN(sl_bottleneck),
    .feed_forward = SL_FN(sl_feed_forward),
    .grouped = SL_FN(sl_grouped),
    .pool = SL_FN(sl_pool),
    .global_pool = SL_FN(sl_global_pool),
    .layout = SL_FN(sl_layout),
    .channels = SL_FN(sl_channels),
    .softmax = SL_FN(sl_softmax),
    .normalize = SL_FN(sl_normalize),
    .unary = SL_FN(sl_unary),
    .binary = SL_FN(sl_binary),
    .select = SL_FN(sl_select),
    .copy = SL_FN(sl_copy),
    .fill = SL_FN(sl_fill),
    .reduce = SL_FN(sl_reduce),
    .resize = SL_FN(sl_resize),
    .gather = SL_FN(sl_gather),
    .cast = SL_FN(sl_cast),
    .pack_matrix = SL_FN(sl_pack_matrix),
    .lrn = SL_FN(sl_lrn),
};
