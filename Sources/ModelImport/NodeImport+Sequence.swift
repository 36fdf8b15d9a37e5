import GraphIR

/// Layers over sequences, and sums by a formula.
extension NodeForm {
    mutating func sequenceOperator() throws(ImportError) -> Operator? {
        switch node.type {
        case "RNN": return .composite(.recurrent(try recurrence(.simple)))
        case "GRU": return .composite(.recurrent(try recurrence(.gru)))
        case "LSTM": return .composite(.recurrent(try recurrence(.lstm)))
        case "Attention": return .composite(.attention(try attention()))
        case "RotaryEmbedding":
            try takes(3...4)
            return .composite(
                .rotaryEmbedding(
                    RotaryEmbedding(
                        isInterleaved: try flag("interleaved"),
                        rotated: try int("rotary_embedding_dim", default: 0, in: sizesFromZero),
                        heads: try int("num_heads", default: 0, in: sizesFromZero)
                    )
                )
            )
        case "LinearAttention": return .composite(.linearAttention(try linearAttention()))
        case "CausalConvWithState":
            try takes(2...4)
            let activates = try choice(
                "activation",
                default: "none",
                ["none": false, "silu": true, "swish": true]
            )
            return .composite(.causalConvolution(activates: activates))
        case "Einsum":
            try takesAnyNumber()
            let equation = try string("equation", default: "")
            return .composite(.einsum(equation))
        default: return nil
        }
    }

    private mutating func recurrence(
        _ cell: Recurrence.Cell
    ) throws(ImportError) -> Recurrence {
        try takes(cell == .lstm ? 3...8 : 3...6)
        guard node.attributes["hidden_size"] != nil else { throw absent("hidden_size") }
        let direction = try choice(
            "direction",
            default: "forward",
            [
                "forward": Recurrence.Direction.forward, "reverse": .reverse,
                "bidirectional": .both,
            ]
        )
        return Recurrence(
            cell: cell,
            direction: direction,
            hiddenSize: try int("hidden_size", default: 1, in: positiveSizes),
            activations: try activations(),
            clip: try float("clip"),
            linearBeforeReset: try flag("linear_before_reset"),
            inputForget: try flag("input_forget"),
            batchFirst: try flag("layout")
        )
    }

    /// The named activations, with the parameters that the standard gives them.
    private mutating func activations() throws(ImportError) -> [UnaryFunction] {
        guard let value = attribute("activations") else { return [] }
        guard case .strings(let names) = value else {
            throw invalid("has \(value.kind) as its attribute \(quoted("activations"))")
        }
        for parameter in ["activation_alpha", "activation_beta"] {
            if let values = try floats(parameter), !values.isEmpty {
                throw unsupported("with the attribute \(quoted(parameter))")
            }
        }
        var functions: [UnaryFunction] = []
        for name in names {
            switch name.lowercased() {
            case "relu": functions.append(.relu)
            case "tanh": functions.append(.tanh)
            case "sigmoid": functions.append(.sigmoid)
            case "leakyrelu": functions.append(.leakyRelu(alpha: 0.01))
            case "hardsigmoid": functions.append(.hardSigmoid(alpha: 0.2, beta: 0.5))
            case "elu": functions.append(.elu(alpha: 1))
            case "softplus": functions.append(.softplus)
            default: throw unsupported("with the activation \(quoted(name))")
            }
        }
        return functions
    }

    private mutating func linearAttention() throws(ImportError) -> LinearAttention {
        try takes(3...6)
        ignore("chunk_size")
        let (decays, corrects) = try choice(
            "update_rule",
            default: "gated_delta",
            [
                "linear": (false, false), "gated": (true, false), "delta": (false, true),
                "gated_delta": (true, true),
            ]
        )
        return LinearAttention(
            queryHeads: try int("q_num_heads", default: 1, in: positiveSizes),
            keyHeads: try int("kv_num_heads", default: 1, in: positiveSizes),
            scale: try float("scale", default: 0),
            decays: decays,
            corrects: corrects
        )
    }

    private mutating func attention() throws(ImportError) -> Attention {
        try takes(3...7)
        ignore("softmax_precision")
        let output = try int("qk_matmul_output_mode", default: 0, in: 0...3)
        let window = { (value: Int) in value < 0 ? nil : value }
        let heads = { (value: Int) in value == 0 ? nil : value }
        return Attention(
            isCausal: try flag("is_causal"),
            queryHeads: heads(try int("q_num_heads", default: 0, in: sizesFromZero)),
            keyHeads: heads(try int("kv_num_heads", default: 0, in: sizesFromZero)),
            scale: try float("scale"),
            softcap: try float("softcap", default: 0),
            scoreOutput: Attention.ScoreOutput(rawValue: output) ?? .raw,
            leftWindow: window(
                try int("left_window_size", default: -1, in: -1...Int(Int32.max))
            ),
            rightWindow: window(
                try int("right_window_size", default: -1, in: -1...Int(Int32.max))
            )
        )
    }
}
