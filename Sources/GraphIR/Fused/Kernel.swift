/// A function applied to each element at the end of a fused operation.
package enum Activation: Hashable, Sendable {
    case none
    /// min(max(x, lower), upper); ReLU is (0, infinity).
    case clamp(lower: Float, upper: Float)
    case function(UnaryFunction)
    /// x * sigmoid(x)
    case silu
}

/// What one node of the fused graph computes: exactly one kernel family.
package enum Kernel: Sendable {
    /// Convolutions, transposed convolutions and matrix products with constant weights.
    /// Inputs: x, the residual when `hasResidual`, then what `inputAffine` needs.
    ///
    /// Held by reference: it is by far the largest, and every node of a graph has room for a kernel.
    indirect case convolution(ConvolutionKernel)
    /// Inputs: x.
    case pool(PoolKernel)
    case globalPool(isAverage: Bool)
    /// Over `axisSize` elements, `inner` apart.
    case softmax(outer: Int, axisSize: Int, inner: Int)
    /// Rows brought to mean 0 and variance 1. Inputs: x, then factors and offsets of the elements of a
    /// row, where there are any.
    case normalize(rows: Int, size: Int, epsilon: Float, hasScale: Bool, hasShift: Bool)
    /// The activation of the node is the function.
    case unary
    case binary(BinaryFunction)
    /// Inputs: condition, a, b.
    case select
    /// Strided boxes from inputs into the output, after filling it when parts do not cover it.
    case copy(CopyKernel)
    case reduce(ReductionKind, outer: Int, axisSize: Int, inner: Int)
    case resize(ResizeKernel)
    /// Inputs: x, indices.
    case gather(outer: Int, axisSize: Int, indexCount: Int, innerElements: Int)
    case cast
    /// Between row-major and blocked; row-major [images, channels, pixels], or with the channels last.
    case layout(toBlocked: Bool, channelsLast: Bool)
    /// Channels of blocked images of the same size in any order: those of the output, one by one.
    case channels([ChannelSource])
    /// Packs a matrix known only at run time into panels, as weights of `product`.
    case packMatrices(MatrixPacking)
    /// Inputs: a, packed b.
    case product(ProductKernel)
    case localResponseNormalization(size: Int, alpha: Float, beta: Float, bias: Float)
    // From here on, kernels for every element type, which are not tuned.
    case map(UnaryFunction)
    case lineReduce(ReductionKind, AxisLines)
    /// Where the best `count` elements of each line stand.
    case places(AxisLines, count: Int, largest: Bool, takesLast: Bool)
    case scan(AxisLines, Scan)
    /// Inputs: table [rows, width], row numbers, updates.
    case scatterRows(ScatterReduction)

    /// Inputs: boxes, scores, overlap threshold, optional score threshold.
    case suppress(SuppressionKernel)

    /// Whether the kernel is correct but not tuned.
    package var isGeneric: Bool {
        switch self {
        case .map, .lineReduce, .places, .scan, .scatterRows, .suppress: true
        default: false
        }
    }
}

/// Non-maximum suppression of the boxes of every image, for each class of its own.
package struct SuppressionKernel: Hashable, Sendable {
    package var images: Int
    package var classes: Int
    package var boxes: Int
    /// The most boxes that are kept for one class of one image.
    package var limit: Int
    package var boxesAreCentred: Bool

    package init(images: Int, classes: Int, boxes: Int, limit: Int, boxesAreCentred: Bool) {
        self.images = images
        self.classes = classes
        self.boxes = boxes
        self.limit = limit
        self.boxesAreCentred = boxesAreCentred
    }
}

/// The lines along one axis of a row-major tensor.
package struct AxisLines: Hashable, Sendable {
    package var outer: Int
    package var axisSize: Int
    package var inner: Int

    package init(outer: Int, axisSize: Int, inner: Int) {
        self.outer = outer
        self.axisSize = axisSize
        self.inner = inner
    }

    /// The lines of `shape` along an axis counted from the front.
    package init(_ shape: [Int], axis: Int) {
        outer = shape[..<axis].reduce(1, *)
        axisSize = shape[axis]
        inner = shape[(axis + 1)...].reduce(1, *)
    }
}

/// How packed weights run over input channels and taps; see the kernels' header.
package enum PackOrder: Hashable, Sendable {
    case blocked, planar, depthwise, grouped
}

