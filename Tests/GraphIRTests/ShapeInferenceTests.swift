import GraphIR
import Testing

@Suite struct ShapeInferenceTests {
    let x = counting([2, 3, 4])

    @Test func reshapeCopiesAndInfers() throws {
        #expect(try shape(.reshape(allowZero: false), x, integers([0, -1])) == [2, 12])
        #expect(try shape(.reshape(allowZero: false), x, integers([-1])) == [24])
        let empty = counting([0, 3])
        #expect(try shape(.reshape(allowZero: true), empty, integers([3, 0])) == [3, 0])
        for wanted in [
            [5, -1], [-1, -1], [-2, 12], [2, 3, 4, 0], [.max, .max], [1 << 40, 2], [],
        ] as [[Int64]] {
            #expect(throws: ShapeError.self) {
                try shape(.reshape(allowZero: false), x, integers(wanted))
            }
        }
        #expect(throws: ShapeError.self) {
            try shape(.reshape(allowZero: true), empty, integers([0, -1]))
        }
    }

    @Test func dataKnownOnlyAtRunTimeIsNamed() {
        do throws(ShapeError) {
            _ = try inferTypes(
                of: .reshape(allowZero: false),
                inputs: [TensorType(.float32, [4]), TensorType(.int64, [2])],
                literals: [nil, nil],
                outputCount: 1
            )
            Issue.record("a shape came out of nowhere")
        } catch {
            #expect(error.message.contains("run time"))
            #expect(error.message.contains("input 1 (shape)"))
        }
    }

    @Test func axesAreResolvedOnce() throws {
        #expect(try resolveAxes([-1, 0], rank: 3) == [2, 0])
        for axes in [[3], [-4], [0, -3], [.min], [.max]] {
            #expect(throws: ShapeError.self) { try resolveAxes(axes, rank: 3) }
        }
        #expect(try shape(.flatten(axis: -1), x) == [6, 4])
        #expect(try shape(.flatten(axis: 3), x) == [24, 1])
        #expect(try shape(.flatten(axis: 0), x) == [1, 24])
        #expect(throws: ShapeError.self) { try shape(.flatten(axis: 4), x) }
        #expect(try shape(.unsqueeze, x, integers([-1, 0])) == [1, 2, 3, 4, 1])
        #expect(throws: ShapeError.self) { try shape(.unsqueeze, x, integers([0, -5])) }
        #expect(try shape(.squeeze, counting([1, 3, 1])) == [3])
        #expect(try shape(.squeeze, counting([1, 3, 1]), integers([-1])) == [1, 3])
        #expect(throws: ShapeError.self) { try shape(.squeeze, x, integers([0])) }
        #expect(throws: ShapeError.self) { try shape(.transpose(permutation: [0, 0, 1]), x) }
    }

    @Test func matrixProductsFollowNumpy() throws {
        let cases: [([Int], [Int], [Int])] = [
            ([3], [3], []), ([3], [3, 4], [4]), ([2, 3], [3], [2]), ([5, 2, 3], [3], [5, 2]),
            ([3], [5, 3, 4], [5, 4]), ([2, 1, 3, 4], [5, 4, 2], [2, 5, 3, 2]),
            ([2, 0], [0, 3], [2, 3]),
        ]
        for (a, b, result) in cases {
            #expect(try shape(.matmul, counting(a), counting(b)) == result)
        }
        for (a, b) in [([], [3]), ([2, 3], [2, 3]), ([2, 2, 2], [3, 2, 2])] as [([Int], [Int])] {
            #expect(throws: ShapeError.self) { try shape(.matmul, counting(a), counting(b)) }
        }
    }

    @Test func gemmBroadcastsItsThirdOperandOneWay() throws {
        let gemm = Operator.gemm(Gemm(transposeA: true, transposeB: false))
        let (a, b) = (counting([3, 2]), counting([3, 4]))
        for c in [[], [1], [4], [2, 1], [1, 4], [2, 4]] {
            #expect(try shape(gemm, a, b, counting(c)) == [2, 4])
        }
        for c in [[2], [1, 2, 4], [4, 2]] {
            #expect(throws: ShapeError.self) { try shape(gemm, a, b, counting(c)) }
        }
    }

    @Test func splitsGiveTheLastPartTheRest() throws {
        #expect(try resolveSplit(of: 7, sizes: nil, count: 3) == [3, 3, 1])
        #expect(try resolveSplit(of: 4, sizes: nil, count: 3) == [2, 2, 0])
        #expect(try resolveSplit(of: 6, sizes: [1, 5], count: 2) == [1, 5])
        #expect(throws: ShapeError.self) { try resolveSplit(of: 5, sizes: nil, count: 4) }
        for sizes in [[1, 4], [-1, 7], [6], [.max, .max]] {
            #expect(throws: ShapeError.self) { try resolveSplit(of: 6, sizes: sizes, count: 2) }
        }
    }

    @Test func slicesClampTheirBounds() throws {
        func bounds(_ size: Int, _ start: Int, _ end: Int, _ step: Int) throws -> [Int] {
            let slice = try resolveSliceBounds(
                shape: [size],
                starts: [start],
                ends: [end],
                axes: [-1],
                steps: [step]
            )[0]
            return (0..<slice.count).map { slice.start + $0 * slice.step }
        }
        #expect(try bounds(5, 1, .max, 2) == [1, 3])
        #expect(try bounds(5, -2, 99, 1) == [3, 4])
        #expect(try bounds(5, -1, .min, -1) == [4, 3, 2, 1, 0])
        #expect(try bounds(5, 99, 1, -2) == [4, 2])
        #expect(try bounds(5, 4, .max, -3) == [4, 1])
        #expect(try bounds(5, 3, 3, 1) == [])
        #expect(try bounds(5, 0, -99, -1) == [0])
        #expect(try bounds(0, 0, .max, -1) == [])
        #expect(try bounds(5, .min, .max, .max) == [0])
        #expect(try bounds(5, 9, .min, .min) == [4])
        #expect(throws: ShapeError.self) { try bounds(5, 0, 5, 0) }
    }

    @Test func padsMayBeNegativeButNotBeyondTheAxis() throws {
        let pad = Operator.pad(.constant)
        #expect(try shape(pad, counting([5]), integers([-2, 4])) == [7])
        #expect(throws: ShapeError.self) { try shape(pad, counting([5]), integers([-3, -3])) }
        #expect(throws: ShapeError.self) { try shape(pad, counting([5]), integers([.max, 1])) }
        #expect(throws: ShapeError.self) { try shape(pad, counting([5]), integers([1])) }
        #expect(throws: ShapeError.self) {
            try shape(.pad(.edge), counting([2]), integers([-3, 5]))
        }
    }

    @Test func rangesCountTheirElements() throws {
        func count(_ start: Int64, _ limit: Int64, _ delta: Int64) throws -> Int {
            let scalars = [start, limit, delta].map { DenseTensor(shape: [], integers: [$0]) }
            return try shape(.range, scalars[0], scalars[1], scalars[2])[0]
        }
        #expect(try count(0, 10, 3) == 4)
        #expect(try count(10, 0, -3) == 4)
        #expect(try count(0, 10, -1) == 0)
        #expect(throws: ShapeError.self) { try count(0, 10, 0) }
        #expect(throws: ShapeError.self) { try count(.min, .max, 1) }
        #expect(throws: ShapeError.self) { try count(0, .max, 1) }
        let fractions = [Float(0), 0.7, 0.1].map { floats([], [$0]) }
        #expect(try shape(.range, fractions[0], fractions[1], fractions[2]) == [7])
        #expect(throws: ShapeError.self) {
            try shape(.range, fractions[0], floats([], [.infinity]), fractions[2])
        }
        #expect(try shape(.range, fractions[0], floats([], [-1e30]), floats([], [1e-30])) == [0])
    }

    @Test func sizesThatOverflowAreRefused() {
        let huge = TensorType(.float32, [1 << 30])
        let matrix = TensorType(.float32, [1 << 16, 1 << 14])
        func infer(_ op: Operator, _ types: [TensorType], _ literals: [DenseTensor?] = []) throws {
            _ = try inferTypes(of: op, inputs: types, literals: literals, outputCount: 1)
        }
        #expect(throws: ShapeError.self) { try infer(.concat(axis: 0), [huge, huge, huge]) }
        #expect(throws: ShapeError.self) {
            try infer(
                .matmul,
                [TensorType(.float32, [1 << 30, 1]), TensorType(.float32, [1, 4])]
            )
        }
        #expect(throws: ShapeError.self) {
            try infer(.identity, [TensorType(.float32, [1 << 40, 1 << 40])])
        }
        #expect(throws: ShapeError.self) { try infer(.identity, [TensorType(.float32, [-1])]) }
        #expect(throws: ShapeError.self) {
            let repeats = integers([.max, .max])
            try infer(.tile, [matrix, repeats.type], [nil, repeats])
        }
        #expect(throws: ShapeError.self) {
            let shape = integers([.max, 1])
            try infer(.constantOfShape(value: 0, dtype: .int8), [shape.type], [shape])
        }
        #expect(throws: ShapeError.self) {
            try infer(.gather(axis: 0), [matrix, TensorType(.int64, [1 << 30])])
        }
        #expect(throws: ShapeError.self) {
            try evaluateReference(
                .constantOfShape(value: 0, dtype: .int8),
                inputs: [integers([1 << 39])]
            )
        }
    }

    @Test func countsAndTypesOfOperandsAreChecked() {
        #expect(throws: ShapeError.self) { try shape(.matmul, x) }
        #expect(throws: ShapeError.self) { try shape(.binary(.add), x, nil) }
        #expect(throws: ShapeError.self) { try shape(.identity, x, x) }
        #expect(throws: ShapeError.self) { try shape(.binary(.add), x, integers([1, 2, 3, 4])) }
        #expect(throws: ShapeError.self) { try shape(.unary(.exp), integers([1])) }
        #expect(throws: ShapeError.self) { try shape(.unary(.not), x) }
        #expect(throws: ShapeError.self) { try shape(.reshape(allowZero: false), x, x) }
        #expect(throws: ShapeError.self) {
            try inferTypes(of: .identity, inputs: [x.type], literals: [], outputCount: 2)
        }
        let broken = DenseTensor(type: TensorType(.int64, [3]), storage: .integers([1]))
        #expect(throws: ShapeError.self) { try shape(.reshape(allowZero: false), x, broken) }
        #expect(throws: ShapeError.self) { try evaluate(.identity, broken) }
    }

    @Test func shapeReportsAPartOfTheAxes() throws {
        #expect(try evaluate(.shape(start: 0, end: nil), x).integers == [2, 3, 4])
        #expect(try evaluate(.shape(start: -2, end: -1), x).integers == [3])
        #expect(try evaluate(.shape(start: 2, end: 1), x).integers == [])
        #expect(try evaluate(.shape(start: .min, end: .max), x).integers == [2, 3, 4])
        #expect(try evaluate(.size, x).integers == [24])
    }
}
