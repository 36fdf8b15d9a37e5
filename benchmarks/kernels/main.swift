import ArgumentParser
import Execution
import Foundation
import GraphCompiler
import GraphIR
import KernelLibrary
import Probe
import Sluice
import TensorMemory

/// Times every convolution and matrix product of some networks by itself.
struct KernelBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "KernelBenchmark",
        abstract: "Times each distinct layer of networks on one thread, warm and cold.",
        discussion: """
            For each layer: how often a network has it, milliseconds with the weights in cache, \
            GFLOP/s and per cent of the multiply-add peak (operations of the definition, so \
            Winograd's algorithm can pass 100); milliseconds with weights that rotate over more \
            memory than any cache holds; the roofline, that is the larger of operations over peak \
            and bytes of weights over the bandwidth of reading, as a share of the cold time; and \
            milliseconds of the same layer with OpenBLAS under the same driver. The peak is \
            measured between the runs. Rounds in which a neighbour took issue slots of the core \
            (fewer no-operations a cycle than in the best round) are dropped and counted. \
            Streamed is the time over the warm one when weights come from memory block by block, \
            each copied to a slot while the one before it is multiplied; for layers that read each \
            weight once, the time over the cold one when they are copied chunk by chunk. \
            Layers marked <px read, and those marked >px write row-major pixels and no image.
            """
    )

    @Argument(help: "ONNX model files.")
    var models: [String]

    @Option(
        name: .customLong("shape"),
        help: "Shape of an input: NAME=1x3x224x224 (default: one image where the batch is open)."
    )
    var shapes: [String] = []

    @Option(help: "Instruction set (default: the best).")
    var isa: String?

    @Option(help: "Only layers whose description contains this text.")
    var only: String?

    @Option(help: "Rounds of each layer.")
    var rounds = 25

    @Option(help: "MiB that cold weights rotate over.")
    var rotate = 512

    @Option(help: "KiB of weights in a block, when they are streamed.")
    var block = 384

    @Flag(help: "Computes every convolution by the sums of its definition.")
    var exact = false

    func run() throws {
        var options = RunOptions()
        options.instructionSet = isa
        options.threads = 1
        for text in shapes {
            let parts = text.split(separator: "=")
            let sizes = parts.last?.split(separator: "x").compactMap { Int($0) } ?? []
            guard parts.count == 2, !sizes.isEmpty else {
                throw ValidationError("--shape \(text): write NAME=1x3x224x224")
            }
            options.shapes[String(parts[0])] = sizes
        }
        let native = try options.catalog()
        options.gemmCore = "openblas"
        let openBLAS = try? options.catalog()
        let bandwidth = readBandwidth()
        print("isa \(native.isaName), reads \(fixed(bandwidth * 1e-9, 1)) GB/s, one thread")
        for path in models {
            let model = try Model(path: path)
            let bound = try model.boundGraph(shapes: shapes(of: model, given: options.shapes)).graph
            print("\n\(URL(fileURLWithPath: path).lastPathComponent)")
            print(Row.header)
            try report(bound, native: native, openBLAS: openBLAS, bandwidth: bandwidth)
        }
    }

    private func report(
        _ bound: Graph,
        native: NativeCatalog,
        openBLAS: NativeCatalog?,
        bandwidth: Double
    ) throws {
        let graph = try fuse(bound, catalog: native, fuses: true, isExact: exact)
        let other = try openBLAS.map { try fuse(bound, catalog: $0, fuses: true) }
        var counts: [String: Int] = [:]
        var order: [(key: String, index: Int)] = []
        for (index, node) in graph.nodes.enumerated() {
            guard let key = describe(node, in: graph) else { continue }
            if counts[key] == nil { order.append((key, index)) }
            counts[key, default: 0] += 1
        }
        var total = (warm: 0.0, cold: 0.0)
        for (key, index) in order where only.map({ key.contains($0) }) ?? true {
            let node = graph.nodes[index]
            guard case .convolution(let kernel) = node.kernel else { continue }
            let usesGemm = [.tile, .winograd].contains(kernel.algorithm)
            guard
                let warm = try LayerBench(node, in: graph, catalog: native, weights: .warm),
                let cold = try LayerBench(
                    node,
                    in: graph,
                    catalog: native,
                    weights: .rotating(rotate << 20)
                )
            else { continue }
            let streamed = try LayerBench(
                node,
                in: graph,
                catalog: native,
                weights: .streamed(rotate << 20, block: block << 10)
            )
            var reference: LayerBench?
            if usesGemm, let openBLAS, let other, other.nodes.count == graph.nodes.count {
                reference = try LayerBench(
                    other.nodes[index],
                    in: other,
                    catalog: openBLAS,
                    weights: .warm
                )
            }
            let sample = Sample(rounds: rounds, warm, cold, streamed, reference, peak: native.set)
            let bytes = weightBytes(kernel)
            let row = Row(
                count: counts[key] ?? 1,
                layer: key,
                sample: sample,
                readsWeightsOnce: native.chunks(of: node, threads: 1)?.workspace == 0,
                operations: kernel.floatingPointOperations,
                roof: max(
                    kernel.floatingPointOperations / (sample.peak * 1e9),
                    bytes / bandwidth
                )
            )
            print(row.text)
            total.warm += Double(row.count) * sample.warm
            total.cold += Double(row.count) * sample.cold
        }
        print("total \(fixed(total.warm * 1e3, 2)) ms warm, \(fixed(total.cold * 1e3, 2)) ms cold")
    }

    /// What was given, and one image where only the batch of an input is open.
    private func shapes(of model: Model, given: [String: [Int]]) -> [String: [Int]] {
        var shapes = given
        for input in model.inputs where shapes[input.name] == nil {
            guard let dimensions = input.dimensions, let first = dimensions.first else { continue }
            let sizes = dimensions.dropFirst().compactMap { Int($0) }
            guard Int(first) == nil, sizes.count == dimensions.count - 1 else { continue }
            shapes[input.name] = [1] + sizes
        }
        return shapes
    }

    /// What makes two layers the same; nil for nodes that are not measured.
    private func describe(_ node: FusedNode, in graph: FusedGraph) -> String? {
        guard case .convolution(let kernel) = node.kernel else { return nil }
        let residual = kernel.hasResidual ? "+r" : ""
        if kernel.isMatrixProduct {
            return "matrix\(residual) \(kernel.outputWidth)x\(kernel.channels)x"
                + "\(kernel.outputChannels)"
        }
        let group = kernel.group > 1 ? " g\(kernel.group)" : ""
        let depthwise = kernel.depthwise.map { "+dw\($0.strideHeight)" } ?? ""
        let after = depthwise + (kernel.projection.map { "+\($0.part.outputChannels)" } ?? "")
        return "\(kernel.algorithm)\(residual)\(after) \(kernel.kernelHeight)x\(kernel.kernelWidth)"
            + " s\(kernel.strideHeight) \(kernel.channels * kernel.group)->"
            + "\(kernel.outputChannels)\(group) @\(kernel.inputHeight)x\(kernel.inputWidth)"
            + (kernel.readsPixels ? " <px" : "") + (kernel.writesPixels ? " >px" : "")
    }

    /// Bytes of weights, which come from memory in a cold run.
    private func weightBytes(_ kernel: ConvolutionKernel) -> Double {
        let packed = kernel.parts.indices.flatMap { kernel.packedWeights(of: $0) }
        return packed.reduce(0.0) { $0 + 4 * Double($1.part.outputChannels + $1.count) }
    }

    /// Bytes per second of reading memory that no cache holds.
    private func readBandwidth() -> Double {
        let count = 64 << 20
        let words = [UInt64](repeating: 1, count: count)
        var best = Double.infinity
        for _ in 0..<3 {
            let start = DispatchTime.now().uptimeNanoseconds
            let sum = words.withUnsafeBufferPointer { words in
                var sums = SIMD16<UInt64>()
                words.withMemoryRebound(to: SIMD16<UInt64>.self) {
                    for word in $0 { sums &+= word }
                }
                return sums.wrappedSum()
            }
            precondition(sum == UInt64(count))
            let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
            best = min(best, seconds)
        }
        return Double(count * 8) / best
    }
}

