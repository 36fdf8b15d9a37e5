import GraphIR

/// What names mean among the nodes of one graph: the model's own, one that a node has as an
/// attribute, or the body of a function.
struct NameScope {
    var ids: [String: ValueID] = [:]
    /// Optional inputs of a function that its call leaves out.
    var absent: Set<String> = []
    /// Every name some node reads or the graph returns.
    let used: Set<String>
    /// The version of the standard operators.
    let opset: Int
    /// Whether names that mean nothing here are looked up in the scope around.
    var isOpen = false
    /// The attributes of the call, in a function.
    var attributes: [String: AttributeValue]?
    /// What names of nodes in a function begin with.
    var prefix = ""

    init(_ nodes: [NodeRecord], outputs: [String], opset: Int) {
        var used = Set(outputs)
        for node in nodes { used.formUnion(node.reads) }
        // An input that a node goes without has no name, nor has an output that nobody wants.
        used.remove("")
        self.used = used
        self.opset = opset
    }

    /// A node with what it takes from the call of the function it is in.
    func resolved(_ node: NodeRecord) -> NodeRecord {
        guard let attributes else { return node }
        var node = node
        node.name = prefix + node.label
        for (name, value) in node.attributes {
            guard case .reference(let source) = value else { continue }
            // A reference to what the call does not have leaves the attribute out.
            node.attributes[name] = attributes[source]
        }
        return node
    }
}
