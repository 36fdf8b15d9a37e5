import GraphIR

/// Nodes that hold graphs of their own, and calls of the model's functions.
extension GraphBuilder {
    /// Adds `If`, `Loop` and `Scan`; false for all other nodes.
    mutating func addControlFlow(_ node: NodeRecord) throws(ImportError) -> Bool {
        guard node.operatorName.isStandard, ["If", "Loop", "Scan"].contains(node.type) else {
            return false
        }
        var inputs: [ValueID?] = []
        for name in node.inputs {
            inputs.append(try name.isEmpty || isAbsent(name) ? nil : find(name, for: node))
        }
        let op: Operator
        switch node.type {
        case "If":
            guard inputs.count == 1, inputs[0] != nil else {
                throw node.error(.invalid, "needs one input, its condition")
            }
            let (yes, no) = (
                try addBody("then_branch", of: node), try addBody("else_branch", of: node)
            )
            let counts = [graph.bodies[yes], graph.bodies[no]].map(\.outputs.count)
            guard counts.allSatisfy({ $0 == node.outputs.count }) else {
                throw node.error(.invalid, "has branches that return something else than it does")
            }
            op = .conditional(then: yes, else: no)
        case "Loop":
            while inputs.count < 2 { inputs.append(nil) }
            let body = try addBody("body", of: node)
            let states = inputs.count - 2
            guard graph.bodies[body].inputs.count == states + 2,
                graph.bodies[body].outputs.count == node.outputs.count + 1,
                node.outputs.count >= states, !inputs.dropFirst(2).contains(nil)
            else { throw node.error(.invalid, "has a body that does not fit its values") }
            op = .loop(body: body, states: states)
        default:
            op = .iterate(try iteration(node, inputCount: inputs.count))
            guard !inputs.contains(nil) else { throw node.error(.invalid, "lacks an input") }
        }
        // What bodies take from around the node is among its inputs, so that it is kept.
        for name in node.captures where !isAbsent(name) {
            inputs.append(try find(name, for: node))
        }
        append(node, op, inputs: inputs, outputCount: node.outputs.count)
        return true
    }

    private func find(_ name: String, for node: NodeRecord) throws(ImportError) -> ValueID {
        guard let id = lookUp(name) else {
            throw node.error(.invalid, "reads \(quoted(name)), which nothing in the file makes")
        }
        return id
    }

    private mutating func iteration(
        _ node: NodeRecord,
        inputCount: Int
    ) throws(ImportError) -> Iteration {
        guard scopes[scopes.count - 1].opset >= 9 else {
            throw ImportError(.unsupported, "Scan in the form before operator set 9")
        }
        guard case .int(let count)? = node.attributes["num_scan_inputs"],
            count >= 1, count <= inputCount
        else { throw node.error(.invalid, "has no number of scanned inputs") }
        let body = try addBody("body", of: node)
        let (inputs, states) = (Int(count), inputCount - Int(count))
        let results = node.outputs.count - states
        guard graph.bodies[body].inputs.count == inputCount, results >= 0,
            graph.bodies[body].outputs.count == node.outputs.count
        else { throw node.error(.invalid, "has a body that does not fit its values") }
        func list(_ name: String, count: Int) throws(ImportError) -> [Int] {
            guard let value = node.attributes[name] else {
                return Array(repeating: 0, count: count)
            }
            guard case .ints(let values) = value, values.count == count,
                values.allSatisfy({ -64...63 ~= $0 })
            else {
                throw node.error(.invalid, "has an attribute \(quoted(name)) that does not fit")
            }
            return values.map { Int($0) }
        }
        return Iteration(
            body: body,
            states: states,
            inputAxes: try list("scan_input_axes", count: inputs),
            inputsAreReversed: try list("scan_input_directions", count: inputs).map { $0 == 1 },
            outputAxes: try list("scan_output_axes", count: results),
            outputsAreReversed: try list("scan_output_directions", count: results).map { $0 == 1 }
        )
    }

    /// Adds the graph of an attribute to the bodies, and returns its number.
    private mutating func addBody(
        _ name: String,
        of node: NodeRecord
    ) throws(ImportError) -> Int {
        guard case .graph(let record)? = node.attributes[name] else {
            throw node.error(.invalid, "has no graph \(quoted(name))")
        }
        var inner = NameScope(
            record.nodes,
            outputs: record.outputs,
            opset: scopes[scopes.count - 1].opset
        )
        inner.isOpen = true
        inner.attributes = scopes[scopes.count - 1].attributes
        inner.prefix = scopes[scopes.count - 1].prefix
        let outer = graph.nodes
        graph.nodes = []
        scopes.append(inner)
        defer {
            scopes.removeLast()
            graph.nodes = outer
        }
        for tensor in record.initializers { try add(tensor) }
        guard record.sparse.isEmpty else {
            throw ImportError(.unsupported, "sparse tensors in a body")
        }
        var body = Body()
        for input in record.inputs { body.inputs.append(declare(input.name)) }
        try addNodes(record.nodes)
        for output in record.outputs { body.outputs.append(try find(output, for: node)) }
        body.nodes = graph.nodes
        graph.bodies.append(body)
        return graph.bodies.count - 1
    }

    /// Adds the nodes of a function in the place of its call.
    mutating func inline(
        _ function: FunctionRecord,
        at node: NodeRecord
    ) throws(ImportError) {
        inlinedCount += function.nodes.count + 1
        guard inlinedCount <= mostInlinedNodes, scopes.count <= deepestCall else {
            throw node.error(
                .unsupported,
                "calls a function that calls too many others, or itself"
            )
        }
        let opset = try opset(of: function, at: node)
        var inner = NameScope(function.nodes, outputs: function.outputs, opset: opset)
        inner.prefix = node.label + "/"
        inner.attributes = function.defaults.merging(node.attributes) { _, given in given }
        for (index, name) in function.inputs.enumerated() {
            if index < node.inputs.count, !node.inputs[index].isEmpty,
                !scopes[scopes.count - 1].absent.contains(node.inputs[index])
            {
                inner.ids[name] = try find(node.inputs[index], for: node)
            } else {
                inner.absent.insert(name)
            }
        }
        guard node.inputs.count <= function.inputs.count,
            node.outputs.count <= function.outputs.count
        else { throw node.error(.invalid, "has more inputs or outputs than its function") }
        scopes.append(inner)
        var results: [ValueID] = []
        do throws(ImportError) {
            try addNodes(function.nodes)
            for name in function.outputs.prefix(node.outputs.count) {
                results.append(try find(name, for: node))
            }
        } catch {
            scopes.removeLast()
            throw error
        }
        scopes.removeLast()
        for (name, result) in zip(node.outputs, results) where !name.isEmpty {
            let output = declare(name, constant: graph[result].constant)
            guard graph[result].constant == nil else { continue }
            graph.nodes.append(
                Node(name: node.label, op: .identity, inputs: [result], outputs: [output])
            )
        }
    }

    /// The standard operators a function uses, by its own statement or that of the model.
    private func opset(
        of function: FunctionRecord,
        at node: NodeRecord
    ) throws(ImportError) -> Int {
        guard let version = function.opsets[""] else { return scopes[scopes.count - 1].opset }
        guard version >= 7 else {
            throw node.error(.unsupported, "calls a function of operator set \(version)")
        }
        return Int(min(version, Int64(newestOpset)))
    }
}

/// Functions may multiply what a file holds, but not beyond this.
private let mostInlinedNodes = 200_000

/// Calls and graphs inside of each other.
private let deepestCall = 64
