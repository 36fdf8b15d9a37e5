// The kernels for x86 CPUs with AVX-512 (F, BW, VL, DQ).
#if defined(__x86_64__)
#include <immintrin.h>  // System headers stay outside the region.

#include "kernel_internal.h"
#include "loop_nest.h"
#if defined(SL_SIMULATES_AVX512)
#include "simulated_avx512.h"
#endif

#define SL_ISA avx512
#define SL_ISA_NAME "avx512"
#define SL_IS_TUNED true
#define SL_TILE_PIXELS 14
#define SL_FOR_TILE_SIZES(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define SL_FILTERING_PIXELS 10
#define SL_FOR_FILTERING_SIZES(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10)
#define SL_AT_ONCE_TILES 4
#define SL_TRIPLE_PIXELS 9
#define SL_FOR_TRIPLE_SIZES(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
// Channels that one pass of the innermost loop multiplies.
#define SL_K_UNROLL 4
// A register, and once or twice the distance between pixels from it.
#define SL_PIXELS_A_BASE 3
#define SL_BROADCASTS_IN_PLACE true
// With more, a panel, a tile and the next one would push each other out of the first cache.
#define SL_ASK_CHANNELS 192
// Floats of input that stay in the second cache while all panels pass over them.
#define SL_PASS_FLOATS (112 * 1024)
// Output pixels that a depthwise run keeps in registers.
#define SL_DEPTHWISE_RUN 8
#define SL_FMA_CHAINS 12

#if defined(SL_SIMULATES_AVX512)
SL_BEGIN_TARGET("avx2,fma,bmi,bmi2,prfchw")
#else
SL_BEGIN_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi,bmi2,prfchw")
#endif
#include "vec_avx512.h"
// The kernels, on the vectors just defined.
#include "isa_table_body.h"
SL_END_TARGET

#else
typedef int sl_no_avx512_here;  // A translation unit must not be empty.
#endif
