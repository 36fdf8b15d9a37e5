import GraphIR
import ModelImport
import Testing

/// A model that returns its input and carries `tensors` along.
private func carrying(_ tensors: [Proto]) -> Proto {
    let graph = GraphParts(
        nodes: [node("Relu", ["x"], ["y"])],
        initializers: tensors,
        inputs: [value("x")],
        outputs: [value("y")]
    )
    return model(graph)
}

@Suite("Tensors of a model file")
struct TensorImportTests {
    @Test("large raw data become a range of the file, at any alignment", arguments: 0..<4)
    func largeRawDataStayInTheFile(shift: Int) throws {
        let values = (0..<100).map { Float($0) }
        let name = "w" + String(repeating: "_", count: shift)
        let model = try importModel(carrying([floatTensor(name, [10, 10], values)]))
        let range = try model.fileRange(name)
        #expect(range.file == 0)
        #expect(try fileBytes(range, of: model) == values.littleEndianBytes)
        #expect(try model.constant(name).type == TensorType(.float32, [10, 10]))
    }

    @Test("packed typed data of one piece are a range as well")
    func packedDataStayInTheFile() throws {
        let values = (0..<100).map { Float($0) / 3 }
        let doubles = values.map { Double($0) }
        let model = try importModel(
            carrying([
                tensor("f", .float, [100]) { $0.data(4, values.littleEndianBytes) },
                tensor("d", .double, [100]) {
                    $0.data(10, doubles.flatMap(\.littleEndianBytes))
                },
            ])
        )
        #expect(try fileBytes(model.fileRange("f"), of: model) == values.littleEndianBytes)
        #expect(try model.fileRange("d").byteCount == 800)
    }

    @Test("typed data in pieces are read in, in order")
    func piecesAreReadIn() throws {
        let values = (0..<200).map { Float($0) - 7.5 }
        let model = try importModel(
            carrying([
                tensor("single", .float, [200]) { proto in
                    for value in values { proto.float(4, value) }
                },
                tensor("mixed", .float, [2, 100]) { proto in
                    proto.data(4, Array(values[..<50]).littleEndianBytes)
                    for value in values[50..<60] { proto.float(4, value) }
                    proto.data(4, Array(values[60...]).littleEndianBytes)
                },
                tensor("doubles", .double, [2]) { proto in
                    proto.double(10, 0.1)
                    proto.double(10, -1e300)
                },
            ])
        )
        #expect(try model.constant("single").literal?.floats == values)
        #expect(try model.constant("mixed").literal?.floats == values)
        #expect(try model.constant("doubles").literal?.doubles == [0.1, -1e300])
    }

    @Test("narrow types are stored as numbers of 32 bits")
    func narrowTypesInInt32Data() throws {
        func packed(_ values: [Int64]) -> [UInt8] {
            values.flatMap { Proto.varint(UInt64(bitPattern: $0)) }
        }
        let model = try importModel(
            carrying([
                tensor("half", .float16, [2]) { $0.data(5, packed([0x3c00, 0xc000])) },
                tensor("brain", .bfloat16, [1]) { $0.number(5, 0x3f80) },
                tensor("byte", .int8, [3]) { $0.data(5, packed([-128, 0, 127])) },
                tensor("flag", .bool, [2]) { $0.data(5, packed([1, 0])) },
                tensor("word", .int32, [1]) { $0.number(5, -3) },
                tensor("wide", .uint64, [1]) { $0.number(11, -1) },
            ])
        )
        #expect(try model.constant("half").literal?.floats == [1, -2])
        #expect(try model.constant("brain").literal?.floats == [1])
        #expect(try model.constant("byte").literal?.integers == [-128, 0, 127])
        #expect(try model.constant("flag").literal?.integers == [1, 0])
        #expect(try model.constant("word").literal?.integers == [-3])
        #expect(try model.constant("wide").literal?.integers == [-1])
    }

    @Test("raw integers keep their sign")
    func rawIntegersKeepTheirSign() throws {
        let model = try importModel(
            carrying([
                tensor("a", .int8, [2]) { $0.data(9, [0xff, 0x7f]) },
                tensor("b", .uint8, [2]) { $0.data(9, [0xff, 0x7f]) },
                tensor("c", .int32, []) { $0.data(9, [0xfe, 0xff, 0xff, 0xff]) },
                tensor("d", .float16, [1]) { $0.data(9, [0x00, 0x3e]) },
            ])
        )
        #expect(try model.constant("a").literal?.integers == [-1, 127])
        #expect(try model.constant("b").literal?.integers == [255, 127])
        #expect(try model.constant("c").literal?.integers == [-2])
        #expect(try model.constant("c").type.shape == [])
        #expect(try model.constant("d").literal?.floats == [1.5])
    }

    @Test("integers up to 64 KiB and anything up to 256 bytes are literals")
    func smallTensorsAreLiterals() throws {
        let model = try importModel(
            carrying([
                floatTensor("small", [64], [Float](repeating: 1, count: 64)),
                floatTensor("large", [65], [Float](repeating: 1, count: 65)),
                integerTensor("indices", [8192], [Int64](repeating: 2, count: 8192)),
                integerTensor("table", [8193], [Int64](repeating: 2, count: 8193)),
            ])
        )
        #expect(try model.constant("small").literal != nil)
        #expect(try model.fileRange("large").byteCount == 260)
        #expect(try model.constant("indices").literal?.integers?.count == 8192)
        #expect(try model.fileRange("table").byteCount == 8193 * 8)
    }

