import GraphIR

/// An addition whose one operand is the result of a convolution becomes the end of that
/// convolution, which runs where the addition stood.
///
/// The result of a matrix product may be seen with other axes: its elements stand in the same order.
func fuseResiduals(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .binary(.add) = node.kernel, node.inputs[0] != node.inputs[1] else { continue }
        let types = node.inputs.map { graph[$0].type }
        guard types[0] == types[1], types[0].dtype == .float32,
            node.inputs.allSatisfy({ graph[$0].constant == nil })
        else { continue }
        let candidates = (0..<2).compactMap { side in
            editor.residualCandidate(of: node.inputs[side]).map { (way: $0, side: side) }
        }
        // The later of two keeps the lifetimes of its operands as they are.
        guard let chosen = candidates.max(by: { $0.way.index < $1.way.index }),
            let conv = editor.nodes[chosen.way.index], case .convolution(var kernel) = conv.kernel
        else { continue }
        kernel.hasResidual = true
        for place in chosen.way.views + [chosen.way.index] { editor.nodes[place] = nil }
        editor.nodes[index] = FusedNode(
            name: conv.name,
            kernel: .convolution(kernel),
            inputs: conv.inputs + [node.inputs[1 - chosen.side]],
            output: node.output,
            activation: node.activation
        )
    }
    return editor.finish()
}

extension Editor {
    /// The convolution that could add something to that value, its result or a view of it.
    fileprivate func residualCandidate(of id: ValueID) -> (index: Int, views: [Int])? {
        guard let way = producerBeforeViews(of: id), let node = nodes[way.index],
            case .convolution(let kernel) = node.kernel, !kernel.hasResidual,
            node.activation == .none, kernel.isMatrixProduct || way.views.isEmpty
        else { return nil }
        return way
    }
}
