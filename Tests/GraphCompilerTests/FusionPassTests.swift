import GraphCompiler
import GraphIR
import Testing

@Suite("Padding into convolutions")
struct FoldPaddingTests {
    private func padded(value: Float = 0, isReadTwice: Bool = false) -> GraphSketch {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let pads = sketch.integers("pads", [0, 0, 1, 2, 0, 0, 1, 2])
        let fill = sketch.floats("fill", [], [value])
        let p = sketch.node("p", .pad(.constant), x, pads, fill)
        sketch.output(sketch.convolution("y", p, from: 8, to: 16, kernel: 3, pads: false))
        if isReadTwice { sketch.output(sketch.relu("z", p)) }
        return sketch
    }

    @Test("a pad of zeros becomes the convolution's own")
    func zerosBecomePadding() throws {
        let (before, after) = try padded().around("pad")
        #expect(
            before.nodeLines == [
                "0: p: float32[1x8x6x8] = copy[1](x)  # p",
                "1: y: float32[1x16x4x6] = "
                    + "conv.tile[3x3 8->16 stride 1x1 group 1 parts 1](p)  # y",
            ]
        )
        #expect(
            after.nodeLines == [
                "0: y: float32[1x16x4x6] = "
                    + "conv.tile[3x3 8->16 stride 1x1 group 1 parts 1](x)  # y"
            ]
        )
        let kernel = try #require(after.onlyConvolution)
        #expect((kernel.padTop, kernel.padLeft) == (1, 2))
        #expect((kernel.inputHeight, kernel.inputWidth) == (4, 4))
        #expect(kernel.parts[0].taps.first == Tap(dy: -1, dx: -2))
        #expect(kernel.parts[0].taps.last == Tap(dy: 1, dx: 0))
    }

    @Test("that of two convolutions becomes that of each")
    func twoConvolutions() throws {
        var sketch = padded()
        let p = ValueID(sketch.graph.values.firstIndex { $0.name == "p" } ?? 0)
        sketch.output(sketch.convolution("z", p, from: 8, to: 16, pads: false))
        let after = try sketch.around("pad").after
        #expect(
            after.nodeLines == [
                "0: y: float32[1x16x4x6] = "
                    + "conv.tile[3x3 8->16 stride 1x1 group 1 parts 1](x)  # y",
                "1: z: float32[1x16x6x8] = "
                    + "conv.tile[1x1 8->16 stride 1x1 group 1 parts 1](x)  # z",
            ]
        )
    }

    @Test("it stays when it is not zero, or somebody else reads it")
    func itStays() throws {
        for sketch in [padded(value: 1), padded(isReadTwice: true)] {
            let (before, after) = try sketch.around("pad")
            #expect(before.dump() == after.dump())
        }
    }
}

@Suite("Views after element-wise nodes")
struct MoveViewsTests {
    /// relu(x w + bias) with as many axes as `shape`.
    private func layer(_ shape: [Int], bias: [Int]) -> GraphSketch {
        var sketch = GraphSketch()
        let x = sketch.input("x", shape + [8])
        let product = sketch.node("p", .matmul, x, sketch.weights("w", [8, 16]))
        let sum = sketch.add("sum", sketch.weights("bias", bias), product)
        sketch.output(sketch.relu("y", sum))
        return sketch
    }

    @Test("bias and activation join a product of any number of axes")
    func layersAreOne() throws {
        for (shape, bias) in [([2, 3], [16]), ([1, 2, 3], [1, 16]), ([2, 1, 3], [1])] {
            let after = try layer(shape, bias: bias).fused()
            let products = after.nodes.filter { $0.activation != .none }
            #expect(products.count == 1)
            #expect(try #require(after.onlyConvolution).parts[0].weights.bias != nil)
            #expect(after.nodes.allSatisfy { if case .binary = $0.kernel { false } else { true } })
        }
    }

