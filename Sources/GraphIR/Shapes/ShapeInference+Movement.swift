/// Shapes of the operators that move, repeat or rename elements.

func inferConcat(_ operands: Operands, axis: Int) throws(ShapeError) -> TensorType {
    var result = try operands.type(0, "input_0")
    let axis = try resolveAxis(axis, rank: result.shape.count)
    for index in operands.types.indices.dropFirst() {
        let type = try operands.type(index, "input_\(index)")
        try operands.checkSameType(index, "input_\(index)", as: result)
        var shape = type.shape
        guard shape.count == result.shape.count else {
            throw ShapeError(
                "concat joins tensors of one rank, not \(describe(result.shape)) and "
                    + describe(shape)
            )
        }
        let size = shape[axis]
        shape[axis] = result.shape[axis]
        guard shape == result.shape else {
            throw ShapeError(
                "concat along axis \(axis) needs equal sizes along the others; input \(index) "
                    + "has shape \(describe(type.shape)), input 0 \(describe(result.shape))"
            )
        }
        result.shape[axis] += size
        try checkShape(result.shape)
    }
    return result
}

func inferSplit(
    _ operands: Operands,
    axis: Int,
    count: Int
) throws(ShapeError) -> [TensorType] {
    let x = try operands.type(0, "x")
    let axis = try resolveAxis(axis, rank: x.shape.count)
    let sizes = try resolveSplit(
        of: x.shape[axis],
        sizes: operands.integers(1, "split"),
        count: count
    )
    return sizes.map { size in
        var shape = x.shape
        shape[axis] = size
        return TensorType(x.dtype, shape)
    }
}

/// The sizes of `count` parts of an axis; without `sizes` all are equal but for a smaller last.
package func resolveSplit(of size: Int, sizes: [Int]?, count: Int) throws(ShapeError) -> [Int] {
    if let sizes {
        guard sizes.count == count, sizes.allSatisfy({ 0...size ~= $0 }) else {
            throw ShapeError(
                "split sizes \(sizes) do not name \(count) parts of an axis of \(size)"
            )
        }
        // No overflow: the sum is compared after every step.
        var sum = 0
        for part in sizes where sum <= size { sum += part }
        guard sum == size else {
            throw ShapeError("split sizes \(sizes) do not add up to the axis of \(size)")
        }
        return sizes
    }
    let part = size == 0 ? 0 : (size - 1) / count + 1
    let (others, overflow) = part.multipliedReportingOverflow(by: count - 1)
    guard !overflow, others <= size else {
        throw ShapeError(
            "an axis of \(size) cannot be split into \(count) parts of \(part) elements"
        )
    }
    return Array(repeating: part, count: count - 1) + [size - others]
}

func inferReshape(_ operands: Operands, allowZero: Bool) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    guard let wanted = try operands.integers(1, "shape") else {
        throw ShapeError("input 1 (shape) is missing")
    }
    var shape = wanted
    var free: Int?
    for (axis, size) in wanted.enumerated() {
        if size == 0, !allowZero {
            guard axis < x.shape.count else {
                throw ShapeError(
                    "reshape to \(wanted) copies axis \(axis), which \(describe(x.shape)) "
                        + "does not have"
                )
            }
            shape[axis] = x.shape[axis]
        } else if size == -1 {
            guard free == nil else { throw ShapeError("reshape to \(wanted) leaves two axes open") }
            free = axis
            shape[axis] = 1
        } else if size < 0 {
            throw ShapeError("reshape to \(wanted) asks for a negative size")
        }
    }
    try checkShape(shape)
    let count = x.elementCount
    let known = shape.reduce(1, *)
    if let free {
        guard known > 0, count.isMultiple(of: known) else {
            throw ShapeError("\(describe(x.shape)) cannot be reshaped to \(wanted)")
        }
        shape[free] = count / known
    }
    guard shape.reduce(1, *) == count else {
        throw ShapeError(
            "\(describe(x.shape)) has \(count) elements and cannot be reshaped to \(wanted)"
        )
    }
    return TensorType(x.dtype, shape)
}

func inferFlatten(_ operands: Operands, axis: Int) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    let rank = x.shape.count
    guard axis >= -rank, axis <= rank else {
        throw ShapeError("flatten at axis \(axis) is outside a tensor of rank \(rank)")
    }
    let split = axis < 0 ? axis + rank : axis
    return TensorType(
        x.dtype,
        [x.shape[..<split].reduce(1, *), x.shape[split...].reduce(1, *)]
    )
}

func inferTranspose(
    _ operands: Operands,
    _ permutation: [Int]?
) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    let order = try resolvePermutation(permutation, rank: x.shape.count)
    return TensorType(x.dtype, order.map { x.shape[$0] })
}

/// The source axis of every result axis of a transposition.
package func resolvePermutation(
    _ permutation: [Int]?,
    rank: Int
) throws(ShapeError) -> [Int] {
    guard let permutation else { return Array((0..<rank).reversed()) }
    guard permutation.count == rank else {
        throw ShapeError("permutation \(permutation) does not fit a tensor of rank \(rank)")
    }
    return try resolveAxes(permutation, rank: rank)
}

func inferUnsqueeze(_ operands: Operands) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    guard let axes = try operands.integers(1, "axes") else {
        throw ShapeError("input 1 (axes) is missing")
    }
    let rank = x.shape.count + axes.count
    guard rank <= maximumRank else {
        throw ShapeError("unsqueeze makes \(rank) axes; at most \(maximumRank) are possible")
    }
    let new = try resolveAxes(axes, rank: rank)
    var rest = x.shape.makeIterator()
    return TensorType(
        x.dtype,
        (0..<rank).map { new.contains($0) ? 1 : rest.next() ?? 1 }
    )
}

