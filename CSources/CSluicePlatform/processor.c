// Denormals, processors, names of threads.
#include <pthread.h>
#include <sched.h>
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
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

void sl_thread_set_name(const char *name) {
    pthread_setname_np(pthread_self(), name);
}
