import Sluice
import Testing

@Suite("Models that a program makes")
struct ModelBuilderTests {
    /// A convolution, a pool and a product, with weights from a formula.
    private func network() -> ModelBuilder {
        func weights(_ shape: [Int]) -> Tensor {
            let count = shape.reduce(1, *)
            return Tensor(shape: shape, (0..<count).map { Float($0 * 37 % 101 - 50) / 101 })
        }
        var network = ModelBuilder(name: "small")
        let image = network.input("image", shape: ["batch", 3, 16, 16])
        let filter = network.constant(weights([40, 3, 3, 3]), name: "filter")
        let features = network.add(
            "Conv",
            image,
            filter,
            attributes: ["pads": [1, 1, 1, 1], "auto_pad": "NOTSET", "group": 1]
        )
        let active = network.add("LeakyRelu", features, attributes: ["alpha": 0.125])
        let pooled = network.add("Flatten", network.add("GlobalAveragePool", active))
        let scores = network.add("Gemm", pooled, network.constant(weights([40, 70])))
        network.output(scores, name: "scores")
        return network
    }

    private func input(batch: Int) -> [String: Tensor] {
        let elements = (0..<batch * 768).map { Float($0 % 17) / 17 }
        return ["image": Tensor(shape: [batch, 3, 16, 16], elements)]
    }

    @Test("a model that was made computes what its operators say")
    func arithmetic() throws {
        var network = ModelBuilder()
        let x = network.input("x", shape: ["rows", 3])
        let w = network.constant(Tensor(shape: [3, 2], [1, 0, 0, 1, 1, -1]), name: "w")
        let product = network.add("MatMul", x, w, name: "product")
        let parts = network.add(
            "Split",
            inputs: [product, network.constant([1, 1])],
            attributes: ["axis": 1],
            outputCount: 2
        )
        network.output(network.add("Relu", parts[0]), name: "left")
        network.output(parts[1])
        let model = try network.build()
        #expect(model.inputs.map(\.dimensions) == [["rows", "3"]])
        #expect(model.outputNames == ["left", "Split.1"])

        var options = RunOptions()
        options.shapes = ["x": [2, 3]]
        let session = try InferenceSession(model: model, options: options)
        let outputs = try session.run(["x": Tensor(shape: [2, 3], [1, 2, 3, -4, 5, -6])])
        #expect(outputs["left"] == Tensor(shape: [2, 1], [4, 0]))
        #expect(outputs["Split.1"] == Tensor(shape: [2, 1], [-1, 11]))
    }

    @Test("budgets and threads are those of any model, and the bits are the same")
    func budgets() throws {
        let model = try network().build()
        var reference: [String: Tensor]?
        for budget in [MemoryBudget.unlimited, .percent(50), .minimum] {
            for threads in [1, 2] {
                var options = RunOptions()
                options.deviceMemory = budget
                options.threads = threads
                options.shapes = ["image": [2, 3, 16, 16]]
                let session = try InferenceSession(model: model, options: options)
                #expect(session.devicePeakBytes == session.plan.plannedDevicePeakBytes)
                let outputs = try session.run(input(batch: 2))
                #expect(outputs["scores"]?.shape == [2, 70])
                if let reference { #expect(outputs == reference) }
                reference = outputs
            }
        }
    }

    @Test("a builder goes on after a model was made of it")
    func continues() throws {
        var network = ModelBuilder()
        let x = network.input("x", shape: [4])
        network.output(network.add("Neg", x), name: "y")
        let first = try network.build()
        network.output(network.add("Abs", x), name: "z")
        #expect(first.outputNames == ["y"])
        #expect(try network.build().outputNames == ["y", "z"])
    }

    @Test("constants of every type come out as they went in", arguments: ElementType.allCases)
    func constants(type: ElementType) throws {
        var network = ModelBuilder()
        let x = network.input("x", type, shape: [2])
        let constant = sample(type)
        let joined = network.add(
            "Concat",
            x,
            network.constant(constant),
            attributes: ["axis": 0]
        )
        network.output(joined, name: "y")
        let zeros = Tensor(
            elementType: type,
            shape: [2],
            bytes: Array(repeating: 0, count: 2 * type.byteCount)
        )
        let session = try InferenceSession(model: network.build())
        let y = try #require(try session.run(["x": zeros])["y"])
        #expect(y.elementType == type)
        #expect(y.bytes == zeros.bytes + constant.bytes)
    }

    @Test("mistakes are errors that name them")
    func mistakes() throws {
        func message(_ change: (inout ModelBuilder, ModelBuilder.Value) -> Void) throws -> String {
            var network = ModelBuilder(name: "wrong")
            let x = network.input("x", shape: [2])
            change(&network, x)
            let error = #expect(throws: SluiceError.self) { try network.build() }
            return try #require(error).message
        }
        let unknown = try message { $0.output($0.add("Frobnicate", $1)) }
        #expect(unknown.contains("Frobnicate"))
        #expect(unknown.contains("wrong"))
        var other = ModelBuilder()
        let foreign = other.input("elsewhere", shape: [2])
        #expect(try message { $0.output($0.add("Add", $1, foreign)) }.contains("elsewhere"))
        let attribute = try message {
            $0.output($0.add("Softmax", $1, attributes: ["axis": "last"]))
        }
        #expect(attribute.contains("axis"))
        let inputs = try message { $0.output($0.add("Relu", $1, $1)) }
        #expect(inputs.contains("2 inputs"))
        let twice = try message {
            $0.output($0.add("Neg", $1, name: "y"))
            $0.output($0.add("Abs", $1, name: "y"))
        }
        #expect(twice.contains("y"))
        #expect(try message { _ = $0.add("Relu", $1) }.contains("returns nothing"))
    }
}

/// Three elements that computing in float32 does not change.
private func sample(_ type: ElementType) -> Tensor {
    if type == .float64 { return Tensor(shape: [3], [1.5, -2, 1024.25] as [Double]) }
    let bytes = (0..<3 * type.byteCount).map { type == .bool ? UInt8($0 & 1) : UInt8($0 + 1) }
    return Tensor(elementType: type, shape: [3], bytes: bytes)
}
