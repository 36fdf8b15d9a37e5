import Execution
import GraphCompiler
import GraphIR
import KernelLibrary
import Logging

/// A model ready to run inside its memory budget.
///
/// Planned and packed once; runs share its arenas and take turns. So do sessions of one `Model`
/// with equal options: the second takes no further memory and opens at once.
public final class InferenceSession: Sendable {
    package let shared: SharedSession

    /// The plan the session runs.
    public var plan: Plan { shared.plan }
    package var session: Session { shared.session }

    /// Plans `model` for `options` and opens it: maps the arenas and packs the weights.
    ///
    /// - Throws: `SluiceError`, before anything runs, when the budget or an operator makes the run
    ///   impossible.
    public convenience init(
        model: Model,
        options: RunOptions = RunOptions()
    ) throws(SluiceError) {
        try self.init(plan: Plan(model: model, options: options))
    }

    /// Opens a plan.
    ///
    /// - Throws: `SluiceError`, also when machine, container or process limit cannot give the
    ///   memory the plan takes.
    public init(plan: Plan) throws(SluiceError) {
        shared = try plan.model.openSessions.session(for: plan)
    }

    /// Runs the model once on named inputs and returns its named outputs, on the calling thread.
    ///
    /// Safe to call from any thread: runs of one session wait for each other, and so do those of
    /// different sessions, since one pool of threads computes for the whole process. From a task,
    /// prefer the asynchronous `run`, which does not block a thread that other tasks need.
    ///
    /// At `deadline` it gives up: a run that waits does not start, one that computes ends at its
    /// next step. The session can run again.
    public func run(
        _ inputs: [String: Tensor],
        deadline: ContinuousClock.Instant? = nil
    ) throws(SluiceError) -> [String: Tensor] {
        try run(inputs, RunControl(deadline))
    }

    func run(
        _ inputs: [String: Tensor],
        _ control: RunControl
    ) throws(SluiceError) -> [String: Tensor] {
        let ordered = try plan.ordered(inputs)
        var outputs = plan.emptyOutputs()
        try run(ordered, into: &outputs, control)
        return Dictionary(
            uniqueKeysWithValues: zip(plan.outputNames, try plan.delivered(outputs))
        )
    }

    /// Runs on inputs in the model's order into tensors made by `Plan.emptyOutputs`.
    package func run(
        _ inputs: [Tensor],
        into outputs: inout [Tensor],
        _ control: RunControl? = nil
    ) throws(SluiceError) {
        withBytes(of: inputs) { sources in
            withMutableBytes(of: &outputs) { targets in
                takeTurn(sources, targets, control)
            }
        }
        try control?.requireCompletion()
    }

    /// Runs from and to memory of the caller, in the model's order, each of its planned size.
    package func run(
        reading sources: [UnsafeRawBufferPointer],
        writing targets: [UnsafeMutableRawBufferPointer],
        deadline: ContinuousClock.Instant?
    ) throws(SluiceError) {
        let control = RunControl(deadline)
        takeTurn(sources, targets, control)
        try control.requireCompletion()
    }

    private func takeTurn(
        _ sources: [UnsafeRawBufferPointer],
        _ targets: [UnsafeMutableRawBufferPointer],
        _ control: RunControl?
    ) {
        let turn: Void? = shared.turn.withLock(before: control?.deadline ?? .max) {
            control?.check(now())
            session.run(inputs: sources, outputs: targets, control: control)
        }
        if turn == nil { control?.check(now()) }
    }

    /// Highest device byte used + 1, as the arena itself saw it.
    public var devicePeakBytes: Int { session.devicePeakBytes }

    /// Host bytes for weights: those streamed, and the most that opening took beside them.
    public var hostPeakBytes: Int { session.hostPeakBytes }
}

/// What plans and sessions say to whoever set up logging.
let log = Logger(label: "sluice")

/// Calls `body` with the bytes of all tensors at once.
private func withBytes(
    of tensors: [Tensor],
    _ body: ([UnsafeRawBufferPointer]) -> Void
) {
    var found: [UnsafeRawBufferPointer] = []
    func nest(_ index: Int) {
        guard index < tensors.count else {
            body(found)
            return
        }
        tensors[index].bytes.withUnsafeBytes {
            found.append($0)
            nest(index + 1)
        }
    }
    nest(0)
}

private func withMutableBytes(
    of tensors: inout [Tensor],
    _ body: ([UnsafeMutableRawBufferPointer]) -> Void
) {
    var found: [UnsafeMutableRawBufferPointer] = []
    func nest(_ index: Int) {
        guard index < tensors.count else {
            body(found)
            return
        }
        // Take the bytes out so that they are uniquely held while they are written.
        var bytes: [UInt8] = []
        swap(&bytes, &tensors[index].bytes)
        bytes.withUnsafeMutableBytes {
            found.append($0)
            nest(index + 1)
        }
        swap(&bytes, &tensors[index].bytes)
    }
    nest(0)
}