/// Where the packed weights of one part come from, and how to read them.
package struct WeightSource: Hashable, Sendable {
    package var constant: Constant
    /// First element of the part, and element strides of output channels and input channels.
    package var firstElement: Int
    package var outputStride: Int
    package var channelStride: Int
    /// Element offset of each tap; less than zero where there are no weights, of what is added.
    package var tapOffsets: [Int]
    /// Per output channel of the whole layer, multiplied into the weights while they are packed.
    package var scale: Constant?
    /// Per output channel of the whole layer.
    package var bias: Constant?
    /// What is added to these weights while they are packed, without biases of its own.
    package var added: [WeightSource] = []
    /// Whether there are only weights of one input channel for each output channel, the one with the
    /// same number in the part; of what is added.
    package var isDiagonal = false

    package init(
        constant: Constant,
        firstElement: Int = 0,
        outputStride: Int,
        channelStride: Int,
        tapOffsets: [Int],
        scale: Constant? = nil,
        bias: Constant? = nil
    ) {
        self.constant = constant
        self.firstElement = firstElement
        self.outputStride = outputStride
        self.channelStride = channelStride
        self.tapOffsets = tapOffsets
        self.scale = scale
        self.bias = bias
    }
}

/// One tap of a convolution: the input pixel it reads, relative to stride times output pixel.
package struct Tap: Hashable, Sendable {
    package var dy: Int
    package var dx: Int

    package init(dy: Int, dx: Int) {
        self.dy = dy
        self.dx = dx
    }
}

/// A convolution that one run of packed panels computes: a whole layer, one group of it, or one
/// phase of a transposed convolution.
package struct ConvolutionPart: Sendable {
    package var weights: WeightSource
    package var taps: [Tap]
    package var firstInputChannel: Int
    package var firstOutputChannel: Int
    package var outputChannels: Int
    /// Output pixel (oy, ox) of the part is pixel (originY + oy * stepY, ...) of the tensor.
    package var outputHeight: Int
    package var outputWidth: Int
    package var originY: Int
    package var originX: Int

    package init(
        weights: WeightSource,
        taps: [Tap],
        firstInputChannel: Int,
        firstOutputChannel: Int,
        outputChannels: Int,
        outputHeight: Int,
        outputWidth: Int,
        originY: Int = 0,
        originX: Int = 0
    ) {
        self.weights = weights
        self.taps = taps
        self.firstInputChannel = firstInputChannel
        self.firstOutputChannel = firstOutputChannel
        self.outputChannels = outputChannels
        self.outputHeight = outputHeight
        self.outputWidth = outputWidth
        self.originY = originY
        self.originX = originX
    }
}

/// What a convolution does to its input before it multiplies:
/// min(max(x * scale + shift, lower), upper), scale and shift per channel.
package struct InputAffine: Hashable, Sendable {
    /// Whether there are operands for them, in this order at the end of the node's inputs.
    package var hasScale: Bool
    package var hasShift: Bool
    /// Whether each image has factors of its own.
    package var isPerImage: Bool
    package var lower: Float
    package var upper: Float

    package init(
        hasScale: Bool,
        hasShift: Bool,
        isPerImage: Bool,
        lower: Float,
        upper: Float
    ) {
        self.hasScale = hasScale
        self.hasShift = hasShift
        self.isPerImage = isPerImage
        self.lower = lower
        self.upper = upper
    }
}

