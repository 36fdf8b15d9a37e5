import GraphIR

/// Convolutions, matrix products and normalisation by constants.
extension Lowering {
    // MARK: Convolution

    mutating func lowerConvolution(
        _ node: Node,
        _ convolution: Convolution
    ) throws(LoweringProblem) {
        let x = try required(node, 0)
        let shape = result[x].type.shape
        guard result[x].type.dtype == .float32 else {
            throw LoweringProblem(reason: "convolution of \(result[x].type.dtype) has no kernel")
        }
        guard let weightID = node.inputs[1], var weights = constant(weightID) else {
            throw LoweringProblem(reason: "its weights are computed at run time")
        }
        guard 3...5 ~= shape.count else {
            throw LoweringProblem(
                reason: "a convolution over \(shape.count - 2) axes has no kernel"
            )
        }
        let window = try resolved { () throws(ShapeError) in
            try resolveWindow(
                convolution: convolution,
                input: shape,
                weights: weights.type.shape
            )
        }
        if shape.count == 5 {
            let bias = constant(node.inputs.count > 2 ? node.inputs[2] : nil)
            try lowerVolumeConvolution(node, x, window, weights: weights, bias: bias)
            return
        }
        if shape.count == 3 {
            let type = weights.type.shape
            weights = weights.reshaped([type[0], type[1], 1, type[2]])
        }
        let geometry = SpatialGeometry(window, lifted: shape.count == 3)
        var source = view(x, name: node.name + ".x", shape: spatialShape(shape))
        let biasID = node.inputs.count > 2 ? node.inputs[2] : nil
        let bias = constant(biasID)
        let kernel = try convolutionKernel(
            convolution,
            input: result[source].type.shape,
            weights: weights,
            bias: bias,
            geometry: geometry,
            source: source
        )
        if biasID == nil || bias != nil {
            try emitSpatial(node, .convolution(kernel), inputs: [source])
            return
        }
        guard let biasID else { return }
        source = emitTemporary(
            node.name + ".nobias",
            .convolution(kernel),
            inputs: [source],
            type: TensorType(
                .float32,
                [kernel.images, kernel.outputChannels, geometry.output[0], geometry.output[1]]
            )
        )
        let channels = view(
            operand(biasID),
            name: node.name + ".bias",
            shape: [kernel.outputChannels, 1, 1]
        )
        try emitSpatial(node, .binary(.add), inputs: [source, channels])
    }

    func convolutionKernel(
        _ convolution: Convolution,
        input: [Int],
        weights: Constant,
        bias: Constant?,
        geometry: SpatialGeometry,
        source: ValueID
    ) throws(LoweringProblem) -> ConvolutionKernel {
        let group = convolution.group
        let channels = input[1] / group
        let outputs =
            convolution.isTransposed
            ? weights.type.shape[1] * group : weights.type.shape[0]
        let algorithm = chooseAlgorithm(
            isTransposed: convolution.isTransposed,
            group: group,
            channels: channels,
            outputs: outputs / group,
            hasStrides: geometry.strides.contains { $0 > 1 },
            source: source
        )
        let common = weights.elementsByOutput(
            isTransposed: convolution.isTransposed,
            group: group,
            needsUniformGroups: algorithm == .grouped
        )
        var kernel = ConvolutionKernel(
            algorithm: algorithm,
            images: input[0],
            channels: channels,
            group: group,
            outputChannels: outputs,
            input: (input[2], input[3]),
            output: (geometry.output[0], geometry.output[1]),
            kernel: (geometry.kernel[0], geometry.kernel[1]),
            stride: convolution.isTransposed ? (1, 1) : (geometry.strides[0], geometry.strides[1]),
            dilation: (geometry.dilations[0], geometry.dilations[1]),
            pad: (geometry.padBegin[0], geometry.padBegin[1]),
            outputStep: convolution.isTransposed
                ? (geometry.strides[0], geometry.strides[1]) : (1, 1),
            parts: []
        )
        let groupsApart = algorithm == .tile ? group : 1
        let phases = try geometry.phases(
            isTransposed: convolution.isTransposed,
            copies: groupsApart
        )
        for index in 0..<groupsApart {
            let perGroup = outputs / groupsApart
            var source = common
            source.bias = bias?.asFloat.reshaped([outputs])
            let taps = geometry.kernel[0] * geometry.kernel[1]
            source.firstElement = index * (outputs / group) * channels * taps
            kernel.parts += phases.map { phase in
                var phase = phase
                // Other kernels go through whole filters.
                if algorithm == .tile {
                    phase.dropTaps(
                        outside: (kernel.inputHeight, kernel.inputWidth),
                        stride: (kernel.strideHeight, kernel.strideWidth)
                    )
                }
                var weights = source
                weights.tapOffsets = phase.tapOffsets
                return ConvolutionPart(
                    weights: weights,
                    taps: phase.taps,
                    firstInputChannel: index * channels,
                    firstOutputChannel: index * perGroup,
                    outputChannels: perGroup,
                    outputHeight: phase.height,
                    outputWidth: phase.width,
                    originY: phase.originY,
                    originX: phase.originX
                )
            }
        }
        return kernel
    }

