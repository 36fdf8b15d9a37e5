// Public interface of the kernels: one fused operation, or one upload transform, on memory that
// is given. A kernel allocates nothing, starts no thread, prints nothing and never aborts a
// process on data; its preconditions were proved by the plan and are asserted in debug builds.
//
// Work is cut into independent tasks: sl_<op>(args, task, scratch) computes task number `task` of
// the args' task grid. Tasks of one call may run at the same time on any threads; each writes its
// own part of the output. The bits of an output element depend on the shape and the ISA alone,
// never on how the work was cut into blocks or tasks.
//
// Sizes and strides are counted in elements unless a name ends in _bytes. Tensors, weights and
// scratch start at multiples of 64 bytes. Operations that have a sl_<op>_scratch_floats function
// need that much for each task that runs at a time; others take NULL.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Only what Swift calls says whether a pointer may be null; in structs it depends on the call.
#ifdef __clang__
#pragma clang diagnostic ignored "-Wnullability-completeness"
#pragma clang diagnostic ignored "-Wnullability-extension"
#endif

// ---------------------------------------------------------------------------------------------
// Layouts
//
// Blocked, [C/lanes, N, H, W, lanes]: lanes = vector width of the ISA (16 avx512, 8 avx2, 4
// generic). Channel c of a tensor stands at block c / lanes, lane c % lanes; a pixel of one block
// is `lanes` contiguous floats. Lanes past the last channel are padding: kernels may write any
// finite or non-finite value there and must never let it reach a valid lane.
//
// Packed weights: a sequence of panels. A panel covers sl_isa.panel output channels (2 * lanes),
// the last one of a group possibly `lanes` (when the remaining channels fit in one vector). With
// width PW a panel is
//     PW floats of bias, then K rows of PW floats, K = taps * channels in the order
//     for block b of input channels, for tap t, for channel k of block b (valid channels only).
// Channels past the last output channel are zero. A panel has (K + 1) * PW floats.

// Activation applied at the end of a fused operation, after the residual is added.
typedef enum {
    SL_ACTIVATION_NONE = 0,
    SL_ACTIVATION_CLAMP = 1,  // min(max(x, p0), p1); ReLU is p0 = 0, p1 = +inf
    SL_ACTIVATION_LEAKY = 2,  // x < 0 ? p0 * x : x
    SL_ACTIVATION_SIGMOID = 3,
    SL_ACTIVATION_HARD_SIGMOID = 4,  // min(max(p0 * x + p1, 0), 1)
    SL_ACTIVATION_HARD_SWISH = 5,    // x * min(max(x / 6 + 0.5, 0), 1)
    SL_ACTIVATION_SILU = 6,          // x * sigmoid(x)
    SL_ACTIVATION_TANH = 7,
    SL_ACTIVATION_GELU = 8,  // exact, by erf
    SL_ACTIVATION_ELU = 9,   // x < 0 ? p0 * (exp(x) - 1) : x
    SL_ACTIVATION_SOFTPLUS = 10,
    SL_ACTIVATION_ERF = 11,
    SL_ACTIVATION_SQRT = 12,
    SL_ACTIVATION_RECIPROCAL = 13,
    SL_ACTIVATION_EXP = 14,
    SL_ACTIVATION_LOG = 15,
    SL_ACTIVATION_NEGATE = 16,
    SL_ACTIVATION_ABSOLUTE = 17,
    SL_ACTIVATION_FLOOR = 18,
    SL_ACTIVATION_CEIL = 19,
    SL_ACTIVATION_ROUND = 20,  // half to even
    SL_ACTIVATION_GELU_TANH = 21,
} sl_activation_kind;

// What p0 and p1 mean stands beside the kinds; others have no parameters and do not read them.
typedef struct {
    sl_activation_kind kind;
    float p0;
    float p1;
} sl_activation;

// An upload that the tasks of a call carry along: `floats` floats from source to target, line by
// line between multiplications, all tasks equal shares. Neither may overlap what the call reads or
// writes. No upload: floats == 0.
typedef struct {
    const float *source;
    float *target;
    size_t floats;
} sl_carried_upload;

// What the call after this one reads first: the first of `workers` workers, who each have a run of
// neighbouring tasks of both calls, `floats` floats at `from`, each other worker as many
// `worker_step` floats after those of the one before. Tasks ask for what their worker will read to
// be brought close, between their last multiplications; it is not read and may be anything. 0
// workers are 1. Nothing: floats == 0.
typedef struct {
    const float *from;
    size_t floats;
    size_t worker_step;
    size_t workers;
} sl_next_reads;

// What happens to input before it is multiplied: min(max(x * scale[c] + shift[c], low), high).
// Both have a whole number of channel vectors; NULL stands for ones or zeros.
typedef struct {
    bool is_applied;
    const float *scale;
    // Floats from one image's factors to the next's, and from those of a channel vector to the
    // next.
    size_t scale_image_stride, scale_block_stride;
    const float *shift;
    float low, high;
} sl_input_affine;

