import Execution
import Glibc
import GraphCompiler
import GraphIR
import KernelLibrary
import Sluice
import Testing

/// A small network with seeded weights, inputs for it, and what the reference makes of them.
struct TestNetwork: Sendable, CustomTestStringConvertible {
    var name: String
    var graph: Graph
    var inputs: [DenseTensor]
    var testDescription: String { name }

    func program(
        set: InstructionSet,
        budget: DeviceBudget,
        threads: Int = 1,
        fuses: Bool = true
    ) throws -> Program {
        let catalog = NativeCatalog(set: set, gemm: .native)
        return try compile(
            graph,
            catalog: catalog,
            profile: catalog.profile,
            options: CompileOptions(budget: budget, threads: threads, fuses: fuses)
        )
    }

    func open(_ program: Program, set: InstructionSet) throws -> Session {
        try Session(program: program, catalog: NativeCatalog(set: set, gemm: .native), files: [])
    }

    /// The outputs by the plain reference, node after node.
    func reference() throws -> [[Float]] {
        var values: [ValueID: DenseTensor] = [:]
        for (input, tensor) in zip(graph.inputs, inputs) { values[input.value] = tensor }
        func value(_ id: ValueID) throws -> DenseTensor {
            if let known = values[id] { return known }
            return try evaluate(try #require(graph[id].constant))
        }
        for node in graph.nodes {
            let results = try evaluateReference(
                node.op,
                inputs: try node.inputs.map { try $0.map(value) },
                outputCount: node.outputs.count
            )
            for case (let id?, let result) in zip(node.outputs, results) { values[id] = result }
        }
        return try graph.outputs.map { try value($0).floats }
    }

    private func evaluate(_ constant: Constant) throws -> DenseTensor {
        if let literal = constant.smallLiteral { return literal }
        guard case .computed(let op, let operands) = constant.source else {
            throw Unreadable()
        }
        var result = try evaluateReference(
            op,
            inputs: try operands.map { try $0.map(evaluate) },
            outputCount: 1
        )[0]
        // A recipe's result is read as its constant's type.
        result.type.shape = constant.type.shape
        return result
    }

    struct Unreadable: Error {}
}

extension Session {
    /// One run; the bytes of every output.
    func outputs(of inputs: [DenseTensor]) -> [[UInt8]] {
        let graph = program.graph
        let sources = inputs.map(\.littleEndianBytes)
        var targets = graph.outputs.map {
            [UInt8](repeating: 0xFF, count: graph[$0].type.byteCount)
        }
        withBuffers(sources, &targets) { run(inputs: $0, outputs: $1) }
        return targets
    }
}

/// Calls `body` with the memory of all arrays.
func withBuffers(
    _ sources: [[UInt8]],
    _ targets: inout [[UInt8]],
    _ body: ([UnsafeRawBufferPointer], [UnsafeMutableRawBufferPointer]) -> Void
) {
    let inputs = sources.map { bytes in
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
        copy.copyBytes(from: bytes)
        return copy
    }
    let outputs = targets.map {
        UnsafeMutableRawBufferPointer.allocate(byteCount: $0.count, alignment: 64)
    }
    defer { (inputs + outputs).forEach { $0.deallocate() } }
    for (output, bytes) in zip(outputs, targets) { output.copyBytes(from: bytes) }
    body(inputs.map { UnsafeRawBufferPointer($0) }, outputs)
    targets = outputs.map { Array($0) }
}

func floats(_ bytes: [UInt8]) -> [Float] {
    bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
}

/// Builds graphs with seeded weights.
struct NetworkBuilder {
    var graph = Graph(name: "test")
    var inputs: [DenseTensor] = []
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    private mutating func elements(_ shape: [Int], in range: ClosedRange<Float>) -> [Float] {
        let span = range.upperBound - range.lowerBound
        return (0..<shape.reduce(1, *)).map { _ in
            range.lowerBound + span * Float(random.next() >> 40) * 0x1p-24
        }
    }