    @Test("so does batch normalisation of rows between two views")
    func normalizationsOfRows() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 3, 8])
        let product = sketch.node("p", .matmul, x, sketch.weights("w", [8, 16]))
        let flat = sketch.node(
            "flat",
            .reshape(allowZero: false),
            product,
            sketch.integers("f", [6, 16])
        )
        let vectors = ["gamma", "beta", "mean", "variance"].map { sketch.weights($0, [16]) }
        let normal = sketch.node("bn", .batchNormalization(epsilon: 1e-5), [flat] + vectors)
        let back = sketch.node(
            "back",
            .reshape(allowZero: false),
            normal,
            sketch.integers("b", [2, 3, 16])
        )
        sketch.output(sketch.relu("y", back))
        let after = try sketch.fused()
        let weights = try #require(after.onlyConvolution).parts[0].weights
        #expect(weights.scale != nil && weights.bias != nil)
        #expect(after.nodes.filter { $0.activation != .none }.count == 1)
        #expect(after.nodes.allSatisfy { if case .binary = $0.kernel { false } else { true } })
    }

    @Test("an addition along another axis stays")
    func otherAxesStay() throws {
        let (before, after) = try layer([1, 2, 16], bias: [16, 1]).around("view")
        #expect(before.dump() == after.dump())
    }
}

@Suite("Taps outside the image")
struct DroppedTapsTests {
    /// The taps that are left of a 3x3 filter dilated by `dilation` on images of 8x8.
    private func taps(dilation: Int, stride: Int = 1, pad: Int) throws -> [Tap] {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 8, 8])
        let convolution = Convolution(
            kernel: [3, 3],
            strides: [stride, stride],
            dilations: [dilation, dilation],
            padding: .explicit([pad, pad, pad, pad])
        )
        sketch.output(
            sketch.node("y", .convolution(convolution), x, sketch.weights("w", [8, 8, 3, 3]))
        )
        let kernel = try #require(try sketch.fused().onlyConvolution)
        #expect(kernel.parts[0].weights.tapOffsets.count == kernel.parts[0].taps.count)
        return kernel.parts[0].taps
    }

    @Test("taps that no pixel has inside the image are left out")
    func farTapsAreLeftOut() throws {
        #expect(try taps(dilation: 1, pad: 1).count == 9)
        #expect(try taps(dilation: 7, pad: 7).count == 9)
        #expect(try taps(dilation: 8, pad: 8) == [Tap(dy: 0, dx: 0)])
        // One output: what is before it is outside.
        #expect(try taps(dilation: 3, stride: 8, pad: 3).count == 4)
        // The last of four outputs has the first tap inside.
        #expect(try taps(dilation: 5, stride: 2, pad: 5).count == 9)
    }
}

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

@Suite("Normalizations")
struct NormalizationTests {
    /// A normalization of the last axis as an operator, or spelled out with squares as `square` says.
    private func layer(
        _ shape: [Int],
        square: BinaryFunction? = nil,
        vectors: [Int] = [48],
        seesCentred: Bool = false,
        keepsAxes: Bool = true
    ) -> GraphSketch {
        var sketch = GraphSketch()
        let x = sketch.input("x", shape)
        let scale = sketch.weights("scale", vectors)
        let shift = sketch.weights("shift", vectors)
        guard let square else {
            let op = Composite.layerNormalization(axis: -1, epsilon: 0.5)
            sketch.output(sketch.node("y", .composite(op), x, scale, shift))
            return sketch
        }
        let axes = sketch.integers("axes", [-1])
        let mean = Operator.reduce(
            Reduction(kind: .mean, keepsDimensions: keepsAxes, ignoresEmptyAxes: false)
        )
        let centred = sketch.node("c", .binary(.subtract), x, sketch.node("m", mean, x, axes))
        let other = square == .power ? sketch.floats("two", [], [2]) : centred
        let squares = sketch.node("s", .binary(square), centred, other)
        let variance = sketch.node("v", mean, squares, axes)
        let sum = sketch.add("e", variance, sketch.floats("epsilon", [], [0.5]))
        let root = sketch.node("r", .unary(.sqrt), sum)
        let result = sketch.node("n", .binary(.divide), centred, root)
        let scaled = sketch.node("t", .binary(.multiply), result, scale)
        sketch.output(sketch.add("y", scaled, shift))
        if seesCentred { sketch.output(centred) }
        return sketch
    }

    @Test(
        "an operator, and what it stands for, are one node",
        arguments: [nil, BinaryFunction.power, .multiply]
    )
    func oneNode(square: BinaryFunction?) throws {
        for shape in [[2, 3, 48], [5, 48]] {
            let after = try layer(shape, square: square).around("normalization").after
            #expect(after.nodes.count == 1)
            guard case .normalize(let rows, 48, let epsilon, true, true) = after.nodes[0].kernel
            else {
                Issue.record("\(after.nodeLines)")
                continue
            }
            #expect(rows == shape.dropLast().reduce(1, *) && epsilon == 0.5)
            #expect(after.nodes[0].inputs.map { after[$0].name } == ["x", "scale", "shift"])
            #expect(after[after.nodes[0].output].name.hasPrefix("y"))
        }
    }

