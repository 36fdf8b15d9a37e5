#include "probe.h"

#include <time.h>

#if defined(__x86_64__)

enum { ROUNDS = 60, BLOCK = 96 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Both loops are short enough to hide an interrupt in neither: the best of a few counts.
static double shortest(void (*loop)(void)) {
    double best = 1;
    for (int i = 0; i < 5; i++) {
        const double start = seconds();
        loop();
        const double time = seconds() - start;
        if (time < best) best = time;
    }
    return best;
}

static void nops(void) {
    for (int i = 0; i < ROUNDS; i++) __asm__ volatile(".rept 96\n nop\n .endr");
}

// Each addition waits for the one before: one a cycle.
static void chain(void) {
    long x = 1;
    for (int i = 0; i < ROUNDS; i++) __asm__ volatile(".rept 96\n lea 1(%0), %0\n .endr" : "+r"(x));
}

double probe_nops_per_cycle(void) {
    return shortest(chain) / shortest(nops);
}

#else

double probe_nops_per_cycle(void) {
    return 0;
}

#endif
