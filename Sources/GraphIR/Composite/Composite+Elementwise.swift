/// Element-wise operators made of simpler ones.
extension Expansion {
    mutating func defineElementwise(_ composite: Composite) throws(ShapeError) {
        let x = try input(0, "x")
        switch composite {
        case .celu(let alpha):
            let scaled = try binary(.divide, x, Double(alpha))
            outputs = [try binary(.multiply, unary(.elu(alpha: 1), scaled), Double(alpha))]
        case .selu(let alpha, let gamma):
            outputs = [try binary(.multiply, unary(.elu(alpha: alpha), x), Double(gamma))]
        case .mish:
            outputs = [try binary(.multiply, x, unary(.tanh, unary(.softplus, x)))]
        case .softsign:
            outputs = [try binary(.divide, x, binary(.add, unary(.absolute, x), 1))]
        case .thresholdedRelu(let alpha):
            let isAbove = try binary(.greater, x, Double(alpha))
            outputs = [try select(isAbove, x, scalar(0, like: x))]
        case .swish(let alpha): outputs = [try swish(x, alpha: alpha)]
        case .shrink(let lambda, let bias):
            let isLow = try binary(.less, x, -Double(lambda))
            let isHigh = try binary(.greater, x, Double(lambda))
            let low = try binary(.add, x, Double(bias))
            let high = try binary(.subtract, x, Double(bias))
            outputs = [try select(isLow, low, select(isHigh, high, scalar(0, like: x)))]
        case .xor:
            outputs = [try unary(.not, binary(.equal, x, input(1, "b")))]
        case .swiGLU(let alpha):
            outputs = [try binary(.multiply, swish(x, alpha: alpha), input(1, "b"))]
        case .castLike:
            outputs = [try cast(x, to: dtype(input(1, "target")))]
        case .dropout(let keepsMask):
            outputs = [x]
            if keepsMask {
                let ones = try add(
                    .constantOfShape(value: 1, dtype: .bool),
                    [integers(shape(x))]
                )
                outputs.append(ones)
            }
        default: preconditionFailure("not element-wise")
        }
    }

    private mutating func swish(_ x: Slot, alpha: Float) throws(ShapeError) -> Slot {
        let scaled = alpha == 1 ? x : try binary(.multiply, x, Double(alpha))
        return try binary(.multiply, x, unary(.sigmoid, scaled))
    }
}
