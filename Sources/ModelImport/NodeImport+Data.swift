import GraphIR

/// Operators that pick, join, repeat or surround elements.
extension NodeForm {
    mutating func dataOperator() throws(ImportError) -> Operator? {
        switch node.type {
        case "Concat":
            try takesAnyNumber()
            try givesOne()
            return .concat(axis: try axis())
        case "Split": return try split()
        case "Gather":
            try takes(2...2)
            try givesOne()
            return .gather(axis: try axis(default: 0))
        case "Slice": return try slice()
        case "Pad": return try pad()
        case "Tile":
            try takes(2...2)
            try givesOne()
            return .tile
        default: return nil
        }
    }

    /// The sizes became an input in operator set 13; `num_outputs` came with 18 and only repeats
    /// what the list of outputs says.
    private mutating func split() throws(ImportError) -> Operator {
        if let sizes = try ints("split") { try setInput(1, role: "split", integers: sizes) }
        try takes(1...2)
        if let count = try int("num_outputs") {
            guard !hasInput(1) else { throw invalid("has both num_outputs and sizes") }
            guard count == node.outputs.count else {
                throw invalid("has \(node.outputs.count) outputs, but num_outputs is \(count)")
            }
        }
        if let sizes = literal(1), sizes.elementCount != node.outputs.count {
            throw invalid("has \(node.outputs.count) outputs, but \(sizes.elementCount) sizes")
        }
        return .split(axis: try axis(default: 0))
    }

    /// Bounds and axes were attributes before operator set 10.
    private mutating func slice() throws(ImportError) -> Operator {
        if let starts = try ints("starts") { try setInput(1, role: "starts", integers: starts) }
        if let ends = try ints("ends") { try setInput(2, role: "ends", integers: ends) }
        if let axes = try axisList() { try setInput(3, role: "axes", integers: axes) }
        try takes(3...5)
        try givesOne()
        if let starts = literal(1), let ends = literal(2) {
            guard starts.elementCount == ends.elementCount else {
                throw invalid("has \(starts.elementCount) starts, but \(ends.elementCount) ends")
            }
        }
        return .slice
    }

    /// Pads and value were attributes before operator set 11.
    private mutating func pad() throws(ImportError) -> Operator {
        if let pads = try ints("pads") { try setInput(1, role: "pads", integers: pads) }
        let mode = try choice(
            "mode",
            default: "constant",
            ["constant": PadMode.constant, "reflect": .reflect, "edge": .edge, "wrap": .wrap]
        )
        if let value = try float("value"), mode == .constant {
            try setInput(2, role: "value", DenseTensor(shape: [], floats: [value]))
        }
        try takes(2...4)
        try givesOne()
        return .pad(mode)
    }
}
