import GraphCompiler
import GraphIR
import Testing

@Suite("Phases of convolutions with few channels")
struct PhasePassTests {
    private func fused(
        to outputs: Int,
        kernel: Int,
        stride: Int,
        pad: Int = 0,
        isExact: Bool = false
    ) throws -> FusedGraph {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 5])
        let convolution = Convolution(
            isTransposed: true,
            kernel: [kernel, kernel],
            strides: [stride, stride],
            padding: .explicit([pad, pad, pad, pad])
        )
        let y = sketch.node(
            "y",
            .convolution(convolution),
            x,
            sketch.weights("w", [8, outputs, kernel, kernel])
        )
        sketch.output(sketch.relu("z", y))
        return try fuse(
            try sketch.bound(),
            catalog: FixedCatalog(),
            fuses: true,
            isExact: isExact
        )
    }

    @Test("few channels become one product and a copy")
    func fewChannels() throws {
        let graph = try fused(to: 3, kernel: 2, stride: 2)
        let kernel = try #require(graph.onlyConvolution)
        #expect(kernel.outputChannels == 12)
        #expect((kernel.outputHeight, kernel.outputWidth) == (4, 5))
        #expect(kernel.parts.count == 1)
        let copy = try #require(graph.nodes.first { $0.name == "y" })
        guard case .copy(let shuffle) = copy.kernel else {
            Issue.record("\(copy.kernel)")
            return
        }
        #expect(shuffle.boxes.map(\.dimensions) == [[3, 4, 2, 5, 2]])
        #expect(graph[copy.output].type.shape == [1, 3, 8, 10])
    }

    @Test("so do windows that overlap, with zeros between their taps")
    func overlappingWindows() throws {
        let kernel = try #require(try fused(to: 2, kernel: 4, stride: 2, pad: 1).onlyConvolution)
        #expect(kernel.outputChannels == 8)
        #expect((kernel.outputHeight, kernel.outputWidth) == (4, 5))
        #expect((kernel.kernelHeight, kernel.kernelWidth) == (3, 3))
        #expect((kernel.padTop, kernel.padLeft) == (1, 1))
        #expect(kernel.parts.map(\.taps.count) == [9])
    }

    @Test("exact sums have no zeros of others", arguments: [(2, 0, 1), (4, 1, 4)])
    func exactSums(kernel: Int, pad: Int, parts: Int) throws {
        let graph = try fused(to: 2, kernel: kernel, stride: 2, pad: pad, isExact: true)
        #expect(graph.onlyConvolution?.parts.count == parts)
    }

    @Test(
        "full vectors, phases of several sizes and what would be more work stay apart",
        arguments: [(8, 2, 2, 0), (3, 3, 2, 0), (3, 3, 3, 1), (3, 4, 2, 1)]
    )
    func others(outputs: Int, kernel: Int, stride: Int, pad: Int) throws {
        let graph = try fused(to: outputs, kernel: kernel, stride: stride, pad: pad)
        #expect(graph.onlyConvolution?.parts.count == stride * stride)
    }

    /// Channels, kernel side and stride of the only convolution, made from one with `outputs` channels.
    private func plain(
        to outputs: Int,
        kernel: Int,
        from channels: Int = 8,
        height: Int = 8
    ) throws -> [Int] {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, channels, height, 12])
        sketch.output(sketch.convolution("y", x, from: channels, to: outputs, kernel: kernel))
        let graph = try sketch.fused()
        let result = try #require(graph.onlyConvolution)
        let step = result.strideHeight
        #expect(graph.nodes.contains { $0.name == "y.phases" } == (step > 1))
        #expect((result.outputHeight, result.outputWidth) == (height / step, 12 / step))
        return [result.outputChannels, result.kernelHeight, step]
    }

    @Test("squares of pixels of a large filter with few channels are computed at once")
    func squaresOfPixels() throws {
        #expect(try plain(to: 1, kernel: 5) == [16, 8, 4])
        #expect(try plain(to: 1, kernel: 9) == [16, 12, 4])
        #expect(try plain(to: 3, kernel: 9) == [12, 10, 2])
        // Sizes that are no multiples, small filters, many channels, Winograd's algorithm.
        #expect(try plain(to: 1, kernel: 5, height: 7) == [1, 5, 1])
        #expect(try plain(to: 1, kernel: 1) == [1, 1, 1])
        #expect(try plain(to: 8, kernel: 9) == [8, 9, 1])
        #expect(try plain(to: 1, kernel: 3, from: 32) == [1, 3, 1])
    }
}
