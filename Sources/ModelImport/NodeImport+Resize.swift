import GraphIR

/// Resize in its three forms, and Upsample, which it replaced.
extension NodeForm {
    mutating func resizeOperator() throws(ImportError) -> Operator? {
        switch node.type {
        case "Upsample": return try upsample()
        case "Resize" where opset < 11: return try resizeByScales()
        case "Resize": return try resize()
        default: return nil
        }
    }

    /// The scales are an attribute in operator set 7 and an input in 9.
    ///
    /// They are never below one, so that the nearest element is always the one before.
    private mutating func upsample() throws(ImportError) -> Operator {
        if let scales = try floats("scales") {
            try setInput(1, role: "scales", DenseTensor(shape: [scales.count], floats: scales))
        }
        try takes(2...2)
        try givesOne()
        let mode = try choice(
            "mode",
            default: "nearest",
            ["nearest": Resize.Mode.nearest, "linear": .linear]
        )
        moveScales()
        return .resize(Resize(mode: mode, coordinates: .asymmetric, rounding: .floor))
    }

    /// Operator set 10 does not say which element is nearest.
    ///
    /// Like onnxruntime, this takes the one before where it enlarges and the one after where it
    /// shrinks.
    private mutating func resizeByScales() throws(ImportError) -> Operator {
        try takes(2...2)
        try givesOne()
        let mode = try choice(
            "mode",
            default: "nearest",
            ["nearest": Resize.Mode.nearest, "linear": .linear]
        )
        var rounding = Resize.Rounding.floor
        if mode == .nearest {
            guard let scales = literal(1)?.floats else {
                throw unsupported("of operator set 10 to the nearest element by computed scales")
            }
            if scales.contains(where: { $0 < 1 }) {
                guard !scales.contains(where: { $0 > 1 }) else {
                    throw unsupported("of operator set 10 that enlarges and shrinks at once")
                }
                rounding = .ceil
            }
        }
        moveScales()
        return .resize(Resize(mode: mode, coordinates: .asymmetric, rounding: rounding))
    }

    /// Puts the scales where later operator sets have them, after the region of interest.
    private mutating func moveScales() {
        setInput(2, inputs[1])
        setInput(1, nil)
    }

    private mutating func resize() throws(ImportError) -> Operator {
        try takes(1...4)
        try givesOne()
        var result = Resize(mode: .nearest)
        result.mode = try choice(
            "mode",
            default: "nearest",
            ["nearest": .nearest, "linear": .linear, "cubic": .cubic]
        )
        result.coordinates = try choice(
            "coordinate_transformation_mode",
            default: "half_pixel",
            [
                "half_pixel": .halfPixel, "half_pixel_symmetric": .halfPixelSymmetric,
                "pytorch_half_pixel": .pytorchHalfPixel, "align_corners": .alignCorners,
                "asymmetric": .asymmetric, "tf_half_pixel_for_nn": .tfHalfPixelForNearest,
                "tf_crop_and_resize": .cropAndResize,
            ]
        )
        result.rounding = try choice(
            "nearest_mode",
            default: "round_prefer_floor",
            [
                "round_prefer_floor": .preferFloor, "round_prefer_ceil": .preferCeil,
                "floor": .floor, "ceil": .ceil,
            ]
        )
        result.aspectPolicy = try choice(
            "keep_aspect_ratio_policy",
            default: "stretch",
            ["stretch": .stretch, "not_larger": .notLarger, "not_smaller": .notSmaller]
        )
        result.cubicCoefficient = try float("cubic_coeff_a", default: -0.75)
        result.excludesOutside = try flag("exclude_outside")
        result.extrapolation = try float("extrapolation_value", default: 0)
        result.antialias = try flag("antialias")
        result.axes = (try axisList() ?? []).map { Int($0) }
        try dropEmptyInputs(usesRegion: result.coordinates == .cropAndResize)
        return .resize(result)
    }

    /// Exporters give an empty tensor for the input that does not count.
    ///
    /// The region of interest counts only for one way of mapping coordinates.
    private mutating func dropEmptyInputs(usesRegion: Bool) throws(ImportError) {
        for index in 1...3 where literal(index)?.elementCount == 0 { setInput(index, nil) }
        if hasInput(2), hasInput(3) {
            guard literal(2) == nil else { throw invalid("has both scales and sizes") }
            setInput(2, nil)
        }
        guard hasInput(2) || hasInput(3) else { throw invalid("has neither scales nor sizes") }
        if usesRegion {
            guard hasInput(1) else { throw invalid("has no region of interest") }
        } else if hasInput(1) {
            setInput(1, nil)
        }
    }
}