    mutating func input(_ name: String, _ shape: [Int]) -> ValueID {
        let id = graph.addValue(name: name)
        graph.inputs.append(
            GraphInput(value: id, dtype: .float32, dimensions: shape.map { .fixed($0) })
        )
        inputs.append(DenseTensor(shape: shape, floats: elements(shape, in: -1...1)))
        return id
    }

    mutating func weights(
        _ name: String,
        _ shape: [Int],
        in range: ClosedRange<Float>? = nil
    ) -> ValueID {
        let limit = 1.7 / Float(max(1, shape.dropFirst().reduce(1, *))).squareRoot()
        let values = elements(shape, in: range ?? -limit...limit)
        return graph.addValue(
            name: name,
            constant: Constant(DenseTensor(shape: shape, floats: values))
        )
    }

    mutating func integers(_ name: String, _ elements: [Int64]) -> ValueID {
        let tensor = DenseTensor(shape: [elements.count], integers: elements)
        return graph.addValue(name: name, constant: Constant(tensor))
    }

    mutating func node(_ name: String, _ op: Operator, _ inputs: [ValueID?]) -> ValueID {
        let output = graph.addValue(name: name)
        graph.nodes.append(Node(name: name, op: op, inputs: inputs, outputs: [output]))
        return output
    }

    mutating func convolution(
        _ name: String,
        _ x: ValueID,
        _ shape: [Int],
        stride: Int = 1,
        dilation: Int = 1,
        group: Int = 1
    ) -> ValueID {
        let pads = shape[2...].map { $0 / 2 * dilation }
        return node(
            name,
            .convolution(
                Convolution(
                    group: group,
                    kernel: Array(shape[2...]),
                    strides: [stride, stride],
                    dilations: [dilation, dilation],
                    padding: .explicit(pads + pads)
                )
            ),
            [x, weights(name + ".w", shape), weights(name + ".b", [shape[0]], in: -0.2...0.2)]
        )
    }

    mutating func relu(_ name: String, _ x: ValueID) -> ValueID {
        node(name, .unary(.relu), [x])
    }

    func finish(_ name: String) throws -> TestNetwork {
        let bound = try bindShapes(of: graph, inputTypes: inputs.map(\.type))
        return TestNetwork(name: name, graph: bound, inputs: inputs)
    }
}

/// First layer, residual, normalisation, pool, concat, depthwise and a classifier.
func classifier() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 1)
    let x = net.input("x", [1, 3, 19, 17])
    let stem = net.relu("stem.relu", net.convolution("stem", x, [24, 3, 3, 3], stride: 2))
    let wide = net.convolution("wide", stem, [24, 24, 3, 3])
    let normalised = net.node(
        "bn",
        .batchNormalization(epsilon: 1e-5),
        [
            wide, net.weights("gamma", [24], in: 0.5...1.5), net.weights("beta", [24], in: -1...1),
            net.weights("mean", [24], in: -1...1), net.weights("variance", [24], in: 0.5...1.5),
        ]
    )
    let sum = net.relu("sum.relu", net.node("sum", .binary(.add), [normalised, stem]))
    let pooled = net.node(
        "pool",
        .pool(Pool(kind: .maximum, kernel: [2, 2], strides: [2, 2], ceilMode: true)),
        [sum]
    )
    let left = net.convolution("left", pooled, [16, 24, 1, 1])
    let right = net.convolution("right", pooled, [48, 24, 3, 3])
    let joined = net.node("joined", .concat(axis: 1), [left, right])
    let deep = net.relu("deep.relu", net.convolution("deep", joined, [64, 1, 3, 3], group: 64))
    let mean = net.node("mean.pool", .globalPool(.average), [deep])
    let flat = net.node("flat", .flatten(axis: 1), [mean])
    let logits = net.node(
        "logits",
        .gemm(Gemm(transposeA: false, transposeB: true)),
        [flat, net.weights("fc.w", [100, 64]), net.weights("fc.b", [100], in: -1...1)]
    )
    let y = net.node("y", .softmax(axis: 1, flattened: false), [logits])
    net.graph.outputs = [logits, y]
    return try net.finish("classifier")
}

