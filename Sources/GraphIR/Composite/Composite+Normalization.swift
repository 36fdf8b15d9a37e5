/// Normalisations and losses.
extension Expansion {
    mutating func defineNormalization(_ composite: Composite) throws(ShapeError) {
        let x = try input(0, "x")
        let rank = shape(x).count
        switch composite {
        case .instanceNormalization(let epsilon):
            try checkChannels(x)
            let result = try standardize(x, axes: Array(2..<rank), epsilon: Double(epsilon)).result
            outputs = [try scaled(result, by: channels(input(1, "scale"), rank), optional(2))]
        case .groupNormalization(let groups, let epsilon, let perGroup):
            try groupNormalization(x, groups: groups, epsilon: epsilon, perGroup: perGroup)
        case .layerNormalization(let axis, let epsilon):
            let axes = Array(try resolveAxis(axis, rank: rank)..<rank)
            let (result, mean, inverse) = try standardize(
                x,
                axes: axes,
                epsilon: Double(epsilon),
                inRows: true
            )
            var y = try binary(.multiply, result, input(1, "scale"))
            if let bias = optional(2) { y = try binary(.add, y, bias) }
            outputs = [y, mean, inverse]
        case .rmsNormalization(let axis, let epsilon):
            let axes = Array(try resolveAxis(axis, rank: rank)..<rank)
            let square = try meanOfSquares(x, axes: axes, inRows: true)
            let root = try unary(.sqrt, binary(.add, square, Double(epsilon)))
            outputs = [try binary(.multiply, binary(.divide, x, root), input(1, "scale"))]
        case .meanVarianceNormalization(let axes):
            let mean = try reduce(.mean, x, axes: axes)
            let centred = try binary(.subtract, x, mean)
            let variance = try meanOfSquares(centred, axes: axes)
            let deviation = try binary(.add, unary(.sqrt, variance), 1e-9)
            outputs = [try binary(.divide, centred, deviation)]
        case .lpNormalization(let axis, let order):
            let axis = try resolveAxis(axis, rank: rank)
            let norm = try reduce(order == 1 ? .l1 : .l2, x, axes: [axis])
            let isZero = try binary(.equal, norm, 0)
            let divisor = try select(isZero, scalar(1, like: x), norm)
            outputs = [try binary(.divide, x, divisor)]
        case .logSoftmax(let axis, let flattened):
            let axis = try resolveAxis(axis, rank: rank)
            let axes = flattened ? Array(axis..<rank) : [axis]
            outputs = [try binary(.subtract, x, reduce(.logSumExp, x, axes: axes))]
        case .hardmax(let axis, let flattened): try hardmax(x, axis: axis, flattened: flattened)
        case .batchNormalization(let epsilon):
            let mean = try channels(input(3, "mean"), rank)
            let variance = try channels(input(4, "variance"), rank)
            let result = try binary(
                .divide,
                binary(.subtract, x, mean),
                unary(.sqrt, binary(.add, variance, Double(epsilon)))
            )
            outputs = [try scaled(result, by: channels(input(1, "scale"), rank), optional(2))]
        case .batchNormalizationTraining(let epsilon, let momentum):
            try batchNormalizationTraining(x, epsilon: epsilon, momentum: Double(momentum))
        case .negativeLogLikelihood(let reduction, let ignored):
            outputs = [try negativeLogLikelihood(x, reduction, ignored: ignored)]
        case .softmaxCrossEntropy(let reduction, let ignored):
            let logs = try add(.composite(.logSoftmax(axis: 1, flattened: false)), [x])
            outputs = [try negativeLogLikelihood(logs, reduction, ignored: ignored), logs]
        default: preconditionFailure("no normalisation")
        }
    }

    private func checkChannels(_ x: Slot) throws(ShapeError) {
        guard shape(x).count >= 2 else {
            throw ShapeError("a tensor of shape \(describe(shape(x))) has no channels")
        }
    }

    /// A value per channel, shaped to broadcast over a tensor [N, C, ...] of `rank`.
    private mutating func channels(_ x: Slot, _ rank: Int) throws(ShapeError) -> Slot {
        try reshape(
            x,
            [shape(x).reduce(1, *)] + Array(repeating: 1, count: max(rank - 2, 0))
        )
    }

    private mutating func scaled(
        _ x: Slot,
        by scale: Slot,
        _ bias: Slot?
    ) throws(ShapeError) -> Slot {
        let product = try binary(.multiply, x, scale)
        guard let bias else { return product }
        return try binary(.add, product, channels(bias, shape(x).count))
    }