    /// The kernel family, by shape and instruction set alone.
    private func chooseAlgorithm(
        isTransposed: Bool,
        group: Int,
        channels: Int,
        outputs: Int,
        hasStrides: Bool,
        source: ValueID
    ) -> ConvolutionKernel.Algorithm {
        if group == 1 {
            let isFew = channels < catalog.lanes && channels <= 4
            return isFew && !isTransposed && isRowMajorSource(source) ? .planar : .tile
        }
        if channels == 1, outputs == 1, !isTransposed { return .depthwise }
        let fits = channels % catalog.lanes == 0 && outputs % catalog.lanes == 0
        // One panel reads a strided image too seldom to put its rows side by side first.
        let isStridedPanel = hasStrides && !isTransposed && outputs <= 2 * catalog.lanes
        return fits && !isStridedPanel ? .tile : .grouped
    }

    /// Whether a value is a model input, or made from one element by element.
    private func isRowMajorSource(_ id: ValueID) -> Bool {
        var id = id
        while !result.inputs.contains(id) {
            guard let node = result.nodes.last(where: { $0.output == id }) else { return false }
            switch node.kernel {
            case .unary, .binary, .copy, .cast: id = node.inputs[0]
            // A map per channel, which the first layer applies to its input.
            case .convolution(let kernel)
            where kernel.algorithm == .depthwise && kernel.kernelHeight * kernel.kernelWidth == 1:
                id = node.inputs[0]
            default: return false
            }
        }
        return true
    }

    // MARK: Batch normalisation

    mutating func lowerBatchNormalization(
        _ node: Node,
        epsilon: Float
    ) throws(LoweringProblem) {
        let x = try required(node, 0)
        let shape = result[x].type.shape
        let constants = (1...4).map { constant($0 < node.inputs.count ? node.inputs[$0] : nil) }
        guard let gamma = constants[0], let beta = constants[1], let mean = constants[2],
            let variance = constants[3]
        else { throw LoweringProblem(reason: "its statistics are computed at run time") }
        guard shape.count >= 2 else {
            throw LoweringProblem(reason: "the input needs a channel axis")
        }
        let scale = Constant.divide(
            gamma.asFloat,
            .squareRoot(.add(variance.asFloat, .scalar(epsilon)))
        )
        let shift = Constant.subtract(beta.asFloat, .multiply(mean.asFloat, scale))
        if shape.count == 2 {
            // Rows of a matrix, which stay as they are.
            let factor = addConstant(node.name + ".scale", scale)
            let scaled = emitTemporary(
                node.name + ".scaled",
                .binary(.multiply),
                inputs: [x, factor],
                type: result[x].type
            )
            emit(node, .binary(.add), inputs: [scaled, addConstant(node.name + ".shift", shift)])
            return
        }
        if shape.count == 5 {
            let slices = asSlices(x, name: node.name + ".x")
            let shape = result[slices].type.shape
            emitOnSlices(
                node,
                .convolution(.affine(shape: shape, scale: scale, shift: shift)),
                inputs: [slices],
                shape: shape
            )
            return
        }
        let spatial =
            shape.count == 4
            ? shape : [shape[0], shape[1], 1, shape.dropFirst(2).reduce(1, *)]
        let source = view(x, name: node.name + ".x", shape: spatial)
        try emitSpatial(
            node,
            .convolution(.affine(shape: spatial, scale: scale, shift: shift)),
            inputs: [source]
        )
    }

