/// Shapes of the operators that layers are made of: windows, normalisations, matrix products.

func inferConvolution(
    _ operands: Operands,
    _ convolution: Convolution
) throws(ShapeError) -> TensorType {
    let x = try operands.floatingPoint(0, "x")
    let weights = try operands.type(1, "w")
    try operands.checkSameType(1, "w", as: x)
    try operands.checkSameType(2, "bias", as: x)
    let window = try resolveWindow(
        convolution: convolution,
        input: x.shape,
        weights: weights.shape
    )
    let group = convolution.group
    let channels = x.shape[1]
    guard group >= 1, channels.isMultiple(of: group), weights.shape[0].isMultiple(of: group) else {
        throw ShapeError(
            "group \(group) does not divide \(channels) input channels and weights of "
                + describe(weights.shape)
        )
    }
    let outputs: Int
    if convolution.isTransposed {
        guard weights.shape[0] == channels else {
            throw ShapeError(
                "weights of shape \(describe(weights.shape)) are for \(weights.shape[0]) input "
                    + "channels; the input has \(channels)"
            )
        }
        let (product, overflow) = weights.shape[1].multipliedReportingOverflow(by: group)
        guard !overflow else { throw ShapeError("there are too many output channels") }
        outputs = product
    } else {
        guard weights.shape[1] == channels / group else {
            throw ShapeError(
                "weights of shape \(describe(weights.shape)) in \(group) groups are for "
                    + "\(weights.shape[1]) channels per group; the input has \(channels / group)"
            )
        }
        outputs = weights.shape[0]
    }
    if let bias = operands.optionalType(2), bias.shape != [outputs] {
        throw ShapeError(
            "the bias has shape \(describe(bias.shape)); [\(outputs)] would work"
        )
    }
    return TensorType(x.dtype, [x.shape[0], outputs] + window.outputSizes)
}

func inferPool(_ operands: Operands, _ pool: Pool) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    let isByte = x.dtype == .int8 || x.dtype == .uint8
    guard x.dtype.isFloatingPoint || (isByte && pool.kind == .maximum) else {
        throw ShapeError("this pool of \(x.dtype) is not defined; floating point would work")
    }
    if case .lp(let order) = pool.kind, order < 1 {
        throw ShapeError("the order of an Lp pool is \(order); it must be at least 1")
    }
    let window = try resolveWindow(pool: pool, input: x.shape)
    return TensorType(x.dtype, Array(x.shape.prefix(2)) + window.outputSizes)
}

func inferGlobalPool(_ operands: Operands, _ kind: PoolKind) throws(ShapeError) -> TensorType {
    let x = try operands.floatingPoint(0, "x")
    if case .lp(let order) = kind, order < 1 {
        throw ShapeError("the order of an Lp pool is \(order); it must be at least 1")
    }
    guard x.shape.count >= 3, !x.shape.dropFirst(2).contains(0) else {
        throw ShapeError(
            "a global pool needs an input [N, C, spatial...] with elements, not "
                + describe(x.shape)
        )
    }
    return TensorType(x.dtype, x.shape.enumerated().map { $0.offset < 2 ? $0.element : 1 })
}

func inferBatchNormalization(_ operands: Operands) throws(ShapeError) -> TensorType {
    let x = try operands.floatingPoint(0, "x")
    guard x.shape.count >= 2 else {
        throw ShapeError(
            "batch normalisation needs an input [N, C, ...], not \(describe(x.shape))"
        )
    }
    for (index, name) in [(1, "scale"), (2, "bias"), (3, "mean"), (4, "variance")] {
        let vector = try operands.floatingPoint(index, name)
        guard vector.shape == [x.shape[1]] else {
            throw ShapeError(
                "input \(index) (\(name)) has shape \(describe(vector.shape)); "
                    + "[\(x.shape[1])] would work"
            )
        }
    }
    return x
}

func inferLocalResponseNormalization(
    _ operands: Operands,
    size: Int
) throws(ShapeError) -> TensorType {
    let x = try operands.floatingPoint(0, "x")
    guard x.shape.count >= 2, size >= 1, size <= maximumWindowParameter else {
        throw ShapeError(
            "local response normalisation over \(size) channels of \(describe(x.shape)) is not "
                + "possible: it needs a size of at least 1 and an input [N, C, ...]"
        )
    }
    return x
}

