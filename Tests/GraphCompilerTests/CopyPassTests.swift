import GraphCompiler
import GraphIR
import Testing

@Suite("Copies of copies")
struct CopyPassTests {
    /// Those that move something: a reshape is a box of one axis.
    private func copies(_ graph: FusedGraph) -> [CopyKernel] {
        graph.nodes.compactMap {
            guard case .copy(let copy) = $0.kernel else { return nil }
            return copy.boxes.contains { $0.dimensions.count > 1 } ? copy : nil
        }
    }

    /// Rows of queries, keys and values of two heads, each head of each to itself.
    private func heads(readBy last: (inout GraphSketch, ValueID) -> Void) throws -> FusedGraph {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 5, 18])
        let e = sketch.node("e", .unary(.exp), x)
        let shape = sketch.integers("shape", [1, 5, 3, 2, 3])
        let r = sketch.node("r", .reshape(allowZero: false), e, shape)
        let t = sketch.node("t", .transpose(permutation: [2, 0, 3, 1, 4]), r)
        let (axis, steps) = (sketch.integers("axis", [0]), sketch.integers("steps", [1]))
        for part in 0..<3 as Range<Int64> {
            let (start, end) = (
                sketch.integers("start\(part)", [part]), sketch.integers("end\(part)", [part + 1])
            )
            let s = sketch.node("s\(part)", .slice, t, start, end, axis, steps)
            let v = sketch.node("v\(part)", .flatten(axis: 2), s)
            sketch.output(sketch.node("y\(part)", .softmax(axis: 1, flattened: false), v))
        }
        last(&sketch, t)
        return try sketch.fused()
    }

    @Test("each part of a transposed tensor is moved once")
    func partsOfTransposed() throws {
        let found = copies(try heads { _, _ in })
        #expect(found.count == 3)
        #expect(found.map { $0.boxes[0].inputOffset } == [0, 6, 12])
    }

    @Test("a transposed tensor that something else reads stays")
    func transposedIsReadOtherwise() throws {
        let found = copies(
            try heads { sketch, t in sketch.output(sketch.node("z", .unary(.tanh), t)) }
        )
        #expect(found.count == 4)
    }

    @Test("a transposed tensor that the caller gets stays")
    func transposedIsOutput() throws {
        #expect(copies(try heads { sketch, t in sketch.output(t) }).count == 4)
    }

    private func slice(
        _ sketch: inout GraphSketch,
        _ name: String,
        _ x: ValueID,
        axis: Int64,
        _ range: Range<Int64>
    ) -> ValueID {
        sketch.node(
            name,
            .slice,
            x,
            sketch.integers("\(name).start", [range.lowerBound]),
            sketch.integers("\(name).end", [range.upperBound]),
            sketch.integers("\(name).axis", [axis]),
            sketch.integers("\(name).step", [1])
        )
    }

    @Test("a rolled tensor is one copy of two boxes")
    func rolled() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 6, 7, 4])
        let e = sketch.node("e", .unary(.exp), x)
        let a = slice(&sketch, "a", e, axis: 2, 3..<7)
        let b = slice(&sketch, "b", e, axis: 2, 0..<3)
        sketch.output(sketch.node("y", .unary(.tanh), sketch.node("c", .concat(axis: 2), a, b)))
        let found = copies(try sketch.fused())
        #expect(found.map(\.boxes.count) == [2])
        #expect(found.first?.boxes.map(\.inputOffset) == [12, 0])
    }

    @Test("a slice that is read much later is cut off at once")
    func readLater() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [4, 6])
        let e = sketch.node("e", .unary(.exp), x)
        let part = slice(&sketch, "part", e, axis: 0, 0..<1)
        let t = sketch.node("t", .softmax(axis: 1, flattened: false), e)
        let turned = sketch.node("turned", .transpose(permutation: [1, 0]), part)
        sketch.output(
            t,
            sketch.node("y", .unary(.tanh), slice(&sketch, "z", turned, axis: 0, 1..<4))
        )
        #expect(copies(try sketch.fused()).contains { $0.boxes[0].dimensions == [1, 6] })
    }

    /// The source element of each element of a box's result, nil where it writes nothing.
    private func sources(_ box: StridedBox, count: Int) -> [Int?] {
        var result = [Int?](repeating: nil, count: count)
        for index in 0..<box.dimensions.reduce(1, *) {
            var (rest, from, to) = (index, box.inputOffset, box.outputOffset)
            for axis in box.dimensions.indices.reversed() {
                let place = rest % box.dimensions[axis]
                rest /= box.dimensions[axis]
                from += place * box.inputStrides[axis]
                to += place * box.outputStrides[axis]
            }
            result[to] = from
        }
        return result
    }

    private func strides(_ shape: [Int]) -> [Int] {
        shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
    }

    @Test(
        "a box that reads through another finds what that one wrote",
        arguments: 0..<4 as Range<UInt64>
    )
    func composition(seed: UInt64) {
        var random = Random(seed: seed)
        var joined = 0
        for _ in 0..<500 {
            // A transposition, with axes repeated or cut out of larger ones.
            let shape = (0..<random.below(4) + 1).map { _ in [1, 2, 3, 4, 6][random.below(5)] }
            var inputStrides = strides(shape.map { $0 + random.below(2) })
            if random.below(4) == 0 { inputStrides[random.below(shape.count)] = 0 }
            let first = turned(shape, from: random.below(3), inputStrides, to: 0, &random)
            let count = shape.reduce(1, *)
            // What that wrote in another shape, parts of its axes forwards or backwards, in any order.
            let seen = random.below(2) == 0 ? first.dimensions : regrouped(count, &random)
            let places = strides(seen)
            var (sizes, steps, offset) = ([Int](), [Int](), 0)
            for axis in seen.indices {
                let step = random.below(2) + 1
                let size = random.below((seen[axis] + step - 1) / step) + 1
                let start = random.below(seen[axis] - (size - 1) * step)
                let isReversed = random.below(4) == 0
                sizes.append(size)
                steps.append(isReversed ? -step * places[axis] : step * places[axis])
                offset += (isReversed ? start + (size - 1) * step : start) * places[axis]
            }
            let second = turned(sizes, from: offset, steps, to: 2, &random)
            guard let through = second.reading(through: first) else { continue }
            joined += 1
            let total = sizes.reduce(1, *) + 2
            let written = sources(first, count: count)
            let expected = sources(second, count: total).map { place in
                place.flatMap { written[$0] }
            }
            #expect(sources(through, count: total) == expected, "\(first) \(second)")
        }
        #expect(joined > 200)
    }

    /// A box whose axes stand in the result in any order.
    private func turned(
        _ shape: [Int],
        from offset: Int,
        _ inputStrides: [Int],
        to outputOffset: Int,
        _ random: inout Random
    ) -> StridedBox {
        var order = Array(shape.indices)
        for axis in order.indices { order.swapAt(axis, random.below(order.count)) }
        let dimensions = order.map { shape[$0] }
        return StridedBox(
            input: 0,
            dimensions: dimensions,
            inputOffset: offset,
            inputStrides: order.map { inputStrides[$0] },
            outputOffset: outputOffset,
            outputStrides: strides(dimensions)
        )
    }

    private func regrouped(_ count: Int, _ random: inout Random) -> [Int] {
        var (rest, shape) = (count, [Int]())
        while rest > 1, shape.count < 3 {
            let divisor = (1...rest).filter { rest.isMultiple(of: $0) }
            let size = divisor[random.below(divisor.count)]
            shape.append(size)
            rest /= size
        }
        return shape + [rest]
    }
}
