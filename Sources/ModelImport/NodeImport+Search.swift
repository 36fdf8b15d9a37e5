import GraphIR

/// Operators that look for elements, and those that read or write where indices point.
extension NodeForm {
    mutating func searchOperator() throws(ImportError) -> Operator? {
        switch node.type {
        case "ArgMax": return try argument(findsMinimum: false)
        case "ArgMin": return try argument(findsMinimum: true)
        case "CumSum": return try scan(isProduct: false)
        case "CumProd": return try scan(isProduct: true)
        case "TopK": return try topK()
        case "NonZero":
            try takes(1...1)
            return .composite(.nonZero)
        case "Compress":
            try takes(2...2)
            return .composite(.compress(axis: try optionalAxis()))
        case "Unique":
            try takes(1...1)
            return .composite(
                .unique(axis: try optionalAxis(), isSorted: try flag("sorted", default: true))
            )
        case "NonMaxSuppression":
            try takes(2...5)
            return .composite(.nonMaxSuppression(boxesAreCentred: try flag("center_point_box")))
        case "GatherElements":
            try takes(2...2)
            return .composite(.gatherElements(axis: try axis(default: 0)))
        case "GatherND":
            try takes(2...2)
            return .composite(
                .gatherND(batchAxes: try int("batch_dims", default: 0, in: 0...64))
            )
        case "Scatter", "ScatterElements":
            try takes(3...3)
            let reduction = try scatterReduction()
            return .composite(.scatterElements(axis: try axis(default: 0), reduction))
        case "ScatterND":
            try takes(3...3)
            return .composite(.scatterND(try scatterReduction()))
        case "OneHot":
            try takes(3...3)
            return .composite(.oneHot(axis: try axis(default: -1)))
        case "TensorScatter":
            try takes(2...3)
            let isCircular = try choice(
                "mode",
                default: "linear",
                ["linear": false, "circular": true]
            )
            return .composite(.tensorScatter(axis: try axis(default: -2), circular: isCircular))
        default: return nil
        }
    }

    /// An axis without which the operator takes all elements in a row.
    private mutating func optionalAxis() throws(ImportError) -> Int? {
        node.attributes["axis"] == nil ? nil : try axis()
    }

    private mutating func argument(findsMinimum: Bool) throws(ImportError) -> Operator {
        try takes(1...1)
        try givesOne()
        return .argument(
            ArgumentSearch(
                axis: try axis(default: 0),
                keepsDimension: try flag("keepdims", default: true),
                findsMinimum: findsMinimum,
                takesLast: try flag("select_last_index")
            )
        )
    }

    private mutating func scan(isProduct: Bool) throws(ImportError) -> Operator {
        try takes(2...2)
        try givesOne()
        return .scan(
            Scan(
                isProduct: isProduct,
                isExclusive: try flag("exclusive"),
                isReversed: try flag("reverse")
            )
        )
    }

    /// The count was an attribute before operator set 10.
    ///
    /// Without `sorted` any order would do.
    private mutating func topK() throws(ImportError) -> Operator {
        if let count = try int("k") { try setInput(1, role: "k", integers: [count]) }
        try takes(2...2)
        ignore("sorted")
        return .composite(
            .topK(axis: try axis(default: -1), largest: try flag("largest", default: true))
        )
    }

    private mutating func scatterReduction() throws(ImportError) -> ScatterReduction {
        try choice(
            "reduction",
            default: "none",
            [
                "none": ScatterReduction.none, "add": .add, "mul": .multiply, "min": .minimum,
                "max": .maximum,
            ]
        )
    }
}
