import Glibc
import GraphIR
import HostileInput
import ModelImport
import TensorMemory
import Testing

/// A small model that has a bit of everything.
private func sample() -> Proto {
    let graph = GraphParts(
        nodes: [
            node(
                "Conv",
                ["x", "w", "b"],
                ["c"],
                ["pads": .ints([1, 1, 1, 1]), "auto_pad": .string("NOTSET")],
                name: "conv"
            ),
            node("Constant", [], ["s"], ["value": .tensor(integerTensor("", [2], [0, -1]))]),
            node("Reshape", ["c", "s"], ["r"]),
            node("ConstantOfShape", ["s"], ["k"], ["value": .tensor(floatTensor("", [1], [1]))]),
            node("Clip", ["r"], ["y"], ["min": .float(0)]),
        ],
        initializers: [
            floatTensor("w", [4, 3, 3, 3], [Float](repeating: 0.5, count: 108)),
            tensor("b", .float16, [4]) { $0.data(5, [1, 2, 3, 4]) },
        ],
        inputs: [value("x", .float, [.name("N"), .size(3), .open, .size(8)]), value("w")],
        outputs: [value("y")]
    )
    return model(graph, opset: 9)
}

@Suite("Files that are cut off, damaged or malicious")
struct HostileFileTests {
    /// Imports from one file that is written again and again; anything but a result or an
    /// `ImportError` fails the test or ends the process.
    private func importEach(_ variants: some Sequence<[UInt8]>) throws -> (good: Int, bad: Int) {
        try withTemporaryDirectory { directory in
            var good = 0
            var bad = 0
            for bytes in variants {
                try write(bytes, to: directory + "/model.onnx")
                do throws(ImportError) {
                    let model = try importONNX(path: directory + "/model.onnx")
                    #expect(model.graph.firstViolation() == nil)
                    good += 1
                } catch {
                    #expect(!error.description.isEmpty)
                    bad += 1
                }
            }
            return (good, bad)
        }
    }

    @Test("a file cut off anywhere is refused")
    func cutOffAnywhere() throws {
        let bytes = sample().bytes
        let counts = try importEach(bytes.indices.lazy.map { Array(bytes[..<$0]) })
        #expect(counts.good == 0)
        #expect(counts.bad == bytes.count)
        #expect(try importBytes(bytes).graph.nodes.count == 4)
    }

