import GraphCompiler
import GraphIR
import Testing

@Suite("Branches of one image")
struct BranchPassTests {
    /// The sum of two results, `first` and `second` of an image.
    private func lines(
        _ first: (inout GraphSketch, ValueID) -> ValueID,
        _ second: (inout GraphSketch, ValueID) -> ValueID
    ) throws -> [String] {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 16, 6, 6])
        let terms = [first(&sketch, x), second(&sketch, x)]
        sketch.output(sketch.add("y", terms[0], terms[1]))
        return try sketch.around("branch").after.nodeLines
    }

    private func convolution(
        _ name: String,
        kernel: Int,
        stride: Int = 1,
        group: Int = 1
    ) -> (inout GraphSketch, ValueID) -> ValueID {
        { sketch, x in
            sketch.convolution(
                name,
                x,
                from: 16,
                to: 16,
                kernel: kernel,
                stride: stride,
                group: group
            )
        }
    }

    /// A factor and an offset for each channel.
    private func normalisation(_ sketch: inout GraphSketch, _ x: ValueID) -> ValueID {
        let statistics = ["gamma", "beta", "mean", "variance"].map { sketch.weights($0, [16]) }
        return sketch.node("n", .batchNormalization(epsilon: 1e-5), [x] + statistics)
    }

    @Test(
        "filters of which one has all taps are one, in either order",
        arguments: [1, 2],
        [1, 16]
    )
    func filters(stride: Int, group: Int) throws {
        let large = convolution("large", kernel: 3, stride: stride, group: group)
        let small = convolution("small", kernel: 1, stride: stride, group: group)
        let kind = group == 1 ? "tile" : "depthwise"
        let size = 6 / stride
        let expected = [
            "0: y: float32[1x16x\(size)x\(size)] = conv.\(kind)[3x3 16->16 stride "
                + "\(stride)x\(stride) group \(group) parts 1](x)  # large"
        ]
        #expect(try lines(large, small) == expected)
        #expect(try lines(small, large) == expected)
    }

    @Test(
        "the image itself and its normalisation are weights of the channel",
        arguments: [1, 2, 16]
    )
    func image(group: Int) throws {
        let filter = convolution("filter", kernel: 3, group: group)
        let kind = group == 16 ? "depthwise" : "tile"
        let expected = [
            "0: y: float32[1x16x6x6] = conv.\(kind)[3x3 16->16 stride 1x1 group \(group) "
                + "parts \(group == 2 ? 2 : 1)](x)  # filter"
        ]
        #expect(try lines(filter, { $1 }) == expected)
        #expect(try lines(normalisation, filter) == expected)
    }

    @Test("what follows the sum is folded in")
    func affineBehindTheSum() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 16, 6, 6])
        let filter = convolution("filter", kernel: 3)(&sketch, x)
        sketch.output(normalisation(&sketch, sketch.add("sum", filter, x)))
        let after = try sketch.around("branch").after
        let kernel = try #require(after.onlyConvolution)
        #expect(after.nodes.count == 1)
        #expect(kernel.parts[0].weights.scale != nil)
        #expect(kernel.parts[0].weights.added.allSatisfy { $0.scale != nil })
    }

    @Test("a product of matrices with its own operand stays a sum")
    func products() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [4, 16])
        let product = sketch.node("product", .matmul, x, sketch.weights("w", [16, 16]))
        sketch.output(sketch.add("y", product, x))
        #expect(try sketch.around("branch").after.nodeLines.last?.contains("= add(") == true)
    }

    @Test("others stay sums")
    func othersStay() throws {
        let filter = convolution("a", kernel: 3)
        let others: [(inout GraphSketch, ValueID) -> ValueID] = [
            // Something is done to a result, or to the image.
            { $0.relu("r", convolution("b", kernel: 1)(&$0, $1)) },
            { convolution("b", kernel: 1)(&$0, $0.relu("r", $1)) },
            // Another result is read.
            {
                let b = convolution("b", kernel: 1)(&$0, $1)
                $0.output(b)
                return b
            },
            // Groups differ.
            convolution("b", kernel: 3, group: 2),
        ]
        let maps = try lines(normalisation, { $1 })
        #expect(maps.last?.contains("= add(") == true)
        for other in others { #expect(try lines(filter, other).last?.contains("= add(") == true) }
        // Neither has the taps of both.
        func line(_ name: String, _ shape: [Int]) -> (inout GraphSketch, ValueID) -> ValueID {
            { sketch, x in
                let pads = shape.map { $0 / 2 }
                let convolution = Convolution(kernel: shape, padding: .explicit(pads + pads))
                let weights = sketch.weights(name + ".w", [16, 16] + shape)
                return sketch.node(name, .convolution(convolution), x, weights)
            }
        }
        let crossed = try lines(line("row", [1, 3]), line("column", [3, 1]))
        #expect(crossed.last?.contains("= add(") == true)
    }
}
