import GraphCompiler
import GraphIR
import Testing

@Suite("Products and the copies and factors around them")
struct ProductPassTests {
    private let images = 2
    /// More than twice the size of a head: scores take more than queries and values.
    private var tokens = 35
    private let heads = 2
    private let size = 16

    /// Attention of `x` [images, tokens, heads * size] to itself, its heads cut out of one product.
    ///
    /// The first operand is halved, the scores are divided by 4.
    private func attention(
        also last: (inout GraphSketch, [String: ValueID]) -> Void = { _, _ in }
    ) throws -> FusedGraph {
        var sketch = GraphSketch()
        let width = heads * size
        let x = sketch.input("x", [images, tokens, width])
        let all = sketch.node("all", .matmul, x, sketch.weights("w", [width, 3 * width]))
        let shape = sketch.integers("shape", [images, tokens, 3, heads, size].map { Int64($0) })
        let parted = sketch.node("parted", .reshape(allowZero: false), all, shape)
        let moved = sketch.node("moved", .transpose(permutation: [2, 0, 3, 1, 4]), parted)
        let (axis, steps) = (sketch.integers("axis", [0]), sketch.integers("steps", [1]))
        let whole = sketch.integers("whole", [images, heads, tokens, size].map { Int64($0) })
        let parts = ["q", "k", "v"].enumerated().map { part, name in
            let start = sketch.integers("start\(part)", [Int64(part)])
            let end = sketch.integers("end\(part)", [Int64(part + 1)])
            let cut = sketch.node("cut\(part)", .slice, moved, start, end, axis, steps)
            return sketch.node(name, .reshape(allowZero: false), cut, whole)
        }
        let half = sketch.node("half", .binary(.multiply), parts[0], sketch.floats("2", [], [0.5]))
        let turned = sketch.node("turned", .transpose(permutation: [0, 1, 3, 2]), parts[1])
        let product = sketch.node("product", .matmul, half, turned)
        let scores = sketch.node("scores", .binary(.divide), product, sketch.floats("4", [], [4]))
        let shares = sketch.node("shares", .softmax(axis: -1, flattened: false), scores)
        let mixed = sketch.node("mixed", .matmul, shares, parts[2])
        let back = sketch.node("back", .transpose(permutation: [0, 2, 1, 3]), mixed)
        let rows = sketch.integers("rows", [images, tokens, width].map { Int64($0) })
        let y = sketch.node("y", .reshape(allowZero: false), back, rows)
        sketch.output(sketch.node("end", .unary(.tanh), y))
        last(&sketch, ["half": half, "turned": turned, "product": product, "mixed": mixed])
        return try sketch.fused()
    }

    private func packings(_ graph: FusedGraph) -> [MatrixPacking] {
        graph.nodes.compactMap { node in
            guard case .packMatrices(let packing) = node.kernel else { return nil }
            return packing
        }
    }

    private func products(_ graph: FusedGraph) -> [ProductKernel] {
        graph.nodes.compactMap { node in
            guard case .product(let product) = node.kernel else { return nil }
            return product
        }
    }

    /// Copies that move something, and multiplications.
    private func moves(_ graph: FusedGraph) -> Int {
        graph.nodes.filter { node in
            switch node.kernel {
            case .copy(let copy): copy.boxes.contains { $0.dimensions.count > 1 }
            case .binary: true
            default: false
            }
        }.count
    }

    /// Where heads of part `part` of three begin in a row of all, for each image and head.
    private func offsets(part: Int, of parts: Int) -> [Int] {
        let width = heads * size
        return (0..<images).flatMap { image in
            (0..<heads).map { (image * tokens * parts + part) * width + $0 * size }
        }
    }