    @Test("factors that are not those of a row follow it")
    func otherFactors() throws {
        let after = try layer([2, 48, 48], vectors: [48, 1]).around("normalization").after
        #expect(after.nodes.count == 3)
        guard case .normalize(96, 48, _, false, false) = after.nodes[0].kernel else {
            Issue.record("\(after.nodeLines)")
            return
        }
    }

    @Test("what the caller sees, and a few long rows, stay spelled out")
    func staysSpelledOut() throws {
        let long = layer([2, 1 << 15], square: .multiply, vectors: [1 << 15])
        // Without the reduced axis a mean of each row is one for each column.
        let columns = layer([48, 48], square: .power, keepsAxes: false)
        for sketch in [layer([2, 3, 48], square: .power, seesCentred: true), long, columns] {
            let (before, after) = try sketch.around("normalization")
            #expect(before.dump() == after.dump())
        }
        let rows = try layer([8, 1 << 15], vectors: [1 << 15]).around("normalization").after
        #expect(rows.nodes.count == 1)
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

@Suite("Gathers with known indices")
struct GatherTests {
    @Test("are copies where indices are evenly spaced")
    func evenIndicesAreCopies() throws {
        for (indices, isCopy) in [
            ([1], true), ([2, 2], true), ([-1, -2, -3], true), ([0, 2], true), ([0, 1, 3], false),
        ] as [([Int64], Bool)] {
            var sketch = GraphSketch()
            let x = sketch.input("x", [3, 4, 5])
            let places = sketch.integers("places", indices)
            sketch.output(sketch.node("y", .gather(axis: 1), x, places))
            let node = try sketch.lowered().nodes[0]
            guard case .copy(let copy) = node.kernel else {
                #expect(!isCopy)
                continue
            }
            #expect(isCopy && copy.boxes.count == 1)
            let first = indices[0] < 0 ? indices[0] + 4 : indices[0]
            let step = indices.count > 1 ? indices[1] - indices[0] : 0
            #expect(copy.boxes[0].inputOffset == Int(first) * 5)
            #expect(copy.boxes[0].inputStrides == [20, Int(step) * 5, 1])
            #expect(copy.boxes[0].dimensions == [3, indices.count, 5])
        }
    }
}

@Suite("Epilogues")
struct EpilogueTests {
    private let convolution = "conv.tile[1x1 8->8 stride 1x1 group 1 parts 1]"
    private let residual = "conv.tile+residual[1x1 8->8 stride 1x1 group 1 parts 1]"

    @Test("x * sigmoid(x) is one function")
    func siluIsOneFunction() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8])
        let gate = sketch.node("gate", .unary(.sigmoid), x)
        sketch.output(sketch.node("y", .binary(.multiply), gate, x))
        let (before, after) = try sketch.around("silu")
        #expect(before.nodes.count == 2)
        #expect(after.nodeLines == ["0: y: float32[1x8] = map(x) then silu  # y"])
    }

    @Test("gates of channels are applied to the input of a pointwise convolution")
    func gatesGoIntoTheInput() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let gate = sketch.input("gate", [1, 8, 1, 1])
        let gated = sketch.relu("relu", sketch.node("gated", .binary(.multiply), gate, x))
        sketch.output(sketch.convolution("y", gated, from: 8, to: 8))
        let (_, after) = try sketch.around("input")
        let mapped = "conv.tile+input[1x1 8->8 stride 1x1 group 1 parts 1]"
        #expect(after.nodeLines == ["0: y: float32[1x8x4x4] = \(mapped)(x, gate)  # y"])
    }

    @Test("what makes a picture of pixels goes into the first layer")
    func firstLayersMapPictures() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 3, 9, 9])
        let vectors = ["gamma", "beta", "mean", "variance"].map { sketch.weights($0, [3]) }
        let picture = sketch.node("bn", .batchNormalization(epsilon: 1e-5), [x] + vectors)
        sketch.output(sketch.convolution("y", picture, from: 3, to: 8))
        let (_, after) = try sketch.around("input")
        let mapped = "conv.planar+input[1x1 3->8 stride 1x1 group 1 parts 1]"
        let inputs = "x, bn.scale, bn.shift"
        #expect(after.nodeLines == ["0: y: float32[1x8x9x9] = \(mapped)(\(inputs))  # y"])
    }

    @Test("maps that another reads, too, or that are not per channel stay")
    func otherMapsStay() throws {
        var shared = GraphSketch()
        var x = shared.input("x", [1, 8, 4, 4])
        let gated = shared.node("gated", .binary(.multiply), x, shared.input("g", [1, 8, 1, 1]))
        shared.output(shared.convolution("y", gated, from: 8, to: 8), gated)
        var rows = GraphSketch()
        x = rows.input("x", [1, 8, 4, 4])
        let scaled = rows.node("scaled", .binary(.multiply), x, rows.input("g", [1, 8, 4, 1]))
        rows.output(rows.convolution("y", scaled, from: 8, to: 8))
        for sketch in [shared, rows] {
            let (before, after) = try sketch.around("input")
            #expect(before.dump() == after.dump())
        }
    }

    @Test("the first layer takes a pool of its result that nobody else reads")
    func firstLayersTakePools() throws {
        let windows = Pool(kind: .maximum, kernel: [3, 3], strides: [2, 2])
        var alone = GraphSketch()
        let image = alone.input("x", [1, 3, 9, 9])
        let layer = alone.convolution("a", image, from: 3, to: 8)
        alone.output(alone.node("y", .pool(windows), layer))
        let (_, fused) = try alone.around("pool")
        #expect(fused.nodeLines.count == 1)
        #expect(fused.nodeLines[0].contains("conv.planar"))
        #expect(fused.nodeLines[0].contains("+maxpool[3x3](x)"))

        var shared = GraphSketch()
        let again = shared.convolution("a", shared.input("x", [1, 3, 9, 9]), from: 3, to: 8)
        shared.output(shared.node("y", .pool(windows), again), again)
        let (before, after) = try shared.around("pool")
        #expect(before.dump() == after.dump())
    }

    @Test("a pointwise convolution takes a depthwise one that alone reads its result")
    func expansionsTakeDepthwise() throws {
        func sketch(isShared: Bool) -> GraphSketch {
            var sketch = GraphSketch()
            let x = sketch.input("x", [1, 8, 9, 9])
            let wide = sketch.relu("r", sketch.convolution("a", x, from: 8, to: 24))
            let narrow = sketch.convolution("b", wide, from: 24, to: 24, kernel: 3, group: 24)
            let result = sketch.relu("y", narrow)
            if isShared { sketch.output(result, wide) } else { sketch.output(result) }
            return sketch
        }
        let alone = sketch(isShared: false)
        let (_, fused) = try alone.around("depthwise")
        #expect(
            fused.nodeLines == [
                "0: y: float32[1x24x9x9] = conv.tile[1x1 8->24 stride 1x1 group 1 parts 1]"
                    + "+clamp(0.0, inf)+depthwise[3x3 stride 1x1](x) then clamp(0.0, inf)  # a"
            ]
        )
        guard case .convolution(let kernel) = fused.nodes[0].kernel else { return }
        // Eight products and nine taps for each of 24 channels of 81 pixels.
        #expect(kernel.floatingPointOperations == 2 * 81 * 24 * (8 + 9))
        #expect(kernel.packedWeights(of: 0).map(\.order) == [.blocked, .depthwise])

        let shared = sketch(isShared: true)
        let (before, after) = try shared.around("depthwise")
        #expect(before.dump() == after.dump())
    }

    @Test("a map of channels after an activation is no depthwise convolution for a pointwise one")
    func pointwiseLeavesMap() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.relu("r", sketch.convolution("a", x, from: 8, to: 8))
        let mapped = sketch.node("m", .binary(.multiply), a, sketch.weights("s", [1, 8, 1, 1]))
        sketch.output(sketch.node("y", .unary(.tanh), mapped))
        let (before, after) = try sketch.around("depthwise")
        #expect(before.nodes.count == 2)
        #expect(after.nodeLines == before.nodeLines)
    }

    @Test("the first layer takes a depthwise convolution that alone reads its result")
    func firstLayersTakeDepthwise() throws {
        var sketch = GraphSketch()
        let layer = sketch.convolution("a", sketch.input("x", [1, 3, 9, 9]), from: 3, to: 24)
        sketch.output(sketch.convolution("y", layer, from: 24, to: 24, kernel: 3, group: 24))
        let (_, fused) = try sketch.around("depthwise")
        #expect(
            fused.nodeLines == [
                "0: y: float32[1x24x9x9] = conv.planar[1x1 3->24 stride 1x1 group 1 parts 1]"
                    + "+depthwise[3x3 stride 1x1](x)  # a"
            ]
        )
        guard case .convolution(let kernel) = fused.nodes[0].kernel else { return }
        #expect(kernel.packedWeights(of: 0).map(\.order) == [.planar, .depthwise])
    }

    @Test("an inverted residual whose weights are few is one node")
    func invertedResidualsAreOne() throws {
        func sketch(side: Int) -> GraphSketch {
            var sketch = GraphSketch()
            let x = sketch.input("x", [1, 8, side, side])
            let wide = sketch.relu("r", sketch.convolution("a", x, from: 8, to: 24))
            let deep = sketch.convolution("b", wide, from: 24, to: 24, kernel: 3, group: 24)
            let narrow = sketch.convolution("c", sketch.relu("s", deep), from: 24, to: 8)
            sketch.output(sketch.add("y", narrow, x))
            return sketch
        }
        let large = sketch(side: 9)
        let (_, fused) = try large.around("projection")
        #expect(
            fused.nodeLines == [
                "0: y: float32[1x8x9x9] = conv.tile+residual[1x1 8->24 stride 1x1 group 1 parts 1]"
                    + "+clamp(0.0, inf)+depthwise[3x3 stride 1x1]+clamp(0.0, inf)+project[8]"
                    + "(x, x)  # a"
            ]
        )
        guard case .convolution(let kernel) = fused.nodes[0].kernel else { return }
        #expect(kernel.floatingPointOperations == 2 * 81 * 24 * (8 + 9 + 8))
        #expect(kernel.packedWeights(of: 0).map(\.order) == [.blocked, .depthwise, .blocked])

        // 600 weights would take more than half of what lies between.
        let small = sketch(side: 6)
        let (before, after) = try small.around("projection")
        #expect(before.dump() == after.dump())
    }

    @Test("two pointwise convolutions around the widest tensor are one node")
    func feedForwardsAreOne() throws {
        func fused(side: Int, from: Int = 8, wide: Int = 24, to: Int = 8) throws -> [String] {
            var sketch = GraphSketch()
            let x = sketch.input("x", [2, from, side, side])
            let a = sketch.relu("r", sketch.convolution("a", x, from: from, to: wide))
            sketch.output(sketch.convolution("b", a, from: wide, to: to))
            return try sketch.around("projection").after.nodeLines
        }
        #expect(
            try fused(side: 9) == [
                "0: b: float32[2x8x9x9] = conv.tile[1x1 8->24 stride 1x1 group 1 parts 1]"
                    + "+clamp(0.0, inf)+project[8](x)  # a"
            ]
        )
        // 384 weights would take more than half of what lies between.
        #expect(try fused(side: 3).count == 2)
        // What they read, or write, would live on with more bytes than what lies between has.
        #expect(try fused(side: 20, from: 25).count == 2)
        #expect(try fused(side: 20, to: 25).count == 2)
        // More weights than stay in a cache.
        #expect(try fused(side: 80, from: 400, wide: 700, to: 400).count == 2)
    }

    @Test("so are layers of rows, through views, but not with weights that others have, too")
    func feedForwardsOfRows() throws {
        func fused(rows: [Int], sharing: Bool) throws -> [String] {
            var sketch = GraphSketch()
            let x = sketch.input("x", rows + [8])
            let (w, v) = (sketch.weights("w", [8, 24]), sketch.weights("v", [24, 8]))
            let a = sketch.node("a", .matmul, x, w)
            let g = sketch.node("g", .unary(.gelu(tanhApproximation: false)), a)
            sketch.output(sketch.add("y", x, sketch.node("b", .matmul, g, v)))
            if sharing {
                let z = sketch.node("z", .matmul, sketch.input("few", [2, 8]), w)
                sketch.output(z)
            }
            return try sketch.around("projection").after.nodeLines
        }
        let lines = try fused(rows: [2, 31], sharing: false)
        #expect(
            lines.contains {
                $0.contains("= matrix+residual[8->24]+gelu(tanhApproximation: false)+project[8](")
            }
        )
        #expect(lines.filter { $0.contains("matrix") }.count == 1)
        #expect(
            try fused(rows: [2, 31], sharing: true).filter { $0.contains("matrix") }.count == 3
        )
    }

    @Test("a gate that somebody else reads stays")
    func sharedGatesStay() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8])
        let gate = sketch.node("gate", .unary(.sigmoid), x)
        sketch.output(sketch.node("y", .binary(.multiply), gate, x), gate)
        let (before, after) = try sketch.around("silu")
        #expect(before.dump() == after.dump())
    }

    @Test("the later convolution of an addition takes the residual")
    func laterConvolutionTakesTheResidual() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let z = sketch.input("z", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let b = sketch.convolution("b", z, from: 8, to: 8)
        sketch.output(sketch.add("y", a, b))
        let (before, after) = try sketch.around("residual")
        #expect(
            before.nodeLines == [
                "0: a: float32[1x8x4x4] = \(convolution)(x)  # a",
                "1: b: float32[1x8x4x4] = \(convolution)(z)  # b",
                "2: y: float32[1x8x4x4] = add(a, b)  # y",
            ]
        )
        #expect(
            after.nodeLines == [
                "0: a: float32[1x8x4x4] = \(convolution)(x)  # a",
                "1: y: float32[1x8x4x4] = \(residual)(z, a)  # b",
            ]
        )
    }

    @Test("a product takes the residual of a sum with more axes, and writes it with those")
    func residualOfAView() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 3, 8])
        let z = sketch.input("z", [2, 3, 16])
        let product = sketch.node("p", .matmul, x, sketch.weights("w", [8, 16]))
        sketch.output(sketch.relu("y", sketch.add("sum", z, product)))
        let lines = try sketch.fused().nodeLines
        #expect(lines.count == 2)
        #expect(
            lines[1] == "1: y: float32[2x3x16] = matrix+residual[8->16](p.a, z) "
                + "then clamp(0.0, inf)  # p"
        )
    }

    @Test("broadcast, doubled and shared operands stay additions")
    func otherAdditionsStay() throws {
        var broadcast = GraphSketch()
        var x = broadcast.input("x", [1, 8, 4, 4])
        let row = broadcast.input("row", [1, 8, 1, 4])
        broadcast.output(
            broadcast.add("y", broadcast.convolution("a", x, from: 8, to: 8), row)
        )
        var doubled = GraphSketch()
        x = doubled.input("x", [1, 8, 4, 4])
        let a = doubled.convolution("a", x, from: 8, to: 8)
        doubled.output(doubled.add("y", a, a))
        var shared = GraphSketch()
        x = shared.input("x", [1, 8, 4, 4])
        let b = shared.convolution("b", x, from: 8, to: 8)
        shared.output(shared.add("y", b, x), b)
        for sketch in [broadcast, doubled, shared] {
            let (before, after) = try sketch.around("residual")
            #expect(before.dump() == after.dump())
        }
    }

    @Test("an activation joins its producer")
    func activationJoinsItsProducer() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let sum = sketch.add("sum", a, sketch.input("z", [1, 8, 4, 4]))
        sketch.output(sketch.relu("y", sum))
        let (before, after) = try sketch.around("activation")
        #expect(
            before.nodeLines == [
                "0: sum: float32[1x8x4x4] = \(residual)(x, z)  # a",
                "1: y: float32[1x8x4x4] = map(sum) then clamp(0.0, inf)  # y",
            ]
        )
        #expect(
            after.nodeLines == [
                "0: y: float32[1x8x4x4] = \(residual)(x, z) then clamp(0.0, inf)  # a"
            ]
        )
    }

    @Test("a value that the caller sees keeps its activation apart")
    func visibleValuesStay() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        sketch.output(sketch.relu("y", a), a)
        let (before, after) = try sketch.around("activation")
        #expect(before.dump() == after.dump())
    }

    @Test("two activations in a row: only the first joins")
    func secondActivationStays() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let r = sketch.relu("r", a)
        sketch.output(sketch.node("y", .unary(.tanh), r))
        let (_, after) = try sketch.around("activation")
        #expect(
            after.nodeLines == [
                "0: r: float32[1x8x4x4] = \(convolution)(x) then clamp(0.0, inf)  # a",
                "1: y: float32[1x8x4x4] = map(r) then tanh  # y",
            ]
        )
    }

    @Test("without fusion every operator stands alone")
    func withoutFusion() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        sketch.output(sketch.relu("y", sketch.add("sum", a, x)))
        let plain = try fuse(try sketch.bound(), catalog: FixedCatalog(), fuses: false)
        #expect(plain.nodes.filter { $0.activation != .none }.count == 1)
        #expect(plain.onlyConvolution?.hasResidual == false)
    }
}
