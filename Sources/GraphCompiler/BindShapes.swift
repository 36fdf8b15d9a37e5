import GraphIR

/// Gives every value of `graph` its type, starting from the types of the inputs, and turns what
/// is known without running into constants: small tensors into literals, others into recipes.
///
/// `inputTypes`: one type per graph input, in the graph's order.
package func bindShapes(
    of graph: Graph,
    inputTypes: [TensorType]
) throws(CompileError) -> Graph {
    try bindShapes(of: graph, inputTypes: inputTypes, inputValues: []).graph
}

/// The same where the values of some inputs are known.
///
/// Those that decide a shape are made constants of the plan, and their numbers are returned. Others
/// stay inputs like any.
package func bindShapes(
    of graph: Graph,
    inputTypes: [TensorType],
    inputValues: [DenseTensor?]
) throws(CompileError) -> (graph: Graph, fixedInputs: [Int]) {
    precondition(inputTypes.count == graph.inputs.count)
    var fixed: Set<Int> = []
    while true {
        let offered = inputValues.indices.filter { inputValues[$0] != nil && !fixed.contains($0) }
        var binding = ShapeBinding(graph, inputTypes, offered: Set(offered))
        for index in fixed.sorted() {
            if let value = inputValues[index] { binding.fix(index, to: value) }
        }
        do throws(BindingProblem) {
            try binding.run()
            return (removeDeadNodes(from: binding.bound), fixed.sorted())
        } catch {
            let known = error.inputs.intersection(offered)
            guard !known.isEmpty else { throw error.failure }
            fixed.formUnion(known)
        }
    }
}

/// Why a graph cannot be bound, and the graph inputs whose values might help.
struct BindingProblem: Error {
    var failure: CompileError
    var inputs: Set<Int> = []
}

/// A graph on its way to types.
struct ShapeBinding {
    var bound: Graph
    private var kept: [Node] = []
    private var problems: [String] = []
    /// What readers of a fixed input read instead.
    private var replacement: [ValueID: ValueID] = [:]
    /// What values of a body are in the copy of it that is being bound.
    var instances: [ValueID: ValueID] = [:]
    /// How many nodes of bodies were bound.
    var writtenOutCount = 0
    private var names: Set<String>
    /// Shapes, and parts of them, in which counts of the run occur.
    var sizes: [ValueID: [SizeTerm]] = [:]
    /// Counts that are multiples of others.
    var multiples: [ValueID: CountMultiple] = [:]
    /// Graph inputs whose values could be made part of the plan.
    private let offered: Set<Int>

    init(_ graph: Graph, _ inputTypes: [TensorType], offered: Set<Int>) {
        self.offered = offered
        bound = graph
        names = Set(graph.values.map(\.name))
        for (input, type) in zip(graph.inputs, inputTypes) { bound[input.value].type = type }
    }

    /// Makes the value of a graph input a constant for all that reads it.
    mutating func fix(_ index: Int, to value: DenseTensor) {
        let input = bound.inputs[index].value
        replacement[input] = addValue(bound[input].name + ".value", Constant(value))
    }

    mutating func addValue(_ name: String, _ constant: Constant? = nil) -> ValueID {
        var fresh = name
        var number = 2
        while !names.insert(fresh).inserted {
            fresh = "\(name).\(number)"
            number += 1
        }
        return bound.addValue(name: fresh, constant: constant)
    }

    mutating func run() throws(BindingProblem) {
        for node in bound.nodes { try bindWithExtents(node) }
        guard problems.isEmpty else { throw BindingProblem(failure: .unsupported(problems)) }
        bound.nodes = kept
        bound.bodies = []
    }

    /// What a value of the model is by now.
    func current(_ id: ValueID) -> ValueID {
        let instance = instances[id] ?? id
        return replacement[instance] ?? instance
    }

    /// Binds a node of the model, and says how much of its results is real.
    mutating func bindWithExtents(_ original: Node) throws(BindingProblem) {
        if try bindControlFlow(original) { return }
        if try bindShaped(original) { return }
        let operands = original.inputs.map { id in id.map { bound[replacement[$0] ?? $0] } }
        guard operands.contains(where: { $0?.extents.isEmpty == false }) else {
            try bind(original)
            followSizes(of: original)
            return
        }
        if try bindShapeOfBounded(original) { return }
        if try bindMixingOfBounded(original) { return }
        try bind(original)
        try addExtents(to: original)
    }