    @Test("keys and values are packed out of the rows of all, and heads written side by side")
    func attentionOfHeads() throws {
        let graph = try attention()
        let width = heads * size
        // Queries are copied: a third of the rows lives on instead of all.
        #expect(moves(graph) == 1)
        let packings = packings(graph).sorted { $0.k < $1.k }
        #expect(packings.map(\.source.offsets) == [1, 2].map { offsets(part: $0, of: 3) })
        #expect(packings.map(\.source.rowStride) == [1, 3 * width])
        #expect(packings.map(\.source.columnStride) == [3 * width, 1])
        #expect(packings.map(\.scale) == [0.125, 1])
        let mixed = try #require(products(graph).last)
        #expect(mixed.result.offsets == offsets(part: 0, of: 1))
        #expect(mixed.result.rowStride == width)
    }

    @Test("of short sequences nothing is copied: scores are smaller than what copies would take")
    func attentionOfFewTokens() throws {
        var few = self
        few.tokens = 13
        let graph = try few.attention()
        #expect(moves(graph) == 0)
        let product = try #require(products(graph).first)
        #expect(product.a.offsets == few.offsets(part: 0, of: 3))
        #expect(product.a.rowStride == 3 * heads * size)
        // Values are packed after the scores, and keys before.
        let order = graph.nodes.compactMap { node -> String? in
            switch node.kernel {
            case .packMatrices(let packing): packing.k == size ? "keys" : "values"
            case .product: "product"
            default: nil
            }
        }
        #expect(order == ["keys", "product", "values", "product"])
    }

    @Test("a multiplied operand that something else reads is multiplied by itself")
    func operandIsReadOtherwise() throws {
        let graph = try attention { sketch, values in
            sketch.output(sketch.node("z", .unary(.exp), values["half"]))
        }
        #expect(packings(graph).map(\.scale).sorted() == [0.25, 1])
    }

    @Test("a product that the caller gets is neither divided nor moved")
    func productIsOutput() throws {
        let graph = try attention { sketch, values in
            for name in ["product", "mixed"] { if let id = values[name] { sketch.output(id) } }
        }
        #expect(packings(graph).map(\.scale).sorted() == [0.5, 1])
        // The quotient, queries, and what is written side by side.
        #expect(moves(graph) == 3)
        #expect(products(graph).allSatisfy { $0.result.rowStride == $0.n })
    }

    @Test("a transposed operand that something else reads is packed as it is")
    func operandIsKept() throws {
        let graph = try attention { sketch, values in
            sketch.output(sketch.node("z", .unary(.exp), values["turned"]))
        }
        let keys = try #require(packings(graph).min { $0.k < $1.k })
        #expect(keys.source.offsets == (0..<images * heads).map { $0 * tokens * size })
        #expect((keys.source.rowStride, keys.source.columnStride) == (tokens, 1))
    }

    /// The product of heads of rows of `heads` times `size` columns with keys.
    private func queries(heads: Int) throws -> (graph: FusedGraph, product: ProductKernel) {
        var sketch = GraphSketch()
        let width = heads * size
        let x = sketch.input("x", [images, tokens, width])
        let keys = sketch.input("keys", [images, heads, size, tokens])
        let all = sketch.node("all", .matmul, x, sketch.weights("w", [width, width]))
        let shape = sketch.integers("shape", [images, tokens, heads, size].map { Int64($0) })
        let parted = sketch.node("parted", .reshape(allowZero: false), all, shape)
        let moved = sketch.node("moved", .transpose(permutation: [0, 2, 1, 3]), parted)
        sketch.output(sketch.node("y", .matmul, moved, keys))
        let graph = try sketch.fused()
        return (graph, try #require(products(graph).first))
    }

    @Test("rows of one product are read where they are, if they are not more than those of heads")
    func queriesOfTheirOwn() throws {
        let (graph, product) = try queries(heads: heads)
        #expect(moves(graph) == 0)
        #expect(product.a.offsets == offsets(part: 0, of: 1))
        #expect(product.a.rowStride == heads * size)
    }

    @Test("rows that would share a set of the first cache are copied")
    func queriesFarApart() throws {
        let (graph, product) = try queries(heads: 1024 / size)
        #expect(moves(graph) == 1)
        #expect(product.a.rowStride == size)
    }
}
