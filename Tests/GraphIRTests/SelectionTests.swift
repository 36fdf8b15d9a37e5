import GraphIR
import Testing

/// Operators whose results are as large as the data says.
@Suite("selections") struct SelectionTests {
    private func results(
        _ composite: Composite,
        _ inputs: [DenseTensor?],
        count: Int = 1
    ) throws -> [DenseTensor] {
        try evaluateReference(.composite(composite), inputs: inputs, outputCount: count)
    }

    @Test("coordinates of what is not zero, in row-major order")
    func nonZero() throws {
        let found = try results(.nonZero, [floats([2, 3], [0, 5, 0, .nan, 0, -1])])[0]
        #expect(found.shape == [2, 3])
        #expect(found.integers == [0, 1, 1, 1, 0, 2])
        #expect(try results(.nonZero, [floats([4], [0, 0, 0, 0])])[0].shape == [1, 0])
        #expect(try results(.nonZero, [floats([], [3])])[0].shape == [1, 1])
        #expect(try results(.nonZero, [floats([0, 2], [])])[0].shape == [2, 0])
    }

    @Test("places that count from the end of what is real count from the front")
    func placesFromFront() throws {
        let found = try results(.placesFromFront, [integers([0, -1, 4, -5]), integers([5])])[0]
        #expect(found.integers == [0, 4, 4, 0])
    }

    @Test("compression keeps what a condition says, which may be shorter than the axis")
    func compress() throws {
        let condition = DenseTensor(shape: [2], integers: [0, 1], dtype: .bool)
        let x = counting([3, 2])
        #expect(try results(.compress(axis: 0), [x, condition])[0].floats == [2, 3])
        #expect(try results(.compress(axis: -1), [x, condition])[0].floats == [1, 3, 5])
        #expect(try results(.compress(axis: nil), [x, condition])[0].floats == [1])
        let long = DenseTensor(shape: [4], integers: [1, 1, 1, 1], dtype: .bool)
        #expect(throws: ShapeError.self) { try results(.compress(axis: 0), [x, long]) }
    }

    @Test("unique elements: sorted, or in the order they appear")
    func unique() throws {
        let x = floats([6], [2, 1, 1, 3, .nan, 1])
        let sorted = try results(.unique(axis: nil, isSorted: true), [x], count: 4)
        #expect(sorted[0].floats.dropLast() == [1, 2, 3])
        #expect(sorted[1].integers == [1, 0, 3, 4])
        #expect(sorted[2].integers == [1, 0, 0, 2, 3, 0])
        #expect(sorted[3].integers == [3, 1, 1, 1])
        let appearing = try results(.unique(axis: nil, isSorted: false), [x], count: 4)
        #expect(appearing[0].floats.prefix(3) == [2, 1, 3])
        #expect(appearing[1].integers == [0, 1, 3, 4])
        #expect(appearing[2].integers == [0, 1, 1, 2, 3, 1])
        #expect(appearing[3].integers == [1, 3, 1, 1])
    }

    @Test("unique slices compare from their first element on")
    func uniqueSlices() throws {
        let x = floats([3, 2], [1, 0, 0, 7, 1, 0])
        let rows = try results(.unique(axis: 0, isSorted: true), [x], count: 4)
        #expect(rows[0].shape == [2, 2])
        #expect(rows[0].floats == [0, 7, 1, 0])
        #expect(rows[1].integers == [1, 0])
        #expect(rows[2].integers == [1, 0, 1])
        #expect(rows[3].integers == [1, 2])
        let columns = try results(.unique(axis: 1, isSorted: true), [x], count: 2)
        #expect(columns[0].floats == [0, 1, 7, 0, 0, 1])
    }

    @Test("of boxes that overlap the best one is left")
    func suppression() throws {
        // Boxes 0 and 1 overlap by 0.9, box 2 stands apart, box 3 is box 0 with its corners swapped.
        let boxes = floats(
            [1, 4, 4],
            [0, 0, 10, 10, 0, 0, 9, 10, 20, 20, 30, 30, 10, 10, 0, 0]
        )
        let scores = floats([1, 2, 4], [0.5, 0.9, 0.3, 0.5, 0.1, 0, 0.8, 0.7])
        func kept(_ most: Int64, overlap: Float, least: Float?) throws -> [Int64]? {
            var inputs: [DenseTensor?] = [boxes, scores, integers([most]), floats([1], [overlap])]
            if let least { inputs.append(floats([1], [least])) }
            return try results(.nonMaxSuppression(boxesAreCentred: false), inputs)[0].integers
        }
        #expect(try kept(4, overlap: 0.5, least: 0.2) == [0, 0, 1, 0, 0, 2, 0, 1, 2, 0, 1, 3])
        #expect(try kept(1, overlap: 0.5, least: 0.6) == [0, 0, 1, 0, 1, 2])
        #expect(try kept(0, overlap: 0.5, least: nil) == [])
        // Above all overlaps nothing goes, and equal scores keep their order.
        #expect(
            try kept(4, overlap: 1, least: 0.45) == [0, 0, 1, 0, 0, 0, 0, 0, 3, 0, 1, 2, 0, 1, 3]
        )
    }

    @Test("extents go with their axis, and stop where an operator mixes its elements")
    func extents() throws {
        let count = ValueID(9)
        let rows = BoundedOperand(type: TensorType(.float32, [10, 4]), extents: [0: count])
        func extents(
            _ op: Operator,
            _ inputs: [BoundedOperand?],
            _ shape: [Int]
        ) throws -> Extents {
            try inferExtents(of: op, inputs: inputs, outputs: [TensorType(.float32, shape)])[0]
        }
        func constant(_ elements: [Int64]) -> BoundedOperand {
            let tensor = integers(elements)
            return BoundedOperand(type: tensor.type, extents: [:], literal: tensor)
        }
        func whole(_ shape: [Int]) -> BoundedOperand {
            BoundedOperand(type: TensorType(.float32, shape), extents: [:])
        }
        #expect(try extents(.transpose(permutation: nil), [rows], [4, 10]) == [1: count])
        #expect(try extents(.binary(.add), [whole([1]), rows], [10, 4]) == [0: count])
        #expect(try extents(.softmax(axis: 1, flattened: false), [rows], [10, 4]) == [0: count])
        #expect(try extents(.unsqueeze, [rows, constant([0])], [1, 10, 4]) == [1: count])
        let split = constant([-1, 2, 2])
        #expect(try extents(.reshape(allowZero: false), [rows, split], [10, 2, 2]) == [0: count])
        #expect(
            try extents(.gather(axis: 1), [whole([2, 5, 3]), rows], [2, 10, 4, 3]) == [1: count]
        )
        let refused: [(Operator, [BoundedOperand?], [Int])] = [
            (.softmax(axis: 0, flattened: false), [rows], [10, 4]),
            (.binary(.add), [rows, whole([10, 4])], [10, 4]),
            (.reshape(allowZero: false), [rows, constant([10, 4])], [10, 4]),
            (.reshape(allowZero: false), [rows, constant([40])], [40]),
            (.concat(axis: 0), [rows, whole([1, 4])], [11, 4]),
            (.gather(axis: 0), [rows, constant([-1])], [1, 4]),
            (.size, [rows], []),
        ]
        for (op, inputs, shape) in refused {
            #expect(throws: ShapeError.self, "\(op)") { try extents(op, inputs, shape) }
        }
    }
}
