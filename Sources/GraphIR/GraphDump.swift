extension Graph {
    /// The graph as text: one input, constant, node or output per line, in the graph's order.
    ///
    /// The same graph always gives the same text.
    package func dump() -> String {
        var lines = ["graph \(quoted(name))"]
        for input in inputs {
            let declared =
                input.dimensions
                .map { "[\($0.map(\.description).joined(separator: "x"))]" } ?? "[...]"
            lines.append(
                "input \(input.value) \(quoted(self[input.value].name)) "
                    + "declared \(input.dtype)\(declared) bound \(typeText(input.value))"
            )
        }
        for value in values {
            guard let constant = value.constant else { continue }
            lines.append(
                "constant \(value.id) \(quoted(value.name)) \(constant.type) "
                    + constant.source.text
            )
        }
        for (number, body) in bodies.enumerated() {
            lines.append("body \(number) (\(names(body.inputs))) -> \(names(body.outputs))")
            lines += body.nodes.map { "  " + text($0) }
        }
        lines += nodes.map(text)
        for output in outputs {
            lines.append("output \(output) \(quoted(self[output].name)) \(typeText(output))")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func names(_ ids: [ValueID]) -> String {
        ids.map(\.description).joined(separator: " ")
    }

    private func text(_ node: Node) -> String {
        let results = node.outputs.map { id in
            id.map { "\($0) \(quoted(self[$0].name)) \(typeText($0))" } ?? "_"
        }
        let operands = node.inputs.map { $0?.description ?? "_" }
        return "node \(quoted(node.name)) \(results.joined(separator: ", ")) = \(node.op) "
            + operands.joined(separator: " ")
    }

    private func typeText(_ id: ValueID) -> String {
        guard let type = self[id].type else { return "?" }
        let bounds = self[id].extents.sorted { $0.key < $1.key }.map { axis, count in
            " (axis \(axis): \(count) of \(type.shape[axis]))"
        }
        return type.description + bounds.joined()
    }
}

/// A name with quotes around it, in printable ASCII: names come from model files.
private func quoted(_ name: String) -> String {
    var text = "\""
    for scalar in name.unicodeScalars {
        switch scalar {
        case "\"", "\\": text += "\\\(scalar)"
        case " "..."~": text.unicodeScalars.append(scalar)
        default: text += "\\u{\(String(scalar.value, radix: 16))}"
        }
    }
    return text + "\""
}

extension Constant.Source {
    /// Where the bytes come from, in one line.
    fileprivate var text: String {
        switch self {
        case .file(let range):
            return "file \(range.file) at \(range.offset), \(range.byteCount) bytes"
        case .literal(let tensor):
            return "literal \(tensor.shortText)"
        case .fill(let value):
            return "fill \(value)"
        case .computed(let op, let operands):
            let parts = operands.map { $0.map { "\($0.type) \($0.source.text)" } ?? "_" }
            return "computed \(op) {\(parts.joined(separator: "; "))}"
        }
    }
}

extension DenseTensor {
    /// The first elements, and how many follow.
    fileprivate var shortText: String {
        let limit = 8
        let shown: [String]
        let count: Int
        switch storage {
        case .floats(let elements):
            (shown, count) = (elements.prefix(limit).map { "\($0)" }, elements.count)
        case .doubles(let elements):
            (shown, count) = (elements.prefix(limit).map { "\($0)" }, elements.count)
        case .integers(let elements):
            let isUnsigned = type.dtype == .uint64
            shown = elements.prefix(limit).map {
                isUnsigned ? "\(UInt64(bitPattern: $0))" : "\($0)"
            }
            count = elements.count
        }
        let rest = count > limit ? ", and \(count - limit) more" : ""
        return "[\(shown.joined(separator: ", "))\(rest)]"
    }
}
