import GraphCompiler
import GraphIR
import Testing

@Suite("Products of pixels, next to images")
struct PixelPassTests {
    private let shape = [2, 8, 4, 6]

    /// The pixels of an image as tokens [2, 24, channels].
    private func pixels(
        _ sketch: inout GraphSketch,
        _ name: String,
        _ image: ValueID,
        _ channels: Int
    ) -> ValueID {
        let flat = sketch.node(
            name + ".flat",
            .reshape(allowZero: false),
            image,
            sketch.integers(name + ".shape", [2, Int64(channels), 24])
        )
        return sketch.node(name, .transpose(permutation: [0, 2, 1]), flat)
    }

    /// The image of such tokens.
    private func image(
        _ sketch: inout GraphSketch,
        _ name: String,
        _ pixels: ValueID,
        _ channels: Int
    ) -> ValueID {
        let turned = sketch.node(name + ".turned", .transpose(permutation: [0, 2, 1]), pixels)
        return sketch.node(
            name,
            .reshape(allowZero: false),
            turned,
            sketch.integers(name + ".shape", [2, Int64(channels), 4, 6])
        )
    }

    private func product(
        _ sketch: inout GraphSketch,
        _ name: String,
        _ x: ValueID,
        _ k: Int,
        _ n: Int
    ) -> ValueID {
        sketch.node(name, .matmul, x, sketch.weights(name + ".w", [k, n]))
    }

    private func convolutions(_ graph: FusedGraph) -> [(name: String, kernel: ConvolutionKernel)] {
        graph.nodes.compactMap { node in
            if case .convolution(let kernel) = node.kernel { return (node.name, kernel) }
            return nil
        }
    }

    @Test("of two functions of pixels the first one goes to the image")
    func twoFunctions() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", shape)
        let conv = sketch.convolution("conv", x, from: 8, to: 8)
        let tokens = pixels(&sketch, "tokens", conv, 8)
        let first = sketch.node("first", .unary(.hardSwish), tokens)
        sketch.output(sketch.node("second", .unary(.elu(alpha: 1)), first))
        let after = try sketch.fused()
        let functions = after.nodes.filter { $0.activation != .none }
        #expect(
            functions.map(\.activation) == [.function(.hardSwish), .function(.elu(alpha: 1))]
        )
        #expect(functions[0].name == "conv")
    }

    @Test("a product whose result becomes an image writes it, with the residual there")
    func writesImage() throws {
        var sketch = GraphSketch()
        let a = sketch.convolution("a", sketch.input("x", shape), from: 8, to: 8)
        let rows = pixels(&sketch, "rows", a, 8)
        let soft = sketch.node("soft", .softmax(axis: 2, flattened: false), rows)
        let b = image(&sketch, "b", product(&sketch, "p", soft, 8, 8), 8)
        sketch.output(sketch.convolution("y", sketch.add("sum", a, b), from: 8, to: 8))
        let lines = try sketch.fused().nodeLines
        #expect(
            lines.contains {
                $0.contains("sum: float32[2x8x4x6] blocked = conv.tile+residual[1x1 8->8")
                    && $0.contains("+from pixels(")
            }
        )
        #expect(!lines.contains { $0.contains("= block.channelsLast") || $0.contains("matrix") })
    }

    @Test("rows of all pixels of an image are no pixels")
    func rowsOfImages() throws {
        var sketch = GraphSketch()
        let a = sketch.convolution("a", sketch.input("x", shape), from: 8, to: 8)
        let row = sketch.node("row", .flatten(axis: 1), pixels(&sketch, "rows", a, 8))
        let code = sketch.node("code", .unary(.tanh), product(&sketch, "p", row, 192, 5))
        let tokens = sketch.node(
            "tokens",
            .reshape(allowZero: false),
            product(&sketch, "q", code, 5, 192),
            sketch.integers("tokens.shape", [2, 24, 8])
        )
        let b = image(&sketch, "b", tokens, 8)
        sketch.output(sketch.convolution("y", b, from: 8, to: 8))
        let products = convolutions(try sketch.fused()).filter { ["p", "q"].contains($0.name) }
        #expect(products.count == 2)
        #expect(products.allSatisfy { $0.kernel.isMatrixProduct })
    }

    @Test(
        "a product of an image's pixels reads the image, and the function between them goes before"
    )
    func readsImage() throws {
        var sketch = GraphSketch()
        let a = sketch.convolution("a", sketch.input("x", shape), from: 8, to: 8)
        let active = sketch.relu("active", pixels(&sketch, "rows", a, 8))
        // Two products of the same pixels.
        let p = product(&sketch, "p", active, 8, 5), q = product(&sketch, "q", active, 8, 3)
        sketch.output(p, q)
        let graph = try sketch.fused()
        let kernels = convolutions(graph)
        #expect(kernels.map(\.kernel.writesPixels) == [false, true, true])
        #expect(kernels.allSatisfy { !$0.kernel.readsPixels })
        #expect(kernels.map(\.kernel.images) == [2, 2, 2])
        #expect(kernels[0].name == "a")
        #expect(
            graph.nodeLines.contains {
                $0.contains("conv.tile[1x1 8->8") && $0.contains("then clamp")
            }
        )
        #expect(!graph.nodeLines.contains { $0.contains("block.channelsLast") })
    }

    @Test("between two images a product is a convolution like others")
    func betweenImages() throws {
        var sketch = GraphSketch()
        let a = sketch.convolution("a", sketch.input("x", shape), from: 8, to: 8)
        let b = image(&sketch, "b", product(&sketch, "p", pixels(&sketch, "r", a, 8), 8, 10), 10)
        sketch.output(sketch.convolution("y", b, from: 10, to: 10, kernel: 3, group: 10))
        let lines = try sketch.fused().nodeLines
        #expect(
            lines.contains {
                $0.contains("conv.tile[1x1 8->10") && $0.contains("+depthwise[3x3")
                    && !$0.contains("pixels")
            }
        )
        #expect(!lines.contains { $0.contains("copy") || $0.contains("matrix") })
    }

    @Test("pixels that others read too, or images that nothing wants in blocks, stay")
    func others() throws {
        var sketch = GraphSketch()
        let a = sketch.convolution("a", sketch.input("x", shape), from: 8, to: 8)
        let rows = pixels(&sketch, "rows", a, 8)
        let p = product(&sketch, "p", rows, 8, 8)
        sketch.output(sketch.add("sum", rows, p))
        sketch.output(image(&sketch, "b", product(&sketch, "q", p, 8, 8), 8))
        let lines = try sketch.fused().nodeLines
        #expect(lines.filter { $0.contains("matrix[8->8]") }.count == 2)
        #expect(!lines.contains { $0.contains("pixels") })
    }
}