// ---------------------------------------------------------------------------------------------
// Convolution, transposed convolution (one phase) and matrix product: the tile kernel.
//
// out[n][px][oc] = act(bias[oc] + residual + sum over (c, tap) in[n][iy][ix][c] * w[oc][c][tap])
// with output pixel px = (oy, ox), iy = oy * stride_h + tap_dy, ix = ox * stride_w + tap_dx, and
// zero outside the input. The pixel grid has out_h * out_w pixels per image, cut into tiles of at
// most sl_isa.tile_pixels consecutive pixels of balanced size; tile and panel are the cell of the
// fixed grid.
//
// Addresses (floats):
//   input  element: input + n * in_image_stride + (c / lanes) * in_block_stride
//                   + iy * in_row_stride + ix * in_pixel_stride + c % lanes
//   output element: output + n * out_image_stride + (oc / lanes) * out_block_stride
//                   + oy * out_row_stride + ox * out_pixel_stride + oc % lanes
//   residual: the same strides with its own base; may be the output itself.
// Blocked tensors have in_pixel_stride = lanes; a row-major matrix [M, K] is one row of M pixels
// with in_pixel_stride = K and in_block_stride = lanes. Row-major outputs whose out_channels is
// not a multiple of lanes are written with masked stores: `mask_tail` true; blocked outputs are
// written in whole vectors (mask_tail false).
//
// One call covers whole panels of one weight block: `weights` points at its first panel; oc counts
// from the block's first channel (the caller offsets output, residual). A task is a run of at most
// `tiles_per_task` tiles x `panels_per_task` panels of one image, all runs as even as can be; task
// number = (image * panel_groups + panel_group) * pixel_groups + pixel_group.
//
// A call whose taps leave the image or whose pixels are strided gets faster with scratch:
// sl_conv_gather_floats(args) floats a task hold the padded input of `gather_tiles` tiles at a
// time. 0 reads the input where it is, with the same bits.
//
// Pointwise convolutions of stride 1 on a whole blocked image may apply `affine` to their input.
// The same scratch then holds what it made of the input of `gather_tiles` tiles, at least one.
//
// A call with one image of one pixel reads each weight once. With `chunks_weights` they may be
// anywhere: each task copies them chunk by chunk into its scratch of 2 * lanes * lanes floats and
// multiplies them on their way, with the same bits.

// Most taps whose way from tap to tap is a table; tiles with more are indirect.
enum { SL_STRIDED_TAPS = 49 };
typedef struct {
    uint32_t images;
    uint32_t in_h, in_w;
    uint32_t out_h, out_w;
    uint32_t channels;      // input channels
    uint32_t out_channels;  // of this block
    uint32_t stride_h, stride_w;
    uint32_t taps;
    const int32_t *tap_dy;  // [taps], padding already subtracted
    const int32_t *tap_dx;
    // Weights that hold more taps: which of their packed_taps each one is, ascending, of at most
    // SL_STRIDED_TAPS; NULL when they hold these.
    const uint32_t *tap_index;
    uint32_t packed_taps;
    const float *input;
    size_t in_image_stride, in_block_stride, in_row_stride, in_pixel_stride;
    const float *weights;
    const float *residual;  // NULL when there is none
    float *output;
    size_t out_image_stride, out_block_stride, out_row_stride, out_pixel_stride;
    bool mask_tail;
    bool input_is_close;  // whether the L2 cache has the input: nothing need ask for it
    bool asks_close;      // whether what is asked for comes to the L1 cache: sl_cpu_asks_close()
    sl_activation activation;
    uint32_t tiles_per_task;
    uint32_t panels_per_task;
    size_t gather_tiles;
    sl_input_affine affine;
    bool chunks_weights;
    sl_carried_upload carried;
    sl_next_reads next;
} sl_conv_args;

// The same convolution with stride 1, by Winograd's algorithm: fewer multiplications, other
// roundings.
//     taps          patch     tile       fewer by
//     3x3, 5x5      6x6       4x4, 2x2   4, 2.8
//     1x3, 1x5      1x7       1x5, 1x3   2.1
//     1x7           1x9       1x3        2.3
// and those of the last two lines with both sides exchanged. `conv` holds shape, addresses and the
// weights of the tile kernel; both tensors are blocked, taps are taps_h x taps_w in row-major order
// and tap_dy, tap_dx, tiles_per_task are not read. Each task needs sl_winograd_scratch_floats(args)
// floats of scratch.
//
// Filters of two sides are transformed for the points of pairs_at_once pairs of rows at a time: for
// all, or, in less scratch, for one of SL_WINOGRAD_PAIRS pairs. With filters_ahead, which takes 3x3
// taps, all pairs at once and few tiles, the next filters are transformed in scratch of their own
// between the multiplications of those before them. With filters_at_once, which takes 3x3 taps and
// very few tiles, they are multiplied as they are transformed and stored nowhere; the scratch then
// holds the sums of a panel instead. None of this changes bits.
//
// With `chunks_weights` the weights may be anywhere: a task copies biases to its scratch, and of
// the filters only what they were transformed to. It reads a panel once if tiles are one block and
// filters are there for all pairs.
//
// Tiles are the pieces of the output of all images, cut into blocks of at most tiles_per_block as
// even as possible; there must be more than one tile and room for three in a block, and less than
// SL_WINOGRAD_FEWEST are not worth it. How they are cut changes no bits. Task number = block *
// panel_groups + panel_group.
enum { SL_WINOGRAD_PAIRS = 3, SL_WINOGRAD_FEWEST = 4 };
typedef struct {
    sl_conv_args conv;
    uint32_t taps_h, taps_w;
    int32_t pad_top, pad_left;
    uint32_t dilation_h, dilation_w;  // 1 along an axis with one tap
    uint32_t tiles_per_block;
    uint32_t pairs_at_once;  // 1 or SL_WINOGRAD_PAIRS
    bool filters_ahead;      // only where sl_winograd_can_filter_ahead
    bool filters_at_once;  // only where sl_winograd_can_filter_at_once, and not with filters_ahead
} sl_winograd_args;

// Pooling on blocked tensors. Average: divides by the window's size, or by the number of pixels
// inside the image when !count_includes_padding; pixels that only ceil_mode adds never count
// (padded extent is in_h + pad_top + pad_bottom). Task numbering as for depthwise.
typedef struct {
    uint32_t images;
    uint32_t blocks;
    uint32_t in_h, in_w;
    uint32_t out_h, out_w;
    uint32_t kernel_h, kernel_w;
    uint32_t stride_h, stride_w;
    uint32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left, pad_bottom, pad_right;
    bool is_average;
    bool count_includes_padding;
    const float *input;
    size_t in_image_stride, in_block_stride, in_row_stride;
    float *output;
    size_t out_image_stride, out_block_stride, out_row_stride;
    sl_activation activation;
    uint32_t rows_per_task;
} sl_pool_args;

