import GraphIR

/// Products of pixels, next to images.
///
/// Attention and multi-layer perceptrons multiply rows that hold all channels of a pixel; between them
/// and convolutions stand transpositions and views. A product is a convolution of one tap, and its
/// kernel reaches pixels and channels by strides, so it reads or writes the image itself: the copies go.
/// Where both sides are images it is like any other convolution.
func joinPixels(in graph: FusedGraph) -> FusedGraph {
    multiplyImages(in: activateImages(in: graph))
}

/// A function of each element of an image's pixels is one of the image, next to what computes it.
private func activateImages(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .unary = node.kernel, let way = editor.wayBack(from: node.inputs[0]),
            let before = editor.onlyProducer(of: way.image), let producer = editor.nodes[before],
            producer.kernel.takesActivation, producer.activation == .none
        else { continue }
        var activated = graph[way.image]
        activated.name = node.name
        let image = editor.addValue(activated)
        // Each node of the way takes the place of the next, the last one that of the function.
        var moved = FusedNode(
            name: node.name,
            kernel: .unary,
            inputs: [way.image],
            output: image,
            activation: node.activation
        )
        var input = image
        for place in way.nodes {
            guard var next = editor.nodes[place] else { continue }
            editor.nodes[place] = moved
            next.inputs = [input]
            input = next.output
            moved = next
        }
        moved.output = node.output
        editor.nodes[index] = moved
    }
    return editor.finish()
}

/// Products whose operand are the pixels of an image, or whose result is turned into one, read and write
/// the images.
private func multiplyImages(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .convolution(var kernel) = node.kernel, kernel.isMatrixProduct,
            kernel.inputAffine == nil, !kernel.hasResidual
        else { continue }
        var product = node
        var place = index
        var size: [Int]?
        // Views may have cut rows and pixels differently: a row is a pixel if it has its channels.
        if let way = editor.wayOn(from: node.output), graph.isReadInBlocks(way.image, editor.uses),
            graph[way.image].type.shape[1] == kernel.outputChannels
        {
            let shape = graph[way.image].type.shape
            size = [shape[0], shape[2], shape[3]]
            product.output = way.image
            kernel.writesPixels = false
            for node in way.nodes { editor.nodes[node] = nil }
            place = way.nodes.last ?? index
        }
        if let way = editor.wayBack(from: node.inputs[0], isShared: true),
            editor.isMadeInBlocks(way.image), graph[way.image].type.shape[1] == kernel.channels
        {
            let shape = graph[way.image].type.shape
            let own = [shape[0], shape[2], shape[3]]
            if size == nil || size == own {
                size = own
                product.inputs[0] = way.image
                kernel.readsPixels = false
            }
        }
        guard let size else { continue }
        product.kernel = .convolution(kernel.onImages(size))
        editor.nodes[index] = nil
        editor.nodes[place] = product
    }
    return editor.finish().withoutUnread()
}

extension ConvolutionKernel {
    /// A product of matrices as a convolution of images of [count, height, width].
    fileprivate func onImages(_ size: [Int]) -> ConvolutionKernel {
        var result = self
        result.images = size[0]
        (result.inputHeight, result.inputWidth) = (size[1], size[2])
        (result.outputHeight, result.outputWidth) = (size[1], size[2])
        (result.parts[0].outputHeight, result.parts[0].outputWidth) = (size[1], size[2])
        return result
    }
}

/// The copy and the views between an image and its pixels, in the order of the graph.
private struct PixelWay {
    var image: ValueID
    var nodes: [Int]
}

extension Editor {
    /// The way from an image to the pixels at `id`, all of it read by nothing else; what is `isShared`
    /// may also be read by other products.
    fileprivate func wayBack(from id: ValueID, isShared: Bool = false) -> PixelWay? {
        var way = PixelWay(image: id, nodes: [])
        var turn: CopyKernel?
        while let index = uses.producer[way.image.index],
            let node = nodes[index],
            isShared ? isOnlyMultiplied(way.image) : uses.isReadOnce(way.image),
            case .copy(let copy) = node.kernel, node.activation == .none, node.inputs.count == 1
        {
            if !graph.isReshape(node) {
                guard turn == nil else { return nil }
                turn = copy
            }
            way.nodes.insert(index, at: 0)
            way.image = node.inputs[0]
        }
        guard let turn, graph.isImage(way.image) else { return nil }
        return turn.movesChannelsLast(from: graph[way.image].type.shape) ? way : nil
    }

    /// The way from pixels at `id` to an image, all of it read by nothing else.
    fileprivate func wayOn(from id: ValueID) -> PixelWay? {
        var way = PixelWay(image: id, nodes: [])
        var turn: CopyKernel?
        while turn == nil || !graph.isImage(way.image), uses.isReadOnce(way.image),
            let index = uses.readers[way.image.index].first, let node = nodes[index],
            case .copy(let copy) = node.kernel, node.activation == .none, node.inputs.count == 1
        {
            if !graph.isReshape(node) {
                guard turn == nil else { return nil }
                turn = copy
            }
            way.nodes.append(index)
            way.image = node.output
        }
        guard let turn, graph.isImage(way.image) else { return nil }
        return turn.movesChannelsFirst(to: graph[way.image].type.shape) ? way : nil
    }

    /// Whether all that reads a value, or a view of it, are products of its rows.
    private func isOnlyMultiplied(_ id: ValueID) -> Bool {
        guard !uses.isGraphOutput(id) else { return false }
        return uses.readers[id.index].allSatisfy { reader in
            // One that already reads the image does not count.
            guard let node = nodes[reader], node.inputs.contains(id) else { return true }
            if case .convolution(let kernel) = node.kernel {
                return kernel.readsPixels && node.inputs[0] == id
                    && node.inputs.dropFirst().allSatisfy { $0 != id }
            }
            return isMove(node) && isOnlyMultiplied(node.output)
        }
    }

    private func isMove(_ node: FusedNode) -> Bool {
        guard case .copy = node.kernel else { return false }
        return node.activation == .none && node.inputs.count == 1
    }

    /// Whether an image comes from a kernel that writes blocks.
    fileprivate func isMadeInBlocks(_ id: ValueID, depth: Int = 4) -> Bool {
        guard depth > 0, let index = uses.producer[id.index], let node = nodes[index] else {
            return false
        }
        switch node.kernel {
        case .convolution(let kernel): return !kernel.writesPixels
        case .pool, .globalPool: return true
        case .unary, .resize: return isMadeInBlocks(node.inputs[0], depth: depth - 1)
        case .binary:
            return node.inputs.contains {
                graph[$0].type == graph[id].type && isMadeInBlocks($0, depth: depth - 1)
            }
        default: return false
        }
    }
}
