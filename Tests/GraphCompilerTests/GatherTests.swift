import GraphCompiler
import GraphIR
import Testing

@Suite("Gathers with known indices")
struct GatherTests {
    @Test("are copies where indices are evenly spaced")
    func evenIndicesAreCopies() throws {
        for (indices, isCopy) in [
            ([1], true), ([2, 2], true), ([-1, -2, -3], true), ([0, 2], true), ([0, 1, 3], false),
        ] as [([Int64], Bool)] {
            var sketch = GraphSketch()
            let x = sketch.input("x", [3, 4, 5])
            let places = sketch.integers("places", indices)
            sketch.output(sketch.node("y", .gather(axis: 1), x, places))
            let node = try sketch.lowered().nodes[0]
            guard case .copy(let copy) = node.kernel else {
                #expect(!isCopy)
                continue
            }
            #expect(isCopy && copy.boxes.count == 1)
            let first = indices[0] < 0 ? indices[0] + 4 : indices[0]
            let step = indices.count > 1 ? indices[1] - indices[0] : 0
            #expect(copy.boxes[0].inputOffset == Int(first) * 5)
            #expect(copy.boxes[0].inputStrides == [20, Int(step) * 5, 1])
            #expect(copy.boxes[0].dimensions == [3, indices.count, 5])
        }
    }
}