    /// Says how much of the results of a bound node is real, leaving out axes of some inputs.
    mutating func addExtents(
        to original: Node,
        leavingOut excluded: [Int: Set<Int>] = [:]
    ) throws(BindingProblem) {
        let operands = original.inputs.map { id in id.map { bound[replacement[$0] ?? $0] } }
        do throws(ShapeError) {
            let extents = try inferExtents(
                of: original.op,
                inputs: operands.enumerated().map { index, value in
                    guard let value, let type = value.type else { return nil }
                    let axes = excluded[index] ?? []
                    return BoundedOperand(
                        type: type,
                        extents: value.extents.filter { !axes.contains($0.key) },
                        literal: value.constant?.smallLiteral
                    )
                },
                outputs: original.outputs.map { id in
                    id.flatMap { bound[$0].type } ?? TensorType(.float32, [])
                }
            )
            for (output, more) in zip(original.outputs, extents) {
                guard let output else { continue }
                bound[output].extents.merge(more) { own, _ in own }
            }
        } catch {
            throw BindingProblem(
                failure: .unsupported(["node '\(original.name)': \(error.message)"]),
                inputs: sources(of: operands.flatMap { $0.map { Array($0.extents.values) } ?? [] })
            )
        }
    }

    /// The shape of a tensor that is real in part is known only to the run.
    private mutating func bindShapeOfBounded(_ node: Node) throws(BindingProblem) -> Bool {
        guard case .shape(let start, let end) = node.op, let x = node.inputs[0],
            let shape = bound[current(x)].type?.shape, let output = node.outputs[0]
        else { return false }
        let axes = shapeAxes(rank: shape.count, start, end)
        let counts = axes.map { bound[current(x)].extents[$0] }
        guard counts.contains(where: { $0 != nil }) else { return false }
        let one = vector([1], "\(node.name).one")
        var parts: [ValueID?] = []
        for (axis, count) in zip(axes, counts) {
            guard let count else {
                parts.append(vector([shape[axis]], "\(node.name).\(axis)"))
                continue
            }
            let part = addValue("\(node.name).\(axis)")
            let reshape = Operator.reshape(allowZero: true)
            try bind(Node(name: node.name, op: reshape, inputs: [count, one], outputs: [part]))
            parts.append(part)
        }
        try bind(
            Node(name: node.name, op: .concat(axis: 0), inputs: parts, outputs: node.outputs)
        )
        sizes[output] = zip(axes, counts).map { axis, count in
            count.map { .counted($0, most: shape[axis]) } ?? .number(shape[axis])
        }
        return true
    }

    mutating func bind(_ original: Node) throws(BindingProblem) {
        var node = original
        node.inputs = node.inputs.map { id in id.map { replacement[$0] ?? $0 } }
        let constants = node.inputs.map { id in id.flatMap { bound[$0].constant } }
        var types: [TensorType] = []
        var expansion: Expansion?
        do throws(ShapeError) {
            let inputs = node.inputs.map { id in id.flatMap { bound[$0].type } }
            node.op = withKernel(node.op, inputs: inputs, constants: constants)
            if case .composite(let composite) = node.op {
                expansion = try expand(
                    composite,
                    inputs: inputs,
                    literals: constants.map { $0?.smallLiteral },
                    outputCount: node.outputs.count
                )
            } else {
                types = try inferTypes(
                    of: node.op,
                    inputs: inputs,
                    literals: constants.map { $0?.smallLiteral },
                    outputCount: node.outputs.count
                )
                try checkPadValue(node, constants)
            }
        } catch {
            let reason = "node '\(node.name)': \(error.message)"
            guard error.dependsOnData else { throw BindingProblem(failure: .invalid(reason)) }
            throw BindingProblem(
                failure: .unsupported([reason]),
                inputs: deciding(original)
            )
        }
        if let expansion {
            let known = expansion.isBounded ? deciding(original).intersection(offered) : []
            guard known.isEmpty else {
                let reason = "node '\(node.name)': its size is known only at run time"
                throw BindingProblem(failure: .unsupported([reason]), inputs: known)
            }
            if case .composite(let composite) = node.op, composite.gathersWindows,
                constants.contains(where: { $0 == nil })
            {
                bound.remarks.append("node '\(node.name)': what its windows see is gathered first")
            }
            try splice(expansion, of: node)
            return
        }
        for (output, type) in zip(node.outputs, types) {
            guard let output else { continue }
            bound[output].type = type
        }
        if fold(node, constants: constants, types: types, in: &bound, problems: &problems) {
            return
        }
        kept.append(node)
    }

    /// What surrounds a tensor is part of its plan.
    private func checkPadValue(_ node: Node, _ constants: [Constant?]) throws(ShapeError) {
        guard case .pad(.constant) = node.op, node.inputs.count > 2, node.inputs[2] != nil,
            constants[2] == nil
        else { return }
        var error = ShapeError("its pad value is known only at run time")
        error.dependsOnData = true
        throw error
    }