/// One head with the same weights on images of three sizes, the last one a single pixel.
func sharedHead() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 7)
    var level = net.input("x", [1, 32, 21, 18])
    let weights = [
        net.weights("first.w", [48, 32, 3, 3]), net.weights("first.b", [48]),
        net.weights("last.w", [72, 48, 1, 1]), net.weights("last.b", [72]),
    ]
    let same = Convolution(kernel: [3, 3], padding: .explicit([1, 1, 1, 1]))
    for (number, size) in [[4, 4], [5, 4], []].enumerated() {
        let first = net.node("first\(number)", .convolution(same), [level] + weights[..<2])
        let last = net.node(
            "last\(number)",
            .convolution(Convolution(kernel: [1, 1])),
            [net.relu("relu\(number)", first)] + weights[2...]
        )
        net.graph.outputs.append(last)
        guard !size.isEmpty else { continue }
        level = net.node(
            "pool\(number)",
            .pool(Pool(kind: .average, kernel: size, strides: size)),
            [level]
        )
    }
    return try net.finish("shared head")
}

/// Blocks that add branches of one image: of 3x3 and 1x1, a normalisation of the image, or itself.
func branches() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 8)
    func normal(_ name: String, _ x: ValueID, _ count: Int) -> ValueID {
        net.node(
            name,
            .batchNormalization(epsilon: 1e-5),
            [
                x, net.weights(name + ".g", [count], in: 0.5...1.5),
                net.weights(name + ".b", [count], in: -1...1),
                net.weights(name + ".m", [count], in: -1...1),
                net.weights(name + ".v", [count], in: 0.5...1.5),
            ]
        )
    }
    func sum(_ name: String, _ terms: [ValueID]) -> ValueID {
        var total = terms[0]
        for (number, term) in terms.enumerated().dropFirst() {
            total = net.node("\(name).sum\(number)", .binary(.add), [total, term])
        }
        return total
    }
    func block(
        _ name: String,
        _ x: ValueID,
        _ channels: (from: Int, to: Int),
        sizes: [Int] = [1, 3],
        stride: Int = 1,
        group: Int = 1,
        normalised: Bool = true
    ) -> ValueID {
        var terms = sizes.map { size in
            let shape = [channels.to, channels.from / group, size, size]
            let filter = "\(name).\(size)"
            let result = net.convolution(filter, x, shape, stride: stride, group: group)
            return normal(filter + ".bn", result, channels.to)
        }
        if normalised { terms.append(normal(name + ".bn", x, channels.to)) }
        return net.relu(name, sum(name, terms))
    }
    let x = net.input("x", [2, 3, 25, 22])
    let stem = block("stem", x, (3, 40), stride: 2, normalised: false)
    let dense = block("dense", stem, (40, 40))
    let deep = block("deep", dense, (40, 40), sizes: [3, 1, 5], group: 40)
    let point = block("point", deep, (40, 40), sizes: [1])
    let grouped = block("grouped", point, (40, 40), group: 2)
    let small = block("small", grouped, (40, 72), sizes: [3, 1], stride: 2, normalised: false)
    let itself = sum(
        "itself",
        [net.convolution("itself.3", small, [72, 1, 3, 3], group: 72), small]
    )
    // The image is not what the filter reads.
    let residual = sum("residual", [small, net.convolution("residual.1", itself, [72, 72, 1, 1])])
    // A filter for each channel among filters of all of them, in one part and in two.
    let mixed = sum(
        "mixed",
        [
            net.convolution("mixed.each", residual, [72, 1, 3, 3], group: 72),
            net.convolution("mixed.all", residual, [72, 72, 3, 3]),
        ]
    )
    let wide = net.relu("wide", net.convolution("wide.1", mixed, [160, 72, 1, 1]))
    let halves = sum(
        "halves",
        [
            net.convolution("halves.3", wide, [160, 80, 3, 3], group: 2),
            net.convolution("halves.each", wide, [160, 1, 3, 3], group: 160), wide,
        ]
    )
    net.graph.outputs = [block("last", residual, (72, 72), sizes: [1, 3]), itself, halves]
    return try net.finish("branches")
}

