import GraphCompiler
import GraphIR
import Testing

/// Results whose size the data decides are planned at their bound.
@Suite("bounded shapes") struct BoundedShapeTests {
    @Test("the bound is planned, and the size of each axis becomes an output of its own")
    func boundIsPlanned() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [3, 4])
        let places = sketch.node("places", .composite(.nonZero), x)
        let tuples = sketch.node("tuples", .transpose(permutation: nil), places)
        sketch.output(tuples, sketch.node("values", .composite(.gatherND(batchAxes: 0)), x, tuples))
        let bound = try sketch.bound()
        #expect(bound.firstViolation() == nil)
        #expect(bound.outputs.map { bound[$0].type?.shape } == [[12, 2], [12]])
        #expect(bound.outputs.map { bound[$0].extents.keys.sorted() } == [[0], [0]])
        #expect(bound.dump().contains("of 12"))
        let lowered = try sketch.lowered()
        #expect(lowered.outputs.count == 4)
        #expect(
            lowered.extents == [
                OutputExtent(output: 0, axis: 0, count: 2),
                OutputExtent(output: 1, axis: 0, count: 3),
            ]
        )
    }

    @Test("an operator that mixes what is real with what is not is refused by name")
    func mixingIsRefused() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [8])
        let places = sketch.node("places", .composite(.nonZero), x)
        let floats = sketch.node("floats", .cast(to: .float32), places)
        sketch.output(
            sketch.node("mixed", .composite(.meanVarianceNormalization(axes: [1])), floats)
        )
        let error = try #require(throws: CompileError.self) { _ = try sketch.bound() }
        guard case .unsupported(let reasons) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(reasons.first?.contains("'mixed'") == true)
        #expect(reasons.first?.contains("at most 8") == true)
    }

    @Test("what mixes an axis reads its real part alone, and a concat is as long as its parts")
    func mixingReadsWhatIsReal() throws {
        var sketch = GraphSketch()
        let places = sketch.node("places", .composite(.nonZero), sketch.input("x", [3, 4]))
        let reduction = Reduction(kind: .sum, keepsDimensions: false, ignoresEmptyAxes: false)
        let axes = sketch.integers("axes", [1])
        sketch.output(sketch.node("sums", .reduce(reduction), places, axes))
        sketch.output(sketch.node("twice", .concat(axis: 1), places, places))
        sketch.output(sketch.node("rows", .concat(axis: 0), places, places))
        let bound = try sketch.bound()
        #expect(bound.firstViolation() == nil)
        #expect(bound.outputs.map { bound[$0].type?.shape } == [[2], [2, 24], [4, 12]])
        #expect(bound.outputs.map { bound[$0].extents.keys.sorted() } == [[], [1], [1]])
        let counts = bound.outputs.dropFirst().map { bound[$0].extents[1] }
        #expect(counts[0] != counts[1])
    }

    @Test("a selection among what is selected is as long as it asks, or as what is left")
    func selectionOfSelected() throws {
        var sketch = GraphSketch()
        let places = sketch.node("places", .composite(.nonZero), sketch.input("x", [3, 4]))
        let (start, end) = (sketch.integers("start", [2]), sketch.integers("end", [7]))
        let (one, ends) = (sketch.integers("one", [1]), sketch.integers("ends", [0, -1]))
        sketch.output(sketch.node("cut", .slice, places, start, end, one))
        sketch.output(sketch.node("ends of it", .gather(axis: 1), places, ends))
        let floats = sketch.node("floats", .cast(to: .float32), places)
        let most = sketch.integers("most", [5])
        sketch.output(sketch.node("best", .composite(.topK(axis: 1, largest: true)), floats, most))
        let bound = try sketch.bound()
        #expect(bound.firstViolation() == nil)
        #expect(bound.outputs.map { bound[$0].type?.shape } == [[2, 5], [2, 2], [2, 5]])
        #expect(bound.outputs.map { bound[$0].extents.keys.sorted() } == [[1], [], [1]])
    }

    @Test("a cut that counts from the end is as long as it can be at any count")
    func cutFromTheEnd() throws {
        var sketch = GraphSketch()
        let places = sketch.node("places", .composite(.nonZero), sketch.input("x", [3, 4]))
        let (axis, one) = (sketch.integers("axis", [1]), sketch.integers("one", [1]))
        for (index, range) in [(0, -1), (-5, 12), (-5, 3), (2, -2)].enumerated() {
            let start = sketch.integers("start \(index)", [Int64(range.0)])
            let end = sketch.integers("end \(index)", [Int64(range.1)])
            sketch.output(sketch.node("cut \(index)", .slice, places, start, end, axis, one))
        }
        let bound = try sketch.bound()
        #expect(bound.firstViolation() == nil)
        #expect(
            bound.outputs.map { bound[$0].type?.shape } == [[2, 11], [2, 5], [2, 3], [2, 8]]
        )
        #expect(bound.outputs.allSatisfy { bound[$0].extents.keys.sorted() == [1] })
    }

    @Test("a reshape that merges an axis gives its real part, and back again its own count")
    func mergedAxes() throws {
        var sketch = GraphSketch()
        let places = sketch.node("places", .composite(.nonZero), sketch.input("x", [3, 4]))
        let all = sketch.integers("all", [-1])
        let flat = sketch.node("flat", .reshape(allowZero: false), places, all)
        let shape = sketch.node("shape", .shape(start: 1, end: 2), places)
        let sizes = sketch.node("sizes", .concat(axis: 0), sketch.integers("two", [2]), shape)
        sketch.output(flat)
        sketch.output(sketch.node("back", .reshape(allowZero: false), flat, sizes))
        sketch.output(sketch.node("filled", .constantOfShape(value: 1, dtype: .float32), sizes))
        let bound = try sketch.bound()
        #expect(bound.firstViolation() == nil)
        #expect(bound.outputs.map { bound[$0].type?.shape } == [[24], [2, 12], [2, 12]])
        let counts = bound.outputs.map { bound[$0].extents }
        #expect(counts[0].keys.sorted() == [0])
        #expect(counts[1] == counts[2])
    }

    @Test("a product over such an axis adds what is real, when both factors have one count")
    func productOverTheAxis() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [3, 4])
        let places = sketch.node("places", .composite(.nonZero), x)
        let floats = sketch.node("floats", .cast(to: .float32), places)
        let rows = sketch.node("rows", .transpose(permutation: nil), floats)
        sketch.output(sketch.node("inner", .matmul, floats, rows))
        sketch.output(sketch.node("outer", .matmul, rows, floats))
        let bound = try sketch.bound()
        #expect(bound.outputs.map { bound[$0].type?.shape } == [[2, 2], [12, 12]])
        #expect(bound.outputs.map { bound[$0].extents.keys.sorted() } == [[], [0, 1]])
        let whole = sketch.floats("whole", [12, 1], Array(repeating: 1, count: 12))
        sketch.output(sketch.node("uneven", .matmul, floats, whole))
        #expect(throws: CompileError.self) { _ = try sketch.bound() }
    }

    @Test("the shape of such a result is known only to the run")
    func shapeIsComputed() throws {
        var sketch = GraphSketch()
        let places = sketch.node("places", .composite(.nonZero), sketch.input("x", [8]))
        sketch.output(sketch.node("shape", .shape(start: 0, end: nil), places))
        sketch.output(sketch.node("rank", .shape(start: 0, end: 1), places))
        let bound = try sketch.bound()
        #expect(bound[bound.outputs[0]].constant == nil)
        #expect(bound[bound.outputs[0]].extents.isEmpty)
        #expect(bound[bound.outputs[1]].constant?.literal?.integers == [1])
    }

    @Test("a count that is offered decides; one that is not leaves the whole axis as the bound")
    func runTimeCount() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 9])
        let count = sketch.input("count", [1], .int64)
        sketch.output(sketch.node("best", .composite(.topK(axis: 1, largest: true)), x, count))
        let open = try sketch.bound()
        #expect(open[open.outputs[0]].type?.shape == [2, 9])
        #expect(open[open.outputs[0]].extents.keys.sorted() == [1])
        let (fixed, inputs) = try bindShapes(
            of: sketch.graph,
            inputTypes: [TensorType(.float32, [2, 9]), TensorType(.int64, [1])],
            inputValues: [nil, DenseTensor(shape: [1], integers: [4])]
        )
        #expect(inputs == [1])
        #expect(fixed[fixed.outputs[0]].type?.shape == [2, 4])
        #expect(fixed[fixed.outputs[0]].extents.isEmpty)
    }

    @Test("known data gives results of their true size")
    func knownDataIsExact() throws {
        var sketch = GraphSketch()
        let x = sketch.floats("x", [4], [1, 0, 0, 2])
        sketch.output(sketch.node("places", .composite(.nonZero), x))
        let bound = try sketch.bound()
        #expect(bound[bound.outputs[0]].constant?.literal?.integers == [0, 3])
        #expect(bound.nodes.isEmpty)
    }
}
