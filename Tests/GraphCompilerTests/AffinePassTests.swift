import GraphCompiler
import GraphIR
import Testing

@Suite("Affine chains into convolutions")
struct FoldAffinesTests {
    private let pass = "affine"
    private let convolution = "conv.tile[1x1 8->8 stride 1x1 group 1 parts 1]"

    private func normalization(_ sketch: inout GraphSketch, _ x: ValueID) -> ValueID {
        let vectors = ["gamma", "beta", "mean", "variance"].map { sketch.weights($0, [8]) }
        return sketch.node("bn", .batchNormalization(epsilon: 1e-5), [x] + vectors)
    }

    @Test("batch normalisation goes into weights and bias")
    func batchNormalization() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let c = sketch.convolution("c", x, from: 8, to: 8)
        sketch.output(normalization(&sketch, c))
        let (before, after) = try sketch.around(pass)
        #expect(
            before.nodeLines == [
                "0: c: float32[1x8x4x4] = \(convolution)(x)  # c",
                "1: bn: float32[1x8x4x4] = "
                    + "conv.depthwise[1x1 8->8 stride 1x1 group 8 parts 1](c)  # bn",
            ]
        )
        #expect(after.nodeLines == ["0: bn: float32[1x8x4x4] = \(convolution)(x)  # c"])
        let weights = try #require(after.onlyConvolution).parts[0].weights
        #expect(weights.scale != nil && weights.bias != nil)
    }

    @Test("so do Mul and Add through Unsqueeze")
    func spelledOut() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let c = sketch.convolution("c", x, from: 8, to: 8)
        let axes = sketch.integers("axes", [1, 2])
        let scale = sketch.weights("scale", [8])
        let shift = sketch.weights("shift", [8])
        let wideScale = sketch.node("wideScale", .unsqueeze, scale, axes)
        let wideShift = sketch.node("wideShift", .unsqueeze, shift, axes)
        let scaled = sketch.node("scaled", .binary(.multiply), c, wideScale)
        sketch.output(sketch.add("y", wideShift, scaled))
        let (before, after) = try sketch.around(pass)
        #expect(
            before.nodeLines == [
                "0: c: float32[1x8x4x4] = \(convolution)(x)  # c",
                "1: scaled: float32[1x8x4x4] = multiply(c, wideScale)  # scaled",
                "2: y: float32[1x8x4x4] = add(wideShift, scaled)  # y",
            ]
        )
        #expect(after.nodeLines == ["0: y: float32[1x8x4x4] = \(convolution)(x)  # c"])
        let weights = try #require(after.onlyConvolution).parts[0].weights
        #expect(weights.scale != nil && weights.bias != nil)
    }

    @Test("without a convolution before it, a chain becomes one kernel")
    func chainOfItsOwn() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let scale = sketch.weights("scale", [8, 1, 1])
        let scaled = sketch.node("scaled", .binary(.multiply), x, scale)
        sketch.output(sketch.add("y", scaled, scale))
        let (_, after) = try sketch.around(pass)
        #expect(
            after.nodeLines == [
                "0: y: float32[1x8x4x4] = "
                    + "conv.depthwise[1x1 8->8 stride 1x1 group 8 parts 1](x)  # scaled"
            ]
        )
    }

    @Test("factors that vary over pixels stay")
    func factorsOverPixelsStay() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let c = sketch.convolution("c", x, from: 8, to: 8)
        let mask = sketch.weights("mask", [1, 1, 4, 4])
        sketch.output(sketch.node("y", .binary(.multiply), c, mask))
        let (before, after) = try sketch.around(pass)
        #expect(before.dump() == after.dump())
    }

    @Test("a result that somebody else reads stays")
    func sharedResultsStay() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let c = sketch.convolution("c", x, from: 8, to: 8)
        sketch.output(normalization(&sketch, c), c)
        let (before, after) = try sketch.around(pass)
        #expect(before.dump() == after.dump())
    }

    @Test("an activation in between keeps them apart")
    func activationsKeepThemApart() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let c = sketch.convolution("c", x, from: 8, to: 8)
        let r = sketch.relu("r", c)
        sketch.output(normalization(&sketch, r))
        let (before, after) = try sketch.around(pass)
        #expect(before.dump() == after.dump())
    }
}

@Suite("Maps and functions after a concat")
struct ConcatFusionTests {
    /// relu(normalize(concat(a, b))), where the caller may see the result of b.
    private func layer(seesPart: Bool = false, joinsInput: Bool = false) -> GraphSketch {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 24)
        let b = joinsInput ? x : sketch.convolution("b", x, from: 8, to: 8, kernel: 3)
        let joined = sketch.node("joined", .concat(axis: 1), a, b)
        let vectors = ["gamma", "beta", "mean", "variance"].map { sketch.weights($0, [32]) }
        let normal = sketch.node("bn", .batchNormalization(epsilon: 1e-5), [joined] + vectors)
        sketch.output(sketch.relu("y", normal))
        if seesPart { sketch.output(b) }
        return sketch
    }

    @Test("go into each of the convolutions that are put together")
    func eachConvolution() throws {
        let after = try layer().around("activation").after
        #expect(after.nodes.count == 3)
        for node in after.nodes.dropLast() {
            guard case .convolution(let kernel) = node.kernel else {
                Issue.record("\(after.nodeLines)")
                continue
            }
            #expect(node.activation == .clamp(lower: 0, upper: .infinity))
            let weights = kernel.parts[0].weights
            #expect(weights.scale?.type.shape == [kernel.outputChannels])
            #expect(weights.bias?.type.shape == [kernel.outputChannels])
        }
        #expect(after.nodes[2].activation == .none && after[after.nodes[2].output].name == "y")
    }

    @Test("stay where they are when something else is put there, or is seen")
    func othersStay() throws {
        for sketch in [layer(seesPart: true), layer(joinsInput: true)] {
            let after = try sketch.around("activation").after
            let convolutions = after.nodes.filter {
                if case .convolution = $0.kernel { true } else { false }
            }
            #expect(convolutions.last?.activation == .clamp(lower: 0, upper: .infinity))
            #expect(convolutions.dropLast().allSatisfy { $0.activation == .none })
        }
    }
}
