import GraphIR

/// Writes normalisations in the form that kernels are looked for in: (x - mean) / sqrt(variance + epsilon)
/// over the last axis, times factors, plus offsets.
///
/// TensorFlow writes x * f + (offsets - mean * f) with f = factors / sqrt(variance + epsilon). What is
/// normalised over the channels of images, axis 1, is turned before and after: kernels want rows.
package func rewriteNormalizations(in graph: Graph) -> Graph {
    let finder = NormalizationFinder(graph)
    var result = graph
    result.nodes = []
    for (index, node) in graph.nodes.enumerated() {
        if let found = finder.normalization(endingAt: index) {
            result.append(found, named: node.name)
        } else {
            result.nodes.append(node)
        }
    }
    return removeDeadNodes(from: result)
}

/// A normalisation and what it consists of.
private struct Normalization {
    var input: ValueID
    var axes: [Int]
    var epsilon: ValueID
    var factors: ValueID?
    var offsets: ValueID?
    var output: ValueID
}

private struct NormalizationFinder {
    private let graph: Graph
    private let uses: GraphUses

    init(_ graph: Graph) {
        self.graph = graph
        uses = GraphUses(of: graph)
    }

    /// What ends with that node, if it has another form than the one wanted.
    func normalization(endingAt index: Int) -> Normalization? {
        let node = graph.nodes[index]
        guard let output = node.outputs.first, let output, graph[output].type?.dtype == .float32
        else {
            return nil
        }
        return summed(node, output) ?? overChannels(endingAt: index, output)
    }

    /// x * f + (offsets - mean * f), where f has the factors.
    private func summed(_ node: Node, _ output: ValueID) -> Normalization? {
        for (product, shift, offsets) in differences(node) {
            guard let productNode = maker(product), let shiftNode = maker(shift) else { continue }
            for places in 0..<4 {
                guard let (input, factor) = operands(productNode, .multiply, first: places & 1),
                    let (mean, other) = operands(shiftNode, .multiply, first: places >> 1),
                    factor == other, let axes = meanAxes(mean, of: input),
                    let (root, factors) = deviationAndFactors(factor),
                    let epsilon = epsilon(ofDeviation: root, input: input, mean: mean, axes: axes),
                    graph[input].type == graph[output].type,
                    axes != [1] || [factors, offsets].allSatisfy({ isOfChannels($0, of: input) })
                else { continue }
                return Normalization(
                    input: input,
                    axes: axes,
                    epsilon: epsilon,
                    factors: factors,
                    offsets: offsets,
                    output: output
                )
            }
        }
        return nil
    }

    /// The a, b and c of a - b or a + (c - b), in each way to read the node.
    private func differences(_ node: Node) -> [(ValueID, ValueID, ValueID?)] {
        if let (product, shift) = operands(node, .subtract, first: 0) {
            return [(product, shift, nil)]
        }
        return (0..<2).compactMap { side in
            guard let (product, other) = operands(node, .add, first: side),
                let otherNode = maker(other)
            else { return nil }
            if let (offsets, shift) = operands(otherNode, .subtract, first: 0) {
                return (product, shift, offsets)
            }
            guard case .unary(.negate) = otherNode.op, let shift = otherNode.inputs[0] else {
                return nil
            }
            return (product, source(shift), nil)
        }
    }

    /// The usual form, over axis 1 of images, with the factors and offsets that follow it.
    private func overChannels(endingAt index: Int, _ output: ValueID) -> Normalization? {
        guard let rank = graph[output].type?.shape.count, ChannelsLastImage(rank: rank) != nil,
            // A larger one ends later.
            !isFollowed(output, by: .multiply), !isFollowed(output, by: .add)
        else { return nil }
        var node = graph.nodes[index]
        var offsets: ValueID?
        var factors: ValueID?
        if let (before, vector) = channelOperand(node, .add), let producer = maker(before) {
            (node, offsets) = (producer, vector)
        }
        if let (before, vector) = channelOperand(node, .multiply), let producer = maker(before) {
            (node, factors) = (producer, vector)
        }
        guard let (centred, root) = quotient(node), let centredNode = maker(centred),
            let (input, mean) = operands(centredNode, .subtract, first: 0),
            meanAxes(mean, of: input) == [1],
            let epsilon = epsilon(ofDeviation: root, input: input, mean: mean, axes: [1]),
            graph[input].type == graph[output].type
        else { return nil }
        return Normalization(
            input: input,
            axes: [1],
            epsilon: epsilon,
            factors: factors,
            offsets: offsets,
            output: output
        )
    }

