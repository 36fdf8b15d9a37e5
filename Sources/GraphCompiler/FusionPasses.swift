import GraphIR

/// One step of the compiler on the fused graph.
package struct FusionPass: Sendable {
    package var name: String
    package var apply: @Sendable (FusedGraph) -> FusedGraph
}

/// All fusions, in the order they run.
///
/// `--no-fusion` skips them.
package let fusionPasses: [FusionPass] = [
    FusionPass(name: "normalization", apply: joinNormalizations),
    FusionPass(name: "image", apply: liftToImages),
    FusionPass(name: "pad", apply: foldPadding),
    FusionPass(name: "view", apply: moveViews),
    FusionPass(name: "affine", apply: foldAffines),
    FusionPass(name: "branch", apply: { foldAffines(in: joinBranches(in: $0)) }),
    FusionPass(name: "silu", apply: recognizeSiLU),
    FusionPass(name: "pixel", apply: joinPixels),
    FusionPass(name: "residual", apply: fuseResiduals),
    FusionPass(name: "activation", apply: fuseActivations),
    FusionPass(name: "pool", apply: fusePools),
    FusionPass(name: "depthwise", apply: fuseDepthwise),
    FusionPass(name: "projection", apply: fuseProjections),
    FusionPass(name: "input", apply: fuseInputAffines),
    FusionPass(name: "channel", apply: joinChannelCopies),
]

/// The fusions of a graph whose layouts are chosen: until then passes look for single operators.
package let placedFusionPasses: [FusionPass] = [
    FusionPass(name: "copy", apply: joinCopies)
]

/// Nodes of a graph while a pass removes some and replaces others.
struct Editor {
    var graph: FusedGraph
    var nodes: [FusedNode?]
    let uses: GraphUses

    init(_ graph: FusedGraph) {
        self.graph = graph
        nodes = graph.nodes
        uses = GraphUses(of: graph)
    }

    /// The index of the node that produces `id` for one reader only.
    func onlyProducer(of id: ValueID) -> Int? {
        guard uses.isReadOnce(id), let index = uses.producer[id.index], nodes[index] != nil else {
            return nil
        }
        return index
    }

    func finish() -> FusedGraph {
        var result = graph
        result.nodes = nodes.compactMap { $0 }
        return result
    }
}

/// A constant pad of zeros that only convolutions read becomes their own padding.
private func foldPadding(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (padIndex, pad) in graph.nodes.enumerated() {
        guard case .copy(let copy) = pad.kernel, copy.fill == 0, copy.boxes.count == 1,
            let box = copy.boxes.first, !editor.uses.isGraphOutput(pad.output)
        else { continue }
        let inner = graph[pad.inputs[0]].type.shape
        let outer = graph[pad.output].type.shape
        // Only whole images, set into larger ones.
        guard inner.count == 4, outer.count == 4, box.dimensions == inner,
            box.inputOffset == 0, inner[0] == outer[0], inner[1] == outer[1],
            box.outputOffset < outer[2] * outer[3]
        else { continue }
        let readers = editor.uses.readers[pad.output.index]
        let padded = readers.compactMap { reader -> ConvolutionKernel? in
            guard case .convolution(let kernel) = graph.nodes[reader].kernel,
                !kernel.readsPixels, graph.nodes[reader].inputs.count == 1
            else { return nil }
            return kernel.reading(inner, setInto: outer, at: box.outputOffset)
        }
        guard padded.count == readers.count else { continue }
        for (reader, kernel) in zip(readers, padded) {
            editor.nodes[reader]?.kernel = .convolution(kernel)
            editor.nodes[reader]?.inputs[0] = pad.inputs[0]
        }
        editor.nodes[padIndex] = nil
    }
    return editor.finish()
}

extension ConvolutionKernel {
    /// The same over images that were set into larger ones of zeros, `offset` elements from the start.
    fileprivate func reading(_ inner: [Int], setInto outer: [Int], at offset: Int)
        -> ConvolutionKernel
    {
        let (top, left) = offset.quotientAndRemainder(dividingBy: outer[3])
        var result = self
        result.inputHeight = inner[2]
        result.inputWidth = inner[3]
        result.padTop += top
        result.padLeft += left
        for part in result.parts.indices {
            result.parts[part].taps = result.parts[part].taps.map {
                Tap(dy: $0.dy - top, dx: $0.dx - left)
            }
        }
        return result
    }
}

