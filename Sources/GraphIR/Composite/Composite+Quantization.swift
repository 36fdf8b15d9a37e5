/// Quantised operators: integers, scales and zero points.
extension Expansion {
    mutating func defineQuantization(_ composite: Composite) throws(ShapeError) {
        let x = try input(0, "x")
        switch composite {
        case .quantize(let axis, let blockSize, let target):
            let scale = try parameter(input(1, "scale"), of: x, axis: axis, blockSize: blockSize)
            let zero = optional(2)
            let type = zero.map { dtype($0) } ?? target ?? .uint8
            var offset: Slot?
            if let zero {
                offset = try parameter(zero, of: x, axis: axis, blockSize: blockSize)
            }
            let value = try cast(x, to: .float32)
            outputs = [try quantized(binary(.divide, value, scale), offset, to: type)]
        case .dequantize(let axis, let blockSize):
            let given = try input(1, "scale")
            let scale = try parameter(given, of: x, axis: axis, blockSize: blockSize)
            var value = try cast(x, to: .float32)
            if let zero = optional(2) {
                let offset = try parameter(zero, of: x, axis: axis, blockSize: blockSize)
                value = try binary(.subtract, value, offset)
            }
            outputs = [try cast(binary(.multiply, value, scale), to: dtype(given))]
        case .dynamicQuantize: try dynamicQuantize(x)
        case .matmulInteger:
            let a = try centred(x, optional(2), onRows: true)
            let b = try centred(input(1, "b"), optional(3), onRows: false)
            outputs = [try exactProduct(a, b)]
        case .quantizedMatmul: try quantizedMatmul(x)
        case .convolutionInteger(let convolution):
            let value = try centred(x, optional(2), onRows: false)
            let weights = try filterWeights(input(1, "w"), optional(3))
            outputs = [try exactConvolution(value, weights, convolution)]
        case .quantizedConvolution(let convolution):
            try quantizedConvolution(x, convolution)
        default: preconditionFailure("no quantisation")
        }
    }

    /// A scale or zero point in float32, shaped to broadcast over `x`.
    private mutating func parameter(
        _ given: Slot,
        of x: Slot,
        axis: Int,
        blockSize: Int
    ) throws(ShapeError) -> Slot {
        let value = try cast(given, to: .float32)
        if shape(given).reduce(1, *) == 1, blockSize == 0 { return try reshape(value, []) }
        let sizes = shape(x)
        let axis = try resolveAxis(axis, rank: sizes.count)
        if blockSize > 0 {
            guard shape(given).count == sizes.count else {
                throw ShapeError("a scale in blocks needs the rank of its tensor")
            }
            let places = try tableIndices(below: sizes[axis]).map { $0 / blockSize }
            return try gather(value, integers(places), axis: axis)
        }
        guard shape(given) == [sizes[axis]] else {
            throw ShapeError(
                "\(describe(shape(given))) is no parameter per element of axis \(axis) of "
                    + describe(sizes)
            )
        }
        var broadcast = sizes.map { _ in 1 }
        broadcast[axis] = sizes[axis]
        return try reshape(value, broadcast)
    }

    /// round(x) + offset within the range of `target`.
    private mutating func quantized(
        _ x: Slot,
        _ offset: Slot?,
        to target: DType
    ) throws(ShapeError) -> Slot {
        guard !target.isFloatingPoint, target != .bool, target.byteCount <= 4 else {
            throw ShapeError("quantising to \(target) is not supported")
        }
        var value = try unary(.round, x)
        if let offset { value = try binary(.add, value, offset) }
        let range = target.integerRange
        return try cast(
            clip(value, Double(range.lowerBound), Double(range.upperBound)),
            to: target
        )
    }

    private mutating func dynamicQuantize(_ x: Slot) throws(ShapeError) {
        let axes = Array(shape(x).indices)
        let zero = scalar(0, like: x)
        let high = try binary(.maximum, reduce(.maximum, x, axes: axes, keeps: false), zero)
        let low = try binary(.minimum, reduce(.minimum, x, axes: axes, keeps: false), zero)
        let scale = try binary(.divide, binary(.subtract, high, low), 255)
        let isFlat = try binary(.equal, scale, 0)
        let divisor = try select(isFlat, scalar(1, like: x), scale)
        let offset = try binary(.divide, unary(.negate, low), divisor)
        let zeroPoint = try clip(unary(.round, offset), 0, 255)
        outputs = [
            try quantized(binary(.divide, x, divisor), zeroPoint, to: .uint8), scale,
            try cast(zeroPoint, to: .uint8),
        ]
    }

    /// x minus its zero point (one, or one per row or column), as float32.
    private mutating func centred(
        _ x: Slot,
        _ zeroPoint: Slot?,
        onRows: Bool
    ) throws(ShapeError) -> Slot {
        let value = try cast(x, to: .float32)
        guard let zeroPoint else { return value }
        var zero = try cast(zeroPoint, to: .float32)
        let sizes = shape(zero)
        if sizes.reduce(1, *) == 1 {
            zero = try reshape(zero, [])
        } else if sizes.count == 1, onRows {
            zero = try reshape(zero, [sizes[0], 1])
        }
        return try binary(.subtract, value, zero)
    }