// First layer: the input is row-major NCHW with few channels. It may be memory of the caller: tasks
// copy the rows they need to scratch and read nothing else of it. Same meaning as sl_conv_args; the
// packed weights have K in the order (channel, tap) and the input element is at
// input + n * in_image_stride + c * in_plane_stride + iy * in_row_stride + ix. Each task needs
// sl_conv_nchw_scratch_floats(args) floats of scratch for zero-padded rows.
// Weights have kernel_h * kernel_w taps in row-major order, dilated by
// dilation_h/dilation_w; pad_top/pad_left are the padding. An `affine` map is applied to the image,
// not to its padding; its vectors have a float for each channel. A task is a run of rows_per_task
// output rows of one image, all panels.
//
// With a `pool`, the result is pooled a few rows at a time while it is in cache, and only that is
// written: output and its strides, and rows_per_task, are then those of the pool. Of its arguments,
// in_h and in_w are the convolution's out_h and out_w; windows, padding and out_h and out_w count;
// dilations are 1, and there is no residual. With `depthwise`, a depthwise convolution stands in
// its place; weights then hold, for each panel, its own and then those of its blocks as of
// sl_depthwise_args, whose in_row_stride is out_w * lanes, whose output strides are the same as
// here, and whose addresses and rows_per_task are not read. SL_PLANAR_BAND rows are made at a time.
enum { SL_PLANAR_BAND = 4 };
struct sl_depthwise_args;
typedef struct {
    uint32_t images;
    uint32_t in_h, in_w;
    uint32_t out_h, out_w;
    uint32_t channels;
    uint32_t out_channels;
    uint32_t kernel_h, kernel_w;
    uint32_t stride_h, stride_w;
    uint32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    const float *input;
    size_t in_image_stride, in_plane_stride, in_row_stride;
    const float *weights;
    const float *residual;
    sl_input_affine affine;
    float *output;  // blocked
    size_t out_image_stride, out_block_stride, out_row_stride;
    sl_activation activation;
    uint32_t rows_per_task;
    const sl_pool_args *pool;
    const struct sl_depthwise_args *depthwise;
} sl_conv_nchw_args;

// Depthwise convolution (one input and one output channel per group) on blocked tensors.
// Packed weights per channel block of `lanes`: lanes floats of bias, then taps rows of lanes
// floats, row-major taps. Block b of the args reads input block b and writes output block b.
// A task is a run of rows_per_task output rows of one channel block of one image; task number =
// (image * row_groups + row_group) * blocks + block.
typedef struct sl_depthwise_args {
    uint32_t images;
    uint32_t blocks;  // channel blocks in this call
    uint32_t in_h, in_w;
    uint32_t out_h, out_w;
    uint32_t kernel_h, kernel_w;
    uint32_t stride_h, stride_w;
    uint32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    const float *input;
    size_t in_image_stride, in_block_stride, in_row_stride;
    const float *weights;
    const float *residual;
    float *output;
    size_t out_image_stride, out_block_stride, out_row_stride;
    sl_activation activation;
    uint32_t rows_per_task;
} sl_depthwise_args;

// A pointwise convolution and the depthwise one that alone reads its result, which exists in the
// scratch only: for one panel of channels at a time, a band of rows after the other. `conv` has one
// tap at (0, 0), stride 1, images of more than one pixel in a row, and neither residual nor affine
// map; what it says of the output, of tasks and of gathering is not read. `depthwise` has the
// channel blocks of the output channels of `conv`; what it says of the input is the shape of the
// result in between, whose rows follow each other. conv.weights holds, for each panel, its weights
// as of sl_conv_args and then those of its blocks as of sl_depthwise_args. A task is a run of
// depthwise.rows_per_task output rows of one panel of one image; task number = (image * row_groups
// + row_group) * panels + panel. How rows are cut changes no bits.
typedef struct {
    sl_conv_args conv;
    sl_depthwise_args depthwise;
} sl_expansion_args;

// An inverted residual: what widens the image, `pointwise` or `planar` (the other is NULL), the
// depthwise convolution of its result and the projection of that, a pointwise convolution. Both
// wide results exist in the scratch only, a band of rows at a time. pointwise and project have one
// tap at (0, 0), stride 1, images of more than one pixel in a row and no affine map; only the last
// may have a residual. Each has its weights for itself. What pointwise and planar say of their
// output, project of its input and all of tasks, gathering and uploads is not read. Of depthwise,
// in_h and in_w are the size of the wide result, in_row_stride and out_row_stride are in_w * lanes
// and out_w * lanes, blocks are all, weights and activation count; out_h and out_w are those of the
// output. A task is a run of rows_per_task output rows of one image, which it makes rows_per_band
// at a time; task number = image * row_groups + row_group. How rows are cut changes no bits.
typedef struct {
    const sl_conv_args *pointwise;
    const sl_conv_nchw_args *planar;
    sl_depthwise_args depthwise;
    sl_conv_args project;
    uint32_t rows_per_task;
    uint32_t rows_per_band;
} sl_bottleneck_args;

// Two pointwise convolutions, the second of which alone reads the wide result of the first: the
// layers that each token or pixel goes through by itself. That result exists in the scratch only, a
// band of pixels at a time. Both have one tap at (0, 0), stride 1, one image of one row of the same
// pixels, more than one, and no affine map; only the second may have a residual. Each has its
// weights for itself. What widen says of its output, narrow of its input and both of tasks,
// gathering and uploads is not read, nor what widen says of next reads. A task is a band: `bands`
// are as even as can be, at most one for every two pixels. How pixels are cut changes no bits.
typedef struct {
    sl_conv_args widen;
    sl_conv_args narrow;
    uint32_t bands;
} sl_feed_forward_args;

