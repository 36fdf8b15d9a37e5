import GraphIR

extension Graph {
    /// Floating-point operations of a node of a bound graph, counting each multiply-add of a
    /// convolution or matrix product as two and everything else as none.
    ///
    /// Precondition: the types of all values are known.
    package func floatingPointOperations(of node: Node) -> Int {
        func type(_ ids: [ValueID?], _ index: Int) -> TensorType? {
            guard index < ids.count, let id = ids[index] else { return nil }
            return self[id].type
        }
        guard let left = type(node.inputs, 0), let right = type(node.inputs, 1),
            let result = type(node.outputs, 0)
        else { return 0 }
        switch node.op {
        case .convolution(let convolution):
            // Weights [O, C/group, kernel...] or, transposed, [C, O/group, kernel...]: an element
            // of the output, or of the input, meets all but the first axis.
            let elements = convolution.isTransposed ? left.elementCount : result.elementCount
            return 2 * elements * right.shape.dropFirst().reduce(1, *)
        case .gemm(let gemm):
            guard left.shape.count == 2 else { return 0 }
            return 2 * result.elementCount * left.shape[gemm.transposeA ? 0 : 1]
        case .matmul:
            return 2 * result.elementCount * (left.shape.last ?? 1)
        default:
            return 0
        }
    }
}
