import GraphIR

/// Makes a graph out of what a model file says.
struct GraphBuilder {
    let model: ModelRecord
    private(set) var constants: ConstantReader
    private var diagnosis: Diagnosis
    var graph: Graph
    /// What names mean, from the graph of the model inwards.
    var scopes: [NameScope]
    /// Names of the model's own graph that some node will make.
    private var reserved: Set<String> = []
    /// The names of all values.
    private var names: Set<String> = []
    /// Nodes that came from functions.
    var inlinedCount = 0

    init(_ model: ModelRecord, opset: Int, constants: ConstantReader) {
        self.model = model
        self.constants = constants
        self.diagnosis = Diagnosis()
        self.graph = Graph(name: model.graph.name)
        scopes = [NameScope(model.graph.nodes, outputs: model.graph.outputs, opset: opset)]
    }

    mutating func build() throws(ImportError) -> Graph {
        for tensor in model.graph.initializers { try add(tensor) }
        for name in model.graph.sparse {
            diagnosis.addFeature("sparse tensors", user: quoted(name))
            declare(name)
        }
        // What a file gives a value for is not asked of the user, even if it is listed here.
        let constantCount = graph.values.count
        for input in model.graph.inputs {
            if let earlier = scopes[0].ids[input.name] {
                if earlier.index < constantCount { continue }
                throw input.error(.invalid, "appears twice")
            }
            try add(input)
        }
        for node in model.graph.nodes { reserved.formUnion(node.outputs) }
        try addNodes(model.graph.nodes)
        try addOutputs()
        try diagnosis.check()
        return graph
    }

    // MARK: Names

    /// The scope whose nodes are being added.
    private var scope: NameScope {
        get { scopes[scopes.count - 1] }
        set { scopes[scopes.count - 1] = newValue }
    }

    /// What a name means where nodes are being added; nil when it means nothing.
    func lookUp(_ name: String) -> ValueID? {
        for scope in scopes.reversed() {
            if let id = scope.ids[name] { return id }
            if !scope.isOpen { break }
        }
        return nil
    }

    /// Whether a name stands for an optional input of a function that its call leaves out.
    func isAbsent(_ name: String) -> Bool {
        for scope in scopes.reversed() {
            if scope.absent.contains(name) { return true }
            if scope.ids[name] != nil || !scope.isOpen { break }
        }
        return false
    }

    /// Adds a value under a name of the file.
    @discardableResult
    mutating func declare(_ name: String, constant: Constant? = nil) -> ValueID {
        // Names of the model's own graph stay as they are: outputs are known by them.
        let unique = scopes.count == 1 ? name : freshName(scope.prefix + name)
        names.insert(unique)
        let id = graph.addValue(name: unique, constant: constant)
        scopes[scopes.count - 1].ids[name] = id
        return id
    }

    /// Adds nodes of a graph in an order in which they can be computed.
    mutating func addNodes(_ nodes: [NodeRecord]) throws(ImportError) {
        let producers = try findProducers(nodes)
        for index in try orderedNodes(nodes, producers: producers) { add(nodes[index]) }
    }

    mutating func add(_ tensor: TensorRecord) throws(ImportError) {
        guard scope.ids[tensor.name] == nil else { throw tensor.error(.invalid, "appears twice") }
        var constant: Constant?
        do throws(ImportError) {
            constant = try constants.constant(for: tensor)
        } catch {
            diagnosis.add(error, user: quoted(tensor.name))
        }
        declare(tensor.name, constant: constant)
    }

    private mutating func add(_ input: InputRecord) throws(ImportError) {
        let id = declare(input.name)
        switch input.type {
        case .none: throw input.error(.invalid, "has no type")
        case .other(let kind):
            diagnosis.addFeature("inputs of kind \(kind)", user: quoted(input.name))
        case .tensor(let elements, let dimensions):
            guard let dtype = Int32(exactly: elements).flatMap(DType.init(rawValue:)) else {
                guard elements != 0 else { throw input.error(.invalid, "has no element type") }
                diagnosis.addFeature(
                    "inputs of type \(dataTypeName(elements))",
                    user: quoted(input.name)
                )
                return
            }
            let known = (dimensions ?? []).map { dimension in
                if case .fixed(let size) = dimension { size } else { 1 }
            }
            guard isSaneShape(known, dtype) else {
                throw input.error(.invalid, "has a shape that no memory can hold")
            }
            graph.inputs.append(GraphInput(value: id, dtype: dtype, dimensions: dimensions))
        }
    }

    /// Which node makes each value; no value may be made twice.
    private func findProducers(_ nodes: [NodeRecord]) throws(ImportError) -> [String: Int] {
        var producers: [String: Int] = [:]
        for (index, node) in nodes.enumerated() {
            for name in node.outputs where !name.isEmpty {
                let isTaken = scope.ids[name] != nil
                guard !isTaken, producers.updateValue(index, forKey: name) == nil else {
                    throw node.error(
                        .invalid,
                        "makes \(quoted(name)), which is made elsewhere already"
                    )
                }
            }
        }
        return producers
    }

