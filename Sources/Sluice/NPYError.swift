import Execution

/// Why a NumPy file could not be read or written.
package struct NPYError: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// The file does not exist.
        case missing
        /// The system refused to open, read or write it.
        case inputOutput
        /// The file is not what the format allows, or ends too early.
        case malformed
        /// A valid file with elements or an order we do not read.
        case unsupported
    }

    package var kind: Kind
    package var path: String
    /// Where in the file the trouble starts, when that is known.
    package var byte: Int?
    package var reason: String

    init(_ kind: Kind, path: String, byte: Int? = nil, _ reason: String) {
        self.kind = kind
        self.path = path
        self.byte = byte
        self.reason = reason
    }
}

extension NPYError: CustomStringConvertible {
    package var description: String {
        byte.map { "\(path): \(reason) (at byte \($0))" } ?? "\(path): \(reason)"
    }
}

extension NPYError {
    /// Why `byteCount` bytes of a file cannot all be in memory; nil when they can.
    init?(holding byteCount: UInt64, path: String) {
        guard let available = AvailableMemory.now(), byteCount > UInt64(available.byteCount) else {
            return nil
        }
        self.init(
            .inputOutput,
            path: path,
            "has \(byteCount) bytes; \(available.source) has only \(available.byteCount) left"
        )
    }
}
