import GraphIR
import KernelLibrary

extension Plan {
    /// The outputs of the model by the plain reference kernels, in the model's order.
    package func referenceOutputs(_ inputs: [String: Tensor]) throws(SluiceError) -> [Tensor] {
        let ordered = try ordered(inputs)
        var values: [ValueID: DenseTensor] = [:]
        for (input, tensor) in zip(bound.inputs, ordered) { values[input.value] = tensor.dense }
        var lastUse: [ValueID: Int] = [:]
        for (index, node) in bound.nodes.enumerated() {
            for case let id? in node.inputs { lastUse[id] = index }
        }
        for output in bound.outputs {
            for id in [output] + bound[output].extents.values { lastUse[id] = bound.nodes.count }
        }
        let reader = ConstantReader(files: model.imported.files)
        for (index, node) in bound.nodes.enumerated() {
            var operands: [DenseTensor?] = []
            for id in node.inputs {
                operands.append(
                    try id.map { id throws(SluiceError) in
                        try value(id, in: values, reader: reader)
                    }
                )
            }
            do throws(ShapeError) {
                let results = try evaluateReference(
                    node.op,
                    inputs: operands,
                    outputCount: node.outputs.count
                )
                for (output, result) in zip(node.outputs, results) {
                    if let output { values[output] = result }
                }
            } catch {
                throw SluiceError(.badData, "reference of '\(node.name)': \(error.message)")
            }
            for case let id? in node.inputs where lastUse[id] == index { values[id] = nil }
        }
        var outputs: [Tensor] = []
        for id in bound.outputs {
            let dense = try value(id, in: values, reader: reader)
            var tensor = Tensor(
                elementType: ElementType(dense.type.dtype),
                shape: dense.shape,
                bytes: dense.littleEndianBytes
            )
            for (axis, count) in bound[id].extents {
                let size = try value(count, in: values, reader: reader).integers?[0] ?? 0
                tensor = try tensor.cut(axis: axis, to: Int(size), name: bound[id].name)
            }
            outputs.append(tensor)
        }
        return outputs
    }

    private func value(
        _ id: ValueID,
        in values: [ValueID: DenseTensor],
        reader: ConstantReader
    ) throws(SluiceError) -> DenseTensor {
        if let known = values[id] { return known }
        guard let constant = bound[id].constant else {
            throw SluiceError(.badData, "value '\(bound[id].name)' has no producer")
        }
        do throws(ConstantError) {
            return try reader.evaluate(constant)
        } catch {
            throw SluiceError(.constant(error, item: bound[id].name))
        }
    }
}

/// How far a result is from a reference.
///
/// Both are divided by the largest finite magnitude of the reference; then |a - b| <= 1e-5 + 1e-3 |b|.
/// What is not finite must be the same in both.
public struct TensorDifference: Sendable {
    /// Largest scaled error.
    public let largest: Float
    /// The element it is at.
    public let worst: Int
    /// Whether every element is within the tolerance.
    public let isClose: Bool

    /// Compares two tensors of one shape.
    public init(_ result: Tensor, reference: Tensor) {
        let a = result.floats
        let b = reference.floats
        let scale = b.reduce(Float.leastNormalMagnitude) { $1.isFinite ? max($0, abs($1)) : $0 }
        var largest: Float = 0
        var worst = 0
        var isClose = a.count == b.count
        for (index, pair) in zip(a, b).enumerated() {
            if pair.0 == pair.1 || (pair.0.isNaN && pair.1.isNaN) { continue }
            let error = abs(pair.0 - pair.1) / scale
            if !(error <= largest) {
                largest = error
                worst = index
            }
            if !(error <= 1e-5 + 1e-3 * abs(pair.1) / scale) { isClose = false }
        }
        self.largest = largest
        self.worst = worst
        self.isClose = isClose
    }
}
