// The primitives Swift lacks: waiting on a word, denormals, processors, OpenBLAS at run time.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A counter that threads wait on: they spin a while, then sleep in the kernel. On a cache line of
// its own. All functions may be called from any thread.
typedef struct sl_signal sl_signal;

// A signal at 0, or NULL when memory is short. Destroyed by sl_signal_destroy.
sl_signal *_Nullable sl_signal_create(void);
// Nobody may wait on it any more.
void sl_signal_destroy(sl_signal *_Nonnull signal);

// The value now; what its last advance made visible is visible to the caller.
uint32_t sl_signal_value(const sl_signal *_Nonnull signal);
// Adds one and wakes every thread that sleeps on the signal. Everything the caller wrote before is
// visible to threads that see the new value.
void sl_signal_advance(sl_signal *_Nonnull signal);
// Returns when the value has come to `target`, which is less than 2^31 ahead, after at most `spins`
// rounds of busy waiting and then asleep.
void sl_signal_wait(sl_signal *_Nonnull signal, uint32_t target, uint32_t spins);

// Locks the mutex; false when another thread still holds it at `deadline`, in nanoseconds of
// CLOCK_MONOTONIC.
bool sl_mutex_lock_before(pthread_mutex_t *_Nonnull mutex, uint64_t deadline);

// Makes the calling thread treat denormal floats as zero; returns the state before, for restore.
uint64_t sl_denormals_flush(void);
// Puts the state of the calling thread back that sl_denormals_flush returned.
void sl_denormals_restore(uint64_t state);

// Processors the calling thread may run on; at least 1.
int sl_affinity_count(void);
// The processor the calling thread runs on just now; negative when that is not known.
int sl_processor_current(void);
// Moves the calling thread to a processor it may run on that is none of `processors`, bit n for
// number n; does nothing when there is none. Which ones it may run on stays as it was.
void sl_processors_leave(uint64_t processors);
// Names the calling thread (at most 15 characters) for debuggers.
void sl_thread_set_name(const char *_Nonnull name);

// Keeps SIGINT, SIGTERM and SIGHUP from the calling thread until unblocked; what arrives meanwhile
// is delivered then. Worker threads block them for good, so that the main thread decides.
void sl_signals_block(void);
void sl_signals_unblock(void);
// Ends the process with `code` and one line of text when it crashes: a trap or a bad access is an
// error of the program, and scripts should see it as one. So is a stack that has run out, in the
// calling thread. A write beyond the size limit for files
// fails instead of ending the process.
void sl_crash_exit_install(int code);

// The OpenBLAS library of the system, loaded on the first call with one thread and the core type
// that fits this CPU. NULL when it is not installed.
typedef void (*sl_platform_sgemm)(size_t m, size_t n, size_t k, const float *_Nonnull a, size_t lda,
                                  const float *_Nonnull b, size_t ldb, float *_Nonnull c,
                                  size_t ldc);
sl_platform_sgemm _Nullable sl_openblas_load(void);
// Name of the core OpenBLAS runs ("SkylakeX", "Haswell", ...); NULL before a successful load.
const char *_Nullable sl_openblas_core(void);
// Version and build settings; NULL before a successful load.
const char *_Nullable sl_openblas_config(void);
