import GraphCompiler
import GraphIR
import Testing

@Suite("Layers computed in bands")
struct BandPassTests {
    @Test("the first layer takes a pool of its result that nobody else reads")
    func firstLayersTakePools() throws {
        let windows = Pool(kind: .maximum, kernel: [3, 3], strides: [2, 2])
        var alone = GraphSketch()
        let image = alone.input("x", [1, 3, 9, 9])
        let layer = alone.convolution("a", image, from: 3, to: 8)
        alone.output(alone.node("y", .pool(windows), layer))
        let (_, fused) = try alone.around("pool")
        #expect(fused.nodeLines.count == 1)
        #expect(fused.nodeLines[0].contains("conv.planar"))
        #expect(fused.nodeLines[0].contains("+maxpool[3x3](x)"))

        var shared = GraphSketch()
        let again = shared.convolution("a", shared.input("x", [1, 3, 9, 9]), from: 3, to: 8)
        shared.output(shared.node("y", .pool(windows), again), again)
        let (before, after) = try shared.around("pool")
        #expect(before.dump() == after.dump())
    }

    @Test("a pointwise convolution takes a depthwise one that alone reads its result")
    func expansionsTakeDepthwise() throws {
        func sketch(isShared: Bool) -> GraphSketch {
            var sketch = GraphSketch()
            let x = sketch.input("x", [1, 8, 9, 9])
            let wide = sketch.relu("r", sketch.convolution("a", x, from: 8, to: 24))
            let narrow = sketch.convolution("b", wide, from: 24, to: 24, kernel: 3, group: 24)
            let result = sketch.relu("y", narrow)
            if isShared { sketch.output(result, wide) } else { sketch.output(result) }
            return sketch
        }
        let alone = sketch(isShared: false)
        let (_, fused) = try alone.around("depthwise")
        #expect(
            fused.nodeLines == [
                "0: y: float32[1x24x9x9] = conv.tile[1x1 8->24 stride 1x1 group 1 parts 1]"
                    + "+clamp(0.0, inf)+depthwise[3x3 stride 1x1](x) then clamp(0.0, inf)  # a"
            ]
        )
        guard case .convolution(let kernel) = fused.nodes[0].kernel else { return }
        // Eight products and nine taps for each of 24 channels of 81 pixels.
        #expect(kernel.floatingPointOperations == 2 * 81 * 24 * (8 + 9))
        #expect(kernel.packedWeights(of: 0).map(\.order) == [.blocked, .depthwise])

        let shared = sketch(isShared: true)
        let (before, after) = try shared.around("depthwise")
        #expect(before.dump() == after.dump())
    }

    @Test("the first layer takes a depthwise convolution that alone reads its result")
    func firstLayersTakeDepthwise() throws {
        var sketch = GraphSketch()
        let layer = sketch.convolution("a", sketch.input("x", [1, 3, 9, 9]), from: 3, to: 24)
        sketch.output(sketch.convolution("y", layer, from: 24, to: 24, kernel: 3, group: 24))
        let (_, fused) = try sketch.around("depthwise")
        #expect(
            fused.nodeLines == [
                "0: y: float32[1x24x9x9] = conv.planar[1x1 3->24 stride 1x1 group 1 parts 1]"
                    + "+depthwise[3x3 stride 1x1](x)  # a"
            ]
        )
        guard case .convolution(let kernel) = fused.nodes[0].kernel else { return }
        #expect(kernel.packedWeights(of: 0).map(\.order) == [.planar, .depthwise])
    }

    @Test("an inverted residual whose weights are few is one node")
    func invertedResidualsAreOne() throws {
        func sketch(side: Int) -> GraphSketch {
            var sketch = GraphSketch()
            let x = sketch.input("x", [1, 8, side, side])
            let wide = sketch.relu("r", sketch.convolution("a", x, from: 8, to: 24))
            let deep = sketch.convolution("b", wide, from: 24, to: 24, kernel: 3, group: 24)
            let narrow = sketch.convolution("c", sketch.relu("s", deep), from: 24, to: 8)
            sketch.output(sketch.add("y", narrow, x))
            return sketch
        }
        let large = sketch(side: 9)
        let (_, fused) = try large.around("projection")
        #expect(
            fused.nodeLines == [
                "0: y: float32[1x8x9x9] = conv.tile+residual[1x1 8->24 stride 1x1 group 1 parts 1]"
                    + "+clamp(0.0, inf)+depthwise[3x3 stride 1x1]+clamp(0.0, inf)+project[8]"
                    + "(x, x)  # a"
            ]
        )
        guard case .convolution(let kernel) = fused.nodes[0].kernel else { return }
        #expect(kernel.floatingPointOperations == 2 * 81 * 24 * (8 + 9 + 8))
        #expect(kernel.packedWeights(of: 0).map(\.order) == [.blocked, .depthwise, .blocked])

        // 600 weights would take more than half of what lies between.
        let small = sketch(side: 6)
        let (before, after) = try small.around("projection")
        #expect(before.dump() == after.dump())
    }

    @Test("two pointwise convolutions around the widest tensor are one node")
    func feedForwardsAreOne() throws {
        func fused(side: Int, from: Int = 8, wide: Int = 24, to: Int = 8) throws -> [String] {
            var sketch = GraphSketch()
            let x = sketch.input("x", [2, from, side, side])
            let a = sketch.relu("r", sketch.convolution("a", x, from: from, to: wide))
            sketch.output(sketch.convolution("b", a, from: wide, to: to))
            return try sketch.around("projection").after.nodeLines
        }
        #expect(
            try fused(side: 9) == [
                "0: b: float32[2x8x9x9] = conv.tile[1x1 8->24 stride 1x1 group 1 parts 1]"
                    + "+clamp(0.0, inf)+project[8](x)  # a"
            ]
        )
        // 384 weights would take more than half of what lies between.
        #expect(try fused(side: 3).count == 2)
        // What they read, or write, would live on with more bytes than what lies between has.
        #expect(try fused(side: 20, from: 25).count == 2)
        #expect(try fused(side: 20, to: 25).count == 2)
        // More weights than stay in a cache.
        #expect(try fused(side: 80, from: 400, wide: 700, to: 400).count == 2)
    }

    @Test("so are layers of rows, through views, but not with weights that others have, too")
    func feedForwardsOfRows() throws {
        func fused(rows: [Int], sharing: Bool) throws -> [String] {
            var sketch = GraphSketch()
            let x = sketch.input("x", rows + [8])
            let (w, v) = (sketch.weights("w", [8, 24]), sketch.weights("v", [24, 8]))
            let a = sketch.node("a", .matmul, x, w)
            let g = sketch.node("g", .unary(.gelu(tanhApproximation: false)), a)
            sketch.output(sketch.add("y", x, sketch.node("b", .matmul, g, v)))
            if sharing {
                let z = sketch.node("z", .matmul, sketch.input("few", [2, 8]), w)
                sketch.output(z)
            }
            return try sketch.around("projection").after.nodeLines
        }
        let lines = try fused(rows: [2, 31], sharing: false)
        #expect(
            lines.contains {
                $0.contains("= matrix+residual[8->24]+gelu(tanhApproximation: false)+project[8](")
            }
        )
        #expect(lines.filter { $0.contains("matrix") }.count == 1)
        #expect(
            try fused(rows: [2, 31], sharing: true).filter { $0.contains("matrix") }.count == 3
        )
    }
}
