import CSluiceKernels
import Foundation
import Testing

/// Element-wise functions, softmax and reductions against double precision.
@Suite struct ElementwiseKernelTests {
    private static func reference(_ a: sl_activation, _ x: Double) -> Double {
        let (p0, p1) = (Double(a.p0), Double(a.p1))
        switch a.kind {
        case SL_ACTIVATION_CLAMP: return min(max(x, p0), p1)
        case SL_ACTIVATION_LEAKY: return x < 0 ? p0 * x : x
        case SL_ACTIVATION_SIGMOID: return 1 / (1 + exp(-x))
        case SL_ACTIVATION_HARD_SIGMOID: return min(max(p0 * x + p1, 0), 1)
        case SL_ACTIVATION_HARD_SWISH: return x * min(max(x / 6 + 0.5, 0), 1)
        case SL_ACTIVATION_SILU: return x / (1 + exp(-x))
        case SL_ACTIVATION_TANH: return tanh(x)
        case SL_ACTIVATION_GELU: return 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
        case SL_ACTIVATION_ELU: return x < 0 ? p0 * expm1(x) : x
        case SL_ACTIVATION_SOFTPLUS: return max(x, 0) + log1p(exp(-abs(x)))
        case SL_ACTIVATION_ERF: return erf(x)
        case SL_ACTIVATION_SQRT: return x.squareRoot()
        case SL_ACTIVATION_RECIPROCAL: return 1 / x
        case SL_ACTIVATION_EXP: return exp(x)
        case SL_ACTIVATION_LOG: return log(x)
        case SL_ACTIVATION_NEGATE: return -x
        case SL_ACTIVATION_ABSOLUTE: return abs(x)
        case SL_ACTIVATION_FLOOR: return x.rounded(.down)
        case SL_ACTIVATION_CEIL: return x.rounded(.up)
        case SL_ACTIVATION_ROUND: return x.rounded(.toNearestOrEven)
        case SL_ACTIVATION_GELU_TANH:
            return 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        default: return x
        }
    }

    @Test(
        "every activation matches, in place and cut anywhere",
        arguments: KernelISA.supported,
        0...SL_ACTIVATION_GELU_TANH.rawValue
    )
    func activations(isa: KernelISA, kind: UInt32) {
        var random = SeededGenerator(seed: UInt64(kind))
        let function = activation(sl_activation_kind(kind), kind == 1 ? -0.5 : 0.2, 0.5)
        let isPositive = function.kind == SL_ACTIVATION_SQRT || function.kind == SL_ACTIVATION_LOG
        for count in [0] + isa.edgeSizes {
            let input = random.floats(count, in: isPositive ? 0.01...9 : -9...9)
            for (planes, elementsPerTask) in [(1, 1000), (1, 3), (leastPlanes(count), 3)] {
                let data = GuardedBuffer(input)
                var args = sl_unary_args()
                args.count = count
                args.input = UnsafePointer(data.pointer)
                args.output = data.pointer
                args.activation = function
                (args.planes, args.elements_per_task) = (planes, elementsPerTask)
                isa.run(isa.table.pointee.unary, args, sl_unary_task_count)
                #expect(data.isIntact)
                for (x, y) in zip(input, data.values) {
                    let expected = Self.reference(function, Double(x))
                    #expect(agrees(y, expected, 2e-6), "\(kind)(\(x))")
                }
            }
        }
    }

    struct Broadcast: Sendable, CustomTestStringConvertible {
        /// -1 stands for the lanes of the table.
        var shape: [Int]
        var a: Set<Int> = []
        var b: Set<Int> = []

        var testDescription: String { "\(shape) a without \(a.sorted()), b without \(b.sorted())" }
        func dims(_ isa: KernelISA) -> [Int] { shape.map { $0 < 0 ? isa.lanes : $0 } }
    }

    static let broadcasts: [Broadcast] = [
        Broadcast(shape: [1]), Broadcast(shape: [37]), Broadcast(shape: [131], b: [0]),
        Broadcast(shape: [131], a: [0]), Broadcast(shape: [5, 19], b: [0]),
        Broadcast(shape: [5, 67], b: [1]), Broadcast(shape: [5, 67], a: [0], b: [1]),
        Broadcast(shape: [2, 3, 11, -1], b: [2]), Broadcast(shape: [2, 3, 11, -1], a: [0, 2]),
        Broadcast(shape: [2, 3, 5, 7], a: [1], b: [0, 2]), Broadcast(shape: [3, 0, 4]),
    ]

