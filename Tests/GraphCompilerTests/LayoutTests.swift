import GraphCompiler
import GraphIR
import Testing

@Suite("Layouts")
struct LayoutTests {
    private let convolution = "conv.tile[1x1 8->8 stride 1x1 group 1 parts 1]"

    @Test("conversions stand only where layouts meet")
    func conversionsStandWhereLayoutsMeet() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let t = sketch.node("t", .unary(.tanh), sketch.relu("r", a))
        sketch.output(sketch.convolution("y", t, from: 8, to: 8))
        #expect(
            try sketch.fused().dump() == """
                fused graph test
                input x: float32[1x8x4x4]
                0: x.blocked: float32[1x8x4x4] blocked = block(x)  # x.blocked
                1: r: float32[1x8x4x4] blocked = \(convolution)(x.blocked) then clamp(0.0, inf)  # a
                2: t: float32[1x8x4x4] blocked = map(r) then tanh  # t
                3: y: float32[1x8x4x4] blocked = \(convolution)(t)  # y
                4: y: float32[1x8x4x4] = unblock(y)  # y.nchw
                output y: float32[1x8x4x4]

                """
        )
    }

    @Test("a value is converted once for all its readers")
    func convertedOnce() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let b = sketch.convolution("b", x, from: 8, to: 8)
        let joined = sketch.node("joined", .concat(axis: 1), a, b)
        sketch.output(sketch.convolution("y", joined, from: 16, to: 8))
        let lines = try sketch.fused().nodeLines
        #expect(lines.filter { $0.contains("= block(") }.count == 1)
        #expect(lines.filter { $0.contains("= unblock(") }.count == 1)
    }

    @Test("an image is converted before it grows, unless blocks are read", arguments: [1, 2, 3])
    func growingImages(size: Int) throws {
        let resize = Resize(mode: .linear, coordinates: .halfPixel, rounding: .floor)
        let half = size == 1 ? Float(0.5) : Float(size)
        func lines(_ end: (inout GraphSketch, ValueID, ValueID) -> ValueID) throws -> [String] {
            var sketch = GraphSketch()
            let x = sketch.input("x", [1, 8, 4, 4])
            let a = sketch.convolution("a", x, from: 8, to: 8)
            let scales = sketch.floats("scales", [4], [1, 1, half, half])
            let y = sketch.node("y", .resize(resize), [a, nil, scales])
            sketch.output(end(&sketch, a, y))
            return try sketch.fused().nodeLines
        }
        func places(_ lines: [String]) -> (resize: Int?, conversion: Int?) {
            (
                lines.firstIndex { $0.contains("= resize") },
                lines.firstIndex { $0.contains("= unblock(") }
            )
        }
        let atEnd = places(try lines { $0.node("t", .unary(.tanh), $2) })
        let (resized, converted) = (try #require(atEnd.resize), try #require(atEnd.conversion))
        #expect((converted < resized) == (size > 1))
        let read = places(try lines { $0.convolution("b", $2, from: 8, to: 8) })
        #expect(try #require(read.resize) < #require(read.conversion))
        guard size > 1 else { return }
        // The other factor is in blocks, though it is made later.
        let multiplied = places(
            try lines { sketch, a, y in
                let other = sketch.input("other", [1, 8, 4 * size, 4 * size])
                let c = sketch.relu("c", sketch.convolution("c", other, from: 8, to: 8))
                return sketch.node("product", .binary(.multiply), y, c)
            }
        )
        #expect(try #require(multiplied.resize) < #require(multiplied.conversion))
    }

    @Test("channels are put together in blocks, at any boundary, where blocks are read")
    func channelsStayInBlocks() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 12)
        let b = sketch.convolution("b", x, from: 8, to: 6)
        let joined = sketch.node("joined", .concat(axis: 1), a, b)
        sketch.output(sketch.convolution("y", joined, from: 18, to: 8))
        let lines = try sketch.fused().nodeLines
        #expect(lines.contains { $0.contains("blocked = channels[18](") })
        #expect(lines.filter { $0.contains("= unblock(") }.count == 1)

        var seen = GraphSketch()
        let left = seen.convolution("a", seen.input("x", [1, 8, 4, 4]), from: 8, to: 12)
        let right = seen.convolution("b", left, from: 12, to: 6)
        seen.output(seen.node("joined", .concat(axis: 1), left, right))
        #expect(try !seen.fused().nodeLines.contains { $0.contains("channels[") })
    }

    @Test("a shuffle of joined channels and a split of it are one copy for each half")
    func shufflesAreOneCopy() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 6)
        let b = sketch.convolution("b", x, from: 8, to: 6)
        let joined = sketch.node("joined", .concat(axis: 1), a, b)
        let apart = sketch.node(
            "apart",
            .reshape(allowZero: false),
            joined,
            sketch.integers("s", [2, 2, 6, 4, 4])
        )
        let turned = sketch.node("turned", .transpose(permutation: [0, 2, 1, 3, 4]), apart)
        let shuffled = sketch.node(
            "shuffled",
            .reshape(allowZero: false),
            turned,
            sketch.integers("t", [2, 12, 4, 4])
        )
        sketch.output(sketch.convolution("y", shuffled, from: 12, to: 8))
        let lines = try sketch.fused().nodeLines
        #expect(lines.filter { $0.contains("channels[12](") || $0.contains("= copy") }.count == 1)
        #expect(lines.filter { $0.contains("= unblock(") }.count == 1)
    }

    @Test("the first layer reads row-major images")
    func firstLayerReadsRowMajor() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 3, 4, 4])
        let a = sketch.convolution("a", x, from: 3, to: 8, kernel: 3)
        sketch.output(sketch.convolution("y", a, from: 8, to: 8))
        let lines = try sketch.fused().nodeLines
        #expect(lines.first?.contains("conv.planar[3x3 3->8") == true)
        #expect(!lines.contains { $0.contains("= block(") })
    }

    @Test("nothing is converted where nothing wants blocks")
    func nothingWantsBlocks() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let r = sketch.relu("r", x)
        sketch.output(sketch.node("y", .softmax(axis: 1, flattened: false), r))
        let before = try sketch.lowered()
        #expect(chooseLayouts(of: before, lanes: 8).dump() == before.dump())
    }

    @Test(
        "a concat is a copy of blocks at block boundaries only",
        arguments: [(8, true), (4, false)]
    )
    func concatAtBlockBoundaries(channels: Int, isCopy: Bool) throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: channels)
        let b = sketch.convolution("b", x, from: 8, to: 8)
        let joined = sketch.node("joined", .concat(axis: 1), a, b)
        sketch.output(sketch.convolution("y", joined, from: channels + 8, to: 8))
        let fused = try sketch.fused()
        let id = try #require(fused.value("joined"))
        #expect(fused[id].layout == .blocked)
        #expect(fused.nodeLines.contains { $0.contains("blocked = copy") } == isCopy)
    }

    @Test("the mean of all pixels of what is in blocks is taken there", arguments: [true, false])
    func meansOfPixelsStayInBlocks(keepsDimensions: Bool) throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 16)
        let mean = Reduction(
            kind: .mean,
            keepsDimensions: keepsDimensions,
            ignoresEmptyAxes: false
        )
        sketch.output(sketch.node("y", .reduce(mean), a, sketch.integers("axes", [-1, 2])))
        let lines = try sketch.fused().nodeLines
        #expect(lines.contains { $0.contains("blocked = globalaverage(a)") })
        // The result alone leaves the blocks.
        #expect(!lines.contains { $0.contains("= unblock(a)") })

        var plain = GraphSketch()
        let rows = plain.input("x", [1, 8, 4, 4])
        plain.output(plain.node("y", .reduce(mean), rows, plain.integers("axes", [2, 3])))
        let plainLines = try plain.fused().nodeLines
        #expect(plainLines.contains { $0.contains("reduce.mean[8,16,1](x)") })
        #expect(!plainLines.contains { $0.contains("block(") })
    }

    @Test("an image becomes pixels with their channels side by side, and back, at once")
    func channelsLast() throws {
        let shape = [1, 8, 4, 6]
        func tokens(_ sketch: inout GraphSketch, _ image: ValueID, then: Operator) -> ValueID {
            let flat = sketch.node(
                "flat",
                .reshape(allowZero: false),
                image,
                sketch.integers("flat.shape", [1, 8, 24])
            )
            let rows = sketch.node("rows", .transpose(permutation: [0, 2, 1]), flat)
            let middle = sketch.node("middle", then, rows)
            let turned = sketch.node("turned", .transpose(permutation: [0, 2, 1]), middle)
            return sketch.node(
                "image",
                .reshape(allowZero: false),
                turned,
                sketch.integers("image.shape", shape.map { Int64($0) })
            )
        }
        var sketch = GraphSketch()
        let a = sketch.convolution("a", sketch.input("x", shape), from: 8, to: 8)
        let image = tokens(&sketch, a, then: .softmax(axis: 2, flattened: false))
        sketch.output(sketch.convolution("y", image, from: 8, to: 8))
        let lines = try sketch.fused().nodeLines
        #expect(lines.contains { $0.contains("rows: float32[1x24x8] = unblock.channelsLast(a)") })
        #expect(
            lines.contains { $0.contains("image: float32[1x8x4x6] blocked = block.channelsLast(") }
        )
        #expect(!lines.contains { $0.contains("copy[") })

        // Nothing there is in blocks, or wants them.
        var plain = GraphSketch()
        let x = plain.input("x", shape)
        plain.output(tokens(&plain, x, then: .softmax(axis: 2, flattened: false)))
        #expect(try !plain.fused().nodeLines.contains { $0.contains("block") })
    }

    @Test("a map per channel of row-major values is done where they are")
    func mapsOfRowsStayInRows() throws {
        func scaled(then reader: (inout GraphSketch, ValueID) -> ValueID) throws -> [String] {
            var sketch = GraphSketch()
            let a = sketch.input("a", [1, 4, 6, 5])
            let scores = sketch.node("scores", .matmul, a, sketch.input("b", [1, 4, 5, 7]))
            let factor = sketch.weights("factor", [4, 1, 1])
            let product = sketch.node("scaled", .binary(.multiply), scores, factor)
            let sum = sketch.add("sum", product, sketch.weights("shift", [4, 1, 1]))
            sketch.output(reader(&sketch, sum))
            return try sketch.fused().nodeLines
        }
        let rows = try scaled { $0.node("y", .softmax(axis: 3, flattened: false), $1) }
        #expect(!rows.contains { $0.contains("block(") })
        #expect(rows.filter { $0.contains("= multiply(") }.count == 1)
        #expect(rows.filter { $0.contains("= add(") }.count == 1)
        // One kernel does both where blocks are needed anyway.
        let blocks = try scaled { $0.convolution("y", $1, from: 4, to: 8, kernel: 3) }
        #expect(blocks.filter { $0.contains("conv.depthwise[1x1") }.count == 1)
        #expect(!blocks.contains { $0.contains("= multiply(") })
    }

    @Test("a single element that was computed in a block leaves it before it is repeated")
    func scalarsLeaveBlocks() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let one = sketch.node(
            "one",
            .globalPool(.average),
            sketch.convolution("b", x, from: 8, to: 1)
        )
        sketch.output(sketch.node("y", .binary(.multiply), a, one))
        let fused = try sketch.fused()
        let product = try #require(
            fused.nodes.first { node in
                if case .binary = node.kernel { return true }
                return false
            }
        )
        #expect(fused[product.output].layout == .blocked)
        let scalar = try #require(product.inputs.first { fused[$0].type.elementCount == 1 })
        #expect(fused[scalar].layout == .rowMajor)
    }
}

