import GraphCompiler
import GraphIR
import Testing

@Suite("Phases of transposed convolutions")
struct PhasePassTests {
    private func fused(to outputs: Int, kernel: Int, stride: Int) throws -> FusedGraph {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8, 4, 5])
        let convolution = Convolution(
            isTransposed: true,
            kernel: [kernel, kernel],
            strides: [stride, stride]
        )
        let y = sketch.node(
            "y",
            .convolution(convolution),
            x,
            sketch.weights("w", [8, outputs, kernel, kernel])
        )
        sketch.output(sketch.relu("z", y))
        return try sketch.fused()
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

    @Test("full vectors and windows that overlap stay apart", arguments: [(8, 2, 2), (3, 3, 2)])
    func others(outputs: Int, kernel: Int, stride: Int) throws {
        let graph = try fused(to: outputs, kernel: kernel, stride: stride)
        #expect(graph.onlyConvolution?.parts.count == stride * stride)
    }
}
