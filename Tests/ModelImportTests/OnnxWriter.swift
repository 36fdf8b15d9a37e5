/// Writes protobuf messages field by field, so that tests can also write what no serialiser would.
struct Proto {
    var bytes: [UInt8] = []

    static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        repeat {
            bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }

    mutating func number(_ field: Int, _ value: Int64) {
        bytes += Self.varint(UInt64(field) << 3) + Self.varint(UInt64(bitPattern: value))
    }

    mutating func data(_ field: Int, _ data: [UInt8]) {
        bytes += Self.varint(UInt64(field) << 3 | 2) + Self.varint(UInt64(data.count)) + data
    }

    mutating func text(_ field: Int, _ text: String) { data(field, Array(text.utf8)) }

    mutating func message(_ field: Int, _ message: Proto) { data(field, message.bytes) }

    mutating func float(_ field: Int, _ value: Float) {
        bytes += Self.varint(UInt64(field) << 3 | 5) + value.littleEndianBytes
    }

    mutating func double(_ field: Int, _ value: Double) {
        bytes += Self.varint(UInt64(field) << 3 | 1) + value.littleEndianBytes
    }
}

extension Float {
    var littleEndianBytes: [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: bitPattern >> (8 * $0)) }
    }
}

extension Double {
    var littleEndianBytes: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: bitPattern >> (8 * $0)) }
    }
}

extension [Float] {
    var littleEndianBytes: [UInt8] { flatMap(\.littleEndianBytes) }
}

extension [Int64] {
    var littleEndianBytes: [UInt8] {
        flatMap { element in (0..<8).map { UInt8(truncatingIfNeeded: element >> (8 * $0)) } }
    }
}

/// The element types of ONNX that the tests name.
enum Elements: Int64 {
    case float = 1
    case uint8 = 2
    case int8 = 3
    case int32 = 6
    case int64 = 7
    case string = 8
    case bool = 9
    case float16 = 10
    case double = 11
    case uint64 = 13
    case bfloat16 = 16
    case float8 = 17
}

/// A tensor message; `body` adds its data.
func tensor(
    _ name: String,
    _ elements: Elements,
    _ dims: [Int64],
    _ body: (inout Proto) -> Void
) -> Proto {
    var proto = Proto()
    for dim in dims { proto.number(1, dim) }
    proto.number(2, elements.rawValue)
    proto.text(8, name)
    body(&proto)
    return proto
}

func floatTensor(_ name: String, _ dims: [Int64], _ values: [Float]) -> Proto {
    tensor(name, .float, dims) { $0.data(9, values.littleEndianBytes) }
}

func integerTensor(_ name: String, _ dims: [Int64], _ values: [Int64]) -> Proto {
    tensor(name, .int64, dims) { $0.data(9, values.littleEndianBytes) }
}

/// A tensor whose data stand in another file.
func externalTensor(
    _ name: String,
    _ dims: [Int64],
    location: String,
    offset: String? = nil,
    length: String? = nil
) -> Proto {
    tensor(name, .float, dims) { proto in
        for (key, value) in [("location", location), ("offset", offset), ("length", length)] {
            guard let value else { continue }
            var entry = Proto()
            entry.text(1, key)
            entry.text(2, value)
            proto.message(13, entry)
        }
        proto.number(14, 1)
    }
}

enum Attribute {
    case int(Int64)
    case float(Float)
    case string(String)
    case ints([Int64])
    case floats([Float])
    case tensor(Proto)
    case graph(Proto)
    case strings([String])
    /// The attribute of a call, in a function.
    case reference(String)

    func proto(named name: String) -> Proto {
        var proto = Proto()
        proto.text(1, name)
        switch self {
        case .int(let value):
            proto.number(3, value)
            proto.number(20, 2)
        case .float(let value):
            proto.float(2, value)
            proto.number(20, 1)
        case .string(let value):
            proto.text(4, value)
            proto.number(20, 3)
        case .ints(let values):
            for value in values { proto.number(8, value) }
            proto.number(20, 7)
        case .floats(let values):
            for value in values { proto.float(7, value) }
            proto.number(20, 6)
        case .strings(let values):
            for value in values { proto.text(9, value) }
            proto.number(20, 8)
        case .tensor(let value):
            proto.message(5, value)
            proto.number(20, 4)
        case .reference(let name):
            proto.text(21, name)
            proto.number(20, 1)
        case .graph(let value):
            proto.message(6, value)
            proto.number(20, 5)
        }
        return proto
    }
}

func node(
    _ type: String,
    _ inputs: [String],
    _ outputs: [String],
    _ attributes: KeyValuePairs<String, Attribute> = [:],
    name: String = "",
    domain: String = ""
) -> Proto {
    var proto = Proto()
    for input in inputs { proto.text(1, input) }
    for output in outputs { proto.text(2, output) }
    if !name.isEmpty { proto.text(3, name) }
    proto.text(4, type)
    if !domain.isEmpty { proto.text(7, domain) }
    for (name, attribute) in attributes { proto.message(5, attribute.proto(named: name)) }
    return proto
}

/// A declared dimension: a size, a name, or nothing.
enum DeclaredDimension {
    case size(Int64)
    case name(String)
    case open
}

/// A declaration of an input or output; nil dimensions declare no rank.
func value(
    _ name: String,
    _ elements: Elements = .float,
    _ dimensions: [DeclaredDimension]? = nil
) -> Proto {
    var type = Proto()
    type.number(1, elements.rawValue)
    if let dimensions {
        var shape = Proto()
        for dimension in dimensions {
            var dim = Proto()
            switch dimension {
            case .size(let size): dim.number(1, size)
            case .name(let name): dim.text(2, name)
            case .open: break
            }
            shape.message(1, dim)
        }
        type.message(2, shape)
    }
    var outer = Proto()
    outer.message(1, type)
    var proto = Proto()
    proto.text(1, name)
    proto.message(2, outer)
    return proto
}

/// A graph, with the field numbers of ONNX.
struct GraphParts {
    var nodes: [Proto] = []
    var initializers: [Proto] = []
    var inputs: [Proto] = []
    var outputs: [Proto] = []

    var proto: Proto {
        var proto = Proto()
        for node in nodes { proto.message(1, node) }
        proto.text(2, "test")
        for tensor in initializers { proto.message(5, tensor) }
        for input in inputs { proto.message(11, input) }
        for output in outputs { proto.message(12, output) }
        return proto
    }
}

func opsetImport(_ version: Int64, domain: String = "") -> Proto {
    var proto = Proto()
    if !domain.isEmpty { proto.text(1, domain) }
    proto.number(2, version)
    return proto
}

func model(_ graph: GraphParts, opset: Int64 = 13, irVersion: Int64 = 8) -> Proto {
    var proto = Proto()
    proto.number(1, irVersion)
    proto.text(2, "tests")
    proto.message(8, opsetImport(opset))
    proto.message(7, graph.proto)
    return proto
}
