import GraphIR

/// Operators that compute each element of the result from one element of every input.
extension NodeForm {
    mutating func elementwiseOperator() throws(ImportError) -> Operator? {
        if let function = try unaryFunction() {
            try takes(1...1)
            try givesOne()
            return .unary(function)
        }
        if let function = try binaryFunction() {
            try takes(2...2)
            try givesOne()
            return .binary(function)
        }
        switch node.type {
        case "Sum": return try variadic(.sum, ofTwo: .add)
        case "Min": return try variadic(.minimum, ofTwo: .minimum)
        case "Max": return try variadic(.maximum, ofTwo: .maximum)
        case "Mean": return try variadic(.mean, ofTwo: nil)
        case "Clip": return try clip()
        case "Where":
            try takes(3...3)
            return .select
        case "Cast": return try cast()
        case "BitCast":
            try takes(1...1)
            guard let dtype = try elementType("to") else { throw absent("to") }
            return .bitCast(to: dtype)
        case "Identity":
            try takes(1...1)
            try givesOne()
            return .identity
        case "Dropout": return try dropout()
        default: return nil
        }
    }

    private mutating func unaryFunction() throws(ImportError) -> UnaryFunction? {
        switch node.type {
        case "Relu": return .relu
        case "LeakyRelu": return .leakyRelu(alpha: try float("alpha", default: 0.01))
        case "Sigmoid": return .sigmoid
        case "HardSigmoid":
            return .hardSigmoid(
                alpha: try float("alpha", default: 0.2),
                beta: try float("beta", default: 0.5)
            )
        case "HardSwish": return .hardSwish
        case "Tanh": return .tanh
        case "Elu": return .elu(alpha: try float("alpha", default: 1))
        case "Softplus": return .softplus
        case "Erf": return .erf
        case "Gelu":
            let isTanh = try choice(
                "approximate",
                default: "none",
                ["none": false, "tanh": true]
            )
            return .gelu(tanhApproximation: isTanh)
        case "Sqrt": return .sqrt
        case "Reciprocal": return .reciprocal
        case "Exp": return .exp
        case "Log": return .log
        case "Neg": return .negate
        case "Abs": return .absolute
        case "Floor": return .floor
        case "Ceil": return .ceil
        case "Round": return .round
        case "Not": return .not
        case "Sin": return .sin
        case "Cos": return .cos
        case "Tan": return .tan
        case "Asin": return .asin
        case "Acos": return .acos
        case "Atan": return .atan
        case "Sinh": return .sinh
        case "Cosh": return .cosh
        case "Asinh": return .asinh
        case "Acosh": return .acosh
        case "Atanh": return .atanh
        case "Sign": return .sign
        case "BitwiseNot": return .bitwiseNot
        case "IsNaN": return .isNaN
        case "IsInf":
            return .isInfinite(
                negative: try flag("detect_negative", default: true),
                positive: try flag("detect_positive", default: true)
            )
        default: return nil
        }
    }

    private mutating func binaryFunction() throws(ImportError) -> BinaryFunction? {
        switch node.type {
        case "Add": .add
        case "Sub": .subtract
        case "Mul": .multiply
        case "Div": .divide
        case "Pow": .power
        case "Mod": .modulo(truncated: try flag("fmod"))
        case "Equal": .equal
        case "Less": .less
        case "LessOrEqual": .lessOrEqual
        case "Greater": .greater
        case "GreaterOrEqual": .greaterOrEqual
        case "And": .and
        case "Or": .or
        case "PRelu": .parametricRelu
        case "BitwiseAnd": .bitwiseAnd
        case "BitwiseOr": .bitwiseOr
        case "BitwiseXor": .bitwiseXor
        case "BitShift":
            try choice(
                "direction",
                default: "",
                ["LEFT": BinaryFunction.shiftLeft, "RIGHT": .shiftRight]
            )
        default: nil
        }
    }

    /// One input is passed on, and two are an ordinary binary operation: a residual `Sum` is an
    /// `Add`, so that nothing later has to know both.
    private func variadic(
        _ function: VariadicFunction,
        ofTwo binary: BinaryFunction?
    ) throws(ImportError) -> Operator {
        try takesAnyNumber()
        try givesOne()
        if inputs.count == 1 { return .identity }
        if inputs.count == 2, let binary { return .binary(binary) }
        return .variadic(function)
    }

    /// Before operator set 11 the limits are attributes.
    ///
    /// They are given as `float32` whatever the type of the input.
    private mutating func clip() throws(ImportError) -> Operator {
        if let minimum = try float("min") {
            try setInput(1, role: "min", DenseTensor(shape: [], floats: [minimum]))
        }
        if let maximum = try float("max") {
            try setInput(2, role: "max", DenseTensor(shape: [], floats: [maximum]))
        }
        try takes(1...3)
        return .clip
    }

    private mutating func cast() throws(ImportError) -> Operator {
        try takes(1...1)
        // Both only matter for types of eight bits or less that are refused below.
        ignore("saturate", "round_mode")
        guard let code = try int("to") else { throw absent("to") }
        guard let dtype = Int32(exactly: code).flatMap(DType.init(rawValue:)) else {
            throw unsupported("to \(dataTypeName(code))")
        }
        return .cast(to: dtype)
    }

    /// Dropout passes its input on when a model is not being trained.
    private mutating func dropout() throws(ImportError) -> Operator {
        try takes(1...3)
        ignore("ratio", "seed")
        let isTraining = hasInput(2) && literal(2)?.integers?.first != 0
        let keepsAll = hasInput(1) && literal(1)?.doubles.first == 0
        guard !isTraining || keepsAll else {
            throw unsupported("in training mode, which is random")
        }
        truncateInputs(to: 1)
        let keepsMask = usesOutput(1)
        if !keepsMask { try keepFirstOutput(others: "its second output, mask") }
        return keepsMask ? .composite(.dropout(keepsMask: true)) : .identity
    }
}
