import Execution
import GraphCompiler
import GraphIR
import KernelLibrary
import ModelImport
import TensorMemory

/// Anything Sluice refuses to do, with the reason and what would work.
public struct SluiceError: Error, Sendable, CustomStringConvertible {
    /// What kind of thing went wrong.
    public enum Kind: Sendable {
        /// Arguments that do not fit the model or each other.
        case usage
        /// A model or data file whose contents are wrong.
        case badData
        /// A file that is not there or cannot be read.
        case missingFile
        /// Something this model and budget cannot have: an operator or too small a budget.
        case impossible
        /// Memory or a file could not be had from the system.
        case system
        /// The task that asked for a run was cancelled; the session can run again.
        case cancelled
        /// A run was not done by its deadline; the session can run again.
        case deadlineExceeded
    }

    /// What kind of thing went wrong.
    public var kind: Kind
    /// What, where, and what would work.
    public var message: String

    /// An error of `kind` that says `message`, which is cut when a hostile file made it very long.
    public init(_ kind: Kind, _ message: String) {
        let limit = 32 << 10
        let isLong = message.utf8.count > limit
        self.kind = kind
        self.message =
            isLong
            ? String(decoding: message.utf8.prefix(limit), as: UTF8.self)
                + "... (\(message.utf8.count) bytes in all)" : message
    }

    /// The message.
    public var description: String { message }
}

extension SluiceError {
    init(_ error: ImportError) {
        let kind: Kind =
            switch error.kind {
            case .missing, .unreadable: .missingFile
            case .unsupported: .impossible
            case .truncated, .malformed, .invalid: .badData
            }
        self.init(kind, error.description)
    }

    init(_ error: CompileError) {
        switch error {
        case .invalid: self.init(.badData, error.description)
        case .unsupported, .budgetTooSmall: self.init(.impossible, error.description)
        }
    }

    init(_ error: SessionError) {
        switch error {
        case .memory(let problem): self.init(.system, problem.description)
        case .threads(let problem): self.init(.system, problem.description)
        case .constant(.file(let problem), let item):
            self.init(.badData, "weights of '\(item)': \(problem)")
        case .constant(.recipe(let problem), let item):
            self.init(.badData, "weights of '\(item)': \(problem.message)")
        }
    }

    init(_ error: NPYError) {
        let isThere = error.kind != .missing && error.kind != .inputOutput
        self.init(isThere ? .badData : .missingFile, error.description)
    }
}
