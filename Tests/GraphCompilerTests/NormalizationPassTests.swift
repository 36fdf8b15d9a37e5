import GraphCompiler
import GraphIR
import Testing

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

    private let mean = Operator.reduce(
        Reduction(kind: .mean, keepsDimensions: true, ignoresEmptyAxes: false)
    )

    /// x, and 1 / its standard deviation along an axis, and its mean.
    private func statistics(
        _ sketch: inout GraphSketch,
        shape: [Int],
        axis: Int64
    ) -> (x: ValueID, centred: ValueID, inverse: ValueID, mean: ValueID) {
        let x = sketch.input("x", shape)
        let axes = sketch.integers("axes", [axis])
        let m = sketch.node("m", mean, x, axes)
        let centred = sketch.node("c", .binary(.subtract), x, m)
        let squares = sketch.node("s", .binary(.multiply), centred, centred)
        let variance = sketch.node("v", mean, squares, axes)
        let sum = sketch.add("e", variance, sketch.floats("epsilon", [], [0.5]))
        let root = sketch.node("r", .unary(.sqrt), sum)
        return (x, centred, sketch.node("i", .unary(.reciprocal), root), m)
    }

    /// x * f + (shift - mean * f), or only x * f - mean * f.
    private func summed(
        _ shape: [Int],
        axis: Int64,
        vectors: [Int],
        hasShift: Bool
    ) throws -> FusedGraph {
        var sketch = GraphSketch()
        let (x, _, inverse, m) = statistics(&sketch, shape: shape, axis: axis)
        let f = sketch.node("f", .binary(.multiply), inverse, sketch.weights("scale", vectors))
        let product = sketch.node("p", .binary(.multiply), x, f)
        let offset = sketch.node("o", .binary(.multiply), m, f)
        if hasShift {
            let shift = sketch.weights("shift", vectors)
            let other = sketch.node("d", .binary(.subtract), shift, offset)
            sketch.output(sketch.add("y", product, other))
        } else {
            sketch.output(sketch.node("y", .binary(.subtract), product, offset))
        }
        return try sketch.fused()
    }

    @Test("TensorFlow's form is a normalization of rows", arguments: [true, false])
    func sumOfProducts(hasShift: Bool) throws {
        let fused = try summed([2, 5, 7, 48], axis: 3, vectors: [48], hasShift: hasShift)
        let kernels = fused.nodes.map { String(describing: $0.kernel) }
        #expect(kernels.count { $0.hasPrefix("normalize") } == 1)
        #expect(fused.nodes.count == 1)
    }

    @Test("over the channels of images it is one of pixels", arguments: [true, false])
    func overChannels(isQuotient: Bool) throws {
        var fused: FusedGraph
        if isQuotient {
            var sketch = GraphSketch()
            let (_, centred, inverse, _) = statistics(&sketch, shape: [2, 48, 5, 7], axis: 1)
            let normal = sketch.node("n", .binary(.multiply), centred, inverse)
            let vector = sketch.weights("scale", [48, 1, 1])
            let scaled = sketch.node("t", .binary(.multiply), vector, normal)
            sketch.output(sketch.add("y", scaled, sketch.weights("shift", [1, 48, 1, 1])))
            fused = try sketch.fused()
        } else {
            fused = try summed([2, 48, 5, 7], axis: 1, vectors: [48, 1, 1], hasShift: true)
        }
        let normal = fused.nodes.first { node in
            if case .normalize(70, 48, 0.5, true, true) = node.kernel { true } else { false }
        }
        #expect(normal != nil)
        #expect(fused.nodes.count == 3)
    }
}