    // MARK: Matrices

    mutating func lowerGemm(_ node: Node, _ gemm: Gemm) throws(LoweringProblem) {
        var a = try required(node, 0)
        guard result[a].type.dtype == .float32 else {
            throw LoweringProblem(reason: "products of \(result[a].type.dtype) have no kernel")
        }
        if gemm.transposeA {
            let shape = result[a].type.shape
            a = emitTemporary(
                node.name + ".transposed",
                .copy(.transposition(of: shape, [1, 0])),
                inputs: [a],
                type: TensorType(.float32, shape.reversed())
            )
        }
        guard let bID = node.inputs[1], let target = node.outputs[0] else { return }
        let shape = type(target).shape
        let m = shape[0]
        let n = shape[1]
        let k = result[a].type.shape[1]
        let cID = node.inputs.count > 2 ? node.inputs[2] : nil
        var bias = cID.flatMap { constant($0)?.channelVector(count: n, trailing: 0) }
        if let vector = bias, gemm.beta != 1 { bias = .multiply(vector, .scalar(gemm.beta)) }
        let needsAddition = cID != nil && bias == nil
        var product: ValueID
        if let b = constant(bID) {
            let scale: Constant? =
                gemm.alpha == 1
                ? nil : Constant(type: TensorType(.float32, [n]), source: .fill(Double(gemm.alpha)))
            let kernel = ConvolutionKernel.matrix(
                m: m,
                k: k,
                n: n,
                b: b,
                transposed: gemm.transposeB,
                scale: scale,
                bias: bias
            )
            if !needsAddition {
                emit(node, .convolution(kernel), inputs: [a])
                return
            }
            product = emitTemporary(
                node.name + ".product",
                .convolution(kernel),
                inputs: [a],
                type: TensorType(.float32, [m, n])
            )
        } else {
            product = emitProduct(
                node.name,
                a: a,
                b: operand(bID),
                m: m,
                k: k,
                n: n,
                bStrides: gemm.transposeB ? (1, k) : (n, 1),
                aIndex: [0],
                bIndex: [0],
                shape: [m, n]
            )
            if gemm.alpha != 1 {
                product = scaled(product, by: gemm.alpha, name: node.name + ".alpha")
            }
        }
        guard let cID else {
            define(target, as: product)
            return
        }
        var c = operand(cID)
        if gemm.beta != 1 { c = scaled(c, by: gemm.beta, name: node.name + ".beta") }
        emit(node, .binary(.add), inputs: [product, c])
    }

    private mutating func scaled(_ id: ValueID, by factor: Float, name: String) -> ValueID {
        let scale = addConstant(name + ".factor", .scalar(factor))
        return emitTemporary(
            name,
            .binary(.multiply),
            inputs: [id, scale],
            type: result[id].type
        )
    }

