import GraphIR
import TensorMemory

/// A model as a graph, with the files its weights are kept in.
package struct ImportedModel: Sendable {
    package var graph: Graph
    /// What the `file` of a `FileRange` refers to; the first is the model file itself.
    package var files: [WeightFile]
    /// Operator-set versions by domain; the default domain is the empty string.
    package var opsets: [String: Int64]
    package var irVersion: Int64
    /// The program that wrote the file, when it says so.
    package var producer: String
    /// What the file says about itself, by key: labels, dictionaries, authors.
    package var metadata: [String: String]
}

/// Opens an ONNX model.
///
/// Only the structure is read. Weights become ranges of bytes of the returned files, so time and
/// memory do not depend on their size. Everything the file claims is checked first: any file
/// gives a valid graph or an `ImportError`.
package func importONNX(path: String) throws(ImportError) -> ImportedModel {
    do throws(ImportError) {
        return try importONNX(try openModel(path))
    } catch {
        throw error.located(in: path)
    }
}

/// The model that an open file holds.
package func importONNX(_ file: WeightFile) throws(ImportError) -> ImportedModel {
    do throws(ImportError) {
        return try importModel(file)
    } catch {
        throw error.located(in: file.path)
    }
}

private func openModel(_ path: String) throws(ImportError) -> WeightFile {
    do throws(FileError) {
        return try WeightFile(path: path)
    } catch {
        throw ImportError(error)
    }
}

private func importModel(_ file: WeightFile) throws(ImportError) -> ImportedModel {
    let source = FileWindow(file)
    let model = try readModel(source)
    let opset = try checkedOpset(of: model)
    let constants = ConstantReader(source: source, files: try ModelFiles(model: file))
    var builder = GraphBuilder(model, opset: opset, constants: constants)
    let graph = try builder.build()
    return ImportedModel(
        graph: graph,
        files: builder.constants.files.files,
        opsets: model.opsets,
        irVersion: model.irVersion,
        producer: model.producer,
        metadata: model.metadata
    )
}

/// The version of the standard operators, when the model as a whole is one we can read.
///
/// Versions newer than the newest we know are read by the rules of that one; nodes whose form we
/// do not know are refused one by one.
private func checkedOpset(of model: ModelRecord) throws(ImportError) -> Int {
    guard model.hasGraph else {
        throw ImportError(
            .invalid,
            "the file holds no graph",
            remedy: "check that the file is an ONNX model and is complete",
            location: .init(field: "model")
        )
    }
    guard model.irVersion >= 3 else {
        throw ImportError(
            .unsupported,
            "the file has IR version \(model.irVersion); 3 is the oldest supported",
            remedy: "save the model again with a current version of the onnx package",
            location: .init(field: "model.ir_version")
        )
    }
    guard let version = model.opsets[""] else {
        let needed = model.graph.nodes.contains { $0.operatorName.isStandard }
        guard needed else { return newestOpset }
        throw ImportError(
            .invalid,
            "the model does not say which version of the standard operators it uses",
            location: .init(field: "model.opset_import")
        )
    }
    guard version >= 7 else {
        throw ImportError(
            .unsupported,
            "the model uses operator set \(version); 7 is the oldest supported",
            remedy: "convert it with onnx.version_converter.convert_version(model, 13)",
            location: .init(field: "model.opset_import")
        )
    }
    return Int(min(version, Int64(newestOpset)))
}

/// The newest operator set whose rules this importer follows.
let newestOpset = 28