// Grouped convolution whose groups do not fit the tile kernel (any channels per group), blocked
// in and out. Weights packed per output channel block of `lanes`:
// lanes floats of bias, then channels_per_group * taps rows of lanes floats (k order: channel of
// the group, tap). The output channels of one vector may belong to different groups: lane l of the
// block reads the input channels of its own group. `first_channel` is the number of the block's
// first output channel in the whole layer (to find groups). A task is a run of rows_per_task output
// rows of two channel blocks of one image; task number = (image * row_groups + row_group) *
// pairs + pair.
// The residual may be the output.
enum { SL_GROUPED_FEW = 4 };
typedef struct {
    uint32_t images;
    uint32_t blocks;
    uint32_t in_h, in_w;
    uint32_t out_h, out_w;
    uint32_t channels_per_group, out_channels_per_group;
    uint32_t first_channel;
    uint32_t out_channels;  // of the whole layer
    uint32_t stride_h, stride_w;
    uint32_t taps;
    const int32_t *tap_dy;
    const int32_t *tap_dx;
    const float *input;
    size_t in_image_stride, in_block_stride, in_row_stride;
    const float *weights;
    const float *residual;
    float *output;
    size_t out_image_stride, out_block_stride, out_row_stride, out_pixel_stride;
    sl_activation activation;
    uint32_t rows_per_task;
} sl_grouped_args;

// ---------------------------------------------------------------------------------------------
// Packing (upload transforms that run when a session opens). Source elements are unaligned
// little-endian float32 at `source` (no alignment assumed).
//
// Writes rows k in [k_first, k_first + k_count) of output channels [0, out_channels) of a packed
// block of K rows. w(oc, k) is at source + 4 * (oc * oc_stride + channel(k) * channel_stride
// + tap(k) * tap_stride) bytes, multiplied by scale[oc] when scale is not NULL, where k runs in the
// packed order of `order`. bias may be NULL (zeros) and is written only when k_first == 0.
typedef enum {
    SL_PACK_BLOCKED = 0,    // k = (channel block, tap, channel in block): sl_conv_args
    SL_PACK_PLANAR = 1,     // k = (channel, tap): sl_conv_nchw_args; panels as sl_conv_args
    SL_PACK_DEPTHWISE = 2,  // channels == 1, blocks of `lanes` channels: sl_depthwise_args
    SL_PACK_GROUPED = 3,    // k = (channel, tap), blocks of `lanes` channels: sl_grouped_args
} sl_pack_order;

typedef struct {
    sl_pack_order order;
    uint32_t out_channels;
    uint32_t channels;
    uint32_t taps;
    // The part of the source that is at hand: channels [channel_first, channel_first +
    // channel_count) of every output channel; `source` points at (oc 0, channel_first, tap 0).
    uint32_t channel_first, channel_count;
    const void *source;
    ptrdiff_t oc_stride, channel_stride;
    // Offset of each tap in elements ([taps]): transposed convolutions pick taps out of order. Less
    // than zero: the source has none, and nothing is written or added there.
    const int32_t *tap_offset;
    const float *scale;
    const float *bias;
    float *target;
    // Whether weights are added to packed ones; the bias is left alone.
    bool adds;
    // Whether the source holds only weights of one input channel for each output channel: the one
    // with the same number, where the first output channel has number diagonal_first. Only with
    // adds; channel_first and channel_count do not matter.
    bool is_diagonal;
    uint32_t diagonal_first;
} sl_pack_args;

// ---------------------------------------------------------------------------------------------
// Mean or maximum over all pixels of a blocked tensor: output block b of image n is `lanes`
// floats at output + n * out_image_stride + b * out_block_stride. One task per (image, block).
typedef struct {
    uint32_t images;
    uint32_t blocks;
    size_t pixels;
    bool is_average;
    const float *input;
    size_t in_image_stride, in_block_stride;
    float *output;
    size_t out_image_stride, out_block_stride;
    sl_activation activation;
} sl_global_pool_args;

// Between row-major NCHW, or NHWC, and blocked. Going to blocked, padding lanes are set to zero. A
// task is a run of pixels_per_task pixels of one channel block of one image; task number = (image *
// runs + run) * blocks + block.
typedef struct {
    uint32_t images;
    uint32_t channels;
    size_t pixels;
    bool to_blocked;
    bool channels_last;
    const float *input;
    size_t in_image_stride;
    float *output;
    size_t out_image_stride;
    size_t block_stride;  // of the blocked tensor
    size_t pixels_per_task;
} sl_layout_args;

// Channels of blocked tensors of the same size, put together in any order: channel c of the output
// is channel sources[c].channel of input sources[c].input. Padding lanes are not defined. Tasks as
// of sl_layout_args.
typedef struct {
    uint32_t input;
    uint32_t channel;
} sl_channel_source;
typedef struct {
    uint32_t images;
    uint32_t channels;
    size_t pixels;
    const sl_channel_source *sources;
    const float *const *inputs;
    float *output;
    size_t image_stride, block_stride;  // of inputs and output
    size_t pixels_per_task;
} sl_channels_args;

// Softmax over `axis_size` elements, `inner` apart, for `outer` * inner rows; float32, row-major
// [outer, axis_size, inner]. Subtracts the row's maximum. One task per run of rows_per_task rows.
typedef struct {
    size_t outer, axis_size, inner;
    const float *input;
    float *output;  // may be the input
    size_t rows_per_task;
} sl_softmax_args;

// Rows of `size` floats brought to mean 0 and variance 1, then scaled and shifted element by
// element: (x - mean) / sqrt(mean of (x - mean)^2 + epsilon) * scale + shift. One task per run of
// rows_per_task rows.
typedef struct {
    size_t rows, size;
    float epsilon;
    const float *input;
    const float *scale;  // of `size` floats, or NULL
    const float *shift;  // of `size` floats, or NULL
    float *output;       // may be the input
    size_t rows_per_task;
} sl_normalize_args;

