import GraphIR

/// Nodes of bodies that one plan may write out.
///
/// A loop becomes as many copies of its body as it has rounds, which all take their time to plan.
private let mostWrittenOutNodes = 20_000

/// Control flow has no steps of its own: bodies are written out as often as they run.
extension ShapeBinding {
    /// Binds a node with bodies; false for all others.
    mutating func bindControlFlow(_ node: Node) throws(BindingProblem) -> Bool {
        switch node.op {
        case .conditional(let yes, let no): try bindConditional(node, yes: yes, no: no)
        case .loop(let body, let states): try bindLoop(node, body: body, states: states)
        case .iterate(let iteration): try bindIteration(node, iteration)
        default: return false
        }
        return true
    }

    // MARK: Kinds

    /// A known condition leaves one branch.
    ///
    /// With an unknown one both are computed, as nothing they do has effects, and the condition
    /// selects: their results must have the same types.
    private mutating func bindConditional(_ node: Node, yes: Int, no: Int) throws(BindingProblem) {
        guard let condition = node.inputs[0].map({ current($0) }) else { return }
        if let known = bound[condition].constant?.smallLiteral?.integers?.first {
            let results = try instantiate(known != 0 ? yes : no, [])
            try connect(node.outputs, to: results)
            return
        }
        let (first, second) = (try instantiate(yes, []), try instantiate(no, []))
        let scalar = try emit(
            node,
            .reshape(allowZero: true),
            [condition, constant(node, DenseTensor(shape: [0], integers: []))]
        )
        for (output, (a, b)) in zip(node.outputs, zip(first, second)) {
            guard bound[a].type == bound[b].type,
                bound[a].extents.isEmpty, bound[b].extents.isEmpty
            else {
                throw problem(
                    node,
                    "its branches give results of different types, and its condition is known "
                        + "only at run time",
                    from: [condition]
                )
            }
            let chosen = try emit(node, .select, [scalar, a, b])
            try connect([output], to: [chosen])
        }
    }

    private mutating func bindLoop(
        _ node: Node,
        body: Int,
        states count: Int
    ) throws(BindingProblem) {
        let limit = try known(node, 0, "trip count")
        var goesOn = try known(node, 1, "condition").map { $0 != 0 } ?? true
        var states = node.inputs[2..<2 + count].compactMap { $0.map { current($0) } }
        var collected: [[ValueID]] = []
        var round = 0
        while goesOn, round < limit ?? .max {
            let number = constant(node, DenseTensor(shape: [], integers: [Int64(round)]))
            let condition = constant(node, DenseTensor(shape: [], integers: [1], dtype: .bool))
            let results = try instantiate(body, [number, condition] + states, of: node)
            guard let next = bound[results[0]].constant?.smallLiteral?.integers?.first else {
                throw problem(
                    node,
                    "whether it goes on after round \(round) is known only at run time",
                    from: [results[0]]
                )
            }
            goesOn = next != 0
            states = Array(results[1..<1 + count])
            collected.append(Array(results[(1 + count)...]))
            round += 1
        }
        try connect(Array(node.outputs.prefix(count)), to: states)
        for (index, output) in node.outputs.dropFirst(count).enumerated() {
            try stack(node, collected.map { $0[index] }, axis: 0, as: output)
        }
    }

    private mutating func bindIteration(
        _ node: Node,
        _ iteration: Iteration
    ) throws(BindingProblem) {
        let operands = node.inputs.compactMap { $0.map { current($0) } }
        var states = Array(operands.prefix(iteration.states))
        let walked = operands[iteration.states..<iteration.states + iteration.inputAxes.count]
        var lengths: Set<Int> = []
        var axes: [Int] = []
        for (id, axis) in zip(walked, iteration.inputAxes) {
            let shape = bound[id].type?.shape ?? []
            let front = axis < 0 ? axis + shape.count : axis
            guard shape.indices.contains(front), bound[id].extents.isEmpty else {
                throw problem(node, "it cannot walk along axis \(axis) of its input", from: [])
            }
            lengths.insert(shape[front])
            axes.append(front)
        }
        guard lengths.count == 1, let length = lengths.first else {
            throw problem(node, "its inputs have different numbers of slices", from: [])
        }
        var collected: [[ValueID]] = []
        for round in 0..<length {
            var arguments = states
            for (index, id) in walked.enumerated() {
                let place = iteration.inputsAreReversed[index] ? length - 1 - round : round
                let number = constant(node, DenseTensor(shape: [], integers: [Int64(place)]))
                arguments.append(try emit(node, .gather(axis: axes[index]), [id, number]))
            }
            let results = try instantiate(iteration.body, arguments, of: node)
            states = Array(results.prefix(iteration.states))
            collected.append(Array(results.dropFirst(iteration.states)))
        }
        try connect(Array(node.outputs.prefix(iteration.states)), to: states)
        for (index, output) in node.outputs.dropFirst(iteration.states).enumerated() {
            var slices = collected.map { $0[index] }
            if iteration.outputsAreReversed[index] { slices.reverse() }
            try stack(node, slices, axis: iteration.outputAxes[index], as: output)
        }
    }

