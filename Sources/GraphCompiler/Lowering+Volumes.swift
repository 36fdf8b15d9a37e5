import GraphIR

/// Layers over volumes [images, channels, depth, height, width], computed on their slices, images
/// that follow one another.
extension Lowering {
    /// A convolution over three axes as one over two, whose channels are those of the slices under
    /// the kernel, slice after slice.
    mutating func lowerVolumeConvolution(
        _ node: Node,
        _ x: ValueID,
        _ window: WindowGeometry,
        weights: Constant,
        bias: Constant?
    ) throws(LoweringProblem) {
        let depth = window.kernel[0]
        let slices = asSlices(x, name: node.name + ".x")
        let stacked = stack(
            slices,
            of: result[x].type.shape,
            under: window,
            name: node.name + ".stack"
        )
        let filters = weights.type.shape
        let ofSlices = depth == 1 ? weights : weights.transposed([0, 2, 1, 3, 4])
        let geometry = SpatialGeometry(window.withoutFirstAxis, lifted: false)
        let kernel = try convolutionKernel(
            Convolution(),
            input: result[stacked].type.shape,
            weights: ofSlices.reshaped([filters[0], depth * filters[1], filters[3], filters[4]]),
            bias: bias,
            geometry: geometry,
            source: stacked
        )
        emitOnSlices(
            node,
            .convolution(kernel),
            inputs: [stacked],
            shape: [kernel.images, kernel.outputChannels] + geometry.output
        )
    }

    /// The slices of a volume as images.
    mutating func asSlices(_ volume: ValueID, name: String) -> ValueID {
        let shape = result[volume].type.shape
        guard let images = imageShape(of: shape) else { preconditionFailure("no volume") }
        return emitTemporary(
            name,
            .copy(toImages(from: shape)),
            inputs: [volume],
            type: TensorType(.float32, images)
        )
    }

    /// A kernel on slices, whose result is the volume that `node` makes.
    mutating func emitOnSlices(_ node: Node, _ kernel: Kernel, inputs: [ValueID], shape: [Int]) {
        guard let target = node.outputs[0] else { return }
        let slices = emitTemporary(
            node.name + ".y",
            kernel,
            inputs: inputs,
            type: TensorType(.float32, shape)
        )
        emit(node, .copy(fromImages(to: type(target).shape)), inputs: [slices])
    }

    /// For each slice of a result, the channels of all slices under the kernel; zeros outside.
    private mutating func stack(
        _ slices: ValueID,
        of shape: [Int],
        under window: WindowGeometry,
        name: String
    ) -> ValueID {
        let (taps, stride) = (window.kernel[0], window.strides[0])
        let (inputs, outputs) = (window.inputSizes[0], window.outputSizes[0])
        let places = (0..<taps).map { $0 * window.dilations[0] - window.padBegin[0] }
        if taps == 1, stride == 1, places == [0], inputs == outputs { return slices }
        let image = Array(result[slices].type.shape[1...])
        let size = image.reduce(1, *)
        let stackedShape = [shape[0] * outputs, taps * image[0], image[1], image[2]]
        let inner = Array(rowMajorStrides(image))
        var boxes: [StridedBox] = []
        func add(_ range: Range<Int>, tap: Int, volume: Int, from place: Int?) {
            guard !range.isEmpty else { return }
            boxes.append(
                StridedBox(
                    input: place == nil ? 1 : 0,
                    dimensions: [range.count] + image,
                    inputOffset: place.map { (volume * inputs + $0) * size } ?? 0,
                    inputStrides: place == nil ? [0, 0, 0, 0] : [stride * size] + inner,
                    outputOffset: ((volume * outputs + range.lowerBound) * taps + tap) * size,
                    outputStrides: [taps * size] + inner
                )
            )
        }
        for volume in 0..<shape[0] {
            for (tap, place) in places.enumerated() {
                let inside = (0..<outputs).filter { 0..<inputs ~= $0 * stride + place }
                let first = inside.first ?? outputs
                let end = inside.last.map { $0 + 1 } ?? outputs
                add(0..<first, tap: tap, volume: volume, from: nil)
                add(first..<end, tap: tap, volume: volume, from: first * stride + place)
                add(end..<outputs, tap: tap, volume: volume, from: nil)
            }
        }
        var operands = [slices]
        if boxes.contains(where: { $0.input == 1 }) {
            operands.append(addConstant(name + ".outside", .scalar(0)))
        }
        return emitTemporary(
            name,
            .copy(CopyKernel(boxes: boxes)),
            inputs: operands,
            type: TensorType(.float32, stackedShape)
        )
    }
}

extension WindowGeometry {
    /// The window within a slice.
    fileprivate var withoutFirstAxis: WindowGeometry {
        WindowGeometry(
            inputSizes: Array(inputSizes[1...]),
            outputSizes: Array(outputSizes[1...]),
            kernel: Array(kernel[1...]),
            strides: Array(strides[1...]),
            dilations: Array(dilations[1...]),
            padBegin: Array(padBegin[1...]),
            padEnd: Array(padEnd[1...])
        )
    }
}