    private mutating func filterWeights(
        _ w: Slot,
        _ zeroPoint: Slot?
    ) throws(ShapeError) -> Slot {
        let value = try cast(w, to: .float32)
        guard let zeroPoint else { return value }
        let zero = try cast(zeroPoint, to: .float32)
        let count = shape(zero).reduce(1, *)
        guard shape(w).count > 1 else {
            throw ShapeError("weights of \(describe(shape(w))) are none of a convolution")
        }
        let ones = Array(repeating: 1, count: shape(w).count - 1)
        return try binary(.subtract, value, reshape(zero, count == 1 ? [] : [count] + ones))
    }

    /// The int32 product of float matrices of whole numbers below 256.
    ///
    /// Sums of 256 such products are exact in float32; longer ones are added as integers.
    mutating func exactProduct(_ a: Slot, _ b: Slot) throws(ShapeError) -> Slot {
        let chunk = 256
        guard !shape(a).isEmpty, !shape(b).isEmpty else {
            throw ShapeError("a scalar is no factor of a matrix product")
        }
        let (left, right) = (shape(a).count - 1, max(shape(b).count - 2, 0))
        let terms = shape(a)[left]
        guard terms <= longestExactSum else {
            throw ShapeError("sums of \(terms) products; at most \(longestExactSum) work")
        }
        var sum: Slot?
        for start in stride(from: 0, to: max(terms, 1), by: chunk) {
            let range = start..<min(start + chunk, terms)
            let product = try matmul(slice(a, axis: left, range), slice(b, axis: right, range))
            let part = try cast(product, to: .int32)
            sum = try sum.map { sum throws(ShapeError) in try binary(.add, sum, part) } ?? part
        }
        return sum ?? scalar(0, .int32)
    }

    private mutating func exactConvolution(
        _ x: Slot,
        _ w: Slot,
        _ convolution: Convolution
    ) throws(ShapeError) -> Slot {
        try convolve(x, w, convolution) { (expansion, a, b) throws(ShapeError) in
            try expansion.exactProduct(a, b)
        }
    }

    /// Scales an int32 sum by the quotient of scales and quantises it.
    private mutating func requantized(
        _ sum: Slot,
        scales: Slot,
        by outputScale: Slot,
        _ zeroPoint: Slot
    ) throws(ShapeError) -> Slot {
        let scale = try binary(
            .divide,
            scales,
            reshape(cast(outputScale, to: .float32), [])
        )
        let value = try binary(.multiply, cast(sum, to: .float32), scale)
        let offset = try reshape(cast(zeroPoint, to: .float32), [])
        return try quantized(value, offset, to: dtype(zeroPoint))
    }

    private mutating func quantizedMatmul(_ a: Slot) throws(ShapeError) {
        var scales: [Slot] = []
        for (index, isRow) in [(1, true), (4, false)] {
            let scale = try cast(input(index, "scale"), to: .float32)
            let count = shape(scale).reduce(1, *)
            let sizes =
                count == 1
                ? []
                : isRow && shape(scale).count == 1
                    ? [count, 1] : shape(scale)
            scales.append(try reshape(scale, sizes))
        }
        let left = try centred(a, input(2, "a_zero_point"), onRows: true)
        let right = try centred(input(3, "b"), input(5, "b_zero_point"), onRows: false)
        outputs = [
            try requantized(
                exactProduct(left, right),
                scales: binary(.multiply, scales[0], scales[1]),
                by: input(6, "y_scale"),
                input(7, "y_zero_point")
            )
        ]
    }

    private mutating func quantizedConvolution(
        _ x: Slot,
        _ convolution: Convolution
    ) throws(ShapeError) {
        let value = try centred(x, input(2, "x_zero_point"), onRows: false)
        let w = try input(3, "w")
        let weights = try filterWeights(w, input(5, "w_zero_point"))
        var sum = try exactConvolution(value, weights, convolution)
        let ones = Array(repeating: 1, count: shape(x).count - 2)
        if let bias = optional(8) {
            sum = try binary(.add, sum, reshape(bias, shape(bias) + ones))
        }
        let given = try cast(input(4, "w_scale"), to: .float32)
        let count = shape(given).reduce(1, *)
        let perChannel = try reshape(given, count == 1 ? [] : [count] + ones)
        let scale = try reshape(cast(input(1, "x_scale"), to: .float32), [])
        outputs = [
            try requantized(
                sum,
                scales: binary(.multiply, scale, perChannel),
                by: input(6, "y_scale"),
                input(7, "y_zero_point")
            )
        ]
    }
}

/// The longest sum of products of integers that is written out, 256 terms in a step.
private let longestExactSum = 1 << 20
