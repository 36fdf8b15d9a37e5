import GraphIR
import ModelImport
import Testing

@Suite("Convolution, pooling and resizing")
struct WindowFormTests {
    private func operatorOf(
        _ type: String,
        inputs: [String] = ["x"],
        _ attributes: KeyValuePairs<String, Attribute> = [:],
        opset: Int64 = 13
    ) throws -> Operator {
        try importNode(
            node(type, inputs, ["y"], attributes),
            inputs: distinct(inputs),
            opset: opset
        ).op
    }

    private func errorOf(
        _ type: String,
        inputs: [String] = ["x"],
        _ attributes: KeyValuePairs<String, Attribute> = [:],
        opset: Int64 = 13
    ) throws -> ImportError {
        try importError(
            modelOf(
                node(type, inputs, ["y"], attributes),
                inputs: distinct(inputs),
                opset: opset
            )
        )
    }

    /// Every name once, as the graph declares its inputs.
    private func distinct(_ names: [String]) -> [String] {
        Set(names).filter { !$0.isEmpty }.sorted()
    }

    @Test("Conv with all attributes, and with none")
    func convolution() throws {
        #expect(
            try operatorOf(
                "Conv",
                inputs: ["x", "w", "b"],
                [
                    "group": .int(4), "kernel_shape": .ints([3, 5]), "strides": .ints([2, 1]),
                    "dilations": .ints([1, 2]), "pads": .ints([1, 2, 3, 4]),
                    "auto_pad": .string("NOTSET"),
                ]
            )
                == .convolution(
                    Convolution(
                        group: 4,
                        kernel: [3, 5],
                        strides: [2, 1],
                        dilations: [1, 2],
                        padding: .explicit([1, 2, 3, 4])
                    )
                )
        )
        #expect(try operatorOf("Conv", inputs: ["x", "w"]) == .convolution(Convolution()))
        let pads: [(String, Padding)] = [
            ("SAME_UPPER", .sameUpper), ("SAME_LOWER", .sameLower), ("VALID", .valid),
        ]
        for (word, padding) in pads {
            #expect(
                try operatorOf("Conv", inputs: ["x", "w"], ["auto_pad": .string(word)])
                    == .convolution(Convolution(padding: padding))
            )
        }
    }

    @Test("ConvTranspose adds output padding and output shape")
    func transposedConvolution() throws {
        #expect(
            try operatorOf(
                "ConvTranspose",
                inputs: ["x", "w"],
                [
                    "strides": .ints([2, 2]), "output_padding": .ints([1, 0]),
                    "output_shape": .ints([1, 8, 20, 30]),
                ]
            )
                == .convolution(
                    Convolution(
                        isTransposed: true,
                        strides: [2, 2],
                        outputPadding: [1, 0],
                        outputShape: [20, 30]
                    )
                )
        )
    }

    @Test("pooling with its attributes")
    func pooling() throws {
        #expect(
            try operatorOf(
                "MaxPool",
                [
                    "kernel_shape": .ints([3, 3]), "strides": .ints([2, 2]),
                    "pads": .ints([0, 0, 1, 1]), "ceil_mode": .int(1), "storage_order": .int(1),
                    "dilations": .ints([1, 1]),
                ]
            )
                == .pool(
                    Pool(
                        kind: .maximum,
                        kernel: [3, 3],
                        strides: [2, 2],
                        dilations: [1, 1],
                        padding: .explicit([0, 0, 1, 1]),
                        ceilMode: true
                    )
                )
        )
        #expect(
            try operatorOf(
                "AveragePool",
                ["kernel_shape": .ints([2]), "count_include_pad": .int(1)]
            )
                == .pool(Pool(kind: .average, kernel: [2], countIncludesPadding: true))
        )
        #expect(
            try operatorOf("LpPool", ["kernel_shape": .ints([2]), "p": .int(1)])
                == .pool(Pool(kind: .lp(1), kernel: [2]))
        )
        #expect(try operatorOf("GlobalAveragePool") == .globalPool(.average))
        #expect(try operatorOf("GlobalMaxPool") == .globalPool(.maximum))
        #expect(try operatorOf("GlobalLpPool") == .globalPool(.lp(2)))
    }

    @Test("indices of MaxPool are computed when they are read")
    func indices() throws {
        let pool = node("MaxPool", ["x"], ["y", "i"], ["kernel_shape": .ints([2])])
        #expect(try importNode(pool, opset: 8).outputs == ["y"])
        let used = try importModel(modelOf(pool, outputs: ["y", "i"], opset: 8))
        #expect(
            used.graph.nodes[0].op
                == .composite(
                    .windows(Pool(kind: .maximum, kernel: [2]), storesColumnsFirst: false)
                )
        )
    }

    @Test("windows that contradict themselves are refused")
    func faultyWindows() throws {
        #expect(try errorOf("MaxPool").kind == .invalid)
        #expect(try errorOf("MaxPool", ["kernel_shape": .ints([0])]).kind == .invalid)
        #expect(
            try errorOf("MaxPool", ["kernel_shape": .ints([2, 2]), "strides": .ints([2])]).kind
                == .invalid
        )
        #expect(
            try errorOf("MaxPool", ["kernel_shape": .ints([2]), "pads": .ints([1])]).kind
                == .invalid
        )
        #expect(
            try errorOf("Conv", inputs: ["x", "w"], ["pads": .ints([-1, 0])]).kind == .invalid
        )
        #expect(
            try errorOf("Conv", inputs: ["x", "w"], ["pads": .ints([1])]).kind == .invalid
        )
        #expect(
            try errorOf("Conv", inputs: ["x", "w"], ["strides": .ints([.max])]).kind == .invalid
        )
        #expect(try errorOf("Conv", inputs: ["x", "w"], ["group": .int(0)]).kind == .invalid)
        #expect(
            try errorOf("Conv", inputs: ["x", "w"], ["auto_pad": .string("SAME")]).kind
                == .unsupported
        )
    }

    @Test("Upsample is a Resize, with scales in either place")
    func upsample() throws {
        let expected = Operator.resize(
            Resize(mode: .linear, coordinates: .asymmetric, rounding: .floor)
        )
        let old = try importNode(
            node(
                "Upsample",
                ["x"],
                ["y"],
                ["scales": .floats([1, 1, 2, 2]), "mode": .string("linear")]
            ),
            opset: 7
        )
        #expect(old.op == expected)
        #expect(old.inputs == ["x", nil, "y.scales"])
        #expect(old.literals[2]?.floats == [1, 1, 2, 2])
        let new = try importNode(
            node("Upsample", ["x", "s"], ["y"], ["mode": .string("linear")]),
            inputs: ["x", "s"],
            opset: 9
        )
        #expect(new.op == expected)
        #expect(new.inputs == ["x", nil, "s"])
    }

    @Test("Resize of operator set 10 rounds by the direction")
    func resizeByScales() throws {
        func resize(_ scales: [Float]) -> Proto {
            modelOf(
                node("Resize", ["x", "s"], ["y"]),
                initializers: [floatTensor("s", [Int64(scales.count)], scales)],
                opset: 10
            )
        }
        func rounding(_ scales: [Float]) throws -> Resize.Rounding? {
            guard case .resize(let form) = try ImportedNode(importModel(resize(scales))).op else {
                return nil
            }
            return form.rounding
        }
        #expect(try rounding([1, 1, 2, 2]) == .floor)
        #expect(try rounding([1, 1, 0.5, 1]) == .ceil)
        #expect(try importError(resize([1, 1, 0.5, 2])).kind == .unsupported)
        let computed = node("Resize", ["x", "s"], ["y"])
        #expect(
            try importError(modelOf(computed, inputs: ["x", "s"], opset: 10)).kind
                == .unsupported
        )
        let linear = node("Resize", ["x", "s"], ["y"], ["mode": .string("linear")])
        #expect(try importNode(linear, inputs: ["x", "s"], opset: 10).inputs == ["x", nil, "s"])
    }

    @Test("Resize drops the inputs that do not count")
    func resize() throws {
        let empty = tensor("e", .float, [0]) { _ in }
        let sizes = integerTensor("n", [4], [1, 3, 8, 8])
        let bySizes = try importNode(
            node(
                "Resize",
                ["x", "e", "e", "n"],
                ["y"],
                [
                    "mode": .string("cubic"), "cubic_coeff_a": .float(-0.5),
                    "coordinate_transformation_mode": .string("align_corners"),
                    "nearest_mode": .string("ceil"), "exclude_outside": .int(1),
                    "extrapolation_value": .float(9),
                ]
            ),
            initializers: [empty, sizes],
            opset: 11
        )
        #expect(bySizes.inputs == ["x", nil, nil, "n"])
        #expect(
            bySizes.op
                == .resize(
                    Resize(
                        mode: .cubic,
                        coordinates: .alignCorners,
                        rounding: .ceil,
                        cubicCoefficient: -0.5,
                        excludesOutside: true,
                        extrapolation: 9
                    )
                )
        )

        let byScales = try importNode(
            node(
                "Resize",
                ["x", "", "s"],
                ["y"],
                [
                    "antialias": .int(1), "axes": .ints([2, 3]), "mode": .string("linear"),
                    "keep_aspect_ratio_policy": .string("not_larger"),
                    "coordinate_transformation_mode": .string("half_pixel_symmetric"),
                ]
            ),
            inputs: ["x", "s"],
            opset: 19
        )
        #expect(byScales.inputs == ["x", nil, "s"])
        #expect(
            byScales.op
                == .resize(
                    Resize(
                        mode: .linear,
                        coordinates: .halfPixelSymmetric,
                        antialias: true,
                        aspectPolicy: .notLarger,
                        axes: [2, 3]
                    )
                )
        )
        #expect(try errorOf("Resize").kind == .invalid)
        #expect(
            try errorOf(
                "Resize",
                inputs: ["x", "", "x"],
                ["coordinate_transformation_mode": .string("tf_crop_and_resize")]
            ).kind == .invalid
        )
    }
}
