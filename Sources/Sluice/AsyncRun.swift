import Dispatch
import Execution
import Synchronization

extension InferenceSession {
    /// Runs the model once on named inputs and returns its named outputs, without blocking a thread
    /// that other tasks need.
    ///
    /// Asynchronous runs of all sessions form one queue and start in the order in which they were
    /// asked for; a thread of their own waits and computes for them, together with the workers of
    /// the plan. Cancelling the task gives its error at once, of kind `cancelled`; what computes
    /// for it stops at its next step, and the session can run again.
    ///
    /// At `deadline` the run gives up in the same way: the error is then of kind
    /// `deadlineExceeded`.
    public func run(
        _ inputs: [String: Tensor],
        deadline: ContinuousClock.Instant? = nil
    ) async throws(SluiceError) -> [String: Tensor] {
        let control = RunControl(deadline)
        let pending = PendingRun(control)
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                pending.enter(continuation)
                pendingRuns.async {
                    pending.run { () throws(SluiceError) in try self.run(inputs, control) }
                }
            }
        } onCancel: {
            control.cancel()
            pending.giveUp()
        }.get()
    }
}

/// The asynchronous runs of the process: one at a time, since the pool runs one at a time.
private let pendingRuns = DispatchQueue(label: "sluice.runs")

/// A run that somebody waits for: its outcome is that of its body, or of what stopped its control
/// before.
private final class PendingRun: Sendable {
    typealias Outcome = Result<[String: Tensor], SluiceError>
    typealias Continuation = CheckedContinuation<Outcome, Never>

    private let control: RunControl
    private let state = Mutex(State())

    private struct State {
        var continuation: Continuation?
        var timer: (any DispatchSourceTimer)?
    }

    init(_ control: RunControl) { self.control = control }

    /// Begins to wait: `continuation` gets the outcome.
    func enter(_ continuation: Continuation) {
        state.withLock { $0.continuation = continuation }
        // The task may have been cancelled before.
        if control.interruption != nil { return giveUp() }
        guard control.deadline != .max else { return }
        state.withLock { state in
            guard state.continuation != nil else { return }
            let timer = DispatchSource.makeTimerSource()
            timer.schedule(deadline: DispatchTime(uptimeNanoseconds: control.deadline))
            timer.setEventHandler {
                self.control.check(self.control.deadline)
                self.giveUp()
            }
            timer.activate()
            state.timer = timer
        }
    }

    /// Runs `body`, unless nobody waits for it any more.
    func run(_ body: () throws(SluiceError) -> [String: Tensor]) {
        if control.interruption == nil { finish(Result(catching: body)) }
    }

    /// Ends the waiting after the control was stopped, whether or not the body runs.
    func giveUp() {
        finish(
            Result { () throws(SluiceError) in
                try control.requireCompletion()
                preconditionFailure("a run gives up when its control is stopped")
            }
        )
    }

    /// Gives the outcome to whoever waits; the first one counts.
    private func finish(_ outcome: Outcome) {
        let continuation = state.withLock { state in
            state.timer?.cancel()
            defer { state = State() }
            return state.continuation
        }
        continuation?.resume(returning: outcome)
    }
}

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