    @Test("a cut inside the graph is called what it is")
    func cutIsNamed() throws {
        let bytes = sample().bytes
        let error = #expect(throws: ImportError.self) {
            _ = try importBytes(Array(bytes.dropLast(40)))
        }
        #expect(error?.kind == .truncated)
    }

    @Test("no damaged byte makes the importer fail badly", arguments: [0x01, 0x80, 0xff, 0x55])
    func damagedBytes(mask: UInt8) throws {
        let bytes = sample().bytes
        let variants = bytes.indices.lazy.map { index in
            var damaged = bytes
            damaged[index] ^= mask
            return damaged
        }
        let counts = try importEach(variants)
        #expect(counts.good + counts.bad == bytes.count)
        #expect(counts.bad > 0)
    }

    @Test("random damage of several bytes", arguments: 0..<4 as Range<UInt64>)
    func randomDamage(seed: UInt64) throws {
        let bytes = sample().bytes
        var state = seed &+ 1
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let variants = (0..<300).map { _ in
            var damaged = bytes
            for _ in 0..<(1 + next(6)) { damaged[next(bytes.count)] = UInt8(next(256)) }
            return damaged
        }
        _ = try importEach(variants)
    }

    @Test(
        "numbers and lengths that cannot be",
        arguments: [
            [UInt8](repeating: 0xff, count: 30),
            [0x08] + [UInt8](repeating: 0x80, count: 10) + [0x01],
            [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            [0x3b], [0x3c], [0x3e], [0x3f], [0x00, 0x00], [0x02, 0x00],
            [0xf8, 0xff, 0xff, 0xff, 0x7f, 0x01],
            [0x38, 0x01], [0x3d, 1, 2, 3], [0x39, 1, 2, 3, 4],
            Array("PK\u{3}\u{4} this is no model".utf8),
        ]
    )
    func impossibleNumbers(bytes: [UInt8]) throws {
        let error = #expect(throws: ImportError.self) { _ = try importBytes(bytes) }
        let kind = try #require(error).kind
        #expect(kind == .malformed || kind == .truncated)
    }

    @Test("an empty file holds no graph")
    func emptyFile() throws {
        let error = #expect(throws: ImportError.self) { _ = try importBytes([]) }
        #expect(error?.kind == .invalid)
    }

    @Test("text that is not UTF-8 is refused, and strange names are escaped")
    func strangeNames() throws {
        var invalid = Proto()
        invalid.data(1, [0xff, 0xfe])
        invalid.text(4, "Relu")
        let error = try importError(modelOf(invalid, opset: 13))
        #expect(error.kind == .malformed)

        let strange = node("Bad\u{1b}[31m\n", ["x"], ["y"], name: "a\"b\n")
        let listed = try importError(modelOf(strange, opset: 13)).description
        #expect(listed.contains("\"a\\\"b\\n\""))
        #expect(!listed.contains("\u{1b}"))
    }

    @Test("deep nesting of attributes and types ends in an error, not in the stack")
    func deepNesting() throws {
        var type = Proto()
        for _ in 0..<10_000 {
            var sequence = Proto()
            sequence.message(1, type)
            type = Proto()
            type.message(4, sequence)
        }
        var declared = Proto()
        declared.text(1, "x")
        declared.message(2, type)
        let graph = GraphParts(
            nodes: [node("Relu", ["x"], ["y"])],
            inputs: [declared],
            outputs: [value("y")]
        )
        #expect(try importError(model(graph)).kind == .malformed)

        var inner = Proto()
        for _ in 0..<1_000 {
            inner =
                GraphParts(
                    nodes: [node("If", ["x"], ["y"], ["then_branch": .graph(inner)])]
                ).proto
        }
        let nested = modelOf(
            node("If", ["x"], ["y"], ["then_branch": .graph(inner)]),
            opset: 13
        )
        #expect(try importError(nested).kind == .unsupported)
    }

    @Test("a model of eight gigabytes opens without its weights")
    func weightsAreNotRead() throws {
        try withTemporaryDirectory { directory in
            // The weights are a hole in the file, so that writing it costs nothing.
            let byteCount = 1 << 33
            var weight = Proto()
            weight.number(1, Int64(byteCount / 4))
            weight.number(2, Elements.float.rawValue)
            weight.text(8, "w")
            weight.bytes += Proto.varint(9 << 3 | 2) + Proto.varint(UInt64(byteCount))
            var graph = GraphParts(
                nodes: [node("Add", ["x", "w"], ["y"])],
                inputs: [value("x")],
                outputs: [value("y")]
            ).proto
            graph.bytes += Proto.varint(5 << 3 | 2)
            graph.bytes += Proto.varint(UInt64(weight.bytes.count + byteCount))
            graph.bytes += weight.bytes
            var proto = Proto()
            proto.number(1, 8)
            proto.message(8, opsetImport(13))
            proto.bytes += Proto.varint(7 << 3 | 2)
            proto.bytes += Proto.varint(UInt64(graph.bytes.count + byteCount)) + graph.bytes

            let path = directory + "/model.onnx"
            try write(proto.bytes, to: path)
            #expect(truncate(path, off_t(proto.bytes.count + byteCount)) == 0)
            let clock = ContinuousClock()
            let start = clock.now
            let model = try importONNX(path: path)
            #expect(clock.now - start < .seconds(2))
            let range = try model.fileRange("w")
            #expect(
                range == FileRange(file: 0, offset: proto.bytes.count, byteCount: byteCount)
            )
        }
    }
}

@Suite("Files of weights")
struct WeightFileTests {
    @Test("any range can be read, at any position")
    func ranges() throws {
        try withTemporaryDirectory { directory in
            let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7) }
            try write(bytes, to: directory + "/w.bin")
            let file = try WeightFile(path: directory + "/w.bin")
            #expect(file.byteCount == 1000)
            for range in [0..<1000, 3..<4, 999..<1000, 0..<0, 1000..<1000, 17..<801] {
                var target = [UInt8](repeating: 0, count: range.count)
                try target.withUnsafeMutableBytes { try file.read(range, into: $0) }
                #expect(target == Array(bytes[range]))
            }
        }
    }

    @Test("a file that shrank after it was opened is an error")
    func shrunkFile() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/w.bin"
            try write([UInt8](repeating: 1, count: 100), to: path)
            let file = try WeightFile(path: path)
            #expect(truncate(path, 50) == 0)
            var target = [UInt8](repeating: 0, count: 100)
            let error = #expect(throws: FileError.self) {
                try target.withUnsafeMutableBytes { try file.read(0..<100, into: $0) }
            }
            #expect(error?.kind == .truncated)
        }
    }

    @Test("what is no regular file is not opened")
    func otherKinds() throws {
        try withTemporaryDirectory { directory in
            #expect(mkfifo(directory + "/pipe", 0o600) == 0)
            func kind(_ path: String) -> FileError.Kind? {
                #expect(throws: FileError.self) { _ = try WeightFile(path: path) }?.kind
            }
            #expect(kind(directory) == .notRegular)
            #expect(kind(directory + "/pipe") == .notRegular)
            #expect(kind(directory + "/none") == .missing)
            #expect(kind(directory + "/none/none") == .missing)
        }
    }
}