@Suite("Storage")
struct StorageMapTests {
    private func map(_ sketch: GraphSketch) throws -> (graph: FusedGraph, map: StorageMap) {
        let graph = try sketch.fused()
        return (graph, StorageMap(graph: graph, lanes: 8))
    }

    @Test("a reshape is a view of its operand")
    func reshapesAreViews() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 6])
        let e = sketch.node("e", .unary(.exp), x)
        let v = sketch.node("v", .flatten(axis: 0), e)
        sketch.output(sketch.node("y", .softmax(axis: 1, flattened: false), v))
        let (graph, map) = try map(sketch)
        let index = try #require(graph.nodes.firstIndex { graph[$0.output].name == "v" })
        let ids = try ["x", "e", "v", "y"].map { try #require(graph.value($0)) }
        #expect(map.isElided[index])
        #expect(map.storage[ids[1].index] == map.storage[ids[2].index])
        // Everything after the input is written over it: it dies at each step.
        #expect(Set(ids.map { map.storage[$0.index] }).count == 1)
    }

    @Test("values of which a copy takes a part are not written into its result")
    func partsOfInputsAreNotPlaced() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.node("a", .unary(.exp), x)
        let b = sketch.node("b", .unary(.tanh), x)
        let joined = sketch.node("joined", .concat(axis: 1), a, b)
        // Channel 0 of each.
        let (start, end) = (sketch.integers("start", [0]), sketch.integers("end", [16]))
        let (axis, step) = (sketch.integers("axis", [1]), sketch.integers("step", [8]))
        sketch.output(sketch.node("y", .slice, joined, start, end, axis, step))
        let (graph, map) = try map(sketch)
        let copies = graph.nodes.filter {
            if case .copy = $0.kernel { return true }
            return false
        }
        #expect(copies.count == 1)
        #expect(copies.first?.inputs.count == 2)
        #expect(map.placedInputs.isEmpty)
    }

    @Test("without sharing only views share")
    func withoutSharing() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 6])
        let e = sketch.node("e", .unary(.exp), x)
        let v = sketch.node("v", .flatten(axis: 0), e)
        sketch.output(sketch.node("y", .softmax(axis: 1, flattened: false), v))
        let graph = try sketch.fused()
        let map = StorageMap(graph: graph, lanes: 8, sharing: false)
        #expect(map.storages.count == 3)
    }

    @Test("the parts of a concat are written in place, of any number of images", arguments: [1, 3])
    func concatPartsInPlace(images: Int) throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [images, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let b = sketch.convolution("b", x, from: 8, to: 16)
        let joined = sketch.node("joined", .concat(axis: 1), a, b)
        sketch.output(sketch.convolution("y", joined, from: 24, to: 8))
        let (graph, map) = try map(sketch)
        let index = try #require(graph.nodes.firstIndex { graph[$0.output].name == "joined" })
        #expect(map.isElided[index])
        #expect(map.placedInputs[index] == [0, 1])
        let ids = try ["a", "b", "joined"].map { try #require(graph.value($0)).index }
        #expect(Set(ids.map { map.storage[$0] }).count == 1)
        #expect(ids.map { map.offset[$0] } == [0, images * 8 * 16 * 4, 0])
        let storage = map.storages[try #require(map.storage[ids[2]])]
        #expect(storage.byteCount == images * 24 * 16 * 4)
    }

    @Test(
        "growing concats end in one storage, also where each begins anew",
        arguments: [false, true]
    )
    func growingConcats(beginsAnew: Bool) throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let b = sketch.convolution("b", a, from: 8, to: 8)
        let ab = sketch.node("ab", .concat(axis: 1), a, b)
        let c = sketch.convolution("c", ab, from: 16, to: 8)
        let parts = beginsAnew ? [a, b, c] : [ab, c]
        let abc = sketch.node("abc", .concat(axis: 1), parts)
        sketch.output(sketch.convolution("y", abc, from: 24, to: 8))
        let (graph, map) = try map(sketch)
        let ids = try ["a", "b", "ab", "c", "abc"].map { try #require(graph.value($0)).index }
        #expect(Set(ids.map { map.storage[$0] }).count == 1)
        #expect(ids.map { map.offset[$0] / 512 } == [0, 1, 0, 2, 0])
        #expect(map.isElided.filter { $0 }.count == 2)
    }

    @Test("a value in two concats is copied once")
    func valueInTwoConcats() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let b = sketch.convolution("b", x, from: 8, to: 8)
        let c = sketch.convolution("c", x, from: 8, to: 8)
        let ab = sketch.node("ab", .concat(axis: 1), a, b)
        let ca = sketch.node("ca", .concat(axis: 1), c, a)
        let p = sketch.convolution("p", ab, from: 16, to: 8)
        let q = sketch.convolution("q", ca, from: 16, to: 8)
        sketch.output(p, q)
        let (graph, map) = try map(sketch)
        let joins = graph.nodes.indices.filter {
            ["ab", "ca"].contains(graph[graph.nodes[$0].output].name)
        }
        #expect(joins.count == 2)
        let placed = joins.map { map.placedInputs[$0] ?? [] }
        #expect(placed.map(\.count).sorted() == [1, 2])
        #expect(joins.filter { map.isElided[$0] }.count == 1)
    }

    @Test("a residual that dies is updated in place")
    func residualInPlace() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let b = sketch.convolution("b", a, from: 8, to: 8, kernel: 3)
        let c = sketch.convolution("c", b, from: 8, to: 8, kernel: 3)
        let sum = sketch.add("sum", c, a)
        sketch.output(sketch.convolution("y", sum, from: 8, to: 8))
        let (graph, map) = try map(sketch)
        let ids = try ["a", "b", "sum"].map { try #require(graph.value($0)).index }
        #expect(map.storage[ids[0]] == map.storage[ids[2]])
        #expect(map.storage[ids[0]] != map.storage[ids[1]])
    }

    @Test("a residual that lives on is not")
    func livingResidualIsKept() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8)
        let b = sketch.convolution("b", a, from: 8, to: 8, kernel: 3)
        let sum = sketch.add("sum", b, a)
        let y = sketch.convolution("y", sum, from: 8, to: 8)
        let z = sketch.convolution("z", a, from: 8, to: 8)
        sketch.output(y, z)
        let (graph, map) = try map(sketch)
        let ids = try ["a", "sum"].map { try #require(graph.value($0)).index }
        #expect(map.storage[ids[0]] != map.storage[ids[1]])
    }

    @Test("a convolution never overwrites what it reads around")
    func convolutionsDoNotOverwriteTheirInput() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let a = sketch.convolution("a", x, from: 8, to: 8, kernel: 3)
        let r = sketch.add("r", a, x)
        sketch.output(sketch.convolution("y", r, from: 8, to: 8))
        let (graph, map) = try map(sketch)
        // The residual is the convolution's own input.
        let ids = try ["x.blocked", "r"].map { try #require(graph.value($0)).index }
        #expect(map.storage[ids[0]] != map.storage[ids[1]])
    }
}