// One function on `count` floats. The output may be the input. The floats are `planes` equal parts,
// each of which is cut into tasks of elements_per_task; task number = piece * planes + plane.
typedef struct {
    size_t count;
    const float *input;
    float *output;
    sl_activation activation;
    size_t planes, elements_per_task;
} sl_unary_args;

typedef enum {
    SL_BINARY_ADD = 0,
    SL_BINARY_SUBTRACT,
    SL_BINARY_MULTIPLY,
    SL_BINARY_DIVIDE,
    SL_BINARY_POWER,
    SL_BINARY_MINIMUM,
    SL_BINARY_MAXIMUM,
    SL_BINARY_EQUAL,
    SL_BINARY_LESS,
    SL_BINARY_LESS_OR_EQUAL,
    SL_BINARY_GREATER,
    SL_BINARY_GREATER_OR_EQUAL,
    SL_BINARY_AND,
    SL_BINARY_OR,
    SL_BINARY_MODULO,
    SL_BINARY_MODULO_TRUNCATED,
    SL_BINARY_PARAMETRIC_RELU,
    SL_BINARY_BITWISE_AND,  // these five of integers only
    SL_BINARY_BITWISE_OR,
    SL_BINARY_BITWISE_XOR,
    SL_BINARY_SHIFT_LEFT,  // counts outside the width shift all bits out
    SL_BINARY_SHIFT_RIGHT,
} sl_binary_kind;

typedef enum {
    SL_F32 = 1,
    SL_U8 = 2,
    SL_I8 = 3,
    SL_U16 = 4,
    SL_I16 = 5,
    SL_I32 = 6,
    SL_I64 = 7,
    SL_BOOL = 9,
    SL_F16 = 10,
    SL_F64 = 11,
    SL_U32 = 12,
    SL_U64 = 13,
    SL_BF16 = 16,
} sl_dtype;  // the codes of ONNX

enum { SL_MAX_RANK = 8 };

// Broadcasting element-wise function over a row-major output of `rank` dimensions (at most
// SL_MAX_RANK; callers merge dimensions, a scalar is rank 1 size 1). A stride of 0 broadcasts.
// Comparisons and logic write uint8 (0 or 1); logic reads uint8. Fast paths for float32 when the
// innermost strides are 1 or 0. Blocked tensors are passed as their physical dimensions
// [C/lanes, N, H, W, lanes]. The output may be `a` or `b` when that operand is not broadcast.
typedef struct {
    sl_binary_kind kind;
    sl_dtype dtype;  // of a and b
    uint32_t rank;
    size_t dims[SL_MAX_RANK];
    const void *a;
    size_t a_stride[SL_MAX_RANK];
    const void *b;
    size_t b_stride[SL_MAX_RANK];
    void *output;
    sl_activation activation;          // float32 results only
    size_t planes, elements_per_task;  // as of sl_unary_args, over the whole output
} sl_binary_args;

// condition ? a : b, dims and strides as above; element_bytes in {1, 2, 4, 8}.
typedef struct {
    uint32_t rank;
    size_t dims[SL_MAX_RANK];
    size_t element_bytes;
    const uint8_t *condition;
    size_t condition_stride[SL_MAX_RANK];
    const void *a;
    size_t a_stride[SL_MAX_RANK];
    const void *b;
    size_t b_stride[SL_MAX_RANK];
    void *output;
    size_t elements_per_task;
} sl_select_args;

// Copies a strided box: transpose, slice, expand, concat and split parts, reshape between
// layouts, pad interiors. Strides are signed (slices may run backwards); 0 repeats.
typedef struct {
    uint32_t rank;
    size_t dims[SL_MAX_RANK];
    size_t element_bytes;
    const void *input;
    ptrdiff_t in_stride[SL_MAX_RANK];
    void *output;
    ptrdiff_t out_stride[SL_MAX_RANK];
    size_t elements_per_task;
} sl_copy_args;

// Writes one element over and over: `count` elements of element_bytes each.
typedef struct {
    size_t count;
    size_t element_bytes;
    uint64_t pattern;  // the element, in its low bytes
    void *output;
    size_t elements_per_task;
} sl_fill_args;

// Reduction of a row-major float32 [outer, axis_size, inner] over the middle axis.
typedef enum {
    SL_REDUCE_SUM = 0,
    SL_REDUCE_MEAN,
    SL_REDUCE_MINIMUM,
    SL_REDUCE_MAXIMUM,
    SL_REDUCE_PRODUCT,
    SL_REDUCE_L1,
    SL_REDUCE_L2,
    SL_REDUCE_SUM_SQUARES,
    SL_REDUCE_LOG_SUM,
    SL_REDUCE_LOG_SUM_EXP,
} sl_reduce_kind;

typedef struct {
    sl_reduce_kind kind;
    size_t outer, axis_size, inner;
    const float *input;
    float *output;
    size_t rows_per_task;  // a row is one output element's (outer, inner) pair
} sl_reduce_args;

// Resize of the two spatial axes. A pixel is `lanes` consecutive floats of a blocked tensor, one of
// a row-major one; planes = images * channel blocks (or channels). For output row oy the source
// rows are row_index[oy * taps_h + i] (already clamped to the input) with weight row_weight[oy *
// taps_h + i]; likewise columns. Nearest has one tap and weight 1. Index -1 stands for a pixel
// outside, whose value is `extrapolation`.
typedef struct {
    size_t planes;
    uint32_t in_h, in_w, out_h, out_w;
    bool is_blocked;
    uint32_t taps_h, taps_w;
    const int32_t *row_index;
    const float *row_weight;
    const int32_t *column_index;
    const float *column_weight;
    float extrapolation;
    const float *input;
    size_t in_plane_stride;
    float *output;
    size_t out_plane_stride;
    sl_activation activation;
    uint32_t rows_per_task;  // output rows of one plane; task = row_group * planes + plane
} sl_resize_args;

