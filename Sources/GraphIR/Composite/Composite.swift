/// Operators that are defined by simpler ones.
///
/// Inputs and parameters are those of the operator of the same name in ONNX, in its newest form.
package indirect enum Composite: Hashable, Sendable {
    // Element-wise.
    case celu(alpha: Float)
    case selu(alpha: Float, gamma: Float)
    case mish
    case softsign
    case thresholdedRelu(alpha: Float)
    case swish(alpha: Float)
    case shrink(lambda: Float, bias: Float)
    case xor
    case swiGLU(alpha: Float)
    // Normalisations.
    case instanceNormalization(epsilon: Float)
    case groupNormalization(groups: Int, epsilon: Float, perGroup: Bool)
    case layerNormalization(axis: Int, epsilon: Float)
    case rmsNormalization(axis: Int, epsilon: Float)
    case meanVarianceNormalization(axes: [Int])
    case lpNormalization(axis: Int, order: Int)
    case logSoftmax(axis: Int, flattened: Bool)
    case hardmax(axis: Int, flattened: Bool)
    /// With statistics known only at run time.
    case batchNormalization(epsilon: Float)
    case batchNormalizationTraining(epsilon: Float, momentum: Float)
    // Movement.
    case depthToSpace(block: Int, columnsFirst: Bool)
    case spaceToDepth(block: Int, columnsFirst: Bool)
    case trilu(upper: Bool)
    case eyeLike(offset: Int, dtype: DType?)
    case oneHot(axis: Int)
    case gatherElements(axis: Int)
    case gatherND(batchAxes: Int)
    /// With a fourth input, only as many entries along the axis as it says count.
    case scatterElements(axis: Int, ScatterReduction)
    /// With a fourth input, only as many entries along the first axis of indices as it says count.
    case scatterND(ScatterReduction)
    case reverseSequence(batchAxis: Int, timeAxis: Int)
    case centerCropPad(axes: [Int])
    case topK(axis: Int, largest: Bool)
    // Results whose size depends on data.
    case nonZero
    case compress(axis: Int?)
    case unique(axis: Int?, isSorted: Bool)
    case nonMaxSuppression(boxesAreCentred: Bool)
    /// x, count: x with what is behind the first `count` elements of an axis made `fill`; without
    /// one, made the last of them.
    case keepFirst(axis: Int, fill: Float?)
    /// Indices, and one count or one for each element of a tuple: negative ones count from there.
    case placesFromFront
    /// Tensors, and how much of each that is `isCounted` is real: the real parts, one after another.
    case concatFirst(axis: Int, isCounted: [Bool])
    /// x, count: a slice of the first `count` elements of an axis.
    case sliceFirst(axis: Int, start: Int, end: Int, step: Int)
    /// x, count: the first `count` elements of `axis` in a shape of which the axis `open` follows
    /// from them.
    case reshapeFirst(axis: Int, sizes: [Int], open: Int)
    // More movement.
    case maxUnpool(Pool)
    case resizeAllAxes(Resize)
    case affineGrid(alignCorners: Bool)
    case gridSample(GridSampling)
    case roiAlign(RegionAlignment)
    case tensorScatter(axis: Int, circular: Bool)
    case col2Im(strides: [Int], dilations: [Int], pads: [Int])
    // Windows.
    case windows(Pool, storesColumnsFirst: Bool)
    /// The largest value or the mean, over more than two axes, as pools of two.
    case poolOfSlices(Pool)
    case globalLpPool(order: Int)
    /// Over any number of axes, and with weights known only at run time.
    case anyConvolution(Convolution)
    /// Of three axes, grouped or transposed, as ones of two whose channels are those of all slices under
    /// the kernel.
    case convolutionOfSlices(Convolution)
    // Quantisation.
    case quantize(axis: Int, blockSize: Int, to: DType?)
    case dequantize(axis: Int, blockSize: Int)
    case dynamicQuantize
    case matmulInteger
    case quantizedMatmul
    case convolutionInteger(Convolution)
    case quantizedConvolution(Convolution)
    // Larger.
    case einsum(String)
    case determinant
    case recurrent(Recurrence)
    case attention(Attention)
    case rotaryEmbedding(RotaryEmbedding)
    case linearAttention(LinearAttention)
    case causalConvolution(activates: Bool)
    case fourier(axis: Int?, isOneSided: Bool)
    case negativeLogLikelihood(LossReduction, ignored: Int?)
    case softmaxCrossEntropy(LossReduction, ignored: Int?)
    case window(SignalWindow, isPeriodic: Bool, dtype: DType)
    case castLike
    case dropout(keepsMask: Bool)
}

extension Composite {
    /// Whether it writes out what every window sees before it computes.
    package var gathersWindows: Bool {
        switch self {
        case .windows, .anyConvolution, .convolutionInteger, .quantizedConvolution: true
        default: false
        }
    }
}

/// What `Scatter*` does where an index occurs more than once.
package enum ScatterReduction: Hashable, Sendable { case none, add, multiply, minimum, maximum }

/// How losses of many elements become one.
package enum LossReduction: Hashable, Sendable { case none, mean, sum }

/// The window functions of signal processing.
package enum SignalWindow: Hashable, Sendable { case hann, hamming, blackman }

extension Expansion {
    /// Writes `composite` out; its inputs are `inputs`, its results go to `outputs`.
    mutating func define(_ composite: Composite) throws(ShapeError) {
        switch composite {
        case .celu, .selu, .mish, .softsign, .thresholdedRelu, .swish, .shrink, .xor, .swiGLU,
            .castLike, .dropout:
            try defineElementwise(composite)
        case .instanceNormalization, .groupNormalization, .layerNormalization, .rmsNormalization,
            .meanVarianceNormalization, .lpNormalization, .logSoftmax, .hardmax,
            .batchNormalization, .batchNormalizationTraining, .negativeLogLikelihood,
            .softmaxCrossEntropy:
            try defineNormalization(composite)
        case .depthToSpace, .spaceToDepth, .trilu, .eyeLike, .oneHot, .reverseSequence,
            .centerCropPad, .window:
            try defineMovement(composite)
        case .gatherElements, .gatherND, .scatterElements, .scatterND, .maxUnpool,
            .tensorScatter, .col2Im:
            try defineIndexing(composite)
        case .topK, .nonZero, .compress, .unique, .nonMaxSuppression:
            try defineSelection(composite)
        case .keepFirst, .concatFirst, .placesFromFront, .sliceFirst, .reshapeFirst:
            try defineRealParts(composite)
        case .resizeAllAxes, .affineGrid, .gridSample, .roiAlign:
            try defineSampling(composite)
        case .windows, .poolOfSlices, .globalLpPool, .anyConvolution, .convolutionOfSlices:
            try defineWindows(composite)
        case .quantize, .dequantize, .dynamicQuantize, .matmulInteger, .quantizedMatmul,
            .convolutionInteger, .quantizedConvolution:
            try defineQuantization(composite)
        case .determinant: try defineDeterminant()
        case .einsum(let equation): try defineEinsum(equation)
        case .recurrent(let recurrence): try defineRecurrence(recurrence)
        case .attention(let attention): try defineAttention(attention)
        case .linearAttention(let attention): try defineLinearAttention(attention)
        case .causalConvolution(let activates): try defineCausalConvolution(activates: activates)
        case .fourier(let axis, let isOneSided):
            try defineFourier(axis: axis, isOneSided: isOneSided)
        case .rotaryEmbedding(let rotary): try defineRotaryEmbedding(rotary)
        }
    }
}
