import GraphIR

/// Replaces spelled-out activations by one operator: hard-swish as x * clip(x + 3, 0, 6) / 6 in
/// any order of the factors, and x * hardSigmoid(x, 1/6, 1/2); hard-sigmoid as clip(a * x + b, 0, c) / c;
/// GELU as x / 2 * (1 + erf(x / sqrt(2))), also as 1 - erf(-x / sqrt(2)), and as
/// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))), the factors in any order.
package func recognizeActivations(in graph: Graph) -> Graph {
    var result = graph
    let uses = GraphUses(of: graph)
    for (index, node) in graph.nodes.enumerated() {
        let found =
            hardSwish(of: node, in: graph, uses: uses)
            ?? hardSigmoid(of: node, in: graph, uses: uses)
            ?? gelu(of: node, in: graph, uses: uses)
        // Numbers of more axes than their operand add axes; integers divide towards zero.
        guard let found, let output = node.outputs[0], let type = graph[output].type,
            type.dtype.isFloatingPoint, graph[found.source].type == type
        else { continue }
        result.nodes[index].op = .unary(found.function)
        result.nodes[index].inputs = [found.source]
    }
    return removeDeadNodes(from: result)
}

/// A function of one value.
private struct Activation {
    var function: UnaryFunction
    var source: ValueID
}

/// What a node computes if it is hard-swish.
private func hardSwish(of node: Node, in graph: Graph, uses: GraphUses) -> Activation? {
    let product = Product(of: node, in: graph, uses: uses)
    guard product.factors.count == 2 else { return nil }
    for side in 0..<2 {
        let source = product.factors[1 - side]
        guard let gate = producer(of: product.factors[side], in: graph, uses: uses) else {
            continue
        }
        if product.isScaled(by: 1), case .unary(.hardSigmoid(let alpha, let beta)) = gate.op,
            abs(alpha - 1 / 6) < 1e-6, beta == 0.5, gate.inputs[0] == source
        {
            return Activation(function: .hardSwish, source: source)
        }
        if product.isScaled(by: 1 / 6), largestValue(ofClip: gate, in: graph) == 6,
            let sum = producer(of: gate.inputs[0], in: graph, uses: uses),
            addend(of: sum, beside: { scalar($0, in: graph) == 3 }) == source
        {
            return Activation(function: .hardSwish, source: source)
        }
    }
    return nil
}

/// What a node computes if it is hard-sigmoid, written out.
private func hardSigmoid(of node: Node, in graph: Graph, uses: GraphUses) -> Activation? {
    var clip = node
    var scale: Float = 1
    if largestValue(ofClip: node, in: graph) == nil {
        let product = Product(of: node, in: graph, uses: uses)
        guard product.factors.count == 1,
            let factor = producer(of: product.factors[0], in: graph, uses: uses)
        else { return nil }
        (clip, scale) = (factor, product.scale)
    }
    guard let largest = largestValue(ofClip: clip, in: graph), abs(scale * largest - 1) < 1e-5,
        let sum = producer(of: clip.inputs[0], in: graph, uses: uses)
    else { return nil }
    var shift: Float = 0
    guard
        let argument = addend(
            of: sum,
            beside: { number in
                shift = scalar(number, in: graph) ?? 0
                return shift != 0
            }
        )
    else { return nil }
    let product = Product(of: argument, in: graph, uses: uses)
    let isScaled = product.factors.count == 1
    return Activation(
        function: .hardSigmoid(
            alpha: isScaled ? product.scale * scale : scale,
            beta: shift * scale
        ),
        source: isScaled ? product.factors[0] : argument
    )
}

/// The upper limit of a node that clips at zero and there.
private func largestValue(ofClip node: Node, in graph: Graph) -> Float? {
    guard case .clip = node.op, node.inputs.count == 3, scalar(node.inputs[1], in: graph) == 0
    else {
        return nil
    }
    return scalar(node.inputs[2], in: graph)
}

/// What a node computes if it is GELU, by either formula.
private func gelu(of node: Node, in graph: Graph, uses: GraphUses) -> Activation? {
    let product = Product(of: node, in: graph, uses: uses)
    guard product.isScaled(by: 0.5), product.factors.count == 2 else { return nil }
    for side in 0..<2 {
        let source = product.factors[1 - side]
        guard let sum = producer(of: product.factors[side], in: graph, uses: uses),
            let (odd, sign) = oneAndSigned(sum, in: graph),
            let function = producer(of: odd, in: graph, uses: uses),
            case .unary(let kind) = function.op
        else { continue }
        let argument = Product(of: function.inputs[0], in: graph, uses: uses)
        if kind == .erf, argument.isScaled(by: sign * Float(0.5).squareRoot()),
            argument.factors == [source]
        {
            return Activation(function: .gelu(tanhApproximation: false), source: source)
        }
        guard kind == .tanh, argument.isScaled(by: sign * (2 / Float.pi).squareRoot()),
            argument.factors.count == 1,
            let polynomial = producer(of: argument.factors[0], in: graph, uses: uses),
            let cubic = addend(of: polynomial, beside: { $0 == source })
        else { continue }
        let cube = Product(of: cubic, in: graph, uses: uses)
        if cube.isScaled(by: 0.044715), cube.factors == [source, source, source] {
            return Activation(function: .gelu(tanhApproximation: true), source: source)
        }
    }
    return nil
}

/// The y of 1 + y and of 1 - y, and the sign before it.
private func oneAndSigned(_ node: Node, in graph: Graph) -> (ValueID, Float)? {
    if case .binary(.subtract) = node.op, scalar(node.inputs[0], in: graph) == 1 {
        return node.inputs[1].map { ($0, -1) }
    }
    return addend(of: node, beside: { scalar($0, in: graph) == 1 }).map { ($0, 1) }
}

/// The other addend of a sum of two, one of which passes.
func addend(of node: Node, beside passes: (ValueID?) -> Bool) -> ValueID? {
    guard case .binary(.add) = node.op else { return nil }
    for side in 0..<2 where passes(node.inputs[side]) { return node.inputs[1 - side] }
    return nil
}

/// A value as a number times other values, as far as multiplications, divisions by numbers, signs and
/// small whole powers that nothing else reads go, a few of them at most.
struct Product {
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

    func isScaled(by factor: Float) -> Bool { abs(scale - factor) < 1e-5 * abs(factor) }

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
        case .unary(.negate):
            multiply(node.inputs[0], levels: levels, in: graph, uses: uses)
            scale = -scale
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
func producer(of id: ValueID?, in graph: Graph, uses: GraphUses) -> Node? {
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