    /// Adds a node and its results.
    ///
    /// One that cannot be translated goes to the diagnosis; its results still become values, so
    /// that its readers cause no errors of their own.
    private mutating func add(_ original: NodeRecord) {
        let node = scope.resolved(original)
        var outputCount = node.outputs.count
        do throws(ImportError) {
            if let function = model.functions[node.operatorName] {
                try inline(function, at: node)
                return
            }
            if try addControlFlow(node) { return }
            if node.operatorName == OperatorName(domain: "", type: "Constant") {
                try addConstant(node)
                return
            }
            if var form = try form(of: node), let op = try form.translated() {
                outputCount = form.outputCount
                appendNode(form, op)
                return
            }
            diagnosis.addUnknownOperator(node)
        } catch {
            diagnosis.add(error, user: quoted(node.label))
        }
        for name in node.outputs.prefix(outputCount)
        where !name.isEmpty && scope.ids[name] == nil {
            declare(name)
        }
    }

    private mutating func form(of node: NodeRecord) throws(ImportError) -> NodeForm? {
        guard node.operatorName.isStandard, !node.type.isEmpty else { return nil }
        var inputs: [NodeForm.Operand?] = []
        for name in node.inputs {
            guard !name.isEmpty, !isAbsent(name) else {
                inputs.append(nil)
                continue
            }
            guard let id = lookUp(name) else {
                inputs.append(.missing(name))
                continue
            }
            inputs.append(.value(id, graph[id].constant?.literal))
        }
        var fill: DenseTensor?
        if node.type == "ConstantOfShape", case .tensor(let tensor) = node.attributes["value"] {
            fill = try constants.constant(for: tensor).literal
        }
        return NodeForm(
            node,
            opset: scope.opset,
            inputs: inputs,
            usedOutputs: node.outputs.map(scope.used.contains),
            fill: fill
        )
    }

    private mutating func appendNode(_ form: NodeForm, _ op: Operator) {
        var inputs: [ValueID?] = []
        for operand in form.inputs {
            switch operand {
            case .value(let id, _): inputs.append(id)
            case .literal(let role, let tensor):
                let name = freshName("\(form.node.label).\(role)")
                names.insert(name)
                inputs.append(graph.addValue(name: name, constant: Constant(tensor)))
            case .missing, nil: inputs.append(nil)
            }
        }
        while let last = inputs.last, last == nil { inputs.removeLast() }
        append(form.node, op, inputs: inputs, outputCount: form.outputCount)
    }

    /// Adds a node of the graph whose first results have the names of the file.
    mutating func append(
        _ node: NodeRecord,
        _ op: Operator,
        inputs: [ValueID?],
        outputCount: Int
    ) {
        let outputs = node.outputs.prefix(outputCount).map { name -> ValueID? in
            name.isEmpty ? nil : declare(name)
        }
        graph.nodes.append(Node(name: node.label, op: op, inputs: inputs, outputs: outputs))
    }

    private mutating func addConstant(_ node: NodeRecord) throws(ImportError) {
        guard let name = node.outputs.first, !name.isEmpty else {
            throw node.error(.invalid, "has no result")
        }
        guard node.attributes.count == 1, let (key, value) = node.attributes.first else {
            throw node.error(.invalid, "has \(node.attributes.count) values instead of one")
        }
        let constant: Constant
        switch (key, value) {
        case ("value", .tensor(let tensor)): constant = try constants.constant(for: tensor)
        case ("value_float", .float(let float)):
            constant = Constant(DenseTensor(shape: [], floats: [float]))
        case ("value_floats", .floats(let floats)):
            constant = Constant(DenseTensor(shape: [floats.count], floats: floats))
        case ("value_int", .int(let integer)):
            constant = Constant(DenseTensor(shape: [], integers: [integer]))
        case ("value_ints", .ints(let integers)):
            constant = Constant(DenseTensor(shape: [integers.count], integers: integers))
        case ("value_string", _), ("value_strings", _):
            throw ImportError(.unsupported, "Constant that holds strings")
        case ("sparse_value", _):
            throw ImportError(.unsupported, "Constant that holds a sparse tensor")
        default:
            throw node.error(.invalid, "has \(value.kind) as its attribute \(quoted(key))")
        }
        declare(name, constant: constant)
    }

    private mutating func addOutputs() throws(ImportError) {
        let location = ImportError.Location(field: "graph.output")
        guard !model.graph.outputs.isEmpty else {
            throw ImportError(.invalid, "the graph returns nothing", location: location)
        }
        var seen: Set<String> = []
        for name in model.graph.outputs {
            guard seen.insert(name).inserted else {
                throw ImportError(
                    .invalid,
                    "the graph returns \(quoted(name)) twice",
                    location: location
                )
            }
            guard let id = lookUp(name) else {
                throw ImportError(
                    .invalid,
                    "the graph returns \(quoted(name)), which nothing makes",
                    location: location
                )
            }
            graph.outputs.append(id)
        }
    }

    /// `name`, or a variation of it that no value of the model has.
    func freshName(_ name: String) -> String {
        func isFree(_ candidate: String) -> Bool {
            !names.contains(candidate) && !reserved.contains(candidate)
        }
        if isFree(name) { return name }
        var number = 2
        while !isFree("\(name).\(number)") { number += 1 }
        return "\(name).\(number)"
    }
}

extension InputRecord {
    fileprivate func error(_ kind: ImportError.Kind, _ message: String) -> ImportError {
        ImportError(
            kind,
            "input \(quoted(name)) \(message)",
            location: .init(field: field, byte: byte)
        )
    }
}
