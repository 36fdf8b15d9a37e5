/// What a node computes.
///
/// Closed on purpose: each exhaustive `switch` lists what a new operator needs (import, shapes,
/// reference, lowering).
///
/// Forms that changed over the opsets are normalised at import: what later opsets take as inputs
/// (axes, pads, slice bounds, clip limits, scales) is always an input here, given as a constant
/// when the file has it as an attribute. Negative axes are kept; shapes resolve them.
package enum Operator: Hashable, Sendable {
    /// Inputs: x [N, C, spatial...], w, optional bias [O].
    case convolution(Convolution)
    /// Inputs: x [N, C, spatial...].
    case pool(Pool)
    /// Inputs: x [N, C, spatial...]; output [N, C, 1...].
    case globalPool(PoolKind)
    /// Inputs: x, scale, bias, mean, variance (inference form).
    case batchNormalization(epsilon: Float)
    /// Local response normalisation across channels.
    case localResponseNormalization(size: Int, alpha: Float, beta: Float, bias: Float)
    /// Inputs: a, b, optional c, broadcast one way to the result.
    case gemm(Gemm)
    /// Inputs: a, b, with the broadcasting of `numpy.matmul`.
    case matmul
    case unary(UnaryFunction)
    /// Inputs: a, b, with the broadcasting of numpy.
    case binary(BinaryFunction)
    /// One or more inputs, broadcast together.
    case variadic(VariadicFunction)
    /// Inputs: x, optional minimum, optional maximum.
    case clip
    /// Along one axis, or, in the form before opset 13 (`flattened`), over all axes from `axis` on.
    case softmax(axis: Int, flattened: Bool)
    case concat(axis: Int)
    /// Inputs: x, optional sizes; without sizes the parts are equal (the last may be smaller).
    case split(axis: Int)
    /// Inputs: x, shape.
    case reshape(allowZero: Bool)
    case flatten(axis: Int)
    /// Nil reverses the axes.
    case transpose(permutation: [Int]?)
    /// Inputs: x, axes.
    case unsqueeze
    /// Inputs: x, optional axes.
    case squeeze
    /// Inputs: x, optional axes.
    case reduce(Reduction)
    /// Inputs: x, optional region of interest, optional scales, optional sizes.
    case resize(Resize)
    case identity
    /// Inputs: shape. The value is repeated.
    case constantOfShape(value: Double, dtype: DType)
    case shape(start: Int, end: Int?)
    case size
    /// Inputs: x, indices.
    case gather(axis: Int)
    case cast(to: DType)
    /// The same bits as another type of as many bytes.
    case bitCast(to: DType)
    /// Inputs: x, starts, ends, optional axes, optional steps.
    case slice
    /// Inputs: x, pads, optional value, optional axes.
    case pad(PadMode)
    /// Inputs: x, shape.
    case expand
    /// Inputs: x, repeats.
    case tile
    /// Inputs: condition, a, b.
    case select
    /// Inputs: start, limit, delta.
    case range
    /// Inputs: x; where the largest or smallest element of an axis stands.
    case argument(ArgumentSearch)
    /// Inputs: x, axis; running sums or products.
    case scan(Scan)
    /// Inputs: table [rows, width], row numbers [n], updates [n, width].
    ///
    /// Numbers outside the table are skipped; equal ones take effect in their order.
    case scatterRows(ScatterReduction)
    /// Inputs: x, count; where the `count` largest or smallest elements of an axis stand, in order.
    case topPlaces(axis: Int, largest: Bool)
    /// Inputs: boxes [B, n, 4], scores [B, C, n], overlap threshold, optional score threshold.
    ///
    /// The numbers [B, C, limit] of the boxes left when those that overlap better ones go: best
    /// first, -1 where there are no more.
    case suppress(limit: Int, boxesAreCentred: Bool)
    /// Inputs: condition, then what the bodies read. The results are those of one of two bodies.
    case conditional(then: Int, else: Int)
    /// Inputs: optional trip count, optional condition, states, then what the body reads.
    case loop(body: Int, states: Int)
    /// Inputs: states, tensors to walk through, then what the body reads.
    case iterate(Iteration)
    /// Written out as simpler operators once types are known.
    case composite(Composite)
}

