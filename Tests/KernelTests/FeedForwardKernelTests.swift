import CSluiceKernels
import Testing

/// Two pointwise convolutions of pixels, in blocks or side by side, and what they need.
private struct FeedForwardCase {
    var args = sl_feed_forward_args()
    let lanes: Int
    let pixels: Int
    let outputCount: Int
    private var buffers: [ConvBuffer] = []

    init(_ isa: UnsafePointer<sl_isa>, seed: UInt64, zero: UnsafePointer<Int32>) {
        lanes = Int(isa.pointee.lanes)
        var random = ConvRandom(seed: seed + 9000)
        pixels = random.int(2...150)
        let channels = random.int(1...70)
        let wide = random.chance(8) ? random.int(1000...1100) : random.int(1...140)
        let outputs = random.int(1...70)
        let (readsPixels, writesPixels) = (random.chance(2), random.chance(2))
        let vectors = (outputs + lanes - 1) / lanes
        outputCount = pixels * (writesPixels ? outputs : vectors * lanes)

        args.widen = pointwise(isa, &random, zero, from: channels, to: wide)
        let inputChannels = readsPixels ? channels : (channels + lanes - 1) / lanes * lanes
        let input = ConvBuffer(random.floats(pixels * inputChannels))
        args.widen.input = UnsafePointer(input.base)
        args.widen.in_pixel_stride = readsPixels ? channels : lanes
        args.widen.in_block_stride = readsPixels ? lanes : pixels * lanes
        args.widen.in_row_stride = pixels * args.widen.in_pixel_stride

        args.narrow = pointwise(isa, &random, zero, from: wide, to: outputs)
        args.narrow.mask_tail = writesPixels
        args.narrow.out_pixel_stride = writesPixels ? outputs : lanes
        args.narrow.out_block_stride = writesPixels ? lanes : pixels * lanes
        args.narrow.out_row_stride = pixels * args.narrow.out_pixel_stride
        buffers.append(input)
        if random.chance(2) {
            let residual = ConvBuffer(random.floats(outputCount))
            args.narrow.residual = UnsafePointer(residual.base)
            buffers.append(residual)
        }
    }

    private mutating func pointwise(
        _ isa: UnsafePointer<sl_isa>,
        _ random: inout ConvRandom,
        _ zero: UnsafePointer<Int32>,
        from channels: Int,
        to outputs: Int
    ) -> sl_conv_args {
        var conv = sl_conv_args()
        (conv.images, conv.in_h, conv.out_h) = (1, 1, 1)
        (conv.in_w, conv.out_w) = (UInt32(pixels), UInt32(pixels))
        (conv.channels, conv.out_channels) = (UInt32(channels), UInt32(outputs))
        (conv.stride_h, conv.stride_w, conv.taps) = (1, 1, 1)
        (conv.tap_dy, conv.tap_dx) = (zero, zero)
        (conv.tiles_per_task, conv.panels_per_task) = (5, 2)
        conv.activation = random.activation()
        let weights = convPacked(
            isa,
            SL_PACK_BLOCKED,
            weights: random.floats(outputs * channels),
            bias: random.floats(outputs),
            channels: channels,
            taps: 1
        )
        conv.weights = UnsafePointer(weights.base)
        buffers.append(weights)
        return conv
    }

    /// What the two give, one after the other.
    func oneAfterTheOther(_ isa: UnsafePointer<sl_isa>) -> ConvBuffer {
        let vectors = (Int(args.widen.out_channels) + lanes - 1) / lanes
        let wide = ConvBuffer(vectors * lanes * pixels)
        let output = ConvBuffer(outputCount)
        var (widen, narrow) = (args.widen, args.narrow)
        widen.output = wide.base
        widen.out_pixel_stride = lanes
        widen.out_block_stride = pixels * lanes
        widen.out_row_stride = pixels * lanes
        for task in 0..<sl_conv_task_count(isa, &widen) { isa.pointee.conv(&widen, task, nil) }
        narrow.input = UnsafePointer(wide.base)
        narrow.in_pixel_stride = lanes
        narrow.in_block_stride = pixels * lanes
        narrow.in_row_stride = pixels * lanes
        narrow.output = output.base
        for task in 0..<sl_conv_task_count(isa, &narrow) { isa.pointee.conv(&narrow, task, nil) }
        return output
    }
}

@Suite("The feed-forward kernel")
struct FeedForwardKernelTests {
    @Test(
        "two pointwise convolutions give what they would one after the other",
        arguments: convTestISAs,
        0..<120 as Range<UInt64>
    )
    func feedForward(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let zero: [Int32] = [0]
        try zero.withUnsafeBufferPointer { zero in
            let layers = FeedForwardCase(isa, seed: seed, zero: try #require(zero.baseAddress))
            let expected = layers.oneAfterTheOther(isa)
            var args = layers.args
            for bands in Set([1, 2, 3, 7, layers.pixels / 2]) where bands <= layers.pixels / 2 {
                let output = ConvBuffer(layers.outputCount)
                args.narrow.output = output.base
                args.bands = UInt32(bands)
                let scratch = ConvBuffer(sl_feed_forward_scratch_floats(isa, &args))
                for task in (0..<sl_feed_forward_task_count(&args)).reversed() {
                    isa.pointee.feed_forward(&args, task, scratch.base)
                }
                try #require(output.bits == expected.bits)
                #expect(output.guardsAreIntact)
                #expect(scratch.guardsAreIntact)
            }
            withExtendedLifetime(layers) {}
        }
    }
}
