import GraphIR
import Testing

@Suite struct ReferenceElementwiseTests {
    @Test func operandsBroadcastFromBothSides() throws {
        let y = try evaluate(
            .binary(.add),
            floats([2, 1], [10, 20]),
            floats([3], [1, 2, 3])
        )
        #expect(y == floats([2, 3], [11, 12, 13, 21, 22, 23]))
        #expect(try evaluate(.binary(.multiply), floats([], [2]), floats([], [3])).shape == [])
        #expect(try evaluate(.binary(.add), counting([0, 3]), floats([], [1])).shape == [0, 3])
    }

    @Test func integersWrapAndNeverTrap() throws {
        func apply(_ function: BinaryFunction, _ a: Int64, _ b: Int64, _ dtype: DType) throws
            -> Int64
        {
            let scalars = [a, b].map { DenseTensor(shape: [], integers: [$0], dtype: dtype) }
            return try evaluate(.binary(function), scalars[0], scalars[1]).integers?[0] ?? -999
        }
        #expect(try apply(.add, 127, 1, .int8) == -128)
        #expect(try apply(.multiply, 16, 16, .uint8) == 0)
        #expect(try apply(.add, .max, 1, .int64) == .min)
        #expect(try apply(.divide, 7, 0, .int64) == 0)
        #expect(try apply(.divide, .min, -1, .int64) == .min)
        #expect(try apply(.divide, -128, -1, .int8) == -128)
        #expect(try apply(.divide, -7, 2, .int32) == -3)
        #expect(try apply(.divide, -1, 2, .uint64) == .max)
        #expect(try apply(.modulo(truncated: false), -7, 3, .int64) == 2)
        #expect(try apply(.modulo(truncated: false), 7, -3, .int64) == -2)
        #expect(try apply(.modulo(truncated: true), -7, 3, .int64) == -1)
        #expect(try apply(.modulo(truncated: true), .min, -1, .int64) == 0)
        #expect(try apply(.modulo(truncated: false), 1, 0, .int64) == 0)
        #expect(try apply(.power, 2, 3, .int64) == 8)
        #expect(try apply(.power, 3, -1, .int64) == 0)
        #expect(try apply(.power, -1, -3, .int64) == -1)
        #expect(try apply(.power, 2, 7, .int8) == -128)
        #expect(try apply(.maximum, -1, 1, .uint64) == -1)
        #expect(try apply(.less, -1, 1, .uint64) == 0)
        #expect(try apply(.less, -1, 1, .int64) == 1)
    }

    @Test func notANumberSpreadsThroughExtremes() throws {
        let (a, b) = (floats([3], [.nan, 1, 2]), floats([3], [1, .nan, 3]))
        for function in [BinaryFunction.minimum, .maximum] {
            let y = try evaluate(.binary(function), a, b).floats
            #expect(y[0].isNaN && y[1].isNaN)
            #expect(y[2] == (function == .minimum ? 2 : 3))
        }
        #expect(try evaluate(.unary(.relu), a).floats[0].isNaN)
        #expect(try evaluate(.clip, a, floats([], [0]), floats([], [1])).floats[0].isNaN)
    }

    @Test func clipWithEitherLimit() throws {
        let x = floats([3], [-2, 0.5, 3])
        #expect(try evaluate(.clip, x, nil, floats([], [1])).floats == [-2, 0.5, 1])
        #expect(try evaluate(.clip, x, floats([1], [0])).floats == [0, 0.5, 3])
        #expect(try evaluate(.clip, x).floats == [-2, 0.5, 3])
        #expect(try evaluate(.clip, x, floats([], [2]), floats([], [1])).floats == [1, 1, 1])
        #expect(throws: ShapeError.self) { try shape(.clip, x, x) }
    }

    @Test func simpleFunctions() throws {
        let x = floats([5], [-3, -0.5, 0.5, 1.5, 9])
        let cases: [(UnaryFunction, [Float])] = [
            (.relu, [0, 0, 0.5, 1.5, 9]), (.leakyRelu(alpha: 0.5), [-1.5, -0.25, 0.5, 1.5, 9]),
            (.hardSigmoid(alpha: 0.5, beta: 0.5), [0, 0.25, 0.75, 1, 1]),
            (.round, [-3, 0, 0, 2, 9]), (.floor, [-3, -1, 0, 1, 9]), (.ceil, [-3, 0, 1, 2, 9]),
            (.negate, [3, 0.5, -0.5, -1.5, -9]), (.absolute, [3, 0.5, 0.5, 1.5, 9]),
        ]
        for (function, wanted) in cases {
            #expect(try evaluate(.unary(function), x).floats == wanted, "\(function)")
        }
        #expect(try evaluate(.unary(.hardSwish), floats([3], [-3, 0, 3])).floats == [0, 0, 3])
        #expect(try evaluate(.unary(.sqrt), floats([1], [2])).floats == [Float(2).squareRoot()])
        let smallest = DenseTensor(shape: [1], integers: [-128], dtype: .int8)
        #expect(try evaluate(.unary(.absolute), smallest).integers == [-128])
        let truth = DenseTensor(shape: [2], integers: [0, 1], dtype: .bool)
        #expect(try evaluate(.unary(.not), truth).integers == [1, 0])
    }

