import GraphIR

/// Replaces local response normalisation that PyTorch writes out by its operator:
/// x / (bias + alpha * mean)^beta with the mean of the squares of neighbouring channels, which is an
/// average pool with windows along them.
package func recognizeLocalResponse(in graph: Graph) -> Graph {
    let uses = GraphUses(of: graph)
    var result = graph
    for (index, node) in graph.nodes.enumerated() {
        guard let found = localResponse(of: node, in: graph, uses: uses),
            let output = node.outputs[0], let type = graph[output].type, type.dtype == .float32,
            graph[found.source].type == type
        else { continue }
        result.nodes[index].op = found.op
        result.nodes[index].inputs = [found.source]
    }
    return removeDeadNodes(from: result)
}

private func localResponse(
    of node: Node,
    in graph: Graph,
    uses: GraphUses
) -> (op: Operator, source: ValueID)? {
    guard case .binary(.divide) = node.op, let source = node.inputs[0],
        let power = producer(of: node.inputs[1], in: graph, uses: uses),
        case .binary(.power) = power.op, let beta = scalar(power.inputs[1], in: graph),
        let sum = producer(of: power.inputs[0], in: graph, uses: uses)
    else { return nil }
    var bias: Float?
    let scaled = addend(of: sum) { number in
        bias = scalar(number, in: graph)
        return bias != nil
    }
    let mean = Product(of: scaled, in: graph, uses: uses)
    guard let bias, mean.factors.count == 1,
        let size = neighbours(mean.factors[0], of: source, in: graph, uses: uses)
    else { return nil }
    return (
        .localResponseNormalization(size: size, alpha: mean.scale, beta: beta, bias: bias), source
    )
}

/// An axis, by what stands around it: the same in each view of the elements that has it.
private struct AxisPlace: Equatable {
    var outer: Int
    var count: Int
    var inner: Int

    init(_ axis: Int, of shape: [Int]) {
        outer = shape[..<axis].reduce(1, *)
        count = shape[axis]
        inner = shape[(axis + 1)...].reduce(1, *)
    }
}

/// Of how many channels `mean` averages the squares of `source`, beyond the first and the last one with
/// zeros, if these are the neighbours that the operator takes.
private func neighbours(
    _ mean: ValueID,
    of source: ValueID,
    in graph: Graph,
    uses: GraphUses
) -> Int? {
    guard let node = producerBeforeViews(of: mean, in: graph, uses: uses),
        case .pool(let pool) = node.op, pool.kind == .average, pool.padding.isNone,
        (pool.strides + pool.dilations).allSatisfy({ $0 == 1 }),
        let axis = pool.kernel.firstIndex(where: { $0 > 1 }),
        pool.kernel[(axis + 1)...].allSatisfy({ $0 == 1 }),
        let padded = node.inputs[0].flatMap({ graph[$0].type?.shape }),
        let shape = graph[source].type?.shape, shape.count > 1
    else { return nil }
    let size = pool.kernel[axis]
    var place = AxisPlace(axis + 2, of: padded)
    var (before, after) = (0, 0)
    var id = node.inputs[0]
    while let pad = producerBeforeViews(of: id, in: graph, uses: uses),
        case .pad(.constant) = pad.op
    {
        guard let zeros = zeros(of: pad, in: graph) else { return nil }
        for border in zeros {
            guard AxisPlace(border.axis, of: border.padded) == place else { return nil }
            place = AxisPlace(border.axis, of: border.whole)
            before += border.before
            after += border.after
        }
        id = pad.inputs[0]
    }
    guard let square = producerBeforeViews(of: id, in: graph, uses: uses),
        square.inputs[0] == source, place == AxisPlace(1, of: shape),
        before == (size - 1) / 2, after == size / 2
    else { return nil }
    switch square.op {
    case .binary(.multiply) where square.inputs[1] == source: return size
    case .binary(.power) where scalar(square.inputs[1], in: graph) == 2: return size
    default: return nil
    }
}

/// Zeros along one axis.
private struct ZeroBorder {
    var axis: Int
    var before: Int
    var after: Int
    var whole: [Int]
    var padded: [Int]
}

/// What a node adds, at most along one axis; nil when it is something else.
private func zeros(of pad: Node, in graph: Graph) -> [ZeroBorder]? {
    guard let input = pad.inputs[0], let output = pad.outputs[0],
        let whole = graph[input].type?.shape, let padded = graph[output].type?.shape,
        let pads = pad.inputs[1].flatMap({ graph[$0].constant?.smallLiteral?.integers }),
        pads.count == 2 * whole.count, pads.allSatisfy({ $0 >= 0 }),
        pad.inputs.dropFirst(3).allSatisfy({ $0 == nil }),
        pad.inputs.count < 3 || pad.inputs[2] == nil || scalar(pad.inputs[2], in: graph) == 0
    else { return nil }
    let borders = whole.indices.map { axis in
        ZeroBorder(
            axis: axis,
            before: Int(pads[axis]),
            after: Int(pads[axis + whole.count]),
            whole: whole,
            padded: padded
        )
    }
    let added = borders.filter { $0.before != 0 || $0.after != 0 }
    return added.count > 1 ? nil : added
}

extension Padding {
    fileprivate var isNone: Bool {
        switch self {
        case .explicit(let sizes): sizes.allSatisfy { $0 == 0 }
        case .valid: true
        case .sameUpper, .sameLower: false
        }
    }
}

/// What produces the elements of `id`, before they were given other axes.
private func producerBeforeViews(of id: ValueID?, in graph: Graph, uses: GraphUses) -> Node? {
    var node = producer(of: id, in: graph, uses: uses)
    while let view = node {
        switch view.op {
        case .reshape, .identity, .squeeze, .unsqueeze, .flatten:
            node = producer(of: view.inputs[0], in: graph, uses: uses)
        default: return view
        }
    }
    return nil
}
