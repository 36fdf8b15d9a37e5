import CSluiceKernels
import GraphIR

/// The kernels of one instruction set that this CPU can run.
package struct InstructionSet: @unchecked Sendable {
    /// The table of functions; a constant of the program.
    let table: UnsafePointer<sl_isa>

    /// The best set this CPU runs, or the one called `name`; nil when it is unknown or cannot run.
    package init?(named name: String? = nil) {
        guard let table = sl_isa_select(name ?? "") else { return nil }
        self.table = table
    }

    private init(table: UnsafePointer<sl_isa>) { self.table = table }

    package var name: String { String(cString: table.pointee.name) }
    package var lanes: Int { Int(table.pointee.lanes) }
    package var panelChannels: Int { Int(table.pointee.panel) }
    package var tilePixels: Int { Int(table.pointee.tile_pixels) }
    package var isTuned: Bool { table.pointee.is_tuned }

    /// Every set compiled into this build, best first, with whether this CPU runs it.
    package static var all: [(set: InstructionSet, isSupported: Bool)] {
        (0..<sl_isa_count()).map { index in
            let table = sl_isa_at(index)
            return (InstructionSet(table: table), sl_isa_is_supported(table))
        }
    }

    /// GFLOP/s of independent multiply-adds on the calling thread.
    package func measurePeak(milliseconds: Double) -> Double {
        sl_fma_peak(table, milliseconds)
    }

    /// Independent multiply-adds as `count` tasks of some fifty microseconds.
    package func multiplyAdds(count: Int) -> KernelCall {
        KernelCall(sl_fma_slice, UnsafeRawPointer(table), taskCount: count)
    }
}

/// The core of products and convolutions.
package enum GemmCore: String, Sendable, CaseIterable {
    case native
    case openblas
}