/// The best times of a layer in rounds that had the core to themselves.
struct Sample {
    var warm = Double.infinity
    var cold = Double.infinity
    var streamed: Double?
    var reference: Double?
    /// GFLOP/s.
    var peak = 0.0
    var dropped = 0

    init(
        rounds: Int,
        _ warm: LayerBench,
        _ cold: LayerBench,
        _ streamed: LayerBench?,
        _ reference: LayerBench?,
        peak set: InstructionSet
    ) {
        struct Round {
            var nops: Double
            var peak: Double
            var warm: Double
            var cold: Double
            var streamed: Double?
            var reference: Double?
        }
        // The second of two runs: activations are in the caches as the weights leave them.
        let time = { (bench: LayerBench, number: Int) in
            _ = bench.time(copy: 2 * number)
            return bench.time(copy: 2 * number + 1)
        }
        let results = (0..<rounds).map { number in
            let before = probe_nops_per_cycle()
            let round = Round(
                nops: 0,
                peak: set.measurePeak(milliseconds: 0.3),
                warm: time(warm, number),
                cold: time(cold, number),
                streamed: streamed.map { time($0, number) },
                reference: reference.map { time($0, number) }
            )
            return Round(
                nops: min(before, probe_nops_per_cycle()),
                peak: round.peak,
                warm: round.warm,
                cold: round.cold,
                streamed: round.streamed,
                reference: round.reference
            )
        }
        let quiet = (results.map(\.nops).max() ?? 0) * 0.9
        let kept = results.filter { $0.nops >= quiet }
        dropped = rounds - kept.count
        for round in kept {
            self.peak = max(self.peak, round.peak)
            self.warm = min(self.warm, round.warm)
            self.cold = min(self.cold, round.cold)
            self.streamed = round.streamed.map { min($0, self.streamed ?? $0) }
            self.reference = round.reference.map { min($0, self.reference ?? $0) }
        }
    }
}

