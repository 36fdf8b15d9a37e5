import GraphIR

/// Computes phases of a convolution with few output channels at once.
///
/// A phase is every so many pixels of the result: those of a transposed convolution that see the same
/// taps, or of any convolution all pixels at the same place of squares of 2x2 or more. Each is a
/// convolution of its own, and with fewer channels than a vector has lanes it fills little of one.
/// All phases of a channel side by side make one convolution, whose filters have zeros where other
/// phases have taps; a copy then puts each where it belongs. The sums are the same for finite inputs;
/// `isExact` keeps filters without zeros.
func joinPhases(
    of graph: FusedGraph,
    catalog: some KernelCatalog,
    isExact: Bool = false
) -> FusedGraph {
    var result = graph
    result.nodes = []
    for node in graph.nodes {
        guard case .convolution(let kernel) = node.kernel,
            let (joined, step) = joinedPhases(of: kernel, catalog: catalog),
            !isExact || kernel.parts.allSatisfy({ $0.taps.count == joined.parts[0].taps.count })
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
                kernel: .copy(CopyKernel(boxes: [shuffle(kernel, step)])),
                inputs: [product],
                output: node.output
            )
        )
    }
    return result
}

/// Sets of pixels of a result, and the taps of the filter that each set reads.
///
/// Pixels of a set are `step` apart and read pixels of the input that are `stride` apart. The sets
/// start at (0, 0), (0, 1), ... (1, 0), ...
private struct Phases {
    var step: (y: Int, x: Int)
    var stride: (y: Int, x: Int)
    var taps: [[Tap]]
    /// Which of the filter's taps each of them is.
    var tapOffsets: [[Int]]

    /// Those of a transposed convolution.
    init(of kernel: ConvolutionKernel) {
        step = kernel.outputStep
        stride = (1, 1)
        taps = kernel.parts.map(\.taps)
        tapOffsets = kernel.parts.map(\.weights.tapOffsets)
    }

    /// Squares of `side` pixels of a convolution of stride 1.
    init(of kernel: ConvolutionKernel, side: Int) {
        step = (side, side)
        stride = (side, side)
        let part = kernel.parts[0]
        taps = (0..<side * side).map { phase in
            part.taps.map { Tap(dy: $0.dy + phase / side, dx: $0.dx + phase % side) }
        }
        tapOffsets = Array(repeating: part.weights.tapOffsets, count: side * side)
    }

    /// The smallest window with all taps.
    var window: (rows: ClosedRange<Int>, columns: ClosedRange<Int>)? {
        let all = taps.joined()
        guard let top = all.map(\.dy).min(), let bottom = all.map(\.dy).max(),
            let left = all.map(\.dx).min(), let right = all.map(\.dx).max()
        else { return nil }
        return (top...bottom, left...right)
    }
}

/// The convolution of all phases, where that is less work.
private func joinedPhases(
    of kernel: ConvolutionKernel,
    catalog: some KernelCatalog
) -> (ConvolutionKernel, step: (y: Int, x: Int))? {
    guard kernel.algorithm == .tile, kernel.group == 1, !kernel.hasResidual,
        !kernel.readsPixels, !kernel.writesPixels,
        kernel.inputAffine == nil, kernel.depthwise == nil, kernel.projection == nil,
        kernel.outputChannels < catalog.lanes,
        // Their taps would have to be moved too.
        kernel.parts.allSatisfy({ $0.weights.added.isEmpty })
    else { return nil }
    if kernel.parts.count > 1 {
        let phases = Phases(of: kernel)
        guard phases.taps.count == phases.step.y * phases.step.x,
            let joined = join(phases, of: kernel),
            work(of: joined, catalog: catalog) < work(of: kernel, catalog: catalog)
        else { return nil }
        return (joined, phases.step)
    }
    // The copy must be worth it; Winograd's algorithm does better.
    guard kernel.strideHeight == 1, kernel.strideWidth == 1, kernel.outputStep == (1, 1),
        catalog.fastestAlgorithm(for: kernel) == .tile
    else { return nil }
    let candidates = (2...4).compactMap { side -> (ConvolutionKernel, Double, Int)? in
        guard let joined = join(Phases(of: kernel, side: side), of: kernel) else { return nil }
        let pixels = Double(side * side)
        return (joined, Double(work(of: joined, catalog: catalog)) / pixels, side)
    }
    guard let best = candidates.min(by: { $0.1 < $1.1 }),
        best.1 < 0.75 * Double(work(of: kernel, catalog: catalog))
    else { return nil }
    return (best.0, (best.2, best.2))
}

