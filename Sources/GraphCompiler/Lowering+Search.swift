import GraphIR

/// Operators that look along an axis.
extension Lowering {
    mutating func lowerArgument(
        _ node: Node,
        _ search: ArgumentSearch
    ) throws(LoweringProblem) {
        let x = try required(node, 0)
        let shape = result[x].type.shape
        let axis = search.axis < 0 ? search.axis + shape.count : search.axis
        emit(
            node,
            .places(
                AxisLines(shape, axis: axis),
                count: 1,
                largest: !search.findsMinimum,
                takesLast: search.takesLast
            ),
            inputs: [x]
        )
    }

    mutating func lowerTopPlaces(
        _ node: Node,
        axis: Int,
        largest: Bool
    ) throws(LoweringProblem) {
        let x = try required(node, 0)
        guard let target = node.outputs[0] else { return }
        let shape = result[x].type.shape
        let axis = axis < 0 ? axis + shape.count : axis
        emit(
            node,
            .places(
                AxisLines(shape, axis: axis),
                count: type(target).shape[axis],
                largest: largest,
                takesLast: false
            ),
            inputs: [x]
        )
    }

    mutating func lowerScan(_ node: Node, _ scan: Scan) throws(LoweringProblem) {
        let x = try required(node, 0)
        guard let axis = constant(node.inputs[1])?.smallLiteral?.integers?.first else {
            throw LoweringProblem(reason: "its axis is known only at run time")
        }
        let shape = result[x].type.shape
        let front = axis < 0 ? Int(axis) + shape.count : Int(axis)
        emit(node, .scan(AxisLines(shape, axis: front), scan), inputs: [x])
    }

    mutating func lowerSuppression(
        _ node: Node,
        limit: Int,
        boxesAreCentred: Bool
    ) throws(LoweringProblem) {
        let scores = try required(node, 1)
        let shape = result[scores].type.shape
        let kernel = SuppressionKernel(
            images: shape[0],
            classes: shape[1],
            boxes: shape[2],
            limit: limit,
            boxesAreCentred: boxesAreCentred
        )
        var inputs = [try required(node, 0), scores, try required(node, 2)]
        if node.inputs.count > 3, let least = node.inputs[3] { inputs.append(operand(least)) }
        emit(node, .suppress(kernel), inputs: inputs)
    }
}
