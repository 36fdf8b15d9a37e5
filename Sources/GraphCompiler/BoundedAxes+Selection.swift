import GraphIR

/// Operators that take elements of an axis of which the run decides the size, or write by as many
/// indices as the run decides.
extension ShapeBinding {
    /// A cut of an axis of which a part is real is a cut of that part.
    mutating func bindSlice(_ node: Node) throws(BindingProblem) -> Bool {
        guard let x = node.inputs[0], let shape = bound[current(x)].type?.shape,
            let output = node.outputs[0]
        else { return false }
        guard let starts = numbers(node, 1), let ends = numbers(node, 2),
            starts.count == ends.count,
            let axes = try? resolveAxes(
                numbers(node, 3) ?? Array(starts.indices),
                rank: shape.count
            )
        else { return false }
        let steps = numbers(node, 4) ?? starts.map { _ in 1 }
        guard axes.count == starts.count, steps.count == starts.count, !steps.contains(0)
        else { return false }
        var open = axes.indices.filter { count(x, along: axes[$0]) != nil }
        guard !open.isEmpty else { return false }
        var source = x
        let others = axes.indices.filter { !open.contains($0) }
        if !others.isEmpty {
            var inputs: [ValueID?] = [source]
            for list in [starts, ends, axes, steps] {
                inputs.append(vector(others.map { list[$0] }, "\(node.name).cut"))
            }
            source = addValue("\(node.name).others")
            try bindWithExtents(
                Node(name: node.name, op: .slice, inputs: inputs, outputs: [source])
            )
        }
        while let index = open.popLast() {
            let axis = axes[index]
            let op = Composite.sliceFirst(
                axis: axis,
                start: starts[index],
                end: ends[index],
                step: steps[index]
            )
            let inputs = [source, count(source, along: axis)]
            let target = open.isEmpty ? output : addValue("\(node.name).part")
            let kept = bound[current(source)].extents.filter { $0.key != axis }
            try bind(
                Node(name: node.name, op: .composite(op), inputs: inputs, outputs: [target])
            )
            bound[target].extents.merge(kept) { own, _ in own }
            source = target
        }
        return true
    }

    /// Indices from the front are those of what is real; those from its end are brought there.
    mutating func bindGather(_ node: Node, axis: Int) throws(BindingProblem) -> Bool {
        guard let axis = resolved(axis, node), node.inputs.count > 1,
            let count = count(node.inputs[0], along: axis), let indices = node.inputs[1]
        else { return false }
        var whole = node
        whole.inputs[1] = try placesFromFront(indices, count, node)
        try bind(whole)
        try addExtents(to: whole, leavingOut: [0: [axis]])
        return true
    }

    /// The indices of each axis are brought to its front, as those of a gather are.
    mutating func bindGatherND(_ node: Node) throws(BindingProblem) -> Bool {
        guard node.inputs.count > 1, let x = node.inputs[0], let indices = node.inputs[1],
            let depth = bound[current(indices)].type?.shape.last
        else { return false }
        let open = (0..<depth).filter { count(x, along: $0) != nil }
        guard !open.isEmpty else { return false }
        let sizes = addValue("\(node.name).sizes")
        try bindWithExtents(
            Node(
                name: node.name,
                op: .shape(start: 0, end: depth),
                inputs: [x],
                outputs: [sizes]
            )
        )
        var whole = node
        whole.inputs[1] = try placesFromFront(indices, sizes, node)
        try bind(whole)
        try addExtents(to: whole, leavingOut: [0: Set(open)])
        return true
    }

    private mutating func placesFromFront(
        _ indices: ValueID,
        _ count: ValueID,
        _ node: Node
    ) throws(BindingProblem) -> ValueID {
        let places = addValue("\(node.name).places")
        let op = Operator.composite(.placesFromFront)
        try bind(Node(name: node.name, op: op, inputs: [indices, count], outputs: [places]))
        bound[places].extents = bound[current(indices)].extents
        return places
    }

    /// Only indices that are real write; what they write to is whole.
    mutating func bindScatter(_ node: Node, axis: Int) throws(BindingProblem) -> Bool {
        guard node.inputs.count == 3, let x = node.inputs[0], let axis = resolved(axis, node),
            let count = count(node.inputs[1], along: axis),
            bound[current(x)].extents.isEmpty,
            node.inputs[1...].allSatisfy({ id in
                id.map { bound[current($0)].extents } == [axis: count]
            })
        else { return false }
        var whole = node
        whole.inputs.append(count)
        try bind(whole)
        return true
    }

    /// The best are among what is real, as many as there are at most.
    mutating func bindTopK(
        _ node: Node,
        axis: Int,
        largest: Bool
    ) throws(BindingProblem) -> Bool {
        guard let axis = resolved(axis, node), let x = node.inputs[0], node.inputs.count > 1,
            let wanted = node.inputs[1], let count = count(x, along: axis),
            bound[current(x)].type?.dtype.isFloatingPoint == true
        else { return false }
        var whole = node
        let fill: Float = largest ? -.infinity : .infinity
        whole.inputs[0] = try keepFirst(x, axis: axis, count: count, fill: fill, node)
        try bindWithExtents(whole)
        let scalar = addValue("\(node.name).k")
        let sizes = addValue("\(node.name).sizes", Constant(DenseTensor(shape: [0], integers: [])))
        let number = addValue("\(node.name).k64")
        try bind(
            Node(name: node.name, op: .cast(to: .int64), inputs: [wanted], outputs: [number])
        )
        try bind(
            Node(
                name: node.name,
                op: .reshape(allowZero: true),
                inputs: [number, sizes],
                outputs: [scalar]
            )
        )
        let fewer = addValue("\(node.name).count")
        let inputs = [scalar, count]
        try bind(
            Node(name: node.name, op: .variadic(.minimum), inputs: inputs, outputs: [fewer])
        )
        for case let output? in node.outputs { bound[output].extents[axis] = fewer }
        return true
    }

    /// Boxes that are not real have a score below every threshold.
    mutating func bindSuppression(_ node: Node) throws(BindingProblem) -> Bool {
        guard node.inputs.count > 1, let boxes = node.inputs[0], let scores = node.inputs[1],
            let count = count(scores, along: 2),
            bound[current(scores)].extents == [2: count],
            bound[current(boxes)].extents == [1: count]
        else { return false }
        var whole = node
        whole.inputs += Array(repeating: nil, count: max(0, 5 - node.inputs.count))
        whole.inputs[1] = try keepFirst(scores, axis: 2, count: count, fill: -.infinity, node)
        if whole.inputs[4] == nil {
            let lowest = DenseTensor.repeating(
                -Double(Float.greatestFiniteMagnitude),
                type: TensorType(.float32, [])
            )
            whole.inputs[4] = addValue("\(node.name).threshold", Constant(lowest))
        }
        try bind(whole)
        return true
    }
}
