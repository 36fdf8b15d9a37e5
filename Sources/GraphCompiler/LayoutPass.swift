import GraphIR

/// Chooses the layout of every value and inserts conversions only where layouts meet: channel
/// blocks around convolutions and pools, row-major everywhere else, element-wise work in the
/// layout its operands already have.
package func chooseLayouts(of graph: FusedGraph, lanes: Int) -> FusedGraph {
    var pass = LayoutPass(graph: graph, lanes: lanes)
    pass.run()
    return pass.result
}

private struct LayoutPass {
    let lanes: Int
    let source: FusedGraph
    private let uses: GraphUses
    var result: FusedGraph
    /// The blocked and row-major forms of each value, once they exist.
    private var blocked: [ValueID: ValueID] = [:]
    private var rowMajor: [ValueID: ValueID] = [:]

    init(graph: FusedGraph, lanes: Int) {
        self.lanes = lanes
        source = graph
        uses = GraphUses(of: graph)
        result = graph
        result.nodes = []
    }

    mutating func run() {
        for id in source.values.indices.map({ ValueID($0) })
        where source.inputs.contains(id) || source[id].constant != nil {
            rowMajor[id] = id
        }
        for node in source.nodes { place(node) }
        result.outputs = source.outputs.map { inRowMajor($0) }
        reorderConversionsOfOutputs()
    }

    private mutating func place(_ node: FusedNode) {
        var node = node
        switch node.kernel {
        case .convolution(let kernel):
            if blocked[node.inputs[0]] == nil, !source.isReadInBlocks(node.output, uses),
                placeAffineInRows(node, kernel)
            {
                return
            }
            node.inputs[0] =
                kernel.algorithm == .planar || kernel.readsPixels
                ? inRowMajor(node.inputs[0]) : inBlocks(node.inputs[0])
            // The residual, and factors per channel that are no constants.
            for place in 1..<max(1, node.inputs.count)
            where source[node.inputs[place]].constant == nil {
                node.inputs[place] =
                    kernel.writesPixels
                    ? inRowMajor(node.inputs[place]) : inBlocks(node.inputs[place])
            }
            emit(node, kernel.writesPixels ? .rowMajor : .blocked)
        case .globalPool(let isAverage)
        where blocked[node.inputs[0]] == nil && node.activation == .none:
            let shape = source[node.inputs[0]].type.shape
            node.inputs[0] = inRowMajor(node.inputs[0])
            node.kernel = .reduce(
                isAverage ? .mean : .maximum,
                outer: shape[0] * shape[1],
                axisSize: shape[2] * shape[3],
                inner: 1
            )
            emit(node, .rowMajor)
        case .pool, .globalPool:
            node.inputs[0] = inBlocks(node.inputs[0])
            emit(node, .blocked)
        case .resize:
            let isBlocked = blocked[node.inputs[0]] != nil && !growsInRows(node)
            node.inputs[0] = isBlocked ? inBlocks(node.inputs[0]) : inRowMajor(node.inputs[0])
            emit(node, isBlocked ? .blocked : .rowMajor)
        case .unary:
            let isBlocked = blocked[node.inputs[0]] != nil
            node.inputs[0] = isBlocked ? inBlocks(node.inputs[0]) : inRowMajor(node.inputs[0])
            emit(node, isBlocked ? .blocked : .rowMajor)
        case .binary:
            placeBinary(node)
        case .copy(let copy):
            placeCopy(node, copy)
        default:
            node.inputs = node.inputs.map { inRowMajor($0) }
            emit(node, source[node.output].layout)
        }
    }

    /// Whether a resize makes an image larger that nothing needs in blocks: what is converted is then
    /// what is small.
    private func growsInRows(_ node: FusedNode) -> Bool {
        source[node.inputs[0]].type.elementCount < source[node.output].type.elementCount
            && !source.isReadInBlocks(node.output, uses)
            && !uses.readers[node.output.index].contains { reader in
                // The other operand may be in blocks.
                guard case .binary = source.nodes[reader].kernel else { return false }
                return source.nodes[reader].inputs.contains {
                    $0 != node.output && source[$0].constant == nil
                        && source[$0].type == source[node.output].type
                }
            }
    }

