import GraphIR

/// Operators that mix the elements of an axis of which the run decides the size.
///
/// What is not real is first made what changes nothing: zeros under a sum, the last real element
/// under a maximum. The operator itself then runs on the whole axis, like any other.
extension ShapeBinding {
    /// Binds a node that reads axes that are real in part and mixes their elements; false leaves it
    /// to the rules for operators that do not.
    mutating func bindMixingOfBounded(_ node: Node) throws(BindingProblem) -> Bool {
        switch node.op {
        case .concat(let axis): return try bindConcat(node, axis: axis)
        case .reduce(let reduction): return try bindReduction(node, reduction)
        case .softmax(let axis, flattened: false),
            .composite(.logSoftmax(let axis, flattened: false)):
            return try bindAlong(axis, node, fill: -.infinity, keepsAxis: true)
        case .argument(let search) where !search.takesLast:
            return try bindAlong(search.axis, node, fill: nil, keepsAxis: false)
        case .slice: return try bindSlice(node)
        case .gather(let axis), .composite(.gatherElements(let axis)):
            return try bindGather(node, axis: axis)
        case .composite(.topK(let axis, let largest)):
            return try bindTopK(node, axis: axis, largest: largest)
        case .composite(.nonMaxSuppression): return try bindSuppression(node)
        default: return false
        }
    }

    /// How many elements along an axis are real; nil when all are.
    private func count(_ id: ValueID?, along axis: Int) -> ValueID? {
        id.flatMap { bound[current($0)].extents[axis] }
    }

    private func rank(_ id: ValueID?) -> Int {
        id.flatMap { bound[current($0)].type?.shape.count } ?? 0
    }

    private func resolved(_ axis: Int, _ node: Node) -> Int? {
        try? resolveAxis(axis, rank: rank(node.inputs[0]))
    }

    /// The input with what is not real along an axis made `fill`, or the last real element.
    private mutating func keepFirst(
        _ id: ValueID,
        axis: Int,
        count: ValueID,
        fill: Float?,
        _ node: Node
    ) throws(BindingProblem) -> ValueID {
        let real = addValue("\(node.name).real")
        let op = Operator.composite(.keepFirst(axis: axis, fill: fill))
        try bind(Node(name: node.name, op: op, inputs: [id, count], outputs: [real]))
        bound[real].extents = bound[current(id)].extents.filter { $0.key != axis }
        return real
    }

    private mutating func bindAlong(
        _ axis: Int,
        _ node: Node,
        fill: Float?,
        keepsAxis: Bool
    ) throws(BindingProblem) -> Bool {
        guard let axis = resolved(axis, node), let x = node.inputs[0],
            let count = count(x, along: axis)
        else { return false }
        var whole = node
        whole.inputs[0] = try keepFirst(x, axis: axis, count: count, fill: fill, node)
        try bindWithExtents(whole)
        if keepsAxis, let output = node.outputs[0] { bound[output].extents[axis] = count }
        return true
    }

    private mutating func bindConcat(_ node: Node, axis: Int) throws(BindingProblem) -> Bool {
        guard let axis = resolved(axis, node) else { return false }
        let counts = node.inputs.map { count($0, along: axis) }
        guard counts.contains(where: { $0 != nil }) else { return false }
        var joined = node
        joined.op = .composite(.concatFirst(axis: axis, isCounted: counts.map { $0 != nil }))
        joined.inputs += counts.filter { $0 != nil }
        try bind(joined)
        let everywhere = node.inputs.indices.map { ($0, Set([axis])) }
        try addExtents(to: node, leavingOut: Dictionary(uniqueKeysWithValues: everywhere))
        return true
    }

    /// A cut from the front, or of some steps, ends where what is real ends.
    private mutating func bindSlice(_ node: Node) throws(BindingProblem) -> Bool {
        guard let x = node.inputs[0], let shape = bound[current(x)].type?.shape else {
            return false
        }
        func list(_ index: Int) -> [Int]? {
            guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
            return bound[current(id)].constant?.smallLiteral?.integers?.map { Int($0) }
        }
        guard let starts = list(1), let ends = list(2), starts.count == ends.count,
            let axes = try? resolveAxes(list(3) ?? Array(starts.indices), rank: shape.count)
        else { return false }
        let steps = list(4) ?? starts.map { _ in 1 }
        guard axes.count == starts.count, steps.count == starts.count else { return false }
        let open = axes.indices.filter { count(x, along: axes[$0]) != nil }
        // What counts from the end would count from the end of what is real.
        guard !open.isEmpty, open.allSatisfy({ starts[$0] >= 0 && ends[$0] >= 0 && steps[$0] > 0 })
        else { return false }
        try bind(node)
        try addExtents(to: node, leavingOut: [0: Set(open.map { axes[$0] })])
        for index in open {
            guard let count = count(x, along: axes[index]), let output = node.outputs[0] else {
                continue
            }
            let size = shape[axes[index]]
            let (start, end) = (min(starts[index], size), min(ends[index], size))
            let step = min(steps[index], max(size, 1))
            var length = try arithmetic(.variadic(.minimum), count, end, node)
            length = try arithmetic(.binary(.subtract), length, start, node)
            length = try arithmetic(.variadic(.maximum), length, 0, node)
            length = try arithmetic(.binary(.add), length, step - 1, node)
            length = try arithmetic(.binary(.divide), length, step, node)
            bound[output].extents[axes[index]] = length
        }
        return true
    }

