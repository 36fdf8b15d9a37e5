import CSluiceKernels

/// A kernel with all its arguments: independent tasks that any threads may run.
package struct KernelCall: @unchecked Sendable {
    package typealias Function =
        @convention(c) (
            UnsafeRawPointer, Int, UnsafeMutablePointer<Float>?
        ) -> Void

    private let function: Function
    private let arguments: UnsafeRawPointer
    package let taskCount: Int
    /// Scratch of worker w starts w * scratchStride floats after scratch.
    private let scratch: UnsafeMutablePointer<Float>?
    private let scratchStride: Int

    init(
        _ function: @escaping Function,
        _ arguments: UnsafeRawPointer,
        taskCount: Int,
        scratch: UnsafeMutablePointer<Float>? = nil,
        scratchStride: Int = 0
    ) {
        self.function = function
        self.arguments = arguments
        self.taskCount = taskCount
        self.scratch = scratch
        self.scratchStride = scratchStride
    }

    @inline(__always)
    package func run(task: Int, worker: Int) {
        function(arguments, task, scratch.map { $0 + worker * scratchStride })
    }
}
