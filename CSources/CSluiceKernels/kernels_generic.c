// The kernels in portable C: 4 lanes, which every CPU in use has.
#include "kernel_internal.h"
#include "loop_nest.h"

#define SL_ISA generic
#define SL_ISA_NAME "generic"
#define SL_IS_TUNED false
#define SL_PORTABLE_LANES 4
#define SL_TILE_PIXELS 4
#define SL_FOR_TILE_SIZES(X) X(2) X(3) X(4)
// Channels that one pass of the innermost loop multiplies.
#define SL_K_UNROLL 4
// Floats of input that stay in the second cache while all panels pass over them.
#define SL_PASS_FLOATS (48 * 1024)
// Output pixels that a depthwise run keeps in registers.
#define SL_DEPTHWISE_RUN 4
#define SL_FMA_CHAINS 8

#include "vec_portable.h"
// The kernels, on the vectors just defined.
#include "isa_table_body.h"
