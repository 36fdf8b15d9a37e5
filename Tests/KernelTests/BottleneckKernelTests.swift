import CSluiceKernels
import Testing

/// The three convolutions of an inverted residual one after the other, and what they need.
private struct BottleneckCase {
    /// The first layer, or nil where a pointwise convolution comes first.
    var layer: WindowCase?
    var window: WindowCase
    var pointwise = sl_conv_args()
    var planar = sl_conv_nchw_args()
    var depthwise: sl_depthwise_args
    var project = sl_conv_args()
    let projected: Int
    let outputImageStride: Int
    var buffers: [ConvBuffer] = []

    var lanes: Int { window.lanes }
    var outputCount: Int { window.images * outputImageStride }

    init(_ isa: UnsafePointer<sl_isa>, seed: UInt64, zero: UnsafePointer<Int32>) {
        let lanes = Int(isa.pointee.lanes)
        var random = ConvRandom(seed: seed + 4000)
        let channels = random.int(1...70)
        window = WindowCase(
            lanes: lanes,
            seed: seed,
            groups: channels...channels,
            perGroup: 1...1,
            outPerGroup: 1...1
        )
        if seed.isMultiple(of: 3) {
            let layer = WindowCase(
                lanes: lanes,
                seed: seed + 5000,
                groups: 1...1,
                perGroup: 1...4,
                outPerGroup: channels...channels
            )
            (window.images, window.inHeight, window.inWidth) = (
                layer.images, layer.outHeight, layer.outWidth
            )
            self.layer = layer
        } else {
            window.inHeight = random.int(1...40)
            window.inWidth = random.int(2...29)
        }
        // Tall enough for several bands, at least two pixels wide.
        window.outHeight = random.int(1...33)
        window.outWidth = random.int(2...29)
        projected = random.int(1...50)
        let blocks = (projected + lanes - 1) / lanes
        outputImageStride = blocks * window.outBlockStride
        depthwise = window.depthwiseArguments()

        let taps = convPacked(
            isa,
            SL_PACK_DEPTHWISE,
            weights: window.weights,
            bias: window.bias,
            channels: 1,
            taps: window.taps
        )
        buffers.append(taps)
        depthwise.weights = UnsafePointer(taps.base)
        bindFirst(isa, &random, zero)
        bindProjection(isa, &random, zero)
    }

    private mutating func bindFirst(
        _ isa: UnsafePointer<sl_isa>,
        _ random: inout ConvRandom,
        _ zero: UnsafePointer<Int32>
    ) {
        if let layer {
            let input = ConvBuffer(layer.pixels)
            let weights = convPacked(
                isa,
                SL_PACK_PLANAR,
                weights: layer.weights,
                bias: layer.bias,
                channels: layer.channels,
                taps: layer.taps
            )
            planar = layer.planarArguments(input: input, weights: weights)
            buffers += [input, weights]
            return
        }
        let size = (window.inHeight, window.inWidth)
        pointwise = pointwiseArguments(zero, size, random.int(1...50), window.channels)
        pointwise.activation = random.activation()
        let blocks = (Int(pointwise.channels) + lanes - 1) / lanes
        let input = ConvBuffer(random.floats(window.images * blocks * window.inBlockStride))
        pointwise.input = UnsafePointer(input.base)
        pointwise.in_image_stride = blocks * window.inBlockStride
        pointwise.in_block_stride = window.inBlockStride
        pointwise.in_row_stride = window.inWidth * lanes
        let weights = packed(isa, &random, pointwise)
        pointwise.weights = UnsafePointer(weights.base)
        buffers += [input, weights]
    }

    private mutating func bindProjection(
        _ isa: UnsafePointer<sl_isa>,
        _ random: inout ConvRandom,
        _ zero: UnsafePointer<Int32>
    ) {
        let size = (window.outHeight, window.outWidth)
        project = pointwiseArguments(zero, size, window.channels, projected)
        project.activation = random.activation()
        project.out_image_stride = outputImageStride
        project.out_block_stride = window.outBlockStride
        project.out_row_stride = window.outWidth * lanes
        let weights = packed(isa, &random, project)
        project.weights = UnsafePointer(weights.base)
        buffers.append(weights)
        if random.chance(2) {
            let residual = ConvBuffer(random.floats(outputCount))
            project.residual = UnsafePointer(residual.base)
            buffers.append(residual)
        }
    }

