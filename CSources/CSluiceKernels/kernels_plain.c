// The kernels that are written once for every CPU and every element type: correct, not tuned.
#include <string.h>

#include "kernel_internal.h"
#include "loop_nest.h"

#define SL_ISA plain

#pragma clang diagnostic push
// The conversions serve many kernels, of which these need only some.
#pragma clang diagnostic ignored "-Wunused-function"
#include "plain_body.h"

#include "plain_lines_body.h"
#include "plain_map_body.h"
#include "plain_scatter_body.h"
#include "plain_suppress_body.h"
#pragma clang diagnostic pop