    /// The least number of equal parts, of more than one element, of `count` elements; else 1.
    private func leastPlanes(_ count: Int) -> Int {
        (2...7).first { count.isMultiple(of: $0) && count > $0 } ?? 1
    }

    /// Runs a binary call for three cuts and returns the result, the same for all.
    private func binary<Element: BitwiseCopyable, Result: BitwiseCopyable & Equatable>(
        _ isa: KernelISA,
        _ kind: sl_binary_kind,
        _ dtype: sl_dtype,
        _ broadcast: Broadcast,
        _ a: [Element],
        _ b: [Element],
        _ zero: Result,
        activation function: sl_activation = activation(SL_ACTIVATION_NONE)
    ) -> [Result] {
        let dims = broadcast.dims(isa)
        let x = GuardedBuffer(a)
        let y = GuardedBuffer(b)
        var args = sl_binary_args()
        args.kind = kind
        args.dtype = dtype
        args.rank = UInt32(dims.count)
        args.dims = rankTuple(dims)
        args.a = UnsafeRawPointer(x.pointer)
        args.a_stride = rankTuple(strides(of: dims, broadcast: broadcast.a).strides)
        args.b = UnsafeRawPointer(y.pointer)
        args.b_stride = rankTuple(strides(of: dims, broadcast: broadcast.b).strides)
        args.activation = function
        var results: [[UInt8]] = []
        var last: [Result] = []
        let count = dims.reduce(1, *)
        for (planes, elementsPerTask) in [(1, 1000), (1, 5), (leastPlanes(count), 9)] {
            let output = GuardedBuffer(Array(repeating: zero, count: count))
            args.output = UnsafeMutableRawPointer(output.pointer)
            (args.planes, args.elements_per_task) = (planes, elementsPerTask)
            isa.run(isa.table.pointee.binary, args, sl_binary_task_count)
            #expect(output.isIntact)
            last = output.values
            results.append(last.withUnsafeBytes { Array($0) })
        }
        #expect(results[0] == results[1] && results[0] == results[2])
        return last
    }

    /// The pairs of operands that meet in each output element.
    private func pairs<Element>(
        _ isa: KernelISA,
        _ broadcast: Broadcast,
        _ a: [Element],
        _ b: [Element]
    ) -> [(Element, Element)] {
        let dims = broadcast.dims(isa)
        let inA = strides(of: dims, broadcast: broadcast.a).strides
        let inB = strides(of: dims, broadcast: broadcast.b).strides
        return (0..<dims.reduce(1, *)).map {
            (a[offset(of: $0, in: dims, strides: inA)], b[offset(of: $0, in: dims, strides: inB)])
        }
    }