    /// A map per channel between row-major values, as element-wise nodes: false when it is none.
    private mutating func placeAffineInRows(_ node: FusedNode, _ kernel: ConvolutionKernel) -> Bool
    {
        guard let map = kernel.channelMap, kernel.inputAffine == nil else { return false }
        var steps: [(function: BinaryFunction, operand: ValueID)] = []
        for (function, factor) in [(BinaryFunction.multiply, map.scale), (.add, map.shift)] {
            guard let vector = factor?.reshaped([kernel.outputChannels, 1, 1]) else { continue }
            let value = FusedValue(name: node.name, type: vector.type, constant: vector)
            steps.append((function, result.addValue(value)))
        }
        if kernel.hasResidual { steps.append((.add, inRowMajor(node.inputs[1]))) }
        guard let last = steps.popLast() else { return false }
        var value = inRowMajor(node.inputs[0])
        for (function, operand) in steps {
            let partial = result.addValue(FusedValue(name: node.name, type: result[value].type))
            emit(
                FusedNode(
                    name: node.name,
                    kernel: .binary(function),
                    inputs: [value, operand],
                    output: partial
                ),
                .rowMajor
            )
            value = partial
        }
        var final = node
        final.kernel = .binary(last.function)
        final.inputs = [value, last.operand]
        emit(final, .rowMajor)
        return true
    }

    /// Blocked when a full-sized operand is blocked and the others broadcast over whole pixels,
    /// whole channels, or everything.
    private mutating func placeBinary(_ node: FusedNode) {
        var node = node
        let shape = source[node.output].type.shape
        let wantsBlocks =
            source[node.output].type.dtype == .float32 && shape.count == 4
            && node.inputs.contains { blocked[$0] != nil && source[$0].type.shape == shape }
            && node.inputs.allSatisfy { canJoinBlocks($0, shape: shape) }
        guard wantsBlocks else {
            node.inputs = node.inputs.map { inRowMajor($0) }
            emit(node, .rowMajor)
            return
        }
        node.inputs = node.inputs.map { id in
            if isPerChannelConstant(id, shape: shape) { return id }
            // A single element in a block would be read as the first of many channels.
            let isRepeated = isScalar(id) && source[id].type.shape != shape
            return isRepeated ? inRowMajor(id) : inBlocks(id)
        }
        emit(node, .blocked)
    }

    private func isScalar(_ id: ValueID) -> Bool { source[id].type.elementCount == 1 }

    /// A constant [C], [C, 1, 1] or [1, C, 1, 1] is read as it stands: one channel after another.
    private func isPerChannelConstant(_ id: ValueID, shape: [Int]) -> Bool {
        guard source[id].constant != nil else { return false }
        let own = source[id].type.shape
        return own.count >= 3 && own[own.count - 3] == shape[1]
            && source[id].type.elementCount == shape[1]
    }

    private func canJoinBlocks(_ id: ValueID, shape: [Int]) -> Bool {
        if source[id].type.dtype != .float32 { return false }
        if isScalar(id) || isPerChannelConstant(id, shape: shape) { return true }
        let own = source[id].type.shape
        return own.count == 4 && own[1] == shape[1] && source[id].constant == nil
    }

    private mutating func placeCopy(_ node: FusedNode, _ copy: CopyKernel) {
        var node = node
        if placeChannelsLast(node) { return }
        if isChannelConcat(node), node.inputs.contains(where: { blocked[$0] != nil }) {
            node.inputs = node.inputs.map { inBlocks($0) }
            var blockedCopy = copy
            blockedCopy.boxes = blockedBoxes(node)
            node.kernel = .copy(blockedCopy)
            emit(node, .blocked)
            return
        }
        if source.isReadInBlocks(node.output, uses),
            node.inputs.contains(where: { blocked[$0] != nil }),
            let boxes = imagesInBlocks(node, copy)
        {
            node.inputs = node.inputs.map { source[$0].constant == nil ? inBlocks($0) : $0 }
            var blockedCopy = copy
            blockedCopy.boxes = boxes
            node.kernel = .copy(blockedCopy)
            emit(node, .blocked)
            return
        }
        if node.inputs.contains(where: { blocked[$0] != nil }),
            let sources = imageSources(node, copy), source.isReadInBlocks(node.output, uses)
        {
            node.inputs = node.inputs.map { inBlocks($0) }
            node.kernel = .channels(sources)
            emit(node, .blocked)
            return
        }
        node.inputs = node.inputs.map { inRowMajor($0) }
        emit(node, .rowMajor)
    }

