import Dispatch
import Execution

extension InferenceSession {
    /// Runs the model once on named inputs and returns its named outputs, without blocking a thread
    /// that other tasks need.
    ///
    /// Asynchronous runs of all sessions form one queue and start in the order in which they were
    /// asked for; a thread of their own waits and computes for them, together with the workers of
    /// the plan. Cancelling the task ends the run at its next step, or before its first while it
    /// waits: the error is then of kind `cancelled`. The session can run again at once.
    ///
    /// At `deadline` the run gives up, also while it waits: the error is then of kind
    /// `deadlineExceeded`.
    public func run(
        _ inputs: [String: Tensor],
        deadline: ContinuousClock.Instant? = nil
    ) async throws(SluiceError) -> [String: Tensor] {
        let control = RunControl(deadline)
        return try await withTaskCancellationHandler {
            await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<[String: Tensor], SluiceError>, Never>) in
                waitingRuns.async {
                    do throws(SluiceError) {
                        continuation.resume(returning: .success(try self.run(inputs, control)))
                    } catch {
                        continuation.resume(returning: .failure(error))
                    }
                }
            }
        } onCancel: {
            control.cancel()
        }.get()
    }
}

/// The asynchronous runs of the process: one at a time, since the pool runs one at a time.
private let waitingRuns = DispatchQueue(label: "sluice.runs")

extension RunControl {
    /// A control that stops a run at a point in time; nil never comes.
    convenience init(_ deadline: ContinuousClock.Instant?) {
        guard let deadline else {
            self.init()
            return
        }
        let left = (deadline - .now).components
        let (seconds, tooFar) = left.seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !tooFar, seconds >= 0, left.attoseconds >= 0 else {
            self.init(deadline: left.seconds > 0 ? .max : 0)
            return
        }
        let nanoseconds = UInt64(seconds) + UInt64(left.attoseconds / 1_000_000_000)
        self.init(deadline: now() + nanoseconds)
    }

    /// Throws the reason why the run stopped, when something stopped it.
    func requireCompletion() throws(SluiceError) {
        switch interruption {
        case nil: return
        case .cancelled:
            throw SluiceError(.cancelled, "the run was cancelled; the session can run again")
        case .deadline:
            throw SluiceError(
                .deadlineExceeded,
                "the run was not done by its deadline; give it longer, more device memory or "
                    + "more threads"
            )
        }
    }
}
