/// Scaled dot-product attention with the attributes of ONNX.
package struct Attention: Hashable, Sendable {
    package enum ScoreOutput: Int, Hashable, Sendable {
        case raw, capped, biased, probabilities
    }

    package var isCausal: Bool
    package var queryHeads: Int?
    package var keyHeads: Int?
    package var scale: Float?
    /// Zero means none.
    package var softcap: Float
    package var scoreOutput: ScoreOutput
    /// Keys before and after its own place that a query sees; nil means all.
    package var leftWindow: Int?
    package var rightWindow: Int?

    package init(
        isCausal: Bool,
        queryHeads: Int?,
        keyHeads: Int?,
        scale: Float?,
        softcap: Float,
        scoreOutput: ScoreOutput,
        leftWindow: Int?,
        rightWindow: Int?
    ) {
        self.isCausal = isCausal
        self.queryHeads = queryHeads
        self.keyHeads = keyHeads
        self.scale = scale
        self.softcap = softcap
        self.scoreOutput = scoreOutput
        self.leftWindow = leftWindow
        self.rightWindow = rightWindow
    }
}

/// Rotary position embedding with the attributes of ONNX.
package struct RotaryEmbedding: Hashable, Sendable {
    package var isInterleaved: Bool
    /// Elements of a head that are rotated; 0 means all.
    package var rotated: Int
    /// For inputs of rank 3.
    package var heads: Int

    package init(isInterleaved: Bool, rotated: Int, heads: Int) {
        self.isInterleaved = isInterleaved
        self.rotated = rotated
        self.heads = heads
    }
}

extension Expansion {
    /// [B, L, heads * size] as [B, heads, L, size]; a tensor of rank 4 stays as it is.
    private mutating func heads(_ x: Slot, _ count: Int?) throws(ShapeError) -> Slot {
        let sizes = shape(x)
        if sizes.count == 4 { return x }
        guard sizes.count == 3, let count, count > 0, sizes[2].isMultiple(of: count) else {
            throw ShapeError("\(describe(sizes)) cannot be divided into heads")
        }
        let parts = try reshape(x, [sizes[0], sizes[1], count, sizes[2] / count])
        return try transpose(parts, [0, 2, 1, 3])
    }

    mutating func defineAttention(_ attention: Attention) throws(ShapeError) {
        let isFlat = try shape(input(0, "Q")).count == 3
        let q = try heads(input(0, "Q"), attention.queryHeads)
        var k = try heads(input(1, "K"), attention.keyHeads)
        var v = try heads(input(2, "V"), attention.keyHeads)
        if let past = optional(4) { k = try concat([past, k], axis: 2) }
        if let past = optional(5) { v = try concat([past, v], axis: 2) }
        let present = (k, v)
        guard shape(q)[1] > 0, shape(k)[1] > 0, shape(q)[1].isMultiple(of: shape(k)[1]) else {
            throw ShapeError("\(shape(q)[1]) heads of Q cannot share \(shape(k)[1]) of K")
        }
        k = try repeatedHeads(k, shape(q)[1] / shape(k)[1])
        v = try repeatedHeads(v, shape(q)[1] / shape(v)[1])

        let size = Double(shape(q)[3])
        let scale = attention.scale.map { Double($0) } ?? 1 / size.squareRoot()
        let root = scale.squareRoot()
        let left = try binary(.multiply, q, root)
        let right = try binary(.multiply, transpose(k, [0, 1, 3, 2]), root)
        let raw = try matmul(left, right)
        var capped = raw
        if attention.softcap != 0 {
            let cap = Double(attention.softcap)
            capped = try binary(
                .multiply,
                unary(.tanh, binary(.divide, raw, cap)),
                cap
            )
        }
        var biased = capped
        var isEmpty: Slot?
        if let bias = try attentionBias(attention, q: q, k: k) {
            biased = try binary(.add, capped, bias)
            let most = try reduce(.maximum, bias, axes: [shape(bias).count - 1])
            isEmpty = try binary(.equal, most, -Double.infinity)
        }
        var weights = try softmax(biased, axis: 3)
        if let isEmpty { weights = try select(isEmpty, scalar(0, like: weights), weights) }
        var y = try matmul(weights, v)
        if isFlat {
            let s = shape(y)
            y = try reshape(transpose(y, [0, 2, 1, 3]), [s[0], s[2], s[1] * s[3]])
        }
        let scores =
            switch attention.scoreOutput {
            case .raw: raw
            case .capped: capped
            case .biased: biased
            case .probabilities: weights
            }
        outputs = [y, present.0, present.1, scores]
    }

    private mutating func repeatedHeads(_ x: Slot, _ times: Int) throws(ShapeError) -> Slot {
        if times == 1 { return x }
        let places = try tableIndices(below: shape(x)[1] * times).map { $0 / times }
        return try gather(x, integers(places), axis: 1)
    }

