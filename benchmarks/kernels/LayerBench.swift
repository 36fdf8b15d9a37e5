import Foundation
import GraphCompiler
import GraphIR
import KernelLibrary
import TensorMemory

/// One node of a fused graph on memory of its own, with one copy of its weights or several.
struct LayerBench {
    private let copies: [[KernelCall]]
    // What the calls point at.
    private let store = ArgumentStore()
    private let arena: Arena<DeviceSpace>

    /// Nil when the node is not a convolution.
    init?(
        _ node: FusedNode,
        in graph: FusedGraph,
        catalog: NativeCatalog,
        rotatingBytes: Int?
    ) throws {
        guard case .convolution(let kernel) = node.kernel else { return nil }
        let binder = KernelBinder(catalog: catalog, graph: graph, workers: 1, store: store)
        let line = { (bytes: Int) in (bytes + 63) / 64 * 64 }
        let inputs = node.inputs.map { line(graph[$0].byteCount(lanes: catalog.lanes)) }
        let output = line(graph[node.output].byteCount(lanes: catalog.lanes))
        let workspace = line(catalog.workspace(of: node, in: graph).best)
        let weights: [Int] = kernel.parts.map { part in
            line(
                catalog.packedByteCount(
                    order: kernel.order,
                    outputChannels: part.outputChannels,
                    channels: kernel.channels,
                    taps: part.taps.count
                )
            )
        }
        let weightByteCount = weights.reduce(0, +)
        let copyCount = rotatingBytes.map { max(2, $0 / max(weightByteCount, 1)) } ?? 1
        let fixed = inputs.reduce(0, +) + output + workspace
        let arena = try Arena<DeviceSpace>(capacity: fixed + copyCount * weightByteCount)
        Self.fill(arena.region(0..<arena.capacity))
        self.arena = arena

        var end = 0
        func take(_ bytes: Int) -> Region<DeviceSpace> {
            defer { end += bytes }
            return arena.region(end..<end + bytes)
        }
        let inputRegions = inputs.map { take($0) }
        let outputRegion = take(output)
        let workspaceRegion = workspace > 0 ? take(workspace) : nil
        let unit = catalog.unitChannels(kernel.order)
        copies = (0..<copyCount).map { (_: Int) -> [KernelCall] in
            kernel.parts.indices.flatMap { part in
                binder.bind(
                    node,
                    .units(
                        part: part,
                        range: 0..<(kernel.parts[part].outputChannels + unit - 1) / unit
                    ),
                    KernelOperands(
                        inputs: inputRegions,
                        output: outputRegion,
                        weights: take(weights[part]),
                        workspace: workspaceRegion
                    )
                )
            }
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
    private static func fill(_ region: Region<DeviceSpace>) {
        let floats = region.pointer.assumingMemoryBound(to: Float.self)
        var state: UInt32 = 1
        for index in 0..<region.byteCount / 4 {
            state = state &* 1_664_525 &+ 1_013_904_223
            floats[index] = Float(Int32(bitPattern: state) >> 8) / Float(1 << 24)
        }
    }
}
