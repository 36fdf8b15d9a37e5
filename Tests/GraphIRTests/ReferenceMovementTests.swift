import GraphIR
import Testing

@Suite struct ReferenceMovementTests {
    @Test func padModes() throws {
        let x = floats([3], [1, 2, 3])
        let pads = integers([2, 4])
        #expect(
            try evaluate(.pad(.constant), x, pads, floats([], [9])).floats
                == [9, 9, 1, 2, 3, 9, 9, 9, 9]
        )
        #expect(try evaluate(.pad(.edge), x, pads).floats == [1, 1, 1, 2, 3, 3, 3, 3, 3])
        #expect(try evaluate(.pad(.reflect), x, pads).floats == [3, 2, 1, 2, 3, 2, 1, 2, 3])
        #expect(try evaluate(.pad(.wrap), x, pads).floats == [2, 3, 1, 2, 3, 1, 2, 3, 1])
        let crop = integers([-1, 2])
        #expect(try evaluate(.pad(.constant), x, crop).floats == [2, 3, 0, 0])
        #expect(try evaluate(.pad(.wrap), x, crop).floats == [2, 3, 2, 3])
        #expect(try evaluate(.pad(.edge), x, crop).floats == [2, 3, 3, 3])
        let rows = try evaluate(
            .pad(.constant),
            counting([1, 2]),
            integers([1, 0]),
            nil,
            integers([-2])
        )
        #expect(rows == floats([2, 2], [0, 0, 0, 1]))
    }

    @Test func slices() throws {
        let x = counting([2, 4])
        let y = try evaluate(
            .slice,
            x,
            integers([-1, 0]),
            integers([.min, .max]),
            integers([1, 0]),
            integers([-2, 1])
        )
        #expect(y == floats([2, 2], [3, 1, 7, 5]))
        #expect(
            try evaluate(.slice, x, integers([1]), integers([2])) == floats([1, 4], [4, 5, 6, 7])
        )
    }

    @Test func gatherCountsFromTheEndToo() throws {
        let x = counting([2, 3])
        let indices = DenseTensor(shape: [1, 2], integers: [-1, 0])
        #expect(
            try evaluate(.gather(axis: 1), x, indices) == floats([2, 1, 2], [2, 0, 5, 3])
        )
        let scalar = DenseTensor(shape: [], integers: [1], dtype: .int32)
        #expect(try evaluate(.gather(axis: 0), x, scalar) == floats([3], [3, 4, 5]))
        #expect(throws: ShapeError.self) { try evaluate(.gather(axis: 1), x, integers([3])) }
        #expect(throws: ShapeError.self) { try evaluate(.gather(axis: 1), x, integers([-4])) }
    }

    @Test func joinsAndParts() throws {
        let (a, b) = (counting([2, 2]), counting([2, 1]))
        let joined = try evaluate(.concat(axis: -1), a, b)
        #expect(joined == floats([2, 3], [0, 1, 0, 2, 3, 1]))
        let parts = try evaluateReference(
            .split(axis: 1),
            inputs: [joined, integers([2, 1])],
            outputCount: 2
        )
        #expect(parts == [a, b])
        #expect(throws: ShapeError.self) { try shape(.concat(axis: 0), a, b) }
    }

    @Test func transposeExpandTile() throws {
        let x = counting([2, 3])
        #expect(
            try evaluate(.transpose(permutation: nil), x) == floats([3, 2], [0, 3, 1, 4, 2, 5])
        )
        #expect(
            try evaluate(.transpose(permutation: [1, 0, 2]), counting([2, 1, 2])).shape
                == [1, 2, 2]
        )
        #expect(
            try evaluate(.expand, floats([2, 1], [1, 2]), integers([1, 2]))
                == floats([2, 2], [1, 1, 2, 2])
        )
        #expect(
            try evaluate(.tile, floats([1, 2], [1, 2]), integers([2, 2]))
                == floats([2, 4], [1, 2, 1, 2, 1, 2, 1, 2])
        )
        #expect(try evaluate(.tile, x, integers([0, 1])).shape == [0, 3])
        #expect(throws: ShapeError.self) { try shape(.tile, x, integers([-1, 1])) }
    }

    @Test func filledAndCounted() throws {
        let zeros = try evaluate(.constantOfShape(value: 2.5, dtype: .float16), integers([2, 1]))
        #expect(zeros.type == TensorType(.float16, [2, 1]))
        #expect(zeros.floats == [2.5, 2.5])
        let scalar = try evaluate(.constantOfShape(value: 1, dtype: .int64), integers([]))
        #expect(scalar.shape == [] && scalar.integers == [1])
        let limits = [5, -1, -2].map { DenseTensor(shape: [], integers: [Int64($0)]) }
        #expect(try evaluate(.range, limits[0], limits[1], limits[2]).integers == [5, 3, 1])
    }
}
