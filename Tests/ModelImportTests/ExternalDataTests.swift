import Glibc
import GraphIR
import HostileInput
import ModelImport
import Testing

@Suite("Weights in other files")
struct ExternalDataTests {
    private let values = (0..<100).map { Float($0) }

    private func carrying(_ tensors: [Proto]) -> Proto {
        let graph = GraphParts(
            nodes: [node("Relu", ["x"], ["y"])],
            initializers: tensors,
            inputs: [value("x")],
            outputs: [value("y")]
        )
        return model(graph)
    }

    /// Imports a model with these tensors from a directory `models` with a file `w.bin` of 800
    /// bytes, beside a file `secret.bin` outside of it.
    private func imported(_ tensors: [Proto]) throws -> ImportedModel {
        try withTemporaryDirectory { directory in
            let models = directory + "/models"
            mkdir(models, 0o755)
            mkdir(models + "/sub", 0o755)
            let bytes = (values + values.reversed()).littleEndianBytes
            for name in ["/models/w.bin", "/models/sub/v.bin", "/secret.bin"] {
                try write(bytes, to: directory + name)
            }
            symlink("../secret.bin", models + "/link.bin")
            symlink("w.bin", models + "/alias.bin")
            symlink("..", models + "/up")
            try write(carrying(tensors).bytes, to: models + "/model.onnx")
            return try importONNX(path: models + "/model.onnx")
        }
    }

    private func error(_ tensor: Proto) throws -> ImportError {
        try #require(throws: ImportError.self) { _ = try imported([tensor]) }
    }

    @Test("tensors of one file share it, by whatever path they name it")
    func tensorsShareFiles() throws {
        let model = try imported([
            externalTensor("a", [100], location: "w.bin", length: "400"),
            externalTensor("b", [100], location: "./w.bin", offset: "400"),
            externalTensor("c", [100], location: "alias.bin", offset: "400", length: "400"),
            externalTensor("d", [200], location: "sub/v.bin"),
        ])
        #expect(model.files.count == 3)
        #expect(try model.fileRange("a") == FileRange(file: 1, offset: 0, byteCount: 400))
        #expect(try model.fileRange("b") == FileRange(file: 1, offset: 400, byteCount: 400))
        #expect(try model.fileRange("c").file == 1)
        #expect(try model.fileRange("d") == FileRange(file: 2, offset: 0, byteCount: 800))
        let reversed = Array(values.reversed()).littleEndianBytes
        #expect(try fileBytes(model.fileRange("b"), of: model) == reversed)
    }

    @Test("small external tensors are literals too")
    func smallExternalTensors() throws {
        let model = try imported([externalTensor("a", [2], location: "w.bin", offset: "4")])
        #expect(try model.constant("a").literal?.floats == [1, 2])
    }

    @Test(
        "no path leads out of the directory of the model",
        arguments: [
            "/etc/passwd", "../secret.bin", "sub/../../secret.bin", "sub/../w.bin", "link.bin",
            "up/secret.bin", "", "..", "w.bin\0",
        ]
    )
    func pathsStayInside(location: String) throws {
        let error = try error(externalTensor("a", [1], location: location))
        #expect(error.kind == .invalid, "\(error)")
        #expect(error.message.contains("outside the model's directory"))
    }

    @Test("a range must lie in its file, and its length must fit the shape")
    func rangesAreChecked() throws {
        func kind(_ offset: String?, _ length: String?, _ dims: [Int64] = [100]) throws
            -> ImportError.Kind
        {
            try error(
                externalTensor("a", dims, location: "w.bin", offset: offset, length: length)
            ).kind
        }
        #expect(try kind("401", nil) == .truncated)
        #expect(try kind("900", nil) == .truncated)
        #expect(try kind("\(Int.max)", nil) == .truncated)
        #expect(try kind(nil, nil, [1 << 50]) == .truncated)
        #expect(try kind(nil, "399") == .invalid)
        #expect(try kind("-4", nil) == .invalid)
        #expect(try kind("4x", nil) == .invalid)
        #expect(try kind("99999999999999999999", nil) == .invalid)
    }

    @Test("a file that is missing, and one that is a directory, are named")
    func missingFiles() throws {
        let missing = try error(externalTensor("a", [1], location: "none.bin"))
        #expect(missing.kind == .missing)
        #expect(missing.location.path.hasSuffix("/none.bin"))
        #expect(missing.location.field == "graph.initializer[0]")
        #expect(try error(externalTensor("a", [1], location: "sub")).kind == .unreadable)
        let nowhere = tensor("a", .float, [1]) { $0.number(14, 1) }
        #expect(try error(nowhere).kind == .invalid)
    }

    @Test("data in two places are refused")
    func dataInTwoPlaces() throws {
        var both = externalTensor("a", [1], location: "w.bin")
        both.data(9, [0, 0, 0, 0])
        #expect(try error(both).kind == .invalid)
    }

    @Test("a tensor of a Constant node may be external")
    func externalConstantNode() throws {
        try withTemporaryDirectory { directory in
            try write(values.littleEndianBytes, to: directory + "/w.bin")
            let constant = node(
                "Constant",
                [],
                ["c"],
                ["value": .tensor(externalTensor("", [100], location: "w.bin"))]
            )
            let graph = GraphParts(
                nodes: [constant, node("Add", ["x", "c"], ["y"])],
                inputs: [value("x")],
                outputs: [value("y")]
            )
            try write(model(graph).bytes, to: directory + "/model.onnx")
            let model = try importONNX(path: directory + "/model.onnx")
            #expect(try model.fileRange("c") == FileRange(file: 1, offset: 0, byteCount: 400))
        }
    }

    @Test("a file of weights cut off anywhere is refused when the model is opened")
    func cutOffWeights() throws {
        try withTemporaryDirectory { directory in
            let tensors = [
                externalTensor("a", [60], location: "w.bin"),
                externalTensor("b", [40], location: "w.bin", offset: "240", length: "160"),
            ]
            try write(carrying(tensors).bytes, to: directory + "/model.onnx")
            for bytes in Damage(of: values.littleEndianBytes).cutOff {
                try write(bytes, to: directory + "/w.bin")
                let error = #expect(throws: ImportError.self) {
                    _ = try importONNX(path: directory + "/model.onnx")
                }
                #expect(error?.kind == .truncated)
            }
        }
    }

    @Test("no damaged byte makes a model read other files than those beside it")
    func damagedReferences() throws {
        let tensor = externalTensor("a", [60], location: "sub/v.bin", offset: "4", length: "240")
        let bytes = carrying([tensor]).bytes
        try withTemporaryDirectory { directory in
            mkdir(directory + "/models", 0o755)
            mkdir(directory + "/models/sub", 0o755)
            for name in ["/models/sub/v.bin", "/v.bin"] {
                try write(values.littleEndianBytes, to: directory + name)
            }
            let damage = Damage(of: bytes)
            for file in Array(damage.changed) + Array(damage.scattered(400)) {
                try write(file, to: directory + "/models/model.onnx")
                guard let model = try? importONNX(path: directory + "/models/model.onnx") else {
                    continue
                }
                for file in model.files {
                    #expect(file.path.contains("/models/"), "\(file.path)")
                }
            }
        }
    }
}
