import GraphIR
import ModelImport
import Testing

/// What old operator sets have as attributes and new ones as inputs becomes the same graph.
@Suite("Forms of operators over the operator sets")
struct OperatorFormTests {
    private func integers(_ name: String, _ values: [Int64]) -> Proto {
        integerTensor(name, [Int64(values.count)], values)
    }

    @Test("axes of Squeeze, Unsqueeze and the reductions become inputs")
    func axes() throws {
        for (type, op) in [("Squeeze", Operator.squeeze), ("Unsqueeze", .unsqueeze)] {
            let old = try importNode(
                node(type, ["x"], ["y"], ["axes": .ints([0, -1])], name: "n"),
                opset: 11
            )
            #expect(old.op == op)
            #expect(old.inputs == ["x", "n.axes"])
            #expect(old.literals[1] == DenseTensor(shape: [2], integers: [0, -1]))
            let new = try importNode(
                node(type, ["x", "a"], ["y"]),
                initializers: [integers("a", [0, -1])],
                opset: 13
            )
            #expect(new.op == op)
            #expect(new.literals[1] == old.literals[1])
        }
        #expect(try importNode(node("Squeeze", ["x"], ["y"]), opset: 11).inputs == ["x"])
        let missing = modelOf(node("Unsqueeze", ["x"], ["y"]), opset: 11)
        #expect(try importError(missing).kind == .invalid)
    }

    static let reductions: [(String, ReductionKind)] = [
        ("ReduceSum", .sum), ("ReduceMean", .mean), ("ReduceMin", .minimum),
        ("ReduceMax", .maximum), ("ReduceProd", .product), ("ReduceL1", .l1), ("ReduceL2", .l2),
        ("ReduceSumSquare", .sumOfSquares), ("ReduceLogSum", .logSum),
        ("ReduceLogSumExp", .logSumExp),
    ]

