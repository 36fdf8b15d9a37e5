import GraphIR

/// Computes images only where they are read: what nothing but pointwise convolutions with the same strides
/// read, the convolution before them gives with these strides, and they read all of it.
///
/// Between them may be operators that work element by element, such as the sum and the activation at the
/// end of a residual block. An operand of theirs that is read elsewhere in full is copied with the strides.
package func moveStridesUp(in graph: Graph) -> Graph {
    var moves = StrideMoves(graph)
    for index in graph.nodes.indices.reversed() { moves.visit(index) }
    for input in graph.inputs { moves.copy(input.value) }
    return moves.result
}

/// Steps between the pixels of an image that are read, down and across.
private struct Steps: Equatable {
    var down: Int
    var across: Int

    static let none = Steps(down: 1, across: 1)

    var list: [Int] { [down, across] }

    static func * (a: Steps, b: Steps) -> Steps {
        Steps(down: a.down * b.down, across: a.across * b.across)
    }

    /// The pixels of an image that are read.
    func type(_ type: TensorType) -> TensorType {
        let (height, width) = (type.shape[2], type.shape[3])
        return TensorType(
            type.dtype,
            [type.shape[0], type.shape[1], (height - 1) / down + 1, (width - 1) / across + 1]
        )
    }
}

/// Nodes from the last to the first, each changed when all that reads its result is known.
private struct StrideMoves {
    private let graph: Graph
    private let uses: GraphUses
    private var changed: Graph
    /// With which steps each value is read, by one reader or another.
    private var asked: [[Steps]]
    /// Operands of elementwise nodes that have to be there with such steps.
    private var wanted: [ValueID: [(node: Int, place: Int, steps: Steps)]] = [:]
    /// Copies that stand before a node.
    private var copies: [Int: [Node]] = [:]

    init(_ graph: Graph) {
        self.graph = graph
        uses = GraphUses(of: graph)
        changed = graph
        asked = Array(repeating: [], count: graph.values.count)
    }

    var result: Graph {
        var result = changed
        result.nodes = changed.nodes.enumerated().flatMap { index, node in
            copies[index, default: []] + [node]
        }
        return result
    }

    mutating func visit(_ index: Int) {
        let node = graph.nodes[index]
        let steps = steps(ofResultOf: node)
        let isMoved = steps != .none && canGive(node)
        if isMoved {
            move(steps, to: index)
        } else {
            for case let output? in node.outputs { copy(output) }
        }
        if let own = pointwiseSteps(node), let image = node.inputs[0] {
            asked[image.index].append(isMoved ? own * steps : own)
            for input in node.inputs.dropFirst() { ask(input) }
        } else if !isMoved || !isElementwise(node) {
            for input in node.inputs { ask(input) }
        }
    }

    private mutating func ask(_ id: ValueID?) {
        if let id { asked[id.index].append(.none) }
    }

    /// The steps with which all that reads the only result of a node reads it.
    private func steps(ofResultOf node: Node) -> Steps {
        guard node.outputs.count == 1, let output = node.outputs[0], isImage(output),
            !uses.isGraphOutput(output), let first = asked[output.index].first,
            asked[output.index].allSatisfy({ $0 == first })
        else { return .none }
        return first
    }

    /// Has the node give what is read, and those that read it read all.
    private mutating func move(_ steps: Steps, to index: Int) {
        let node = graph.nodes[index]
        guard let output = node.outputs[0], let type = graph[output].type else { return }
        changed.values[output.index].type = steps.type(type)
        for reader in uses.readers[output.index] {
            if case .convolution(var convolution) = changed.nodes[reader].op {
                convolution.strides = Steps.none.list
                changed.nodes[reader].op = .convolution(convolution)
            }
        }
        if case .convolution(var convolution) = node.op, let window = window(of: node) {
            convolution.strides = zip(window.strides, steps.list).map(*)
            convolution.padding = .explicit(window.padBegin + window.padEnd)
            changed.nodes[index].op = .convolution(convolution)
            return
        }
        for (place, input) in node.inputs.enumerated() {
            guard let input, isWhole(input, of: type) else {
                ask(node.inputs[place])
                continue
            }
            asked[input.index].append(steps)
            wanted[input, default: []].append((index, place, steps))
        }
    }