    // MARK: Parts

    /// Binds a copy of a body; its results are returned.
    private mutating func instantiate(
        _ number: Int,
        _ arguments: [ValueID],
        of node: Node? = nil
    ) throws(BindingProblem) -> [ValueID] {
        let body = bound.bodies[number]
        let outer = instances
        defer { instances = outer }
        for (input, argument) in zip(body.inputs, arguments) { instances[input] = argument }
        writtenOutCount += body.nodes.count + 1
        guard writtenOutCount <= mostWrittenOutNodes else {
            let reason = "its rounds come to more than \(mostWrittenOutNodes) nodes"
            throw BindingProblem(
                failure: .unsupported(["node '\(node?.name ?? "")': \(reason)"])
            )
        }
        for original in body.nodes {
            var copy = original
            copy.inputs = original.inputs.map { id in id.map { current($0) } }
            for (index, output) in original.outputs.enumerated() {
                guard let output else { continue }
                let new = addValue("\(bound[output].name).\(writtenOutCount)")
                copy.outputs[index] = new
                instances[output] = new
            }
            try bindWithExtents(copy)
        }
        return body.outputs.map { current($0) }
    }

    private mutating func connect(
        _ outputs: [ValueID?],
        to results: [ValueID]
    ) throws(BindingProblem) {
        for (output, result) in zip(outputs, results) {
            guard let output else { continue }
            try bindWithExtents(
                Node(
                    name: bound[output].name,
                    op: .identity,
                    inputs: [result],
                    outputs: [output]
                )
            )
        }
    }

    /// Slices one after another along a new axis.
    private mutating func stack(
        _ node: Node,
        _ slices: [ValueID],
        axis: Int,
        as output: ValueID?
    ) throws(BindingProblem) {
        guard let output else { return }
        guard !slices.isEmpty else {
            throw problem(
                node,
                "it has no rounds, so the type of its result is not known",
                from: []
            )
        }
        let place = constant(node, DenseTensor(shape: [1], integers: [Int64(axis)]))
        var parts: [ValueID?] = []
        for slice in slices { parts.append(try emit(node, .unsqueeze, [slice, place])) }
        try bindWithExtents(
            Node(name: node.name, op: .concat(axis: axis), inputs: parts, outputs: [output])
        )
    }

    private mutating func emit(
        _ node: Node,
        _ op: Operator,
        _ inputs: [ValueID?]
    ) throws(BindingProblem) -> ValueID {
        let output = addValue("\(node.name).\(bound.values.count)")
        try bindWithExtents(Node(name: node.name, op: op, inputs: inputs, outputs: [output]))
        return output
    }

    private mutating func constant(_ node: Node, _ tensor: DenseTensor) -> ValueID {
        addValue("\(node.name).\(bound.values.count)", Constant(tensor))
    }

    /// A number that must be known; nil when the input is absent.
    private func known(_ node: Node, _ index: Int, _ what: String) throws(BindingProblem) -> Int? {
        guard let id = node.inputs[index].map({ current($0) }) else { return nil }
        guard let value = bound[id].constant?.smallLiteral?.integers?.first else {
            throw problem(node, "its \(what) is known only at run time", from: [id])
        }
        return Int(value)
    }

    private func problem(
        _ node: Node,
        _ reason: String,
        from values: [ValueID]
    ) -> BindingProblem {
        BindingProblem(
            failure: .unsupported(["node '\(node.name)': \(reason)"]),
            inputs: sources(of: values)
        )
    }
}
