import GraphCompiler
import GraphIR
import Testing

@Suite("Padding into convolutions")
struct FoldPaddingTests {
    private func padded(value: Float = 0, isReadTwice: Bool = false) -> GraphSketch {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 4])
        let pads = sketch.integers("pads", [0, 0, 1, 2, 0, 0, 1, 2])
        let fill = sketch.floats("fill", [], [value])
        let p = sketch.node("p", .pad(.constant), x, pads, fill)
        sketch.output(sketch.convolution("y", p, from: 8, to: 16, kernel: 3, pads: false))
        if isReadTwice { sketch.output(sketch.relu("z", p)) }
        return sketch
    }

    @Test("a pad of zeros becomes the convolution's own")
    func zerosBecomePadding() throws {
        let (before, after) = try padded().around("pad")
        #expect(
            before.nodeLines == [
                "0: p: float32[1x8x6x8] = copy[1](x)  # p",
                "1: y: float32[1x16x4x6] = "
                    + "conv.tile[3x3 8->16 stride 1x1 group 1 parts 1](p)  # y",
            ]
        )
        #expect(
            after.nodeLines == [
                "0: y: float32[1x16x4x6] = "
                    + "conv.tile[3x3 8->16 stride 1x1 group 1 parts 1](x)  # y"
            ]
        )
        let kernel = try #require(after.onlyConvolution)
        #expect((kernel.padTop, kernel.padLeft) == (1, 2))
        #expect((kernel.inputHeight, kernel.inputWidth) == (4, 4))
        #expect(kernel.parts[0].taps.first == Tap(dy: -1, dx: -2))
        #expect(kernel.parts[0].taps.last == Tap(dy: 1, dx: 0))
    }

    @Test("that of two convolutions becomes that of each")
    func twoConvolutions() throws {
        var sketch = padded()
        let p = ValueID(sketch.graph.values.firstIndex { $0.name == "p" } ?? 0)
        sketch.output(sketch.convolution("z", p, from: 8, to: 16, pads: false))
        let after = try sketch.around("pad").after
        #expect(
            after.nodeLines == [
                "0: y: float32[1x16x4x6] = "
                    + "conv.tile[3x3 8->16 stride 1x1 group 1 parts 1](x)  # y",
                "1: z: float32[1x16x6x8] = "
                    + "conv.tile[1x1 8->16 stride 1x1 group 1 parts 1](x)  # z",
            ]
        )
    }

    @Test("it stays when it is not zero, or somebody else reads it")
    func itStays() throws {
        for sketch in [padded(value: 1), padded(isReadTwice: true)] {
            let (before, after) = try sketch.around("pad")
            #expect(before.dump() == after.dump())
        }
    }
}

@Suite("Taps outside the image")
struct DroppedTapsTests {
    /// The taps that are left of a 3x3 filter dilated by `dilation` on images of 8x8.
    private func taps(dilation: Int, stride: Int = 1, pad: Int) throws -> [Tap] {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 8, 8])
        let convolution = Convolution(
            kernel: [3, 3],
            strides: [stride, stride],
            dilations: [dilation, dilation],
            padding: .explicit([pad, pad, pad, pad])
        )
        sketch.output(
            sketch.node("y", .convolution(convolution), x, sketch.weights("w", [8, 8, 3, 3]))
        )
        let kernel = try #require(try sketch.fused().onlyConvolution)
        #expect(kernel.parts[0].weights.tapOffsets.count == kernel.parts[0].taps.count)
        return kernel.parts[0].taps
    }

    @Test("taps that no pixel has inside the image are left out")
    func farTapsAreLeftOut() throws {
        #expect(try taps(dilation: 1, pad: 1).count == 9)
        #expect(try taps(dilation: 7, pad: 7).count == 9)
        #expect(try taps(dilation: 8, pad: 8) == [Tap(dy: 0, dx: 0)])
        // One output: what is before it is outside.
        #expect(try taps(dilation: 3, stride: 8, pad: 3).count == 4)
        // The last of four outputs has the first tap inside.
        #expect(try taps(dilation: 5, stride: 2, pad: 5).count == 9)
    }

    /// A pool of 3x3 pixels, every second one, of an image with a border of zeros.
    private func pooled(
        isAverage: Bool,
        isPositive: Bool = true,
        border: Int64 = 1
    ) throws -> FusedGraph {
        var sketch = GraphSketch()
        var x = sketch.input("x", [1, 8, 6, 6])
        if isPositive { x = sketch.relu("relu", x) }
        let pads = sketch.integers("pads", [0, 0, border, border, 0, 0, border, border])
        let padded = sketch.node("p", .pad(.constant), x, pads)
        let kind = isAverage ? PoolKind.average : .maximum
        let pool = Pool(kind: kind, kernel: [3, 3], strides: [2, 2])
        sketch.output(sketch.node("y", .pool(pool), padded))
        return try sketch.around("pad").after
    }

    private func poolKernel(_ graph: FusedGraph) throws -> PoolKernel {
        guard case .pool(let kernel) = try #require(graph.nodes.last).kernel else {
            throw GraphSketch.UnknownPass(name: "pool")
        }
        return kernel
    }

    @Test("zeros are padding to a pool that counts them, or whose largest elements are no smaller")
    func pools() throws {
        let average = try pooled(isAverage: true, isPositive: false)
        #expect(average.nodes.map(\.name) == ["y"])
        let counting = try poolKernel(average)
        #expect(counting.countsPadding)
        #expect((counting.padBegin, counting.padEnd) == ([1, 1], [1, 1]))
        let largest = try pooled(isAverage: false)
        #expect(largest.nodes.map(\.name) == ["relu", "y"])
        #expect(try poolKernel(largest).padBegin == [1, 1])
    }

    @Test("zeros stay where they are the largest elements")
    func poolsThatSeeZeros() throws {
        #expect(try pooled(isAverage: false, isPositive: false).nodes.map(\.name) == ["p", "y"])
        #expect(try pooled(isAverage: false, border: 3).nodes.map(\.name) == ["relu", "p", "y"])
    }
}