    /// Copies a value that is there in full for those that want it with steps.
    mutating func copy(_ id: ValueID) {
        var made: [(steps: Steps, value: ValueID)] = []
        // Those that read it first were met last.
        for reader in (wanted[id] ?? []).reversed() {
            let known = made.first { $0.steps == reader.steps }?.value
            let value = known ?? addCopy(of: id, reader.steps, before: reader.node)
            if known == nil { made.append((reader.steps, value)) }
            changed.nodes[reader.node].inputs[reader.place] = value
        }
    }

    private mutating func addCopy(of id: ValueID, _ steps: Steps, before index: Int) -> ValueID {
        let pool = Pool(kind: .average, kernel: [1, 1], strides: steps.list)
        let name = graph[id].name + ".strided"
        let output = changed.addValue(
            name: "\(name).\(changed.values.count)",
            type: graph[id].type.map(steps.type)
        )
        copies[index, default: []].append(
            Node(name: name, op: .pool(pool), inputs: [id], outputs: [output])
        )
        return output
    }

    /// Whether a node alone reads a value that can be given with steps.
    private func isGiven(_ id: ValueID, levels: Int = 8) -> Bool {
        guard levels > 0, isImage(id), uses.isReadOnce(id), let index = uses.producer[id.index]
        else { return false }
        return canGive(graph.nodes[index], levels: levels)
    }

    /// Whether a convolution gives the result that has less to do with steps: not one that would go without
    /// Winograd's algorithm then.
    private func canGive(_ node: Node, levels: Int = 8) -> Bool {
        if case .convolution(let convolution) = node.op, let window = window(of: node) {
            return convolution.group > 1 || window.strides != [1, 1]
                || window.kernel == [1, 1] || window.kernel.reduce(1, *) > 25
        }
        guard isElementwise(node), let output = node.outputs[0], let type = graph[output].type
        else { return false }
        return node.inputs.contains { input in
            input.map { isWhole($0, of: type) && isGiven($0, levels: levels - 1) } ?? false
        }
    }

    private func isElementwise(_ node: Node) -> Bool {
        guard node.outputs.count == 1, let output = node.outputs[0], isImage(output),
            let shape = graph[output].type?.shape
        else { return false }
        switch node.op {
        case .unary, .identity, .batchNormalization: return true
        case .clip, .binary:
            // Other operands are numbers of whole images, or of their channels.
            return node.inputs.allSatisfy { input in
                guard let input, let own = graph[input].type?.shape else { return true }
                return own == shape
                    ? graph[input].constant == nil : own.suffix(2).allSatisfy { $0 == 1 }
            }
        default: return false
        }
    }

    private func isWhole(_ id: ValueID, of type: TensorType) -> Bool {
        graph[id].type?.shape == type.shape && graph[id].constant == nil
    }

    private func isImage(_ id: ValueID) -> Bool {
        guard let type = graph[id].type, graph[id].extents.isEmpty else { return false }
        return type.shape.count == 4 && type.dtype == .float32 && type.elementCount > 0
    }

    /// The strides of a convolution that reads nothing but the pixels under them.
    private func pointwiseSteps(_ node: Node) -> Steps? {
        guard let window = window(of: node), window.kernel == [1, 1],
            (window.padBegin + window.padEnd).allSatisfy({ $0 == 0 })
        else { return nil }
        return Steps(down: window.strides[0], across: window.strides[1])
    }

    private func window(of node: Node) -> WindowGeometry? {
        guard case .convolution(let convolution) = node.op, !convolution.isTransposed,
            let image = node.inputs[0], isImage(image), let input = graph[image].type?.shape,
            let weights = node.inputs[1].flatMap({ graph[$0].type?.shape })
        else { return nil }
        return try? resolveWindow(convolution: convolution, input: input, weights: weights)
    }
}