/// Multiplications of a pixel, or of one of each phase, with an input channel; about half as many are
/// left of them, with its transforms, by Winograd's algorithm.
private func work(of kernel: ConvolutionKernel, catalog: some KernelCatalog) -> Int {
    let taps = kernel.parts.reduce(0) { $0 + $1.taps.count }
    let vectors = (kernel.outputChannels + catalog.lanes - 1) / catalog.lanes
    let direct = taps * vectors * catalog.lanes
    return catalog.fastestAlgorithm(for: kernel) == .winograd ? direct / 2 : direct
}

/// The convolution of all phases; nil where they have different sizes.
///
/// Channel o * phases + p is phase p of channel o.
private func join(_ phases: Phases, of kernel: ConvolutionKernel) -> ConvolutionKernel? {
    guard kernel.outputHeight.isMultiple(of: phases.step.y),
        kernel.outputWidth.isMultiple(of: phases.step.x), let (rows, columns) = phases.window
    else { return nil }
    let window = rows.flatMap { dy in columns.map { Tap(dy: dy, dx: $0) } }
    var joined = kernel
    joined.outputChannels = kernel.outputChannels * phases.taps.count
    joined.outputHeight /= phases.step.y
    joined.outputWidth /= phases.step.x
    (joined.kernelHeight, joined.kernelWidth) = (rows.count, columns.count)
    (joined.strideHeight, joined.strideWidth) = phases.stride
    (joined.dilationHeight, joined.dilationWidth) = (1, 1)
    (joined.padTop, joined.padLeft) = (-rows.lowerBound, -columns.lowerBound)
    joined.outputStep = (1, 1)
    joined.parts = [
        ConvolutionPart(
            weights: joinedWeights(phases, of: kernel, window: window),
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

private func joinedWeights(
    _ phases: Phases,
    of kernel: ConvolutionKernel,
    window: [Tap]
) -> WeightSource {
    let (inputs, outputs) = (kernel.channels, kernel.outputChannels)
    let count = phases.taps.count
    let source = kernel.parts[0].weights
    let taps = source.constant.type.elementCount / (inputs * outputs)
    // Which of a filter's taps stands at each place of each phase; one past the last is zero.
    let places = phases.taps.indices.flatMap { phase in
        window.map { tap in
            let number = phases.taps[phase].firstIndex(of: tap)
            return Int64(number.map { phases.tapOffsets[phase][$0] } ?? taps)
        }
    }
    let isByInput = source.outputStride < source.channelStride
    let filters = source.constant.asFloat
        .reshaped(isByInput ? [inputs, outputs, taps] : [outputs, inputs, taps])
        .followedByZero().gathered(places)
    let ones = Constant(type: TensorType(.float32, [outputs, count]), source: .fill(1))
    let repeated = { (perChannel: Constant?) -> Constant? in
        perChannel.map {
            Constant.multiply($0.reshaped([outputs, 1]), ones).reshaped([outputs * count])
        }
    }
    return WeightSource(
        constant: isByInput
            ? filters
            : filters.reshaped([outputs, inputs, count, window.count]).transposed([0, 2, 1, 3]),
        outputStride: (isByInput ? 1 : inputs) * window.count,
        channelStride: (isByInput ? outputs * count : 1) * window.count,
        tapOffsets: Array(window.indices),
        scale: repeated(source.scale),
        bias: repeated(source.bias)
    )
}

/// Moves phase (y, x) of pixel (i, j) to pixel (i * step.y + y, j * step.x + x).
private func shuffle(_ kernel: ConvolutionKernel, _ step: (y: Int, x: Int)) -> StridedBox {
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