    @Test func parametricReluTakesItsSlopePerChannel() throws {
        let y = try evaluate(
            .binary(.parametricRelu),
            floats([2, 2], [-1, 1, -1, 1]),
            floats([2, 1], [2, 3])
        )
        #expect(y.floats == [-2, 1, -3, 1])
        #expect(throws: ShapeError.self) {
            try shape(.binary(.parametricRelu), counting([2]), counting([2, 2]))
        }
    }

    @Test func variadicFunctionsBroadcastAll() throws {
        let (a, b, c) = (floats([2, 1], [1, 2]), floats([2], [10, 20]), floats([], [3]))
        #expect(
            try evaluateReference(.variadic(.sum), inputs: [a, b, c])[0].floats
                == [14, 24, 15, 25]
        )
        #expect(
            try evaluateReference(.variadic(.mean), inputs: [b, c])[0].floats == [6.5, 11.5]
        )
        #expect(
            try evaluateReference(.variadic(.maximum), inputs: [a, c])[0].floats == [3, 3]
        )
        #expect(try evaluateReference(.variadic(.minimum), inputs: [a])[0] == a)
    }

    @Test func castsClampTruncateAndWrap() throws {
        let x = floats([6], [300, -5.7, 1e20, .nan, -1e20, 0.4])
        #expect(try evaluate(.cast(to: .uint8), x).integers == [255, 0, 255, 0, 0, 0])
        #expect(
            try evaluate(.cast(to: .int64), x).integers == [300, -5, .max, 0, .min, 0]
        )
        #expect(try evaluate(.cast(to: .bool), x).integers == [1, 1, 1, 1, 1, 1])
        #expect(try evaluate(.cast(to: .int8), integers([200, -129])).integers == [-56, 127])
        let wide = DenseTensor(shape: [1], integers: [-1], dtype: .uint64)
        #expect(try evaluate(.cast(to: .float32), wide).floats == [0x1p64])
        #expect(try evaluate(.cast(to: .float32), integers([16_777_217])).floats == [16_777_216])
    }

    @Test func narrowFloatsAreRounded() throws {
        let x = floats([6], [65519, 65520, 1 + 0x1p-11, 1 + 0x1.8p-10, 0x1p-25, -0x1.8p-25])
        #expect(
            try evaluate(.cast(to: .float16), x).floats
                == [65504, .infinity, 1, 1 + 0x1p-9, 0, -0x1p-24]
        )
        let wide = floats([3], [1 + 0x1p-8, 1 + 0x1.8p-7, .greatestFiniteMagnitude])
        #expect(
            try evaluate(.cast(to: .bfloat16), wide).floats == [1, 1 + 0x1p-6, .infinity]
        )
        let half = try evaluate(.cast(to: .float16), floats([1], [2048]))
        let one = try evaluate(.cast(to: .float16), floats([1], [1]))
        #expect(try evaluate(.binary(.add), half, one).floats == [2048])
    }

    @Test func selectPicksElementByElement() throws {
        let condition = DenseTensor(shape: [2, 1], integers: [1, 0], dtype: .bool)
        let y = try evaluate(.select, condition, floats([2], [1, 2]), floats([], [9]))
        #expect(y == floats([2, 2], [1, 2, 9, 9]))
    }

    @Test func reductions() throws {
        let x = floats([2, 2], [1, -2, 3, 4])
        func reduce(
            _ kind: ReductionKind,
            _ axes: [Int64]?,
            keeps: Bool = false,
            ignores: Bool = false
        ) throws -> DenseTensor {
            let reduction = Reduction(
                kind: kind,
                keepsDimensions: keeps,
                ignoresEmptyAxes: ignores
            )
            return try evaluate(.reduce(reduction), x, axes.map(integers))
        }
        #expect(try reduce(.sum, [0]) == floats([2], [4, 2]))
        #expect(try reduce(.mean, [-1], keeps: true) == floats([2, 1], [-0.5, 3.5]))
        #expect(try reduce(.l1, nil) == floats([], [10]))
        #expect(try reduce(.maximum, [1]).floats == [1, 4])
        #expect(try reduce(.minimum, [1]).floats == [-2, 3])
        #expect(try reduce(.product, [0, 1]).floats == [-24])
        #expect(try reduce(.sumOfSquares, []).floats == [30])
        #expect(try reduce(.sumOfSquares, [], ignores: true).floats == [1, 4, 9, 16])
        #expect(try reduce(.sum, nil, ignores: true) == x)
        #expect(abs(try reduce(.logSumExp, nil).floats[0] - 4.350_759) < 1e-5)
        #expect(throws: ShapeError.self) { try reduce(.sum, [0, -2]) }
        let sum = Reduction(kind: .sum, keepsDimensions: false, ignoresEmptyAxes: false)
        let bytes = DenseTensor(shape: [2], integers: [100, 100], dtype: .int8)
        #expect(try evaluate(.reduce(sum), bytes).integers == [-56])
        #expect(try evaluate(.reduce(sum), counting([2, 0]), integers([1])).floats == [0, 0])
    }
}
