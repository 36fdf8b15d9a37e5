import GraphIR
import Testing

@Suite struct ReferenceLayerTests {
    @Test func convolutionSumsItsWindow() throws {
        let x = counting([1, 1, 3, 3])
        let ones = floats([1, 1, 2, 2], [1, 1, 1, 1])
        let plain = try evaluate(.convolution(Convolution()), x, ones, floats([1], [0.5]))
        #expect(plain == floats([1, 1, 2, 2], [8.5, 12.5, 20.5, 24.5]))
        let padded = Convolution(strides: [2, 2], padding: .explicit([1, 1, 0, 0]))
        let edges = try evaluate(.convolution(padded), x, ones)
        #expect(edges == floats([1, 1, 2, 2], [0, 3, 9, 24]))
        let dilated = Convolution(dilations: [2, 2])
        #expect(try evaluate(.convolution(dilated), x, ones).floats == [16])
    }

    @Test func groupsSeeOnlyTheirChannels() throws {
        let x = floats([1, 4, 1], [1, 2, 3, 4])
        let weights = floats([2, 2, 1], [1, 10, 1, 10])
        let y = try evaluate(.convolution(Convolution(group: 2)), x, weights)
        #expect(y == floats([1, 2, 1], [21, 43]))
        let spread = try evaluate(
            .convolution(Convolution(isTransposed: true, group: 2)),
            x,
            floats([4, 1, 1], [1, 10, 1, 10])
        )
        #expect(spread == floats([1, 2, 1], [21, 43]))
    }