    /// A copy between an image in blocks and pixels with all their channels, as one conversion: false
    /// when it is none.
    private mutating func placeChannelsLast(_ node: FusedNode) -> Bool {
        var node = node
        if source.movesChannelsLast(node), blocked[node.inputs[0]] != nil {
            node.inputs = [inBlocks(node.inputs[0])]
            node.kernel = .layout(toBlocked: false, channelsLast: true)
            emit(node, .rowMajor)
            return true
        }
        if source.movesChannelsFirst(node), source.isReadInBlocks(node.output, uses) {
            node.inputs = [inRowMajor(node.inputs[0])]
            node.kernel = .layout(toBlocked: true, channelsLast: true)
            emit(node, .blocked)
            return true
        }
        return false
    }

    /// Where the channels of a copy come from, if it puts together channels of images.
    private func imageSources(_ node: FusedNode, _ copy: CopyKernel) -> [ChannelSource]? {
        guard (node.inputs + [node.output]).allSatisfy({ source[$0].type.dtype == .float32 }),
            node.inputs.allSatisfy({ source[$0].constant == nil })
        else { return nil }
        return channelSources(
            of: copy,
            inputs: node.inputs.map { source[$0].type.shape },
            output: source[node.output].type.shape
        )
    }

    /// Whether the node joins images along channels at boundaries of channel blocks.
    private func isChannelConcat(_ node: FusedNode) -> Bool {
        source.joinsChannels(node)
            && node.inputs.dropLast().allSatisfy {
                source[$0].type.shape[1].isMultiple(of: lanes)
            }
    }

    /// The boxes of a node that copies images of whole channel blocks, or repeats a number over such, in
    /// blocked form; nil when it does something else.
    private func imagesInBlocks(_ node: FusedNode, _ copy: CopyKernel) -> [StridedBox]? {
        let shape = source[node.output].type.shape
        guard shape.count == 4, source[node.output].type.dtype == .float32, copy.fill == nil,
            shape[1].isMultiple(of: lanes)
        else { return nil }
        let boxes = copy.boxes.compactMap { box -> StridedBox? in
            let part = source[node.inputs[box.input]].type.shape
            let image = Array(box.dimensions.dropFirst())
            guard image.count == 3, image[0].isMultiple(of: lanes), image[1...] == shape[2...],
                Array(box.outputStrides.dropFirst()) == rowMajorStrides(image),
                let to = blockedRun(
                    of: box.dimensions,
                    from: box.outputOffset,
                    step: box.outputStrides[0],
                    in: shape
                )
            else { return nil }
            let plane = image[1] * image[2] * lanes
            var blocked = StridedBox(
                input: box.input,
                dimensions: [image[0] / lanes, box.dimensions[0], plane],
                inputOffset: box.inputOffset,
                inputStrides: [0, 0, 0],
                outputOffset: to.offset,
                outputStrides: to.strides
            )
            if source[node.inputs[box.input]].constant != nil {
                return box.inputStrides.allSatisfy { $0 == 0 } ? blocked : nil
            }
            guard part.count == 4, Array(part.dropFirst()) == image,
                Array(box.inputStrides.dropFirst()) == rowMajorStrides(image),
                let from = blockedRun(
                    of: box.dimensions,
                    from: box.inputOffset,
                    step: box.inputStrides[0],
                    in: part
                )
            else { return nil }
            (blocked.inputOffset, blocked.inputStrides) = from
            return blocked
        }
        return boxes.count == copy.boxes.count ? boxes : nil
    }

