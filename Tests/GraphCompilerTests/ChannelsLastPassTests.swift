import GraphCompiler
import GraphIR
import Testing

@Suite("Images with channels last")
struct ChannelsLastPassTests {
    private let toLast = [0, 2, 3, 1]
    private let toFirst = [0, 3, 1, 2]

    private func last(_ sketch: inout GraphSketch, _ name: String, _ x: ValueID) -> ValueID {
        sketch.node(name, .transpose(permutation: toLast), x)
    }

    private func first(_ sketch: inout GraphSketch, _ name: String, _ x: ValueID) -> ValueID {
        sketch.node(name, .transpose(permutation: toFirst), x)
    }

    /// The names of the nodes and of what they turn.
    private func turns(_ graph: Graph) -> [String] {
        graph.nodes.compactMap { if case .transpose = $0.op { $0.name } else { nil } }
    }

    private func node(_ graph: Graph, _ name: String) throws -> Node {
        try #require(graph.nodes.first { $0.name == name })
    }

    @Test("what stands between convolutions works on their images")
    func betweenConvolutions() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 9, 7, 8])
        let c = sketch.convolution("c", first(&sketch, "x1", x), from: 8, to: 8, kernel: 3)
        let scale = sketch.weights("scale", [8])
        let shift = sketch.weights("shift", [1, 1, 1, 8])
        let scaled = sketch.node("scaled", .binary(.multiply), last(&sketch, "c1", c), scale)
        let sum = sketch.relu("relu", sketch.add("sum", scaled, shift))
        let pads = sketch.integers("pads", [0, 0, 1, 0, 0, 2, 3, 0])
        let padded = sketch.node("padded", .pad(.constant), sum, pads)
        let d = sketch.convolution(
            "d",
            first(&sketch, "padded1", padded),
            from: 8,
            to: 8,
            kernel: 3,
            pads: false
        )
        let joined = sketch.node(
            "joined",
            .concat(axis: -1),
            [last(&sketch, "d1", d), last(&sketch, "d2", d)]
        )
        sketch.output(
            sketch.convolution("y", first(&sketch, "joined1", joined), from: 16, to: 4)
        )
        let after = putChannelsFirst(in: try sketch.bound())
        #expect(turns(after) == ["x1"])
        #expect(try node(after, "joined").op == .concat(axis: 1))
        let vectors = try ["scaled", "sum"].map {
            try #require(try node(after, $0).inputs[1].flatMap { after[$0].type?.shape })
        }
        #expect(vectors == [[8, 1, 1], [8, 1, 1]])
        let image = try #require(try node(after, "padded").outputs[0])
        #expect(after[image].type?.shape == [1, 8, 11, 11])
        let border = try #require(try node(after, "padded").inputs[1])
        #expect(after[border].constant?.literal?.integers == [0, 0, 0, 1, 0, 0, 2, 3])
    }

    @Test("the mean of all pixels, a gate of it and a product have the axes of their image")
    func gate() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 5, 5])
        let c = last(&sketch, "c1", sketch.convolution("c", x, from: 8, to: 8))
        let reduction = Reduction(kind: .mean, keepsDimensions: true, ignoresEmptyAxes: false)
        let axes = sketch.integers("axes", [1, -2])
        let mean = sketch.node("mean", .reduce(reduction), c, axes)
        let g = sketch.convolution("g", first(&sketch, "mean1", mean), from: 8, to: 8)
        let gate = sketch.node("gate", .unary(.sigmoid), last(&sketch, "g1", g))
        let product = sketch.node("product", .binary(.multiply), c, gate)
        sketch.output(sketch.convolution("y", first(&sketch, "y1", product), from: 8, to: 8))
        let after = putChannelsFirst(in: try sketch.bound())
        #expect(turns(after).isEmpty)
        let places = try #require(try node(after, "mean").inputs[1])
        #expect(after[places].constant?.literal?.integers == [2, 3])
    }

    @Test("an output that is turned twice keeps its name")
    func output() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 5, 5])
        let c = last(&sketch, "c1", sketch.convolution("c", x, from: 8, to: 8))
        sketch.output(first(&sketch, "y", sketch.relu("relu", c)))
        let after = putChannelsFirst(in: try sketch.bound())
        #expect(after.nodes.map(\.name) == ["c", "relu", "y"])
        #expect(after[after.outputs[0]].name == "y")
    }

    @Test("what follows a convolution moves before the last turn, what stands beside products not")
    func bothEnds() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 5, 5])
        let c = last(&sketch, "c1", sketch.convolution("c", x, from: 8, to: 8))
        let relu = sketch.relu("relu", c)
        let product = sketch.node("m", .matmul, relu, sketch.weights("m.w", [8, 8]))
        let scaled = sketch.node("s", .binary(.multiply), product, sketch.weights("s.w", [8]))
        sketch.output(sketch.convolution("y", first(&sketch, "s1", scaled), from: 8, to: 8))
        let after = putChannelsFirst(in: try sketch.bound())
        #expect(after.nodes.map(\.name) == ["c", "relu", "relu", "m", "s", "s1", "y"])
        #expect(turns(after) == ["relu", "s1"])
    }

    @Test("a normalisation over channels stays as it is")
    func normalization() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 5, 5])
        let c = last(&sketch, "c1", sketch.convolution("c", x, from: 8, to: 8))
        let reduction = Reduction(kind: .mean, keepsDimensions: true, ignoresEmptyAxes: false)
        let axes = sketch.integers("axes", [-1])
        let mean = sketch.node("mean", .reduce(reduction), c, axes)
        let centred = sketch.node("centred", .binary(.subtract), c, mean)
        let square = sketch.node("square", .binary(.multiply), centred, centred)
        let variance = sketch.node("variance", .reduce(reduction), square, axes)
        let deviation = sketch.node("deviation", .unary(.sqrt), variance)
        let normal = sketch.node("normal", .binary(.divide), centred, deviation)
        let scaled = sketch.node("s", .binary(.multiply), normal, sketch.weights("s.w", [8]))
        sketch.output(sketch.convolution("y", first(&sketch, "s1", scaled), from: 8, to: 8))
        let before = try sketch.bound()
        #expect(turns(putChannelsFirst(in: before)).first == "c1")
    }
}
