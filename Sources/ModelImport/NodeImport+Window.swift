import GraphIR

/// Convolutions and pooling.
extension NodeForm {
    mutating func windowOperator() throws(ImportError) -> Operator? {
        switch node.type {
        case "Conv":
            try takes(2...3)
            try givesOne()
            return .convolution(try convolution(isTransposed: false))
        case "ConvTranspose":
            try takes(2...3)
            try givesOne()
            return .convolution(try convolution(isTransposed: true))
        case "MaxPool":
            try takes(1...1)
            let columnsFirst = try flag("storage_order")
            let pool = try pool(.maximum)
            if usesOutput(1) {
                return .composite(.windows(pool, storesColumnsFirst: columnsFirst))
            }
            try keepFirstOutput(others: "its second output, Indices")
            return .pool(pool)
        case "AveragePool":
            try takes(1...1)
            try givesOne()
            return .pool(try pool(.average))
        case "LpPool":
            try takes(1...1)
            try givesOne()
            return .pool(try pool(.lp(int("p", default: 2, in: positiveSizes))))
        case "GlobalAveragePool":
            try takes(1...1)
            return .globalPool(.average)
        case "GlobalMaxPool":
            try takes(1...1)
            return .globalPool(.maximum)
        case "GlobalLpPool":
            try takes(1...1)
            return .globalPool(.lp(try int("p", default: 2, in: positiveSizes)))
        default: return nil
        }
    }

    mutating func convolution(isTransposed: Bool) throws(ImportError) -> Convolution {
        var result = Convolution(isTransposed: isTransposed)
        result.group = try int("group", default: 1, in: positiveSizes)
        let window = try window()
        result.kernel = window.kernel
        result.strides = window.strides
        result.dilations = window.dilations
        result.padding = window.padding
        guard isTransposed else { return result }

        result.outputPadding = try sizes("output_padding", in: sizesFromZero)
        result.outputShape = try sizes("output_shape", in: positiveSizes)
        try check("output_padding", result.outputPadding, axes: window.axisCount)
        if let axisCount = window.axisCount {
            // Some exporters write the batch and the channels as well.
            if result.outputShape.count == axisCount + 2 { result.outputShape.removeFirst(2) }
            try check("output_shape", result.outputShape, axes: axisCount)
        }
        return result
    }

    private mutating func pool(_ kind: PoolKind) throws(ImportError) -> Pool {
        let window = try window()
        guard !window.kernel.isEmpty else { throw absent("kernel_shape") }
        var result = Pool(kind: kind, kernel: window.kernel)
        result.strides = window.strides
        result.dilations = window.dilations
        result.padding = window.padding
        result.ceilMode = try flag("ceil_mode")
        if kind == .average { result.countIncludesPadding = try flag("count_include_pad") }
        return result
    }

    private struct Window {
        var kernel: [Int]
        var strides: [Int]
        var dilations: [Int]
        var padding: Padding
        /// How many spatial axes the attributes speak of; nil when they leave it open.
        var axisCount: Int?
    }

    /// The attributes that convolutions and pooling share.
    private mutating func window() throws(ImportError) -> Window {
        let kernel = try sizes("kernel_shape", in: positiveSizes)
        let strides = try sizes("strides", in: positiveSizes)
        let dilations = try sizes("dilations", in: positiveSizes)
        let pads = try sizes("pads", in: sizesFromZero)
        let padding = try choice(
            "auto_pad",
            default: "NOTSET",
            [
                "NOTSET": Padding.explicit(pads), "SAME_UPPER": .sameUpper,
                "SAME_LOWER": .sameLower, "VALID": .valid,
            ]
        )
        let counts = [kernel.count, strides.count, dilations.count, pads.count / 2]
        let axisCount = counts.first { $0 > 0 }
        try check("strides", strides, axes: axisCount)
        try check("dilations", dilations, axes: axisCount)
        try check("pads", pads, axes: axisCount.map { 2 * $0 })
        return Window(
            kernel: kernel,
            strides: strides,
            dilations: dilations,
            padding: padding,
            axisCount: axisCount
        )
    }

    private func check(_ name: String, _ list: [Int], axes: Int?) throws(ImportError) {
        guard list.isEmpty || list.count == axes else {
            throw invalid(
                "has \(list.count) numbers in its attribute \(quoted(name)), "
                    + (axes.map { "not \($0)" } ?? "which fits no number of axes")
            )
        }
    }
}
