import GraphIR

/// A window over two spatial axes, and how a transposed convolution falls into phases.
struct SpatialGeometry {
    var kernel: [Int]
    var strides: [Int]
    var dilations: [Int]
    var padBegin: [Int]
    var output: [Int]

    /// `lifted`: the window has one axis, which becomes the second of two.
    init(_ window: WindowGeometry, lifted: Bool) {
        let lift = { (values: [Int], new: Int) in lifted ? [new] + values : values }
        kernel = lift(window.kernel, 1)
        strides = lift(window.strides, 1)
        dilations = lift(window.dilations, 1)
        padBegin = lift(window.padBegin, 0)
        output = lift(window.outputSizes, 1)
    }

    /// Output pixels that see the same taps.
    struct Phase {
        var taps: [Tap]
        var tapOffsets: [Int]
        var originY: Int
        var originX: Int
        var height: Int
        var width: Int

        /// Leaves out the taps that no pixel has inside an input of that size: those of a filter that is
        /// dilated beyond it.
        mutating func dropTaps(outside input: (height: Int, width: Int), stride: (y: Int, x: Int)) {
            let meets = { (tap: Int, outputs: Int, stride: Int, inputs: Int) in
                // The first output whose input is not before the start.
                let first = max(0, (stride - 1 - tap) / stride)
                return first < outputs && first * stride + tap < inputs
            }
            let kept = taps.indices.filter { index in
                meets(taps[index].dy, height, stride.y, input.height)
                    && meets(taps[index].dx, width, stride.x, input.width)
            }
            taps = kept.map { taps[$0] }
            tapOffsets = kept.map { tapOffsets[$0] }
        }
    }

    /// The most taps of a filter, and phases times `copies` of them: a plan names each.
    private static let mostTaps = 1 << 20
    private static let mostPhases = 1 << 15

    /// One phase for a convolution; stride x stride phases for a transposed one, since output
    /// pixel o gets tap k from input pixel (o + pad - k * dilation) / stride when that is whole.
    ///
    /// `copies`: how often the caller makes a part of each.
    func phases(isTransposed: Bool, copies: Int) throws(LoweringProblem) -> [Phase] {
        guard kernel[0] <= Self.mostTaps / max(kernel[1], 1) else {
            throw LoweringProblem(
                reason: "a filter of more than \(Self.mostTaps) taps has no kernel"
            )
        }
        let counts = [0, 1].map { isTransposed ? min(strides[$0], output[$0]) : 1 }
        guard counts[0] <= Self.mostPhases / max(counts[1] * copies, 1) else {
            throw LoweringProblem(
                reason: "its strides make more than \(Self.mostPhases) convolutions of it"
            )
        }
        let rows = axisPhases(0, count: counts[0], isTransposed: isTransposed)
        let columns = axisPhases(1, count: counts[1], isTransposed: isTransposed)
        return rows.flatMap { row in
            columns.map { column in
                Phase(
                    taps: row.taps.flatMap { y in
                        column.taps.map { Tap(dy: y.offset, dx: $0.offset) }
                    },
                    tapOffsets: row.taps.flatMap { y in
                        column.taps.map { y.number * kernel[1] + $0.number }
                    },
                    originY: row.origin,
                    originX: column.origin,
                    height: row.count,
                    width: column.count
                )
            }
        }
    }

    /// Outputs along one axis that see the same taps: every stride-th one from `origin` on.
    private struct AxisPhase {
        var origin: Int
        var count: Int
        var taps: [(number: Int, offset: Int)] = []
    }

    private func axisPhases(_ axis: Int, count: Int, isTransposed: Bool) -> [AxisPhase] {
        // What each tap of output 0 reads; in a transposed one, the output to which each tap of input 0
        // adds.
        let places = (0..<kernel[axis]).map { $0 * dilations[axis] - padBegin[axis] }
        guard isTransposed else {
            let taps = places.enumerated().map { (number: $0.offset, offset: $0.element) }
            return [AxisPhase(origin: 0, count: output[axis], taps: taps)]
        }
        let stride = strides[axis]
        var phases = (0..<count).map {
            AxisPhase(origin: $0, count: (output[axis] - $0 + stride - 1) / stride)
        }
        for (number, place) in places.enumerated() {
            let origin = (place % stride + stride) % stride
            guard origin < count else { continue }
            phases[origin].taps.append((number: number, offset: (origin - place) / stride))
        }
        return phases
    }
}

