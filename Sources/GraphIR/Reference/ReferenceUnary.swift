/// Functions of one element.
extension Evaluation {
    func unary(_ function: UnaryFunction) -> DenseTensor {
        let x = input(0)
        let dtype = type.dtype
        if function.isPredicate { return predicate(function, x) }
        switch x.storage {
        case .floats(let elements):
            if let operation: (Float) -> Float = arithmetic(function) {
                let results = elements.map { value in
                    let result = operation(value)
                    return dtype == .float32 ? result : Float(dtype.round(Double(result)))
                }
                return DenseTensor(type: type, storage: .floats(results))
            }
            let results = elements.map {
                Float(dtype.round(transcendental(function, Double($0))))
            }
            return DenseTensor(type: type, storage: .floats(results))
        case .doubles(let elements):
            if let operation: (Double) -> Double = arithmetic(function) {
                return DenseTensor(type: type, storage: .doubles(elements.map(operation)))
            }
            let results = elements.map { transcendental(function, $0) }
            return DenseTensor(type: type, storage: .doubles(results))
        case .integers(let elements):
            let isUnsigned = dtype == .uint64
            let results = elements.map { value -> Int64 in
                switch function {
                case .not: value == 0 ? 1 : 0
                case .relu: isUnsigned ? value : max(value, 0)
                case .sign: isUnsigned ? (value == 0 ? 0 : 1) : value.signum()
                case .bitwiseNot: dtype.wrap(~value)
                case .negate: dtype.wrap(0 &- value)
                default: dtype.wrap(value < 0 && !isUnsigned ? 0 &- value : value)
                }
            }
            return DenseTensor(type: type, storage: .integers(results))
        }
    }

    private func predicate(_ function: UnaryFunction, _ x: DenseTensor) -> DenseTensor {
        let flags = x.numbers.map { value -> Int64 in
            switch function {
            case .isInfinite(let negative, let positive):
                value.isInfinite && (value < 0 ? negative : positive) ? 1 : 0
            default: value.isNaN ? 1 : 0
            }
        }
        return DenseTensor(type: type, storage: .integers(flags))
    }
}

/// The functions that are a few exactly rounded operations, done in the element type.
///
/// Nil for the others. Not-a-number stays what it is.
private func arithmetic<T: BinaryFloatingPoint>(_ function: UnaryFunction) -> ((T) -> T)? {
    switch function {
    case .relu: return { $0 < 0 ? 0 : $0 }
    case .leakyRelu(let alpha):
        let slope = T(alpha)
        return { $0 < 0 ? $0 * slope : $0 }
    case .hardSigmoid(let alpha, let beta):
        let (slope, offset) = (T(alpha), T(beta))
        return { clampToUnit(slope * $0 + offset) }
    case .hardSwish: return { $0 * clampToUnit($0 / 6 + 0.5) }
    case .sqrt: return { $0.squareRoot() }
    case .reciprocal: return { 1 / $0 }
    case .negate: return { -$0 }
    case .absolute: return { abs($0) }
    case .floor: return { $0.rounded(.down) }
    case .ceil: return { $0.rounded(.up) }
    case .round: return { $0.rounded(.toNearestOrEven) }
    case .sign: return { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }
    default: return nil
    }
}

private func clampToUnit<T: BinaryFloatingPoint>(_ value: T) -> T {
    value < 0 ? 0 : value > 1 ? 1 : value
}

private func transcendental(_ function: UnaryFunction, _ x: Double) -> Double {
    switch function {
    case .sigmoid:
        return 1 / (1 + Elementary.exp(-x))
    case .tanh: return Elementary.tanh(x)
    case .elu(let alpha): return x < 0 ? Double(alpha) * Elementary.expMinusOne(x) : x
    case .softplus:
        return max(x, 0) + Elementary.logOnePlus(Elementary.exp(-abs(x)))
    case .erf: return Elementary.erf(x)
    case .gelu(let tanhApproximation):
        // sqrt(2 / pi) and sqrt(1 / 2).
        let inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
        let part =
            tanhApproximation
            ? Elementary.tanh(inner) : Elementary.erf(x * 0.7071067811865476)
        return x == -.infinity ? 0 : 0.5 * x * (1 + part)
    case .exp: return Elementary.exp(x)
    case .log: return Elementary.log(x)
    case .sin: return Elementary.sin(x)
    case .cos: return Elementary.cos(x)
    case .tan: return Elementary.sin(x) / Elementary.cos(x)
    case .asin: return Elementary.asin(x)
    case .acos: return abs(x) > 1 ? .nan : Double.pi / 2 - Elementary.asin(x)
    case .atan: return Elementary.atan(x)
    case .sinh: return Elementary.sinh(x)
    case .cosh: return (Elementary.exp(x) + Elementary.exp(-x)) / 2
    case .asinh: return Elementary.asinh(x)
    case .acosh: return Elementary.log(x + ((x - 1) * (x + 1)).squareRoot())
    case .atanh: return (Elementary.logOnePlus(x) - Elementary.logOnePlus(-x)) / 2
    case .relu, .leakyRelu, .hardSigmoid, .hardSwish, .sqrt, .reciprocal, .negate, .absolute,
        .floor, .ceil, .round, .not, .sign, .bitwiseNot, .isNaN, .isInfinite:
        preconditionFailure("these are done in the element type")
    }
}
