import GraphIR

/// A constant pad of zeros that only convolutions and pools read becomes their own padding, which a
/// largest element of nothing but positive numbers and zeros does not see either.
func foldPadding(in graph: FusedGraph) -> FusedGraph {
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
        let isNegative = !editor.isAtLeastZero(pad.inputs[0])
        let padded = readers.compactMap { reader -> Kernel? in
            let node = graph.nodes[reader]
            switch node.kernel {
            case .convolution(let kernel) where !kernel.readsPixels && node.inputs.count == 1:
                return .convolution(kernel.reading(inner, setInto: outer, at: box.outputOffset))
            case .pool(let kernel) where kernel.isAverage || !isNegative:
                let size = Array(graph[node.output].type.shape.dropFirst(2))
                return kernel.reading(inner, setInto: outer, at: box.outputOffset, giving: size)
                    .map { .pool($0) }
            default:
                return nil
            }
        }
        guard padded.count == readers.count else { continue }
        for (reader, kernel) in zip(readers, padded) {
            editor.nodes[reader]?.kernel = kernel
            editor.nodes[reader]?.inputs[0] = pad.inputs[0]
        }
        editor.nodes[padIndex] = nil
    }
    return editor.finish()
}

extension Editor {
    /// Whether the last step towards a value cuts off what is negative.
    fileprivate func isAtLeastZero(_ id: ValueID) -> Bool {
        guard let producer = uses.producer[id.index],
            case .clamp(let lower, _) = graph.nodes[producer].activation
        else { return false }
        return lower >= 0
    }
}

extension PoolKernel {
    /// The same over images that were set into larger ones of zeros, `offset` elements from the start;
    /// nil where zeros count otherwise than padding does.
    fileprivate func reading(
        _ inner: [Int],
        setInto outer: [Int],
        at offset: Int,
        giving size: [Int]
    ) -> PoolKernel? {
        let (top, left) = offset.quotientAndRemainder(dividingBy: outer[3])
        var result = self
        for (axis, before) in [top, left].enumerated() {
            let image = inner[axis + 2]
            result.padBegin[axis] += before
            result.padEnd[axis] += outer[axis + 2] - image - before
            let lastStart = (size[axis] - 1) * strides[axis] - result.padBegin[axis]
            guard
                isAverage
                    // Every window sees a pixel.
                    || dilations[axis] == 1 && result.padBegin[axis] < kernel[axis]
                        && lastStart < image
            else { return nil }
        }
        if isAverage {
            guard countsPadding || (padBegin + padEnd).allSatisfy({ $0 == 0 }) else { return nil }
            result.countsPadding = true
        }
        return result
    }
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