    /// What is divided by a value, or multiplied by the reciprocal of it, and that value.
    private func quotient(_ node: Node) -> (ValueID, ValueID)? {
        if let found = operands(node, .divide, first: 0) { return found }
        for side in 0..<2 {
            guard let (value, inverse) = operands(node, .multiply, first: side),
                let root = divisor(ofReciprocal: inverse)
            else { continue }
            return (value, root)
        }
        return nil
    }

    private func divisor(ofReciprocal id: ValueID) -> ValueID? {
        guard let node = maker(id), case .unary(.reciprocal) = node.op else { return nil }
        return node.inputs[0].map(source)
    }

    /// The deviation and the factors of 1 / deviation * factors, or of 1 / deviation alone.
    private func deviationAndFactors(_ id: ValueID) -> (ValueID, ValueID?)? {
        if let root = divisor(ofReciprocal: id) { return (root, nil) }
        guard let node = maker(id), case .binary(.multiply) = node.op,
            let (factors, root) = quotient(node), graph[factors].constant != nil
        else { return nil }
        return (root, factors)
    }

    /// The epsilon, if `root` is the deviation of `input` along `axes`.
    private func epsilon(
        ofDeviation root: ValueID,
        input: ValueID,
        mean: ValueID,
        axes: [Int]
    ) -> ValueID? {
        guard let rootNode = maker(root), case .unary(.sqrt) = rootNode.op,
            let sum = rootNode.inputs[0].flatMap({ maker(source($0)) })
        else { return nil }
        for side in 0..<2 {
            guard let (variance, epsilon) = operands(sum, .add, first: side),
                scalar(epsilon, in: graph) != nil,
                let square = reduced(variance, axes: axes), let squareNode = maker(square),
                let centred = squared(squareNode), let centredNode = maker(centred),
                let (minuend, subtrahend) = operands(centredNode, .subtract, first: 0),
                minuend == input, subtrahend == mean
            else { continue }
            return epsilon
        }
        return nil
    }

    private func squared(_ node: Node) -> ValueID? {
        if let (a, b) = operands(node, .multiply, first: 0), a == b { return a }
        if let (base, exponent) = operands(node, .power, first: 0),
            scalar(exponent, in: graph) == 2
        {
            return base
        }
        return nil
    }

    /// The axes, none negative, over which `id` is the mean of `input`.
    private func meanAxes(_ id: ValueID, of input: ValueID) -> [Int]? {
        guard let node = maker(id), let own = node.inputs[0], source(own) == input else {
            return nil
        }
        return meanAxes(node)
    }

    private func meanAxes(_ node: Node) -> [Int]? {
        guard case .reduce(let reduction) = node.op, reduction.kind == .mean,
            reduction.keepsDimensions, node.inputs.count > 1, let input = node.inputs[0],
            let rank = graph[input].type?.shape.count,
            let axes = node.inputs[1].flatMap({ graph[$0].constant?.smallLiteral?.integers }),
            !axes.isEmpty
        else { return nil }
        return axes.map { Int($0) < 0 ? Int($0) + rank : Int($0) }.sorted()
    }

    private func reduced(_ id: ValueID, axes: [Int]) -> ValueID? {
        guard let node = maker(id), meanAxes(node) == axes else { return nil }
        return node.inputs[0].map(source)
    }

    private func maker(_ id: ValueID) -> Node? {
        guard graph[id].extents.isEmpty, !uses.isGraphOutput(id) else { return nil }
        return uses.producer[id.index].map { graph.nodes[$0] }
    }

