import GraphIR

/// A per-channel map before a pointwise or a first convolution, for it alone, is applied to what the
/// kernel copies of its input: normalisation and ReLU before a convolution, the gates of squeeze and
/// excitation, or what makes a picture of pixels from 0 to 255.
func fuseInputAffines(in graph: FusedGraph) -> FusedGraph {
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
                inputs.append(editor.addValue(value))
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
    var mapsInput: Bool {
        algorithm == .tile && inputAffine == nil && depthwise == nil && projection == nil
            && group == 1 && parts.count == 1
            && parts[0].taps == [Tap(dy: 0, dx: 0)] && strideHeight == 1 && strideWidth == 1
            && inputHeight == outputHeight && inputWidth == outputWidth && outputStep == (1, 1)
            && outputHeight * outputWidth > 1
    }
}
