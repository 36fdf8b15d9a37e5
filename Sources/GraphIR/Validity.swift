extension Graph {
    /// The first rule of a well-formed graph that this one breaks; nil when it breaks none.
    ///
    /// Independent of everything that builds or changes graphs, and deliberately plain:
    /// - every value knows its own number, and names are unique;
    /// - a value is a constant, a graph input or the result of one node, never two of these;
    /// - a node reads only constants, inputs and results of nodes before it;
    /// - outputs exist;
    /// - a constant's elements are as many as its type says.
    package func firstViolation() -> String? {
        valueViolation() ?? inputViolation() ?? nodeViolation()
    }

    private func exists(_ id: ValueID) -> Bool { values.indices.contains(id.index) }

    private func valueViolation() -> String? {
        var names: Set<String> = []
        for (index, value) in values.enumerated() {
            if value.id.index != index { return "value \(index) calls itself \(value.id)" }
            if !names.insert(value.name).inserted {
                return "two values have the name '\(value.name)'"
            }
            for (axis, count) in value.extents {
                guard exists(count), self[count].type == TensorType(.int64, []),
                    value.type?.shape.indices.contains(axis) == true
                else { return "value '\(value.name)' has no axis \(axis) with a count" }
            }
            if let type = value.type, let violation = shapeViolation(type) {
                return "value '\(value.name)': \(violation)"
            }
            guard let constant = value.constant else { continue }
            if value.type != constant.type {
                return "constant '\(value.name)' has a type that is not its value's"
            }
            if let violation = constant.violation() {
                return "constant '\(value.name)': \(violation)"
            }
        }
        return nil
    }

    private func inputViolation() -> String? {
        var seen: Set<ValueID> = []
        for input in inputs {
            guard exists(input.value) else { return "input \(input.value) does not exist" }
            let value = self[input.value]
            if value.constant != nil { return "input '\(value.name)' is a constant" }
            if !seen.insert(input.value).inserted { return "input '\(value.name)' is listed twice" }
            guard let type = value.type else { continue }
            if type.dtype != input.dtype {
                return "input '\(value.name)' is bound to \(type), declared as \(input.dtype)"
            }
            if let dimensions = input.dimensions {
                let fits =
                    dimensions.count == type.shape.count
                    && zip(dimensions, type.shape).allSatisfy { dimension, size in
                        if case .fixed(let declared) = dimension { return declared == size }
                        return true
                    }
                if !fits { return "input '\(value.name)' is bound to \(type) against its shape" }
            }
        }
        return nil
    }

    private func nodeViolation() -> String? {
        var isKnown = values.map { $0.constant != nil }
        for input in inputs { isKnown[input.value.index] = true }
        for (index, node) in nodes.enumerated() {
            let place = "node \(index) '\(node.name)'"
            for case let input? in node.inputs {
                guard exists(input) else { return "\(place) reads \(input), which does not exist" }
                if !isKnown[input.index] {
                    return "\(place) reads '\(self[input].name)' before it is produced"
                }
            }
            if node.outputs.allSatisfy({ $0 == nil }) { return "\(place) produces nothing" }
            for case let output? in node.outputs {
                guard exists(output) else {
                    return "\(place) produces \(output), which does not exist"
                }
                if isKnown[output.index] {
                    return "\(place) produces '\(self[output].name)', which is known already"
                }
                isKnown[output.index] = true
            }
        }
        for (number, body) in bodies.enumerated() {
            let read = body.inputs + body.outputs + body.nodes.flatMap(\.values)
            if !read.allSatisfy(exists) { return "body \(number) has a value that does not exist" }
        }
        for output in outputs {
            guard exists(output) else { return "output \(output) does not exist" }
            if !isKnown[output.index] { return "output '\(self[output].name)' is never produced" }
        }
        return nil
    }
}

extension Node {
    fileprivate var values: [ValueID] { (inputs + outputs).compactMap { $0 } }
}

private func shapeViolation(_ type: TensorType) -> String? {
    do throws(ShapeError) {
        try checkShape(type.shape)
        return nil
    } catch {
        return error.message
    }
}

extension Constant {
    fileprivate func violation() -> String? {
        if let violation = shapeViolation(type) { return violation }
        switch source {
        case .file(let range):
            if range.file < 0 || range.offset < 0 { return "its place in the file is negative" }
            if range.byteCount != type.byteCount {
                return "\(range.byteCount) bytes in the file for \(type.byteCount) bytes of \(type)"
            }
        case .literal(let tensor):
            if tensor.type != type { return "a literal of type \(tensor.type) for \(type)" }
            if !tensor.isConsistent { return "a literal whose elements do not fit \(type)" }
        case .fill(let value):
            if !type.dtype.isFloatingPoint, value != value.rounded() || !value.isFinite {
                return "\(type.dtype) filled with \(value)"
            }
        case .computed(let op, let operands):
            for operand in operands {
                if let violation = operand?.violation() { return "operand of \(op): \(violation)" }
            }
        }
        return nil
    }
}