    @Test(
        "float32 functions match under every broadcast",
        arguments: KernelISA.supported,
        broadcasts
    )
    func floatFunctions(isa: KernelISA, broadcast: Broadcast) {
        var random = SeededGenerator(seed: 11)
        let dims = broadcast.dims(isa)
        let a = random.floats(strides(of: dims, broadcast: broadcast.a).count)
        let b = random.floats(strides(of: dims, broadcast: broadcast.b).count)
        let functions: [(sl_binary_kind, (Double, Double) -> Double)] = [
            (SL_BINARY_ADD, { $0 + $1 }), (SL_BINARY_SUBTRACT, { $0 - $1 }),
            (SL_BINARY_MULTIPLY, { $0 * $1 }), (SL_BINARY_DIVIDE, { $0 / $1 }),
            (SL_BINARY_MINIMUM, { min($0, $1) }), (SL_BINARY_MAXIMUM, { max($0, $1) }),
            (SL_BINARY_POWER, { pow($0, $1) }),
            (SL_BINARY_MODULO_TRUNCATED, { fmod($0, $1) }),
            (SL_BINARY_PARAMETRIC_RELU, { $0 < 0 ? $0 * $1 : $0 }),
        ]
        for (kind, function) in functions {
            for epilogue in [
                activation(SL_ACTIVATION_NONE), activation(SL_ACTIVATION_CLAMP, 0, .infinity),
                activation(SL_ACTIVATION_SIGMOID),
            ] {
                let result = binary(
                    isa,
                    kind,
                    SL_F32,
                    broadcast,
                    a,
                    b,
                    Float(0),
                    activation: epilogue
                )
                for (value, (x, y)) in zip(result, pairs(isa, broadcast, a, b)) {
                    let plain = function(Double(x), Double(y))
                    if plain.isNaN { continue }  // A power of a negative number.
                    #expect(
                        agrees(value, Self.reference(epilogue, plain), 3e-6),
                        "\(kind) \(x) \(y)"
                    )
                }
            }
        }
        let less = binary(isa, SL_BINARY_LESS, SL_F32, broadcast, a, b, UInt8(9))
        #expect(less == pairs(isa, broadcast, a, b).map { $0 < $1 ? 1 : 0 })
    }

    @Test(
        "a square equals a product, and NaN reaches minimum and maximum",
        arguments: KernelISA.supported
    )
    func specialFloats(isa: KernelISA) {
        let a: [Float] = [.nan, 1, .infinity, -.infinity, 2, .nan, -3, .infinity, 0.1]
        let b: [Float] = [1, .nan, 5, 5, 3, .nan, -4, .nan, .infinity]
        let shape = Broadcast(shape: [9])
        let highest = binary(isa, SL_BINARY_MAXIMUM, SL_F32, shape, a, b, Float(0))
        let lowest = binary(isa, SL_BINARY_MINIMUM, SL_F32, shape, a, b, Float(0))
        for (index, (x, y)) in zip(a, b).enumerated() {
            let isNaN = x.isNaN || y.isNaN
            #expect(agrees(highest[index], isNaN ? .nan : Double(max(x, y)), 0))
            #expect(agrees(lowest[index], isNaN ? .nan : Double(min(x, y)), 0))
        }
        let scalar = Broadcast(shape: [9], b: [0])
        let finite = a.map { $0.isNaN ? 7 : $0 }
        #expect(
            binary(isa, SL_BINARY_POWER, SL_F32, scalar, finite, [2], Float(0))
                == finite.map { $0 * $0 }
        )
    }

    private func integerFunctions<T: FixedWidthInteger & BitwiseCopyable>(
        _ isa: KernelISA,
        _ dtype: sl_dtype,
        _ type: T.Type
    ) {
        var random = SeededGenerator(seed: 13)
        let shape = Broadcast(shape: [3, 71])
        let special: [T] = [.min, .max, 0, 1, T(truncatingIfNeeded: -1)]
        let a = special + (5..<213).map { _ in T.random(in: .min ... .max, using: &random) }
        // Every special value meets every other; small divisors and exponents otherwise.
        let b = (0..<213).map { special[$0 % 5] &+ ($0 < 5 ? 0 : T(truncatingIfNeeded: $0 % 7)) }
        func floorModulo(_ x: T, _ y: T) -> T {
            guard y != 0 else { return 0 }
            let rest = x.remainderReportingOverflow(dividingBy: y).partialValue
            return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest
        }
        func power(_ x: T, _ y: T) -> T {
            if y < 0 {
                return x == 1 ? 1 : x == T(truncatingIfNeeded: -1) ? (y & 1 == 0 ? 1 : x) : 0
            }
            var (result, base, exponent) = (T(1), x, y)
            while exponent > 0 {
                if exponent & 1 == 1 { result = result &* base }
                base = base &* base
                exponent >>= 1
            }
            return result
        }
        let functions: [(sl_binary_kind, (T, T) -> T)] = [
            (SL_BINARY_ADD, { $0 &+ $1 }), (SL_BINARY_SUBTRACT, { $0 &- $1 }),
            (SL_BINARY_MULTIPLY, { $0 &* $1 }),
            (SL_BINARY_DIVIDE, { $1 == 0 ? 0 : $0.dividedReportingOverflow(by: $1).partialValue }),
            (SL_BINARY_MINIMUM, { min($0, $1) }), (SL_BINARY_MAXIMUM, { max($0, $1) }),
            (SL_BINARY_MODULO, floorModulo), (SL_BINARY_POWER, power),
        ]
        for (kind, function) in functions {
            let result = binary(isa, kind, dtype, shape, a, b, T(0))
            #expect(result == zip(a, b).map(function), "\(T.self) \(kind.rawValue)")
        }
        let notLess = binary(isa, SL_BINARY_GREATER_OR_EQUAL, dtype, shape, a, b, UInt8(9))
        #expect(notLess == zip(a, b).map { $0 >= $1 ? 1 : 0 })
    }

    @Test("integers wrap and division by zero gives zero", arguments: KernelISA.supported)
    func integers(isa: KernelISA) {
        integerFunctions(isa, SL_I64, Int64.self)
        integerFunctions(isa, SL_I32, Int32.self)
        integerFunctions(isa, SL_I16, Int16.self)
        integerFunctions(isa, SL_I8, Int8.self)
        integerFunctions(isa, SL_U8, UInt8.self)
        integerFunctions(isa, SL_U16, UInt16.self)
        integerFunctions(isa, SL_U32, UInt32.self)
        integerFunctions(isa, SL_U64, UInt64.self)
    }

    @Test("select takes each element from the right side", arguments: KernelISA.supported)
    func selects(isa: KernelISA) {
        let dims = [3, 5, 7]
        let condition = GuardedBuffer((0..<7).map { UInt8($0 % 3) })
        let a = GuardedBuffer((0..<105).map { Int64($0) })
        let b = GuardedBuffer((0..<3).map { Int64(-1 - $0) })
        let output = GuardedBuffer<Int64>(Array(repeating: 0, count: 105))
        var args = sl_select_args()
        args.rank = 3
        args.dims = rankTuple(dims)
        args.element_bytes = 8
        args.condition = UnsafePointer(condition.pointer)
        args.condition_stride = rankTuple([0, 0, 1])
        args.a = UnsafeRawPointer(a.pointer)
        args.a_stride = rankTuple([35, 7, 1])
        args.b = UnsafeRawPointer(b.pointer)
        args.b_stride = rankTuple([1, 0, 0])
        args.output = UnsafeMutableRawPointer(output.pointer)
        args.elements_per_task = 30
        isa.run(isa.table.pointee.select, args, sl_select_task_count)
        let expected: [Int64] = (0..<105).map { (index: Int) -> Int64 in
            let isTrue = index % 7 % 3 != 0
            return isTrue ? Int64(index) : Int64(-1 - index / 35)
        }
        #expect(output.values == expected && output.isIntact)
    }

    @Test(
        "softmax rows sum to one wherever the axis lies",
        arguments: KernelISA.supported,
        [1, 5, 67]
    )
    func softmax(isa: KernelISA, inner: Int) {
        var random = SeededGenerator(seed: 17)
        for size in isa.edgeSizes {
            let input = random.floats(3 * size * inner, in: -30...30)
            var results: [[Float]] = []
            for rowsPerTask in [1000, 1, 7] {
                let data = GuardedBuffer(input)
                var args = sl_softmax_args()
                (args.outer, args.axis_size, args.inner) = (3, size, inner)
                args.input = UnsafePointer(data.pointer)
                args.output = data.pointer
                args.rows_per_task = rowsPerTask
                isa.run(isa.table.pointee.softmax, args, sl_softmax_task_count)
                #expect(data.isIntact)
                results.append(data.values)
            }
            #expect(results[0] == results[1] && results[0] == results[2])
            for row in 0..<3 * inner {
                let at = (0..<size).map { (row / inner * size + $0) * inner + row % inner }
                let highest = at.map { Double(input[$0]) }.max() ?? 0
                let sum = at.map { exp(Double(input[$0]) - highest) }.reduce(0, +)
                for index in at {
                    let reference = exp(Double(input[index]) - highest) / sum
                    #expect(agrees(results[0][index], reference, 1e-6))
                }
            }
        }
    }

    @Test(
        "rows are brought to mean 0 and variance 1, in place and cut anywhere",
        arguments: KernelISA.supported,
        [(false, false), (true, false), (false, true), (true, true)]
    )
    func normalization(isa: KernelISA, affine: (hasScale: Bool, hasShift: Bool)) {
        var random = SeededGenerator(seed: 23)
        for (rows, size) in (isa.edgeSizes + [300]).map({ (9, $0) }) + [(2, 5000)] {
            let input = random.floats(rows * size, in: 3...5)
            let scale = GuardedBuffer(random.floats(size, in: -2...2))
            let shift = GuardedBuffer(random.floats(size, in: -2...2))
            var results: [[Float]] = []
            for rowsPerTask in [1000, 1, 7] {
                let data = GuardedBuffer(input)
                var args = sl_normalize_args()
                (args.rows, args.size, args.epsilon) = (rows, size, 1e-3)
                args.input = UnsafePointer(data.pointer)
                if affine.hasScale { args.scale = UnsafePointer(scale.pointer) }
                if affine.hasShift { args.shift = UnsafePointer(shift.pointer) }
                args.output = data.pointer
                args.rows_per_task = rowsPerTask
                isa.run(isa.table.pointee.normalize, args, sl_normalize_task_count)
                #expect(data.isIntact)
                results.append(data.values)
            }
            #expect(results.allSatisfy { $0.map(\.bitPattern) == results[0].map(\.bitPattern) })
            for row in 0..<rows {
                let x = (0..<size).map { Double(input[row * size + $0]) }
                let mean = x.reduce(0, +) / Double(size)
                let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(size)
                for (index, value) in x.enumerated() {
                    let factor = affine.hasScale ? Double(scale.pointer[index]) : 1
                    let offset = affine.hasShift ? Double(shift.pointer[index]) : 0
                    let reference =
                        (value - mean) / (variance + 1e-3).squareRoot() * factor + offset
                    #expect(agrees(results[0][row * size + index], reference, 2e-5))
                }
            }
        }
    }

    @Test(
        "reductions match, cut anywhere",
        arguments: KernelISA.supported,
        0...SL_REDUCE_LOG_SUM_EXP.rawValue
    )
    func reductions(isa: KernelISA, kind: UInt32) {
        var random = SeededGenerator(seed: UInt64(kind))
        for (size, inner) in [0, 1, isa.lanes + 1, 61, 300].flatMap({ s in
            [1, 3, 5 * isa.lanes + 1].map { (s, $0) }
        }) {
            let range: ClosedRange<Float> =
                sl_reduce_kind(kind) == SL_REDUCE_PRODUCT ? 0.9...1.1 : 0.1...4
            let input = GuardedBuffer(random.floats(2 * size * inner, in: range))
            var results: [[Float]] = []
            for rowsPerTask in [1000, 1, 5] {
                let output = GuardedBuffer<Float>(Array(repeating: 0, count: 2 * inner))
                var args = sl_reduce_args()
                args.kind = sl_reduce_kind(kind)
                (args.outer, args.axis_size, args.inner) = (2, size, inner)
                args.input = UnsafePointer(input.pointer)
                args.output = output.pointer
                args.rows_per_task = rowsPerTask
                isa.run(isa.table.pointee.reduce, args, sl_reduce_task_count)
                #expect(output.isIntact)
                results.append(output.values)
            }
            #expect(results.allSatisfy { $0.map(\.bitPattern) == results[0].map(\.bitPattern) })
            for (row, value) in results[0].enumerated() {
                let x = (0..<size).map {
                    Double(input.pointer[(row / inner * size + $0) * inner + row % inner])
                }
                let squares = x.map { $0 * $0 }.reduce(0, +)
                let sum = x.reduce(0, +)
                let reference: Double =
                    switch sl_reduce_kind(kind) {
                    case SL_REDUCE_SUM, SL_REDUCE_L1: sum
                    case SL_REDUCE_MEAN: sum / Double(size)
                    case SL_REDUCE_MINIMUM: x.min() ?? .infinity
                    case SL_REDUCE_MAXIMUM: x.max() ?? -.infinity
                    case SL_REDUCE_PRODUCT: x.reduce(1, *)
                    case SL_REDUCE_L2: squares.squareRoot()
                    case SL_REDUCE_SUM_SQUARES: squares
                    case SL_REDUCE_LOG_SUM: log(sum)
                    default: log(x.map { exp($0) }.reduce(0, +))
                    }
                #expect(agrees(value, reference, 1e-5), "size \(size), inner \(inner)")
            }
        }
    }

    @Test("response normalisation matches", arguments: KernelISA.supported, [Float(0.75), 0.6])
    func responseNormalisation(isa: KernelISA, beta: Float) {
        var random = SeededGenerator(seed: 23)
        let (channels, pixels, size) = (7, 3 * isa.lanes + 1, 5)
        let input = GuardedBuffer(random.floats(channels * pixels))
        let output = GuardedBuffer<Float>(Array(repeating: 0, count: channels * pixels))
        var args = sl_lrn_args()
        (args.images, args.channels, args.pixels) = (1, channels, pixels)
        (args.size, args.alpha, args.beta, args.bias) = (UInt32(size), 0.3, beta, 1)
        args.input = UnsafePointer(input.pointer)
        args.output = output.pointer
        args.pixels_per_task = isa.lanes + 2
        isa.run(isa.table.pointee.lrn, args, sl_lrn_task_count)
        #expect(output.isIntact)
        for channel in 0..<channels {
            for pixel in 0..<pixels {
                let near = max(0, channel - 2)...min(channels - 1, channel + 2)
                let squares = near.map { pow(Double(input.pointer[$0 * pixels + pixel]), 2) }
                let base = 1 + 0.3 / Double(size) * squares.reduce(0, +)
                let index = channel * pixels + pixel
                let reference = Double(input.pointer[index]) / pow(base, Double(beta))
                #expect(agrees(output.pointer[index], reference, 3e-6))
            }
        }
    }
}
