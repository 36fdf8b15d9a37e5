import GraphCompiler
import GraphIR
import Testing

@Suite("Views after element-wise nodes")
struct MoveViewsTests {
    /// relu(x w + bias) with as many axes as `shape`.
    private func layer(_ shape: [Int], bias: [Int]) -> GraphSketch {
        var sketch = GraphSketch()
        let x = sketch.input("x", shape + [8])
        let product = sketch.node("p", .matmul, x, sketch.weights("w", [8, 16]))
        let sum = sketch.add("sum", sketch.weights("bias", bias), product)
        sketch.output(sketch.relu("y", sum))
        return sketch
    }

    @Test("bias and activation join a product of any number of axes")
    func layersAreOne() throws {
        for (shape, bias) in [([2, 3], [16]), ([1, 2, 3], [1, 16]), ([2, 1, 3], [1])] {
            let after = try layer(shape, bias: bias).fused()
            let products = after.nodes.filter { $0.activation != .none }
            #expect(products.count == 1)
            #expect(try #require(after.onlyConvolution).parts[0].weights.bias != nil)
            #expect(after.nodes.allSatisfy { if case .binary = $0.kernel { false } else { true } })
        }
    }

    @Test("so does batch normalisation of rows between two views")
    func normalizationsOfRows() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 3, 8])
        let product = sketch.node("p", .matmul, x, sketch.weights("w", [8, 16]))
        let flat = sketch.node(
            "flat",
            .reshape(allowZero: false),
            product,
            sketch.integers("f", [6, 16])
        )
        let vectors = ["gamma", "beta", "mean", "variance"].map { sketch.weights($0, [16]) }
        let normal = sketch.node("bn", .batchNormalization(epsilon: 1e-5), [flat] + vectors)
        let back = sketch.node(
            "back",
            .reshape(allowZero: false),
            normal,
            sketch.integers("b", [2, 3, 16])
        )
        sketch.output(sketch.relu("y", back))
        let after = try sketch.fused()
        let weights = try #require(after.onlyConvolution).parts[0].weights
        #expect(weights.scale != nil && weights.bias != nil)
        let active = after.nodes.filter { $0.activation != .none }
        #expect(active.count == 1)
        #expect(active.allSatisfy { if case .convolution = $0.kernel { true } else { false } })
        #expect(after.nodes.allSatisfy { if case .binary = $0.kernel { false } else { true } })
    }

    @Test("an addition along another axis stays")
    func otherAxesStay() throws {
        let (before, after) = try layer([1, 2, 16], bias: [16, 1]).around("view")
        #expect(before.dump() == after.dump())
    }
}