    /// Where a run of images of whole channel blocks, `step` elements apart, stands in a blocked tensor of
    /// `shape`: strides of blocks, images and elements.
    private func blockedRun(
        of run: [Int],
        from offset: Int,
        step: Int,
        in shape: [Int]
    ) -> (offset: Int, strides: [Int])? {
        let plane = shape[2] * shape[3] * lanes
        let own = run[1] / lanes, all = shape[1] / lanes
        guard plane > 0, offset.isMultiple(of: plane), step.isMultiple(of: plane) else {
            return nil
        }
        let (image, block) = (offset / plane).quotientAndRemainder(dividingBy: all)
        let blocks = step / plane
        let last = run[0] > 1 ? block + (run[0] - 1) * blocks : block
        guard block + own <= all else { return nil }
        let between: Int
        if run[0] == 1 {
            between = 0
        } else if blocks.isMultiple(of: all) {
            between = blocks / all * plane
        } else if last + own <= all {
            between = blocks * shape[0] * plane
        } else {
            return nil
        }
        return ((block * shape[0] + image) * plane, [shape[0] * plane, between, 1])
    }

    /// The boxes of a channel concat in blocked form: whole blocks, which lie one after the other.
    private func blockedBoxes(_ node: FusedNode) -> [StridedBox] {
        let shape = source[node.output].type.shape
        let blocks = { (channels: Int) in (channels + lanes - 1) / lanes }
        let block = shape[0] * shape[2] * shape[3] * lanes
        var start = 0
        return node.inputs.indices.map { index in
            let count = blocks(result[node.inputs[index]].type.shape[1])
            defer { start += count }
            return StridedBox(
                input: index,
                dimensions: [count * block],
                inputOffset: 0,
                inputStrides: [1],
                outputOffset: start * block,
                outputStrides: [1]
            )
        }
    }

    private mutating func emit(_ node: FusedNode, _ layout: Layout) {
        result.nodes.append(node)
        result[node.output].layout = layout
        if layout == .blocked {
            blocked[node.output] = node.output
        } else {
            rowMajor[node.output] = node.output
        }
    }

    private mutating func inBlocks(_ id: ValueID) -> ValueID {
        if let known = blocked[id] { return known }
        let converted = convert(id, to: .blocked)
        blocked[id] = converted
        return converted
    }

    private mutating func inRowMajor(_ id: ValueID) -> ValueID {
        if let known = rowMajor[id] { return known }
        let converted = convert(id, to: .rowMajor)
        rowMajor[id] = converted
        return converted
    }

    private mutating func convert(_ id: ValueID, to layout: Layout) -> ValueID {
        var value = result[id]
        precondition(value.type.shape.count == 4 && value.type.dtype == .float32)
        value.layout = layout
        value.constant = nil
        let suffix = layout == .blocked ? ".blocked" : ".nchw"
        let name = value.name + suffix
        value.name = name
        let new = result.addValue(value)
        result.nodes.append(
            FusedNode(
                name: name,
                kernel: .layout(toBlocked: layout == .blocked, channelsLast: false),
                inputs: [id],
                output: new
            )
        )
        return new
    }

    /// The caller sees the model's own name on a converted output.
    private mutating func reorderConversionsOfOutputs() {
        for (original, output) in zip(source.outputs, result.outputs) where original != output {
            result[output].name = source[original].name
        }
    }
}

extension FusedGraph {
    /// Whether something that needs blocks reads a value, or what is made of it element by element.
    func isReadInBlocks(_ id: ValueID, _ uses: GraphUses, depth: Int = 4) -> Bool {
        guard depth > 0, self[id].type.shape.count == 4 else { return false }
        return uses.readers[id.index].contains { reader in
            let node = nodes[reader]
            switch node.kernel {
            case .convolution(let kernel)
            where kernel.channelMap != nil && kernel.inputAffine == nil:
                return isReadInBlocks(node.output, uses, depth: depth - 1)
            case .convolution(let kernel):
                return node.inputs[0] == id
                    ? !kernel.readsPixels && kernel.algorithm != .planar : !kernel.writesPixels
            case .pool, .globalPool: return true
            case .unary, .binary, .resize, .copy:
                return isReadInBlocks(node.output, uses, depth: depth - 1)
            default: return false
            }
        }
    }
}
