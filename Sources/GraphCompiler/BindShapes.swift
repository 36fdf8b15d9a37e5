import GraphIR

/// Gives every value of `graph` its type, starting from the types of the inputs, and turns what
/// is known without running into constants: small tensors into literals, others into recipes.
///
/// `inputTypes`: one type per graph input, in the graph's order.
package func bindShapes(
    of graph: Graph,
    inputTypes: [TensorType]
) throws(CompileError) -> Graph {
    precondition(inputTypes.count == graph.inputs.count)
    var bound = graph
    for (input, type) in zip(graph.inputs, inputTypes) {
        bound[input.value].type = type
    }
    var kept: [Node] = []
    var problems: [String] = []
    for node in graph.nodes {
        let constants = node.inputs.map { id in id.flatMap { bound[$0].constant } }
        let types: [TensorType]
        do throws(ShapeError) {
            types = try inferTypes(
                of: node.op,
                inputs: node.inputs.map { id in id.flatMap { bound[$0].type } },
                literals: constants.map { $0?.smallLiteral },
                outputCount: node.outputs.count
            )
        } catch {
            let reason = "node '\(node.name)': \(error.message)"
            throw error.dependsOnData ? .unsupported([reason]) : .invalid(reason)
        }
        for (output, type) in zip(node.outputs, types) {
            guard let output else { continue }
            bound[output].type = type
        }
        if fold(node, constants: constants, types: types, in: &bound, problems: &problems) {
            continue
        }
        kept.append(node)
    }
    guard problems.isEmpty else { throw .unsupported(problems) }
    bound.nodes = kept
    return removeDeadNodes(from: bound)
}

/// Elements up to which a folded result is computed at once rather than when a session opens.
private let literalLimit = 8192

extension Constant {
    /// The elements of a literal, or of a short fill.
    package var smallLiteral: DenseTensor? {
        switch source {
        case .literal(let tensor):
            return tensor
        case .fill(let value) where type.elementCount <= literalLimit:
            return .repeating(value, type: type)
        default:
            return nil
        }
    }
}

/// Makes the results of `node` constants when they are known; true when they are.
private func fold(
    _ node: Node,
    constants: [Constant?],
    types: [TensorType],
    in graph: inout Graph,
    problems: inout [String]
) -> Bool {
    if let value = shapeValue(of: node, in: graph), let output = node.outputs.first, let output {
        graph[output].constant = Constant(value)
        return true
    }
    let allKnown = zip(node.inputs, constants).allSatisfy { id, constant in
        id == nil || constant != nil
    }
    guard allKnown else { return false }
    if case .constantOfShape(let value, _) = node.op, let output = node.outputs[0] {
        graph[output].constant = Constant(type: types[0], source: .fill(value))
        return true
    }
    let literals = constants.map { $0?.smallLiteral }
    let haveLiterals = zip(node.inputs, literals).allSatisfy { id, literal in
        id == nil || literal != nil
    }
    if haveLiterals, types.allSatisfy({ $0.elementCount <= literalLimit }) {
        do throws(ShapeError) {
            let results = try evaluateReference(
                node.op,
                inputs: literals,
                outputCount: node.outputs.count
            )
            for (output, result) in zip(node.outputs, results) {
                guard let output else { continue }
                graph[output].constant = Constant(result)
            }
            return true
        } catch {
            problems.append("node '\(node.name)': \(error.message)")
            return true
        }
    }
    guard node.outputs.count == 1, let output = node.outputs[0] else { return false }
    graph[output].constant =
        reshaped(node, constants: constants, type: types[0])
        ?? Constant(type: types[0], source: .computed(node.op, constants))
    return true
}

/// Reshapes of a constant only change its type.
private func reshaped(_ node: Node, constants: [Constant?], type: TensorType) -> Constant? {
    switch node.op {
    case .reshape, .flatten, .squeeze, .unsqueeze, .identity:
        guard var constant = constants[0] else { return nil }
        if case .literal(var tensor) = constant.source {
            tensor.type = type
            constant.source = .literal(tensor)
        }
        constant.type = type
        return constant
    default:
        return nil
    }
}

/// The result of operators that only look at the type of their input.
private func shapeValue(of node: Node, in graph: Graph) -> DenseTensor? {
    guard let id = node.inputs.first, let id, let type = graph[id].type else { return nil }
    switch node.op {
    case .shape(let start, let end):
        let rank = type.shape.count
        let clamp = { (index: Int) in min(max(index < 0 ? index + rank : index, 0), rank) }
        let from = clamp(start)
        let to = max(from, clamp(end ?? rank))
        return DenseTensor(
            shape: [to - from],
            integers: type.shape[from..<to].map { Int64($0) }
        )
    case .size:
        return DenseTensor(shape: [], integers: [Int64(type.elementCount)])
    default:
        return nil
    }
}

/// Drops nodes whose results nobody reads.
package func removeDeadNodes(from graph: Graph) -> Graph {
    var isRead = [Bool](repeating: false, count: graph.values.count)
    for output in graph.outputs { isRead[output.index] = true }
    var kept: [Node] = []
    for node in graph.nodes.reversed() {
        guard node.outputs.contains(where: { $0.map { isRead[$0.index] } ?? false }) else {
            continue
        }
        for input in node.inputs {
            if let input { isRead[input.index] = true }
        }
        kept.append(node)
    }
    var result = graph
    result.nodes = kept.reversed()
    return result
}
