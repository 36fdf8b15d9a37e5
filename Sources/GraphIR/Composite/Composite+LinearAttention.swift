/// `LinearAttention` with the attributes of ONNX.
package struct LinearAttention: Hashable, Sendable {
    package var queryHeads: Int
    package var keyHeads: Int
    /// Zero means one over the root of the head size.
    package var scale: Float
    package var decays: Bool
    package var corrects: Bool

    package init(queryHeads: Int, keyHeads: Int, scale: Float, decays: Bool, corrects: Bool) {
        self.queryHeads = queryHeads
        self.keyHeads = keyHeads
        self.scale = scale
        self.decays = decays
        self.corrects = corrects
    }
}

/// Layers that carry a state from one call to the next.
extension Expansion {
    /// [B, T, heads * size] as [B, heads, T, size].
    private mutating func unpacked(_ x: Slot, heads: Int) throws(ShapeError) -> Slot {
        let s = shape(x)
        guard s.count == 3, heads > 0, s[2].isMultiple(of: heads) else {
            throw ShapeError("\(describe(s)) has no \(heads) heads")
        }
        return try transpose(reshape(x, [s[0], s[1], heads, s[2] / heads]), [0, 2, 1, 3])
    }

    /// A state given as an input, or zeros.
    private mutating func state(
        _ index: Int,
        _ sizes: [Int],
        like x: Slot
    ) throws(ShapeError) -> Slot {
        if let given = optional(index) { return given }
        return try expand(scalar(0, like: x), to: sizes)
    }

    /// One update of the state for each step of the sequence.
    mutating func defineLinearAttention(_ attention: LinearAttention) throws(ShapeError) {
        let (queryHeads, heads) = (attention.queryHeads, attention.keyHeads)
        let q = try unpacked(input(0, "query"), heads: queryHeads)
        let k = try unpacked(input(1, "key"), heads: heads)
        let v = try unpacked(input(2, "value"), heads: heads)
        let (batch, time, size, width) = (shape(q)[0], shape(q)[2], shape(q)[3], shape(v)[3])
        guard queryHeads.isMultiple(of: heads) else {
            throw ShapeError("\(queryHeads) heads of queries do not share \(heads) of keys")
        }
        guard time <= 4096 else {
            throw ShapeError("a sequence of \(time) steps is too long; at most 4096 are possible")
        }
        var decay: Slot?
        if attention.decays {
            let given = try input(4, "decay")
            decay = try unary(.exp, unpacked(given, heads: heads))
        }
        var rate: Slot?
        if attention.corrects {
            let given = try input(5, "beta")
            rate = try unpacked(given, heads: shape(given)[2])
        }
        var state = try state(3, [batch, heads, size, width], like: q)
        let scale =
            attention.scale == 0 ? 1 / Double(size).squareRoot() : Double(attention.scale)
        var steps: [Slot] = []
        for t in 0..<time {
            let key = try reshape(pick(k, axis: 2, t), [batch, heads, size, 1])
            var value = try slice(v, axis: 2, t..<t + 1)
            if let decay {
                let factor = try pick(decay, axis: 2, t)
                state = try binary(.multiply, state, reshape(factor, shape(factor) + [1]))
            }
            if let rate {
                let read = try matmul(transpose(key, [0, 1, 3, 2]), state)
                let change = try binary(.subtract, value, read)
                value = try binary(.multiply, slice(rate, axis: 2, t..<t + 1), change)
            }
            state = try binary(.add, state, binary(.multiply, key, value))
            var shown = state
            if queryHeads > heads {
                let places = (0..<queryHeads).map { $0 / (queryHeads / heads) }
                shown = try gather(state, integers(places), axis: 1)
            }
            steps.append(try matmul(slice(q, axis: 2, t..<t + 1), shown))
        }
        let y = try binary(.multiply, concat(steps, axis: 2), scale)
        outputs = [
            try reshape(transpose(y, [0, 2, 1, 3]), [batch, time, queryHeads * width]), state,
        ]
    }

    /// A depthwise convolution that sees only the past, of which it keeps the last elements.
    mutating func defineCausalConvolution(activates: Bool) throws(ShapeError) {
        let (x, w) = (try input(0, "input"), try input(1, "weight"))
        guard shape(x).count == 3, shape(w).count == 3, shape(w)[2] > 0 else {
            throw ShapeError("a causal convolution needs [batch, channels, length]")
        }
        let (channels, kept) = (shape(x)[1], shape(w)[2] - 1)
        var padded = x
        if kept > 0 {
            let past = try state(3, [shape(x)[0], channels, kept], like: x)
            padded = try concat([past, x], axis: 2)
        }
        var y = try add(
            .composite(.anyConvolution(Convolution(group: channels))),
            [padded, w, optional(2)]
        )
        if activates { y = try binary(.multiply, y, unary(.sigmoid, y)) }
        let length = shape(padded)[2]
        outputs = [y, try slice(padded, axis: 2, length - kept..<length)]
    }
}
