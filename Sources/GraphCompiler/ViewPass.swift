import GraphIR

/// What is done element by element to a product's result of another shape is done before the shape
/// changes, next to the product, where the passes after this one find it.
///
/// Products have two axes; results of more axes are views of theirs.
func moveViews(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    // Nodes whose results are products' results, or made of them element by element.
    var products: Set<Int> = []
    for (index, node) in graph.nodes.enumerated() {
        if graph.isReshape(node) { editor.joinView(at: index) }
        if case .convolution(let kernel) = node.kernel, kernel.isMatrixProduct {
            products.insert(index)
        }
        for side in node.inputs.indices {
            guard let viewIndex = editor.onlyProducer(of: node.inputs[side]),
                let view = editor.nodes[viewIndex], editor.graph.isReshape(view),
                let before = editor.onlyProducer(of: view.inputs[0]), products.contains(before),
                graph[node.output].type == graph[view.output].type,
                let moved = editor.moved(node, side: side, onto: view.inputs[0])
            else { continue }
            // The value between the two now has the shape of the product.
            let between = view.output
            editor.graph[between].type = editor.graph[view.inputs[0]].type
            editor.nodes[viewIndex] = FusedNode(
                name: node.name,
                kernel: node.kernel,
                inputs: moved,
                output: between,
                activation: node.activation
            )
            editor.nodes[index] = FusedNode(
                name: view.name,
                kernel: view.kernel,
                inputs: [between],
                output: node.output,
                activation: .none
            )
            products.insert(viewIndex)
            break
        }
    }
    return editor.finish()
}

extension Editor {
    /// A view of a view that nothing else reads becomes a view of what is under both.
    fileprivate mutating func joinView(at index: Int) {
        guard let input = nodes[index]?.inputs[0], let before = onlyProducer(of: input),
            let view = nodes[before], graph.isReshape(view)
        else { return }
        nodes[index]?.inputs = view.inputs
        nodes[before] = nil
    }

    /// The operands of an element-wise node on `product`, of two axes, in the place of operand `side`;
    /// nil when the node is another or the other operand is not one number for each column.
    fileprivate mutating func moved(
        _ node: FusedNode,
        side: Int,
        onto product: ValueID
    ) -> [ValueID]? {
        switch node.kernel {
        case .unary:
            return [product]
        case .binary:
            let other = node.inputs[1 - side]
            let columns = graph[product].type.shape[1]
            guard
                let vector = graph[other].constant?.channelVector(count: columns, trailing: 0),
                graph[node.output].type.shape.last == columns
            else { return nil }
            let value = FusedValue(name: graph[other].name, type: vector.type, constant: vector)
            var inputs = [product, product]
            inputs[1 - side] = addValue(value)
            return inputs
        default:
            return nil
        }
    }
}