func inferGemm(_ operands: Operands, _ gemm: Gemm) throws(ShapeError) -> TensorType {
    let a = try operands.floatingPoint(0, "a")
    let b = try operands.type(1, "b")
    try operands.checkSameType(1, "b", as: a)
    try operands.checkSameType(2, "c", as: a)
    guard a.shape.count == 2, b.shape.count == 2 else {
        throw ShapeError(
            "Gemm multiplies two matrices, not \(describe(a.shape)) and \(describe(b.shape))"
        )
    }
    let (rows, depth) = gemm.transposeA ? (a.shape[1], a.shape[0]) : (a.shape[0], a.shape[1])
    let (depthOfB, columns) = gemm.transposeB ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
    guard depth == depthOfB else {
        throw ShapeError("Gemm sums over \(depth) elements of a but \(depthOfB) elements of b")
    }
    if let c = operands.optionalType(2) {
        try checkBroadcast(of: c.shape, to: [rows, columns], name: "input 2 (c)")
    }
    return TensorType(a.dtype, [rows, columns])
}

func inferMatmul(_ operands: Operands) throws(ShapeError) -> TensorType {
    let a = try operands.type(0, "a")
    let b = try operands.type(1, "b")
    try operands.checkSameType(1, "b", as: a)
    guard a.dtype != .bool else { throw ShapeError("a matrix product of bool is not defined") }
    return TensorType(a.dtype, try MatrixProduct(a.shape, b.shape).resultShape)
}

/// A batched matrix product with the rules of `numpy.matmul` worked out: a vector on the left is
/// a row, one on the right a column, and the axis added for it is removed from the result.
package struct MatrixProduct: Hashable, Sendable {
    package var rows: Int
    package var depth: Int
    package var columns: Int
    /// Shapes before the last two axes; `batch` is their broadcast.
    package var batchOfA: [Int]
    package var batchOfB: [Int]
    package var batch: [Int]
    package var resultShape: [Int]

    package init(_ a: [Int], _ b: [Int]) throws(ShapeError) {
        guard let lastOfA = a.last, let lastOfB = b.last else {
            throw ShapeError("a matrix product of scalars is not defined; multiply them instead")
        }
        rows = a.count > 1 ? a[a.count - 2] : 1
        depth = lastOfA
        columns = b.count > 1 ? lastOfB : 1
        let depthOfB = b.count > 1 ? b[b.count - 2] : lastOfB
        guard depth == depthOfB else {
            throw ShapeError(
                "a matrix product of \(describe(a)) and \(describe(b)) would sum over \(depth) "
                    + "and \(depthOfB) elements; they must be equal"
            )
        }
        batchOfA = Array(a.dropLast(2))
        batchOfB = Array(b.dropLast(2))
        batch = try broadcastShapes([batchOfA, batchOfB])
        resultShape = batch + (a.count > 1 ? [rows] : []) + (b.count > 1 ? [columns] : [])
    }
}

func inferSoftmax(
    _ operands: Operands,
    axis: Int,
    flattened: Bool
) throws(ShapeError) -> TensorType {
    let x = try operands.floatingPoint(0, "x")
    // The flattened form may put everything into one row.
    if flattened, axis == x.shape.count { return x }
    _ = try resolveAxis(axis, rank: x.shape.count)
    return x
}

func inferResize(_ operands: Operands, _ resize: Resize) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    guard x.dtype != .bool || resize.mode == .nearest else {
        throw ShapeError("bool cannot be interpolated; mode 'nearest' would work")
    }
    // Empty tensors stand for absent ones.
    func given(_ index: Int, _ name: String) throws(ShapeError) -> DenseTensor? {
        guard let type = operands.optionalType(index), type.elementCount > 0 else { return nil }
        return try operands.literal(index, name)
    }
    let sizes = try given(3, "sizes") == nil ? nil : operands.integers(3, "sizes")
    let scales = sizes == nil ? try given(2, "scales") : nil
    let region =
        resize.coordinates == .cropAndResize
        ? try given(1, "region of interest") : nil
    for (tensor, name) in [(scales, "scales"), (region, "region of interest")] {
        guard tensor?.type.dtype.isFloatingPoint ?? true else {
            throw ShapeError("the \(name) of a resize must be floating-point numbers")
        }
    }
    let axes = try resolveResize(
        resize,
        input: x.shape,
        region: region?.floats,
        scales: scales?.floats,
        sizes: sizes
    )
    return TensorType(x.dtype, axes.map(\.outputSize))
}