    /// What is added to the scores: the mask, and minus infinity where nothing may be seen.
    private mutating func attentionBias(
        _ attention: Attention,
        q: Slot,
        k: Slot
    ) throws(ShapeError) -> Slot? {
        let (queries, keys) = (shape(q)[2], shape(k)[2])
        var allowed: Slot?
        var bias: Slot?
        func allow(_ more: Slot, _ e: inout Expansion) throws(ShapeError) {
            allowed =
                try allowed.map { old throws(ShapeError) in
                    try e.binary(.and, old, more)
                } ?? more
        }
        if let given = optional(3) {
            let mask = try padded(given, to: keys)
            if dtype(mask) == .bool { try allow(mask, &self) } else { bias = mask }
        }
        let column = try counting(keys, shape: [1, keys])
        var place = try counting(queries, shape: [queries, 1])
        if let lengths = optional(6) {
            let batch = shape(lengths).reduce(1, *)
            let valid = try reshape(cast(lengths, to: .int64), [batch, 1, 1, 1])
            try allow(binary(.less, column, valid), &self)
            if optional(4) == nil {
                place = try binary(.add, place, binary(.subtract, valid, Double(queries)))
            }
        }
        if let past = optional(4) { place = try binary(.add, place, Double(shape(past)[2])) }
        if attention.isCausal { try allow(binary(.lessOrEqual, column, place), &self) }
        if let window = attention.leftWindow {
            let first = try binary(.subtract, place, Double(window))
            try allow(binary(.greaterOrEqual, column, first), &self)
        }
        if let window = attention.rightWindow {
            let last = try binary(.add, place, Double(window))
            try allow(binary(.lessOrEqual, column, last), &self)
        }
        guard let allowed else { return bias }
        let barred = try select(
            allowed,
            scalar(0, like: q),
            scalar(-.infinity, like: q)
        )
        return try bias.map { bias throws(ShapeError) in
            try binary(.add, bias, barred)
        } ?? barred
    }

    /// A mask for the first keys, closed to all others.
    private mutating func padded(_ mask: Slot, to keys: Int) throws(ShapeError) -> Slot {
        let sizes = shape(mask)
        guard let last = sizes.last, last < keys, last > 1 || keys == 1 else { return mask }
        let fill = dtype(mask) == .bool ? scalar(0, .bool) : scalar(-.infinity, like: mask)
        let rest = try expand(fill, to: sizes.dropLast() + [keys - last])
        return try concat([mask, rest], axis: sizes.count - 1)
    }

    mutating func defineRotaryEmbedding(_ rotary: RotaryEmbedding) throws(ShapeError) {
        let given = try input(0, "X")
        let isFlat = shape(given).count == 3
        // [B, heads, L, size] throughout.
        let x = try heads(given, rotary.heads)
        let s = shape(x)
        let count = rotary.rotated == 0 ? s[3] : rotary.rotated
        guard count <= s[3], count.isMultiple(of: 2) else {
            throw ShapeError("\(count) of \(s[3]) elements cannot be rotated")
        }
        let half = count / 2
        var tables: [Slot] = []
        for index in [1, 2] {
            var table = try input(index, "cache")
            if let places = optional(3) {
                table = try gather(table, cast(places, to: .int64), axis: 0)
            }
            tables.append(try reshape(table, [shape(table)[0], 1, s[2], half]))
        }
        let turned = try slice(x, axis: 3, 0..<count)
        let (a, b): (Slot, Slot)
        if rotary.isInterleaved {
            let pairs = try reshape(turned, [s[0], s[1], s[2], half, 2])
            a = try pick(pairs, axis: 4, 0)
            b = try pick(pairs, axis: 4, 1)
        } else {
            a = try slice(turned, axis: 3, 0..<half)
            b = try slice(turned, axis: 3, half..<count)
        }
        let (cosine, sine) = (tables[0], tables[1])
        let real = try binary(
            .subtract,
            binary(.multiply, cosine, a),
            binary(.multiply, sine, b)
        )
        let imaginary = try binary(
            .add,
            binary(.multiply, sine, a),
            binary(.multiply, cosine, b)
        )
        var y: Slot
        if rotary.isInterleaved {
            let sizes = [s[0], s[1], s[2], half, 1]
            let pairs = [try reshape(real, sizes), try reshape(imaginary, sizes)]
            y = try reshape(concat(pairs, axis: 4), [s[0], s[1], s[2], count])
        } else {
            y = try concat([real, imaginary], axis: 3)
        }
        if count < s[3] { y = try concat([y, slice(x, axis: 3, count..<s[3])], axis: 3) }
        if isFlat { y = try reshape(transpose(y, [0, 2, 1, 3]), shape(given)) }
        outputs = [y]
    }
}
