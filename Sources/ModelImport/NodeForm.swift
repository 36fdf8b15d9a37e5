import GraphIR

/// One node of the file on its way to an operator of the graph.
///
/// The translation of an operator reads the attributes it knows and arranges inputs and outputs
/// as `Operator` documents them. What it leaves unread is reported, because an attribute nobody
/// looked at could change the result.
struct NodeForm {
    enum Operand {
        /// A value of the graph, with its elements when they are known.
        case value(ValueID, DenseTensor?)
        /// An attribute that later operator sets take as an input; its role becomes its name.
        case literal(role: String, DenseTensor)
        /// A name that nothing in the file makes.
        case missing(String)
    }

    let node: NodeRecord
    let opset: Int
    /// The `value` of ConstantOfShape.
    let fill: DenseTensor?
    private(set) var inputs: [Operand?]
    /// How many of the node's outputs the operator keeps.
    private(set) var outputCount: Int
    /// For every output of the node, whether anything reads it.
    private let usedOutputs: [Bool]
    private var unread: Set<String>

    init(
        _ node: NodeRecord,
        opset: Int,
        inputs: [Operand?],
        usedOutputs: [Bool],
        fill: DenseTensor?
    ) {
        self.node = node
        self.opset = opset
        self.fill = fill
        self.inputs = inputs
        while let last = self.inputs.last, last.isAbsent { self.inputs.removeLast() }
        self.outputCount = node.outputs.count
        self.usedOutputs = usedOutputs
        self.unread = Set(node.attributes.keys)
    }

    /// The operator, or nil when we have none of this name.
    mutating func translated() throws(ImportError) -> Operator? {
        var op = try windowOperator()
        if op == nil { op = try elementwiseOperator() }
        if op == nil { op = try linearOperator() }
        if op == nil { op = try shapeOperator() }
        if op == nil { op = try dataOperator() }
        if op == nil { op = try resizeOperator() }
        if op == nil { op = try searchOperator() }
        if op == nil { op = try normalizationOperator() }
        if op == nil { op = try composedOperator() }
        if op == nil { op = try sequenceOperator() }
        if op == nil { op = try quantizedOperator() }
        guard op != nil else { return nil }

        for case .missing(let name)? in inputs {
            throw invalid("reads \(quoted(name)), which nothing in the file makes")
        }
        guard node.outputs.contains(where: { !$0.isEmpty }) else {
            throw invalid("has no result")
        }
        if let name = unread.filter({ !$0.hasPrefix("__") }).min() {
            throw unsupported("with the attribute \(quoted(name))")
        }
        return op
    }

    // MARK: Errors

    func invalid(_ message: String) -> ImportError { node.error(.invalid, message) }

    /// A form of the operator that we do not have.
    ///
    /// Nodes with the same text are listed together.
    func unsupported(_ form: String) -> ImportError {
        ImportError(
            .unsupported,
            "\(node.type) \(form)",
            location: .init(field: "graph.node[\(node.index)]", byte: node.byte)
        )
    }

    // MARK: Inputs and outputs

    /// Checks the number of inputs; those below the lower bound must not be absent.
    func takes(_ counts: ClosedRange<Int>) throws(ImportError) {
        let required = inputs.prefix(counts.lowerBound)
        guard counts.contains(inputs.count), !required.contains(where: \.isAbsent) else {
            let needed =
                counts.count == 1
                ? "\(counts.lowerBound)"
                : counts.upperBound == .max
                    ? "at least \(counts.lowerBound)"
                    : "\(counts.lowerBound) to \(counts.upperBound)"
            throw invalid("has \(inputs.count) inputs, some maybe absent; it needs \(needed)")
        }
    }

    /// Checks that there is at least one input and that none is absent.
    func takesAnyNumber() throws(ImportError) {
        // The names tell: absent inputs at the end are already gone from `inputs`.
        guard !inputs.isEmpty, !node.inputs.contains("") else {
            throw invalid("needs at least one input, and none may be absent")
        }
    }

    func hasInput(_ index: Int) -> Bool {
        index < inputs.count && !inputs[index].isAbsent
    }

    /// The elements of an input, when they are known.
    func literal(_ index: Int) -> DenseTensor? {
        guard index < inputs.count else { return nil }
        switch inputs[index] {
        case .value(_, let tensor): return tensor
        case .literal(_, let tensor): return tensor
        case .missing, nil: return nil
        }
    }

    mutating func setInput(_ index: Int, _ operand: Operand?) {
        while inputs.count <= index { inputs.append(nil) }
        inputs[index] = operand
    }

    /// Drops all inputs from `count` on.
    mutating func truncateInputs(to count: Int) {
        inputs.removeLast(max(0, inputs.count - count))
    }

    /// Gives an attribute of an old operator set as the input that took its place.
    mutating func setInput(
        _ index: Int,
        role: String,
        _ tensor: DenseTensor
    ) throws(ImportError) {
        guard !hasInput(index) else {
            throw invalid("has \(role) both as an attribute and as an input")
        }
        setInput(index, .literal(role: role, tensor))
    }

    mutating func setInput(
        _ index: Int,
        role: String,
        integers: [Int64]
    ) throws(ImportError) {
        try setInput(index, role: role, DenseTensor(shape: [integers.count], integers: integers))
    }

    /// Whether anything reads an output.
    func usesOutput(_ index: Int) -> Bool {
        index < usedOutputs.count && usedOutputs[index]
    }

    /// Keeps only the first output; the others may be named as long as nothing reads them.
    mutating func keepFirstOutput(others: String) throws(ImportError) {
        guard !usedOutputs.dropFirst().contains(true) else {
            throw unsupported("with \(others)")
        }
        outputCount = min(outputCount, 1)
    }

    /// Checks that the node has one output.
    func givesOne() throws(ImportError) {
        guard node.outputs.count == 1 else {
            throw invalid("has \(node.outputs.count) outputs; it needs 1")
        }
    }

    // MARK: Attributes

    /// Marks attributes as known to change nothing here.
    mutating func ignore(_ names: String...) {
        unread.subtract(names)
    }

    /// The attribute as it stands in the file; nil when the file does not have it.
    mutating func attribute(_ name: String) -> AttributeValue? {
        unread.remove(name)
        return node.attributes[name]
    }
}

extension Optional<NodeForm.Operand> {
    fileprivate var isAbsent: Bool { self == nil }
}