    @Test("reductions take axes either way", arguments: reductions)
    func reduction(type: String, kind: ReductionKind) throws {
        let old = try importNode(
            node(type, ["x"], ["y"], ["axes": .ints([2, 3]), "keepdims": .int(0)]),
            opset: 11
        )
        #expect(
            old.op
                == .reduce(Reduction(kind: kind, keepsDimensions: false, ignoresEmptyAxes: false))
        )
        #expect(old.literals[1]?.integers == [2, 3])
        let new = try importNode(
            node(type, ["x"], ["y"], ["noop_with_empty_axes": .int(1)]),
            opset: 18
        )
        #expect(
            new.op
                == .reduce(Reduction(kind: kind, keepsDimensions: true, ignoresEmptyAxes: true))
        )
        #expect(new.inputs == ["x"])
    }

    @Test("limits of Clip become inputs")
    func clip() throws {
        let both = try importNode(
            node("Clip", ["x"], ["y"], ["min": .float(0), "max": .float(6)]),
            opset: 6 + 1
        )
        #expect(both.op == .clip)
        #expect(both.literals.map { $0?.floats } == [nil, [0], [6]])
        let upper = try importNode(node("Clip", ["x"], ["y"], ["max": .float(6)]), opset: 10)
        #expect(upper.inputs == ["x", nil, "y.max"])
        let none = try importNode(node("Clip", ["x", "", ""], ["y"]), opset: 13)
        #expect(none.inputs == ["x"])
    }

    @Test("bounds of Slice and sizes of Split become inputs")
    func sliceAndSplit() throws {
        let slice = try importNode(
            node(
                "Slice",
                ["x"],
                ["y"],
                ["starts": .ints([0]), "ends": .ints([.max]), "axes": .ints([1])]
            ),
            opset: 9
        )
        #expect(slice.op == .slice)
        #expect(slice.literals.map { $0?.integers } == [nil, [0], [.max], [1]])
        let split = try importNode(
            node("Split", ["x"], ["a", "b"], ["axis": .int(1), "split": .ints([2, 3])]),
            outputs: ["a", "b"],
            opset: 11
        )
        #expect(split.op == .split(axis: 1))
        #expect(split.literals[1]?.integers == [2, 3])
        #expect(split.outputs == ["a", "b"])
        let equal = try importNode(
            node("Split", ["x"], ["a", "b"], ["num_outputs": .int(2)]),
            outputs: ["a"],
            opset: 18
        )
        #expect(equal.inputs == ["x"])

        let wrong = node("Split", ["x"], ["a", "b"], ["num_outputs": .int(3)])
        #expect(try importError(modelOf(wrong, outputs: ["a"], opset: 18)).kind == .invalid)
        let ragged = node("Slice", ["x"], ["y"], ["starts": .ints([0]), "ends": .ints([1, 2])])
        #expect(try importError(modelOf(ragged, opset: 9)).kind == .invalid)
    }

    @Test("an output without a name is wanted by nobody, whatever inputs others go without")
    func unnamedOutputs() throws {
        let clip = node("Clip", ["x", "", "m"], ["c"])
        let pool = node("MaxPool", ["c"], ["p", ""], ["kernel_shape": .ints([2])])
        let drop = node("Dropout", ["p"], ["y", ""])
        let graph = GraphParts(
            nodes: [clip, pool, drop],
            inputs: [value("x"), value("m")],
            outputs: [value("y")]
        )
        let imported = try importModel(ModelImportTests.model(graph)).graph
        let plain = try importModel(
            ModelImportTests.model(
                GraphParts(
                    nodes: [
                        clip, node("MaxPool", ["c"], ["p"], ["kernel_shape": .ints([2])]),
                        node("Dropout", ["p"], ["y"]),
                    ],
                    inputs: [value("x"), value("m")],
                    outputs: [value("y")]
                )
            )
        ).graph
        #expect(imported.nodes.map(\.op) == plain.nodes.map(\.op))
    }

    @Test("pads become an input, and the value where it counts")
    func pad() throws {
        let old = try importNode(
            node("Pad", ["x"], ["y"], ["pads": .ints([0, 1, 0, 1]), "value": .float(2)]),
            opset: 7
        )
        #expect(old.op == .pad(.constant))
        #expect(old.literals[1]?.integers == [0, 1, 0, 1])
        #expect(old.literals[2]?.floats == [2])
        let reflect = try importNode(
            node("Pad", ["x", "p", "", "a"], ["y"], ["mode": .string("reflect")]),
            initializers: [integers("p", [1, 1]), integers("a", [0])],
            opset: 19
        )
        #expect(reflect.op == .pad(.reflect))
        #expect(reflect.inputs == ["x", "p", nil, "a"])
        let unknown = node("Pad", ["x"], ["y"], ["pads": .ints([]), "mode": .string("mirror")])
        #expect(try importError(modelOf(unknown, opset: 7)).kind == .unsupported)
    }

    @Test("Softmax flattens before operator set 13")
    func softmax() throws {
        func op(_ opset: Int64, _ axis: Int64?) throws -> Operator {
            try importNode(
                axis.map { node("Softmax", ["x"], ["y"], ["axis": .int($0)]) }
                    ?? node("Softmax", ["x"], ["y"]),
                opset: opset
            ).op
        }
        #expect(try op(12, nil) == .softmax(axis: 1, flattened: true))
        #expect(try op(12, 2) == .softmax(axis: 2, flattened: true))
        #expect(try op(13, nil) == .softmax(axis: -1, flattened: false))
        #expect(try op(13, 1) == .softmax(axis: 1, flattened: false))
    }

    @Test("Dropout is the identity unless it trains")
    func dropout() throws {
        let old = node("Dropout", ["x"], ["y", "mask"], ["ratio": .float(0.5)])
        #expect(try importNode(old, opset: 7).op == .identity)
        #expect(try importNode(old, opset: 7).outputs == ["y"])
        let used = try importModel(modelOf(old, outputs: ["y", "mask"], opset: 7))
        #expect(used.graph.nodes[0].op == .composite(.dropout(keepsMask: true)))

        func training(_ value: UInt8) -> Proto {
            modelOf(
                node("Dropout", ["x", "", "t"], ["y"]),
                initializers: [tensor("t", .bool, []) { $0.data(9, [value]) }],
                opset: 13
            )
        }
        #expect(try ImportedNode(importModel(training(0))).inputs == ["x"])
        #expect(try importError(training(1)).kind == .unsupported)
        let computed = modelOf(
            node("Dropout", ["x", "", "t"], ["y"]),
            inputs: ["x", "t"],
            opset: 13
        )
        #expect(try importError(computed).kind == .unsupported)
    }

    @Test("BatchNormalization in its forms for inference")
    func batchNormalization() throws {
        let names = ["x", "s", "b", "m", "v"]
        func batch(
            _ outputs: [String] = ["y"],
            _ attributes: KeyValuePairs<String, Attribute> = [:],
            opset: Int64,
            used: [String] = ["y"]
        ) -> Proto {
            modelOf(
                node("BatchNormalization", names, outputs, attributes),
                inputs: names,
                outputs: used,
                opset: opset
            )
        }
        let plain = batch(["y"], ["momentum": .float(0.9), "spatial": .int(1)], opset: 7)
        #expect(try ImportedNode(importModel(plain)).op == .batchNormalization(epsilon: 1e-5))
        let epsilon = batch(["y", "a", "b2"], ["epsilon": .float(0.5)], opset: 9)
        let normal = try ImportedNode(importModel(epsilon))
        #expect(normal.op == .batchNormalization(epsilon: 0.5))
        #expect(normal.outputs == ["y"])
        let refused = [
            batch(["y"], ["spatial": .int(0)], opset: 8),
            batch(["y", "a"], opset: 9, used: ["y", "a"]),
        ]
        for proto in refused { #expect(try importError(proto).kind == .unsupported) }
    }

    @Test("sums of two are additions, of one the identity")
    func variadic() throws {
        func op(_ type: String, _ count: Int) throws -> Operator {
            let inputs = (0..<count).map { "x\($0)" }
            return try importNode(node(type, inputs, ["y"]), inputs: inputs, opset: 8).op
        }
        #expect(try op("Sum", 1) == .identity)
        #expect(try op("Sum", 2) == .binary(.add))
        #expect(try op("Sum", 3) == .variadic(.sum))
        #expect(try op("Min", 2) == .binary(.minimum))
        #expect(try op("Max", 3) == .variadic(.maximum))
        #expect(try op("Mean", 2) == .variadic(.mean))
        #expect(try importError(modelOf(node("Sum", [], ["y"]), opset: 8)).kind == .invalid)
    }

    @Test("ConstantOfShape keeps type and value")
    func constantOfShape() throws {
        func fill(_ value: Proto?) throws -> Operator {
            let plain = node("ConstantOfShape", ["x"], ["y"])
            let filled = value.map { node("ConstantOfShape", ["x"], ["y"], ["value": .tensor($0)]) }
            return try importNode(filled ?? plain, opset: 9).op
        }
        #expect(try fill(nil) == .constantOfShape(value: 0, dtype: .float32))
        #expect(
            try fill(floatTensor("", [1], [0.5])) == .constantOfShape(value: 0.5, dtype: .float32)
        )
        #expect(
            try fill(integerTensor("", [1], [-7])) == .constantOfShape(value: -7, dtype: .int64)
        )
        #expect(throws: ImportError.self) { try fill(floatTensor("", [2], [1, 2])) }
        #expect(throws: ImportError.self) { try fill(integerTensor("", [1], [.max])) }
    }

    @Test("Cast, Gather, Shape, Transpose, Concat, Flatten and Gemm read their attributes")
    func plainAttributes() throws {
        let cases: [(Proto, Operator)] = [
            (node("Cast", ["x"], ["y"], ["to": .int(7)]), .cast(to: .int64)),
            (node("Gather", ["x", "x"], ["y"], ["axis": .int(-2)]), .gather(axis: -2)),
            (node("Gather", ["x", "x"], ["y"]), .gather(axis: 0)),
            (node("Shape", ["x"], ["y"]), .shape(start: 0, end: nil)),
            (
                node("Shape", ["x"], ["y"], ["start": .int(1), "end": .int(-1)]),
                .shape(start: 1, end: -1)
            ),
            (node("Transpose", ["x"], ["y"]), .transpose(permutation: nil)),
            (
                node("Transpose", ["x"], ["y"], ["perm": .ints([1, 0])]),
                .transpose(permutation: [1, 0])
            ),
            (node("Concat", ["x", "x"], ["y"], ["axis": .int(1)]), .concat(axis: 1)),
            (node("Flatten", ["x"], ["y"]), .flatten(axis: 1)),
            (node("Reshape", ["x", "x"], ["y"]), .reshape(allowZero: false)),
            (
                node("Gemm", ["x", "x"], ["y"], ["transB": .int(1), "alpha": .float(2)]),
                .gemm(Gemm(alpha: 2, transposeA: false, transposeB: true))
            ),
            (node("Mod", ["x", "x"], ["y"]), .binary(.modulo(truncated: false))),
            (node("Mod", ["x", "x"], ["y"], ["fmod": .int(1)]), .binary(.modulo(truncated: true))),
            (
                node("Gelu", ["x"], ["y"], ["approximate": .string("tanh")]),
                .unary(.gelu(tanhApproximation: true))
            ),
            (
                node("LRN", ["x"], ["y"], ["size": .int(5)]),
                .localResponseNormalization(size: 5, alpha: 1e-4, beta: 0.75, bias: 1)
            ),
            (node("HardSigmoid", ["x"], ["y"]), .unary(.hardSigmoid(alpha: 0.2, beta: 0.5))),
            (node("LeakyRelu", ["x"], ["y"]), .unary(.leakyRelu(alpha: 0.01))),
            (node("PRelu", ["x", "x"], ["y"]), .binary(.parametricRelu)),
            (node("Where", ["x", "x", "x"], ["y"]), .select),
        ]
        for (node, op) in cases { #expect(try importNode(node, opset: 20).op == op) }
    }

    @Test("attributes out of range, of the wrong kind or missing are refused")
    func wrongAttributes() throws {
        let wrong = [
            node("Cast", ["x"], ["y"]),
            node("Concat", ["x"], ["y"]),
            node("Concat", ["x"], ["y"], ["axis": .int(.min)]),
            node("Concat", ["x"], ["y"], ["axis": .float(1)]),
            node("Transpose", ["x"], ["y"], ["perm": .ints([0, 0])]),
            node("LRN", ["x"], ["y"]),
            node("Squeeze", ["x"], ["y"], ["axes": .ints([1 << 40])]),
            node("Gemm", ["x"], ["y"]),
            node("Relu", ["x", "x"], ["y"]),
            node("Relu", [""], ["y"]),
            node("Relu", ["x"], ["y", "z"]),
            node("Concat", ["x", ""], ["y"], ["axis": .int(0)]),
        ]
        for proto in wrong {
            let error = try importError(modelOf(proto, opset: 11))
            #expect(error.kind == .invalid, "\(error)")
        }
        let types = try importError(modelOf(node("Cast", ["x"], ["y"], ["to": .int(8)]), opset: 9))
        #expect(types.features.map(\.name) == ["Cast to string"])
        var twice = node("Concat", ["x"], ["y"], ["axis": .int(0), "axis": .int(1)])
        #expect(try importError(modelOf(twice, opset: 11)).kind == .invalid)
        // A reference to an attribute of a function, outside of any function.
        var reference = Proto()
        reference.text(1, "axis")
        reference.text(21, "outer")
        reference.number(20, 2)
        twice = node("Concat", ["x"], ["y"])
        twice.message(5, reference)
        #expect(try importError(modelOf(twice, opset: 11)).kind == .invalid)
    }

    @Test("attributes without a type are read by the field that is there")
    func attributesWithoutType() throws {
        var axis = Proto()
        axis.text(1, "axis")
        axis.number(3, 2)
        var concat = node("Concat", ["x"], ["y"])
        concat.message(5, axis)
        #expect(try importNode(concat, opset: 11).op == .concat(axis: 2))
    }
}
