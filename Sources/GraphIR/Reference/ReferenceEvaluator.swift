/// Results with more elements than this are not evaluated: the reference is for comparing and
/// for folding, and must not exhaust memory on a hostile model.
package let maximumReferenceElementCount = 1 << 30

/// Evaluates `op` the plain way: the meaning of the operator, written for clarity, with sums in
/// `Double` and one rounding to the element type at the end.
///
/// Nothing traps on data: integers wrap to their width, dividing one by zero gives zero, numbers
/// too large for an integer type are clamped to it.
package func evaluateReference(
    _ op: Operator,
    inputs: [DenseTensor?],
    outputCount: Int = 1
) throws(ShapeError) -> [DenseTensor] {
    for (index, input) in inputs.enumerated() {
        guard input?.isConsistent ?? true else {
            throw ShapeError("the elements of input \(index) do not fit its type")
        }
    }
    if case .composite(let composite) = op {
        return try evaluate(composite, inputs, outputCount: outputCount)
    }
    let types = try inferTypes(
        of: op,
        inputs: inputs.map { $0?.type },
        literals: inputs,
        outputCount: outputCount
    )
    for type in types where type.elementCount > maximumReferenceElementCount {
        throw ShapeError(
            "a result of type \(type) is too large to evaluate; at most "
                + "\(maximumReferenceElementCount) elements are possible"
        )
    }
    if types.allSatisfy({ $0.elementCount == 0 }) {
        return types.map { DenseTensor($0, rounding: []) }
    }
    let evaluation = Evaluation(inputs: inputs, types: types)
    switch op {
    case .split(let axis): return evaluation.split(axis: axis)
    case .pool(let pool): return try evaluation.pool(pool)
    default: return [try evaluation.result(of: op)]
    }
}

/// Evaluates what a composite operator is written out as.
private func evaluate(
    _ composite: Composite,
    _ inputs: [DenseTensor?],
    outputCount: Int
) throws(ShapeError) -> [DenseTensor] {
    // Everything is known, so everything is folded.
    let expansion = try expand(
        composite,
        inputs: inputs.map { $0?.type },
        literals: inputs,
        outputCount: outputCount,
        foldLimit: maximumReferenceElementCount
    )
    return expansion.outputs.map { slot in
        guard let value = expansion.literal(slot) else {
            preconditionFailure("known inputs give known results")
        }
        return value
    }
}

/// One operator about to be evaluated: its inputs, checked against each other by shape inference,
/// and the types of its results.
struct Evaluation {
    let inputs: [DenseTensor?]
    let types: [TensorType]

    /// The type of the first result.
    var type: TensorType { types[0] }

    /// An input that shape inference has seen.
    func input(_ index: Int) -> DenseTensor {
        guard let tensor = optionalInput(index) else {
            preconditionFailure("shape inference accepted a missing input")
        }
        return tensor
    }

    func optionalInput(_ index: Int) -> DenseTensor? {
        index < inputs.count ? inputs[index] : nil
    }

    /// An optional input of integers.
    func integers(_ index: Int) -> [Int]? {
        optionalInput(index)?.integers?.map { Int($0) }
    }

    /// The first input's elements under the result's type.
    var renamed: DenseTensor { DenseTensor(type: type, storage: input(0).storage) }

    fileprivate func result(of op: Operator) throws(ShapeError) -> DenseTensor {
        switch op {
        case .convolution(let convolution): try self.convolution(convolution)
        case .pool, .split: preconditionFailure("these may have several results")
        case .globalPool(let kind): globalPool(kind)
        case .batchNormalization(let epsilon): batchNormalization(epsilon: epsilon)
        case .localResponseNormalization(let size, let alpha, let beta, let bias):
            localResponseNormalization(size: size, alpha: alpha, beta: beta, bias: bias)
        case .gemm(let gemm): self.gemm(gemm)
        case .matmul: try matmul()
        case .unary(let function): unary(function)
        case .binary(let function): binary(function, input(0), input(1), type)
        case .variadic(let function): variadic(function)
        case .clip: clip()
        case .softmax(let axis, let flattened): softmax(axis: axis, flattened: flattened)
        case .concat(let axis): concat(axis: axis)
        case .reshape, .flatten, .unsqueeze, .squeeze, .identity: renamed
        case .transpose(let permutation): try transpose(permutation)
        case .reduce(let reduction): try reduce(reduction)
        case .resize(let resize): try self.resize(resize)
        case .constantOfShape(let value, _): DenseTensor(type, repeating: value)
        case .shape(let start, let end):
            DenseTensor(
                shape: type.shape,
                integers: input(0).shape[shapeAxes(rank: input(0).shape.count, start, end)]
                    .map { Int64($0) }
            )
        case .size: DenseTensor(shape: [], integers: [Int64(input(0).elementCount)])
        case .gather(let axis): try gather(axis: axis)
        case .cast: cast()
        case .bitCast: DenseTensor(type: type, littleEndian: input(0).littleEndianBytes)
        case .slice: try slice()
        case .pad(let mode): try pad(mode)
        case .expand: expand()
        case .tile: tile()
        case .select: select()
        case .range: range()
        case .argument(let search): try argument(search)
        case .scan(let scan): try self.scan(scan)
        case .scatterRows(let reduction): scatterRows(reduction)
        case .topPlaces(let axis, let largest): try topPlaces(axis: axis, largest: largest)
        case .suppress(let limit, let areCentred):
            suppress(limit: limit, boxesAreCentred: areCentred)
        case .composite, .conditional, .loop, .iterate:
            preconditionFailure("composite operators and bodies are written out")
        }
    }
}
