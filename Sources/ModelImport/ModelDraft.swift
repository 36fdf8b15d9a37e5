internal import FoundationEssentials
import GraphIR
internal import SwiftProtobuf
import TensorMemory

/// A model that a program writes down, node by node, before it becomes a graph.
///
/// It turns into the bytes of an ONNX file, so that models made this way and models that were read
/// are one thing from then on: checked by the same rules, with weights at ranges of bytes.
package struct ModelDraft: Sendable {
    /// A node: an operator applied to named values.
    package struct Node: Sendable {
        package var type: String
        package var domain: String
        package var name: String
        /// Names of values; empty for an optional one that is absent.
        package var inputs: [String]
        package var outputs: [String]
        package var attributes: [String: Attribute]

        package init(
            type: String,
            domain: String,
            name: String,
            inputs: [String],
            outputs: [String],
            attributes: [String: Attribute]
        ) {
            self.type = type
            self.domain = domain
            self.name = name
            self.inputs = inputs
            self.outputs = outputs
            self.attributes = attributes
        }
    }

    /// What an attribute holds.
    package enum Attribute: Sendable {
        case int(Int)
        case float(Float)
        case string(String)
        case ints([Int])
        case floats([Float])
        case strings([String])
        case tensor(TensorType, [UInt8])
    }

    /// A constant, its elements row-major and little-endian.
    package struct Weight: Sendable {
        package var name: String
        package var type: TensorType
        package var bytes: [UInt8]

        package init(name: String, type: TensorType, bytes: [UInt8]) {
            self.name = name
            self.type = type
            self.bytes = bytes
        }
    }

    package var name: String
    package var opset: Int
    package var inputs: [(name: String, dtype: DType, dimensions: [Dimension])] = []
    package var weights: [Weight] = []
    package var nodes: [Node] = []
    package var outputs: [String] = []

    package init(name: String, opset: Int) {
        self.name = name
        self.opset = opset
    }

    /// The graph of the draft, checked as a file would be.
    package func imported() throws(ImportError) -> ImportedModel {
        try importONNX(WeightFile(contents: fileBytes(), name: name))
    }

    /// The draft as an ONNX file.
    ///
    /// Pieces of a message that stand one after another mean the message of all of them, so every
    /// weight follows as a graph of its own and is copied once.
    private func fileBytes() -> [UInt8] {
        let heads = weights.map(\.head)
        let sizes = zip(weights, heads).map { weight, head in
            head.count + Wire.fieldByteCount(of: weight.bytes.count)
        }
        let model: [UInt8] = serialized(proto)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(sizes.reduce(model.count) { $0 + $1 + 2 * Wire.longestPrefix })
        bytes += model
        for ((weight, head), size) in zip(zip(weights, heads), sizes) {
            Wire.append(prefix: 7, of: Wire.fieldByteCount(of: size), to: &bytes)  // graph
            Wire.append(prefix: 5, of: size, to: &bytes)  // initializer
            bytes += head
            Wire.append(prefix: 9, of: weight.bytes.count, to: &bytes)  // raw_data
            bytes += weight.bytes
        }
        return bytes
    }

    private var proto: Onnx_ModelProto {
        var graph = Onnx_GraphProto()
        graph.name = name
        graph.node = nodes.map(\.proto)
        graph.input = inputs.map { input in
            var tensor = Onnx_TypeProto.Tensor()
            tensor.elemType = input.dtype.rawValue
            tensor.shape.dim = input.dimensions.map(\.proto)
            var info = Onnx_ValueInfoProto()
            info.name = input.name
            info.type.tensorType = tensor
            return info
        }
        graph.output = outputs.map { name in
            var info = Onnx_ValueInfoProto()
            info.name = name
            return info
        }
        var model = Onnx_ModelProto()
        model.irVersion = 10
        model.producerName = "sluice"
        let domains = Set(nodes.map(\.domain)).union([""])
        model.opsetImport = domains.sorted().map { domain in
            var set = Onnx_OperatorSetIdProto()
            set.domain = domain
            set.version = domain.isEmpty ? Int64(opset) : 1
            return set
        }
        model.graph = graph
        return model
    }
}

/// The newest operator set that drafts can be written in.
package let newestDraftOpset = newestOpset

extension ModelDraft.Weight {
    /// The message of the tensor, up to its elements.
    fileprivate var head: [UInt8] {
        var tensor = Onnx_TensorProto()
        tensor.name = name
        tensor.dataType = type.dtype.rawValue
        tensor.dims = type.shape.map(Int64.init)
        return serialized(tensor)
    }
}

extension ModelDraft.Node {
    fileprivate var proto: Onnx_NodeProto {
        var node = Onnx_NodeProto()
        node.opType = type
        node.domain = domain
        node.name = name
        node.input = inputs
        node.output = outputs
        node.attribute = attributes.sorted { $0.key < $1.key }.map { $0.value.proto(name: $0.key) }
        return node
    }
}

extension ModelDraft.Attribute {
    fileprivate func proto(name: String) -> Onnx_AttributeProto {
        var attribute = Onnx_AttributeProto()
        attribute.name = name
        switch self {
        case .int(let value):
            attribute.type = .int
            attribute.i = Int64(value)
        case .float(let value):
            attribute.type = .float
            attribute.f = value
        case .string(let value):
            attribute.type = .string
            attribute.s = Data(value.utf8)
        case .ints(let values):
            attribute.type = .ints
            attribute.ints = values.map(Int64.init)
        case .floats(let values):
            attribute.type = .floats
            attribute.floats = values
        case .strings(let values):
            attribute.type = .strings
            attribute.strings = values.map { Data($0.utf8) }
        case .tensor(let type, let bytes):
            attribute.type = .tensor
            attribute.t.dataType = type.dtype.rawValue
            attribute.t.dims = type.shape.map(Int64.init)
            attribute.t.rawData = Data(bytes)
        }
        return attribute
    }
}

extension Dimension {
    fileprivate var proto: Onnx_TensorShapeProto.Dimension {
        var dimension = Onnx_TensorShapeProto.Dimension()
        switch self {
        case .fixed(let size): dimension.dimValue = Int64(size)
        case .symbol(let name): dimension.dimParam = name
        case .unknown: break
        }
        return dimension
    }
}

private func serialized(_ message: some SwiftProtobuf.Message) -> [UInt8] {
    do {
        return try message.serializedBytes()
    } catch {
        preconditionFailure("no message of a model has required fields: \(error)")
    }
}

/// How protobuf puts messages inside of messages.
private enum Wire {
    /// Bytes of the longest tag and length.
    static let longestPrefix = 11

    /// Tag and length of field `number` below 16, which holds `count` bytes.
    static func append(prefix number: UInt8, of count: Int, to bytes: inout [UInt8]) {
        bytes.append(number << 3 | 2)
        var rest = count
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Bytes of a field that holds `count` bytes, with its prefix.
    static func fieldByteCount(of count: Int) -> Int {
        var prefix: [UInt8] = []
        append(prefix: 1, of: count, to: &prefix)
        return prefix.count + count
    }
}
