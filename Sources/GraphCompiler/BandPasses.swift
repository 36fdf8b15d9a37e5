import GraphIR

/// A pool of the first layer's result, read by nothing else, is made while the rows are in cache.
func fusePools(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .pool(let pool) = node.kernel, pool.kernel.count == 2,
            pool.dilations.allSatisfy({ $0 == 1 }), node.activation == .none,
            let before = editor.onlyProducer(of: node.inputs[0]),
            var producer = editor.nodes[before],
            case .convolution(var convolution) = producer.kernel,
            convolution.algorithm == .planar, !convolution.hasResidual, convolution.pool == nil
        else { continue }
        let shape = graph[node.output].type.shape
        convolution.pool = ResultPool(kernel: pool, height: shape[2], width: shape[3])
        producer.kernel = .convolution(convolution)
        producer.output = node.output
        editor.nodes[before] = nil
        editor.nodes[index] = producer
    }
    return editor.finish()
}

/// A depthwise convolution that alone reads the result of a pointwise one, or of the first layer, is
/// made of rows of it while they are in cache: what lies between is the widest tensor there is.
///
/// A map of channels is none: it is quicker done in place, or by the convolution that reads it.
func fuseDepthwise(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .convolution(let depthwise) = node.kernel, depthwise.algorithm == .depthwise,
            depthwise.parts.count == 1, !depthwise.hasResidual, !depthwise.isAffine,
            let before = editor.onlyProducer(of: node.inputs[0]),
            var producer = editor.nodes[before],
            case .convolution(var first) = producer.kernel, first.takesDepthwise
        else { continue }
        first.depthwise = ResultDepthwise(depthwise, after: producer.activation)
        producer.kernel = .convolution(first)
        producer.output = node.output
        producer.activation = node.activation
        editor.nodes[before] = nil
        editor.nodes[index] = producer
    }
    return editor.finish()
}

/// A pointwise convolution that alone reads the result of such a depthwise one is made with it, a band
/// of rows at a time, when its weights are worth it: all of them are needed at once.
func fuseProjections(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .convolution(let pointwise) = node.kernel, pointwise.mapsInput,
            !pointwise.writesPixels,
            pointwise.outputWidth > 1, let before = editor.onlyProducer(of: node.inputs[0]),
            let producer = editor.nodes[before], case .convolution(var first) = producer.kernel,
            let depthwise = first.depthwise, first.projection == nil,
            // Rows under one row of the result must be few of all there are.
            2 * ((depthwise.kernelHeight - 1) * depthwise.dilationHeight + 1) <= first.outputHeight
        else { continue }
        let between = graph[producer.output].type.shape.reduce(1, *)
        first.projection = ResultProjection(
            activation: producer.activation,
            part: pointwise.parts[0]
        )
        let weights = first.packedWeights(of: 0).reduce(0) { $0 + $1.count }
        guard weights <= min(between / 2, 1 << 16) else { continue }
        first.hasResidual = pointwise.hasResidual
        editor.nodes[index] = FusedNode(
            name: producer.name,
            kernel: .convolution(first),
            inputs: producer.inputs + node.inputs.dropFirst(),
            output: node.output,
            activation: node.activation
        )
        editor.nodes[before] = nil
    }
    return editor.finish()
}

extension ConvolutionKernel {
    /// Whether the kernel can make a depthwise convolution of rows of its result.
    ///
    /// A band of a pointwise one must not be a single pixel, whose sums have other bits.
    fileprivate var takesDepthwise: Bool {
        guard !hasResidual, depthwise == nil else { return false }
        return algorithm == .planar ? pool == nil : mapsInput && !writesPixels && outputWidth > 1
    }
}
