import Glibc
import GraphIR
import Testing

@Suite("composite operators") struct CompositeTests {
    @Test("an expansion of known inputs leaves no steps")
    func foldsWhatIsKnown() throws {
        let x = floats([1, 4], [-1, 0, 1, 2])
        let expansion = try expand(
            .softsign,
            inputs: [x.type],
            literals: [x],
            outputCount: 1
        )
        #expect(expansion.steps.isEmpty)
        #expect(expansion.literal(expansion.outputs[0])?.floats == [-0.5, 0, 0.5, 2.0 / 3])
    }

    @Test("unknown inputs leave steps that end in the results' types")
    func keepsWhatIsUnknown() throws {
        let expansion = try expand(
            .topK(axis: -1, largest: true),
            inputs: [TensorType(.float32, [2, 5]), TensorType(.int64, [1])],
            literals: [nil, integers([3])],
            outputCount: 2
        )
        #expect(!expansion.steps.isEmpty)
        #expect(expansion.outputs.map { expansion.type($0).shape } == [[2, 3], [2, 3]])
    }

    @Test("scatters join equal indices in their order")
    func scatter() throws {
        let data = floats([4], [1, 1, 1, 1])
        let indices = integers([0, 0, -1])
        let updates = floats([3], [2, 3, 5])
        func scattered(_ reduction: ScatterReduction) throws -> [Float] {
            try evaluate(
                .composite(.scatterElements(axis: 0, reduction)),
                data,
                indices,
                updates
            ).floats
        }
        #expect(try scattered(.none) == [3, 1, 1, 5])
        #expect(try scattered(.add) == [6, 1, 1, 6])
        #expect(try scattered(.multiply) == [6, 1, 1, 5])
        #expect(try scattered(.maximum) == [3, 1, 1, 5])
    }

    @Test("einsum multiplies, sums, and takes diagonals")
    func einsum() throws {
        let a = counting([2, 3])
        #expect(try evaluate(.composite(.einsum("ij,kj->ik")), a, a).floats == [5, 14, 14, 50])
        #expect(try evaluate(.composite(.einsum("ij->")), a).floats == [15])
        #expect(try evaluate(.composite(.einsum("ii->i")), counting([3, 3])).floats == [0, 4, 8])
        #expect(try evaluate(.composite(.einsum("...j->j...")), a).shape == [3, 2])
        #expect(throws: ShapeError.self) { try evaluate(.composite(.einsum("ij,j")), a) }
    }

    @Test("integers stay exact in long quantised products")
    func exactProducts() throws {
        let ones = DenseTensor(
            shape: [1, 1000],
            integers: Array(repeating: 255, count: 1000),
            dtype: .uint8
        )
        let column = DenseTensor(type: TensorType(.uint8, [1000, 1]), storage: ones.storage)
        #expect(try evaluate(.composite(.matmulInteger), ones, column).integers == [65_025_000])
    }

    @Test("angles agree with known values", arguments: [0.0, 0.5, 1, 3, -7, 100, 12345])
    func angles(angle: Double) throws {
        let x = DenseTensor.repeating(angle, type: TensorType(.float64, [1]))
        let sine = try evaluate(.unary(.sin), x).doubles[0]
        let cosine = try evaluate(.unary(.cos), x).doubles[0]
        #expect(abs(sine * sine + cosine * cosine - 1) < 1e-14)
        let tangent = try evaluate(.unary(.tan), x)
        let back = try evaluate(.unary(.atan), tangent).doubles[0]
        let turns = (angle - back) / Double.pi
        #expect(abs(turns - turns.rounded()) < 1e-9)
    }

    @Test("the first or the last of equal elements is found")
    func arguments() throws {
        let x = floats([1, 4], [2, 7, 7, 1])
        func place(_ last: Bool) throws -> [Int64]? {
            try evaluate(
                .argument(ArgumentSearch(axis: 1, keepsDimension: false, takesLast: last)),
                x
            ).integers
        }
        #expect(try place(false) == [1])
        #expect(try place(true) == [2])
    }

