import GraphCompiler
import GraphIR
import Testing

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