    @Test("a tensor without elements is an empty literal")
    func emptyTensor() throws {
        let model = try importModel(carrying([tensor("roi", .float, [0]) { _ in }]))
        #expect(try model.constant("roi").literal?.floats == [])
    }

    @Test("dimensions may be packed")
    func packedDimensions() throws {
        var proto = Proto()
        proto.data(1, [2, 3])
        proto.number(2, Elements.float.rawValue)
        proto.text(8, "w")
        proto.data(9, [UInt8](repeating: 0, count: 24))
        #expect(try importModel(carrying([proto])).constant("w").type.shape == [2, 3])
    }

    static let faulty: [(String, Proto, ImportError.Kind)] = [
        ("bytes", tensor("w", .float, [3]) { $0.data(9, [0, 0, 0, 0]) }, .invalid),
        ("count", tensor("w", .float, [3]) { $0.float(4, 1) }, .invalid),
        ("claim", tensor("w", .int64, [1 << 40]) { $0.number(7, 1) }, .invalid),
        ("nothing", tensor("w", .float, [3]) { _ in }, .invalid),
        ("field", tensor("w", .float, [1]) { $0.number(7, 1) }, .invalid),
        ("range", tensor("w", .uint8, [1]) { $0.number(5, 256) }, .invalid),
        ("negative", tensor("w", .float, [-1]) { $0.float(4, 1) }, .invalid),
        ("overflow", tensor("w", .float, [1 << 40, 1 << 40]) { $0.float(4, 1) }, .invalid),
        ("hidden", tensor("w", .float, [1 << 62, 1 << 62, 0]) { _ in }, .invalid),
        ("rank", tensor("w", .float, .init(repeating: 1, count: 65)) { $0.float(4, 1) }, .invalid),
        ("ragged", tensor("w", .float, [1]) { $0.data(4, [1, 2, 3]) }, .invalid),
        (
            "twice",
            tensor("w", .float, [1]) {
                $0.float(4, 1)
                $0.data(9, [0, 0, 0, 0])
            }, .invalid
        ),
        ("wire", tensor("w", .float, [1]) { $0.number(9, 4) }, .malformed),
        ("nameless", tensor("", .float, [1]) { $0.float(4, 1) }, .invalid),
        ("string", tensor("w", .string, [1]) { $0.text(6, "a") }, .unsupported),
        ("float8", tensor("w", .float8, [1]) { $0.data(9, [0]) }, .unsupported),
        ("segment", tensor("w", .float, [1]) { $0.message(3, Proto()) }, .unsupported),
    ]

    @Test("a tensor that contradicts itself is refused", arguments: faulty)
    func faultyTensor(name: String, tensor: Proto, kind: ImportError.Kind) throws {
        let error = try importError(carrying([tensor]))
        #expect(error.kind == kind, "\(error)")
    }

    @Test("an error says which tensor it is about and where it stands")
    func errorsSayWhere() throws {
        let error = try importError(carrying([tensor("conv.w", .float, [3]) { $0.data(9, [0]) }]))
        #expect(error.location.field == "graph.initializer[0]")
        #expect(error.location.byte != nil)
        #expect(error.location.path.hasSuffix("/model.onnx"))
        #expect(error.message == "tensor \"conv.w\" has 1 bytes, but float32[3] needs 12")
    }

    @Test("Constant nodes hold tensors, numbers and lists")
    func constantNodes() throws {
        let values = (0..<100).map { Float($0) }
        let graph = GraphParts(
            nodes: [
                node("Constant", [], ["t"], ["value": .tensor(floatTensor("", [100], values))]),
                node("Constant", [], ["f"], ["value_float": .float(2.5)]),
                node("Constant", [], ["fs"], ["value_floats": .floats([1, 2])]),
                node("Constant", [], ["i"], ["value_int": .int(-4)]),
                node("Constant", [], ["is"], ["value_ints": .ints([5, 6, 7])]),
                node("Add", ["x", "t"], ["y"]),
            ],
            inputs: [value("x")],
            outputs: [value("y")]
        )
        let model = try importModel(model(graph))
        #expect(model.graph.nodes.count == 1)
        #expect(try fileBytes(model.fileRange("t"), of: model) == values.littleEndianBytes)
        #expect(try model.constant("f").literal == DenseTensor(shape: [], floats: [2.5]))
        #expect(try model.constant("fs").literal == DenseTensor(shape: [2], floats: [1, 2]))
        #expect(try model.constant("i").literal == DenseTensor(shape: [], integers: [-4]))
        #expect(try model.constant("is").literal == DenseTensor(shape: [3], integers: [5, 6, 7]))
    }

    @Test("Constant nodes of strings and sparse tensors are refused")
    func constantNodesOfOtherKinds() throws {
        let strings = node("Constant", [], ["y"], ["value_string": .string("a")])
        #expect(try importError(modelOf(strings, opset: 13)).kind == .unsupported)
        var sparse = Proto()
        sparse.text(1, "sparse_value")
        sparse.message(22, Proto())
        var constant = node("Constant", [], ["y"])
        constant.message(5, sparse)
        #expect(try importError(modelOf(constant, opset: 13)).kind == .unsupported)
        let empty = node("Constant", [], ["y"])
        #expect(try importError(modelOf(empty, opset: 13)).kind == .invalid)
    }
}
