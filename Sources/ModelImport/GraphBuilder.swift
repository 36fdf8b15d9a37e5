import GraphIR

/// Makes a graph out of what a model file says.
struct GraphBuilder {
    let model: ModelRecord
    let opset: Int
    private(set) var constants: ConstantReader
    private var diagnosis: Diagnosis
    private var graph: Graph
    private var ids: [String: ValueID] = [:]
    /// Which node makes each value that nodes make.
    private var producers: [String: Int] = [:]
    /// Every name some node reads or the graph returns.
    private let used: Set<String>

    init(_ model: ModelRecord, opset: Int, constants: ConstantReader) {
        self.model = model
        self.opset = opset
        self.constants = constants
        self.diagnosis = Diagnosis(functions: model.functions)
        self.graph = Graph(name: model.graph.name)
        var used = Set(model.graph.outputs)
        for node in model.graph.nodes { used.formUnion(node.inputs) }
        self.used = used
    }

    mutating func build() throws(ImportError) -> Graph {
        for tensor in model.graph.initializers { try add(tensor) }
        for name in model.graph.sparse {
            diagnosis.addFeature("sparse tensors", user: quoted(name))
            ids[name] = graph.addValue(name: name)
        }
        // What a file gives a value for is not asked of the user, even if it is listed here.
        let constantCount = graph.values.count
        for input in model.graph.inputs {
            if let earlier = ids[input.name] {
                if earlier.index < constantCount { continue }
                throw input.error(.invalid, "appears twice")
            }
            try add(input)
        }
        producers = try findProducers()
        for index in try orderedNodes(model.graph.nodes, producers: producers) {
            add(model.graph.nodes[index])
        }
        try addOutputs()
        try diagnosis.check()
        return graph
    }

    private mutating func add(_ tensor: TensorRecord) throws(ImportError) {
        guard ids[tensor.name] == nil else { throw tensor.error(.invalid, "appears twice") }
        var constant: Constant?
        do throws(ImportError) {
            constant = try constants.constant(for: tensor)
        } catch {
            diagnosis.add(error, user: quoted(tensor.name))
        }
        ids[tensor.name] = graph.addValue(name: tensor.name, constant: constant)
    }

    private mutating func add(_ input: InputRecord) throws(ImportError) {
        let id = graph.addValue(name: input.name)
        ids[input.name] = id
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
    private func findProducers() throws(ImportError) -> [String: Int] {
        var producers: [String: Int] = [:]
        for node in model.graph.nodes {
            for name in node.outputs where !name.isEmpty {
                let isTaken = ids[name] != nil
                guard !isTaken, producers.updateValue(node.index, forKey: name) == nil else {
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
    private mutating func add(_ node: NodeRecord) {
        var outputCount = node.outputs.count
        do throws(ImportError) {
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
        for name in node.outputs.prefix(outputCount) where !name.isEmpty && ids[name] == nil {
            ids[name] = graph.addValue(name: name)
        }
    }

    private mutating func form(of node: NodeRecord) throws(ImportError) -> NodeForm? {
        guard node.operatorName.isStandard, !node.type.isEmpty,
            !model.functions.contains(node.operatorName)
        else { return nil }
        var inputs: [NodeForm.Operand?] = []
        for name in node.inputs {
            guard !name.isEmpty else {
                inputs.append(nil)
                continue
            }
            guard let id = ids[name] else {
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
            opset: opset,
            inputs: inputs,
            usedOutputs: node.outputs.map(used.contains),
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
                let id = graph.addValue(name: name, constant: Constant(tensor))
                ids[name] = id
                inputs.append(id)
            case .missing, nil: inputs.append(nil)
            }
        }
        while let last = inputs.last, last == nil { inputs.removeLast() }
        var outputs: [ValueID?] = []
        for name in form.node.outputs.prefix(form.outputCount) {
            guard !name.isEmpty else {
                outputs.append(nil)
                continue
            }
            let id = graph.addValue(name: name)
            ids[name] = id
            outputs.append(id)
        }
        graph.nodes.append(
            Node(name: form.node.label, op: op, inputs: inputs, outputs: outputs)
        )
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
        ids[name] = graph.addValue(name: name, constant: constant)
    }

    private mutating func addOutputs() throws(ImportError) {
        let location = ImportError.Location(field: "graph.output")
        guard !model.graph.outputs.isEmpty else {
            throw ImportError(.invalid, "the graph returns nothing", location: location)
        }
        for name in model.graph.outputs {
            guard let id = ids[name] else {
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
    private func freshName(_ name: String) -> String {
        func isFree(_ candidate: String) -> Bool {
            ids[candidate] == nil && producers[candidate] == nil
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