    private mutating func groupNormalization(
        _ x: Slot,
        groups: Int,
        epsilon: Float,
        perGroup: Bool
    ) throws(ShapeError) {
        try checkChannels(x)
        let sizes = shape(x)
        guard groups > 0, sizes[1].isMultiple(of: groups) else {
            throw ShapeError("\(sizes[1]) channels have no \(groups) equal groups")
        }
        let rest = sizes[1...].reduce(1, *) / groups
        let grouped = try reshape(x, [sizes[0], groups, rest])
        let result = try standardize(
            grouped,
            axes: [2],
            epsilon: Double(epsilon),
            inRows: true
        ).result
        let (scale, bias) = (try input(1, "scale"), try input(2, "bias"))
        if perGroup {
            let y = try binary(.multiply, result, reshape(scale, [groups, 1]))
            outputs = [try reshape(binary(.add, y, reshape(bias, [groups, 1])), sizes)]
        } else {
            outputs = [
                try scaled(reshape(result, sizes), by: channels(scale, sizes.count), bias)
            ]
        }
    }

    private mutating func hardmax(
        _ x: Slot,
        axis: Int,
        flattened: Bool
    ) throws(ShapeError) {
        let sizes = shape(x)
        let axis = try resolveAxis(axis, rank: sizes.count)
        let source =
            flattened
            ? try reshape(x, [sizes[..<axis].reduce(1, *), sizes[axis...].reduce(1, *)]) : x
        let along = flattened ? 1 : axis
        let count = shape(source)[along]
        let first = try add(
            .argument(ArgumentSearch(axis: along, keepsDimension: true)),
            [source]
        )
        var sizesOfRange = shape(source).map { _ in 1 }
        sizesOfRange[along] = count
        let positions = try counting(count, shape: sizesOfRange)
        let hits = try cast(binary(.equal, positions, first), to: dtype(x))
        outputs = [try reshape(hits, sizes)]
    }

    private mutating func batchNormalizationTraining(
        _ x: Slot,
        epsilon: Float,
        momentum: Double
    ) throws(ShapeError) {
        try checkChannels(x)
        let rank = shape(x).count
        let axes = [0] + Array(2..<rank)
        let (result, mean, _) = try standardize(x, axes: axes, epsilon: Double(epsilon))
        let centred = try binary(.subtract, x, mean)
        let variance = try meanOfSquares(centred, axes: axes)
        outputs = [try scaled(result, by: channels(input(1, "scale"), rank), optional(2))]
        for (index, now) in [(3, mean), (4, variance)] {
            let old = try binary(.multiply, input(index, "statistics"), momentum)
            let new = try binary(.multiply, reshape(now, [shape(x)[1]]), 1 - momentum)
            outputs.append(try binary(.add, old, new))
        }
    }

    /// The loss of log probabilities [N, C, ...] for the classes of input 1, weighted by input 2.
    private mutating func negativeLogLikelihood(
        _ logs: Slot,
        _ reduction: LossReduction,
        ignored: Int?
    ) throws(ShapeError) -> Slot {
        try checkChannels(logs)
        var target = try cast(input(1, "target"), to: .int64)
        var isIgnored: Slot?
        if let ignored {
            let hits = try binary(.equal, target, Double(ignored))
            target = try select(hits, scalar(0, .int64), target)
            isIgnored = hits
        }
        var sizes = shape(target)
        guard sizes.count == shape(logs).count - 1 else {
            throw ShapeError(
                "targets \(describe(sizes)) do not fit scores \(describe(shape(logs)))"
            )
        }
        sizes.insert(1, at: 1)
        let picked = try add(
            .composite(.gatherElements(axis: 1)),
            [logs, reshape(target, sizes)]
        )
        var loss = try unary(.negate, reshape(picked, shape(target)))
        var weights: Slot?
        if let given = optional(2) { weights = try gather(given, target, axis: 0) }
        if let isIgnored {
            let one = scalar(1, like: logs)
            weights = try select(isIgnored, scalar(0, like: logs), weights ?? one)
        }
        if let weights { loss = try binary(.multiply, loss, weights) }
        let axes = Array(shape(target).indices)
        switch reduction {
        case .none: return loss
        case .sum: return try reduce(.sum, loss, axes: axes, keeps: false)
        case .mean:
            guard let weights else { return try reduce(.mean, loss, axes: axes, keeps: false) }
            let total = try reduce(.sum, loss, axes: axes, keeps: false)
            return try binary(.divide, total, reduce(.sum, weights, axes: axes, keeps: false))
        }
    }
}
