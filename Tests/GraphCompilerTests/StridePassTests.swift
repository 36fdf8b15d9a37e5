import GraphCompiler
import GraphIR
import Testing

@Suite("Strides of pointwise convolutions")
struct StridePassTests {
    /// Name, strides and sizes of the results of the nodes that have any.
    private func lines(_ graph: Graph) -> [String] {
        graph.nodes.map { node in
            let shape = node.outputs[0].flatMap { graph[$0].type?.shape } ?? []
            let size = shape.suffix(2).map(String.init).joined(separator: "x")
            switch node.op {
            case .convolution(let convolution):
                return "\(node.name) s\(convolution.strides.map(String.init).joined()) \(size)"
            case .pool(let pool):
                return "\(node.name) pool s\(pool.strides.map(String.init).joined()) \(size)"
            default: return "\(node.name) \(size)"
            }
        }
    }

    /// The end of a stage: a convolution, the sum with what came before, an activation, two readers.
    private func stage(
        kernel: Int = 1,
        secondStride: Int = 2,
        isSeen: Bool = false,
        sums: Bool = true
    ) throws -> Graph {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 16, 9, 7])
        let before = sketch.relu("before", x)
        let middle = sketch.convolution("middle", before, from: 16, to: 32, kernel: 3)
        let last = sketch.convolution("last", middle, from: 32, to: 16, kernel: kernel)
        let sum = sums ? sketch.add("sum", last, before) : last
        let y = sketch.relu("y", sum)
        sketch.output(sketch.convolution("a", y, from: 16, to: 8, stride: 2))
        sketch.output(sketch.convolution("b", y, from: 16, to: 24, stride: secondStride))
        if isSeen { sketch.output(y) }
        return try sketch.bound()
    }

    @Test("go to the convolution before the sum, whose other operand is copied")
    func residual() throws {
        let after = moveStridesUp(in: try stage())
        #expect(
            lines(after) == [
                "before 9x7", "middle s11 9x7", "last s22 5x4", "before.strided pool s22 5x4",
                "sum 5x4", "y 5x4", "a s11 5x4", "b s11 5x4",
            ]
        )
    }

    @Test("stay where something reads more, or where a convolution would lose its algorithm")
    func others() throws {
        let graphs = try [
            stage(secondStride: 1), stage(isSeen: true), stage(kernel: 3),
            stage(kernel: 3, sums: false),
        ]
        for graph in graphs { #expect(moveStridesUp(in: graph).dump() == graph.dump()) }
    }

    @Test("stay behind a sum with numbers of each pixel; those of channels do not matter")
    func constants() throws {
        for (numbers, isMoved) in [([1, 16, 9, 7], false), ([16, 1, 1], true), ([], true)] {
            var sketch = GraphSketch()
            let x = sketch.input("x", [1, 16, 9, 7])
            let conv = sketch.convolution("conv", x, from: 16, to: 16)
            let sum = sketch.add("sum", conv, sketch.weights("numbers", numbers))
            sketch.output(sketch.convolution("y", sum, from: 16, to: 8, stride: 2))
            let after = lines(moveStridesUp(in: try sketch.bound()))
            #expect((after[0] == "conv s22 5x4") == isMoved)
            #expect((after[2] == "y s11 5x4") == isMoved)
        }
    }

    @Test("multiply along a chain, up to the last one that they do good")
    func chain() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 16, 17, 17])
        let wide = sketch.convolution("wide", x, from: 16, to: 16, kernel: 3, group: 16)
        let first = sketch.convolution("first", wide, from: 16, to: 32)
        let second = sketch.convolution("second", first, from: 32, to: 32, stride: 2)
        sketch.output(sketch.convolution("third", second, from: 32, to: 8, stride: 2))
        let after = moveStridesUp(in: try sketch.bound())
        #expect(
            lines(after) == ["wide s44 5x5", "first s11 5x5", "second s11 5x5", "third s11 5x5"]
        )
    }

    @Test("an input that a sum wants with strides is copied once")
    func copiesOnce() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 16, 8, 8])
        let z = sketch.input("z", [1, 16, 8, 8])
        for name in ["a", "b"] {
            let conv = sketch.convolution(name, z, from: 16, to: 16)
            let sum = sketch.add(name + ".sum", conv, x)
            sketch.output(sketch.convolution(name + ".reader", sum, from: 16, to: 8, stride: 2))
        }
        let after = moveStridesUp(in: try sketch.bound())
        #expect(
            lines(after) == [
                "a s22 4x4", "x.strided pool s22 4x4", "a.sum 4x4", "a.reader s11 4x4", "b s22 4x4",
                "b.sum 4x4", "b.reader s11 4x4",
            ]
        )
        #expect(after.firstViolation() == nil)
    }

    @Test("an input that sums want with other strides is copied for each, under names of their own")
    func copiesForEachStride() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 16, 9, 9])
        let z = sketch.input("z", [1, 16, 9, 9])
        for stride in [2, 3] {
            let conv = sketch.convolution("conv\(stride)", z, from: 16, to: 16)
            let sum = sketch.add("sum\(stride)", conv, x)
            sketch.output(
                sketch.convolution("y\(stride)", sum, from: 16, to: 8, stride: stride)
            )
        }
        let after = moveStridesUp(in: try sketch.bound())
        #expect(
            lines(after) == [
                "conv2 s22 5x5", "x.strided pool s22 5x5", "sum2 5x5", "y2 s11 5x5",
                "conv3 s33 3x3", "x.strided pool s33 3x3", "sum3 3x3", "y3 s11 3x3",
            ]
        )
        #expect(after.firstViolation() == nil)
    }
}
