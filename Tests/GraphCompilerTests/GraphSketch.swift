import GraphCompiler
import GraphIR

/// Kernels of a machine that does not exist, so that dumps are the same everywhere.
struct FixedCatalog: KernelCatalog {
    var isaName: String { "fixed" }
    var lanes: Int { 8 }
    var panelChannels: Int { 16 }

    /// Whole units of channels, each with its taps and one bias.
    func packedByteCount(
        order: PackOrder,
        outputChannels: Int,
        channels: Int,
        taps: Int
    ) -> Int {
        let unit = unitChannels(order)
        let padded = (outputChannels + unit - 1) / unit * unit
        return padded * (channels * taps + 1) * 4
    }

    func workspace(of node: FusedNode, in graph: FusedGraph) -> WorkspaceNeed {
        guard case .convolution(let kernel) = node.kernel else { return .none }
        switch kernel.algorithm {
        case .planar: return WorkspaceNeed(least: 200, best: 200)
        case .winograd: return WorkspaceNeed(least: 500, best: 4000)
        default: return .none
        }
    }

    func chunks(of node: FusedNode, threads: Int) -> WeightChunks? {
        guard case .convolution(let kernel) = node.kernel else { return nil }
        let isSmall = kernel.outputHeight * kernel.outputWidth <= 64
        if kernel.algorithm == .winograd, isSmall {
            return WeightChunks(slot: 0, workspace: 2000 * threads)
        }
        guard kernel.isMatrixProduct,
            kernel.images * kernel.outputHeight * kernel.outputWidth == 1
        else { return nil }
        return WeightChunks(slot: 64 * threads, workspace: 0)
    }

    func carriedByteCount(of node: FusedNode, part: Int, threads: Int) -> Int {
        guard case .convolution(let kernel) = node.kernel, kernel.algorithm == .tile,
            !kernel.isMatrixProduct
        else {
            return 0
        }
        return kernel.outputHeight * kernel.outputWidth * kernel.channels
    }

    func fastestAlgorithm(for kernel: ConvolutionKernel) -> ConvolutionKernel.Algorithm {
        let isWide = kernel.channels >= 32 && kernel.kernelHeight == 3 && kernel.strideHeight == 1
        return isWide ? .winograd : kernel.algorithm
    }

    var skippedFusions: Set<String> { [] }

    func refusal(of node: FusedNode, in graph: FusedGraph) -> String? { nil }

    func warning(for node: FusedNode, in graph: FusedGraph) -> String? { nil }

    static let profile = CostProfile(
        operationsPerSecond: 80e9,
        streamBytesPerSecond: 10e9,
        uploadBytesPerSecond: 10e9,
        phaseSeconds: 1e-6
    )
}

/// Builds small graphs in which every node is named like its result.
struct GraphSketch {
    var graph = Graph(name: "test")
    private var inputTypes: [TensorType] = []

    mutating func input(_ name: String, _ shape: [Int], _ dtype: DType = .float32) -> ValueID {
        let id = graph.addValue(name: name)
        graph.inputs.append(
            GraphInput(value: id, dtype: dtype, dimensions: shape.map { .fixed($0) })
        )
        inputTypes.append(TensorType(dtype, shape))
        return id
    }

    /// Whether weights of one shape are the same.
    var hasEqualWeights = false

    /// A constant whose elements do not matter.
    mutating func weights(_ name: String, _ shape: [Int]) -> ValueID {
        let type = TensorType(.float32, shape)
        let element = (hasEqualWeights ? 0 : Double(graph.values.count)) + 0.5
        return graph.addValue(name: name, constant: Constant(type: type, source: .fill(element)))
    }

    mutating func floats(_ name: String, _ shape: [Int], _ elements: [Float]) -> ValueID {
        graph.addValue(name: name, constant: Constant(DenseTensor(shape: shape, floats: elements)))
    }

    mutating func integers(_ name: String, _ elements: [Int64]) -> ValueID {
        let tensor = DenseTensor(shape: [elements.count], integers: elements)
        return graph.addValue(name: name, constant: Constant(tensor))
    }

    mutating func node(_ name: String, _ op: Operator, _ inputs: ValueID?...) -> ValueID {
        node(name, op, inputs)
    }

    mutating func node(_ name: String, _ op: Operator, _ inputs: [ValueID?]) -> ValueID {
        let output = graph.addValue(name: name)
        graph.nodes.append(Node(name: name, op: op, inputs: inputs, outputs: [output]))
        return output
    }

    /// A convolution whose output has the size of its input when the stride is 1.
    mutating func convolution(
        _ name: String,
        _ x: ValueID,
        from channels: Int,
        to outputs: Int,
        kernel: Int = 1,
        stride: Int = 1,
        group: Int = 1,
        pads: Bool = true
    ) -> ValueID {
        let pad = pads ? kernel / 2 : 0
        return node(
            name,
            .convolution(
                Convolution(
                    group: group,
                    kernel: [kernel, kernel],
                    strides: [stride, stride],
                    padding: .explicit([pad, pad, pad, pad])
                )
            ),
            x,
            weights(name + ".w", [outputs, channels / group, kernel, kernel])
        )
    }

    mutating func relu(_ name: String, _ x: ValueID) -> ValueID { node(name, .unary(.relu), x) }

    mutating func add(_ name: String, _ a: ValueID, _ b: ValueID) -> ValueID {
        node(name, .binary(.add), a, b)
    }

    mutating func output(_ ids: ValueID...) { graph.outputs += ids }

    func bound() throws -> Graph {
        let bound = try bindShapes(of: graph, inputTypes: inputTypes)
        return bound
    }

    func lowered() throws -> FusedGraph {
        try lower(try bound(), catalog: FixedCatalog())
    }

    func fused() throws -> FusedGraph {
        try fuse(try bound(), catalog: FixedCatalog(), fuses: true)
    }

    /// The fused graph before and after one pass; the passes in front of it have run.
    func around(_ pass: String) throws -> (before: FusedGraph, after: FusedGraph) {
        var graph = try lowered()
        for candidate in fusionPasses {
            let after = candidate.apply(graph)
            if candidate.name == pass { return (graph, after) }
            graph = after
        }
        throw UnknownPass(name: pass)
    }

    struct UnknownPass: Error { var name: String }
}

extension FusedGraph {
    /// The lines of the dump that show nodes.
    var nodeLines: [String] {
        dump().split(separator: "\n").map(String.init).filter { $0.first?.isNumber ?? false }
    }

    /// The only convolution of a graph.
    var onlyConvolution: ConvolutionKernel? {
        let kernels = nodes.compactMap { node -> ConvolutionKernel? in
            if case .convolution(let kernel) = node.kernel { return kernel }
            return nil
        }
        return kernels.count == 1 ? kernels[0] : nil
    }

    func value(_ name: String) -> ValueID? {
        values.firstIndex { $0.name == name }.map { ValueID($0) }
    }
}

/// SplitMix64, so that every run draws the same problems.
struct Random {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[below(elements.count)]
    }
}
