import GraphIR

/// Matrix products, normalisations, and operators that reduce along axes.
extension NodeForm {
    mutating func linearOperator() throws(ImportError) -> Operator? {
        switch node.type {
        case "MatMul":
            try takes(2...2)
            try givesOne()
            return .matmul
        case "Gemm": return try gemm()
        case "BatchNormalization": return try batchNormalization()
        case "LRN": return try localResponseNormalization()
        case "Softmax": return try softmax()
        default:
            guard let kind = reductionKind else { return nil }
            return try reduction(kind)
        }
    }

    private mutating func gemm() throws(ImportError) -> Operator {
        try takes(2...3)
        try givesOne()
        // Left over from operator set 6, whose files call it an error not to broadcast the bias;
        // a bias of the full shape needs no flag.
        ignore("broadcast")
        return .gemm(
            Gemm(
                alpha: try float("alpha", default: 1),
                beta: try float("beta", default: 1),
                transposeA: try flag("transA"),
                transposeB: try flag("transB")
            )
        )
    }

    private mutating func batchNormalization() throws(ImportError) -> Operator {
        try takes(5...5)
        let momentum = try float("momentum", default: 0.9)
        if try flag("training_mode") {
            return .composite(
                .batchNormalizationTraining(
                    epsilon: try float("epsilon", default: 1e-5),
                    momentum: momentum
                )
            )
        }
        guard try flag("spatial", default: true) else {
            throw unsupported("with statistics for every position (spatial = 0)")
        }
        try keepFirstOutput(others: "the outputs of training")
        return .batchNormalization(epsilon: try float("epsilon", default: 1e-5))
    }

    private mutating func localResponseNormalization() throws(ImportError) -> Operator {
        try takes(1...1)
        guard node.attributes["size"] != nil else { throw absent("size") }
        return .localResponseNormalization(
            size: try int("size", default: 1, in: positiveSizes),
            alpha: try float("alpha", default: 1e-4),
            beta: try float("beta", default: 0.75),
            bias: try float("bias", default: 1)
        )
    }

    private mutating func softmax() throws(ImportError) -> Operator {
        try takes(1...1)
        try givesOne()
        let isFlattened = opset < 13
        return .softmax(axis: try axis(default: isFlattened ? 1 : -1), flattened: isFlattened)
    }

    private var reductionKind: ReductionKind? {
        switch node.type {
        case "ReduceSum": .sum
        case "ReduceMean": .mean
        case "ReduceMin": .minimum
        case "ReduceMax": .maximum
        case "ReduceProd": .product
        case "ReduceL1": .l1
        case "ReduceL2": .l2
        case "ReduceSumSquare": .sumOfSquares
        case "ReduceLogSum": .logSum
        case "ReduceLogSumExp": .logSumExp
        default: nil
        }
    }

    /// The axes became an input in operator set 13 (`ReduceSum`) or 18 (the others).
    private mutating func reduction(_ kind: ReductionKind) throws(ImportError) -> Operator {
        if let axes = try axisList(), !axes.isEmpty {
            try setInput(1, role: "axes", integers: axes)
        }
        try takes(1...2)
        try givesOne()
        return .reduce(
            Reduction(
                kind: kind,
                keepsDimensions: try flag("keepdims", default: true),
                ignoresEmptyAxes: try flag("noop_with_empty_axes")
            )
        )
    }
}