    @Test("a convolution of slices is the convolution", arguments: 0..<200)
    func convolutionOfSlices(seed: Int) throws {
        let below = numbers(seed)
        let isTransposed = below(2) == 1
        let group = 1 + below(2)
        let (inputs, outputs) = (1 + below(3), 1 + below(3))
        let strides = (0..<3).map { _ in 1 + below(3) }
        let convolution = Convolution(
            isTransposed: isTransposed,
            group: group,
            strides: strides,
            dilations: (0..<3).map { _ in 1 + below(2) },
            padding: .explicit((0..<6).map { _ in below(2) }),
            outputPadding: isTransposed ? strides.map(below) : []
        )
        let kernel = (0..<3).map { _ in 1 + below(4) }
        let x = counted([1 + below(2), group * inputs] + (0..<3).map { _ in 4 + below(5) })
        let w = counted(
            isTransposed
                ? [group * inputs, outputs] + kernel : [group * outputs, inputs] + kernel
        )
        let bias = counted([group * outputs])
        guard let expected = try? evaluate(.convolution(convolution), x, w, bias) else { return }
        let result = try evaluate(.composite(.convolutionOfSlices(convolution)), x, w, bias)
        #expect(result == expected)
    }

    @Test("a pool of slices is the pool", arguments: 0..<200)
    func poolOfSlices(seed: Int) throws {
        let below = numbers(seed)
        let rank = 3 + below(2)
        let kernel = (0..<rank).map { _ in 1 + below(4) }
        let pool = Pool(
            kind: below(2) == 1 ? .maximum : .average,
            kernel: kernel,
            strides: (0..<rank).map { _ in 1 + below(3) },
            dilations: (0..<rank).map { _ in 1 + below(2) },
            padding: .explicit((kernel + kernel).map { below(min($0, 2)) }),
            ceilMode: below(2) == 1,
            countIncludesPadding: below(2) == 1
        )
        let x = counted([1 + below(2), 1 + below(3)] + (0..<rank).map { _ in 3 + below(5) })
        guard let expected = try? evaluate(.pool(pool), x) else { return }
        let result = try evaluate(.composite(.poolOfSlices(pool)), x)
        #expect(result.type == expected.type)
        for (a, b) in zip(result.doubles, expected.doubles) {
            #expect(a == b || abs(a - b) < 1e-5)
        }
    }

    /// Draws numbers from 0 up to a bound, the same ones for the same seed.
    private func numbers(_ seed: Int) -> (_ bound: Int) -> Int {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
        return { bound in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
    }

    /// Small whole numbers, whose sums are exact.
    private func counted(_ shape: [Int]) -> DenseTensor {
        floats(shape, (0..<shape.reduce(1, *)).map { Float($0 * 7 % 11 - 5) })
    }

    @Test("a recurrent layer does every step in turn, both ways, whatever is multiplied at once")
    func recurrentLayer() throws {
        // 7 steps of 100 entries are multiplied in four runs.
        let (time, batch, features) = (7, 100, 3)
        func drawn(_ shape: [Int], _ step: Float) -> DenseTensor {
            floats(
                shape,
                (0..<shape.reduce(1, *)).map { ((Float($0) * step).remainder(dividingBy: 2)) }
            )
        }
        let x = drawn([time, batch, features], 0.37)
        let w = drawn([2, 1, features], 0.71), r = floats([2, 1, 1], [0.6, -0.4])
        let bias = floats([2, 2], [0.1, 0.2, -0.3, 0.05])
        let layer = Recurrence(
            cell: .simple,
            direction: .both,
            hiddenSize: 1,
            activations: [],
            clip: nil,
            linearBeforeReset: false,
            inputForget: false,
            batchFirst: false
        )
        let y = try evaluate(.composite(.recurrent(layer)), x, w, r, bias)
        #expect(y.shape == [time, 2, batch, 1])
        let (input, weights, recurrent) = (x.doubles, w.doubles, r.doubles)
        let biases = bias.doubles
        for direction in 0..<2 {
            for entry in 0..<batch {
                var hidden = 0.0
                for index in 0..<time {
                    let t = direction == 0 ? index : time - 1 - index
                    var sum = biases[2 * direction] + biases[2 * direction + 1]
                    for f in 0..<features {
                        sum +=
                            input[(t * batch + entry) * features + f]
                            * weights[direction * features + f]
                    }
                    hidden = tanh(sum + recurrent[direction] * hidden)
                    let found = y.doubles[(t * 2 + direction) * batch + entry]
                    #expect(abs(found - hidden) < 1e-5)
                }
            }
        }
    }
}