    @Test func transposedConvolutionScattersItsInput() throws {
        let x = floats([1, 1, 3], [1, 2, 3])
        let weights = floats([1, 1, 3], [1, 10, 100])
        var convolution = Convolution(isTransposed: true, strides: [2])
        #expect(
            try evaluate(.convolution(convolution), x, weights).floats
                == [1, 10, 102, 20, 203, 30, 300]
        )
        convolution.padding = .explicit([1, 1])
        convolution.outputPadding = [1]
        #expect(
            try evaluate(.convolution(convolution), x, weights, floats([1], [1])).floats
                == [11, 103, 21, 204, 31, 301]
        )
        convolution = Convolution(isTransposed: true, dilations: [2])
        #expect(
            try evaluate(.convolution(convolution), x, weights).floats
                == [1, 2, 13, 20, 130, 200, 300]
        )
        convolution = Convolution(isTransposed: true, strides: [2], outputShape: [8])
        #expect(
            try evaluate(.convolution(convolution), x, weights).floats
                == [1, 10, 102, 20, 203, 30, 300, 0]
        )
    }

    @Test("a transposed convolution is the adjoint of the convolution", arguments: 0..<8)
    func transposedConvolutionIsTheAdjoint(variant: Int) throws {
        let strides = [1 + variant % 2, 1 + variant / 2 % 2]
        let dilations = [1 + variant / 4, 1]
        let padding = Padding.explicit([1, 0, 0, 1])
        let forward = Convolution(
            group: 2,
            strides: strides,
            dilations: dilations,
            padding: padding
        )
        var backward = forward
        backward.isTransposed = true
        let weights = floats([4, 3, 2, 3], (0..<72).map { Float($0 * 7 % 11) - 5 })
        let x = floats([1, 6, 7, 8], (0..<336).map { Float($0 * 5 % 13) - 6 })
        let y = try evaluate(.convolution(forward), x, weights)
        let back = try evaluate(.convolution(backward), y, weights)
        // <y, A x> = <A' y, x> over the part of x the transposed result covers.
        let (height, width) = (back.shape[2], back.shape[3])
        var product = 0.0
        for channel in 0..<6 {
            for row in 0..<height {
                for column in 0..<width {
                    product +=
                        back.doubles[(channel * height + row) * width + column]
                        * x.doubles[(channel * 7 + row) * 8 + column]
                }
            }
        }
        let wanted = y.doubles.reduce(0) { $0 + $1 * $1 }
        #expect(abs(product - wanted) < 1e-6 * wanted)
    }

    @Test func averagesDivideByWhatTheyCount() throws {
        let x = floats([1, 1, 5], [1, 2, 3, 4, 5])
        func average(_ change: (inout Pool) -> Void) throws -> [Float] {
            var pool = Pool(
                kind: .average,
                kernel: [3],
                strides: [3],
                padding: .explicit([1, 1]),
                ceilMode: true
            )
            change(&pool)
            return try evaluate(.pool(pool), x).floats
        }
        #expect(try average { _ in } == [1.5, 4])
        #expect(try average { $0.countIncludesPadding = true } == [1, 4])
        #expect(try average { $0.dilations = [2] } == [3, 4])
        #expect(try average { ($0.dilations, $0.countIncludesPadding) = ([2], true) } == [2, 4])
        // What lies beyond the declared padding never counts.
        let beyond = Pool(
            kind: .average,
            kernel: [3],
            strides: [2],
            ceilMode: true,
            countIncludesPadding: true
        )
        #expect(
            try evaluate(.pool(beyond), floats([1, 1, 6], [1, 2, 3, 4, 5, 6])).floats
                == [2, 4, 5.5]
        )
    }

    @Test func maximaIgnorePaddingAndKnowTheirPlace() throws {
        let x = floats([1, 2, 3], [-3, -1, -2, -4, -6, -5])
        let pool = Pool(kind: .maximum, kernel: [2], padding: .explicit([1, 0]))
        let results = try evaluateReference(.pool(pool), inputs: [x], outputCount: 2)
        #expect(results[0].floats == [-3, -1, -1, -4, -4, -5])
        #expect(results[1].integers == [0, 1, 1, 3, 3, 5])
        let bytes = DenseTensor(shape: [1, 1, 2], integers: [-128, 127], dtype: .int8)
        let pooled = try evaluate(.pool(Pool(kind: .maximum, kernel: [2])), bytes)
        #expect(pooled.integers == [127])
        #expect(
            try evaluate(.pool(Pool(kind: .lp(2), kernel: [2])), floats([1, 1, 2], [3, 4])).floats
                == [5]
        )
    }

    @Test func globalPools() throws {
        let x = floats([1, 2, 2], [1, 3, -4, -8])
        #expect(try evaluate(.globalPool(.average), x) == floats([1, 2, 1], [2, -6]))
        #expect(try evaluate(.globalPool(.maximum), x) == floats([1, 2, 1], [3, -4]))
        #expect(try evaluate(.globalPool(.lp(1)), x) == floats([1, 2, 1], [4, 12]))
    }

    @Test func matrixProducts() throws {
        let a = counting([2, 3])
        #expect(
            try evaluate(.matmul, a, counting([3, 2])) == floats([2, 2], [10, 13, 28, 40])
        )
        #expect(try evaluate(.matmul, counting([3]), counting([3])) == floats([], [5]))
        let gemm = Gemm(alpha: 2, beta: 0.5, transposeA: true, transposeB: true)
        let y = try evaluate(.gemm(gemm), counting([3, 2]), counting([1, 3]), floats([1], [2]))
        #expect(y == floats([2, 1], [21, 27]))
        let bytes = DenseTensor(shape: [1, 2], integers: [200, 100], dtype: .uint8)
        let column = DenseTensor(shape: [2, 1], integers: [2, 1], dtype: .uint8)
        #expect(try evaluate(.matmul, bytes, column).integers == [500 - 256])
        #expect(
            try evaluate(.matmul, counting([2, 0]), counting([0, 2])).floats == [0, 0, 0, 0]
        )
    }

    @Test func normalisations() throws {
        let x = floats([1, 2, 1], [3, 5])
        let y = try evaluate(
            .batchNormalization(epsilon: 0),
            x,
            floats([2], [2, 1]),
            floats([2], [1, 0]),
            floats([2], [1, 1]),
            floats([2], [4, 16])
        )
        #expect(y.floats == [3, 1])
        // Size 2 sees the channel itself and the next.
        let lrn = Operator.localResponseNormalization(size: 2, alpha: 2, beta: 1, bias: 1)
        #expect(try evaluate(lrn, floats([1, 3], [1, 2, 3])).floats == [1 / 6, 2 / 14, 0.3])
    }

    @Test func softmaxOverOneAxisOrAllThatFollow() throws {
        let x = floats([1, 2, 2], [0, 1000, 0, 1000])
        let one = try evaluate(.softmax(axis: -1, flattened: false), x)
        #expect(one.floats == [0, 1, 0, 1])
        let flat = try evaluate(.softmax(axis: 1, flattened: true), x)
        #expect(flat.floats == [0, 0.5, 0, 0.5])
        let column = try evaluate(.softmax(axis: 1, flattened: false), x)
        #expect(column.floats == [0.5, 0.5, 0.5, 0.5])
    }
}
