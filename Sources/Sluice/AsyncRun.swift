import Dispatch
import Execution
import Synchronization

extension InferenceSession {
    /// Runs the model once on named inputs and returns its named outputs, without blocking a thread
    /// that other tasks need.
    ///
    /// Asynchronous runs of all sessions form one queue and start in the order in which they were
    /// asked for; a thread of their own waits and computes for them, together with the workers of
    /// the plan. Cancelling the task ends a run that waits at once, one that computes at its next
    /// step: the error is then of kind `cancelled`. The session can run again at once.
    ///
    /// At `deadline` the run gives up in the same way: the error is then of kind
    /// `deadlineExceeded`.
    public func run(
        _ inputs: [String: Tensor],
        deadline: ContinuousClock.Instant? = nil
    ) async throws(SluiceError) -> [String: Tensor] {
        let control = RunControl(deadline)
        let place = WaitingRun(control)
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                place.enter(continuation)
                waitingRuns.async {
                    place.start { () throws(SluiceError) in try self.run(inputs, control) }
                }
            }
        } onCancel: {
            control.cancel()
            place.leave()
        }.get()
    }
}

/// The asynchronous runs of the process: one at a time, since the pool runs one at a time.
private let waitingRuns = DispatchQueue(label: "sluice.runs")

/// A run's place in the queue, which it leaves when it starts or when its control stops it.
private final class WaitingRun: Sendable {
    typealias Outcome = Result<[String: Tensor], SluiceError>
    typealias Continuation = CheckedContinuation<Outcome, Never>

    private let control: RunControl
    private let place = Mutex(Place())

    private struct Place {
        var continuation: Continuation?
        var timer: (any DispatchSourceTimer)?
    }

    init(_ control: RunControl) { self.control = control }

    /// Takes a place for a run whose outcome `continuation` waits for.
    func enter(_ continuation: Continuation) {
        place.withLock { $0.continuation = continuation }
        // The task may have been cancelled before.
        if control.interruption != nil { return leave() }
        guard control.deadline != .max else { return }
        place.withLock { place in
            guard place.continuation != nil else { return }
            let timer = DispatchSource.makeTimerSource()
            timer.schedule(deadline: DispatchTime(uptimeNanoseconds: control.deadline))
            timer.setEventHandler {
                self.control.check(self.control.deadline)
                self.leave()
            }
            timer.activate()
            place.timer = timer
        }
    }

    /// Runs `body` when its turn has come, unless it left before.
    func start(_ body: () throws(SluiceError) -> [String: Tensor]) {
        guard let continuation = takeContinuation() else { return }
        continuation.resume(returning: Result(catching: body))
    }

    /// Gives up the place, after the control was stopped; does nothing once the run has started.
    func leave() {
        guard let continuation = takeContinuation() else { return }
        continuation.resume(
            returning: Result { () throws(SluiceError) in
                try control.requireCompletion()
                preconditionFailure("a run leaves the queue when its control is stopped")
            }
        )
    }

    private func takeContinuation() -> Continuation? {
        place.withLock { place in
            place.timer?.cancel()
            defer { place = Place() }
            return place.continuation
        }
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
