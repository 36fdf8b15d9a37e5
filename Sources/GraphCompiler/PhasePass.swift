import GraphIR

/// Computes all phases of a transposed convolution with few output channels at once.
///
/// Each phase is a convolution of its own, and with fewer channels than a vector has lanes it fills
/// little of one. All phases of a channel side by side make one convolution, whose filters have zeros
/// where other phases have taps; a copy then puts each where it belongs. The sums are the same.
func joinPhases(of graph: FusedGraph, catalog: some KernelCatalog) -> FusedGraph {
    var result = graph
    result.nodes = []
    for node in graph.nodes {
        guard case .convolution(let kernel) = node.kernel,
            let joined = joinedPhases(of: kernel, lanes: catalog.lanes),
            work(of: joined, catalog: catalog) < work(of: kernel, catalog: catalog)
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

/// Multiplications of a pixel of each phase with an input channel; about half as many are left of them,
/// with its transforms, by Winograd's algorithm.
private func work(of kernel: ConvolutionKernel, catalog: some KernelCatalog) -> Int {
    let taps = kernel.parts.reduce(0) { $0 + $1.taps.count }
    let vectors = (kernel.outputChannels + catalog.lanes - 1) / catalog.lanes
    let direct = taps * vectors * catalog.lanes
    return catalog.fastestAlgorithm(for: kernel) == .winograd ? direct / 2 : direct
}

/// The convolution of all phases: channel o * phases + p is phase p of channel o.
private func joinedPhases(of kernel: ConvolutionKernel, lanes: Int) -> ConvolutionKernel? {
    let step = kernel.outputStep
    let phases = step.y * step.x
    let channels = kernel.outputChannels
    let taps = kernel.kernelHeight * kernel.kernelWidth
    guard phases > 1, kernel.algorithm == .tile, kernel.group == 1, !kernel.hasResidual,
        channels < lanes, kernel.parts.count == phases, let first = kernel.parts.first,
        kernel.outputHeight.isMultiple(of: step.y), kernel.outputWidth.isMultiple(of: step.x),
        first.weights.outputStride == taps, first.weights.channelStride == taps * channels
    else { return nil }
    let all = kernel.parts.flatMap(\.taps)
    guard let top = all.map(\.dy).min(), let bottom = all.map(\.dy).max(),
        let left = all.map(\.dx).min(), let right = all.map(\.dx).max()
    else { return nil }
    let window = (top...bottom).flatMap { dy in (left...right).map { Tap(dy: dy, dx: $0) } }

    // Which of a filter's taps stands at each place of each phase; one past the last is zero.
    let places = kernel.parts.flatMap { part in
        window.map { tap in
            part.taps.firstIndex(of: tap).map { Int64(part.weights.tapOffsets[$0]) } ?? Int64(taps)
        }
    }
    let filters = first.weights.constant.asFloat.reshaped([kernel.channels, channels, taps])
        .followedByZero().gathered(places)
    let ones = Constant(type: TensorType(.float32, [channels, phases]), source: .fill(1))
    let repeated = { (perChannel: Constant?) -> Constant? in
        perChannel.map {
            Constant.multiply($0.reshaped([channels, 1]), ones).reshaped([channels * phases])
        }
    }
    var joined = kernel
    joined.outputChannels = channels * phases
    joined.outputHeight /= step.y
    joined.outputWidth /= step.x
    (joined.kernelHeight, joined.kernelWidth) = (bottom - top + 1, right - left + 1)
    (joined.dilationHeight, joined.dilationWidth) = (1, 1)
    (joined.padTop, joined.padLeft) = (-top, -left)
    joined.outputStep = (1, 1)
    joined.parts = [
        ConvolutionPart(
            weights: WeightSource(
                constant: filters,
                outputStride: window.count,
                channelStride: window.count * phases * channels,
                tapOffsets: Array(window.indices),
                scale: repeated(first.weights.scale),
                bias: repeated(first.weights.bias)
            ),
            taps: window,
            firstInputChannel: 0,
            firstOutputChannel: 0,
            outputChannels: joined.outputChannels,
            outputHeight: joined.outputHeight,
            outputWidth: joined.outputWidth
        )
    ]
    return joined
}

/// Moves phase (y, x) of pixel (i, j) to pixel (i * step.y + y, j * step.x + x).
private func shuffle(_ kernel: ConvolutionKernel) -> StridedBox {
    let step = kernel.outputStep
    let (height, width) = (kernel.outputHeight / step.y, kernel.outputWidth / step.x)
    let plane = height * width
    let dimensions = [kernel.images * kernel.outputChannels, height, step.y, width, step.x]
    return StridedBox(
        input: 0,
        dimensions: dimensions,
        inputOffset: 0,
        inputStrides: [step.y * step.x * plane, width, step.x * plane, 1, plane],
        outputOffset: 0,
        outputStrides: rowMajorStrides(dimensions)
    )
}
