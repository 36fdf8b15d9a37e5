import GraphIR

/// Replaces spelled-out activations by one operator: hard-swish as x * clip(x + 3, 0, 6) / 6 in
/// any order of the factors, and x * hardSigmoid(x, 1/6, 1/2).
package func recognizeActivations(in graph: Graph) -> Graph {
    var result = graph
    let uses = GraphUses(of: graph)
    for (index, node) in graph.nodes.enumerated() {
        guard let source = hardSwishSource(of: node, in: graph, uses: uses) else { continue }
        result.nodes[index].op = .unary(.hardSwish)
        result.nodes[index].inputs = [source]
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
