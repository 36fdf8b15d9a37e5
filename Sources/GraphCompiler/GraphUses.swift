import GraphIR

/// Who produces and who reads each value of a graph.
package struct GraphUses {
    package private(set) var producer: [Int?]
    package private(set) var readers: [[Int]]
    private var isOutput: [Bool]

    package init(of graph: Graph) {
        producer = Array(repeating: nil, count: graph.values.count)
        readers = Array(repeating: [], count: graph.values.count)
        isOutput = Array(repeating: false, count: graph.values.count)
        for (index, node) in graph.nodes.enumerated() {
            for input in node.inputs { if let input { readers[input.index].append(index) } }
            for output in node.outputs { if let output { producer[output.index] = index } }
        }
        for output in graph.outputs { isOutput[output.index] = true }
    }

    package init(of graph: FusedGraph) {
        producer = Array(repeating: nil, count: graph.values.count)
        readers = Array(repeating: [], count: graph.values.count)
        isOutput = Array(repeating: false, count: graph.values.count)
        for (index, node) in graph.nodes.enumerated() {
            for input in node.inputs { readers[input.index].append(index) }
            producer[node.output.index] = index
        }
        for output in graph.outputs { isOutput[output.index] = true }
    }

    /// Takes in the next value of the graph, which no node produces or reads yet.
    package mutating func addValue() {
        producer.append(nil)
        readers.append([])
        isOutput.append(false)
    }

    /// Whether exactly one operand of one node reads the value, and the caller of the model does
    /// not see it.
    package func isReadOnce(_ id: ValueID) -> Bool {
        readers[id.index].count == 1 && !isOutput[id.index]
    }

    package func isGraphOutput(_ id: ValueID) -> Bool { isOutput[id.index] }
}