package struct ArgumentSearch: Hashable, Sendable {
    package var axis: Int
    package var keepsDimension: Bool
    package var findsMinimum: Bool
    /// Of equal elements the last one counts, not the first.
    package var takesLast: Bool

    package init(
        axis: Int,
        keepsDimension: Bool,
        findsMinimum: Bool = false,
        takesLast: Bool = false
    ) {
        self.axis = axis
        self.keepsDimension = keepsDimension
        self.findsMinimum = findsMinimum
        self.takesLast = takesLast
    }
}

/// A body that runs once for every slice of some tensors.
package struct Iteration: Hashable, Sendable {
    package var body: Int
    /// How many of its values go from one run to the next.
    package var states: Int
    package var inputAxes: [Int]
    package var inputsAreReversed: [Bool]
    package var outputAxes: [Int]
    package var outputsAreReversed: [Bool]

    package init(
        body: Int,
        states: Int,
        inputAxes: [Int],
        inputsAreReversed: [Bool],
        outputAxes: [Int],
        outputsAreReversed: [Bool]
    ) {
        self.body = body
        self.states = states
        self.inputAxes = inputAxes
        self.inputsAreReversed = inputsAreReversed
        self.outputAxes = outputAxes
        self.outputsAreReversed = outputsAreReversed
    }
}

package struct Scan: Hashable, Sendable {
    package var isProduct: Bool
    /// Each result leaves its own element out.
    package var isExclusive: Bool
    package var isReversed: Bool

    package init(isProduct: Bool, isExclusive: Bool, isReversed: Bool) {
        self.isProduct = isProduct
        self.isExclusive = isExclusive
        self.isReversed = isReversed
    }
}

/// A convolution or transposed convolution over any number of spatial axes.
package struct Convolution: Hashable, Sendable {
    /// True for `ConvTranspose` (weights [C, O/group, kernel...]); else [O, C/group, kernel...].
    package var isTransposed: Bool
    package var group: Int
    /// Empty lists mean the defaults of the standard (from the weights; ones; zeros).
    package var kernel: [Int]
    package var strides: [Int]
    package var dilations: [Int]
    package var padding: Padding
    /// Transposed only.
    package var outputPadding: [Int]
    /// Transposed only; empty when not given.
    package var outputShape: [Int]

    package init(
        isTransposed: Bool = false,
        group: Int = 1,
        kernel: [Int] = [],
        strides: [Int] = [],
        dilations: [Int] = [],
        padding: Padding = .explicit([]),
        outputPadding: [Int] = [],
        outputShape: [Int] = []
    ) {
        self.isTransposed = isTransposed
        self.group = group
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.padding = padding
        self.outputPadding = outputPadding
        self.outputShape = outputShape
    }
}

/// How a window operation treats the border (`auto_pad` and `pads` in ONNX).
package enum Padding: Hashable, Sendable {
    /// Begins of all spatial axes, then ends; empty means zeros.
    case explicit([Int])
    case sameUpper
    case sameLower
    case valid
}

package enum PoolKind: Hashable, Sendable {
    case maximum
    case average
    case lp(Int)
}

package struct Pool: Hashable, Sendable {
    package var kind: PoolKind
    package var kernel: [Int]
    package var strides: [Int]
    package var dilations: [Int]
    package var padding: Padding
    package var ceilMode: Bool
    package var countIncludesPadding: Bool

    package init(
        kind: PoolKind,
        kernel: [Int],
        strides: [Int] = [],
        dilations: [Int] = [],
        padding: Padding = .explicit([]),
        ceilMode: Bool = false,
        countIncludesPadding: Bool = false
    ) {
        self.kind = kind
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.padding = padding
        self.ceilMode = ceilMode
        self.countIncludesPadding = countIncludesPadding
    }
}

package struct Gemm: Hashable, Sendable {
    package var alpha: Float
    package var beta: Float
    package var transposeA: Bool
    package var transposeB: Bool

    package init(alpha: Float = 1, beta: Float = 1, transposeA: Bool, transposeB: Bool) {
        self.alpha = alpha
        self.beta = beta
        self.transposeA = transposeA
        self.transposeB = transposeB
    }
}

