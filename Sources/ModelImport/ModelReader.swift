import GraphIR
internal import SwiftProtobuf

/// What a `ModelProto` says, with every tensor still in the file.
struct ModelRecord {
    var irVersion: Int64 = 0
    var producer = ""
    /// Operator-set versions by domain; the default domain is the empty string.
    var opsets: [String: Int64] = [:]
    var graph = GraphRecord()
    var hasGraph = false
    /// What the file says about itself: labels, dictionaries, authors.
    var metadata: [String: String] = [:]
    /// The functions the model brings along.
    var functions: [OperatorName: FunctionRecord] = [:]
}

/// An operator that the model defines by others.
struct FunctionRecord {
    var inputs: [String] = []
    var outputs: [String] = []
    /// What attributes are where a call does not have them.
    var defaults: [String: AttributeValue] = [:]
    var nodes: [NodeRecord] = []
    var opsets: [String: Int64] = [:]
}

struct GraphRecord {
    var name = ""
    var nodes: [NodeRecord] = []
    var initializers: [TensorRecord] = []
    /// Names of the initializers that are stored sparsely.
    var sparse: [String] = []
    var inputs: [InputRecord] = []
    var outputs: [String] = []
    /// Names that the graph reads and does not define, each once.
    var captures: [String] = []
}

/// What a graph declares of one of its inputs.
struct InputRecord {
    var name: String
    var type: DeclaredType
    /// The path of the message in the model, for errors.
    var field: String
    var byte: Int

    enum DeclaredType {
        case tensor(elements: Int64, dimensions: [Dimension]?)
        /// A sequence, map, optional or sparse tensor.
        case other(String)
        case none
    }
}

/// The name of an operator: what it is called, and in which domain.
struct OperatorName: Hashable {
    var domain: String
    var type: String

    init(domain: String, type: String) {
        self.domain = domain == "ai.onnx" ? "" : domain
        self.type = type
    }

    var isStandard: Bool { domain.isEmpty }
}

extension OperatorName: CustomStringConvertible {
    var description: String { domain.isEmpty ? type : "\(domain).\(type)" }
}

/// Reads a whole model file.
func readModel(_ source: FileWindow) throws(ImportError) -> ModelRecord {
    var model = ModelRecord()
    var reader = WireReader(source, 0..<source.file.byteCount, name: "model")
    while let field = try reader.next() {
        switch field.number {
        case 1: model.irVersion = try reader.integer(field, name: "ir_version")
        case 2: model.producer = try reader.string(field, name: "producer_name")
        case 7:
            model.hasGraph = true
            try readGraph(reader.message(field, name: "graph"), into: &model.graph, depth: 0)
        case 8: try readOpset(field, of: reader, into: &model.opsets)
        case 14:
            let entry = try readMetadata(reader.message(field, name: "metadata_props"))
            model.metadata[entry.key] = entry.value
        case 25:
            let (name, function) = try readFunction(reader.message(field, name: "functions"))
            guard model.functions.updateValue(function, forKey: name) == nil else {
                throw ImportError(
                    .unsupported,
                    "the function \(quoted(name.description)) is defined twice",
                    location: .init(field: "functions", byte: field.range.lowerBound)
                )
            }
        default: break  // Documentation, training and device hints change no result.
        }
    }
    return model
}

private func readMetadata(
    _ message: WireReader
) throws(ImportError) -> (key: String, value: String) {
    var reader = message
    var entry = (key: "", value: "")
    while let field = try reader.next() {
        switch field.number {
        case 1: entry.key = try reader.string(field, name: "key")
        case 2: entry.value = try reader.string(field, name: "value")
        default: break
        }
    }
    return entry
}

private func readOpset(
    _ field: WireField,
    of reader: WireReader,
    into opsets: inout [String: Int64]
) throws(ImportError) {
    try reader.expect(.bytes, field, name: "opset_import")
    let opset: Onnx_OperatorSetIdProto = try decode(field, of: reader, name: "opset_import")
    let domain = OperatorName(domain: opset.domain, type: "").domain
    if let earlier = opsets[domain], earlier != opset.version {
        throw ImportError(
            .invalid,
            "domain \(quoted(domain)) is imported as \(earlier) and \(opset.version)",
            location: .init(field: "opset_import", byte: field.range.lowerBound)
        )
    }
    opsets[domain] = opset.version
}

