// The kernels for x86 CPUs with AVX2 and FMA.
#if defined(__x86_64__)
#include <immintrin.h>  // System headers stay outside the region.

#include "kernel_internal.h"
#include "loop_nest.h"

#define SL_ISA avx2
#define SL_ISA_NAME "avx2"
#define SL_IS_TUNED true
#define SL_TILE_PIXELS 6
#define SL_FOR_TILE_SIZES(X) X(2) X(3) X(4) X(5) X(6)
#define SL_HALF_PANEL_PIXELS 12
#define SL_FOR_HALF_PANEL_SIZES(X) X(7) X(8) X(9) X(10) X(11) X(12)
#define SL_TRIPLE_PIXELS 4
#define SL_FOR_TRIPLE_SIZES(X) X(2) X(3) X(4)
// Channels that one pass of the innermost loop multiplies.
#define SL_K_UNROLL 8
// Floats of input that stay in the second cache while all panels pass over them.
#define SL_PASS_FLOATS (48 * 1024)
// Output pixels that a depthwise run keeps in registers.
#define SL_DEPTHWISE_RUN 8
#define SL_FMA_CHAINS 12

SL_BEGIN_TARGET("avx2,fma,bmi,bmi2,prfchw")
#include "vec_avx2.h"
// The kernels, on the vectors just defined.
#include "isa_table_body.h"
SL_END_TARGET

#else
typedef int sl_no_avx2_here;  // A translation unit must not be empty.
#endif
