import GraphCompiler
import GraphIR
import Testing

@Suite("Local response normalisation, written out")
struct LocalResponseFormTests {
    /// As PyTorch has it: the squares of [2, 8, 6, 5] as images of volumes, or of rows, get zeros before
    /// and after the channels and are pooled.
    private func writtenOut(
        size: Int = 5,
        zeros: (before: Int, after: Int) = (2, 2),
        behind: [Int] = [6, 5],
        channels: [Int] = [1, 8],
        fill: Float? = nil,
        squaresOther: Bool = false
    ) throws -> Graph {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 8, 6, 5])
        let other = squaresOther ? sketch.input("z", [2, 8, 6, 5]) : x
        let square = sketch.node("square", .binary(.multiply), x, other)
        let shape = sketch.integers("seen", ([2] + channels + behind).map { Int64($0) })
        let seen = sketch.node("view", .reshape(allowZero: false), square, shape)
        let rest = behind.map { _ in Int64(0) }
        let borders = [0, 0, Int64(zeros.before)] + rest + [0, 0, Int64(zeros.after)] + rest
        let padded = sketch.node(
            "pad",
            .pad(.constant),
            seen,
            sketch.integers("pads", borders),
            fill.map { sketch.floats("fill", [], [$0]) }
        )
        let pool = Pool(kind: .average, kernel: [size] + behind.map { _ in 1 })
        let mean = sketch.node("mean", .pool(pool), padded)
        let back = sketch.node(
            "back",
            .reshape(allowZero: false),
            mean,
            sketch.integers("shape", [2, 8, 6, 5])
        )
        let scaled = sketch.node(
            "scaled",
            .binary(.multiply),
            back,
            sketch.floats("alpha", [], [0.25])
        )
        let sum = sketch.add("sum", scaled, sketch.floats("k", [], [2]))
        let power = sketch.node(
            "power",
            .binary(.power),
            sum,
            sketch.floats("beta", [], [0.75])
        )
        sketch.output(sketch.node("y", .binary(.divide), x, power))
        return try sketch.bound()
    }

    @Test("is one node, pooled in volumes or in images", arguments: [[6, 5], [30]])
    func oneNode(behind: [Int]) throws {
        for (size, border) in [(3, 1), (5, 2)] {
            let before = try writtenOut(size: size, zeros: (border, border), behind: behind)
            let after = recognizeLocalResponse(in: before)
            let op = Operator.localResponseNormalization(
                size: size,
                alpha: 0.25,
                beta: 0.75,
                bias: 2
            )
            #expect(after.nodes.map(\.op) == [op])
            #expect(after.nodes[0].inputs == [before.inputs[0].value])
        }
    }

    @Test("of other neighbours, borders or squares stays as it is")
    func others() throws {
        let graphs = try [
            // The operator would take one channel more behind than before.
            writtenOut(size: 4, zeros: (2, 1)),
            writtenOut(zeros: (3, 1)),
            writtenOut(fill: 1),
            writtenOut(squaresOther: true),
            // Two groups of channels, each by itself.
            writtenOut(size: 3, zeros: (1, 1), channels: [2, 4]),
        ]
        for graph in graphs { #expect(recognizeLocalResponse(in: graph).dump() == graph.dump()) }
    }

    @Test("a pool along one axis of volumes is one pool")
    func singleWindows() throws {
        let pools = try writtenOut().nodes.filter {
            if case .pool = $0.op { return true } else { return false }
        }
        #expect(pools.count == 1)
    }
}
