// Whether this thread has its core to itself: how many no-operations issue in a cycle.
#pragma once

// No-operations a cycle, the cycle found by a chain of dependent additions; about the issue width
// of the core when it is quiet, clearly less when a neighbour on the same core takes slots. Takes a
// few microseconds. 0 where the machine is not known.
double probe_nops_per_cycle(void);