    /// Puts the simpler operators of a composite one in its place.
    private mutating func splice(
        _ expansion: Expansion,
        of node: Node
    ) throws(BindingProblem) {
        var ids: [Slot: ValueID] = [:]
        for (slot, id) in zip(expansion.inputs, node.inputs) {
            if let slot, let id { ids[slot] = id }
        }
        func id(_ slot: Slot, _ binding: inout ShapeBinding) -> ValueID {
            if let known = ids[slot] { return known }
            let constant = expansion.literal(slot).map { Constant($0) }
            let new = binding.addValue("\(node.name).\(slot.index)", constant)
            ids[slot] = new
            return new
        }
        for step in expansion.steps {
            let inputs = step.inputs.map { slot in slot.map { id($0, &self) } }
            let outputs = step.outputs.map { slot -> ValueID? in id(slot, &self) }
            try bind(Node(name: node.name, op: step.op, inputs: inputs, outputs: outputs))
        }
        for (output, slot) in zip(node.outputs, expansion.outputs) {
            guard let output else { continue }
            let source = id(slot, &self)
            try bind(Node(name: node.name, op: .identity, inputs: [source], outputs: [output]))
            for (axis, count) in expansion.extents[slot] ?? [:] {
                bound[output].extents[axis] = id(count, &self)
            }
        }
    }

    /// The graph inputs that what decides the shape of `node` is computed from.
    private func deciding(_ node: Node) -> Set<Int> {
        let isWhole =
            switch node.op {
            case .constantOfShape, .range: true
            case .composite(.window): true
            default: false
            }
        return sources(of: (isWhole ? node.inputs[...] : node.inputs.dropFirst()).compactMap { $0 })
    }

    /// The graph inputs that some values are computed from.
    func sources(of values: [ValueID]) -> Set<Int> {
        var pending = values
        var seen = Set(pending)
        var producers: [ValueID: Node] = [:]
        for node in kept + bound.nodes {
            for case let output? in node.outputs { producers[output] = node }
        }
        while let next = pending.popLast() {
            guard let producer = producers[next] else { continue }
            for case let input? in producer.inputs where seen.insert(input).inserted {
                pending.append(input)
            }
        }
        return Set(bound.inputs.indices.filter { seen.contains(bound.inputs[$0].value) })
    }
}

/// The operator, or its composite form where no kernel takes inputs like these.
private func withKernel(
    _ op: Operator,
    inputs: [TensorType?],
    constants: [Constant?]
) -> Operator {
    guard let x = inputs.first, let x else { return op }
    let rank = x.shape.count
    let others = zip(inputs, constants).dropFirst()
    let areConstant = others.allSatisfy { type, constant in type == nil || constant != nil }
    switch op {
    case .convolution(let convolution)
    where areConstant && rank == 5 && x.dtype.isFloatingPoint && convolution.outputShape.isEmpty:
        return convolution.group == 1 && !convolution.isTransposed
            ? op : .composite(.convolutionOfSlices(convolution))
    case .convolution(let convolution) where !areConstant || rank > 4:
        return .composite(.anyConvolution(convolution))
    case .batchNormalization(let epsilon) where !areConstant:
        return .composite(.batchNormalization(epsilon: epsilon))
    case .pool(let pool):
        guard pool.kind == .maximum || pool.kind == .average, x.dtype.isFloatingPoint else {
            return .composite(.windows(pool, storesColumnsFirst: false))
        }
        return rank > 4 ? .composite(.poolOfSlices(pool)) : op
    case .globalPool(.lp(let order)): return .composite(.globalLpPool(order: order))
    case .resize(let resize):
        let literals = constants.map { $0?.smallLiteral }
        guard
            let output = try? inferTypes(
                of: op,
                inputs: inputs,
                literals: literals,
                outputCount: 1
            ).first,
            let axes = try? resizeAxes(
                resize,
                input: x.shape,
                output: output.shape,
                literals: literals
            )
        else { return op }
        let hasKernel =
            x.dtype.isFloatingPoint && rank >= 2
            && zip(axes, x.shape).dropLast(2).allSatisfy { $0.isIdentity(of: $1) }
        return hasKernel ? op : .composite(.resizeAllAxes(resize))
    default: return op
    }
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

/// The most operators a recipe has; results of more are computed in every run.
private let recipeLimit = 1000

extension Constant {
    /// Takes the operators of a recipe from `room`, until there is none.
    fileprivate func countRecipe(into room: inout Int) {
        guard room > 0, case .computed(_, let operands) = source else { return }
        room -= 1
        for case let operand? in operands { operand.countRecipe(into: &room) }
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
    // A recipe is a tree: what is read often would be evaluated as often.
    var room = recipeLimit
    for case let constant? in constants { constant.countRecipe(into: &room) }
    guard room > 0 else {
        graph.remarks.append(
            "node '\(node.name)': a constant made by over \(recipeLimit) operators is computed in "
                + "every run"
        )
        return false
    }
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
    for output in graph.outputs {
        isRead[output.index] = true
        for count in graph[output].extents.values { isRead[count.index] = true }
    }
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
