/// Why the types of a node's results cannot be known.
package struct ShapeError: Error, Hashable, Sendable {
    /// What is wrong and what would work.
    package var message: String

    /// Whether the shape would be known if only an input were a constant: nothing is wrong with
    /// the model, but it cannot be planned.
    package var dependsOnData = false

    package init(_ message: String) { self.message = message }

    package init(message: String) { self.message = message }
}

extension ShapeError: CustomStringConvertible {
    package var description: String { message }
}

/// The types of the results of `op`.
///
/// `types` has the type of each input, nil for an absent optional one, and `literals` the elements
/// of those known before the run. Of `outputCount` results, all but splits and maximum pools (which
/// can tell where each maximum stands) give exactly one.
package func inferTypes(
    of op: Operator,
    inputs types: [TensorType?],
    literals: [DenseTensor?],
    outputCount: Int
) throws(ShapeError) -> [TensorType] {
    if case .composite(let composite) = op {
        let expansion = try expand(
            composite,
            inputs: types,
            literals: literals,
            outputCount: outputCount
        )
        return expansion.outputs.map { expansion.type($0) }
    }
    let operands = Operands(types: types, literals: literals)
    try operands.check(countIn: inputCounts(of: op), outputCount: outputCount, of: op)
    if case .split(let axis) = op {
        return try inferSplit(operands, axis: axis, count: outputCount)
    }
    let result = try inferType(of: op, operands)
    try checkShape(result.shape)
    guard outputCount > 1 else { return [result] }
    return [result, TensorType(.int64, result.shape)]
}

/// The type of the first result of every operator but `Split`.
private func inferType(
    of op: Operator,
    _ operands: Operands
) throws(ShapeError) -> TensorType {
    switch op {
    case .convolution(let convolution): return try inferConvolution(operands, convolution)
    case .pool(let pool): return try inferPool(operands, pool)
    case .globalPool(let kind): return try inferGlobalPool(operands, kind)
    case .batchNormalization: return try inferBatchNormalization(operands)
    case .localResponseNormalization(let size, _, _, _):
        return try inferLocalResponseNormalization(operands, size: size)
    case .gemm(let gemm): return try inferGemm(operands, gemm)
    case .matmul: return try inferMatmul(operands)
    case .unary(let function): return try inferUnary(operands, function)
    case .binary(let function): return try inferBinary(operands, function)
    case .variadic: return try inferVariadic(operands)
    case .clip: return try inferClip(operands)
    case .softmax(let axis, let flattened):
        return try inferSoftmax(operands, axis: axis, flattened: flattened)
    case .concat(let axis): return try inferConcat(operands, axis: axis)
    case .split: preconditionFailure("splits have several results")
    case .reshape(let allowZero): return try inferReshape(operands, allowZero: allowZero)
    case .flatten(let axis): return try inferFlatten(operands, axis: axis)
    case .transpose(let permutation): return try inferTranspose(operands, permutation)
    case .unsqueeze: return try inferUnsqueeze(operands)
    case .squeeze: return try inferSqueeze(operands)
    case .reduce(let reduction): return try inferReduce(operands, reduction)
    case .resize(let resize): return try inferResize(operands, resize)
    case .identity: return try operands.type(0, "x")
    case .constantOfShape(_, let dtype):
        return TensorType(dtype, try operands.shape(0, "shape"))
    case .shape(let start, let end):
        let count = try shapeAxes(rank: operands.type(0, "x").shape.count, start, end).count
        return TensorType(.int64, [count])
    case .size:
        _ = try operands.type(0, "x")
        return TensorType(.int64, [])
    case .gather(let axis): return try inferGather(operands, axis: axis)
    case .cast(let dtype): return TensorType(dtype, try operands.type(0, "x").shape)
    case .bitCast(let dtype):
        let x = try operands.type(0, "x")
        guard x.dtype.byteCount == dtype.byteCount else {
            throw ShapeError("the bits of \(x.dtype) are no \(dtype)")
        }
        return TensorType(dtype, x.shape)
    case .slice: return try inferSlice(operands)
    case .pad(let mode): return try inferPad(operands, mode)
    case .expand: return try inferExpand(operands)
    case .tile: return try inferTile(operands)
    case .select: return try inferSelect(operands)
    case .range: return try inferRange(operands)
    case .argument(let search): return try inferArgument(operands, search)
    case .scan: return try inferScan(operands)
    case .scatterRows: return try inferScatterRows(operands)
    case .topPlaces(let axis, _): return try inferTopPlaces(operands, axis: axis)
    case .suppress(let limit, _): return try inferSuppression(operands, limit: limit)
    case .conditional, .loop, .iterate:
        throw ShapeError("what it gives is known once its bodies are written out")
    case .composite: preconditionFailure("composite operators are written out")
    }
}

