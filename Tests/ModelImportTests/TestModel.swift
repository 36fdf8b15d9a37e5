import Glibc
import GraphIR
import HostileInput
import ModelImport
import TensorMemory
import Testing

func write(_ bytes: [UInt8], to path: String) throws {
    let file = try #require(fopen(path, "w"))
    defer { fclose(file) }
    #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
}

func importBytes(_ bytes: [UInt8]) throws -> ImportedModel {
    try withTemporaryDirectory { directory in
        try write(bytes, to: directory + "/model.onnx")
        let model = try importONNX(path: directory + "/model.onnx")
        #expect(model.graph.firstViolation() == nil)
        return model
    }
}

func importModel(_ proto: Proto) throws -> ImportedModel { try importBytes(proto.bytes) }

/// The error that importing gives; the test fails when it gives none.
func importError(_ proto: Proto) throws -> ImportError {
    try #require(throws: ImportError.self) { _ = try importModel(proto) }
}

/// A model of one node over float inputs named like the node's own; initializers are left out of
/// the inputs.
func modelOf(
    _ node: Proto,
    inputs: [String] = ["x"],
    outputs: [String] = ["y"],
    initializers: [Proto] = [],
    opset: Int64
) -> Proto {
    let graph = GraphParts(
        nodes: [node],
        initializers: initializers,
        inputs: inputs.map { value($0) },
        outputs: outputs.map { value($0) }
    )
    return model(graph, opset: opset)
}

/// What one node becomes: the operator, and the elements of its inputs where they are known.
struct ImportedNode {
    var op: Operator
    var inputs: [String?]
    var literals: [DenseTensor?]
    var outputs: [String?]

    init(_ model: ImportedModel) throws {
        let node = try #require(model.graph.nodes.first)
        #expect(model.graph.nodes.count == 1)
        op = node.op
        inputs = node.inputs.map { id in id.map { model.graph[$0].name } }
        literals = node.inputs.map { id in id.flatMap { model.graph[$0].constant?.literal } }
        outputs = node.outputs.map { id in id.map { model.graph[$0].name } }
    }
}

func importNode(
    _ node: Proto,
    inputs: [String] = ["x"],
    outputs: [String] = ["y"],
    initializers: [Proto] = [],
    opset: Int64
) throws -> ImportedNode {
    try ImportedNode(
        importModel(
            modelOf(
                node,
                inputs: inputs,
                outputs: outputs,
                initializers: initializers,
                opset: opset
            )
        )
    )
}

/// The bytes a constant's range stands for.
func fileBytes(_ range: FileRange, of model: ImportedModel) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.byteCount)
    try bytes.withUnsafeMutableBytes { target in
        try model.files[range.file].read(
            range.offset..<(range.offset + range.byteCount),
            into: target
        )
    }
    return bytes
}

extension ImportedModel {
    func constant(_ name: String) throws -> Constant {
        let value = try #require(graph.values.first { $0.name == name })
        return try #require(value.constant)
    }

    func fileRange(_ name: String) throws -> FileRange {
        guard case .file(let range) = try constant(name).source else {
            throw TestFailure("\(name) is not a range of a file")
        }
        return range
    }
}

struct TestFailure: Error {
    var message: String
    init(_ message: String) { self.message = message }
}