// output[o][i][:] = input[o][indices[i]][:] with negative indices counted from the end and
// indices outside clamped (the caller checks constants). inner_bytes bytes per slice.
typedef struct {
    size_t outer, axis_size, index_count, inner_bytes;
    const void *input;
    const void *indices;
    bool indices_are_64_bit;
    void *output;
} sl_gather_args;  // one task per outer

// Element conversion as C casts (float to integer truncates; to bool is != 0).
typedef struct {
    size_t count;
    sl_dtype from, to;
    const void *input;
    void *output;
    size_t elements_per_task;
} sl_cast_args;

// Packs a float32 matrix B [K, N], times `scale`, into the panel form of sl_conv_args (zero bias)
// at run time, for products of two activations. Element (k, n) is at source + k * k_stride +
// n * n_stride. Task: one panel.
typedef struct {
    uint32_t k, n;
    const float *source;
    size_t k_stride, n_stride;
    float scale;
    float *target;
} sl_pack_matrix_args;

// Local response normalisation over channels on a row-major [images, channels, pixels] tensor:
// x / (bias + alpha / size * s)^beta, where s sums the squares of `size` channels around that of x,
// (size - 1) / 2 (rounded down) before it and the others after it, as far as there are any.
typedef struct {
    size_t images, channels, pixels;
    uint32_t size;
    float alpha, beta, bias;
    const float *input;
    float *output;
    size_t pixels_per_task;
} sl_lrn_args;

// ---------------------------------------------------------------------------------------------
// Kernels for every element type, the same on every CPU and not tuned. Each has a function that
// counts its tasks beside it.

typedef enum {
    SL_MAP_SIN,
    SL_MAP_COS,
    SL_MAP_TAN,
    SL_MAP_ASIN,
    SL_MAP_ACOS,
    SL_MAP_ATAN,
    SL_MAP_SINH,
    SL_MAP_COSH,
    SL_MAP_ASINH,
    SL_MAP_ACOSH,
    SL_MAP_ATANH,
    SL_MAP_SIGN,
    SL_MAP_RELU,  // from here to bitwise not, of integers only
    SL_MAP_ABSOLUTE,
    SL_MAP_NEGATE,
    SL_MAP_BITWISE_NOT,
    SL_MAP_IS_NAN,  // from here on the output is uint8, 0 or 1
    SL_MAP_IS_INFINITE,
    SL_MAP_IS_POSITIVE_INFINITE,
    SL_MAP_IS_NEGATIVE_INFINITE,
} sl_map_kind;

// A function of every element.
typedef struct {
    sl_map_kind kind;
    sl_dtype dtype;  // of the input
    size_t count;
    const void *input;
    void *output;
    size_t elements_per_task;
} sl_map_args;

// The lines along the middle axis of a row-major [outer, axis_size, inner].
typedef struct {
    size_t outer, axis_size, inner;
    size_t lines_per_task;
} sl_lines;

// Reductions of integers: one element a line.
typedef struct {
    sl_lines lines;
    sl_reduce_kind kind;
    sl_dtype dtype;
    const void *input;
    void *output;
} sl_line_reduce_args;

// Where the `count` largest or smallest elements of each line stand, best first; the output is
// [outer, count, inner]. Of equal elements the first counts, or the last when takes_last.
typedef struct {
    sl_lines lines;
    sl_dtype dtype;
    size_t count;
    bool largest;
    bool takes_last;
    const void *input;
    int64_t *output;
} sl_places_args;

// Running sums, or products with `is_product`, of each line: up to and with each element, without
// it if `is_exclusive`, from the other end if `is_reversed`.
typedef struct {
    sl_lines lines;
    sl_dtype dtype;
    bool is_product, is_exclusive, is_reversed;
    const void *input;
    void *output;
} sl_scan_args;

typedef enum {
    SL_SCATTER_REPLACE,
    SL_SCATTER_ADD,
    SL_SCATTER_MULTIPLY,
    SL_SCATTER_MINIMUM,
    SL_SCATTER_MAXIMUM,
} sl_scatter_kind;

// output = table [rows, width]; then row row_numbers[i] of it is joined with updates[i][:], in
// order; numbers outside the table are skipped.
typedef struct {
    sl_scatter_kind kind;
    sl_dtype dtype;
    size_t rows, width, count;
    const void *table;
    const int64_t *row_numbers;
    const void *updates;
    void *output;
    size_t elements_per_task;
} sl_scatter_args;

// Non-maximum suppression. For every line of `scores` [lines, boxes], boxes are taken from the best
// score down (equal ones in their order), leaving out scores that are not above *score_threshold
// (NULL leaves out none), not-a-numbers, and boxes whose overlap with one taken before is above
// *iou_threshold. The output [lines, limit] holds the boxes taken, then -1. Line l looks at boxes
// [l / classes][boxes][4]: two corners, or centre and size when `are_centred`. Scratch: a float for
// each box.
typedef struct {
    size_t lines, classes, box_count, limit;
    bool are_centred;
    const float *boxes;
    const float *scores;
    const float *iou_threshold;
    const float *score_threshold;
    int64_t *output;
} sl_suppress_args;

// One task of each; only sl_suppress reads its scratch.
void sl_map(const void *_Nonnull args, size_t task, float *_Nullable scratch);
void sl_line_reduce(const void *_Nonnull args, size_t task, float *_Nullable scratch);
void sl_places(const void *_Nonnull args, size_t task, float *_Nullable scratch);
void sl_scan(const void *_Nonnull args, size_t task, float *_Nullable scratch);
void sl_scatter(const void *_Nonnull args, size_t task, float *_Nullable scratch);
void sl_suppress(const void *_Nonnull args, size_t task, float *_Nullable scratch);
size_t sl_map_task_count(const sl_map_args *_Nonnull args);
size_t sl_lines_task_count(const sl_lines *_Nonnull lines);
size_t sl_scatter_task_count(const sl_scatter_args *_Nonnull args);
size_t sl_suppress_task_count(const sl_suppress_args *_Nonnull args);

