import GraphIR
import Testing

@Suite struct GraphTests {
    /// x + b, where b is a literal, then a recipe multiplied in.
    private func sample() -> Graph {
        var graph = Graph(name: "sample")
        let x = graph.addValue(name: "x", type: TensorType(.float32, [1, 2]))
        graph.inputs = [
            GraphInput(
                value: x,
                dtype: .float32,
                dimensions: [.symbol("N"), .fixed(2)]
            )
        ]
        let file = FileRange(file: 0, offset: 100, byteCount: 8)
        let raw = Constant(type: TensorType(.float32, [2]), source: .file(file))
        let w = graph.addValue(name: "w", constant: raw)
        let b = graph.addValue(
            name: "b\n",
            constant: Constant(DenseTensor(shape: [2], floats: [1, 0.5]))
        )
        let recipe = graph.addValue(
            name: "r",
            constant: Constant(
                type: TensorType(.float32, [2]),
                source: .computed(
                    .binary(.multiply),
                    [raw, Constant(type: raw.type, source: .fill(2))]
                )
            )
        )
        let sum = graph.addValue(name: "sum")
        let y = graph.addValue(name: "y")
        graph.nodes = [
            Node(name: "add", op: .binary(.add), inputs: [x, b], outputs: [sum]),
            Node(
                name: "conv",
                op: .convolution(Convolution(group: 2, strides: [2], padding: .sameUpper)),
                inputs: [sum, w, nil, recipe],
                outputs: [y, nil]
            ),
        ]
        graph.outputs = [y]
        return graph
    }

    @Test func dumpIsStableText() {
        let expected = #"""
            graph "sample"
            input %0 "x" declared float32[Nx2] bound float32[1x2]
            constant %1 "w" float32[2] file 0 at 100, 8 bytes
            constant %2 "b\u{a}" float32[2] literal [1.0, 0.5]
            constant %3 "r" float32[2] computed multiply \#
            {float32[2] file 0 at 100, 8 bytes; float32[2] fill 2.0}
            node "add" %4 "sum" ? = add %0 %2
            node "conv" %5 "y" ?, _ = \#
            convolution(group: 2, strides: [2], padding: sameUpper) %4 %1 _ %3
            output %5 "y" ?

            """#
        #expect(sample().dump() == expected)
    }

    @Test func longLiteralsAreCutShort() {
        var graph = Graph(name: "")
        graph.addValue(
            name: "c",
            constant: Constant(DenseTensor(shape: [10], integers: Array(0..<10)))
        )
        #expect(graph.dump().contains("literal [0, 1, 2, 3, 4, 5, 6, 7, and 2 more]"))
    }

    @Test func aWellFormedGraphHasNoViolation() {
        #expect(sample().firstViolation() == nil)
        #expect(Graph(name: "empty").firstViolation() == nil)
    }

    /// A change that breaks one rule, and what the violation says then.
    struct Damage: Sendable {
        let message: String
        let apply: @Sendable (inout Graph) -> Void

        init(_ message: String, _ apply: @escaping @Sendable (inout Graph) -> Void) {
            self.message = message
            self.apply = apply
        }
    }

    static let damages: [Damage] = [
        Damage("calls itself") { $0.values.swapAt(0, 1) },
        Damage("have the name") { $0.values[1].name = "x" },
        Damage("negative size") { $0.values[0].type = TensorType(.float32, [-1, 2]) },
        Damage("not its value's") { $0.values[1].type = TensorType(.float32, [3]) },
        Damage("bytes in the file") {
            $0.values[1].constant?.source = .file(FileRange(file: 0, offset: 0, byteCount: 7))
        },
        Damage("negative") {
            $0.values[1].constant?.source = .file(FileRange(file: 0, offset: -1, byteCount: 8))
        },
        Damage("a literal whose") {
            $0.values[2].constant?.source = .literal(
                DenseTensor(type: TensorType(.float32, [2]), storage: .floats([1]))
            )
        },
        Damage("operand of multiply") {
            let short = FileRange(file: 0, offset: 0, byteCount: 4)
            let operand = Constant(type: TensorType(.float32, [2]), source: .file(short))
            $0.values[3].constant?.source = .computed(.binary(.multiply), [operand, operand])
        },
        Damage("is a constant") { $0.inputs[0].value = ValueID(1) },
        Damage("listed twice") { $0.inputs.append($0.inputs[0]) },
        Damage("against its shape") { $0.inputs[0].dimensions = [.fixed(3), .unknown] },
        Damage("declared as int8") { $0.inputs[0].dtype = .int8 },
        Damage("input %9 does not exist") { $0.inputs[0].value = ValueID(9) },
        Damage("before it is produced") { $0.nodes.swapAt(0, 1) },
        Damage("reads %9") { $0.nodes[0].inputs[1] = ValueID(9) },
        Damage("produces %-1") { $0.nodes[0].outputs[0] = ValueID(-1) },
        Damage("known already") { $0.nodes[1].outputs[1] = ValueID(4) },
        Damage("known already") { $0.nodes[0].outputs[0] = ValueID(0) },
        Damage("produces nothing") { $0.nodes[1].outputs = [nil] },
        Damage("output %6 does not exist") { $0.outputs.append(ValueID(6)) },
        Damage("never produced") { $0.nodes.removeLast() },
    ]

    @Test("every broken rule is found", arguments: damages.indices)
    func brokenRules(index: Int) {
        var graph = sample()
        let damage = Self.damages[index]
        damage.apply(&graph)
        let violation = graph.firstViolation()
        #expect(violation?.contains(damage.message) == true, "\(violation ?? "none")")
    }
}
