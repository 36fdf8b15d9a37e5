// Counts the allocations that threads of interest make, for tests.
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdbool.h>

// Whether this build counts: not where a sanitizer owns the allocator.
bool ac_is_available(void);

// From here to ac_end, counts allocations of the calling thread and of the worker threads of the
// engine. Other threads are left out, so that tests may run beside each other.
void ac_begin(void);

// Allocations since ac_begin.
long ac_end(void);

#endif