extension Constant {
    /// How convolution weights are read: strides of output and input channels.
    ///
    /// `needsUniformGroups`: all groups are packed as one run, so the weights of a
    ///   grouped transposed convolution are first brought into [O, C / group, kernel...].
    func elementsByOutput(
        isTransposed: Bool,
        group: Int,
        needsUniformGroups: Bool
    ) -> WeightSource {
        let shape = type.shape
        let taps = shape[2] * shape[3]
        guard isTransposed else {
            return WeightSource(
                constant: self,
                outputStride: shape[1] * taps,
                channelStride: taps,
                tapOffsets: []
            )
        }
        guard needsUniformGroups, group > 1 else {
            return WeightSource(
                constant: self,
                outputStride: taps,
                channelStride: shape[1] * taps,
                tapOffsets: []
            )
        }
        let channels = shape[0] / group
        let apart = reshaped([group, channels, shape[1], taps])
        let swapped = apart.transposed([0, 2, 1, 3])
        return WeightSource(
            constant: swapped.reshaped([group * shape[1], channels, shape[2], shape[3]]),
            outputStride: channels * taps,
            channelStride: taps,
            tapOffsets: []
        )
    }
}

extension ConvolutionKernel {
    /// y[c] = scale[c] * x[c] + shift[c]: a depthwise convolution with one tap.
    static func affine(shape: [Int], scale: Constant?, shift: Constant?) -> ConvolutionKernel {
        let channels = shape[1]
        let ones = Constant(type: TensorType(.float32, [channels, 1, 1, 1]), source: .fill(1))
        let part = ConvolutionPart(
            weights: WeightSource(
                constant: ones,
                outputStride: 1,
                channelStride: 1,
                tapOffsets: [0],
                scale: scale,
                bias: shift
            ),
            taps: [Tap(dy: 0, dx: 0)],
            firstInputChannel: 0,
            firstOutputChannel: 0,
            outputChannels: channels,
            outputHeight: shape[2],
            outputWidth: shape[3]
        )
        return ConvolutionKernel(
            algorithm: .depthwise,
            images: shape[0],
            channels: 1,
            group: channels,
            outputChannels: channels,
            input: (shape[2], shape[3]),
            output: (shape[2], shape[3]),
            kernel: (1, 1),
            stride: (1, 1),
            dilation: (1, 1),
            pad: (0, 0),
            parts: [part]
        )
    }

    /// A product [m, k] x [k, n] with a constant right side; `transposed` means b is [n, k].
    static func matrix(
        m: Int,
        k: Int,
        n: Int,
        b: Constant,
        transposed: Bool,
        scale: Constant?,
        bias: Constant?
    ) -> ConvolutionKernel {
        let part = ConvolutionPart(
            weights: WeightSource(
                constant: b,
                outputStride: transposed ? k : 1,
                channelStride: transposed ? 1 : n,
                tapOffsets: [0],
                scale: scale,
                bias: bias
            ),
            taps: [Tap(dy: 0, dx: 0)],
            firstInputChannel: 0,
            firstOutputChannel: 0,
            outputChannels: n,
            outputHeight: 1,
            outputWidth: m
        )
        var kernel = ConvolutionKernel(
            algorithm: .tile,
            images: 1,
            channels: k,
            group: 1,
            outputChannels: n,
            input: (1, m),
            output: (1, m),
            kernel: (1, 1),
            stride: (1, 1),
            dilation: (1, 1),
            pad: (0, 0),
            parts: [part]
        )
        kernel.readsPixels = true
        kernel.writesPixels = true
        return kernel
    }

    /// The factor and offset per channel of `affine`; nil for other kernels, weights of one tap included.
    var channelMap: (scale: Constant?, shift: Constant?)? {
        guard isAffine, case .fill(1) = parts[0].weights.constant.source,
            parts[0].weights.added.isEmpty
        else { return nil }
        return (parts[0].weights.scale, parts[0].weights.bias)
    }

    /// Whether this is `affine`: one tap, one channel, no change of shape.
    var isAffine: Bool {
        algorithm == .depthwise && parts.count == 1 && kernelHeight == 1 && kernelWidth == 1
            && strideHeight == 1 && strideWidth == 1 && padTop == 0 && padLeft == 0
            && inputHeight == outputHeight && inputWidth == outputWidth
    }
}
