import GraphIR

/// Copies that put whole channels of images together in another order: concatenations, slices and
/// splits along channels, channel shuffles.

/// Where each channel of the result of a copy comes from; nil when the copy does something else.
///
/// All shapes are [images, channels, height, width].
func channelSources(of copy: CopyKernel, inputs: [[Int]], output: [Int]) -> [ChannelSource]? {
    guard copy.fill == nil, output.count == 4, output[2] * output[3] > 1,
        inputs.allSatisfy({ $0.count == 4 && $0[0] == output[0] && $0[2...] == output[2...] })
    else { return nil }
    let plane = output[2] * output[3]
    var sources = [ChannelSource?](repeating: nil, count: output[1])
    var planeCount = 0
    for box in copy.boxes {
        // What is copied without a gap is whole planes.
        var run = 1
        var axes = box.dimensions.count
        while axes > 0, box.inputStrides[axes - 1] == run, box.outputStrides[axes - 1] == run {
            axes -= 1
            run *= box.dimensions[axes]
        }
        guard run.isMultiple(of: plane) else { return nil }
        let outer = box.dimensions[..<axes]
        for number in 0..<outer.reduce(1, *) {
            var rest = number
            var from = box.inputOffset
            var to = box.outputOffset
            for axis in (0..<axes).reversed() {
                from += rest % box.dimensions[axis] * box.inputStrides[axis]
                to += rest % box.dimensions[axis] * box.outputStrides[axis]
                rest /= box.dimensions[axis]
            }
            guard from.isMultiple(of: plane), to.isMultiple(of: plane) else { return nil }
            for step in 0..<run / plane {
                let source = (from / plane + step)
                    .quotientAndRemainder(dividingBy: inputs[box.input][1])
                let target = (to / plane + step).quotientAndRemainder(dividingBy: output[1])
                let channel = ChannelSource(input: box.input, channel: source.remainder)
                // The same channels in every image.
                guard source.quotient == target.quotient,
                    sources[target.remainder] ?? channel == channel
                else { return nil }
                sources[target.remainder] = channel
                planeCount += 1
            }
        }
    }
    let known = sources.compactMap { $0 }
    return planeCount == output[0] * output[1] && known.count == output[1] ? known : nil
}

/// The copy that puts channels together: a box for each run of neighbours.
private func copy(_ sources: [ChannelSource], inputs: [[Int]], output: [Int]) -> CopyKernel {
    let plane = output[2] * output[3]
    var boxes: [StridedBox] = []
    var first = 0
    while first < sources.count {
        let start = sources[first]
        var count = 1
        while first + count < sources.count,
            sources[first + count]
                == ChannelSource(input: start.input, channel: start.channel + count)
        {
            count += 1
        }
        boxes.append(
            StridedBox(
                input: start.input,
                dimensions: [output[0], count * plane],
                inputOffset: start.channel * plane,
                inputStrides: [inputs[start.input][1] * plane, 1],
                outputOffset: first * plane,
                outputStrides: [output[1] * plane, 1]
            )
        )
        first += count
    }
    return CopyKernel(boxes: boxes)
}

/// Makes copies of whole channels read and write images, where reshapes around them took the channels
/// apart, and one copy of two in a row.
func joinChannelCopies(in graph: FusedGraph) -> FusedGraph {
    composeChannelCopies(in: absorbReshapes(in: graph))
}

extension CopyKernel {
    /// Whether the pixels of an image of this shape, in the order of its rows, follow one another with
    /// all their channels in the result.
    func movesChannelsLast(from image: [Int]) -> Bool {
        image[1] > 1 && image[2] * image[3] > 1 && isTransposition(of: image, [0, 2, 3, 1])
    }

    /// Whether the result is an image of this shape, and the operand its pixels.
    func movesChannelsFirst(to image: [Int]) -> Bool {
        image[1] > 1 && image[2] * image[3] > 1
            && isTransposition(of: [image[0], image[2], image[3], image[1]], [0, 3, 1, 2])
    }
}

extension FusedGraph {
    func isImage(_ id: ValueID) -> Bool {
        self[id].type.shape.count == 4 && self[id].type.dtype == .float32
            && self[id].constant == nil
    }

