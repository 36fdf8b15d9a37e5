/// Operators of two or more broadcast operands.
extension Evaluation {
    /// `function` of `a` and `b`, which broadcast to `type`.
    func binary(
        _ function: BinaryFunction,
        _ a: DenseTensor,
        _ b: DenseTensor,
        _ type: TensorType
    ) -> DenseTensor {
        let pairing = Broadcast(a.shape, b.shape, to: type.shape)
        if function == .power { return power(a, b, type, pairing) }
        let dtype = a.type.dtype
        switch (a.storage, b.storage) {
        case (.floats(let x), .floats(let y)):
            if let test: (Float, Float) -> Bool = comparison(function) {
                return booleans(pairing.map(x, y, test), type)
            }
            let operation: (Float, Float) -> Float = arithmetic(function)
            var elements = pairing.map(x, y, operation)
            if dtype != .float32 { elements = elements.map { Float(dtype.round(Double($0))) } }
            return DenseTensor(type: type, storage: .floats(elements))
        case (.doubles(let x), .doubles(let y)):
            if let test: (Double, Double) -> Bool = comparison(function) {
                return booleans(pairing.map(x, y, test), type)
            }
            let operation: (Double, Double) -> Double = arithmetic(function)
            return DenseTensor(type: type, storage: .doubles(pairing.map(x, y, operation)))
        case (.integers(let x), .integers(let y)):
            // Flipping the top bit orders unsigned words as signed ones.
            let flip: Int64 = dtype == .uint64 ? .min : 0
            if let test: (Int64, Int64) -> Bool = comparison(function) {
                return booleans(pairing.map(x, y) { test($0 ^ flip, $1 ^ flip) }, type)
            }
            let operation = integerArithmetic(function, dtype)
            let elements = pairing.map(x, y) { dtype.wrap(operation($0, $1)) }
            return DenseTensor(type: type, storage: .integers(elements))
        default:
            preconditionFailure("shape inference accepted operands of two types")
        }
    }

    private func booleans(_ flags: [Bool], _ type: TensorType) -> DenseTensor {
        DenseTensor(type: type, storage: .integers(flags.map { $0 ? 1 : 0 }))
    }

    private func power(
        _ a: DenseTensor,
        _ b: DenseTensor,
        _ type: TensorType,
        _ pairing: Broadcast
    ) -> DenseTensor {
        if case .integers(let x) = a.storage, case .integers(let y) = b.storage {
            let isUnsigned = b.type.dtype == .uint64
            let elements = pairing.map(x, y) { base, exponent in
                type.dtype.wrap(integerPower(base, exponent, exponentIsUnsigned: isUnsigned))
            }
            return DenseTensor(type: type, storage: .integers(elements))
        }
        return DenseTensor(type, rounding: pairing.map(a.numbers, b.numbers, Elementary.pow))
    }

    func variadic(_ function: VariadicFunction) -> DenseTensor {
        let combine: BinaryFunction =
            switch function {
            case .sum, .mean: .add
            case .minimum: .minimum
            case .maximum: .maximum
            }
        let zero = DenseTensor(TensorType(type.dtype, []), repeating: 0)
        var result = inputs.count == 1 ? renamed : input(0)
        for index in inputs.indices.dropFirst() {
            result = binary(combine, result, input(index), broadcastType(result, input(index)))
        }
        guard function == .mean else { return result }
        let count = DenseTensor(zero.type, repeating: Double(inputs.count))
        return binary(.divide, result, count, type)
    }

    private func broadcastType(_ a: DenseTensor, _ b: DenseTensor) -> TensorType {
        // Shape inference has broadcast all operands already.
        let shape = (try? broadcastShapes([a.shape, b.shape])) ?? type.shape
        return TensorType(type.dtype, shape)
    }

    func clip() -> DenseTensor {
        var result = input(0)
        for (index, function) in [(1, BinaryFunction.maximum), (2, .minimum)] {
            guard var limit = optionalInput(index) else { continue }
            limit.type.shape = []
            result = binary(function, result, limit, type)
        }
        return result
    }
}

/// How two operands meet: the strides with which each is read at the positions of the result.
private struct Broadcast {
    private let shape: [Int]
    private let left: [Int]
    private let right: [Int]

    init(_ a: [Int], _ b: [Int], to shape: [Int]) {
        self.shape = shape
        left = broadcastStrides(of: a, to: shape)
        right = broadcastStrides(of: b, to: shape)
    }

    func map<A, B, R>(_ a: [A], _ b: [B], _ function: (A, B) -> R) -> [R] {
        var result: [R] = []
        if shape.contains(0) { return result }
        result.reserveCapacity(shape.reduce(1, *))
        let columns = shape.last ?? 1
        let (stepA, stepB) = (left.last ?? 0, right.last ?? 0)
        let rows = Array(shape.dropLast())
        let rowsOfA = viewOffsets(shape: rows, strides: Array(left.dropLast()))
        let rowsOfB = viewOffsets(shape: rows, strides: Array(right.dropLast()))
        for (rowA, rowB) in zip(rowsOfA, rowsOfB) {
            for column in 0..<columns {
                result.append(function(a[rowA + column * stepA], b[rowB + column * stepB]))
            }
        }
        return result
    }
}