    private func pointwiseArguments(
        _ zero: UnsafePointer<Int32>,
        _ size: (height: Int, width: Int),
        _ channels: Int,
        _ outChannels: Int
    ) -> sl_conv_args {
        var conv = sl_conv_args()
        conv.images = UInt32(window.images)
        (conv.in_h, conv.in_w) = (UInt32(size.height), UInt32(size.width))
        (conv.out_h, conv.out_w) = (conv.in_h, conv.in_w)
        (conv.channels, conv.out_channels) = (UInt32(channels), UInt32(outChannels))
        (conv.stride_h, conv.stride_w, conv.taps) = (1, 1, 1)
        (conv.tap_dy, conv.tap_dx) = (zero, zero)
        (conv.in_pixel_stride, conv.out_pixel_stride) = (lanes, lanes)
        (conv.tiles_per_task, conv.panels_per_task) = (7, 2)
        return conv
    }

    private func packed(
        _ isa: UnsafePointer<sl_isa>,
        _ random: inout ConvRandom,
        _ conv: sl_conv_args
    ) -> ConvBuffer {
        let (channels, outputs) = (Int(conv.channels), Int(conv.out_channels))
        return convPacked(
            isa,
            SL_PACK_BLOCKED,
            weights: random.floats(outputs * channels),
            bias: random.floats(outputs),
            channels: channels,
            taps: 1
        )
    }

    /// What the three kernels give, each with its whole result.
    func oneAfterTheOther(_ isa: UnsafePointer<sl_isa>) -> ConvBuffer {
        let wide = ConvBuffer(window.images * window.inImageStride)
        if layer == nil {
            var conv = pointwise
            conv.output = wide.base
            conv.out_image_stride = window.inImageStride
            conv.out_block_stride = window.inBlockStride
            conv.out_row_stride = window.inWidth * lanes
            for task in 0..<sl_conv_task_count(isa, &conv) { isa.pointee.conv(&conv, task, nil) }
        } else {
            var conv = planar
            conv.output = wide.base
            conv.out_image_stride = window.inImageStride
            conv.out_block_stride = window.inBlockStride
            conv.out_row_stride = window.inWidth * lanes
            conv.rows_per_task = 3
            let scratch = ConvBuffer(sl_conv_nchw_scratch_floats(isa, &conv))
            for task in 0..<sl_conv_nchw_task_count(&conv) {
                isa.pointee.conv_nchw(&conv, task, scratch.base)
            }
        }
        let deep = ConvBuffer(window.outputCount)
        var depthwise = depthwise
        depthwise.input = UnsafePointer(wide.base)
        depthwise.output = deep.base
        depthwise.rows_per_task = 3
        for task in 0..<sl_depthwise_task_count(isa, &depthwise) {
            isa.pointee.depthwise(&depthwise, task, nil)
        }
        let output = ConvBuffer(outputCount)
        var conv = project
        conv.input = UnsafePointer(deep.base)
        conv.in_image_stride = window.outImageStride
        conv.in_block_stride = window.outBlockStride
        conv.in_row_stride = window.outWidth * lanes
        conv.output = output.base
        for task in 0..<sl_conv_task_count(isa, &conv) { isa.pointee.conv(&conv, task, nil) }
        return output
    }
}

@Suite("The bottleneck kernel")
struct BottleneckKernelTests {
    @Test(
        "an inverted residual gives what its three convolutions would",
        arguments: convTestISAs,
        0..<120 as Range<UInt64>
    )
    func bottleneck(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let zero: [Int32] = [0]
        try zero.withUnsafeBufferPointer { zero in
            let start = try #require(zero.baseAddress)
            let convolutions = BottleneckCase(isa, seed: seed, zero: start)
            let expected = convolutions.oneAfterTheOther(isa)
            var args = sl_bottleneck_args()
            args.depthwise = convolutions.depthwise
            args.project = convolutions.project
            try withUnsafePointer(to: convolutions.pointwise) { pointwise in
                try withUnsafePointer(to: convolutions.planar) { planar in
                    if convolutions.layer == nil { args.pointwise = pointwise }
                    if convolutions.layer != nil { args.planar = planar }
                    for (rows, band) in [(1, 1), (2, 5), (7, 3), (1000, 4), (1000, 1000)] {
                        let output = ConvBuffer(convolutions.outputCount)
                        args.project.output = output.base
                        (args.rows_per_task, args.rows_per_band) = (UInt32(rows), UInt32(band))
                        let scratch = ConvBuffer(sl_bottleneck_scratch_floats(isa, &args))
                        for task in (0..<sl_bottleneck_task_count(&args)).reversed() {
                            isa.pointee.bottleneck(&args, task, scratch.base)
                        }
                        try #require(output.bits == expected.bits)
                        #expect(output.guardsAreIntact)
                        #expect(scratch.guardsAreIntact)
                    }
                }
            }
            withExtendedLifetime(convolutions) {}
        }
    }
}
