import Foundation
import GraphCompiler
import GraphIR
import KernelLibrary
import TensorMemory

/// One node of a fused graph on memory of its own.
struct LayerBench {
    /// Where the weights of one run after the other come from.
    enum Weights {
        /// The same ones: they stay in the caches as far as they fit.
        case warm
        /// Copies that take so many bytes together, read where they are.
        case rotating(Int)
        /// So many bytes of host memory, as plans have it: through two slots of at most `block`
        /// bytes, each call carrying the next block along, or chunk by chunk where weights are read
        /// once.
        case streamed(Int, block: Int)
    }

    private let copies: [[KernelCall]]
    // What the calls point at.
    private let store = ArgumentStore()
    private let arena: Arena<DeviceSpace>
    private let host: Arena<HostSpace>

    /// Nil when the node is not a convolution, or cannot stream its weights.
    init?(
        _ node: FusedNode,
        in graph: FusedGraph,
        catalog: NativeCatalog,
        weights source: Weights
    ) throws {
        guard case .convolution(let kernel) = node.kernel else { return nil }
        let binder = KernelBinder(catalog: catalog, graph: graph, workers: 1, store: store)
        let line = { (bytes: Int) in (bytes + 63) / 64 * 64 }
        let chunks = catalog.chunks(of: node, threads: 1).flatMap {
            $0.workspace <= catalog.workspace(of: node, in: graph).best ? $0 : nil
        }
        var limit = Int.max
        if case .streamed(_, let block) = source, chunks == nil { limit = block }
        let blocks = layerBlocks(of: kernel, catalog: catalog, limit: limit)
        let total = blocks.reduce(0) { $0 + line($1.byteCount) }
        let slotBytes = blocks.reduce(0) { max($0, line($1.byteCount)) }
        let copyCount: Int, hostCount: Int, weightBytes: Int
        switch source {
        case .warm: (copyCount, hostCount, weightBytes) = (1, 0, total)
        case .rotating(let bytes):
            (copyCount, hostCount) = (max(2, bytes / max(total, 1)), 0)
            weightBytes = copyCount * total
        case .streamed(let bytes, _):
            // An even number of blocks, so that two slots alternate.
            hostCount = max(2, bytes / max(total, 1)) / 2 * 2
            (copyCount, weightBytes) = (hostCount, chunks?.slot ?? (2 * slotBytes))
        }
        let operands = (node.inputs + [node.output]).map {
            line(graph[$0].byteCount(lanes: catalog.lanes))
        }
        let workspace = line(catalog.workspace(of: node, in: graph).best)
        arena = try Arena(capacity: operands.reduce(0, +) + workspace + weightBytes)
        host = try Arena(capacity: hostCount * total)
        Self.fill(arena.region(0..<arena.capacity).pointer, arena.capacity)
        if hostCount > 0 { Self.fill(host.region(0..<host.capacity).pointer, host.capacity) }

        let arena = arena
        var end = 0
        func take(_ bytes: Int) -> Region<DeviceSpace> {
            defer { end += line(bytes) }
            return arena.region(end..<end + bytes)
        }
        var regions = operands.map { take($0) }
        // As plans have it where nothing else reads the residual.
        if kernel.hasResidual { regions[regions.count - 1] = regions[1] }
        let (inputRegions, output) = (Array(regions.dropLast()), regions[regions.count - 1])
        let workspaceRegion = workspace > 0 ? take(workspace) : nil
        let firstSlot = end
        let slot = { (number: Int, byteCount: Int) in
            let start = firstSlot + number % 2 * slotBytes
            return arena.region(start..<start + byteCount)
        }
        let host = host
        var start = 0
        var asker: KernelCall?
        copies = (0..<copyCount).map { (copy: Int) -> [KernelCall] in
            blocks.indices.flatMap { index in
                let block = blocks[index]
                var operands = KernelOperands(
                    inputs: inputRegions,
                    output: output,
                    workspace: workspaceRegion
                )
                if hostCount == 0 {
                    operands.weights = take(block.byteCount)
                } else if let chunks {
                    operands.chunkedWeights = host.region(start..<start + block.byteCount)
                    if chunks.slot > 0 {
                        operands.workspace = arena.region(firstSlot..<firstSlot + chunks.slot)
                    }
                    start += line(block.byteCount)
                } else {
                    operands.weights = slot(copy * blocks.count + index, block.byteCount)
                }
                let calls = binder.bind(
                    node,
                    .units(part: block.part, range: block.units),
                    operands
                )
                // As in plans, the call before asks for the first of what is read from far away.
                if copyCount > 1, let user = calls.first {
                    if let weights = operands.weights, hostCount == 0 {
                        asker?.askFor(weights, of: user, workers: 1)
                    } else if let weights = operands.chunkedWeights {
                        asker?.askFor(weights, of: user, workers: 1)
                    }
                }
                asker = calls.last
                return calls
            }
        }
        guard hostCount > 0, chunks == nil else { return }
        let calls = copies.flatMap { $0 }
        guard calls.count == copyCount * blocks.count else { return nil }
        for number in calls.indices {
            let byteCount = blocks[(number + 1) % blocks.count].byteCount
            let from = host.region(start..<start + byteCount)
            start = (start + line(byteCount)) % (host.capacity - slotBytes)
            guard calls[number].carry(from, to: slot(number + 1, byteCount)) else { return nil }
        }
    }

