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
}