/// The shape and weights of a convolution or of a product with a constant matrix.
package struct ConvolutionKernel: Sendable {
    package enum Algorithm: Hashable, Sendable {
        /// The strided tile kernel.
        case tile
        /// Winograd's algorithm on blocked tensors: fewer multiplications, other roundings.
        case winograd
        /// Few channels, read from row-major NCHW.
        case planar
        case depthwise
        /// Groups that fit no tuned kernel.
        case grouped
    }

    package var algorithm: Algorithm
    package var images: Int
    /// Input channels each output channel reads.
    package var channels: Int
    package var group: Int
    /// Output channels of the whole layer.
    package var outputChannels: Int
    package var inputHeight: Int
    package var inputWidth: Int
    package var outputHeight: Int
    package var outputWidth: Int
    package var kernelHeight: Int
    package var kernelWidth: Int
    package var strideHeight: Int
    package var strideWidth: Int
    package var dilationHeight: Int
    package var dilationWidth: Int
    package var padTop: Int
    package var padLeft: Int
    /// Output pixels of a part are this far apart (the stride of a transposed convolution).
    package var outputStep: (y: Int, x: Int)
    package var parts: [ConvolutionPart]
    /// Whether the input, or the output and the residual, are row-major pixels with all their channels
    /// side by side and not an image in blocks; of a tile kernel with one tap.
    package var readsPixels = false
    package var writesPixels = false
    package var hasResidual: Bool
    package var inputAffine: InputAffine?
    /// What a planar convolution does to its result while that is in cache; only what is pooled is
    /// stored.
    package var pool: ResultPool?
    /// What alone reads the result of a pointwise or planar convolution, which never exists as a
    /// whole; its output is the output of the node.
    package var depthwise: ResultDepthwise?
    /// What alone reads the result of the depthwise convolution, or of a pointwise one without it,
    /// which never exists as a whole either; its output is the output of the node, and the residual
    /// is its.
    package var projection: ResultProjection?

    package init(
        algorithm: Algorithm,
        images: Int,
        channels: Int,
        group: Int,
        outputChannels: Int,
        input: (height: Int, width: Int),
        output: (height: Int, width: Int),
        kernel: (height: Int, width: Int),
        stride: (height: Int, width: Int),
        dilation: (height: Int, width: Int),
        pad: (top: Int, left: Int),
        outputStep: (y: Int, x: Int) = (1, 1),
        parts: [ConvolutionPart]
    ) {
        self.algorithm = algorithm
        self.images = images
        self.channels = channels
        self.group = group
        self.outputChannels = outputChannels
        self.inputHeight = input.height
        self.inputWidth = input.width
        self.outputHeight = output.height
        self.outputWidth = output.width
        self.kernelHeight = kernel.height
        self.kernelWidth = kernel.width
        self.strideHeight = stride.height
        self.strideWidth = stride.width
        self.dilationHeight = dilation.height
        self.dilationWidth = dilation.width
        self.padTop = pad.top
        self.padLeft = pad.left
        self.outputStep = outputStep
        self.parts = parts
        self.hasResidual = false
    }

    /// A product of row-major matrices: rows are pixels of one image of one row.
    package var isMatrixProduct: Bool { readsPixels && writesPixels }

    /// Whether the kernel copies the rows that it reads, with their padding, to scratch of its own.
    package var copiesInput: Bool { algorithm == .planar }

    package var order: PackOrder {
        switch algorithm {
        case .tile, .winograd: .blocked
        case .planar: .planar
        case .depthwise: .depthwise
        case .grouped: .grouped
        }
    }

    /// What each unit of the packed weights of a part holds, one after the other; with a projection,
    /// which reads all channels of what is before it, there is one unit.
    package func packedWeights(of part: Int) -> [PackedWeights] {
        var result = [PackedWeights(order: order, channels: channels, part: parts[part])]
        if let depthwise {
            result.append(PackedWeights(order: .depthwise, channels: 1, part: depthwise.part))
        }
        if let projection {
            result.append(
                PackedWeights(order: .blocked, channels: outputChannels, part: projection.part)
            )
        }
        return result
    }

    /// Multiplications and additions of one run that contribute to the result.
    package var floatingPointOperations: Double {
        parts.indices.reduce(0) { sum, part in
            packedWeights(of: part).reduce(sum) {
                $0 + Double(images) * $1.floatingPointOperationsPerImage
            }
        }
    }
}

/// Weights of `part.outputChannels` channels in one order of packing.
package struct PackedWeights: Sendable {
    package var order: PackOrder
    /// Input channels each output channel reads.
    package var channels: Int
    package var part: ConvolutionPart

    /// Floats of weights, without those of packing.
    package var count: Int { part.outputChannels * channels * part.taps.count }

    /// Multiplications and additions that contribute to the result.
    package var floatingPointOperationsPerImage: Double {
        2 * Double(count) * Double(part.outputHeight * part.outputWidth)
    }
}

/// A pointwise convolution of the result of a depthwise or another pointwise one.
package struct ResultProjection: Sendable {
    /// The function between the two.
    package var activation: Activation
    /// Weights and size of the output.
    package var part: ConvolutionPart

    package init(activation: Activation, part: ConvolutionPart) {
        self.activation = activation
        self.part = part
    }
}

/// A depthwise convolution of the result of another.
package struct ResultDepthwise: Sendable {
    /// The function between the two.
    package var activation: Activation
    /// Weights, taps and size of the output.
    package var part: ConvolutionPart
    package var kernelHeight: Int
    package var kernelWidth: Int
    package var strideHeight: Int
    package var strideWidth: Int
    package var dilationHeight: Int
    package var dilationWidth: Int
    package var padTop: Int
    package var padLeft: Int

    /// `kernel` is a depthwise convolution of one part.
    package init(_ kernel: ConvolutionKernel, after activation: Activation) {
        self.activation = activation
        part = kernel.parts[0]
        kernelHeight = kernel.kernelHeight
        kernelWidth = kernel.kernelWidth
        strideHeight = kernel.strideHeight
        strideWidth = kernel.strideWidth
        dilationHeight = kernel.dilationHeight
        dilationWidth = kernel.dilationWidth
        padTop = kernel.padTop
        padLeft = kernel.padLeft
    }
}