/// What is done element by element to a product's result of another shape is done before the shape
/// changes, next to the product, where the passes after this one find it.
///
/// Products have two axes; results of more axes are views of theirs.
private func moveViews(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    editor.joinViews()
    // Nodes whose results are products' results, or made of them element by element.
    var products: Set<Int> = []
    for (index, node) in graph.nodes.enumerated() {
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
    fileprivate mutating func joinViews() {
        for (index, node) in graph.nodes.enumerated() where graph.isReshape(node) {
            guard let before = onlyProducer(of: node.inputs[0]), let view = nodes[before],
                graph.isReshape(view)
            else { continue }
            nodes[index]?.inputs = view.inputs
            nodes[before] = nil
        }
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
            inputs[1 - side] = graph.addValue(value)
            return inputs
        default:
            return nil
        }
    }
}

/// The factor and offset per channel that a node applies to its first operand.
private struct ChannelAffine {
    var input: ValueID
    var scale: Constant?
    var shift: Constant?
}

/// Multiplications, additions and normalisations by per-channel constants go into the weights of
/// the convolution before them, or of all whose results are put together there; where there is none
/// they become one affine kernel.
private func foldAffines(in graph: FusedGraph) -> FusedGraph {
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
    /// The convolutions whose results, read by nothing else, a node puts together channel after channel;
    /// nil where there are others or they end in an activation.
    private func convolutions(joinedBy node: FusedNode) -> [Int]? {
        guard graph.joinsChannels(node) else { return nil }
        var producers: [Int] = []
        for input in node.inputs {
            guard let producer = onlyProducer(of: input),
                case .convolution = nodes[producer]?.kernel,
                nodes[producer]?.activation == Activation.none
            else { return nil }
            producers.append(producer)
        }
        return producers
    }

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

    /// Applies the function of node `index` to each of the convolutions whose results it follows.
    fileprivate mutating func activateParts(of node: FusedNode, at index: Int) -> Bool {
        guard let before = onlyProducer(of: node.inputs[0]), let join = nodes[before],
            let producers = convolutions(joinedBy: join)
        else { return false }
        finish(join, at: before, with: node.activation, of: producers, in: node, at: index)
        return true
    }

    /// The convolutions end in an activation, and are put together where `node` was.
    private mutating func finish(
        _ join: FusedNode,
        at before: Int,
        with activation: Activation,
        of producers: [Int],
        in node: FusedNode,
        at index: Int
    ) {
        for producer in producers { nodes[producer]?.activation = activation }
        nodes[before] = nil
        nodes[index] = join
        nodes[index]?.output = node.output
    }
}

