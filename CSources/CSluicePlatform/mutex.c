// A POSIX mutex with a deadline by the monotonic clock, which Swift does not import.
#include <pthread.h>
#include <time.h>

#include "sluice_platform.h"

bool sl_mutex_lock_before(pthread_mutex_t *mutex, uint64_t deadline) {
    const struct timespec time = {
        .tv_sec = (time_t)(deadline / 1000000000),
        .tv_nsec = (long)(deadline % 1000000000),
    };
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &time) == 0;
}