/// What the compiler may know of the kernels of one instruction set.
package struct NativeCatalog: KernelCatalog {
    package let set: InstructionSet
    package let gemm: GemmCore

    package init(set: InstructionSet, gemm: GemmCore) {
        self.set = set
        self.gemm = gemm
    }

    package var isaName: String { self.set.name }
    package var lanes: Int { self.set.lanes }
    package var panelChannels: Int { self.set.panelChannels }

    package func packedByteCount(
        order: PackOrder,
        outputChannels: Int,
        channels: Int,
        taps: Int
    ) -> Int {
        sl_packed_floats(
            set.table,
            UInt32(outputChannels),
            UInt32(channels),
            UInt32(taps)
        ) * 4
    }

    package func fastestAlgorithm(
        for kernel: ConvolutionKernel
    ) -> ConvolutionKernel.Algorithm {
        gemm == .native && isFasterByWinograd(kernel) ? .winograd : kernel.algorithm
    }

    /// A single pixel reads each weight once, and so does Winograd's algorithm where all tiles are one
    /// block: what is read once need not wait in a slot for another use.
    package func chunks(of node: FusedNode, threads: Int) -> WeightChunks? {
        guard gemm == .native, case .convolution(let kernel) = node.kernel else { return nil }
        switch kernel.algorithm {
        case .tile where isOnePixel(kernel):
            return WeightChunks(slot: 2 * lanes * lanes * 4 * threads, workspace: 0)
        case .winograd: return winogradChunks(kernel, threads: threads)
        default: return nil
        }
    }

    private func isOnePixel(_ kernel: ConvolutionKernel) -> Bool {
        kernel.images == 1
            && kernel.parts.allSatisfy { $0.outputHeight == 1 && $0.outputWidth == 1 }
    }

    /// So many lines for each vector of channels under each tap, in each tile or point of a tile of
    /// patches.
    ///
    /// With fewer tiles than threads, one thread would copy what others have time for.
    package func carriedByteCount(of node: FusedNode, part: Int, threads: Int) -> Int {
        guard gemm == .native, case .convolution(let kernel) = node.kernel,
            !(kernel.algorithm == .tile && isOnePixel(kernel)), kernel.depthwise == nil,
            kernel.projection == nil
        else { return 0 }
        let shape = kernel.parts[part]
        var pixels = kernel.images * shape.outputHeight * shape.outputWidth
        var steps = kernel.channels / lanes * shape.taps.count
        if let region = outputRegions(of: kernel, part: part)?.first {
            pixels = kernel.images * region.rows.count * region.columns.count
            steps = kernel.channels / lanes * region.taps.count
        }
        switch kernel.algorithm {
        case .tile: break
        case .winograd:
            let args = winogradArguments(kernel, part: shape)
            let points: Int
            (pixels, points) = withUnsafePointer(to: args) {
                (sl_winograd_tile_count($0), sl_winograd_point_count($0))
            }
            steps = kernel.channels / lanes * points
        case .planar, .depthwise, .grouped: return 0
        }
        let tiles = (pixels + set.tilePixels - 1) / set.tilePixels
        return tiles < threads ? 0 : tiles * steps * Int(set.table.pointee.carried_lines) * 64
    }

    package func workspace(of node: FusedNode, in graph: FusedGraph) -> WorkspaceNeed {
        switch node.kernel {
        case .convolution(let kernel): workspace(of: kernel)
        case .suppress(let kernel): WorkspaceNeed(kernel.boxes * 4)
        default: .none
        }
    }

    private func workspace(of kernel: ConvolutionKernel) -> WorkspaceNeed {
        if kernel.projection != nil {
            return kernel.depthwise == nil
                ? feedForwardWorkspace(kernel) : bottleneckWorkspace(kernel)
        }
        if kernel.depthwise != nil, kernel.algorithm == .tile {
            var args = expansionArguments(kernel)
            return WorkspaceNeed(sl_expansion_scratch_floats(set.table, &args) * 4)
        }
        return switch kernel.algorithm {
        case .planar: planarWorkspace(kernel)
        case .tile where gemm == .openblas: openBLASWorkspace(kernel)
        case .tile: gatherWorkspace(kernel)
        case .winograd: winogradWorkspace(kernel)
        case .depthwise, .grouped: .none
        }
    }

    /// The shape part of the arguments of a tile kernel that one worker computes.
    func tileArguments(_ kernel: ConvolutionKernel, part: ConvolutionPart) -> sl_conv_args {
        KernelLibrary.tileArguments(
            kernel,
            part: part,
            isa: set.table,
            workers: 1,
            unitChannels: part.outputChannels,
            gemm: gemm
        )
    }

    /// The tile kernel does without scratch, but is faster on a padded copy of what it reads next.
    ///
    /// An affine map of the input needs room for one tile.
    private func gatherWorkspace(_ kernel: ConvolutionKernel) -> WorkspaceNeed {
        let mostFloats = Int(set.table.pointee.pass_floats)
        return kernel.parts.reduce(into: WorkspaceNeed.none) { need, part in
            withTaps(part.taps) { dy, dx in
                var args = tileArguments(kernel, part: part)
                args.tap_dy = dy
                args.tap_dx = dx
                args.gather_tiles = kernel.inputAffine == nil ? 0 : 1
                need.least = max(need.least, sl_conv_gather_floats(set.table, &args) * 4)
                args.gather_tiles = max(
                    args.gather_tiles,
                    sl_conv_gather_tiles(set.table, &args, mostFloats)
                )
                need.best = max(need.best, sl_conv_gather_floats(set.table, &args) * 4)
            }
        }
    }

    /// Padded rows of the input; with a pool or a depthwise convolution, of a task's rows, or of a
    /// band of them at least.
    private func planarWorkspace(_ kernel: ConvolutionKernel) -> WorkspaceNeed {
        let byteCount = { (rows: UInt32) in
            withPlanarArguments(kernel) { args in
                args.rows_per_task = min(args.rows_per_task, rows)
                return sl_conv_nchw_scratch_floats(set.table, &args) * 4
            }
        }
        let hasBands = kernel.pool != nil || kernel.depthwise != nil
        let best = byteCount(.max)
        return WorkspaceNeed(least: hasBands ? byteCount(UInt32(SL_PLANAR_BAND)) : best, best: best)
    }

    /// Rows of a cell's input and its results.
    private func openBLASWorkspace(_ kernel: ConvolutionKernel) -> WorkspaceNeed {
        let floats = kernel.parts.reduce(0) { most, part in
            withTaps(part.taps) { dy, dx in
                var args = tileArguments(kernel, part: part)
                args.tap_dy = dy
                args.tap_dx = dx
                return max(most, sl_conv_openblas_scratch_floats(set.table, &args))
            }
        }
        return WorkspaceNeed(floats * 4)
    }

    package var skippedFusions: Set<String> { gemm == .native ? [] : ["depthwise", "projection"] }

    package func refusal(of node: FusedNode, in graph: FusedGraph) -> String? {
        for id in node.inputs + [node.output]
        where graph[id].type.shape.contains(where: { $0 > Int(Int32.max) }) {
            return "an axis of \(graph[id].type) is too long for the kernels"
        }
        let rank: Int =
            switch node.kernel {
            case .copy(let copy):
                copy.boxes.reduce(0) { most, box in
                    let nest = LoopNest(
                        dimensions: box.dimensions,
                        strides: [box.inputStrides, box.outputStrides]
                    )
                    return max(most, nest.rank)
                }
            case .binary, .select:
                graph[node.output].type.shape.count { $0 != 1 }
            default:
                0
            }
        return rank > Int(SL_MAX_RANK)
            ? "it walks \(rank) axes at once; the kernels walk \(SL_MAX_RANK)" : nil
    }

    package func warning(for node: FusedNode, in graph: FusedGraph) -> String? {
        if case .convolution(let kernel) = node.kernel, kernel.algorithm == .grouped,
            sl_grouped_is_slow(
                set.table,
                UInt32(kernel.channels),
                UInt32(kernel.outputChannels / kernel.group),
                UInt32(kernel.group)
            )
        {
            return "groups of \(kernel.channels) channels are slow: their outputs share vectors"
        }
        if node.kernel.isGeneric { return "it runs on a kernel that is not tuned" }
        if !set.isTuned { return "the portable kernels are not tuned for this CPU" }
        return nil
    }

    /// Rates of this instruction set, per thread.
    package var profile: CostProfile {
        let operations: Double =
            switch set.name {
            case "avx512": 160e9
            case "avx2": 85e9
            default: 12e9
            }
        return CostProfile(
            operationsPerSecond: operations,
            streamBytesPerSecond: 14e9,
            uploadBytesPerSecond: 11e9,
            phaseSeconds: 1.0e-6
        )
    }
}

extension PackOrder {
    var code: sl_pack_order {
        switch self {
        case .blocked: SL_PACK_BLOCKED
        case .planar: SL_PACK_PLANAR
        case .depthwise: SL_PACK_DEPTHWISE
        case .grouped: SL_PACK_GROUPED
        }
    }
}

/// Calls `body` with the taps as the two arrays the kernels read.
func withTaps<Result>(
    _ taps: [Tap],
    _ body: (UnsafePointer<Int32>?, UnsafePointer<Int32>?) -> Result
) -> Result {
    let dy = taps.map { Int32($0.dy) }
    let dx = taps.map { Int32($0.dx) }
    return dy.withUnsafeBufferPointer { dyBytes in
        dx.withUnsafeBufferPointer { dxBytes in
            body(dyBytes.baseAddress, dxBytes.baseAddress)
        }
    }
}
