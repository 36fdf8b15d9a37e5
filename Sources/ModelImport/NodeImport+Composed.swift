import GraphIR

/// Operators that simpler ones make up.
extension NodeForm {
    mutating func composedOperator() throws(ImportError) -> Operator? {
        if let composite = try elementwiseComposite() { return .composite(composite) }
        if let composite = try movementComposite() { return .composite(composite) }
        return nil
    }

    private mutating func elementwiseComposite() throws(ImportError) -> Composite? {
        switch node.type {
        case "Celu":
            try takes(1...1)
            return .celu(alpha: try float("alpha", default: 1))
        case "Selu":
            try takes(1...1)
            return .selu(
                alpha: try float("alpha", default: 1.673_263_2),
                gamma: try float("gamma", default: 1.050_701)
            )
        case "Mish":
            try takes(1...1)
            return .mish
        case "Softsign":
            try takes(1...1)
            return .softsign
        case "ThresholdedRelu":
            try takes(1...1)
            return .thresholdedRelu(alpha: try float("alpha", default: 1))
        case "Swish":
            try takes(1...1)
            return .swish(alpha: try float("alpha", default: 1))
        case "SwiGLU":
            try takes(2...2)
            return .swiGLU(alpha: try float("alpha", default: 1))
        case "Shrink":
            try takes(1...1)
            return .shrink(
                lambda: try float("lambd", default: 0.5),
                bias: try float("bias", default: 0)
            )
        case "Xor":
            try takes(2...2)
            return .xor
        case "CastLike":
            try takes(2...2)
            ignore("saturate", "round_mode")
            return .castLike
        default: return nil
        }
    }

    private mutating func movementComposite() throws(ImportError) -> Composite? {
        switch node.type {
        case "DepthToSpace":
            try takes(1...1)
            let columnsFirst = try choice("mode", default: "DCR", ["DCR": true, "CRD": false])
            return .depthToSpace(block: try block(), columnsFirst: columnsFirst)
        case "SpaceToDepth":
            try takes(1...1)
            // The order of DepthToSpace, which this one has only in newer operator sets.
            let columnsFirst = try choice("mode", default: "DCR", ["DCR": true, "CRD": false])
            return .spaceToDepth(block: try block(), columnsFirst: columnsFirst)
        case "Trilu":
            try takes(1...2)
            return .trilu(upper: try flag("upper", default: true))
        case "EyeLike":
            try takes(1...1)
            return .eyeLike(
                offset: try int("k", default: 0, in: -Int(Int32.max)...Int(Int32.max)),
                dtype: try elementType("dtype")
            )
        case "ReverseSequence":
            try takes(2...2)
            return .reverseSequence(
                batchAxis: try axis("batch_axis", default: 1),
                timeAxis: try axis("time_axis", default: 0)
            )
        case "CenterCropPad":
            try takes(2...2)
            return .centerCropPad(axes: (try axisList() ?? []).map { Int($0) })
        case "MaxUnpool":
            try takes(2...3)
            let kernel = try sizes("kernel_shape", in: positiveSizes)
            let strides = try sizes("strides", in: positiveSizes)
            let pads = try sizes("pads", in: sizesFromZero)
            return .maxUnpool(
                Pool(kind: .maximum, kernel: kernel, strides: strides, padding: .explicit(pads))
            )
        case "Col2Im":
            try takes(3...3)
            return .col2Im(
                strides: try sizes("strides", in: positiveSizes),
                dilations: try sizes("dilations", in: positiveSizes),
                pads: try sizes("pads", in: sizesFromZero)
            )
        case "Det":
            try takes(1...1)
            return .determinant
        case "AffineGrid":
            try takes(2...2)
            return .affineGrid(alignCorners: try flag("align_corners"))
        case "GridSample": return try gridSample()
        case "RoiAlign": return try roiAlign()
        case "DFT":
            try takes(1...3)
            // Sums that cancel must come out closer to zero than float32 brings them.
            guard try !flag("inverse") else { throw unsupported("of the inverse kind") }
            return .fourier(
                // An attribute until operator set 20, then an input with another default.
                axis: opset < 20 ? try axis(default: 1) : nil,
                isOneSided: try flag("onesided")
            )
        case "HannWindow": return try window(.hann)
        case "HammingWindow": return try window(.hamming)
        case "BlackmanWindow": return try window(.blackman)
        default: return nil
        }
    }

    private mutating func block() throws(ImportError) -> Int {
        guard node.attributes["blocksize"] != nil else { throw absent("blocksize") }
        return try int("blocksize", default: 1, in: 1...Int(Int16.max))
    }

    /// An element type given by its code; nil when absent.
    mutating func elementType(_ name: String) throws(ImportError) -> DType? {
        guard let code = try int(name) else { return nil }
        guard let dtype = Int32(exactly: code).flatMap(DType.init(rawValue:)) else {
            throw unsupported("to \(dataTypeName(code))")
        }
        return dtype
    }

    private mutating func window(_ window: SignalWindow) throws(ImportError) -> Composite {
        try takes(1...1)
        return .window(
            window,
            isPeriodic: try flag("periodic", default: true),
            dtype: try elementType("output_datatype") ?? .float32
        )
    }

    private mutating func gridSample() throws(ImportError) -> Composite {
        try takes(2...2)
        return .gridSample(
            GridSampling(
                mode: try choice(
                    "mode",
                    default: "linear",
                    [
                        "linear": Resize.Mode.linear, "bilinear": .linear, "nearest": .nearest,
                        "cubic": .cubic, "bicubic": .cubic,
                    ]
                ),
                border: try choice(
                    "padding_mode",
                    default: "zeros",
                    [
                        "zeros": GridSampling.Border.zeros, "border": .border,
                        "reflection": .reflection,
                    ]
                ),
                alignCorners: try flag("align_corners")
            )
        )
    }

    private mutating func roiAlign() throws(ImportError) -> Composite {
        try takes(3...3)
        let isHalfPixel = try choice(
            "coordinate_transformation_mode",
            default: opset < 16 ? "output_half_pixel" : "half_pixel",
            ["half_pixel": true, "output_half_pixel": false]
        )
        let samplingRatio = try int("sampling_ratio", default: 0, in: sizesFromZero)
        guard samplingRatio > 0 else {
            throw unsupported("with a sampling_ratio that depends on the boxes")
        }
        return .roiAlign(
            RegionAlignment(
                takesMaximum: try choice("mode", default: "avg", ["avg": false, "max": true]),
                outputHeight: try int("output_height", default: 1, in: positiveSizes),
                outputWidth: try int("output_width", default: 1, in: positiveSizes),
                samplingRatio: samplingRatio,
                spatialScale: try float("spatial_scale", default: 1),
                isHalfPixel: isHalfPixel
            )
        )
    }
}