func inferSqueeze(_ operands: Operands) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    let axes = try resolveAxes(operands.integers(1, "axes") ?? [], rank: x.shape.count)
    for axis in axes where x.shape[axis] != 1 {
        throw ShapeError(
            "squeeze removes axis \(axis) of \(describe(x.shape)), whose size is not one"
        )
    }
    let kept = x.shape.enumerated().filter { axis, size in
        axes.isEmpty ? size != 1 : !axes.contains(axis)
    }
    return TensorType(x.dtype, kept.map(\.element))
}

/// The axes whose sizes `Shape` reports.
package func shapeAxes(rank: Int, _ start: Int, _ end: Int?) -> Range<Int> {
    func clamp(_ axis: Int) -> Int { min(max(axis < 0 ? axis + rank : axis, 0), rank) }
    let first = clamp(start)
    return first..<max(first, clamp(end ?? rank))
}

func inferGather(_ operands: Operands, axis: Int) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    let indices = try operands.type(1, "indices")
    guard indices.dtype == .int32 || indices.dtype == .int64 else {
        throw ShapeError("input 1 (indices) holds \(indices.dtype); int32 or int64 would work")
    }
    let axis = try resolveAxis(axis, rank: x.shape.count)
    return TensorType(
        x.dtype,
        Array(x.shape[..<axis]) + indices.shape + Array(x.shape[(axis + 1)...])
    )
}

func inferSlice(_ operands: Operands) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    guard let starts = try operands.integers(1, "starts"),
        let ends = try operands.integers(2, "ends")
    else {
        throw ShapeError("a slice needs starts and ends")
    }
    let bounds = try resolveSliceBounds(
        shape: x.shape,
        starts: starts,
        ends: ends,
        axes: operands.integers(3, "axes"),
        steps: operands.integers(4, "steps")
    )
    return TensorType(x.dtype, bounds.map(\.count))
}

func inferPad(_ operands: Operands, _ mode: PadMode) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    guard let pads = try operands.integers(1, "pads") else {
        throw ShapeError("input 1 (pads) is missing")
    }
    try operands.checkSameType(2, "value", as: x)
    if let value = operands.optionalType(2), value.elementCount > 1 {
        throw ShapeError("input 2 (value) has shape \(describe(value.shape)); one element works")
    }
    let resolved = try resolvePads(
        shape: x.shape,
        pads: pads,
        axes: operands.integers(3, "axes"),
        mode: mode
    )
    return TensorType(x.dtype, resolved.output)
}

func inferExpand(_ operands: Operands) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    let shape = try operands.shape(1, "shape")
    return TensorType(x.dtype, try broadcastShapes([x.shape, shape]))
}

func inferTile(_ operands: Operands) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    guard let repeats = try operands.integers(1, "repeats"), repeats.count == x.shape.count,
        repeats.allSatisfy({ $0 >= 0 })
    else {
        throw ShapeError(
            "tile needs one repeat count of at least zero for each axis of \(describe(x.shape))"
        )
    }
    var shape: [Int] = []
    for (size, count) in zip(x.shape, repeats) {
        let (product, overflow) = size.multipliedReportingOverflow(by: count)
        guard !overflow else { throw ShapeError("tile repeats \(size) elements \(count) times") }
        shape.append(product)
    }
    return TensorType(x.dtype, shape)
}

func inferRange(_ operands: Operands) throws(ShapeError) -> TensorType {
    let start = try operands.type(0, "start")
    var limits: [DenseTensor] = []
    for (index, name) in ["start", "limit", "delta"].enumerated() {
        try operands.checkSameType(index, name, as: start)
        guard let literal = try operands.literal(index, name), literal.elementCount == 1,
            literal.type.dtype != .bool
        else {
            throw ShapeError("input \(index) (\(name)) of a range must be one number")
        }
        limits.append(literal)
    }
    return TensorType(
        start.dtype,
        [try rangeCount(start: limits[0], limit: limits[1], delta: limits[2])]
    )
}

/// Elements of a range: the least n for which start + n * delta reaches the limit.
private func rangeCount(
    start: DenseTensor,
    limit: DenseTensor,
    delta: DenseTensor
) throws(ShapeError) -> Int {
    if let start = start.integers?.first, let limit = limit.integers?.first,
        let delta = delta.integers?.first
    {
        guard delta != 0 else { throw ShapeError("a range has a step of zero") }
        let (distance, overflow) =
            delta > 0
            ? limit.subtractingReportingOverflow(start)
            : start.subtractingReportingOverflow(limit)
        guard !overflow else { throw ShapeError("a range from \(start) to \(limit) is too long") }
        guard distance > 0 else { return 0 }
        let count = UInt64(distance - 1) / delta.magnitude + 1
        guard count <= UInt64(maximumElementCount) else {
            throw ShapeError("a range of \(count) elements is too long")
        }
        return Int(count)
    }
    let step = delta.doubles[0]
    // Float operands are subtracted as floats, which decides whether the last step counts.
    let distance =
        start.type.dtype == .float64
        ? limit.doubles[0] - start.doubles[0] : Double(limit.floats[0] - start.floats[0])
    let count = (distance / step).rounded(.up)
    guard step != 0, count.isFinite, count <= Double(maximumElementCount) else {
        throw ShapeError(
            "a range from \(start.doubles[0]) to \(limit.doubles[0]) by \(step) has no end"
        )
    }
    return Int(max(0, count))
}
