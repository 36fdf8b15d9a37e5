import GraphIR

/// Normalisations and losses.
extension NodeForm {
    mutating func normalizationOperator() throws(ImportError) -> Operator? {
        switch node.type {
        case "InstanceNormalization":
            try takes(3...3)
            return .composite(.instanceNormalization(epsilon: try epsilon()))
        case "LayerNormalization":
            try takes(2...3)
            ignore("stash_type")
            return .composite(
                .layerNormalization(axis: try axis(default: -1), epsilon: try epsilon())
            )
        case "RMSNormalization":
            try takes(2...2)
            ignore("stash_type")
            return .composite(
                .rmsNormalization(axis: try axis(default: -1), epsilon: try epsilon())
            )
        case "GroupNormalization":
            try takes(3...3)
            ignore("stash_type")
            return .composite(
                .groupNormalization(
                    groups: try int("num_groups", default: 1, in: positiveSizes),
                    epsilon: try epsilon(),
                    // Operator set 21 changed scale and bias from one per group to one per channel.
                    perGroup: opset < 21
                )
            )
        case "MeanVarianceNormalization":
            try takes(1...1)
            let axes = try axisList() ?? [0, 2, 3]
            return .composite(.meanVarianceNormalization(axes: axes.map { Int($0) }))
        case "LpNormalization":
            try takes(1...1)
            return .composite(
                .lpNormalization(
                    axis: try axis(default: -1),
                    order: try int("p", default: 2, in: 1...2)
                )
            )
        case "LogSoftmax":
            try takes(1...1)
            let isOld = opset < 13
            return .composite(
                .logSoftmax(axis: try axis(default: isOld ? 1 : -1), flattened: isOld)
            )
        case "Hardmax":
            try takes(1...1)
            let isOld = opset < 13
            return .composite(.hardmax(axis: try axis(default: isOld ? 1 : -1), flattened: isOld))
        case "NegativeLogLikelihoodLoss":
            try takes(2...3)
            let (reduction, ignored) = try loss()
            return .composite(.negativeLogLikelihood(reduction, ignored: ignored))
        case "SoftmaxCrossEntropyLoss":
            try takes(2...3)
            let (reduction, ignored) = try loss()
            return .composite(.softmaxCrossEntropy(reduction, ignored: ignored))
        default: return nil
        }
    }

    private mutating func epsilon() throws(ImportError) -> Float {
        try float("epsilon", default: 1e-5)
    }

    private mutating func loss() throws(ImportError) -> (LossReduction, Int?) {
        let reduction = try choice(
            "reduction",
            default: "mean",
            ["mean": LossReduction.mean, "sum": .sum, "none": .none]
        )
        return (reduction, try int("ignore_index").map { Int($0) })
    }
}
