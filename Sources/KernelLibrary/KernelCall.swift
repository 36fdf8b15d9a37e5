import CSluiceKernels
import TensorMemory

/// A kernel with all its arguments: independent tasks that any threads may run.
package struct KernelCall: @unchecked Sendable {
    package typealias Function =
        @convention(c) (
            UnsafeRawPointer, Int, UnsafeMutablePointer<Float>?
        ) -> Void

    private let function: Function
    private let arguments: UnsafeRawPointer
    package let taskCount: Int
    private let scratch: WorkerScratch?
    /// Where the kernel looks for an upload that it carries; nil when it carries none.
    private let carried: UnsafeMutablePointer<sl_carried_upload>?
    /// Where the kernel looks for what is read after it; nil when it does not ask for that.
    private let next: UnsafeMutablePointer<sl_next_reads>?
    /// Floats from the weights that a worker reads first to those of the next worker; 0 when all begin
    /// with the same.
    private let weightStep: Int
    /// Where the kernel looks for the image that it copies row by row; nil when it copies none.
    private let image: UnsafeMutablePointer<UnsafePointer<Float>?>?

    init(
        _ function: @escaping Function,
        _ arguments: UnsafeRawPointer,
        taskCount: Int,
        scratch: WorkerScratch? = nil,
        carried: UnsafeMutablePointer<sl_carried_upload>? = nil,
        next: UnsafeMutablePointer<sl_next_reads>? = nil,
        weightStep: Int = 0,
        image: UnsafeMutablePointer<UnsafePointer<Float>?>? = nil
    ) {
        self.function = function
        self.arguments = arguments
        self.taskCount = taskCount
        self.scratch = scratch
        self.carried = carried
        self.next = next
        self.weightStep = weightStep
        self.image = image
    }

    /// Has the call ask for the start of `weights`, which `user` reads after it and which come from far
    /// away: each of `workers` for what it reads itself.
    ///
    /// Nothing happens when the kernel cannot.
    package func askFor<Space>(_ weights: Region<Space>, of user: KernelCall, workers: Int) {
        // A part of the second cache: the first panels.
        let most = 128 << 10
        let floats = user.weightStep == 0 ? weights.byteCount / 4 : user.weightStep
        next?.pointee = sl_next_reads(
            from: UnsafePointer(weights.pointer.assumingMemoryBound(to: Float.self)),
            floats: min(floats, most / 4),
            worker_step: user.weightStep,
            workers: workers
        )
    }

    /// Lets the call copy `source` to `target` between its multiplications.
    ///
    /// False, and nothing happens, when the kernel cannot or carries another upload already.
    package func carry(_ source: Region<HostSpace>, to target: Region<DeviceSpace>) -> Bool {
        guard let carried, carried.pointee.floats == 0,
            source.byteCount == target.byteCount, source.byteCount.isMultiple(of: 4)
        else { return false }
        carried.pointee = sl_carried_upload(
            source: UnsafePointer(source.pointer.assumingMemoryBound(to: Float.self)),
            target: target.pointer.assumingMemoryBound(to: Float.self),
            floats: source.byteCount / 4
        )
        return true
    }

    /// Whether the call copies its input itself, from anywhere.
    package var copiesInput: Bool { image != nil }

    /// Has the call copy its input from memory of the caller, which must stay until the run is over.
    package func carryInput(_ input: UnsafeRawBufferPointer) {
        guard let image else { preconditionFailure("a kernel carries an image") }
        // An image of no bytes may be nowhere: no task reads it.
        image.pointee = input.baseAddress?.assumingMemoryBound(to: Float.self)
    }

    @inline(__always)
    package func run(task: Int, worker: Int) {
        function(arguments, task, scratch.map { $0.base + worker * $0.stride })
    }
}

/// A workspace cut for the workers of a call: the share of worker w starts w * stride floats in.
struct WorkerScratch {
    let base: UnsafeMutablePointer<Float>
    let stride: Int

    /// Nil when there is none and none is needed; traps when a worker needs more `floats` than its
    /// share.
    init?(_ workspace: Region<DeviceSpace>?, workers: Int, floats: Int) {
        // Whole cache lines.
        stride = (workspace?.byteCount ?? 0) / 64 / workers * 16
        precondition(floats <= stride, "a workspace is smaller than the kernel needs")
        guard let workspace else { return nil }
        base = workspace.pointer.assumingMemoryBound(to: Float.self)
    }
}