private func channelAffine(of node: FusedNode, in graph: FusedGraph) -> ChannelAffine? {
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

private func recognizeSiLU(in graph: FusedGraph) -> FusedGraph {
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

/// An addition whose one operand is the result of a convolution becomes the end of that
/// convolution, which runs where the addition stood.
///
/// The result of a matrix product may be seen with other axes: its elements stand in the same order.
private func fuseResiduals(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .binary(.add) = node.kernel, node.inputs[0] != node.inputs[1] else { continue }
        let types = node.inputs.map { graph[$0].type }
        guard types[0] == types[1], types[0].dtype == .float32,
            node.inputs.allSatisfy({ graph[$0].constant == nil })
        else { continue }
        let candidates = (0..<2).compactMap { side in
            editor.residualCandidate(of: node.inputs[side]).map { (producer: $0, side: side) }
        }
        // The later of two keeps the lifetimes of its operands as they are.
        guard let chosen = candidates.max(by: { $0.producer < $1.producer }),
            let conv = editor.nodes[chosen.producer], case .convolution(var kernel) = conv.kernel
        else { continue }
        kernel.hasResidual = true
        if let view = editor.onlyProducer(of: node.inputs[chosen.side]) {
            editor.nodes[view] = nil
        }
        editor.nodes[chosen.producer] = nil
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
    fileprivate func residualCandidate(of id: ValueID) -> Int? {
        guard var producer = onlyProducer(of: id), var node = nodes[producer] else { return nil }
        let isView = graph.isReshape(node)
        if isView {
            guard let before = onlyProducer(of: node.inputs[0]), let product = nodes[before]
            else { return nil }
            (producer, node) = (before, product)
        }
        guard case .convolution(let kernel) = node.kernel, !kernel.hasResidual,
            node.activation == .none, kernel.isMatrixProduct || !isView
        else { return nil }
        return producer
    }
}

private func fuseActivations(in graph: FusedGraph) -> FusedGraph {
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

/// A pool of the first layer's result, read by nothing else, is made while the rows are in cache.
private func fusePools(in graph: FusedGraph) -> FusedGraph {
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
private func fuseDepthwise(in graph: FusedGraph) -> FusedGraph {
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
private func fuseProjections(in graph: FusedGraph) -> FusedGraph {
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

/// A per-channel map before a pointwise or a first convolution, for it alone, is applied to what the
/// kernel copies of its input: normalisation and ReLU before a convolution, the gates of squeeze and
/// excitation, or what makes a picture of pixels from 0 to 255.
private func fuseInputAffines(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .convolution(var kernel) = node.kernel,
            (kernel.mapsInput && !kernel.readsPixels)
                || (kernel.algorithm == .planar && kernel.inputAffine == nil),
            let before = editor.onlyProducer(of: node.inputs[0]),
            let producer = editor.nodes[before],
            let map = inputMap(of: producer, in: editor.graph)
        else { continue }
        var inputs = node.inputs
        inputs[0] = map.input
        for (name, factor) in [("scale", map.scale), ("shift", map.shift)] {
            switch factor {
            case .none: break
            case .value(let id): inputs.append(id)
            case .constant(let constant):
                let value = FusedValue(
                    name: "\(producer.name).\(name)",
                    type: constant.type,
                    constant: constant
                )
                inputs.append(editor.graph.addValue(value))
            }
        }
        kernel.inputAffine = map.affine
        editor.nodes[index]?.kernel = .convolution(kernel)
        editor.nodes[index]?.inputs = inputs
        editor.nodes[before] = nil
    }
    return editor.finish()
}

/// A map that a convolution can apply to its input.
private struct InputMap {
    enum Factor {
        case none
        case constant(Constant)
        case value(ValueID)
    }

    var input: ValueID
    var affine: InputAffine
    var scale: Factor
    var shift: Factor
}

private func inputMap(of node: FusedNode, in graph: FusedGraph) -> InputMap? {
    let bounds: (lower: Float, upper: Float)
    switch node.activation {
    case .none: bounds = (-.infinity, .infinity)
    case .clamp(let lower, let upper): bounds = (lower, upper)
    default: return nil
    }
    if let map = channelAffine(of: node, in: graph), case .convolution = node.kernel {
        return InputMap(
            input: map.input,
            affine: InputAffine(
                hasScale: map.scale != nil,
                hasShift: map.shift != nil,
                isPerImage: false,
                lower: bounds.lower,
                upper: bounds.upper
            ),
            scale: map.scale.map { .constant($0) } ?? .none,
            shift: map.shift.map { .constant($0) } ?? .none
        )
    }
    guard case .binary(.multiply) = node.kernel else { return nil }
    let type = graph[node.output].type
    for side in 0..<2 {
        let (x, gate) = (graph[node.inputs[side]], graph[node.inputs[1 - side]])
        guard x.type == type, x.constant == nil, gate.constant == nil, type.shape.count == 4,
            gate.type.dtype == .float32, gate.type.shape.count == 4,
            [1, type.shape[0]].contains(gate.type.shape[0]), gate.type.shape[1] == type.shape[1],
            gate.type.shape[2...] == [1, 1]
        else { continue }
        return InputMap(
            input: node.inputs[side],
            affine: InputAffine(
                hasScale: true,
                hasShift: false,
                isPerImage: gate.type.shape[0] > 1,
                lower: bounds.lower,
                upper: bounds.upper
            ),
            scale: .value(node.inputs[1 - side]),
            shift: .none
        )
    }
    return nil
}

extension ConvolutionKernel {
    /// Whether the kernel can apply a per-channel map to its input: it is pointwise, on images of
    /// more than one pixel.
    fileprivate var mapsInput: Bool {
        algorithm == .tile && inputAffine == nil && depthwise == nil && group == 1
            && parts.count == 1
            && parts[0].taps == [Tap(dy: 0, dx: 0)] && strideHeight == 1 && strideWidth == 1
            && inputHeight == outputHeight && inputWidth == outputWidth && outputStep == (1, 1)
            && outputHeight * outputWidth > 1
    }

    /// Whether the kernel can make a depthwise convolution of rows of its result.
    ///
    /// A band of a pointwise one must not be a single pixel, whose sums have other bits.
    fileprivate var takesDepthwise: Bool {
        guard !hasResidual, depthwise == nil else { return false }
        return algorithm == .planar ? pool == nil : mapsInput && !writesPixels && outputWidth > 1
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
