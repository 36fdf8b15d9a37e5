import TensorMemory

/// Why a model file could not be turned into a graph, where, and what would work instead.
package struct ImportError: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// The model, or a file it refers to, does not exist.
        case missing
        /// The system does not let us read the file, or it is not a regular file.
        case unreadable
        /// The file ends before the data it announces.
        case truncated
        /// The bytes are not what the file format allows.
        case malformed
        /// The file can be decoded, but what it says makes no valid model.
        case invalid
        /// A valid model that needs something Sluice does not have.
        case unsupported
    }

    /// A place in a file: which message field, and where its bytes start.
    package struct Location: Hashable, Sendable {
        package var path: String
        package var field: String
        package var byte: Int?

        package init(path: String = "", field: String = "", byte: Int? = nil) {
            self.path = path
            self.field = field
            self.byte = byte
        }
    }

    package var kind: Kind
    package var message: String
    /// What the user can do about it.
    package var remedy: String?
    package var location: Location
    /// For `unsupported`: every feature that is missing, in the order of the file.
    package var features: [UnsupportedFeature]

    package init(
        _ kind: Kind,
        _ message: String,
        remedy: String? = nil,
        location: Location = Location(),
        features: [UnsupportedFeature] = []
    ) {
        self.kind = kind
        self.message = message
        self.remedy = remedy
        self.location = location
        self.features = features
    }
}

/// An operator, or a form of one, that cannot be imported, and the nodes that use it.
package struct UnsupportedFeature: Hashable, Sendable {
    package var name: String
    package var nodes: [String]

    package init(name: String, nodes: [String]) {
        self.name = name
        self.nodes = nodes
    }
}

extension ImportError: CustomStringConvertible {
    package var description: String {
        var text = location.description
        if !text.isEmpty { text += ": " }
        text += message
        for feature in features {
            let count = feature.nodes.count
            text += "\n  \(feature.name) (\(count) \(count == 1 ? "node" : "nodes")): "
            text += feature.nodes.joined(separator: ", ")
        }
        if let remedy { text += (features.isEmpty ? "; " : "\n") + remedy }
        return text
    }
}

extension ImportError.Location: CustomStringConvertible {
    package var description: String {
        var parts: [String] = []
        if !path.isEmpty { parts.append(path) }
        switch (field.isEmpty, byte) {
        case (false, let byte?): parts.append("\(field) at byte \(byte)")
        case (false, nil): parts.append(field)
        case (true, let byte?): parts.append("byte \(byte)")
        case (true, nil): break
        }
        return parts.joined(separator: ": ")
    }
}

extension ImportError {
    /// The same error, seen from the field of the model that led to the file.
    init(_ error: FileError, field: String = "") {
        let kind: Kind
        var remedy: String?
        switch error.kind {
        case .missing: kind = .missing
        case .notRegular: kind = .unreadable
        case .truncated: kind = .truncated
        case .unreadable: kind = .unreadable
        case .tooManyOpenFiles:
            kind = .unreadable
            remedy = "raise the limit with `ulimit -n`, or save the weights to one file"
        }
        self.init(
            kind,
            error.message,
            remedy: remedy,
            location: Location(path: error.path, field: field)
        )
    }

    /// The same error with the file it is about, where none was known yet.
    func located(in path: String) -> ImportError {
        var copy = self
        if copy.location.path.isEmpty { copy.location.path = path }
        return copy
    }
}

/// A name from a model file, made safe for a message: quoted, escaped and cut when very long.
func quoted(_ name: String) -> String { "\"\(escaped(name))\"" }

/// Text from a model file without anything that would act on a terminal, cut when very long.
func escaped(_ text: String) -> String {
    let limit = 120
    let shown = text.unicodeScalars.prefix(limit).map { $0.escaped(asASCII: false) }.joined()
    return text.unicodeScalars.count > limit ? shown + "..." : shown
}
