import GraphIR

/// x sigmoid(x), as exporters write it, is one function.
func recognizeSiLU(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .binary(.multiply) = node.kernel, node.activation == .none else { continue }
        for side in 0..<2 {
            guard let gateIndex = editor.onlyProducer(of: node.inputs[1 - side]),
                let gate = editor.nodes[gateIndex], case .unary = gate.kernel,
                gate.activation == .function(.sigmoid), gate.inputs[0] == node.inputs[side]
            else { continue }
            editor.nodes[index] = FusedNode(
                name: node.name,
                kernel: .unary,
                inputs: [node.inputs[side]],
                output: node.output,
                activation: .silu
            )
            editor.nodes[gateIndex] = nil
            break
        }
    }
    return editor.finish()
}

/// A function of single numbers becomes the end of the kernel whose result it alone reads.
func fuseActivations(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .unary = node.kernel, node.activation != .none,
            !editor.activateParts(of: node, at: index),
            let before = editor.onlyProducer(of: node.inputs[0]),
            var producer = editor.nodes[before], producer.activation == .none,
            producer.kernel.takesActivation, graph[producer.output].type.dtype == .float32
        else { continue }
        producer.output = node.output
        producer.activation = node.activation
        editor.nodes[before] = nil
        // The producer keeps its place among nodes; its readers come after the activation.
        editor.nodes[index] = producer
    }
    return editor.finish()
}

extension Editor {
    /// Applies the function of node `index` to each of the convolutions whose results it follows.
    fileprivate mutating func activateParts(of node: FusedNode, at index: Int) -> Bool {
        guard let before = onlyProducer(of: node.inputs[0]), let join = nodes[before],
            let producers = convolutions(joinedBy: join)
        else { return false }
        finish(join, at: before, with: node.activation, of: producers, in: node, at: index)
        return true
    }
}

extension Kernel {
    /// Whether the kernel can apply a function to its results before it stores them.
    var takesActivation: Bool {
        switch self {
        case .convolution, .pool, .globalPool, .resize, .product: true
        case .binary(let function):
            switch function {
            case .add, .subtract, .multiply, .divide, .power, .minimum, .maximum: true
            default: false
            }
        default: false
        }
    }
}
