// Times the FMA loops of fma_peak_body.h.
#include <time.h>

#include "kernel_internal.h"

// Processor time of the calling thread, so that a busy machine does not look slow.
static double thread_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// A slice takes some fifty microseconds.
enum { SLICE_ROUNDS = 32768 };

void sl_fma_slice(const void *raw_isa, size_t task, float *scratch) {
    (void)task;
    (void)scratch;
    const sl_isa *const isa = raw_isa;
    volatile float sink = isa->fma_loop(SLICE_ROUNDS);
    (void)sink;
}

double sl_fma_peak(const sl_isa *isa, double milliseconds) {
    const double flops = (double)SLICE_ROUNDS * (double)isa->fma_round_flops;
    volatile float sink = isa->fma_loop(SLICE_ROUNDS);
    const double begin = thread_seconds();
    double best = 0;
    double now = begin;
    // The fastest slice counts: the others were disturbed.
    do {
        const double slice_begin = now;
        sink = isa->fma_loop(SLICE_ROUNDS);
        now = thread_seconds();
        if (now > slice_begin && flops / (now - slice_begin) > best) {
            best = flops / (now - slice_begin);
        }
    } while (now - begin < 1e-3 * milliseconds);
    (void)sink;
    return best * 1e-9;
}
