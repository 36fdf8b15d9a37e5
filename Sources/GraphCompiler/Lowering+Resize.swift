import GraphIR

extension Lowering {
    mutating func lowerResize(_ node: Node, _ resize: Resize) throws(LoweringProblem) {
        let x = try required(node, 0)
        guard let target = node.outputs[0] else { return }
        let shape = result[x].type.shape
        guard result[x].type.dtype == .float32 else {
            throw LoweringProblem(reason: "resizing \(result[x].type.dtype) has no kernel")
        }
        let axes = try resolved { () throws(ShapeError) in
            try resizeAxes(
                resize,
                input: shape,
                output: type(target).shape,
                literals: node.inputs.map { constant($0)?.smallLiteral }
            )
        }
        let resized = shape.indices.filter { !axes[$0].isIdentity(of: shape[$0]) }
        let rank = shape.count
        guard rank >= 2, resized.allSatisfy({ $0 >= rank - 2 }) else {
            throw LoweringProblem(reason: "only the last two axes can be resized")
        }
        let planes = Array(shape.dropLast(2))
        let spatial =
            rank == 4 ? shape : [1, planes.reduce(1, *), shape[rank - 2], shape[rank - 1]]
        let source = view(x, name: node.name + ".x", shape: spatial)
        let kernel = ResizeKernel(
            rows: axes[rank - 2],
            columns: axes[rank - 1],
            extrapolation: resize.extrapolation
        )
        if rank == 4 {
            emit(node, .resize(kernel), inputs: [source])
            return
        }
        let shapeOut = type(target).shape
        let output = emitTemporary(
            node.name + ".y",
            .resize(kernel),
            inputs: [source],
            type: TensorType(
                .float32,
                [1, planes.reduce(1, *), shapeOut[rank - 2], shapeOut[rank - 1]]
            )
        )
        define(target, as: view(output, name: graph[target].name, shape: shapeOut))
    }
}
