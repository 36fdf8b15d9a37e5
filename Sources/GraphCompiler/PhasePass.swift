import GraphIR

/// Computes all phases of a transposed convolution with few output channels in one product.
///
/// Where windows do not overlap, each phase is a pointwise convolution, and with fewer channels than
/// a vector has lanes it fills little of one. All phases of a channel side by side make one pointwise
/// convolution; a copy then puts each where it belongs. The sums are the same.
func joinPhases(of graph: FusedGraph, lanes: Int) -> FusedGraph {
    var result = graph
    result.nodes = []
    for node in graph.nodes {
        guard case .convolution(let kernel) = node.kernel,
            let joined = joinedPhases(of: kernel, lanes: lanes)
        else {
            result.nodes.append(node)
            continue
        }
        let name = node.name + ".phases"
        let product = result.addValue(
            FusedValue(
                name: name,
                type: TensorType(
                    .float32,
                    [joined.images, joined.outputChannels, joined.outputHeight, joined.outputWidth]
                )
            )
        )
        result.nodes.append(
            FusedNode(
                name: name,
                kernel: .convolution(joined),
                inputs: node.inputs,
                output: product,
                activation: node.activation
            )
        )
        result.nodes.append(
            FusedNode(
                name: node.name,
                kernel: .copy(CopyKernel(boxes: [shuffle(kernel)])),
                inputs: [product],
                output: node.output
            )
        )
    }
    return result
}

/// The pointwise convolution of all phases: channel o * phases + p is phase p of channel o.
private func joinedPhases(of kernel: ConvolutionKernel, lanes: Int) -> ConvolutionKernel? {
    let step = kernel.outputStep
    let phases = step.y * step.x
    guard phases > 1, kernel.algorithm == .tile, kernel.group == 1, !kernel.hasResidual,
        kernel.outputChannels < lanes, kernel.parts.count == phases, let first = kernel.parts.first,
        (kernel.outputHeight, kernel.outputWidth)
            == (kernel.inputHeight * step.y, kernel.inputWidth * step.x),
        kernel.parts.allSatisfy({ part in
            part.taps == [Tap(dy: 0, dx: 0)] && part.weights.outputStride == phases
                && part.weights.tapOffsets == [part.originY * step.x + part.originX]
                && (part.outputHeight, part.outputWidth) == (kernel.inputHeight, kernel.inputWidth)
        })
    else { return nil }
    let channels = kernel.outputChannels
    let ones = Constant(type: TensorType(.float32, [channels, phases]), source: .fill(1))
    let repeated = { (perChannel: Constant?) -> Constant? in
        perChannel.map {
            Constant.multiply($0.reshaped([channels, 1]), ones).reshaped([channels * phases])
        }
    }
    var joined = kernel
    joined.outputChannels = channels * phases
    (joined.outputHeight, joined.outputWidth) = (kernel.inputHeight, kernel.inputWidth)
    (joined.kernelHeight, joined.kernelWidth) = (1, 1)
    joined.outputStep = (1, 1)
    var part = first
    part.outputChannels = joined.outputChannels
    part.weights.outputStride = 1
    part.weights.tapOffsets = [0]
    part.weights.scale = repeated(first.weights.scale)
    part.weights.bias = repeated(first.weights.bias)
    (part.originY, part.originX) = (0, 0)
    joined.parts = [part]
    return joined
}

/// Moves phase (y, x) of pixel (i, j) to pixel (i * step.y + y, j * step.x + x).
private func shuffle(_ kernel: ConvolutionKernel) -> StridedBox {
    let step = kernel.outputStep
    let plane = kernel.inputHeight * kernel.inputWidth
    let dimensions = [
        kernel.images * kernel.outputChannels, kernel.inputHeight, step.y, kernel.inputWidth,
        step.x,
    ]
    return StridedBox(
        input: 0,
        dimensions: dimensions,
        inputOffset: 0,
        inputStrides: [step.y * step.x * plane, kernel.inputWidth, step.x * plane, 1, plane],
        outputOffset: 0,
        outputStrides: rowMajorStrides(dimensions)
    )
}