/// Functions of one element, with the parameters and names of ONNX.
package enum UnaryFunction: Hashable, Sendable {
    case relu
    case leakyRelu(alpha: Float)
    case sigmoid
    case hardSigmoid(alpha: Float, beta: Float)
    case hardSwish
    case tanh
    case elu(alpha: Float)
    case softplus
    case erf
    case gelu(tanhApproximation: Bool)
    case sqrt
    case reciprocal
    case exp
    case log
    case negate
    case absolute
    case floor
    case ceil
    case round
    case not
    case sin
    case cos
    case tan
    case asin
    case acos
    case atan
    case sinh
    case cosh
    case asinh
    case acosh
    case atanh
    case sign
    case bitwiseNot
    case isNaN
    case isInfinite(negative: Bool, positive: Bool)
}

extension UnaryFunction {
    /// Whether float kernels may apply it to what they just computed.
    package var isActivation: Bool {
        switch self {
        case .not, .sin, .cos, .tan, .asin, .acos, .atan, .sinh, .cosh, .asinh, .acosh, .atanh,
            .sign, .bitwiseNot, .isNaN, .isInfinite:
            false
        default: true
        }
    }
}

/// Functions of two elements.
///
/// Comparisons and logic give booleans.
package enum BinaryFunction: Hashable, Sendable {
    case add
    case subtract
    case multiply
    /// Integers divide towards zero.
    case divide
    case power
    case minimum
    case maximum
    case equal
    case less
    case lessOrEqual
    case greater
    case greaterOrEqual
    case and
    case or
    /// `Mod` with `fmod` = 1 follows the dividend's sign, else the divisor's.
    case modulo(truncated: Bool)
    case bitwiseAnd
    case bitwiseOr
    case bitwiseXor
    case shiftLeft
    case shiftRight
    /// `slope` (input 1) times x where x is negative: PRelu.
    case parametricRelu
}

package enum VariadicFunction: Hashable, Sendable {
    case sum
    case mean
    case minimum
    case maximum
}

package enum ReductionKind: Hashable, Sendable {
    case sum
    case mean
    case minimum
    case maximum
    case product
    case l1
    case l2
    case sumOfSquares
    case logSum
    case logSumExp
}

package struct Reduction: Hashable, Sendable {
    package var kind: ReductionKind
    package var keepsDimensions: Bool
    /// With no axes: true leaves the input as it is, false reduces all axes.
    package var ignoresEmptyAxes: Bool

    package init(kind: ReductionKind, keepsDimensions: Bool, ignoresEmptyAxes: Bool) {
        self.kind = kind
        self.keepsDimensions = keepsDimensions
        self.ignoresEmptyAxes = ignoresEmptyAxes
    }
}

package struct Resize: Hashable, Sendable {
    package enum Mode: Hashable, Sendable { case nearest, linear, cubic }
    package enum Coordinates: Hashable, Sendable {
        case halfPixel, halfPixelSymmetric, pytorchHalfPixel, alignCorners, asymmetric
        case tfHalfPixelForNearest, cropAndResize
    }
    package enum Rounding: Hashable, Sendable { case preferFloor, preferCeil, floor, ceil }
    package enum AspectPolicy: Hashable, Sendable { case stretch, notLarger, notSmaller }

    package var mode: Mode
    package var coordinates: Coordinates
    package var rounding: Rounding
    package var cubicCoefficient: Float
    package var excludesOutside: Bool
    package var extrapolation: Float
    package var antialias: Bool
    package var aspectPolicy: AspectPolicy
    /// Empty means all axes.
    package var axes: [Int]

    package init(
        mode: Mode,
        coordinates: Coordinates = .halfPixel,
        rounding: Rounding = .preferFloor,
        cubicCoefficient: Float = -0.75,
        excludesOutside: Bool = false,
        extrapolation: Float = 0,
        antialias: Bool = false,
        aspectPolicy: AspectPolicy = .stretch,
        axes: [Int] = []
    ) {
        self.mode = mode
        self.coordinates = coordinates
        self.rounding = rounding
        self.cubicCoefficient = cubicCoefficient
        self.excludesOutside = excludesOutside
        self.extrapolation = extrapolation
        self.antialias = antialias
        self.aspectPolicy = aspectPolicy
        self.axes = axes
    }
}

package enum PadMode: Hashable, Sendable { case constant, reflect, edge, wrap }