/// Two inputs, grouped and transposed convolutions, a gate and a resize.
func detector() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 2)
    let x = net.input("x", [2, 16, 6, 5])
    let gain = net.input("gain", [2, 16, 6, 5])
    let sum = net.node("sum", .binary(.multiply), [x, gain])
    let grouped = net.convolution("grouped", sum, [12, 4, 3, 3], group: 4)
    let up = net.node(
        "up",
        .convolution(
            Convolution(isTransposed: true, kernel: [2, 2], strides: [2, 2])
        ),
        [grouped, net.weights("up.w", [12, 20, 2, 2]), net.weights("up.b", [20])]
    )
    let gate = net.node("gate", .unary(.sigmoid), [up])
    let silu = net.node("silu", .binary(.multiply), [up, gate])
    let scales = net.graph.addValue(
        name: "scales",
        constant: Constant(DenseTensor(shape: [4], floats: [1, 1, 2, 2]))
    )
    let resized = net.node(
        "resized",
        .resize(Resize(mode: .nearest, coordinates: .asymmetric, rounding: .floor)),
        [silu, nil, scales]
    )
    // Few channels, all phases of which are one convolution.
    let few = net.node(
        "few",
        .convolution(
            Convolution(
                isTransposed: true,
                kernel: [5, 4],
                strides: [3, 2],
                padding: .explicit([1, 1, 1, 1])
            )
        ),
        [grouped, net.weights("few.w", [12, 2, 5, 4]), net.weights("few.b", [2])]
    )
    net.graph.outputs = [
        net.convolution("map", resized, [1, 20, 3, 3]), silu, net.relu("few.relu", few),
        net.convolution("wide", silu, [2, 20, 9, 7]),
    ]
    return try net.finish("detector")
}

/// Products by constant and by run-time matrices, views, transposes and reductions.
func attention() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 3)
    let x = net.input("x", [13, 40])
    let q = net.node("q", .matmul, [x, net.weights("q.w", [40, 37], in: -0.3...0.3)])
    let k = net.node("k", .matmul, [x, net.weights("k.w", [40, 37], in: -0.3...0.3)])
    let biased = net.node("biased", .binary(.add), [q, net.weights("q.b", [37], in: -1...1)])
    let turned = net.node("turned", .transpose(permutation: [1, 0]), [k])
    let scores = net.node("scores", .matmul, [biased, turned])
    let shares = net.node("shares", .softmax(axis: -1, flattened: false), [scores])
    let mixed = net.node("mixed", .matmul, [shares, x])
    let y = net.node("y", .unary(.gelu(tanhApproximation: false)), [mixed])
    net.graph.outputs = [y, scores]
    return try net.finish("attention")
}

/// Pixels as rows of a matrix, with normalisations of rows, and a gate of the mean of all pixels.
func tokens() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 5)
    let x = net.input("x", [2, 20, 5, 6])
    let image = net.convolution("image", x, [36, 20, 3, 3])
    let mean = Reduction(kind: .mean, keepsDimensions: true, ignoresEmptyAxes: false)
    let axes = net.integers("axes", [2, 3])
    let gate = net.node("gate", .unary(.sigmoid), [net.node("mean", .reduce(mean), [image, axes])])
    let gated = net.node("gated", .binary(.multiply), [image, gate])
    let turned = net.node("turned", .transpose(permutation: [0, 2, 3, 1]), [gated])
    let product = net.node("product", .matmul, [turned, net.weights("w", [36, 24])])
    let rows = net.node(
        "rows",
        .reshape(allowZero: false),
        [product, net.integers("rows.shape", [60, 24])]
    )
    let statistics = [
        net.weights("gamma", [24], in: 0.5...1.5), net.weights("beta", [24], in: -1...1),
        net.weights("mean.of", [24], in: -1...1), net.weights("variance", [24], in: 0.5...2),
    ]
    let normal = net.node("normal", .batchNormalization(epsilon: 1e-5), [rows] + statistics)
    let active = net.node("active", .unary(.gelu(tanhApproximation: false)), [normal])
    let again = net.node(
        "again",
        .batchNormalization(epsilon: 1e-3),
        [net.node("clipped", .unary(.relu), [active])] + statistics
    )
    let heads = net.node(
        "heads",
        .reshape(allowZero: false),
        [again, net.integers("heads.shape", [2, 3, 10, 24])]
    )
    let scaled = net.node("scaled", .binary(.multiply), [heads, net.weights("factor", [])])
    let shifted = net.node(
        "shifted",
        .binary(.subtract),
        [scaled, net.weights("shift", [3, 1, 1], in: -1...1)]
    )
    let y = net.node("y", .softmax(axis: 3, flattened: false), [shifted])
    let means = net.node("means", .reduce(mean), [shifted, axes])
    net.graph.outputs = [y, means]
    return try net.finish("tokens")
}

