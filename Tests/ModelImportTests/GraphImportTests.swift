import GraphIR
import HostileInput
import ModelImport
import Testing

@Suite("Graphs of a model file")
struct GraphImportTests {
    @Test("initializers among the inputs are not asked of the user")
    func initializersAmongInputs() throws {
        let graph = GraphParts(
            nodes: [node("Add", ["x", "w"], ["y"])],
            initializers: [floatTensor("w", [2], [1, 2])],
            inputs: [value("w", .float, [.size(2)]), value("x", .float, [.size(2)])],
            outputs: [value("y")]
        )
        let model = try importModel(model(graph))
        #expect(model.graph.inputs.map { model.graph[$0.value].name } == ["x"])
        #expect(model.graph.outputs.map { model.graph[$0].name } == ["y"])
        #expect(model.opsets == ["": 13])
        #expect(model.irVersion == 8)
        #expect(model.producer == "tests")
    }

    @Test("a dimension is a size, a name, or open")
    func dimensions() throws {
        let declared = value(
            "x",
            .float,
            [.name("N"), .size(3), .size(-1), .open, .size(0), .name("")]
        )
        let graph = GraphParts(
            nodes: [node("Relu", ["x"], ["y"])],
            inputs: [declared],
            outputs: [value("y")]
        )
        let input = try #require(try importModel(model(graph)).graph.inputs.first)
        #expect(input.dtype == .float32)
        #expect(
            input.dimensions
                == [.symbol("N"), .fixed(3), .unknown, .unknown, .unknown, .unknown]
        )
    }

    @Test("an input may leave its rank open, or be a scalar")
    func rankOfInputs() throws {
        let graph = GraphParts(
            nodes: [node("Add", ["x", "s"], ["y"])],
            inputs: [value("x"), value("s", .double, [])],
            outputs: [value("y")]
        )
        let inputs = try importModel(model(graph)).graph.inputs
        #expect(inputs.map(\.dimensions) == [nil, []])
        #expect(inputs.map(\.dtype) == [.float32, .float64])
    }

    @Test("nodes out of order are put in order; others keep the order of the file")
    func order() throws {
        let graph = GraphParts(
            nodes: [
                node("Relu", ["b"], ["c"]), node("Neg", ["x"], ["d"]), node("Abs", ["a"], ["b"]),
                node("Exp", ["x"], ["a"]), node("Add", ["c", "d"], ["y"]),
            ],
            inputs: [value("x")],
            outputs: [value("y")]
        )
        let nodes = try importModel(model(graph)).graph.nodes
        #expect(nodes.map(\.name) == ["a", "b", "c", "d", "y"])
    }

    @Test("a long chain in reverse order needs no deep stack")
    func longChain() throws {
        let count = 20_000
        let nodes = (0..<count).reversed().map { index in
            node("Relu", [index == 0 ? "x" : "v\(index - 1)"], ["v\(index)"])
        }
        let graph = GraphParts(
            nodes: nodes,
            inputs: [value("x")],
            outputs: [value("v\(count - 1)")]
        )
        let imported = try importModel(model(graph)).graph.nodes
        #expect(imported.first?.name == "v0")
        #expect(imported.last?.name == "v\(count - 1)")
    }

    @Test("a cycle is named")
    func cycle() throws {
        let graph = GraphParts(
            nodes: [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])],
            inputs: [value("x")],
            outputs: [value("b")]
        )
        let error = try importError(model(graph))
        #expect(error.kind == .invalid)
        #expect(error.message.contains("needs its own result: \"a\" -> \"b\""))
    }

    @Test("what is made twice, read from nowhere or not returned is refused")
    func brokenGraphs() throws {
        func error(_ change: (inout GraphParts) -> Void) throws -> ImportError {
            var graph = GraphParts(
                nodes: [node("Add", ["x", "w"], ["y"])],
                initializers: [floatTensor("w", [1], [1])],
                inputs: [value("x")],
                outputs: [value("y")]
            )
            change(&graph)
            let error = try importError(model(graph))
            #expect(error.kind == .invalid)
            return error
        }
        _ = try error { $0.nodes.append(node("Relu", ["x"], ["y"])) }
        _ = try error { $0.nodes.append(node("Relu", ["x"], ["x"])) }
        _ = try error { $0.nodes.append(node("Relu", ["x"], ["w"])) }
        _ = try error { $0.nodes.append(node("Relu", ["x"], ["z", "z"])) }
        _ = try error { $0.initializers.append(floatTensor("w", [1], [1])) }
        _ = try error { $0.inputs.append(value("x")) }
        _ = try error { $0.outputs.append(value("nothing")) }
        _ = try error { $0.outputs = [] }
        _ = try error { $0.nodes.append(node("Relu", ["x"], [""])) }
        let unknown = try error { $0.nodes.append(node("Relu", ["q"], ["z"], name: "act")) }
        #expect(unknown.message == "Relu \"act\" reads \"q\", which nothing in the file makes")
        #expect(unknown.location.field == "graph.node[1]")
    }

    @Test("absent inputs and outputs are nil; a graph may return an input or a constant")
    func absentValues() throws {
        let graph = GraphParts(
            nodes: [node("Clip", ["x", "", "w"], ["y"])],
            initializers: [floatTensor("w", [], [1])],
            inputs: [value("x")],
            outputs: [value("y"), value("x"), value("w")]
        )
        let model = try importModel(model(graph))
        let clip = try ImportedNode(model)
        #expect(clip.inputs == ["x", nil, "w"])
        #expect(model.graph.outputs.map { model.graph[$0].name } == ["y", "x", "w"])
    }

    @Test("one error lists everything that is not supported")
    func everythingIsListed() throws {
        let body = GraphParts(outputs: [value("z")]).proto
        let graph = GraphParts(
            nodes: [
                node("Bernoulli", ["x"], ["a"], name: "first"),
                node("Relu", ["a"], ["b"]),
                node("If", ["b"], ["c"], ["then_branch": .graph(body)], name: "branch"),
                node("Attention", ["c"], ["d"], name: "heads", domain: "com.example"),
                node("Bernoulli", ["d"], ["e"], name: "second"),
                node("MaxPool", ["e"], ["f", "i"], ["kernel_shape": .ints([2])], name: "pool"),
                node("Conv", ["f", "f"], ["g"], ["mystery": .int(1)], name: "odd"),
                node("Add", ["g", "i"], ["y"]),
                node("Relu", ["nothing"], ["u"]),
            ],
            initializers: [tensor("names", .string, [1]) { $0.text(6, "a") }],
            inputs: [value("x"), value("t", .string)],
            outputs: [value("y")]
        )
        let error = try importError(model(graph))
        #expect(error.kind == .unsupported)
        #expect(
            error.features == [
                .init(name: "tensors of type string", nodes: ["\"names\""]),
                .init(name: "inputs of type string", nodes: ["\"t\""]),
                .init(name: "Bernoulli", nodes: ["\"first\"", "\"second\""]),
                .init(name: "com.example.Attention", nodes: ["\"heads\""]),
                .init(name: "Conv with the attribute \"mystery\"", nodes: ["\"odd\""]),
            ]
        )
        for word in ["Bernoulli (2 nodes): \"first\", \"second\"", "\"heads\"", "\"names\""] {
            #expect(error.description.contains(word))
        }
    }

    @Test("the domain ai.onnx is the default one")
    func defaultDomain() throws {
        var proto = Proto()
        proto.number(1, 8)
        proto.message(8, opsetImport(12, domain: "ai.onnx"))
        let softmax = node("Softmax", ["x"], ["y"], domain: "ai.onnx")
        proto.message(
            7,
            GraphParts(nodes: [softmax], inputs: [value("x")], outputs: [value("y")]).proto
        )
        let model = try importModel(proto)
        #expect(model.opsets == ["": 12])
        #expect(try ImportedNode(model).op == .softmax(axis: 1, flattened: true))
    }

    @Test("versions that are too old are refused, newer ones are read as the newest known")
    func versions() throws {
        func softmax(opset: Int64, irVersion: Int64 = 8) -> Proto {
            let graph = GraphParts(
                nodes: [node("Softmax", ["x"], ["y"])],
                inputs: [value("x")],
                outputs: [value("y")]
            )
            return model(graph, opset: opset, irVersion: irVersion)
        }
        #expect(try importError(softmax(opset: 6)).kind == .unsupported)
        #expect(try importError(softmax(opset: -1)).kind == .unsupported)
        #expect(try importError(softmax(opset: 13, irVersion: 2)).kind == .unsupported)
        let newer = try ImportedNode(importModel(softmax(opset: .max, irVersion: 1 << 40)))
        #expect(newer.op == .softmax(axis: -1, flattened: false))
        #expect(try importModel(softmax(opset: 7, irVersion: 3)).graph.nodes.count == 1)

        var without = Proto()
        without.number(1, 8)
        without.message(
            7,
            GraphParts(
                nodes: [node("Relu", ["x"], ["y"])],
                inputs: [value("x")],
                outputs: [value("y")]
            ).proto
        )
        #expect(try importError(without).kind == .invalid)
        var twice = softmax(opset: 13)
        twice.message(8, opsetImport(14))
        #expect(try importError(twice).kind == .invalid)
    }

    @Test("inputs of other kinds than tensors are refused")
    func inputsOfOtherKinds() throws {
        var type = Proto()
        type.message(4, Proto())
        var sequence = Proto()
        sequence.text(1, "s")
        sequence.message(2, type)
        var graph = GraphParts(
            nodes: [node("Relu", ["x"], ["y"])],
            inputs: [value("x"), sequence],
            outputs: [value("y")]
        )
        #expect(try importError(model(graph)).kind == .unsupported)

        var untyped = Proto()
        untyped.text(1, "s")
        graph.inputs[1] = untyped
        #expect(try importError(model(graph)).kind == .invalid)
        graph.inputs[1] = value("s", .float, [.size(1 << 40), .size(1 << 40)])
        #expect(try importError(model(graph)).kind == .invalid)
    }

    @Test("a missing model and a directory are told apart from bad data")
    func missingModel() throws {
        try withTemporaryDirectory { directory in
            let missing = #expect(throws: ImportError.self) {
                _ = try importONNX(path: directory + "/none.onnx")
            }
            #expect(missing?.kind == .missing)
            let folder = #expect(throws: ImportError.self) {
                _ = try importONNX(path: directory)
            }
            #expect(folder?.kind == .unreadable)
        }
    }
}