    var copyCount: Int { copies.count }

    /// Seconds of one run with copy `number` of the weights.
    func time(copy number: Int) -> Double {
        let start = DispatchTime.now().uptimeNanoseconds
        for call in copies[number % copies.count] {
            for task in 0..<call.taskCount { call.run(task: task, worker: 0) }
        }
        return Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
    }

    /// Small numbers of both signs: nothing overflows or becomes denormal.
    private static func fill(_ bytes: UnsafeMutableRawPointer, _ byteCount: Int) {
        let floats = bytes.assumingMemoryBound(to: Float.self)
        var state: UInt32 = 1
        for index in 0..<byteCount / 4 {
            state = state &* 1_664_525 &+ 1_013_904_223
            floats[index] = Float(Int32(bitPattern: state) >> 8) / Float(1 << 24)
        }
    }
}

/// Weights of a layer that one call reads.
private struct LayerBlock {
    var part: Int
    var units: Range<Int>
    var byteCount: Int
}

/// The weights in blocks of whole units, of at most `limit` bytes where a unit is not larger.
private func layerBlocks(
    of kernel: ConvolutionKernel,
    catalog: NativeCatalog,
    limit: Int
) -> [LayerBlock] {
    // With a projection all weights are one unit.
    let unit = kernel.projection == nil ? catalog.unitChannels(kernel.order) : nil
    return kernel.parts.indices.flatMap { part -> [LayerBlock] in
        let packed = kernel.packedWeights(of: part)
        let offset = { (units: Int) in
            packed.reduce(0) { sum, weights in
                let channels = weights.part.outputChannels
                return sum
                    + catalog.packedByteCount(
                        order: weights.order,
                        outputChannels: unit.map { min(units * $0, channels) } ?? channels,
                        channels: weights.channels,
                        taps: weights.part.taps.count
                    )
            }
        }
        let count = unit.map { (packed[0].part.outputChannels + $0 - 1) / $0 } ?? 1
        guard count > 1 else {
            return [LayerBlock(part: part, units: 0..<1, byteCount: offset(1))]
        }
        // Each block of Winograd's algorithm transforms its input again: plans give it more.
        let fewest = kernel.algorithm == .winograd ? 16 : 1
        let step = min(count, max(fewest, limit / offset(1)))
        return stride(from: 0, to: count, by: step).map { first in
            let end = min(first + step, count)
            return LayerBlock(
                part: part,
                units: first..<end,
                byteCount: offset(end) - offset(first)
            )
        }
    }
}