    /// The operands of such a node, the one on side `first` first.
    private func operands(_ node: Node, _ function: BinaryFunction, first side: Int) -> (
        ValueID, ValueID
    )? {
        guard case .binary(function) = node.op, let a = node.inputs[side],
            let b = node.inputs[1 - side]
        else { return nil }
        return (source(a), source(b))
    }

    /// The same value before it was seen with the axes that it has.
    private func source(_ id: ValueID) -> ValueID {
        var id = id
        while let node = maker(id), let before = node.inputs[0],
            graph[before].type == graph[id].type, graph[before].extents.isEmpty
        {
            switch node.op {
            case .reshape, .identity, .squeeze, .unsqueeze, .flatten: id = before
            default: return id
            }
        }
        return id
    }

    /// The operands of a node that works on images with constants of their channels, those last.
    private func channelOperand(_ node: Node, _ function: BinaryFunction) -> (ValueID, ValueID)? {
        for side in 0..<2 {
            guard let (value, vector) = operands(node, function, first: side),
                uses.isReadOnce(value), isOfChannels(vector, of: value)
            else { continue }
            return (value, vector)
        }
        return nil
    }

    /// Whether a value, if there is one, is a constant with a number for each element of axis 1.
    private func isOfChannels(_ id: ValueID?, of value: ValueID) -> Bool {
        guard let id else { return true }
        guard graph[id].constant != nil, let own = graph[id].type?.shape,
            let shape = graph[value].type?.shape, shape.count > 1, own.count >= shape.count - 1
        else { return false }
        return own.reduce(1, *) == shape[1] && own[own.count - shape.count + 1] == shape[1]
    }

    /// Whether what alone reads a value works on it with constants of its channels.
    private func isFollowed(_ id: ValueID, by function: BinaryFunction) -> Bool {
        guard uses.isReadOnce(id), let index = uses.readers[id.index].first else { return false }
        return channelOperand(graph.nodes[index], function)?.0 == id
    }
}

extension Graph {
    fileprivate mutating func append(_ found: Normalization, named name: String) {
        guard let type = self[found.input].type else { return }
        let rank = type.shape.count
        let image = found.axes == [1] ? ChannelsLastImage(rank: rank) : nil
        var axes = found.axes
        var own = type
        var input = found.input
        func add(_ op: Operator, _ inputs: [ValueID], _ type: TensorType) -> ValueID {
            let output = addValue(name: "\(name).\(values.count)", type: type)
            nodes.append(Node(name: name, op: op, inputs: inputs, outputs: [output]))
            return output
        }
        if let image {
            axes = [rank - 1]
            own.shape = image.toLast.map { type.shape[$0] }
            input = add(.transpose(permutation: image.toLast), [input], own)
        }
        var rows = own
        for axis in axes { rows.shape[axis] = 1 }
        let places = addValue(
            name: "\(name).axes.\(values.count)",
            constant: Constant(DenseTensor(shape: [axes.count], integers: axes.map { Int64($0) }))
        )
        let mean = Operator.reduce(
            Reduction(kind: .mean, keepsDimensions: true, ignoresEmptyAxes: false)
        )
        let centred = add(.binary(.subtract), [input, add(mean, [input, places], rows)], own)
        let square = add(.binary(.multiply), [centred, centred], own)
        let variance = add(mean, [square, places], rows)
        let sum = add(.binary(.add), [variance, found.epsilon], rows)
        var value = add(.binary(.divide), [centred, add(.unary(.sqrt), [sum], rows)], own)
        for (function, operand) in [
            (BinaryFunction.multiply, found.factors), (.add, found.offsets),
        ] {
            guard var operand else { continue }
            if image != nil, let vector = self[operand].constant {
                operand = addValue(
                    name: "\(name).\(values.count)",
                    constant: vector.reshaped([vector.type.elementCount])
                )
            }
            value = add(.binary(function), [value, operand], own)
        }
        let op = image.map { Operator.transpose(permutation: $0.toFirst) } ?? .identity
        nodes.append(Node(name: name, op: op, inputs: [value], outputs: [found.output]))
    }
}
