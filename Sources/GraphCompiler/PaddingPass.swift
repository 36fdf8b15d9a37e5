import GraphIR

/// A constant pad of zeros that only convolutions read becomes their own padding.
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
