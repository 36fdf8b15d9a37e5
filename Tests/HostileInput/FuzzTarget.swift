import Glibc
import Sluice

/// A reader that takes whatever it is given: it returns or throws, and never ends the process.
///
/// The fuzzer makes up inputs for it; the tests replay those that are kept in `Tests/Fuzz/corpus`.
package enum FuzzTarget: String, CaseIterable, Sendable {
    /// The reader of ONNX files.
    case model
    /// The reader of NumPy files.
    case array
    /// The readers of PNG and JPEG files.
    case image
    /// The reader of ONNX files, and the graph compiler behind it.
    case plan

    /// The directory of `Tests/Fuzz/corpus` with files this target reads.
    package var corpus: String {
        switch self {
        case .model, .plan: "models"
        case .array: "arrays"
        case .image: "images"
        }
    }

    /// Reads `bytes` as a file; true when it is a good one.
    @discardableResult
    package func accept(_ bytes: [UInt8]) -> Bool {
        withFile(of: bytes) { path in
            do throws(SluiceError) {
                try read(path)
                return true
            } catch {
                precondition(!error.message.isEmpty, "an error says what is wrong")
                return false
            }
        }
    }

    private func read(_ path: String) throws(SluiceError) {
        switch self {
        case .array: _ = try Tensor(readingNPY: path)
        case .image: _ = try Image(reading: path)
        case .model: _ = try Model(path: path)
        case .plan:
            let model = try Model(path: path)
            _ = try Plan(model: model, options: Self.options(for: model))
        }
    }

    /// Options that give every open dimension a size.
    private static func options(for model: Model) -> RunOptions {
        var options = RunOptions()
        options.threads = 2
        for input in model.inputs {
            options.shapes[input.name] = (input.dimensions ?? []).map { Int($0) ?? 2 }
        }
        return options
    }
}

/// Calls `body` with the path of a file of these bytes, which exists meanwhile.
package func withFile<Result>(
    of bytes: [UInt8],
    _ body: (String) throws -> Result
) rethrows -> Result {
    var descriptor: Int32 = -1
    let path = temporaryPath {
        descriptor = mkstemp($0)
        return descriptor >= 0
    }
    defer { unlink(path) }
    let written = Glibc.write(descriptor, bytes, bytes.count)
    precondition(written == bytes.count, "the input cannot be written")
    close(descriptor)
    return try body(path)
}
