import Synchronization

/// What can end a run before its last step: whoever asked for it, or a point in time.
///
/// Kernels are never interrupted. Every worker looks here once a phase, which is one relaxed load;
/// once it is told to stop it takes no more tasks but walks on through the barriers, so that all
/// workers leave the run together.
package final class RunControl: Sendable {
    /// Why a run stopped.
    package enum Interruption: UInt8, Sendable {
        case cancelled = 1
        case deadline = 2
    }

    /// For runs that nothing ends early.
    static let unstoppable = RunControl()

    /// 0, or the raw value of the interruption that came first.
    private let reason = Atomic<UInt8>(0)
    /// When the run must stop, in nanoseconds of `now()`; `UInt64.max` is never.
    package let deadline: UInt64

    /// A control that stops a run at `deadline`, in nanoseconds of `now()`.
    package init(deadline: UInt64 = .max) { self.deadline = deadline }

    /// Asks the run to stop; has no effect once another reason stopped it.
    package func cancel() { stop(.cancelled) }

    /// Why the run stopped or must; nil while it may go on.
    package var interruption: Interruption? {
        Interruption(rawValue: reason.load(ordering: .relaxed))
    }

    /// Whether no further task may start.
    var isStopped: Bool { reason.load(ordering: .relaxed) != 0 }

    /// Stops the run when `time` has reached the deadline.
    package func check(_ time: UInt64) {
        if time >= deadline { stop(.deadline) }
    }

    private func stop(_ interruption: Interruption) {
        _ = reason.compareExchange(
            expected: 0,
            desired: interruption.rawValue,
            ordering: .relaxed
        )
    }
}
