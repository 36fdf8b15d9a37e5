import GraphIR
import Sluice
import Testing

@Suite("Inference sessions")
struct InferenceSessionTests {
    private func withModel<Result>(_ body: (Model) throws -> Result) throws -> Result {
        try openRows.withPath { try body(try Model(path: $0)) }
    }

    private func options(rows: Int) -> RunOptions {
        var options = RunOptions()
        options.shapes = ["a": [rows, 3]]
        options.threads = 2
        return options
    }

    private func error(_ body: () throws -> Void) throws -> SluiceError {
        try #require(throws: SluiceError.self) { try body() }
    }

    @Test("a dimension named in one input is known in all")
    func namedDimensionsBind() throws {
        try withModel { model in
            let types = try model.inputTypes(shapes: ["b": [5, 3]])
            #expect(types == [TensorType(.float32, [5, 3]), TensorType(.float32, [5, 3])])
            #expect(model.inputs.map { $0.dimensions } == [["rows", "3"], ["rows", "3"]])
            #expect(model.outputNames == ["y"])
        }
    }

    @Test("shapes that do not fit the file are refused")
    func wrongShapes() throws {
        try withModel { model in
            let open = try error { _ = try model.inputTypes(shapes: [:]) }
            #expect(open.kind == .usage)
            #expect(open.message.contains("--shape a=1x3"))
            let unknown = try error { _ = try model.inputTypes(shapes: ["c": [1]]) }
            #expect(unknown.message.contains("a, b"))
            for shapes in [["a": [5]], ["a": [5, 4]], ["a": [5, 3], "b": [6, 3]]] {
                let error = try error { _ = try model.inputTypes(shapes: shapes) }
                #expect(error.kind == .badData)
            }
            #expect(throws: SluiceError.self) { try model.boundGraph(shapes: ["a": [-1, 3]]) }
        }
    }

    @Test("named tensors go in and come out")
    func namedTensors() throws {
        try withModel { model in
            let session = try InferenceSession(model: model, options: options(rows: 2))
            let outputs = try session.run([
                "a": Tensor(shape: [2, 3], [1, 2, 3, 0, 0, 1]),
                "b": Tensor(shape: [2, 3], [0, 0, 0, 1, 0, -1]),
            ])
            #expect(outputs == ["y": Tensor(shape: [2, 2], [14, 0, 1, 0])])
            #expect(session.devicePeakBytes == session.plan.plannedDevicePeakBytes)
        }
    }

    @Test("outputs have the size the data says, at every budget")
    func sizesByData() throws {
        let file = ModelFile(
            nodes: [
                ("Relu", ["x"], "positive"), ("NonZero", ["positive"], "places"),
                ("Transpose", ["places"], "tuples"), ("GatherND", ["x", "tuples"], "values"),
            ],
            inputs: [("x", [.size(2), .size(3)])],
            outputs: ["tuples", "values"]
        )
        try file.withPath { path in
            for budget in [MemoryBudget.unlimited, .minimum] {
                var options = RunOptions()
                options.deviceMemory = budget
                let session = try InferenceSession(model: Model(path: path), options: options)
                #expect(session.plan.outputTypes.map(\.shape) == [[6, 2], [6]])
                #expect(session.devicePeakBytes == session.plan.plannedDevicePeakBytes)
                for elements: [Float] in [[0, 5, -1, 2, 0, 3], [0, 0, 0, 0, 0, -1]] {
                    let x = Tensor(shape: [2, 3], elements)
                    let outputs = try session.run(["x": x])
                    let positive = elements.filter { $0 > 0 }
                    #expect(outputs["values"] == Tensor(shape: [positive.count], positive))
                    #expect(outputs["tuples"]?.shape == [positive.count, 2])
                    let reference = try session.plan.referenceOutputs(["x": x])
                    #expect(reference == [outputs["tuples"], outputs["values"]])
                }
            }
        }
    }

    @Test("a count beyond the bound of the plan is an error that names the output")
    func countBeyondBound() throws {
        let made = Tensor(shape: [2, 3], [1, 2, 3, 4, 5, 6])
        #expect(try made.cut(axis: 1, to: 2, name: "y") == Tensor(shape: [2, 2], [1, 2, 4, 5]))
        #expect(try made.cut(axis: 0, to: 0, name: "y") == Tensor(shape: [0, 3], []))
        for count in [-1, 4] {
            let error = try error { _ = try made.cut(axis: 1, to: count, name: "y") }
            #expect(error.kind == .badData)
            #expect(error.message.contains("'y'"))
        }
    }