    mutating func lowerMatrixProduct(_ node: Node) throws(LoweringProblem) {
        let a = try required(node, 0)
        guard let bID = node.inputs[1], let target = node.outputs[0] else { return }
        guard result[a].type.dtype == .float32 else {
            throw LoweringProblem(reason: "products of \(result[a].type.dtype) have no kernel")
        }
        let declaredB = type(bID).shape
        var aShape = result[a].type.shape
        var bShape = declaredB
        if aShape.count == 1 { aShape = [1] + aShape }
        if bShape.count == 1 { bShape += [1] }
        let m = aShape[aShape.count - 2]
        let k = aShape[aShape.count - 1]
        let n = bShape[bShape.count - 1]
        let shape = type(target).shape
        if let b = constant(bID), bShape.dropLast(2).allSatisfy({ $0 == 1 }) {
            let rows = aShape.dropLast().reduce(1, *)
            let source = view(a, name: node.name + ".a", shape: [rows, k])
            let product = emitTemporary(
                node.name,
                .convolution(
                    .matrix(
                        m: rows,
                        k: k,
                        n: n,
                        b: b.reshaped([k, n]),
                        transposed: false,
                        scale: nil,
                        bias: nil
                    )
                ),
                inputs: [source],
                type: TensorType(.float32, [rows, n])
            )
            define(target, as: view(product, name: graph[target].name, shape: shape))
            return
        }
        let batch = try batchIndices(Array(aShape.dropLast(2)), Array(bShape.dropLast(2)))
        let product = emitProduct(
            node.name,
            a: a,
            b: operand(bID),
            m: m,
            k: k,
            n: n,
            bStrides: (n, 1),
            aIndex: batch.a,
            bIndex: batch.b,
            shape: [batch.a.count * m, n]
        )
        define(target, as: view(product, name: graph[target].name, shape: shape))
    }

    /// For each result matrix of a broadcast product, which matrix of a and of b it multiplies.
    private func batchIndices(
        _ a: [Int],
        _ b: [Int]
    ) throws(LoweringProblem) -> (a: [Int], b: [Int]) {
        let rank = max(a.count, b.count)
        let left = Array(repeating: 1, count: rank - a.count) + a
        let right = Array(repeating: 1, count: rank - b.count) + b
        var indices: (a: [Int], b: [Int]) = ([0], [0])
        for axis in 0..<rank {
            let size = left[axis] == 1 ? right[axis] : left[axis]
            guard size <= longestTable / max(1, indices.a.count) else {
                throw LoweringProblem(
                    reason: "more than \(longestTable) pairs of matrices in one product"
                )
            }
            indices.a = indices.a.flatMap { base in
                (0..<size).map { base * left[axis] + (left[axis] == 1 ? 0 : $0) }
            }
            indices.b = indices.b.flatMap { base in
                (0..<size).map { base * right[axis] + (right[axis] == 1 ? 0 : $0) }
            }
        }
        return indices
    }

    /// A product whose right side is known only at run time: pack it, then multiply.
    private mutating func emitProduct(
        _ name: String,
        a: ValueID,
        b: ValueID,
        m: Int,
        k: Int,
        n: Int,
        bStrides: (k: Int, n: Int),
        aIndex: [Int],
        bIndex: [Int],
        shape: [Int]
    ) -> ValueID {
        let count = (bIndex.max() ?? -1) + 1
        let matrixBytes = catalog.packedByteCount(
            order: .blocked,
            outputChannels: n,
            channels: k,
            taps: 1
        )
        let packing = MatrixPacking(
            k: k,
            n: n,
            source: MatrixPlaces(
                offsets: (0..<count).map { $0 * k * n },
                rowStride: bStrides.k,
                columnStride: bStrides.n
            )
        )
        let packed = result.addValue(
            FusedValue(
                name: name + ".packed",
                type: TensorType(.float32, [count, k, n]),
                layout: .packed(byteCount: count * matrixBytes)
            )
        )
        result.nodes.append(
            FusedNode(
                name: name + ".pack",
                kernel: .packMatrices(packing),
                inputs: [b],
                output: packed
            )
        )
        let product = ProductKernel(
            m: m,
            k: k,
            n: n,
            a: MatrixPlaces(offsets: aIndex.map { $0 * m * k }, rowStride: k),
            bIndex: bIndex,
            result: MatrixPlaces(offsets: aIndex.indices.map { $0 * m * n }, rowStride: n)
        )
        return emitTemporary(
            name,
            .product(product),
            inputs: [a, packed],
            type: TensorType(.float32, shape)
        )
    }
}
