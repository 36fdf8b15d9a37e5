import GraphIR

/// Replaces spelled-out activations by one operator: hard-swish as x * clip(x + 3, 0, 6) / 6 in
/// any order of the factors, and x * hardSigmoid(x, 1/6, 1/2); GELU as x / 2 * (1 + erf(x / sqrt(2)))
/// and as x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))), the factors in any order.
package func recognizeActivations(in graph: Graph) -> Graph {
    var result = graph
    let uses = GraphUses(of: graph)
    for (index, node) in graph.nodes.enumerated() {
        if let source = hardSwishSource(of: node, in: graph, uses: uses) {
            result.nodes[index].op = .unary(.hardSwish)
            result.nodes[index].inputs = [source]
        } else if let found = geluSource(of: node, in: graph, uses: uses) {
            result.nodes[index].op = .unary(.gelu(tanhApproximation: found.isApproximate))
            result.nodes[index].inputs = [found.source]
        }
    }
    return removeDeadNodes(from: result)
}

/// The x of a node that computes hard-swish of x; nil when it computes something else.
private func hardSwishSource(of node: Node, in graph: Graph, uses: GraphUses) -> ValueID? {
    switch node.op {
    case .binary(.divide):
        // (x * clip(x + 3, 0, 6)) / 6
        guard let scale = scalar(node.inputs[1], in: graph), scale == 6,
            let product = producer(of: node.inputs[0], in: graph, uses: uses),
            case .binary(.multiply) = product.op
        else { return nil }
        return gateSource(of: product, factor: 1, in: graph, uses: uses)
    case .binary(.multiply):
        // (x * clip(x + 3, 0, 6)) * (1 / 6)
        for side in 0..<2 {
            guard let scale = scalar(node.inputs[side], in: graph), abs(scale - 1 / 6) < 1e-7,
                let product = producer(of: node.inputs[1 - side], in: graph, uses: uses),
                case .binary(.multiply) = product.op
            else { continue }
            return gateSource(of: product, factor: 1, in: graph, uses: uses)
        }
        return gateSource(of: node, factor: 1 / 6, in: graph, uses: uses)
    default:
        return nil
    }
}

/// For x * g(x): x, when g is clip(x + 3, 0, 6) * factor' with factor' * factor == 1 / 6.
private func gateSource(
    of product: Node,
    factor: Float,
    in graph: Graph,
    uses: GraphUses
) -> ValueID? {
    for side in 0..<2 {
        guard let source = product.inputs[side],
            let gate = producer(of: product.inputs[1 - side], in: graph, uses: uses)
        else { continue }
        if factor == 1 {
            if isShiftedClip(gate, of: source, in: graph, uses: uses) { return source }
        } else {
            if case .unary(.hardSigmoid(let alpha, let beta)) = gate.op,
                abs(alpha - 1 / 6) < 1e-6, beta == 0.5, gate.inputs[0] == source
            {
                return source
            }
            if case .binary(.divide) = gate.op, scalar(gate.inputs[1], in: graph) == 6,
                let clip = producer(of: gate.inputs[0], in: graph, uses: uses),
                isShiftedClip(clip, of: source, in: graph, uses: uses)
            {
                return source
            }
        }
    }
    return nil
}

/// Whether `node` is clip(source + 3, 0, 6).
private func isShiftedClip(
    _ node: Node,
    of source: ValueID,
    in graph: Graph,
    uses: GraphUses
) -> Bool {
    guard case .clip = node.op, node.inputs.count == 3,
        scalar(node.inputs[1], in: graph) == 0, scalar(node.inputs[2], in: graph) == 6,
        let sum = producer(of: node.inputs[0], in: graph, uses: uses),
        case .binary(.add) = sum.op
    else { return false }
    return (0..<2).contains { side in
        sum.inputs[side] == source && scalar(sum.inputs[1 - side], in: graph) == 3
    }
}