    @Test("an input of which only the shape counts takes no device memory")
    func unreadInput() throws {
        var network = ModelBuilder()
        let large = network.input("large", shape: [64, 1024])
        let small = network.input("small", shape: [4])
        network.output(network.add("Shape", large), name: "sizes")
        network.output(network.add("Neg", small), name: "negated")
        let session = try InferenceSession(model: network.build())
        let outputs = try session.run([
            "large": Tensor(shape: [64, 1024], Array(repeating: 0, count: 64 << 10)),
            "small": Tensor(shape: [4], [1, 2, 3, 4]),
        ])
        #expect(outputs["negated"] == Tensor(shape: [4], [-1, -2, -3, -4]))
        #expect(outputs["sizes"] == Tensor(shape: [2], [64, 1024] as [Int64]))
        #expect(session.plan.plannedDevicePeakBytes == session.devicePeakBytes)
        #expect(session.devicePeakBytes < 1024)
    }

    @Test("no rows in, no rows out")
    func emptyTensors() throws {
        try withModel { model in
            let empty = Tensor(shape: [0, 3], [])
            let session = try InferenceSession(model: model, options: options(rows: 0))
            let outputs = try session.run(["a": empty, "b": empty])
            #expect(outputs == ["y": Tensor(shape: [0, 2], [])])
        }
    }

    @Test("missing, unknown and wrong inputs are errors that name them")
    func wrongInputs() throws {
        try withModel { model in
            let session = try InferenceSession(model: model, options: options(rows: 1))
            let right = Tensor(shape: [1, 3], [1, 2, 3])
            let missing = try error { _ = try session.run(["a": right]) }
            #expect(missing.kind == .usage)
            #expect(missing.message.contains("'b'"))
            let unknown = try error {
                _ = try session.run(["a": right, "b": right, "c": right])
            }
            #expect(unknown.message.contains("'c'"))
            let shape = Tensor(shape: [3, 1], [1, 2, 3])
            let wrong = try error { _ = try session.run(["a": right, "b": shape]) }
            #expect(wrong.kind == .badData)
            #expect(wrong.message.contains("'b'"))
            #expect(try session.run(["a": right, "b": right])["y"]?.floats == [28, 0])
        }
    }

    @Test("runs of one session from several tasks take turns")
    func concurrentRuns() async throws {
        let session = try withModel {
            try InferenceSession(model: $0, options: options(rows: 4))
        }
        await withTaskGroup(of: Bool.self) { group in
            for task in 0..<8 {
                group.addTask {
                    (0..<50).allSatisfy { round in
                        let value = Float(task * 100 + round)
                        let input = Tensor(shape: [4, 3], Array(repeating: value, count: 12))
                        let zero = Tensor(shape: [4, 3], Array(repeating: 0, count: 12))
                        let output = try? session.run(["a": input, "b": zero])
                        return output?["y"]?.floats
                            == (0..<8).map { $0.isMultiple(of: 2) ? 6 * value : 0 }
                    }
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }

    @Test("a budget below the minimum is impossible, one byte more is not")
    func budgets() throws {
        try withModel { model in
            var options = options(rows: 2)
            options.deviceMemory = .minimum
            let minimum = try Plan(model: model, options: options).plannedDevicePeakBytes
            options.deviceMemory = .bytes(minimum - 1)
            let error = try error { _ = try Plan(model: model, options: options) }
            #expect(error.kind == .impossible)
            #expect(error.message.contains("\(minimum) bytes"))
            options.deviceMemory = .bytes(minimum)
            #expect(try Plan(model: model, options: options).plannedDevicePeakBytes == minimum)
        }
    }

    @Test("options that do not exist are refused")
    func wrongOptions() throws {
        try withModel { model in
            for change in [
                { $0.threads = 0 }, { $0.threads = 5000 }, { $0.gemmCore = "other" },
                { $0.instructionSet = "other" },
            ] as [(inout RunOptions) -> Void] {
                var options = options(rows: 1)
                change(&options)
                let error = try error { _ = try Plan(model: model, options: options) }
                #expect(error.kind == .usage)
            }
        }
    }

    @Test("a model that is not there is a missing file")
    func missingFile() throws {
        let error = try error { _ = try Model(path: "/nonexistent/model.onnx") }
        #expect(error.kind == .missingFile)
    }
}