/// How many inputs each operator takes, absent ones included.
private func inputCounts(of op: Operator) -> ClosedRange<Int> {
    switch op {
    case .pool, .globalPool, .localResponseNormalization, .unary, .softmax, .flatten, .transpose,
        .identity, .constantOfShape, .shape, .size, .cast, .bitCast, .argument:
        1...1
    case .split, .squeeze, .reduce: 1...2
    case .clip: 1...3
    case .resize: 1...4
    case .variadic, .concat: 1...Int.max
    case .suppress: 3...4
    case .composite, .conditional, .loop, .iterate: 0...Int.max
    case .matmul, .binary, .reshape, .unsqueeze, .gather, .expand, .tile, .scan, .topPlaces: 2...2
    case .convolution, .gemm: 2...3
    case .pad: 2...4
    case .select, .range, .scatterRows: 3...3
    case .slice: 3...5
    case .batchNormalization: 5...5
    }
}

/// The inputs of one node as shape inference sees them.
struct Operands {
    let types: [TensorType?]
    let literals: [DenseTensor?]

    /// Checks the number of inputs and results, and that every type can exist.
    func check(
        countIn counts: ClosedRange<Int>,
        outputCount: Int,
        of op: Operator
    ) throws(ShapeError) {
        guard counts.contains(types.count) else {
            throw ShapeError(
                "the operator has \(types.count) inputs; it takes \(counts.lowerBound) to "
                    + "\(counts.upperBound)"
            )
        }
        for type in types {
            if let type { try checkShape(type.shape) }
        }
        var limit = 1
        if case .split = op { limit = 1 << 20 }
        if case .pool(let pool) = op, pool.kind == .maximum { limit = 2 }
        guard outputCount >= 1, outputCount <= limit else {
            throw ShapeError("the operator has \(outputCount) results; it gives \(limit)")
        }
    }

    /// The type of an input that must be there.
    func type(_ index: Int, _ name: String) throws(ShapeError) -> TensorType {
        guard let type = optionalType(index) else {
            throw ShapeError("input \(index) (\(name)) is missing")
        }
        return type
    }

    func optionalType(_ index: Int) -> TensorType? {
        index < types.count ? types[index] : nil
    }

    /// The elements of a small input that decides the result's shape; nil when it is absent.
    func literal(_ index: Int, _ name: String) throws(ShapeError) -> DenseTensor? {
        guard let type = optionalType(index) else { return nil }
        guard index < literals.count, let literal = literals[index] else {
            var error = ShapeError(
                "the result's shape depends on data known only at run time: input \(index) "
                    + "(\(name)) must be a constant"
            )
            error.dependsOnData = true
            throw error
        }
        guard literal.type == type, literal.isConsistent else {
            throw ShapeError(
                "the elements of input \(index) (\(name)) are not those of a \(type)"
            )
        }
        return literal
    }

    /// The integers of a vector (or scalar) input; nil when it is absent.
    func integers(_ index: Int, _ name: String) throws(ShapeError) -> [Int]? {
        guard let literal = try literal(index, name) else { return nil }
        guard let integers = literal.integers, literal.type.dtype != .bool,
            literal.shape.count <= 1
        else {
            throw ShapeError(
                "input \(index) (\(name)) is a \(literal.type); a vector of integers would work"
            )
        }
        return integers.map { Int($0) }
    }

    /// A shape given as an input that must be there.
    func shape(_ index: Int, _ name: String) throws(ShapeError) -> [Int] {
        guard let shape = try integers(index, name) else {
            throw ShapeError("input \(index) (\(name)) is missing")
        }
        try checkShape(shape)
        return shape
    }

    /// Checks that an input, if present, has the element type of another.
    func checkSameType(
        _ index: Int,
        _ name: String,
        as other: TensorType
    ) throws(ShapeError) {
        guard let type = optionalType(index), type.dtype != other.dtype else { return }
        throw ShapeError(
            "input \(index) (\(name)) holds \(type.dtype) where \(other.dtype) is needed"
        )
    }

    /// The type of the input x of an operator that computes with floating-point numbers.
    func floatingPoint(_ index: Int, _ name: String) throws(ShapeError) -> TensorType {
        let type = try type(index, name)
        guard type.dtype.isFloatingPoint else {
            throw ShapeError(
                "input \(index) (\(name)) holds \(type.dtype); a floating-point type would work"
            )
        }
        return type
    }
}

extension DenseTensor {
    /// Whether the elements are as many as the type says and held in its kind of storage.
    package var isConsistent: Bool {
        guard (try? checkShape(shape)) != nil else { return false }
        switch storage {
        case .floats(let elements):
            return type.dtype.isFloatingPoint && type.dtype != .float64
                && elements.count == elementCount
        case .doubles(let elements):
            return type.dtype == .float64 && elements.count == elementCount
        case .integers(let elements):
            return !type.dtype.isFloatingPoint && elements.count == elementCount
        }
    }
}