/// Products between images: what expands reads pixels and is read by a depthwise convolution, what
/// projects reads an image and writes pixels; one reads and one writes two.
func perceptrons() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 9)
    let (images, height, width) = (2, 6, 7)
    func reshaped(_ name: String, _ x: ValueID, _ sizes: [Int]) -> ValueID {
        let shape = net.integers(name + ".shape", sizes.map { Int64($0) })
        return net.node(name, .reshape(allowZero: false), [x, shape])
    }
    func pixels(_ name: String, of image: ValueID, _ channels: Int) -> ValueID {
        let flat = reshaped(name + ".flat", image, [images, channels, height * width])
        return net.node(name, .transpose(permutation: [0, 2, 1]), [flat])
    }
    func image(_ name: String, of pixels: ValueID, _ channels: Int) -> ValueID {
        let turned = net.node(name + ".turned", .transpose(permutation: [0, 2, 1]), [pixels])
        return reshaped(name, turned, [images, channels, height, width])
    }
    func product(_ name: String, _ x: ValueID, _ k: Int, _ n: Int) -> ValueID {
        let sums = net.node(name + ".sums", .matmul, [x, net.weights(name + ".w", [k, n])])
        return net.node(name, .binary(.add), [sums, net.weights(name + ".b", [n], in: -1...1)])
    }
    let gelu = Operator.unary(.gelu(tanhApproximation: false))
    let x = net.convolution("stem", net.input("x", [images, 20, height, width]), [24, 20, 3, 3])
    let rows = pixels("rows", of: x, 24)
    let shares = net.node("shares", .softmax(axis: 2, flattened: false), [rows])
    let wide = image("wide", of: product("expand", shares, 24, 37), 37)
    let deep = net.convolution("deep", wide, [37, 1, 3, 3], group: 37)
    let again = net.convolution("again", deep, [37, 1, 3, 3], group: 37)
    let active = net.node("active", gelu, [pixels("again.rows", of: again, 37)])
    let narrow = product("project", active, 37, 24)
    let sum = net.node("sum", .binary(.add), [shares, narrow])
    // Images on both sides, and a residual there.
    let both = image("both", of: product("mix", pixels("mix.rows", of: deep, 37), 37, 24), 24)
    let last = net.convolution(
        "last",
        net.node("joined", .binary(.add), [both, x]),
        [8, 24, 3, 3]
    )
    net.graph.outputs = [sum, last]
    return try net.finish("perceptrons")
}

/// Convolutions and pools of one axis, with gates, slices, joins and sums of lines between them.
func lines() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 7)
    let x = net.input("x", [2, 5, 33])
    func line(_ name: String, _ x: ValueID, _ shape: [Int], dilation: Int = 1) -> ValueID {
        let side = (shape[2] - 1) * dilation
        let convolution = Convolution(
            dilations: [dilation],
            padding: .explicit([side / 2, side - side / 2])
        )
        return net.node(
            name,
            .convolution(convolution),
            [x, net.weights(name + ".w", shape), net.weights(name + ".b", [shape[0]])]
        )
    }
    let first = net.relu("first.relu", line("first", x, [40, 5, 5]))
    let pads = net.integers("pads", [0, 0, 4, 0, 0, 0])
    let late = net.node("late", .pad(.constant), [first, pads])
    let tanh = net.node("tanh", .unary(.tanh), [line("filter", late, [40, 40, 3])])
    let gate = net.node("gate", .unary(.sigmoid), [line("gated", late, [40, 40, 1], dilation: 2)])
    let product = net.node("product", .binary(.multiply), [tanh, gate])
    let scaled = net.node(
        "scaled",
        .binary(.multiply),
        [net.weights("scale", [40, 1], in: 0.5...2), product]
    )
    let tail = net.node(
        "tail",
        .slice,
        [
            scaled, net.integers("starts", [4]), net.integers("ends", [37]),
            net.integers("axes", [2]),
        ]
    )
    let sum = net.node("sum", .binary(.add), [first, tail])
    let both = net.node("both", .concat(axis: 1), [sum, x])
    let halves = Pool(kind: .maximum, kernel: [3], strides: [2], padding: .explicit([1, 1]))
    let pooled = net.node("pooled", .pool(halves), [line("mix", both, [24, 45, 1])])
    let highest = Reduction(kind: .maximum, keepsDimensions: false, ignoresEmptyAxes: false)
    let best = net.node("best", .reduce(highest), [pooled, net.integers("last", [2])])
    net.graph.outputs = [sum, best]
    return try net.finish("lines")
}

