// The portable source with the shapes of AVX-512, so that its layouts, tiles and tails are tested
// on machines without it. Slow: its vectors do not fit registers.
#include "kernel_internal.h"
#include "loop_nest.h"

#define SL_ISA emulated512
#define SL_ISA_NAME "emulated512"
#define SL_IS_TUNED false
#define SL_PORTABLE_LANES 16
#define SL_TILE_PIXELS 14
// One kernel for all tile sizes, since there are no registers to keep.
#define SL_TILES_ARE_LOOPS
#define SL_FOR_TILE_SIZES(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define SL_FILTERING_PIXELS 10
#define SL_FOR_FILTERING_SIZES(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10)
#define SL_AT_ONCE_TILES 4
#define SL_TRIPLE_PIXELS 9
#define SL_FOR_TRIPLE_SIZES(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#undef SL_UNROLL
#define SL_UNROLL
// Channels that one pass of the innermost loop multiplies.
#define SL_K_UNROLL 1
// Floats of input that stay in the second cache while all panels pass over them.
#define SL_PASS_FLOATS (48 * 1024)
// Output pixels that a depthwise run keeps in registers.
#define SL_DEPTHWISE_RUN 2
#define SL_FMA_CHAINS 2

#include "vec_portable.h"
// The kernels, on the vectors just defined.
#include "isa_table_body.h"
