/// Gathers what is wrong with the nodes of a model, so that a user learns all that is missing
/// at once instead of one operator per attempt.
struct Diagnosis {
    private var features: [UnsupportedFeature] = []
    private var indices: [String: Int] = [:]
    private var firstFailure: ImportError?

    /// Notes that `node` needs an operator we do not have.
    mutating func addUnknownOperator(_ node: NodeRecord) {
        addFeature(escaped(node.operatorName.description), user: quoted(node.label))
    }

    /// Notes an error that concerns one node or tensor; `user` names it.
    mutating func add(_ error: ImportError, user: String) {
        if error.kind == .unsupported {
            addFeature(error.message, user: user)
        } else if firstFailure == nil {
            firstFailure = error
        }
    }

    mutating func addFeature(_ name: String, user: String) {
        if let index = indices[name] {
            features[index].nodes.append(user)
        } else {
            indices[name] = features.count
            features.append(UnsupportedFeature(name: name, nodes: [user]))
        }
    }

    /// Throws when anything was noted.
    ///
    /// What is unsupported comes first: mending the file would not help.
    func check() throws(ImportError) {
        if !features.isEmpty {
            let count = features.count
            let what = count == 1 ? "operator or feature" : "operators or features"
            throw ImportError(
                .unsupported,
                "the model needs \(count) \(what) that Sluice does not have:",
                remedy: "`onnxsim` or another export setting may replace them",
                features: features
            )
        }
        if let firstFailure { throw firstFailure }
    }
}