/// Convolutions and pools over three axes, a transposed convolution among them, and a sum.
func volumes() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 6)
    let x = net.input("x", [2, 3, 5, 7, 6])
    func volume(_ name: String, _ x: ValueID, _ shape: [Int], _ convolution: Convolution) -> ValueID
    {
        let outputs = convolution.isTransposed ? shape[1] * convolution.group : shape[0]
        return net.node(
            name,
            .convolution(convolution),
            [x, net.weights(name + ".w", shape), net.weights(name + ".b", [outputs])]
        )
    }
    let same = Convolution(padding: .explicit([1, 1, 1, 1, 1, 1]))
    let first = net.relu("first.relu", volume("first", x, [24, 3, 3, 3, 3], same))
    let sparse = Convolution(
        strides: [2, 1, 1],
        dilations: [2, 1, 1],
        padding: .explicit([2, 1, 1, 1, 1, 1])
    )
    let wide = net.relu("wide.relu", volume("wide", first, [32, 24, 3, 3, 3], sparse))
    let deep = volume("deep", wide, [16, 32, 2, 1, 1], Convolution())
    let both = net.node("both", .concat(axis: 1), [deep, deep])
    let gate = net.node(
        "gated",
        .binary(.multiply),
        [net.weights("gates", [32, 1, 1, 1], in: 0.5...2), both]
    )
    let thin = volume("thin", gate, [16, 32, 1, 3, 3], Convolution())
    let halves = Convolution(group: 2, strides: [2, 2, 2], padding: .explicit([1, 0, 1, 1, 0, 1]))
    let small = volume("small", first, [40, 12, 3, 1, 3], halves)
    let doubles = Convolution(
        isTransposed: true,
        strides: [2, 2, 2],
        padding: .explicit([1, 1, 1, 1, 1, 1]),
        outputPadding: [0, 0, 1]
    )
    let large = volume("large", small, [40, 24, 3, 3, 3], doubles)
    let overlapping = Pool(
        kind: .maximum,
        kernel: [3, 2, 3],
        strides: [2, 1, 2],
        padding: .explicit([1, 0, 1, 1, 1, 1])
    )
    let sum = net.node("sum", .binary(.add), [large, first])
    let highest = net.node("highest", .pool(overlapping), [sum])
    let halving = Pool(kind: .average, kernel: [2, 2, 2], strides: [2, 2, 2], ceilMode: true)
    net.graph.outputs = [sum, small, thin, net.node("mean", .pool(halving), [highest])]
    return try net.finish("volumes")
}

/// Between convolutions of slices, a factor for each channel and slice that the run computes.
func slices() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 8)
    let x = net.input("x", [1, 6, 4, 7, 5])
    let first = net.node(
        "first",
        .convolution(Convolution()),
        [x, net.weights("first.w", [16, 6, 1, 3, 3])]
    )
    let mean = Reduction(kind: .mean, keepsDimensions: false, ignoresEmptyAxes: false)
    let means = net.node("means", .reduce(mean), [first, net.integers("axes", [0, 3, 4])])
    let factors = net.node(
        "factors",
        .reshape(allowZero: false),
        [means, net.integers("factors.shape", [16, 4, 1, 1])]
    )
    let scaled = net.relu("relu", net.node("scaled", .binary(.multiply), [factors, first]))
    let last = net.node(
        "last",
        .convolution(Convolution(padding: .explicit([1, 0, 0, 1, 0, 0]))),
        [scaled, net.weights("last.w", [8, 16, 3, 1, 1])]
    )
    net.graph.outputs = [last]
    return try net.finish("slices")
}

