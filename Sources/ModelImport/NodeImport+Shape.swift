import GraphIR

/// Operators that say or change the shape of a tensor.
extension NodeForm {
    mutating func shapeOperator() throws(ImportError) -> Operator? {
        switch node.type {
        case "Reshape":
            try takes(2...2)
            return .reshape(allowZero: try flag("allowzero"))
        case "Flatten":
            try takes(1...1)
            return .flatten(axis: try axis(default: 1))
        case "Transpose":
            try takes(1...1)
            return .transpose(permutation: try permutation())
        case "Unsqueeze":
            if let axes = try axisList() { try setInput(1, role: "axes", integers: axes) }
            try takes(2...2)
            return .unsqueeze
        case "Squeeze":
            if let axes = try axisList() { try setInput(1, role: "axes", integers: axes) }
            try takes(1...2)
            return .squeeze
        case "Shape":
            try takes(1...1)
            let end = try node.attributes["end"].map { _ throws(ImportError) in try axis("end") }
            return .shape(start: try axis("start", default: 0), end: end)
        case "Size":
            try takes(1...1)
            return .size
        case "Expand":
            try takes(2...2)
            return .expand
        case "ConstantOfShape": return try constantOfShape()
        case "Range":
            try takes(3...3)
            return .range
        default: return nil
        }
    }

    private mutating func permutation() throws(ImportError) -> [Int]? {
        guard let values = try ints("perm") else { return nil }
        guard values.sorted() == (0..<Int64(values.count)).map({ $0 }) else {
            throw invalid("has \(values) as its attribute \"perm\", which is no permutation")
        }
        return values.map { Int($0) }
    }

    private mutating func constantOfShape() throws(ImportError) -> Operator {
        try takes(1...1)
        guard let value = attribute("value") else {
            return .constantOfShape(value: 0, dtype: .float32)
        }
        guard case .tensor = value, let fill, fill.elementCount == 1 else {
            throw invalid("needs a tensor of one element as its attribute \"value\"")
        }
        let number = fill.doubles[0]
        if let integer = fill.integers?[0], Int64(exactly: number) != integer {
            throw unsupported("with the value \(integer)")
        }
        return .constantOfShape(value: number, dtype: fill.type.dtype)
    }
}
