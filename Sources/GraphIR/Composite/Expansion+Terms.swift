/// What definitions of composite operators are written with.
extension Expansion {
    // MARK: Constants

    /// A scalar of the element type of `other`.
    mutating func scalar(_ value: Double, like other: Slot) -> Slot {
        scalar(value, dtype(other))
    }

    mutating func scalar(_ value: Double, _ dtype: DType) -> Slot {
        constant(DenseTensor(TensorType(dtype, []), rounding: [value]))
    }

    /// A vector of int64.
    mutating func integers(_ values: [Int]) -> Slot {
        constant(DenseTensor(shape: [values.count], integers: values.map { Int64($0) }))
    }

    /// Int64 elements of any shape.
    mutating func integers(_ values: [Int], shape: [Int]) -> Slot {
        constant(DenseTensor(shape: shape, integers: values.map { Int64($0) }))
    }

    /// Truth values of any shape.
    mutating func booleans(_ values: [Bool], shape: [Int]) -> Slot {
        constant(DenseTensor(shape: shape, integers: values.map { $0 ? 1 : 0 }, dtype: .bool))
    }

    // MARK: Elements

    mutating func unary(_ function: UnaryFunction, _ x: Slot) throws(ShapeError) -> Slot {
        try add(.unary(function), [x])
    }

    mutating func binary(
        _ function: BinaryFunction,
        _ a: Slot,
        _ b: Slot
    ) throws(ShapeError) -> Slot {
        try add(.binary(function), [a, b])
    }

    /// `function` of a tensor and a number of its type.
    mutating func binary(
        _ function: BinaryFunction,
        _ a: Slot,
        _ b: Double
    ) throws(ShapeError) -> Slot {
        try binary(function, a, scalar(b, like: a))
    }

    mutating func select(_ condition: Slot, _ a: Slot, _ b: Slot) throws(ShapeError) -> Slot {
        try add(.select, [condition, a, b])
    }

    mutating func cast(_ x: Slot, to target: DType) throws(ShapeError) -> Slot {
        dtype(x) == target ? x : try add(.cast(to: target), [x])
    }

    mutating func clip(_ x: Slot, _ low: Double, _ high: Double) throws(ShapeError) -> Slot {
        try add(.clip, [x, scalar(low, like: x), scalar(high, like: x)])
    }

    // MARK: Shapes and places

    mutating func reshape(_ x: Slot, _ sizes: [Int]) throws(ShapeError) -> Slot {
        shape(x) == sizes ? x : try add(.reshape(allowZero: true), [x, integers(sizes)])
    }

    mutating func transpose(_ x: Slot, _ permutation: [Int]) throws(ShapeError) -> Slot {
        if permutation == Array(permutation.indices) { return x }
        return try add(.transpose(permutation: permutation), [x])
    }

    mutating func expand(_ x: Slot, to sizes: [Int]) throws(ShapeError) -> Slot {
        shape(x) == sizes ? x : try add(.expand, [x, integers(sizes)])
    }

    mutating func concat(_ parts: [Slot], axis: Int) throws(ShapeError) -> Slot {
        parts.count == 1 ? parts[0] : try add(.concat(axis: axis), parts)
    }

    mutating func gather(_ x: Slot, _ indices: Slot, axis: Int) throws(ShapeError) -> Slot {
        try add(.gather(axis: axis), [x, indices])
    }

    /// Elements `range` of one axis.
    mutating func slice(_ x: Slot, axis: Int, _ range: Range<Int>) throws(ShapeError) -> Slot {
        if range == 0..<shape(x)[axis] { return x }
        return try add(
            .slice,
            [
                x, integers([range.lowerBound]), integers([range.upperBound]), integers([axis]),
                integers([1]),
            ]
        )
    }

    /// Element `index` of one axis, which goes.
    mutating func pick(_ x: Slot, axis: Int, _ index: Int) throws(ShapeError) -> Slot {
        var sizes = shape(x)
        guard axis < sizes.count, index < sizes[axis] else {
            throw ShapeError("\(describe(sizes)) has no element \(index) along axis \(axis)")
        }
        sizes.remove(at: axis)
        return try reshape(slice(x, axis: axis, index..<index + 1), sizes)
    }

    // MARK: Along axes

    mutating func reduce(
        _ kind: ReductionKind,
        _ x: Slot,
        axes: [Int],
        keeps: Bool = true
    ) throws(ShapeError) -> Slot {
        let reduction = Reduction(kind: kind, keepsDimensions: keeps, ignoresEmptyAxes: true)
        return try add(.reduce(reduction), [x, integers(axes)])
    }

    mutating func matmul(_ a: Slot, _ b: Slot) throws(ShapeError) -> Slot {
        try add(.matmul, [a, b])
    }

    mutating func softmax(_ x: Slot, axis: Int) throws(ShapeError) -> Slot {
        try add(.softmax(axis: axis, flattened: false), [x])
    }

    /// What is `inRows`, not in images, is squared while it is summed; a sum of squares of a half would
    /// overflow.
    mutating func meanOfSquares(
        _ x: Slot,
        axes: [Int],
        inRows: Bool = false
    ) throws(ShapeError) -> Slot {
        guard inRows, dtype(x) == .float32 else {
            return try reduce(.mean, binary(.multiply, x, x), axes: axes)
        }
        let count = axes.map { shape(x)[$0] }.reduce(1, *)
        return try binary(.divide, reduce(.sumOfSquares, x, axes: axes), Double(count))
    }

    /// (x - mean) / sqrt(variance + epsilon) over `axes`, with the mean and 1 / deviation.
    mutating func standardize(
        _ x: Slot,
        axes: [Int],
        epsilon: Double,
        inRows: Bool = false
    ) throws(ShapeError) -> (result: Slot, mean: Slot, inverse: Slot) {
        let mean = try reduce(.mean, x, axes: axes)
        let centred = try binary(.subtract, x, mean)
        let variance = try meanOfSquares(centred, axes: axes, inRows: inRows)
        let deviation = try unary(.sqrt, binary(.add, variance, epsilon))
        let inverse = try unary(.reciprocal, deviation)
        return (try binary(.multiply, centred, inverse), mean, inverse)
    }
}
