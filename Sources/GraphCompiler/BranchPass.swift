import GraphIR

/// A sum of convolutions of one image becomes a convolution whose weights are the sums of theirs.
///
/// Such are the branches of a block that is trained with several and deployed with one: filters of
/// 3x3 and of 1x1, and the input itself or a normalisation of it.
func joinBranches(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .binary(.add) = node.kernel,
            let sum = editor.branch(node, 0, adding: 1) ?? editor.branch(node, 1, adding: 0)
        else { continue }
        for id in node.inputs {
            if let branch = editor.onlyProducer(of: id) { editor.nodes[branch] = nil }
        }
        editor.nodes[index] = sum
    }
    return editor.finish()
}

extension Editor {
    /// The convolution that makes operand `side` of an addition, with the other operand, another
    /// convolution of its input or that input itself, in its weights; nil when they are something else.
    fileprivate func branch(_ node: FusedNode, _ side: Int, adding other: Int) -> FusedNode? {
        guard let (branch, kernel) = branch(node.inputs[side]) else { return nil }
        let added: ConvolutionKernel
        if let (second, kernel) = self.branch(node.inputs[other]), second.inputs == branch.inputs {
            added = kernel
        } else if branch.inputs == [node.inputs[other]] {
            added = .affine(shape: graph[branch.inputs[0]].type.shape, scale: nil, shift: nil)
        } else {
            return nil
        }
        return kernel.adding(added).map {
            FusedNode(
                name: branch.name,
                kernel: .convolution($0),
                inputs: branch.inputs,
                output: node.output,
                activation: node.activation
            )
        }
    }

    /// A convolution whose result nothing else reads, and nothing was done to.
    private func branch(_ id: ValueID) -> (node: FusedNode, kernel: ConvolutionKernel)? {
        guard let index = onlyProducer(of: id), let node = nodes[index], node.activation == .none,
            case .convolution(let kernel) = node.kernel, kernel.isAlone
        else { return nil }
        return (node, kernel)
    }
}

extension ConvolutionKernel {
    /// The sum of this convolution and another of the same input, with the taps of this one; nil when
    /// there is none.
    fileprivate func adding(_ other: ConvolutionKernel) -> ConvolutionKernel? {
        // Maps of channels are no filters: they are folded into what is before or after them.
        guard channelMap == nil || other.channelMap == nil, images == other.images,
            (inputHeight, inputWidth) == (other.inputHeight, other.inputWidth),
            (outputHeight, outputWidth) == (other.outputHeight, other.outputWidth),
            (strideHeight, strideWidth) == (other.strideHeight, other.strideWidth),
            outputChannels == other.outputChannels
        else { return nil }
        let isSameKind =
            order == other.order && group == other.group && channels == other.channels
            && parts.count == other.parts.count
        // One factor for each channel, in the weights of all of them.
        let isDiagonal =
            (order == .blocked || order == .planar) && other.order == .depthwise
            && other.group == outputChannels && channels * group == outputChannels
            && other.parts.count == 1
        guard isSameKind || isDiagonal else { return nil }
        var sum = self
        for number in parts.indices {
            let others = other.parts[isSameKind ? number : 0]
            guard let part = parts[number].adding(others, isDiagonal: !isSameKind) else {
                return nil
            }
            sum.parts[number] = part
        }
        return sum
    }

    /// Whether nothing is fused with the convolution, and pixels of its result are those of its parts.
    fileprivate var isAlone: Bool {
        !hasResidual && inputAffine == nil && pool == nil && depthwise == nil && projection == nil
            && !readsPixels && !writesPixels && outputStep == (1, 1)
    }
}

extension ConvolutionPart {
    /// The part with the weights of `other` added under the same taps; nil when it has others.
    fileprivate func adding(_ other: ConvolutionPart, isDiagonal: Bool) -> ConvolutionPart? {
        guard Set(other.taps).isSubset(of: taps) else { return nil }
        if isDiagonal {
            guard firstInputChannel == firstOutputChannel else { return nil }
        } else {
            guard firstInputChannel == other.firstInputChannel,
                firstOutputChannel == other.firstOutputChannel,
                outputChannels == other.outputChannels
            else { return nil }
        }
        var sum = self
        for var source in [other.weights] + other.weights.added {
            source.added = []
            source.tapOffsets = taps.map { tap in
                other.taps.firstIndex(of: tap).map { source.tapOffsets[$0] } ?? -1
            }
            if isDiagonal {
                source.isDiagonal = true
                source.firstElement += firstOutputChannel * source.outputStride
            }
            if let bias = source.bias {
                sum.weights.bias = sum.weights.bias.map { .add($0, bias) } ?? bias
                source.bias = nil
            }
            sum.weights.added.append(source)
        }
        return sum
    }
}
