// Counts the allocations that threads of interest make, for tests.
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdbool.h>

// Whether a sanitizer is part of this process: it owns the allocator, takes address space and pages
// of its own, and slows everything. Nothing is counted then.
bool ac_is_sanitized(void);

// From here to ac_end, counts allocations of the calling thread and of the worker threads of the
// engine. Other threads are left out, so that tests may run beside each other.
void ac_begin(void);

// Allocations since ac_begin.
long ac_end(void);

#endif