private func readFunction(
    _ message: WireReader
) throws(ImportError) -> (name: OperatorName, function: FunctionRecord) {
    var reader = message
    var name = ""
    var domain = ""
    var function = FunctionRecord()
    while let field = try reader.next() {
        switch field.number {
        case 1: name = try reader.string(field, name: "name")
        case 4: function.inputs.append(try reader.string(field, name: "input"))
        case 5: function.outputs.append(try reader.string(field, name: "output"))
        case 7:
            let index = function.nodes.count
            let node = try reader.message(field, name: "function.node[\(index)]")
            function.nodes.append(try readNode(node, index: index, depth: 0))
        case 9: try readOpset(field, of: reader, into: &function.opsets)
        case 10: domain = try reader.string(field, name: "domain")
        case 11:
            let attribute = try readAttribute(
                reader.message(field, name: "function.attribute"),
                depth: 0
            )
            function.defaults[attribute.name] = attribute.value
        default: break
        }
    }
    return (OperatorName(domain: domain, type: name), function)
}

/// Reads a graph; `depth` counts the graphs it is inside of.
func readGraph(
    _ message: WireReader,
    into graph: inout GraphRecord,
    depth: Int
) throws(ImportError) {
    var reader = message
    while let field = try reader.next() {
        switch field.number {
        case 1:
            let index = graph.nodes.count
            let node = try reader.message(field, name: "graph.node[\(index)]")
            graph.nodes.append(try readNode(node, index: index, depth: depth))
        case 2: graph.name = try reader.string(field, name: "name")
        case 5:
            let name = "graph.initializer[\(graph.initializers.count)]"
            let tensor = try readTensor(reader.message(field, name: name))
            guard !tensor.name.isEmpty else { throw tensor.error(.invalid, "has no name") }
            graph.initializers.append(tensor)
        case 11:
            let name = "graph.input[\(graph.inputs.count)]"
            graph.inputs.append(try readInput(field, of: reader, name: name))
        case 12:
            let name = "graph.output[\(graph.outputs.count)]"
            graph.outputs.append(try readInput(field, of: reader, name: name).name)
        case 15:
            let name = "graph.sparse_initializer[\(graph.sparse.count)]"
            graph.sparse.append(try readSparseName(reader.message(field, name: name)))
        default: break  // Shapes of inner values are computed anew; the rest is documentation.
        }
    }
    if depth > 0 { graph.findCaptures() }
}

extension GraphRecord {
    /// What is read, without what is defined.
    fileprivate mutating func findCaptures() {
        var known = Set(initializers.map(\.name)).union(sparse).union(inputs.map(\.name))
        for node in nodes { known.formUnion(node.outputs) }
        for name in nodes.flatMap(\.reads) + outputs
        where !name.isEmpty && known.insert(name).inserted {
            captures.append(name)
        }
    }
}

/// The name of a sparse tensor is that of its values.
private func readSparseName(_ message: WireReader) throws(ImportError) -> String {
    var reader = message
    var name = ""
    while let field = try reader.next() {
        guard field.number == 1 else { continue }
        name = try readTensor(reader.message(field, name: "\(reader.name).values")).name
    }
    return name
}

private func readInput(
    _ field: WireField,
    of reader: WireReader,
    name: String
) throws(ImportError) -> InputRecord {
    try reader.expect(.bytes, field, name: name)
    let info: Onnx_ValueInfoProto = try decode(field, of: reader, name: name)
    let type: InputRecord.DeclaredType
    switch info.type.value {
    case .tensorType(let tensor)?:
        let dimensions = tensor.hasShape ? tensor.shape.dim.map(dimension) : nil
        type = .tensor(elements: Int64(tensor.elemType), dimensions: dimensions)
    case .sequenceType?: type = .other("sequence")
    case .mapType?: type = .other("map")
    case .optionalType?: type = .other("optional")
    case .sparseTensorType?: type = .other("sparse tensor")
    case .opaqueType?: type = .other("opaque value")
    case nil: type = .none
    }
    guard !info.name.isEmpty else {
        throw reader.malformed("\(name) has no name", at: field.range.lowerBound)
    }
    return InputRecord(name: info.name, type: type, field: name, byte: field.range.lowerBound)
}

/// A declared dimension.
///
/// Exporters write an open one in several ways: as a name, as nothing at all, as "?", as -1, and
/// (before names existed) as 0. Only a name says that two dimensions are the same.
private func dimension(_ proto: Onnx_TensorShapeProto.Dimension) -> Dimension {
    switch proto.value {
    case .dimValue(let size)? where size > 0: .fixed(Int(size))
    case .dimParam(let name)? where !name.isEmpty && name != "?": .symbol(name)
    default: .unknown
    }
}

/// Decodes a small message with the generated types.
func decode<Message: SwiftProtobuf.Message>(
    _ field: WireField,
    of reader: WireReader,
    name: String
) throws(ImportError) -> Message {
    let bytes = try reader.source.bytes(in: field.range)
    do {
        return try Message(serializedBytes: bytes)
    } catch {
        throw reader.malformed("\(name) cannot be decoded (\(error))", at: field.range.lowerBound)
    }
}
