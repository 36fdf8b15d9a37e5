import GraphIR
import ModelImport
import Testing

@Suite("functions and bodies") struct ControlFlowImportTests {
    /// A function message.
    private func function(
        _ name: String,
        _ inputs: [String],
        _ outputs: [String],
        _ nodes: [Proto],
        domain: String = "own",
        defaults: KeyValuePairs<String, Attribute> = [:]
    ) -> Proto {
        var proto = Proto()
        proto.text(1, name)
        for input in inputs { proto.text(4, input) }
        for output in outputs { proto.text(5, output) }
        for node in nodes { proto.message(7, node) }
        proto.message(9, opsetImport(13))
        proto.text(10, domain)
        for (name, attribute) in defaults { proto.message(11, attribute.proto(named: name)) }
        return proto
    }

    /// A model of nodes over x that gives y, with functions.
    private func model(_ nodes: [Proto], functions: [Proto]) -> Proto {
        var proto = ModelImportTests.model(
            GraphParts(nodes: nodes, inputs: [value("x")], outputs: [value("y")])
        )
        for function in functions { proto.message(25, function) }
        return proto
    }

    @Test("a function is written out where it is called, with the attributes of the call")
    func functionsAreWrittenOut() throws {
        let leak = function(
            "Leak",
            ["a", "unused"],
            ["b"],
            [
                node("LeakyRelu", ["a"], ["t"], ["alpha": .reference("slope")]),
                node("Clip", ["t", "unused"], ["b"]),
            ],
            defaults: ["slope": .float(0.5)]
        )
        let twice = function(
            "Twice",
            ["a"],
            ["b"],
            [
                node("Leak", ["a"], ["t"], ["slope": .float(0.25)], domain: "own"),
                node("Leak", ["t"], ["b"], domain: "own"),
            ]
        )
        let imported = try importModel(
            model(
                [node("Twice", ["x"], ["y"], name: "call", domain: "own")],
                functions: [leak, twice]
            )
        )
        let slopes = imported.graph.nodes.compactMap { node -> Float? in
            if case .unary(.leakyRelu(let alpha)) = node.op { return alpha }
            return nil
        }
        #expect(slopes == [0.25, 0.5])
        #expect(imported.graph[imported.graph.outputs[0]].name == "y")
        #expect(imported.graph.nodes.allSatisfy { $0.name.hasPrefix("call") })
        let clips = imported.graph.nodes.filter { $0.op == .clip }
        #expect(clips.map(\.inputs.count) == [1, 1])
    }

    @Test("a function of the model comes before an operator of the same name")
    func functionsComeFirst() throws {
        let own = function("Relu", ["a"], ["b"], [node("Exp", ["a"], ["b"])], domain: "ai.onnx")
        let imported = try importModel(model([node("Relu", ["x"], ["y"])], functions: [own]))
        #expect(imported.graph.nodes.first?.op == .unary(.exp))
    }

    @Test("functions that call themselves, or too many others, are refused")
    func hostileFunctions() throws {
        let own = function("F", ["a"], ["b"], [node("F", ["a"], ["b"], domain: "own")])
        let call = node("F", ["x"], ["y"], domain: "own")
        let error = try importError(model([call], functions: [own]))
        #expect(error.kind == .unsupported)
        let doubling = (0..<30).map { level in
            function(
                "F\(level)",
                ["a"],
                ["b"],
                [
                    node("F\(level + 1)", ["a"], ["t"], domain: "own"),
                    node("F\(level + 1)", ["t"], ["b"], domain: "own"),
                ]
            )
        }
        let last = function("F30", ["a"], ["b"], [node("Relu", ["a"], ["b"])])
        let first = node("F0", ["x"], ["y"], domain: "own")
        #expect(
            try importError(model([first], functions: doubling + [last])).kind == .unsupported
        )
    }

    @Test("a body reads names around it, and its own names stay its own")
    func bodies() throws {
        let yes = GraphParts(nodes: [node("Exp", ["later"], ["r"])], outputs: [value("r")])
        let no = GraphParts(nodes: [node("Neg", ["later"], ["r"])], outputs: [value("r")])
        let branches: KeyValuePairs<String, Attribute> = [
            "then_branch": .graph(yes.proto), "else_branch": .graph(no.proto),
        ]
        // The node comes before the one whose result its branches read.
        let graph = GraphParts(
            nodes: [node("If", ["c"], ["y"], branches), node("Relu", ["x"], ["later"])],
            inputs: [value("x"), value("c", .bool)],
            outputs: [value("y")]
        )
        let imported = try importModel(ModelImportTests.model(graph)).graph
        #expect(imported.bodies.map(\.nodes.count) == [1, 1])
        #expect(imported.nodes.map(\.op) == [.unary(.relu), .conditional(then: 0, else: 1)])
        #expect(imported.nodes[1].inputs.count == 2)
    }

    @Test("an input that a call leaves out is absent in the bodies of the function too")
    func absentInBodies() throws {
        let yes = GraphParts(
            nodes: [node("Clip", ["a", "", "most"], ["r"])],
            outputs: [value("r")]
        )
        let no = GraphParts(nodes: [node("Neg", ["a"], ["r"])], outputs: [value("r")])
        let choice = node(
            "If",
            ["c"],
            ["b"],
            ["then_branch": .graph(yes.proto), "else_branch": .graph(no.proto)]
        )
        let positive = node("IsNaN", ["a"], ["c"])
        let own = function("F", ["a", "most"], ["b"], [positive, choice])
        let call = node("F", ["x"], ["y"], domain: "own")
        let imported = try importModel(model([call], functions: [own])).graph
        let clip = try #require(imported.bodies[0].nodes.first)
        #expect(clip.inputs.dropFirst().allSatisfy { $0 == nil })
    }

    @Test("bodies that do not fit, or are nested without end, are errors")
    func brokenBodies() throws {
        let empty = GraphParts(outputs: [value("x")]).proto
        let cases: [Proto] = [
            node("If", ["x"], ["y"], ["then_branch": .graph(empty)]),
            node(
                "If",
                ["x"],
                ["y", "z"],
                ["then_branch": .graph(empty), "else_branch": .graph(empty)]
            ),
            node("If", [], ["y"], ["then_branch": .graph(empty), "else_branch": .graph(empty)]),
            node("Loop", ["", "", "x"], ["y"], ["body": .graph(empty)]),
            node("Scan", ["x"], ["y"], ["body": .graph(empty)]),
            node("Scan", ["x"], ["y"], ["body": .graph(empty), "num_scan_inputs": .int(2)]),
        ]
        for broken in cases {
            #expect(try importError(model([broken], functions: [])).kind == .invalid)
        }
        var nested = empty
        for _ in 0..<40 {
            let inner = node(
                "If",
                ["x"],
                ["r"],
                ["then_branch": .graph(nested), "else_branch": .graph(empty)]
            )
            nested = GraphParts(nodes: [inner], outputs: [value("r")]).proto
        }
        let deep = node(
            "If",
            ["x"],
            ["y"],
            ["then_branch": .graph(nested), "else_branch": .graph(empty)]
        )
        #expect(throws: ImportError.self) { try importModel(model([deep], functions: [])) }
    }
}
