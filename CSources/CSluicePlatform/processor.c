// Denormals, processors and limits of the container.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
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

// Reads up to two numbers of a file; "max" counts as -1. Returns how many were read.
static int read_numbers(const char *path, long long numbers[2]) {
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    char text[2][32] = {"", ""};
    const int count = fscanf(file, "%31s %31s", text[0], text[1]);
    fclose(file);
    for (int i = 0; i < count && i < 2; i++) {
        if (strcmp(text[i], "max") == 0) {
            numbers[i] = -1;
        } else if (sscanf(text[i], "%lld", &numbers[i]) != 1) {
            return i;
        }
    }
    return count > 0 ? count : 0;
}

int sl_cgroup_cpu_limit(void) {
    long long quota[2] = {-1, 0};
    if (read_numbers("/sys/fs/cgroup/cpu.max", quota) != 2) {
        long long period[2] = {0, 0};
        if (read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota) < 1 ||
            read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period) < 1) {
            return 0;
        }
        quota[1] = period[0];
    }
    if (quota[0] <= 0 || quota[1] <= 0) return 0;
    return (int)((quota[0] + quota[1] - 1) / quota[1]);
}

void sl_thread_set_name(const char *name) {
    pthread_setname_np(pthread_self(), name);
}