// ---------------------------------------------------------------------------------------------
// Kernel table

typedef void (*sl_task_fn)(const void *_Nonnull args, size_t task, float *_Nullable scratch);

// Everything one instruction set offers. All functions take the matching *_args by pointer; each
// has a task count function of its name.
typedef struct {
    const char *_Nonnull name;  // "avx512", "avx2", "generic", "emulated512"
    uint32_t lanes;             // floats in a vector and in a channel block
    uint32_t panel;             // output channels of a full panel: 2 * lanes
    uint32_t tile_pixels;       // most pixels of a tile of the fixed grid
    uint32_t pass_floats;    // of input that go through all panels together: a part of the L2 cache
    uint32_t carried_lines;  // most lines of 64 bytes carried in `lanes` channels of a tap
    uint32_t filtering_pixels;  // most pixels of a tile that transforms filters meanwhile; 0: none
    uint32_t at_once_tiles;     // most tiles with which filters are multiplied at once; 0: none
    bool is_tuned;              // false for the portable builds
    // Independent fused multiply-adds, `rounds` times fma_round_flops floating-point operations;
    // returns a value that depends on all.
    float (*_Nonnull fma_loop)(size_t rounds);
    size_t fma_round_flops;
    sl_task_fn _Nonnull conv;
    sl_task_fn _Nonnull winograd;
    sl_task_fn _Nonnull conv_nchw;
    sl_task_fn _Nonnull depthwise;
    sl_task_fn _Nonnull expansion;
    sl_task_fn _Nonnull bottleneck;
    sl_task_fn _Nonnull feed_forward;
    sl_task_fn _Nonnull grouped;
    sl_task_fn _Nonnull pool;
    sl_task_fn _Nonnull global_pool;
    sl_task_fn _Nonnull layout;
    sl_task_fn _Nonnull channels;
    sl_task_fn _Nonnull softmax;
    sl_task_fn _Nonnull normalize;
    sl_task_fn _Nonnull unary;
    sl_task_fn _Nonnull binary;
    sl_task_fn _Nonnull select;
    sl_task_fn _Nonnull copy;
    sl_task_fn _Nonnull fill;
    sl_task_fn _Nonnull reduce;
    sl_task_fn _Nonnull resize;
    sl_task_fn _Nonnull gather;
    sl_task_fn _Nonnull cast;
    sl_task_fn _Nonnull pack_matrix;
    sl_task_fn _Nonnull lrn;
} sl_isa;

// The tables compiled into this build, best first; "generic" is always there and always last but
// for "emulated512", the portable source at 16 lanes that stands in for avx512 in tests.
size_t sl_isa_count(void);
const sl_isa *_Nonnull sl_isa_at(size_t index);
// Whether this CPU and operating system can run the table.
bool sl_isa_is_supported(const sl_isa *_Nonnull isa);
// The best supported table; NULL name or "" picks it. A name picks that table, or NULL when it is
// unknown or not supported here.
const sl_isa *_Nullable sl_isa_select(const char *_Nullable name);
// Whether this CPU had better be asked for lines to the L1 cache, though they are read much later:
// processors of AMD, where lines that were asked for to the L2 cache alone have often left it by
// then. Others are asked to the L2 cache; on those of Intel it makes no difference (decision 9).
bool sl_cpu_asks_close(void);

size_t sl_conv_task_count(const sl_isa *_Nonnull isa, const sl_conv_args *_Nonnull args);
// Where in the packed weights a task begins to read, in floats; the same of other convolutions.
size_t sl_conv_first_weight(const sl_isa *_Nonnull isa, const sl_conv_args *_Nonnull args,
                            size_t task);
size_t sl_winograd_first_weight(const sl_isa *_Nonnull isa, const sl_winograd_args *_Nonnull args,
                                size_t task);
size_t sl_expansion_first_weight(const sl_isa *_Nonnull isa, const sl_expansion_args *_Nonnull args,
                                 size_t task);
// The most tiles whose input `floats` of scratch hold; 0 where none fit or nothing is gathered.
size_t sl_conv_gather_tiles(const sl_isa *_Nonnull isa, const sl_conv_args *_Nonnull args,
                            size_t floats);
// Floats of scratch that args->gather_tiles tiles need.
size_t sl_conv_gather_floats(const sl_isa *_Nonnull isa, const sl_conv_args *_Nonnull args);
size_t sl_winograd_task_count(const sl_isa *_Nonnull isa, const sl_winograd_args *_Nonnull args);
size_t sl_winograd_scratch_floats(const sl_isa *_Nonnull isa,
                                  const sl_winograd_args *_Nonnull args);
// Points of a patch; tiles of all images.
size_t sl_winograd_point_count(const sl_winograd_args *_Nonnull args);
size_t sl_winograd_tile_count(const sl_winograd_args *_Nonnull args);
// Whether filters_ahead is of use: for 3x3 taps and tiles that fit registers beside a transform.
bool sl_winograd_can_filter_ahead(const sl_isa *_Nonnull isa,
                                  const sl_winograd_args *_Nonnull args);
// Whether filters_at_once is possible: for 3x3 taps and as few tiles as an ISA has registers for.
bool sl_winograd_can_filter_at_once(const sl_isa *_Nonnull isa,
                                    const sl_winograd_args *_Nonnull args);
// The most tiles a block may have with `floats` of scratch, at least 4.
size_t sl_winograd_tiles_within(const sl_isa *_Nonnull isa, const sl_winograd_args *_Nonnull args,
                                size_t floats);