    /// Whether a copy turns an image into pixels with all their channels side by side.
    func movesChannelsLast(_ node: FusedNode) -> Bool {
        guard case .copy(let copy) = node.kernel, node.activation == .none, node.inputs.count == 1
        else { return false }
        return isImage(node.inputs[0])
            && copy.movesChannelsLast(from: self[node.inputs[0]].type.shape)
    }

    /// Whether a copy turns pixels with all their channels side by side into an image.
    func movesChannelsFirst(_ node: FusedNode) -> Bool {
        guard case .copy(let copy) = node.kernel, node.activation == .none, node.inputs.count == 1
        else { return false }
        return isImage(node.output) && self[node.inputs[0]].constant == nil
            && copy.movesChannelsFirst(to: self[node.output].type.shape)
    }

    fileprivate func channelSources(of node: FusedNode) -> [ChannelSource]? {
        guard case .copy(let copy) = node.kernel, node.activation == .none, !isReshape(node),
            (node.inputs + [node.output]).allSatisfy({ isImage($0) })
        else { return nil }
        return GraphCompiler.channelSources(
            of: copy,
            inputs: node.inputs.map { self[$0].type.shape },
            output: self[node.output].type.shape
        )
    }
}

private func absorbReshapes(in graph: FusedGraph) -> FusedGraph {
    let uses = GraphUses(of: graph)
    var nodes = graph.nodes.map(Optional.some)
    for (index, node) in graph.nodes.enumerated() {
        guard case .copy = node.kernel, !graph.isReshape(node) else { continue }
        var joined = node
        joined.inputs = node.inputs.map { id in
            // A reshape that a copy before it has taken is no longer there.
            guard let producer = uses.producer[id.index], let before = nodes[producer] else {
                return id
            }
            return graph.isReshape(before) && graph.isImage(before.inputs[0])
                ? before.inputs[0] : id
        }
        var last = index
        if uses.isReadOnce(node.output), let reader = uses.readers[node.output.index].first,
            graph.isReshape(graph.nodes[reader]), graph.isImage(graph.nodes[reader].output)
        {
            last = reader
            joined.output = graph.nodes[reader].output
        }
        guard joined.inputs != node.inputs || last != index,
            graph.channelSources(of: joined) != nil || graph.movesChannelsLast(joined)
                || graph.movesChannelsFirst(joined)
        else { continue }
        if last != index { nodes[last] = nil }
        nodes[index] = joined
    }
    var result = graph
    result.nodes = nodes.compactMap { $0 }
    return result.withoutUnread()
}

private func composeChannelCopies(in graph: FusedGraph) -> FusedGraph {
    var result = graph
    let uses = GraphUses(of: graph)
    for index in graph.nodes.indices {
        let node = result.nodes[index]
        guard !uses.isGraphOutput(node.output), !uses.readers[node.output.index].isEmpty,
            let inner = result.channelSources(of: node)
        else { continue }
        let readers = Set(uses.readers[node.output.index])
        guard readers.allSatisfy({ result.channelSources(of: result.nodes[$0]) != nil }) else {
            continue
        }
        for reader in readers {
            guard let outer = result.channelSources(of: result.nodes[reader]) else { continue }
            let inputs = result.nodes[reader].inputs
            let all = inputs + node.inputs
            var used: [ValueID] = []
            let sources = outer.map { source in
                var source = source
                if inputs[source.input] == node.output {
                    source = inner[source.channel]
                    source.input += inputs.count
                }
                let id = all[source.input]
                if !used.contains(id) { used.append(id) }
                source.input = used.firstIndex(of: id) ?? 0
                return source
            }
            result.nodes[reader].inputs = used
            result.nodes[reader].kernel = .copy(
                copy(
                    sources,
                    inputs: used.map { graph[$0].type.shape },
                    output: graph[result.nodes[reader].output].type.shape
                )
            )
        }
    }
    return result.withoutUnread()
}

extension FusedGraph {
    /// Without the copies whose results nobody reads any more.
    func withoutUnread() -> FusedGraph {
        var result = self
        let uses = GraphUses(of: self)
        result.nodes = nodes.filter { node in
            guard case .copy = node.kernel else { return true }
            return !uses.readers[node.output.index].isEmpty || uses.isGraphOutput(node.output)
        }
        return result
    }
}
