// Denormals, processors, names of threads.
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "sluice_platform.h"

uint64_t sl_denormals_flush(void) {
#if defined(__x86_64__)
    const unsigned state = _mm_getcsr();
    _mm_setcsr(state | 0x8040u);  // flush to zero, denormals are zero
    return state;
#elif defined(__aarch64__)
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" : : "r"(state | (UINT64_C(1) << 24)));
    return state;
#else
    return 0;
#endif
}

void sl_denormals_restore(uint64_t state) {
#if defined(__x86_64__)
    _mm_setcsr((unsigned)state);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(state));
#else
    (void)state;
#endif
}

int sl_affinity_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    // A machine may have more processors than the set has bits.
    const bool is_known = sched_getaffinity(0, sizeof set, &set) == 0;
    const int count = is_known ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? count : 1;
}

int sl_processor_current(void) {
    return sched_getcpu();
}

void sl_processors_leave(uint64_t processors) {
    cpu_set_t all, others;
    CPU_ZERO(&all);
    if (sched_getaffinity(0, sizeof all, &all) != 0) return;
    others = all;
    for (int processor = 0; processor < 64; processor++) {
        if (processors >> processor & 1) CPU_CLR(processor, &others);
    }
    if (CPU_COUNT(&others) == 0) return;
    // The first call moves the thread, the second leaves it free to be moved again.
    if (sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof all, &all);
}

void sl_thread_set_name(const char *name) {
    pthread_setname_np(pthread_self(), name);
}
