/// What the compiler may ask about the kernels of one instruction set.
///
/// The compiler knows no kernel: sizes, workspaces and rates all come from here.
package protocol KernelCatalog: Sendable {
    /// "avx512", "avx2", "generic", ...
    var isaName: String { get }
    /// Floats of a vector; the channel block of blocked tensors.
    var lanes: Int { get }
    /// Output channels of a full panel.
    var panelChannels: Int { get }

    /// Bytes of `outputChannels` channels of packed weights (whole panels from a panel's start).
    func packedByteCount(
        order: PackOrder,
        outputChannels: Int,
        channels: Int,
        taps: Int
    ) -> Int

    /// Scratch each worker needs while it computes `node`.
    func workspace(of node: FusedNode, in graph: FusedGraph) -> WorkspaceNeed

    /// What the kernel of `node` needs to copy its weights chunk by chunk while `threads` threads
    /// multiply with them; nil when it wants them in blocks.
    func chunks(of node: FusedNode, threads: Int) -> WeightChunks?

    /// Bytes of an upload that the kernel of `node` copies between its multiplications, for each unit
    /// of the weights of a part that it multiplies on `threads` threads; 0 when it copies none.
    func carriedByteCount(of node: FusedNode, part: Int, threads: Int) -> Int

    /// The fastest algorithm for a convolution that was lowered to the tile kernel. It follows from
    /// the shape and the instruction set alone, never from a budget.
    func fastestAlgorithm(for kernel: ConvolutionKernel) -> ConvolutionKernel.Algorithm

    /// Names of fusion passes whose results have no kernels.
    var skippedFusions: Set<String> { get }

    /// Why no kernel can run `node`; nil when one can.
    func refusal(of node: FusedNode, in graph: FusedGraph) -> String?

    /// Why `node` runs on a kernel that is correct but not tuned; nil when it does not.
    func warning(for node: FusedNode, in graph: FusedGraph) -> String?
}

extension KernelCatalog {
    /// Bytes of all of some packed weights.
    package func packedByteCount(of packed: PackedWeights) -> Int {
        packedByteCount(
            order: packed.order,
            outputChannels: packed.part.outputChannels,
            channels: packed.channels,
            taps: packed.part.taps.count
        )
    }

    /// Output channels in one unit of packing: a panel, or a vector for channel-wise kernels.
    package func unitChannels(_ order: PackOrder) -> Int {
        switch order {
        case .blocked, .planar: panelChannels
        case .depthwise, .grouped: lanes
        }
    }
}

/// Bytes of scratch of one worker.
package struct WorkspaceNeed: Hashable, Sendable {
    /// The smallest scratch the kernel works with, in smaller pieces and slower.
    package var least: Int
    /// What it works best with.
    package var best: Int

    package init(least: Int, best: Int) {
        self.least = least
        self.best = best
    }

    /// Scratch of one size.
    package init(_ byteCount: Int) { self.init(least: byteCount, best: byteCount) }

    package static let none = WorkspaceNeed(0)
}

/// Scratch with which a kernel copies streamed weights itself, each of them once.
package struct WeightChunks: Hashable, Sendable {
    /// Bytes that chunks pass through beside the workspace; 0 when they go to the workspace.
    package var slot: Int
    /// The least workspace with which no weight is read twice.
    package var workspace: Int

    package init(slot: Int, workspace: Int) {
        self.slot = slot
        self.workspace = workspace
    }
}

/// Rates that turn work into seconds, per thread.
package struct CostProfile: Hashable, Sendable {
    /// Multiply-add rate of the tuned kernels, in operations per second.
    package var operationsPerSecond: Double
    /// Bytes per second of kernels that only move or map elements.
    package var streamBytesPerSecond: Double
    /// Bytes per second of an upload.
    package var uploadBytesPerSecond: Double
    /// Seconds to start and join one phase of work.
    package var phaseSeconds: Double

    package init(
        operationsPerSecond: Double,
        streamBytesPerSecond: Double,
        uploadBytesPerSecond: Double,
        phaseSeconds: Double
    ) {
        self.operationsPerSecond = operationsPerSecond
        self.streamBytesPerSecond = streamBytesPerSecond
        self.uploadBytesPerSecond = uploadBytesPerSecond
        self.phaseSeconds = phaseSeconds
    }
}