    /// A scalar of int64 and a number.
    private mutating func arithmetic(
        _ op: Operator,
        _ a: ValueID,
        _ b: Int,
        _ node: Node
    ) throws(BindingProblem) -> ValueID {
        let result = addValue("\(node.name).count")
        let number = DenseTensor(shape: [], integers: [Int64(b)])
        let constant = addValue("\(node.name).number", Constant(number))
        try bind(Node(name: node.name, op: op, inputs: [a, constant], outputs: [result]))
        return result
    }

    /// Indices from the front are those of what is real; those from its end are brought there.
    private mutating func bindGather(_ node: Node, axis: Int) throws(BindingProblem) -> Bool {
        guard let axis = resolved(axis, node), node.inputs.count > 1,
            let count = count(node.inputs[0], along: axis), let indices = node.inputs[1]
        else { return false }
        let places = addValue("\(node.name).places")
        try bind(
            Node(
                name: node.name,
                op: .composite(.placesFromFront),
                inputs: [indices, count],
                outputs: [places]
            )
        )
        bound[places].extents = bound[current(indices)].extents
        var whole = node
        whole.inputs[1] = places
        try bind(whole)
        try addExtents(to: whole, leavingOut: [0: [axis]])
        return true
    }

    /// The best are among what is real, as many as there are at most.
    private mutating func bindTopK(
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
    private mutating func bindSuppression(_ node: Node) throws(BindingProblem) -> Bool {
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

    private mutating func bindReduction(
        _ node: Node,
        _ reduction: Reduction
    ) throws(BindingProblem) -> Bool {
        guard let x = node.inputs[0], let shape = bound[current(x)].type?.shape,
            let dtype = bound[current(x)].type?.dtype
        else { return false }
        var axes: [Int] = []
        if node.inputs.count > 1, let list = node.inputs[1] {
            guard let known = bound[current(list)].constant?.smallLiteral?.integers,
                let resolved = try? resolveAxes(known.map { Int($0) }, rank: shape.count)
            else { return false }
            axes = resolved
        }
        if axes.isEmpty, !reduction.ignoresEmptyAxes { axes = Array(shape.indices) }
        let open = axes.filter { count(x, along: $0) != nil }
        guard !open.isEmpty else { return false }
        var whole = node
        var divisors: [ValueID] = []
        for axis in open {
            guard let real = whole.inputs[0], let count = count(x, along: axis) else { continue }
            whole.inputs[0] = try keepFirst(
                real,
                axis: axis,
                count: count,
                fill: reduction.kind.neutralElement,
                node
            )
            divisors.append(count)
        }
        guard reduction.kind == .mean else {
            try bindWithExtents(whole)
            return true
        }
        // The sum by the number of elements that are real.
        whole.op = .reduce(
            Reduction(
                kind: .sum,
                keepsDimensions: reduction.keepsDimensions,
                ignoresEmptyAxes: reduction.ignoresEmptyAxes
            )
        )
        var quotient = addValue("\(node.name).sum")
        whole.outputs = [quotient]
        try bindWithExtents(whole)
        let others = axes.filter { !open.contains($0) }.map { shape[$0] }.reduce(1, *)
        let size = DenseTensor(shape: [], integers: [Int64(others)])
        divisors.append(addValue("\(node.name).others", Constant(size)))
        for (index, divisor) in divisors.enumerated() {
            let number = addValue("\(node.name).divisor")
            try bind(
                Node(name: node.name, op: .cast(to: dtype), inputs: [divisor], outputs: [number])
            )
            let isLast = index == divisors.count - 1
            let result = isLast ? node.outputs[0] : addValue("\(node.name).quotient")
            guard let result else { continue }
            try bindWithExtents(
                Node(
                    name: node.name,
                    op: .binary(.divide),
                    inputs: [quotient, number],
                    outputs: [result]
                )
            )
            quotient = result
        }
        return true
    }
}

extension ReductionKind {
    /// What changes nothing among the elements; nil where only an element itself does.
    fileprivate var neutralElement: Float? {
        switch self {
        case .sum, .mean, .l1, .l2, .sumOfSquares, .logSum: 0
        case .product: 1
        case .logSumExp: -.infinity
        case .minimum, .maximum: nil
        }
    }
}
