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

/// A pointwise convolution that alone reads the result of such a depthwise one, or the wide result of
/// another pointwise one, is made with it, a band at a time, when its weights are worth it: all of them
/// are needed at once.
func fuseProjections(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    let readers = graph.weightReaders
    for (index, node) in graph.nodes.enumerated() {
        guard case .convolution(let pointwise) = node.kernel, pointwise.mapsInput,
            // Rows of pixels may be seen with other axes in between.
            let way = editor.producerBeforeViews(of: node.inputs[0]),
            pointwise.readsPixels || way.views.isEmpty,
            let producer = editor.nodes[way.index],
            case .convolution(var first) = producer.kernel,
            let most = first.mostFloats(with: pointwise),
            // Others may not be made together, and would need their weights by themselves.
            first.depthwise != nil
                || [first, pointwise].allSatisfy({ readers[$0.parts[0].weights] == 1 })
        else { continue }
        let between = graph[producer.output].type.elementCount
        first.projection = ResultProjection(
            activation: producer.activation,
            part: pointwise.parts[0]
        )
        let weights = first.packedWeights(of: 0).reduce(0) { $0 + $1.count }
        guard weights <= min(between / 2, most) else { continue }
        first.hasResidual = pointwise.hasResidual
        first.writesPixels = pointwise.writesPixels
        editor.nodes[index] = FusedNode(
            name: producer.name,
            kernel: .convolution(first),
            inputs: producer.inputs + node.inputs.dropFirst(),
            output: node.output,
            activation: node.activation
        )
        for place in way.views + [way.index] { editor.nodes[place] = nil }
    }
    return editor.finish()
}

extension FusedGraph {
    /// How many parts of convolutions have the same weights.
    fileprivate var weightReaders: [WeightSource: Int] {
        nodes.reduce(into: [:]) { readers, node in
            guard case .convolution(let kernel) = node.kernel else { return }
            for part in kernel.parts { readers[part.weights, default: 0] += 1 }
        }
    }
}

extension ConvolutionKernel {
    /// The most weights that are worth it to make a pointwise convolution of the result with the kernel;
    /// nil when it cannot.
    ///
    /// Between two pointwise ones is a result that is the widest: neither of the two others lives longer
    /// for it. Their weights stay in the second cache while bands pass by.
    fileprivate func mostFloats(with pointwise: ConvolutionKernel) -> Int? {
        guard projection == nil, hasChannels else { return nil }
        if let depthwise {
            // Rows under one row of the result must be few of all there are.
            let reach = (depthwise.kernelHeight - 1) * depthwise.dilationHeight + 1
            let isMade = !pointwise.writesPixels && pointwise.outputWidth > 1
            return isMade && 2 * reach <= outputHeight ? 1 << 16 : nil
        }
        let isWidest = outputChannels >= max(channels, pointwise.outputChannels)
        let isSame =
            outputChannels == pointwise.channels && writesPixels == pointwise.readsPixels
            && (images, outputHeight, outputWidth)
                == (pointwise.images, pointwise.inputHeight, pointwise.inputWidth)
        return mapsInput && !hasResidual && isWidest && isSame ? 1 << 19 : nil
    }

    /// Whether there are channels that bands could hold; a file may declare none.
    private var hasChannels: Bool { channels > 0 && outputChannels > 0 }

    /// Whether the kernel can make a depthwise convolution of rows of its result.
    ///
    /// A band of a pointwise one must not be a single pixel, whose sums have other bits.
    fileprivate var takesDepthwise: Bool {
        guard !hasResidual, depthwise == nil, hasChannels else { return false }
        return algorithm == .planar ? pool == nil : mapsInput && !writesPixels && outputWidth > 1
    }
}