/// The x of a node that computes GELU of x, and by which formula; nil when it computes something
/// else.
private func geluSource(
    of node: Node,
    in graph: Graph,
    uses: GraphUses
) -> (source: ValueID, isApproximate: Bool)? {
    let product = Product(of: node, in: graph, uses: uses)
    guard product.isScaled(by: 0.5), product.factors.count == 2 else { return nil }
    for side in 0..<2 {
        let source = product.factors[1 - side]
        guard let sum = producer(of: product.factors[side], in: graph, uses: uses),
            let odd = addend(of: sum, beside: { scalar($0, in: graph) == 1 }),
            let function = producer(of: odd, in: graph, uses: uses),
            case .unary(let kind) = function.op
        else { continue }
        let argument = Product(of: function.inputs[0], in: graph, uses: uses)
        if kind == .erf, argument.isScaled(by: Float(0.5).squareRoot()),
            argument.factors == [source]
        {
            return (source, false)
        }
        guard kind == .tanh, argument.isScaled(by: (2 / Float.pi).squareRoot()),
            argument.factors.count == 1,
            let polynomial = producer(of: argument.factors[0], in: graph, uses: uses),
            let cubic = addend(of: polynomial, beside: { $0 == source })
        else { continue }
        let cube = Product(of: cubic, in: graph, uses: uses)
        if cube.isScaled(by: 0.044715), cube.factors == [source, source, source] {
            return (source, true)
        }
    }
    return nil
}

/// The other addend of a sum of two, one of which passes.
private func addend(of node: Node, beside passes: (ValueID?) -> Bool) -> ValueID? {
    guard case .binary(.add) = node.op else { return nil }
    for side in 0..<2 where passes(node.inputs[side]) { return node.inputs[1 - side] }
    return nil
}

/// A value as a number times other values, as far as multiplications, divisions by numbers and small
/// whole powers that nothing else reads go, a few of them at most.
private struct Product {
    /// Activations are shallower; a model may have chains of any length.
    private static let mostLevels = 6

    private(set) var scale: Float = 1
    private(set) var factors: [ValueID] = []

    init(of id: ValueID?, in graph: Graph, uses: GraphUses) {
        multiply(id, levels: Self.mostLevels, in: graph, uses: uses)
    }

    init(of node: Node, in graph: Graph, uses: GraphUses) {
        multiply(node, levels: Self.mostLevels, in: graph, uses: uses)
    }

    func isScaled(by factor: Float) -> Bool { abs(scale - factor) < 1e-5 * factor }

    private mutating func multiply(
        _ id: ValueID?,
        levels: Int,
        in graph: Graph,
        uses: GraphUses
    ) {
        guard let id else { return }
        if let number = scalar(id, in: graph) {
            scale *= number
        } else if levels > 0, let node = producer(of: id, in: graph, uses: uses) {
            multiply(node, levels: levels - 1, in: graph, uses: uses)
        } else {
            factors.append(id)
        }
    }

    private mutating func multiply(
        _ node: Node,
        levels: Int,
        in graph: Graph,
        uses: GraphUses
    ) {
        switch node.op {
        case .binary(.multiply):
            multiply(node.inputs[0], levels: levels, in: graph, uses: uses)
            multiply(node.inputs[1], levels: levels, in: graph, uses: uses)
        case .binary(.divide) where scalar(node.inputs[1], in: graph) != nil:
            multiply(node.inputs[0], levels: levels, in: graph, uses: uses)
            scale /= scalar(node.inputs[1], in: graph) ?? 1
        case .binary(.power) where node.inputs[0] != nil:
            let exponent = scalar(node.inputs[1], in: graph)
            guard exponent == 2 || exponent == 3, let base = node.inputs[0] else {
                factors += node.outputs.prefix(1).compactMap { $0 }
                return
            }
            factors += Array(repeating: base, count: exponent == 2 ? 2 : 3)
        default:
            factors += node.outputs.prefix(1).compactMap { $0 }
        }
    }
}

/// The node that produces `id` for one reader only.
private func producer(of id: ValueID?, in graph: Graph, uses: GraphUses) -> Node? {
    guard let id, uses.isReadOnce(id), let index = uses.producer[id.index] else { return nil }
    return graph.nodes[index]
}

/// The value of a constant with one element.
package func scalar(_ id: ValueID?, in graph: Graph) -> Float? {
    guard let id, let constant = graph[id].constant, constant.type.elementCount == 1 else {
        return nil
    }
    return constant.smallLiteral?.floats.first
}
