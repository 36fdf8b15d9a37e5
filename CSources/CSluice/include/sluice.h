// The C interface of Sluice: runs neural networks inside a fixed budget of device memory.
//
//   open a model -> make a plan for a budget -> open a session -> run it, many times
//
// Ownership. What an `_open` function gives belongs to the caller, who gives it back to the `_free`
// function of the same name; those take NULL. A plan needs its model and a session its plan no
// longer once it is open: handles may be freed in any order. Text and shapes that a function
// returns belong to the handle asked and live as long as it does. Buffers of a run belong to the
// caller; the library keeps none of them.
//
// Errors. Functions that can fail return a code; SLUICE_OK is 0. After any other code,
// sluice_error_text() says what was wrong and what would work. A failed `_open` sets its result to
// NULL. NULL where a handle or a pointer is needed is SLUICE_USAGE, never a crash.
//
// Threads. Any function may be called on any thread, several at a time, also with one handle; runs
// wait for each other. A handle must not be freed while another call uses it.
//
// Units. Sizes are in bytes unless their name says otherwise, times in seconds.

#ifndef SLUICE_H
#define SLUICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What a function came to: one of the codes below.
typedef int32_t sluice_status;

enum {
    SLUICE_OK = 0,
    /// Arguments that do not fit the model or each other.
    SLUICE_USAGE = 1,
    /// A file whose contents are wrong, or a buffer of the wrong size.
    SLUICE_BAD_DATA = 2,
    /// A file that is not there or cannot be read.
    SLUICE_MISSING_FILE = 3,
    /// An operator that is not supported, or a budget below the minimum.
    SLUICE_IMPOSSIBLE = 4,
    /// Memory that the system refuses.
    SLUICE_SYSTEM = 5,
    /// The run was cancelled.
    SLUICE_CANCELLED = 6,
    /// The run was not done in time; the session can run again.
    SLUICE_DEADLINE = 7
};

/// The type of the elements of a tensor: one of the codes below.
typedef int32_t sluice_type;

enum {
    SLUICE_FLOAT32 = 1,
    SLUICE_UINT8 = 2,
    SLUICE_INT8 = 3,
    SLUICE_UINT16 = 4,
    SLUICE_INT16 = 5,
    SLUICE_INT32 = 6,
    SLUICE_INT64 = 7,
    SLUICE_BOOL = 9,
    SLUICE_FLOAT16 = 10,
    SLUICE_FLOAT64 = 11,
    SLUICE_UINT32 = 12,
    SLUICE_UINT64 = 13,
    SLUICE_BFLOAT16 = 16
};

/// A model file, opened.
typedef struct sluice_model sluice_model;
/// What a session will do: decided, and its memory known, before anything runs.
typedef struct sluice_plan sluice_plan;
/// A plan with its memory, ready to run.
typedef struct sluice_session sluice_session;

/// An input or output of a plan.
typedef struct {
    /// Its name in the model, in UTF-8.
    const char *name;
    sluice_type type;
    /// How many axes it has; 0 for a scalar.
    size_t rank;
    /// The size of each axis, in elements.
    const int64_t *shape;
    /// The bytes of all elements: row-major, little-endian, without gaps.
    size_t byte_count;
} sluice_port;

/// The elements of one tensor in memory of the caller.
typedef struct {
    void *data;
    size_t byte_count;
} sluice_buffer;

/// Memory of a plan and of the session that runs it; 0 where it does not apply.
typedef struct {
    /// The highest device byte the plan uses + 1; never above the budget.
    int64_t planned_device_peak;
    /// The same as the session's arena saw it; 0 for a plan alone.
    int64_t measured_device_peak;
    /// What unlimited memory would use.
    int64_t resident_device_bytes;
    /// The smallest budget that works.
    int64_t minimum_device_bytes;
    /// Weights uploaded in every run.
    int64_t streamed_weight_bytes;
    /// Bytes uploaded in every run, weights and inputs, and bytes brought back.
    int64_t uploaded_bytes;
    int64_t downloaded_bytes;
    /// Host bytes for weights.
    int64_t host_bytes;
    /// Seconds of a run by the cost model.
    double predicted_seconds;
    /// Threads that a run keeps busy at most.
    int64_t threads;
} sluice_report;

/// The version of the library, such as "0.1.0"; never NULL.
const char *sluice_version(void);

/// What went wrong in the last call of this thread that failed; never NULL.
///
/// Valid until the next failure of this thread.
const char *sluice_error_text(void);

/// Opens an ONNX file. Weights stay in the file, which must not change until the model is freed.
sluice_status sluice_model_open(const char *path, sluice_model **model);

/// Closes a model; NULL is fine.
void sluice_model_free(sluice_model *model);

/// Plans a model: nothing runs, and no weights are read.
///
/// `options` is NULL or a list of texts that NULL ends, each as the command line names it:
/// "device-memory=24MiB" (also "30%", "minimum", "unlimited"), "threads=2", "isa=avx2",
/// "shape=NAME=1x3x224x224" once for each input with open dimensions, "exact=true".
sluice_status sluice_plan_open(const sluice_model *model, const char *const *options,
                               sluice_plan **plan);

/// Forgets a plan; NULL is fine.
void sluice_plan_free(sluice_plan *plan);

/// How many inputs a run takes; 0 for NULL.
size_t sluice_plan_input_count(const sluice_plan *plan);

/// How many outputs a run gives; 0 for NULL.
///
/// Where data decides the size of an axis (NonZero, NonMaxSuppression), the port of that output has
/// the most it can be. After the outputs of the model comes an int64 scalar for each such axis,
/// "NAME.size0" for axis 0 of NAME: its size in this run. Elements beyond it hold anything.
size_t sluice_plan_output_count(const sluice_plan *plan);

/// Describes input number `index`.
sluice_status sluice_plan_input(const sluice_plan *plan, size_t index, sluice_port *port);

/// Describes output number `index`.
sluice_status sluice_plan_output(const sluice_plan *plan, size_t index, sluice_port *port);

/// Says what memory a plan takes.
///
/// `report_size` is sizeof(sluice_report) as the caller was compiled with: later versions may add
/// members at the end and fill in only those the caller has room for.
sluice_status sluice_plan_report(const sluice_plan *plan, sluice_report *report,
                                 size_t report_size);

/// Opens a session: takes the memory of the plan and packs the weights into it.
sluice_status sluice_session_open(const sluice_plan *plan, sluice_session **session);

/// Gives the memory of a session back; NULL is fine.
void sluice_session_free(sluice_session *session);

/// Runs the model once, from and to buffers of the caller, in the order of the plan's ports.
///
/// Each buffer has exactly the `byte_count` of its port; `data` may be NULL where that is 0.
/// Nothing is copied in between. After `timeout_seconds` the run ends at its next step with
/// SLUICE_DEADLINE, also when it still waited for another; 0 means no limit. Unless the result is
/// SLUICE_OK, outputs hold anything.
sluice_status sluice_session_run(sluice_session *session, const sluice_buffer *inputs,
                                 size_t input_count, const sluice_buffer *outputs,
                                 size_t output_count, double timeout_seconds);

/// Says what memory a session takes; `report_size` as for sluice_plan_report.
sluice_status sluice_session_report(const sluice_session *session, sluice_report *report,
                                    size_t report_size);

#ifdef __cplusplus
}
#endif

#endif