private func comparison<T: Comparable>(_ function: BinaryFunction) -> ((T, T) -> Bool)? {
    switch function {
    case .equal: { $0 == $1 }
    case .less: { $0 < $1 }
    case .lessOrEqual: { $0 <= $1 }
    case .greater: { $0 > $1 }
    case .greaterOrEqual: { $0 >= $1 }
    default: nil
    }
}

private func arithmetic<T: BinaryFloatingPoint>(_ function: BinaryFunction) -> (T, T) -> T {
    switch function {
    case .add: { $0 + $1 }
    case .subtract: { $0 - $1 }
    case .multiply: { $0 * $1 }
    case .divide: { $0 / $1 }
    // Not-a-number wins, from either side.
    case .minimum: { $0.isNaN || $0 < $1 ? $0 : $1.isNaN || $1 <= $0 ? $1 : $0 }
    case .maximum: { $0.isNaN || $0 > $1 ? $0 : $1.isNaN || $1 >= $0 ? $1 : $0 }
    case .modulo(true): { $0.truncatingRemainder(dividingBy: $1) }
    case .modulo(false):
        { x, y in
            let rest = x.truncatingRemainder(dividingBy: y)
            return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest
        }
    case .parametricRelu: { $0 < 0 ? $0 * $1 : $0 }
    case .power, .equal, .less, .lessOrEqual, .greater, .greaterOrEqual, .and, .or, .bitwiseAnd,
        .bitwiseOr, .bitwiseXor, .shiftLeft, .shiftRight:
        preconditionFailure("not arithmetic")
    }
}

private func integerArithmetic(
    _ function: BinaryFunction,
    _ dtype: DType
) -> (Int64, Int64) -> Int64 {
    let isWideUnsigned = dtype == .uint64
    let flip: Int64 = isWideUnsigned ? .min : 0
    switch function {
    case .add: return { $0 &+ $1 }
    case .subtract: return { $0 &- $1 }
    case .multiply: return { $0 &* $1 }
    case .divide: return { wrappingQuotient($0, $1, isUnsigned: isWideUnsigned).quotient }
    case .minimum: return { $0 ^ flip < $1 ^ flip ? $0 : $1 }
    case .maximum: return { $0 ^ flip > $1 ^ flip ? $0 : $1 }
    case .modulo(let isTruncated):
        return { x, y in
            let rest = wrappingQuotient(x, y, isUnsigned: isWideUnsigned).remainder
            let isLeaning = !isWideUnsigned && rest != 0 && (rest < 0) != (y < 0)
            return isLeaning && !isTruncated ? rest &+ y : rest
        }
    case .parametricRelu: return { x, slope in x < 0 && !isWideUnsigned ? x &* slope : x }
    case .and, .bitwiseAnd: return { $0 & $1 }
    case .or, .bitwiseOr: return { $0 | $1 }
    case .bitwiseXor: return { $0 ^ $1 }
    case .shiftLeft: return { x, count in UInt64(bitPattern: count) > 63 ? 0 : x << count }
    case .shiftRight:
        return { x, count in
            let isOut = UInt64(bitPattern: count) > 63
            if isWideUnsigned {
                return isOut ? 0 : Int64(bitPattern: UInt64(bitPattern: x) >> count)
            }
            return x >> (isOut ? 63 : count)
        }
    case .power, .equal, .less, .lessOrEqual, .greater, .greaterOrEqual:
        preconditionFailure("not integer arithmetic")
    }
}

/// Division towards zero that never traps: by zero it gives zero, and overflow wraps.
private func wrappingQuotient(
    _ x: Int64,
    _ y: Int64,
    isUnsigned: Bool
) -> (quotient: Int64, remainder: Int64) {
    if y == 0 { return (0, 0) }
    if isUnsigned {
        let (quotient, remainder) = UInt64(bitPattern: x)
            .quotientAndRemainder(dividingBy: UInt64(bitPattern: y))
        return (Int64(bitPattern: quotient), Int64(bitPattern: remainder))
    }
    return (x.dividedReportingOverflow(by: y).partialValue, y == -1 ? 0 : x % y)
}

/// A wrapping power; the fractions that negative exponents give are truncated to zero.
private func integerPower(_ base: Int64, _ exponent: Int64, exponentIsUnsigned: Bool) -> Int64 {
    if exponent < 0, !exponentIsUnsigned {
        if base == 1 { return 1 }
        return base == -1 ? (exponent.isMultiple(of: 2) ? 1 : -1) : 0
    }
    var result: Int64 = 1
    var square = base
    var rest = UInt64(bitPattern: exponent)
    while rest > 0 {
        if !rest.isMultiple(of: 2) { result = result &* square }
        square = square &* square
        rest >>= 1
    }
    return result
}