/// A pool over the result of a convolution, and the size of what it gives.
package struct ResultPool: Hashable, Sendable {
    package var kernel: PoolKernel
    package var height: Int
    package var width: Int

    package init(kernel: PoolKernel, height: Int, width: Int) {
        self.kernel = kernel
        self.height = height
        self.width = width
    }
}

package struct PoolKernel: Hashable, Sendable {
    package var isAverage: Bool
    package var countsPadding: Bool
    package var kernel: [Int]
    package var strides: [Int]
    package var dilations: [Int]
    package var padBegin: [Int]
    package var padEnd: [Int]

    package init(
        isAverage: Bool,
        countsPadding: Bool,
        kernel: [Int],
        strides: [Int],
        dilations: [Int],
        padBegin: [Int],
        padEnd: [Int]
    ) {
        self.isAverage = isAverage
        self.countsPadding = countsPadding
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.padBegin = padBegin
        self.padEnd = padEnd
    }
}

/// One strided box, counted in elements of row-major tensors.
package struct StridedBox: Hashable, Sendable {
    package var input: Int
    package var dimensions: [Int]
    package var inputOffset: Int
    package var inputStrides: [Int]
    package var outputOffset: Int
    package var outputStrides: [Int]

    package init(
        input: Int,
        dimensions: [Int],
        inputOffset: Int,
        inputStrides: [Int],
        outputOffset: Int,
        outputStrides: [Int]
    ) {
        self.input = input
        self.dimensions = dimensions
        self.inputOffset = inputOffset
        self.inputStrides = inputStrides
        self.outputOffset = outputOffset
        self.outputStrides = outputStrides
    }
}

/// One channel of one input of a node.
package struct ChannelSource: Hashable, Sendable {
    package var input: Int
    package var channel: Int

    package init(input: Int, channel: Int) {
        self.input = input
        self.channel = channel
    }
}

package struct CopyKernel: Hashable, Sendable {
    package var boxes: [StridedBox]
    /// Written everywhere before the boxes, as the bit pattern of one element.
    package var fill: UInt64?

    package init(boxes: [StridedBox], fill: UInt64? = nil) {
        self.boxes = boxes
        self.fill = fill
    }
}

/// Source positions of one resized axis: `indices[o * taps + i]` with weight `weights[...]`.
package struct ResizeAxis: Hashable, Sendable {
    package var taps: Int
    package var indices: [Int32]
    package var weights: [Float]

    package init(taps: Int, indices: [Int32], weights: [Float]) {
        self.taps = taps
        self.indices = indices
        self.weights = weights
    }

    /// Whether the results are the `size` elements of the source, one by one.
    package func isIdentity(of size: Int) -> Bool {
        taps == 1 && weights.allSatisfy { $0 == 1 } && indices.elementsEqual(0..<Int32(size))
    }
}

package struct ResizeKernel: Hashable, Sendable {
    package var rows: ResizeAxis
    package var columns: ResizeAxis
    package var extrapolation: Float

    package init(rows: ResizeAxis, columns: ResizeAxis, extrapolation: Float) {
        self.rows = rows
        self.columns = columns
        self.extrapolation = extrapolation
    }
}

/// Where matrices stand in a tensor: the element each begins at, and elements from a row to the next
/// and from a column to the next.
package struct MatrixPlaces: Hashable, Sendable {
    package var offsets: [Int]
    package var rowStride: Int
    package var columnStride: Int

    package init(offsets: [Int], rowStride: Int, columnStride: Int = 1) {
        self.offsets = offsets
        self.rowStride = rowStride
        self.columnStride = columnStride
    }
}

/// Matrices of k x n, times `scale`, as panels of the tile kernel.
package struct MatrixPacking: Hashable, Sendable {
    package var k: Int
    package var n: Int
    package var source: MatrixPlaces
    package var scale: Float

    package init(k: Int, n: Int, source: MatrixPlaces, scale: Float = 1) {
        self.k = k
        self.n = n
        self.source = source
        self.scale = scale
    }
}

/// Batched products of matrices with packed ones.
///
/// Entry i multiplies matrix i of `a` by packed matrix `bIndex[i]` into matrix i of `result`. Columns of
/// `a` and `result` follow one another.
package struct ProductKernel: Hashable, Sendable {
    package var m: Int
    package var k: Int
    package var n: Int
    package var a: MatrixPlaces
    package var bIndex: [Int]
    package var result: MatrixPlaces

    package init(m: Int, k: Int, n: Int, a: MatrixPlaces, bIndex: [Int], result: MatrixPlaces) {
        self.m = m
        self.k = k
        self.n = n
        self.a = a
        self.bIndex = bIndex
        self.result = result
    }

    /// Operations of all its products, a multiplication and an addition as two.
    package var floatingPointOperations: Double {
        2 * Double(m) * Double(k) * Double(n) * Double(bIndex.count)
    }
}