size_t sl_conv_nchw_task_count(const sl_conv_nchw_args *_Nonnull args);
size_t sl_conv_nchw_scratch_floats(const sl_isa *_Nonnull isa,
                                   const sl_conv_nchw_args *_Nonnull args);
size_t sl_depthwise_task_count(const sl_isa *_Nonnull isa, const sl_depthwise_args *_Nonnull args);
size_t sl_expansion_task_count(const sl_isa *_Nonnull isa, const sl_expansion_args *_Nonnull args);
size_t sl_expansion_scratch_floats(const sl_isa *_Nonnull isa,
                                   const sl_expansion_args *_Nonnull args);
size_t sl_bottleneck_task_count(const sl_bottleneck_args *_Nonnull args);
size_t sl_bottleneck_scratch_floats(const sl_isa *_Nonnull isa,
                                    const sl_bottleneck_args *_Nonnull args);
size_t sl_feed_forward_task_count(const sl_feed_forward_args *_Nonnull args);
size_t sl_feed_forward_scratch_floats(const sl_isa *_Nonnull isa,
                                      const sl_feed_forward_args *_Nonnull args);
size_t sl_grouped_task_count(const sl_isa *_Nonnull isa, const sl_grouped_args *_Nonnull args);
// Whether sl_grouped is slow for so many channels and outputs of each group: a vector of outputs
// has more than SL_GROUPED_FEW groups whose channels do not all stand in one block of the input.
bool sl_grouped_is_slow(const sl_isa *_Nonnull isa, uint32_t channels, uint32_t out_channels,
                        uint32_t groups);
size_t sl_pool_task_count(const sl_isa *_Nonnull isa, const sl_pool_args *_Nonnull args);
size_t sl_global_pool_task_count(const sl_isa *_Nonnull isa,
                                 const sl_global_pool_args *_Nonnull args);
size_t sl_layout_task_count(const sl_isa *_Nonnull isa, const sl_layout_args *_Nonnull args);
size_t sl_channels_task_count(const sl_isa *_Nonnull isa, const sl_channels_args *_Nonnull args);
size_t sl_softmax_task_count(const sl_isa *_Nonnull isa, const sl_softmax_args *_Nonnull args);
size_t sl_normalize_task_count(const sl_isa *_Nonnull isa, const sl_normalize_args *_Nonnull args);
size_t sl_unary_task_count(const sl_isa *_Nonnull isa, const sl_unary_args *_Nonnull args);
size_t sl_binary_task_count(const sl_isa *_Nonnull isa, const sl_binary_args *_Nonnull args);
size_t sl_select_task_count(const sl_isa *_Nonnull isa, const sl_select_args *_Nonnull args);
size_t sl_copy_task_count(const sl_isa *_Nonnull isa, const sl_copy_args *_Nonnull args);
size_t sl_fill_task_count(const sl_isa *_Nonnull isa, const sl_fill_args *_Nonnull args);
size_t sl_reduce_task_count(const sl_isa *_Nonnull isa, const sl_reduce_args *_Nonnull args);
size_t sl_resize_task_count(const sl_isa *_Nonnull isa, const sl_resize_args *_Nonnull args);
size_t sl_gather_task_count(const sl_isa *_Nonnull isa, const sl_gather_args *_Nonnull args);
size_t sl_cast_task_count(const sl_isa *_Nonnull isa, const sl_cast_args *_Nonnull args);
size_t sl_pack_matrix_task_count(const sl_isa *_Nonnull isa,
                                 const sl_pack_matrix_args *_Nonnull args);
size_t sl_lrn_task_count(const sl_isa *_Nonnull isa, const sl_lrn_args *_Nonnull args);

// Packs weights for `isa` (whose lanes and panel shape the result). Called when a session opens.
void sl_pack(const sl_isa *_Nonnull isa, const sl_pack_args *_Nonnull args);
// Floats that `out_channels` channels of `channels` * `taps` take when packed, in any order.
size_t sl_packed_floats(const sl_isa *_Nonnull isa, uint32_t out_channels, uint32_t channels,
                        uint32_t taps);

// The product of a matrix by OpenBLAS, installed by whoever loaded the library (`--gemm
// openblas`): row-major C[m, n] = A[m, k] * B[k, n] + C. sl_conv_openblas does what
// sl_isa.conv does, for cells of up to SL_OPENBLAS_CELL tiles x one panel: it copies their inputs
// as rows of A and calls it once. Tasks are whole cells: tiles_per_task is a multiple of that
// number, or covers an image. tap_index, chunks_weights, carried and next are not supported.
enum { SL_OPENBLAS_CELL = 8 };
typedef void (*sl_sgemm_fn)(size_t m, size_t n, size_t k, const float *_Nonnull a, size_t lda,
                            const float *_Nonnull b, size_t ldb, float *_Nonnull c, size_t ldc);
void sl_openblas_install(sl_sgemm_fn _Nullable sgemm);
// Scratch floats one task of sl_conv_openblas needs.
size_t sl_conv_openblas_scratch_floats(const sl_isa *_Nonnull isa,
                                       const sl_conv_args *_Nonnull args);
void sl_conv_openblas(const sl_isa *_Nonnull isa, const sl_conv_args *_Nonnull args, size_t task,
                      float *_Nonnull scratch);

// ---------------------------------------------------------------------------------------------
// Measuring the machine (for `sluice kernels`, profiles and benchmarks).

// GFLOP/s of an independent-FMA loop of this ISA on the calling thread, timed for about
// `milliseconds`.
double sl_fma_peak(const sl_isa *_Nonnull isa, double milliseconds);

// The same loop as a task of some fifty microseconds; `raw_isa` is the table, scratch is not read.
void sl_fma_slice(const void *_Nonnull raw_isa, size_t task, float *_Nullable scratch);
