import GraphIR

/// Why a graph cannot become a program.
package enum CompileError: Error, Sendable {
    /// The given shapes or the model's own types do not fit together.
    case invalid(String)
    /// The model asks for something no kernel computes; every such node is listed.
    case unsupported([String])
    /// The budget is below the smallest that works.
    case budgetTooSmall(budget: Int, minimum: Int, step: String)
}

extension CompileError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .invalid(let message):
            message
        case .unsupported(let reasons):
            "the model uses what Sluice cannot run:\n"
                + reasons.map { "  - " + $0 }.joined(separator: "\n")
        case .budgetTooSmall(let budget, let minimum, let step):
            "a device memory of \(budget) bytes is too small: the smallest that works is "
                + "\(minimum) bytes, set by step '\(step)'"
        }
    }
}