/// A line of the table.
struct Row {
    var count: Int
    var layer: String
    var sample: Sample
    var readsWeightsOnce: Bool
    var operations: Double
    var roof: Double

    static let header =
        "  n layer                                        warm ms GFLOP/s  % peak  cold ms"
        + "  % peak  % roof streamed  OpenBLAS  times  dropped"

    var text: String {
        let rate = { (seconds: Double) in operations / seconds * 1e-9 }
        let inPlace = readsWeightsOnce ? sample.cold : sample.warm
        let columns = [
            padded("\(count)", 3),
            " " + layer.padding(toLength: max(42, layer.count), withPad: " ", startingAt: 0),
            padded(fixed(sample.warm * 1e3, 3), 9),
            padded(fixed(rate(sample.warm), 1), 8),
            padded(fixed(100 * rate(sample.warm) / sample.peak, 1), 8),
            padded(fixed(sample.cold * 1e3, 3), 9),
            padded(fixed(100 * rate(sample.cold) / sample.peak, 1), 8),
            padded(fixed(100 * roof / sample.cold, 1), 8),
            padded(sample.streamed.map { fixed($0 / inPlace, 2) } ?? "-", 9),
            padded(sample.reference.map { fixed($0 * 1e3, 3) } ?? "-", 10),
            padded(sample.reference.map { fixed($0 / sample.warm, 2) } ?? "-", 7),
            padded("\(sample.dropped)", 9),
        ]
        return columns.joined()
    }
}

func fixed(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
}

func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

KernelBenchmark.main()
