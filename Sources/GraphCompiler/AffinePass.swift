import GraphIR

/// The factor and offset per channel that a node applies to its first operand.
struct ChannelAffine {
    var input: ValueID
    var scale: Constant?
    var shift: Constant?
}

/// Multiplications, additions and normalisations by per-channel constants go into the weights of
/// the convolution before them, or of all whose results are put together there; where there is none
/// they become one affine kernel.
func foldAffines(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard let affine = channelAffine(of: node, in: graph) else { continue }
        if let before = editor.onlyProducer(of: affine.input), let conv = editor.nodes[before],
            case .convolution(var kernel) = conv.kernel, !kernel.hasResidual,
            conv.activation == .none
        {
            for part in kernel.parts.indices {
                kernel.parts[part].weights.apply(affine)
            }
            editor.nodes[index] = FusedNode(
                name: conv.name,
                kernel: .convolution(kernel),
                inputs: conv.inputs,
                output: node.output,
                activation: node.activation
            )
            editor.nodes[before] = nil
        } else if editor.apply(affine, of: node, at: index) {
            continue
        } else if case .binary = node.kernel {
            let shape = graph[node.output].type.shape
            guard shape.count == 4, graph[affine.input].type.shape == shape else { continue }
            editor.nodes[index] = FusedNode(
                name: node.name,
                kernel: .convolution(
                    .affine(shape: shape, scale: affine.scale, shift: affine.shift)
                ),
                inputs: [affine.input],
                output: node.output,
                activation: node.activation
            )
        }
    }
    return editor.finish()
}

extension Editor {
    /// Applies a map of channels that follows convolutions put together to each of them.
    fileprivate mutating func apply(
        _ affine: ChannelAffine,
        of node: FusedNode,
        at index: Int
    ) -> Bool {
        guard let before = onlyProducer(of: affine.input), let join = nodes[before],
            let producers = convolutions(joinedBy: join)
        else { return false }
        let kernels = producers.compactMap { index -> ConvolutionKernel? in
            guard case .convolution(let kernel) = nodes[index]?.kernel else { return nil }
            return kernel.hasResidual ? nil : kernel
        }
        guard kernels.count == producers.count else { return false }
        var first = 0
        for (producer, var kernel) in zip(producers, kernels) {
            let places = (first..<first + kernel.outputChannels).map { Int64($0) }
            let own = ChannelAffine(
                input: affine.input,
                scale: affine.scale?.gathered(places),
                shift: affine.shift?.gathered(places)
            )
            for part in kernel.parts.indices { kernel.parts[part].weights.apply(own) }
            nodes[producer]?.kernel = .convolution(kernel)
            first += kernel.outputChannels
        }
        finish(join, at: before, with: node.activation, of: producers, in: node, at: index)
        return true
    }
}

func channelAffine(of node: FusedNode, in graph: FusedGraph) -> ChannelAffine? {
    switch node.kernel {
    case .convolution(let kernel):
        guard let map = kernel.channelMap, !kernel.hasResidual else { return nil }
        return ChannelAffine(input: node.inputs[0], scale: map.scale, shift: map.shift)
    case .binary(let function):
        let shape = graph[node.output].type.shape
        guard graph[node.output].type.dtype == .float32 else { return nil }
        for side in 0..<2 {
            let input = node.inputs[side]
            guard let constant = graph[node.inputs[1 - side]].constant,
                graph[input].constant == nil, graph[input].type.shape == shape,
                let vector = channelVector(constant, of: shape)
            else { continue }
            let ones = Constant(type: vector.type, source: .fill(1))
            switch (function, side) {
            case (.add, _):
                return ChannelAffine(input: input, scale: nil, shift: vector)
            case (.multiply, _):
                return ChannelAffine(input: input, scale: vector, shift: nil)
            case (.subtract, 0):
                return ChannelAffine(
                    input: input,
                    scale: nil,
                    shift: .multiply(vector, .scalar(-1))
                )
            case (.subtract, 1):
                return ChannelAffine(
                    input: input,
                    scale: .multiply(ones, .scalar(-1)),
                    shift: vector
                )
            case (.divide, 0):
                return ChannelAffine(input: input, scale: .divide(ones, vector), shift: nil)
            default:
                return nil
            }
        }
        return nil
    default:
        return nil
    }
}

/// A constant operand as one value per channel of a result of `shape`: channels are axis 1 of
/// images and the last axis of matrices.
private func channelVector(_ constant: Constant, of shape: [Int]) -> Constant? {
    switch shape.count {
    case 2: constant.channelVector(count: shape[1], trailing: 0)
    case 4: constant.channelVector(count: shape[1], trailing: 2)
    default: nil
    }
}

extension WeightSource {
    /// y = scale * (w x + bias) + shift, as weights and bias.
    fileprivate mutating func apply(_ affine: ChannelAffine) {
        if let factor = affine.scale {
            scale = scale.map { .multiply($0, factor) } ?? factor
            for index in added.indices {
                added[index].scale = added[index].scale.map { .multiply($0, factor) } ?? factor
            }
            bias = bias.map { .multiply($0, factor) }
        }
        if let shift = affine.shift {
            bias = bias.map { .add($0, shift) } ?? shift
        }
    }
}
