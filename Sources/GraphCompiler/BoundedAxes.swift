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
            .composite(.logSoftmax(let axis, flattened: false)),
            .composite(.hardmax(let axis, flattened: false)):
            return try bindAlong(axis, node, fill: -.infinity, keepsAxis: true)
        case .composite(.lpNormalization(let axis, _)):
            return try bindAlong(axis, node, fill: 0, keepsAxis: true)
        case .scan(let scan) where scan.isReversed: return try bindReversed(node, scan)
        case .argument(let search): return try bindSearch(node, search)
        case .matmul: return try bindProduct(node, transposeA: false, transposeB: false)
        case .gemm(let gemm):
            return try bindProduct(node, transposeA: gemm.transposeA, transposeB: gemm.transposeB)
        case .pad(.constant): return try bindPad(node)
        case .tile: return try bindTile(node)
        case .reshape, .flatten: return try bindReshape(node)
        case .slice: return try bindSlice(node)
        case .gather(let axis), .composite(.gatherElements(let axis)):
            return try bindGather(node, axis: axis)
        case .composite(.gatherND(batchAxes: 0)): return try bindGatherND(node)
        case .composite(.scatterElements(let axis, _)): return try bindScatter(node, axis: axis)
        case .composite(.scatterND): return try bindScatter(node, axis: 0)
        case .composite(.topK(let axis, let largest)):
            return try bindTopK(node, axis: axis, largest: largest)
        case .composite(.nonMaxSuppression): return try bindSuppression(node)
        default: return false
        }
    }

    /// How many elements along an axis are real; nil when all are.
    func count(_ id: ValueID?, along axis: Int) -> ValueID? {
        id.flatMap { bound[current($0)].extents[axis] }
    }

    private func rank(_ id: ValueID?) -> Int {
        id.flatMap { bound[current($0)].type?.shape.count } ?? 0
    }

    func resolved(_ axis: Int, _ node: Node) -> Int? {
        try? resolveAxis(axis, rank: rank(node.inputs[0]))
    }

    /// The input with what is not real along an axis made `fill`, or the last real element.
    mutating func keepFirst(
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

    /// Sums that run backwards start where what is real ends.
    private mutating func bindReversed(_ node: Node, _ scan: Scan) throws(BindingProblem) -> Bool {
        guard node.inputs.count > 1, let list = node.inputs[1],
            let axis = bound[current(list)].constant?.smallLiteral?.integers?.first
        else { return false }
        return try bindAlong(Int(axis), node, fill: scan.isProduct ? 1 : 0, keepsAxis: true)
    }

    /// The last of equal elements may be a copy of the last one that is real.
    private mutating func bindSearch(
        _ node: Node,
        _ search: ArgumentSearch
    ) throws(BindingProblem) -> Bool {
        guard search.takesLast, let axis = resolved(search.axis, node),
            let output = node.outputs[0],
            let count = count(node.inputs[0], along: axis)
        else { return try bindAlong(search.axis, node, fill: nil, keepsAxis: false) }
        var whole = node
        let found = addValue("\(node.name).found")
        whole.outputs = [found]
        _ = try bindAlong(axis, whole, fill: nil, keepsAxis: false)
        let last = try arithmetic(.binary(.subtract), count, 1, node)
        let inputs = [found, last]
        try bindWithExtents(
            Node(name: node.name, op: .variadic(.minimum), inputs: inputs, outputs: [output])
        )
        return true
    }

    /// What is not real adds nothing to a sum of products when it is zero in both factors.
    private mutating func bindProduct(
        _ node: Node,
        transposeA: Bool,
        transposeB: Bool
    ) throws(BindingProblem) -> Bool {
        guard node.inputs.count > 1, let a = node.inputs[0], let b = node.inputs[1] else {
            return false
        }
        let axisA = transposeA ? 0 : rank(a) - 1
        let axisB = transposeB ? 1 : max(rank(b) - 2, 0)
        guard let count = count(a, along: axisA), count == self.count(b, along: axisB) else {
            return false
        }
        var whole = node
        whole.inputs[0] = try keepFirst(a, axis: axisA, count: count, fill: 0, node)
        whole.inputs[1] = try keepFirst(b, axis: axisB, count: count, fill: 0, node)
        try bindWithExtents(whole)
        return true
    }

    /// What stands behind the real part is what the axis is padded with, wherever it ends.
    private mutating func bindPad(_ node: Node) throws(BindingProblem) -> Bool {
        guard let x = node.inputs[0], let shape = bound[current(x)].type?.shape,
            let output = node.outputs[0], let pads = numbers(node, 1),
            let padded = try? resolvePads(
                shape: shape,
                pads: pads,
                axes: numbers(node, 3),
                mode: .constant
            )
        else { return false }
        var value = 0.0
        if node.inputs.count > 2, let given = node.inputs[2] {
            guard let known = bound[current(given)].constant?.smallLiteral?.doubles.first else {
                return false
            }
            value = known
        }
        let (begin, end) = (padded.begin, padded.end)
        let open = shape.indices.filter {
            count(x, along: $0) != nil && (begin[$0] != 0 || end[$0] != 0)
        }
        guard !open.isEmpty, open.allSatisfy({ begin[$0] >= 0 && end[$0] >= 0 }),
            Double(Float(value)) == value
        else { return false }
        var whole = node
        for axis in open {
            guard let real = whole.inputs[0], let count = count(x, along: axis) else { continue }
            whole.inputs[0] =
                try keepFirst(real, axis: axis, count: count, fill: Float(value), node)
        }
        try bindWithExtents(whole)
        for axis in open {
            guard let count = count(x, along: axis) else { continue }
            bound[output].extents[axis] =
                try arithmetic(.binary(.add), count, begin[axis] + end[axis], node)
        }
        return true
    }

    /// Repeats of the axis are joined like other tensors.
    private mutating func bindTile(_ node: Node) throws(BindingProblem) -> Bool {
        guard let x = node.inputs[0], var repeats = numbers(node, 1), repeats.count == rank(x),
            let axis = repeats.indices.first(where: {
                count(x, along: $0) != nil && repeats[$0] != 1
            }), 2...64 ~= repeats[axis]
        else { return false }
        let copies = repeats[axis]
        repeats[axis] = 1
        let others = addValue("\(node.name).others")
        let list = vector(repeats, "\(node.name).repeats")
        try bindWithExtents(
            Node(name: node.name, op: .tile, inputs: [x, list], outputs: [others])
        )
        try bindWithExtents(
            Node(
                name: node.name,
                op: .concat(axis: axis),
                inputs: Array(repeating: others, count: copies),
                outputs: node.outputs
            )
        )
        return true
    }

    /// The integers of an input that are known.
    func numbers(_ node: Node, _ index: Int) -> [Int]? {
        guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
        return bound[current(id)].constant?.smallLiteral?.integers?.map { Int($0) }
    }

    /// A scalar of int64 and a number.
    mutating func arithmetic(
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

    /// A constant vector of int64.
    mutating func vector(_ numbers: [Int], _ name: String) -> ValueID {
        let tensor = DenseTensor(shape: [numbers.count], integers: numbers.map { Int64($0) })
        return addValue(name, Constant(tensor))
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
                fill: reduction.kind.neutralElement(isFloatingPoint: dtype.isFloatingPoint),
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
    fileprivate func neutralElement(isFloatingPoint: Bool) -> Float? {
        switch self {
        case .sum, .mean, .l1, .l2, .sumOfSquares, .logSum: 0
        case .product: 1
        case .logSumExp: -.infinity
        case .minimum: isFloatingPoint ? .infinity : nil
        case .maximum: isFloatingPoint ? -.infinity : nil
        }
    }
}
