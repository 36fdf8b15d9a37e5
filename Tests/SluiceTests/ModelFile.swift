import HostileInput
import Testing

/// Writes a protobuf message field by field.
private struct Message {
    var bytes: [UInt8] = []

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest > 0x7f {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func number(_ field: UInt64, _ value: Int) {
        varint(field << 3)
        varint(UInt64(value))
    }

    mutating func data(_ field: UInt64, _ data: [UInt8]) {
        varint(field << 3 | 2)
        varint(UInt64(data.count))
        bytes += data
    }

    mutating func text(_ field: UInt64, _ text: String) { data(field, Array(text.utf8)) }
}

/// A dimension of a declared input: its size or its name.
enum FileDimension {
    case size(Int)
    case name(String)
}

/// An ONNX file of a few nodes without attributes.
struct ModelFile {
    var nodes: [(type: String, inputs: [String], output: String)]
    var inputs: [(name: String, dimensions: [FileDimension])]
    var outputs: [String]
    var weights: [(name: String, shape: [Int], elements: [Float])] = []

    var bytes: [UInt8] {
        var graph = Message()
        for node in nodes {
            var message = Message()
            for input in node.inputs { message.text(1, input) }
            message.text(2, node.output)
            message.text(3, node.output)
            message.text(4, node.type)
            graph.data(1, message.bytes)
        }
        graph.text(2, "test")
        for tensor in weights {
            var message = Message()
            for size in tensor.shape { message.number(1, size) }
            message.number(2, 1)
            message.text(8, tensor.name)
            message.data(9, tensor.elements.withUnsafeBytes { Array($0) })
            graph.data(5, message.bytes)
        }
        for input in inputs { graph.data(11, declaration(input.name, input.dimensions)) }
        for output in outputs { graph.data(12, declaration(output, nil)) }
        var opset = Message()
        opset.number(2, 13)
        var model = Message()
        model.number(1, 8)
        model.data(8, opset.bytes)
        model.data(7, graph.bytes)
        return model.bytes
    }

    private func declaration(_ name: String, _ dimensions: [FileDimension]?) -> [UInt8] {
        var tensor = Message()
        tensor.number(1, 1)
        if let dimensions {
            var shape = Message()
            for dimension in dimensions {
                var message = Message()
                switch dimension {
                case .size(let size): message.number(1, size)
                case .name(let name): message.text(2, name)
                }
                shape.data(1, message.bytes)
            }
            tensor.data(2, shape.bytes)
        }
        var type = Message()
        type.data(1, tensor.bytes)
        var message = Message()
        message.text(1, name)
        message.data(2, type.bytes)
        return message.bytes
    }

    /// Calls `body` with the path of the file, which exists meanwhile.
    func withPath<Result>(_ body: (String) throws -> Result) throws -> Result {
        try withFile(of: bytes, body)
    }
}

/// y = relu((a + b) w), with a and b of one open number of rows.
let openRows = ModelFile(
    nodes: [
        ("Add", ["a", "b"], "sum"), ("MatMul", ["sum", "w"], "product"),
        ("Relu", ["product"], "y"),
    ],
    inputs: [
        ("a", [.name("rows"), .size(3)]), ("b", [.name("rows"), .size(3)]),
    ],
    outputs: ["y"],
    weights: [("w", [3, 2], [1, -1, 2, -2, 3, -3])]
)