/// Filters dilated by up to more than the image, so that taps are outside of it for many pixels: with
/// strides, a residual, and more channels than one block.
func pyramid() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 4)
    let x = net.input("x", [2, 19, 21, 22])
    let near = net.convolution("near", x, [40, 19, 3, 3], dilation: 8)
    let far = net.relu("far.relu", net.convolution("far", x, [40, 19, 3, 3], dilation: 13))
    let sum = net.relu("sum.relu", net.node("sum", .binary(.add), [near, far]))
    let beyond = net.convolution("beyond", sum, [33, 40, 3, 3], dilation: 30)
    let strided = net.convolution("strided", beyond, [20, 33, 5, 5], stride: 2, dilation: 5)
    // By Winograd's algorithm, with an activation after it.
    let middle = net.convolution("middle", sum, [33, 40, 3, 3], dilation: 2)
    let row = net.convolution("row", sum, [40, 40, 1, 7])
    let column = net.convolution("column", row, [33, 40, 7, 1])
    let last = net.node(
        "last",
        .unary(.sigmoid),
        [net.node("both", .binary(.add), [middle, column])]
    )
    net.graph.outputs = [strided, beyond, last]
    return try net.finish("pyramid")
}

/// Outputs that are views of views of an input, before and after something else overwrites it.
func views() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 9)
    let x = net.input("x", [2, 3, 4])
    let flat = net.node("flat", .flatten(axis: 1), [x])
    func shaped(_ name: String, _ sizes: [Int64]) -> ValueID {
        let shape = net.integers(name + ".shape", sizes)
        return net.node(name, .reshape(allowZero: false), [flat, shape])
    }
    let before = shaped("before", [4, 6])
    let over = net.relu("over", flat)
    let after = shaped("after", [24])
    // Of an input that nothing computes with.
    let unread = net.node("unread", .flatten(axis: 2), [net.input("u", [2, 2, 2])])
    let again = net.node("again", .flatten(axis: 0), [unread])
    net.graph.outputs = [before, over, after, again]
    return try net.finish("views")
}

/// Paddings that go over their input once and more, and cuts, and slices in both directions.
func edges() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 10)
    for rows in [1, 2, 5] {
        let x = net.input("x\(rows)", [rows, 3])
        for mode in [PadMode.wrap, .reflect, .edge] {
            for (begin, end) in [(0, 3), (7, 9), (rows > 1 ? -1 : 1, 4)] {
                let name = "\(mode)\(rows).\(begin)"
                let pads = net.integers(name + ".pads", [Int64(begin), 0, Int64(end), 2])
                net.graph.outputs.append(net.node(name, .pad(mode), [x, pads]))
            }
        }
        for step in [-2, -1, 3, 1 << 62] as [Int64] {
            let name = "slice\(rows).\(step)"
            let bounds = [step < 0 ? Int64.max : 0, step < 0 ? Int64.min : .max, 0, step]
            let inputs = bounds.enumerated().map { net.integers("\(name).\($0)", [$1]) }
            net.graph.outputs.append(net.node(name, .slice, [x] + inputs))
        }
    }
    return try net.finish("edges")
}

func testNetworks() throws -> [TestNetwork] {
    [
        try classifier(), try detector(), try attention(), try pyramid(), try tokens(),
        try perceptrons(), try lines(), try volumes(), try slices(), try sharedHead(),
        try branches(), try views(), try edges(),
    ]
}

/// The instruction sets this CPU runs, best first, or the one among them that `SL_ISA` names.
let supportedSets: [InstructionSet] = {
    let wanted = getenv("SL_ISA").map { String(cString: $0) }
    return InstructionSet.all.filter { set, isSupported in
        isSupported && set.name == wanted ?? set.name
    }.map(\.set)
}()
