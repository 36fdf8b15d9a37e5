internal import SwiftProtobuf

/// What a `NodeProto` says, with the tensors of its attributes still in the file.
struct NodeRecord {
    var index: Int
    /// Where the message starts in the file.
    var byte: Int
    var name = ""
    var type = ""
    var domain = ""
    /// Names; empty for an optional one that is absent.
    var inputs: [String] = []
    var outputs: [String] = []
    var attributes: [String: AttributeValue] = [:]
    /// Names that the graphs among the attributes take from around the node.
    var captures: [String] = []

    /// All names whose values the node needs.
    var reads: [String] { inputs + captures }

    var operatorName: OperatorName { OperatorName(domain: domain, type: type) }

    /// What people call the node: its name, or that of its first output.
    var label: String {
        if !name.isEmpty { return name }
        return outputs.first { !$0.isEmpty } ?? "node \(index)"
    }

    func error(
        _ kind: ImportError.Kind,
        _ message: String,
        remedy: String? = nil
    ) -> ImportError {
        let subject = "\(escaped(operatorName.description)) \(quoted(label))"
        return ImportError(
            kind,
            "\(subject) \(message)",
            remedy: remedy,
            location: .init(field: "graph.node[\(index)]", byte: byte)
        )
    }
}

/// Graphs inside of graphs go no deeper than this, so that a file cannot exhaust the stack.
private let deepestGraph = 16

indirect enum AttributeValue {
    case float(Float)
    case int(Int64)
    case string(String)
    case tensor(TensorRecord)
    case floats([Float])
    case ints([Int64])
    case strings([String])
    case graph(GraphRecord)
    /// The attribute of this name of the call of the function that the node is in.
    case reference(String)
    /// A sparse tensor or a type; no operator we import has one.
    case other(String)

    var kind: String {
        switch self {
        case .float: "a float"
        case .int: "an integer"
        case .string: "a string"
        case .tensor: "a tensor"
        case .floats: "a list of floats"
        case .ints: "a list of integers"
        case .strings: "a list of strings"
        case .graph: "a graph"
        case .reference: "a reference to an attribute of a function"
        case .other(let kind): kind
        }
    }
}

/// Reads a node; `depth` counts the graphs it is inside of.
func readNode(
    _ message: WireReader,
    index: Int,
    depth: Int
) throws(ImportError) -> NodeRecord {
    var reader = message
    var node = NodeRecord(index: index, byte: reader.position)
    while let field = try reader.next() {
        switch field.number {
        case 1: node.inputs.append(try reader.string(field, name: "input"))
        case 2: node.outputs.append(try reader.string(field, name: "output"))
        case 3: node.name = try reader.string(field, name: "name")
        case 4: node.type = try reader.string(field, name: "op_type")
        case 5:
            let attribute = try readAttribute(
                reader.message(field, name: reader.name),
                depth: depth
            )
            guard node.attributes.updateValue(attribute.value, forKey: attribute.name) == nil
            else {
                throw node.error(.invalid, "has the attribute \(quoted(attribute.name)) twice")
            }
        case 7: node.domain = try reader.string(field, name: "domain")
        case 8:
            guard try reader.string(field, name: "overload").isEmpty else {
                throw node.error(.unsupported, "calls one of several functions of one name")
            }
        default: break  // Documentation and hints for several devices.
        }
    }
    var captured: Set<String> = []
    for (_, value) in node.attributes.sorted(by: { $0.key < $1.key }) {
        guard case .graph(let graph) = value else { continue }
        node.captures += graph.captures.filter { captured.insert($0).inserted }
    }
    return node
}

/// Reads an attribute.
///
/// Those that carry tensors or graphs are walked by hand, because the generated types would copy
/// them; all others are small.
func readAttribute(
    _ message: WireReader,
    depth: Int
) throws(ImportError) -> (name: String, value: AttributeValue) {
    var reader = message
    let whole = reader.position..<reader.end
    var name = ""
    var type: Int64 = 0
    var tensor: WireReader?
    var graph: GraphRecord?
    var large: String?
    while let field = try reader.next() {
        switch field.number {
        case 1: name = try reader.string(field, name: "attribute.name")
        case 5: tensor = try reader.message(field, name: "\(reader.name).attribute.t")
        case 6:
            guard depth < deepestGraph else {
                throw ImportError(
                    .unsupported,
                    "graphs are nested more than \(deepestGraph) deep",
                    location: .init(field: reader.name, byte: field.range.lowerBound)
                )
            }
            var inner = GraphRecord()
            try readGraph(reader.message(field, name: reader.name), into: &inner, depth: depth + 1)
            graph = inner
        case 11: large = "a list of graphs"
        case 10: large = "a list of tensors"
        case 22, 23: large = "a sparse tensor"
        case 20: type = try reader.integer(field, name: "attribute.type")
        default: break
        }
    }
    guard !name.isEmpty else {
        throw reader.malformed("an attribute has no name", at: whole.lowerBound)
    }
    if let large { return (name, .other(large)) }
    if let graph { return (name, .graph(graph)) }
    if let tensor { return (name, .tensor(try readTensor(tensor))) }

    let field = WireField(number: 5, kind: .bytes, value: 0, range: whole)
    let proto: Onnx_AttributeProto = try decode(field, of: reader, name: "attribute")
    guard let value = smallAttribute(proto, type: type) else {
        throw reader.malformed("attribute \(quoted(name)) has no value", at: whole.lowerBound)
    }
    return (name, value)
}

/// The value of an attribute without tensors or graphs.
///
/// Files that leave the type out are read by the field that is there.
private func smallAttribute(_ proto: Onnx_AttributeProto, type: Int64) -> AttributeValue? {
    if !proto.refAttrName.isEmpty { return .reference(proto.refAttrName) }
    switch type {
    case 1: return .float(proto.f)
    case 2: return .int(proto.i)
    case 3: return String(validating: proto.s, as: UTF8.self).map { .string($0) }
    case 6: return .floats(proto.floats)
    case 7: return .ints(proto.ints)
    case 8: return strings(proto)
    case 13, 14: return .other("a type")
    case 0: break
    default: return nil
    }
    if proto.hasF { return .float(proto.f) }
    if proto.hasI { return .int(proto.i) }
    if proto.hasS { return String(validating: proto.s, as: UTF8.self).map { .string($0) } }
    if !proto.floats.isEmpty { return .floats(proto.floats) }
    if !proto.ints.isEmpty { return .ints(proto.ints) }
    return proto.strings.isEmpty ? nil : strings(proto)
}

private func strings(_ proto: Onnx_AttributeProto) -> AttributeValue? {
    var texts: [String] = []
    for bytes in proto.strings {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        texts.append(text)
    }
    return .strings(texts)
}
