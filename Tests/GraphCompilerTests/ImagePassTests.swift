import GraphCompiler
import GraphIR
import Testing

@Suite("Lines and volumes as images")
struct LiftToImagesTests {
    private func convolution(
        _ sketch: inout GraphSketch,
        _ name: String,
        _ x: ValueID,
        _ weights: [Int]
    ) -> ValueID {
        let same = Convolution(padding: .explicit([weights[2] / 2, weights[2] / 2]))
        let w = sketch.weights(name + ".w", weights)
        return sketch.node(name, .convolution(same), x, w)
    }

    @Test("what is done between convolutions of one axis is done to images")
    func elementsBecomeImages() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 8, 10])
        let a = convolution(&sketch, "a", x, [16, 8, 3])
        let gate = sketch.input("gate", [16, 1])
        let gated = sketch.node("gated", .binary(.multiply), gate, a)
        let both = sketch.node("both", .concat(axis: 1), sketch.relu("relu", gated), x)
        let b = convolution(&sketch, "b", both, [16, 24, 1])
        let mean = Reduction(kind: .mean, keepsDimensions: false, ignoresEmptyAxes: false)
        sketch.output(sketch.node("mean", .reduce(mean), b, sketch.integers("axes", [2])))
        let after = try sketch.around("image").after
        #expect(
            after.nodeLines == [
                "0: a.x: float32[2x8x1x10] = copy[1](x)  # a.x",
                "1: a.y: float32[2x16x1x10] = "
                    + "conv.tile[1x3 8->16 stride 1x1 group 1 parts 1](a.x)  # a.y",
                "2: gate: float32[1x16x1x1] = copy[1](gate)  # gate",
                "3: gated: float32[2x16x1x10] = multiply(gate, a.y)  # gated",
                "4: relu: float32[2x16x1x10] = map(gated) then clamp(0.0, inf)  # relu",
                "5: both: float32[2x24x1x10] = copy[2](relu, a.x)  # both",
                "6: b.y: float32[2x16x1x10] = "
                    + "conv.tile[1x1 24->16 stride 1x1 group 1 parts 1](both)  # b.y",
                "7: mean: float32[2x16x1x1] = globalaverage(b.y)  # mean",
                "8: mean: float32[2x16] = copy[1](mean)  # mean",
            ]
        )
    }

    @Test("what is done between convolutions of three axes is done to slices")
    func volumesBecomeSlices() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 16, 4, 5, 6])
        let w = sketch.weights("w", [8, 16, 1, 3, 3])
        let a = sketch.node("a", .convolution(Convolution()), x, w)
        let factor = sketch.weights("factor", [8, 1, 1, 1])
        let scaled = sketch.node("scaled", .binary(.multiply), a, factor)
        let both = sketch.node("both", .concat(axis: 1), scaled, sketch.relu("relu", a))
        let deep = Convolution(strides: [2, 1, 1], padding: .explicit([1, 0, 0, 0, 0, 0]))
        let v = sketch.weights("v", [8, 16, 3, 1, 1])
        sketch.output(sketch.node("b", .convolution(deep), both, v))
        let after = try sketch.around("image").after
        #expect(
            after.nodeLines == [
                "0: a.x: float32[4x16x5x6] = copy[1](x)  # a.x",
                "1: a.y: float32[4x8x3x4] = "
                    + "conv.tile[3x3 16->8 stride 1x1 group 1 parts 1](a.x)  # a.y",
                "2: scaled: float32[4x8x3x4] = multiply(a.y, factor)  # scaled",
                "3: relu: float32[4x8x3x4] = map(a.y) then clamp(0.0, inf)  # relu",
                "4: both: float32[4x16x3x4] = copy[2](scaled, relu)  # both",
                "5: b.stack: float32[2x48x3x4] = copy[4](both, b.stack.outside)  # b.stack",
                "6: b.y: float32[2x8x3x4] = "
                    + "conv.tile[1x1 48->8 stride 1x1 group 1 parts 1](b.stack)  # b.y",
                "7: b: float32[1x8x2x3x4] = copy[1](b.y)  # b",
            ]
        )
    }

    @Test("other lines stay")
    func othersStay() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 8, 10])
        let sum = sketch.add("sum", x, sketch.relu("relu", x))
        sketch.output(sketch.node("y", .softmax(axis: 2, flattened: false), sum))
        let (before, after) = try sketch.around("image")
        #expect(before.dump() == after.dump())
    }
}
