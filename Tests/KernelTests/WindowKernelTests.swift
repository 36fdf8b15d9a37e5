import CSluiceKernels
import Testing

@Suite("Window kernels")
struct WindowKernelTests {
    @Test("depthwise matches the reference", arguments: convTestISAs, 0..<50 as Range<UInt64>)
    func depthwiseMatchesTheReference(name: String, seed: UInt64) throws {
        try checkDepthwise(name, seed: seed)
    }

    @Test(
        "depthwise with wide kernels matches the reference",
        arguments: convTestISAs,
        0..<50 as Range<UInt64>
    )
    func wideDepthwiseMatchesTheReference(name: String, seed: UInt64) throws {
        try checkDepthwise(name, seed: seed, wideKernels: seed < 40 ? 6...31 : 60...90)
    }

    private func checkDepthwise(
        _ name: String,
        seed: UInt64,
        wideKernels: ClosedRange<Int>? = nil
    ) throws {
        let isa = try convTestISA(name)
        let window = WindowCase(
            lanes: Int(isa.pointee.lanes),
            seed: seed,
            groups: 1...37,
            perGroup: 1...1,
            outPerGroup: 1...1,
            wideKernels: wideKernels
        )
        let input = window.blockedInput()
        let packed = convPacked(
            isa,
            SL_PACK_DEPTHWISE,
            weights: window.weights,
            bias: window.bias,
            channels: 1,
            taps: window.taps
        )
        window.check { output, rowsPerTask, _ in
            var args = window.depthwiseArguments()
            args.input = UnsafePointer(input.base)
            args.weights = UnsafePointer(packed.base)
            args.residual = window.residual.map { UnsafePointer($0.base) }
            args.output = output.base
            args.rows_per_task = UInt32(rowsPerTask)
            for task in (0..<sl_depthwise_task_count(isa, &args)).reversed() {
                isa.pointee.depthwise(&args, task, nil)
            }
        }
    }

    @Test(
        "an expansion gives what its two convolutions would",
        arguments: convTestISAs,
        0..<80 as Range<UInt64>
    )
    func expansion(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        var window = WindowCase(
            lanes: Int(isa.pointee.lanes),
            seed: seed,
            groups: 1...75,
            perGroup: 1...1,
            outPerGroup: 1...1
        )
        var random = ConvRandom(seed: seed + 2000)
        // Tall enough for several bands, at least two pixels wide.
        window.inWidth = random.chance(3) ? 300 + random.int(0...99) : 2 + random.int(0...29)
        window.inHeight = random.int(1...40)
        window.outHeight = random.int(1...40)
        window.outWidth = random.int(1...31)
        let lanes = window.lanes
        let channels = random.int(1...50)
        let blockStride = window.inBlockStride
        let imageStride = (channels + lanes - 1) / lanes * blockStride
        let input = ConvBuffer(random.floats(window.images * imageStride))
        let weights = convPacked(
            isa,
            SL_PACK_BLOCKED,
            weights: random.floats(window.outChannels * channels),
            bias: random.floats(window.outChannels),
            channels: channels,
            taps: 1
        )
        let taps = convPacked(
            isa,
            SL_PACK_DEPTHWISE,
            weights: window.weights,
            bias: window.bias,
            channels: 1,
            taps: window.taps
        )
        let between = ConvBuffer(window.images * window.inImageStride)
        let expected = ConvBuffer(window.outputCount)
        let zero: [Int32] = [0]
        try zero.withUnsafeBufferPointer { zero in
            var conv = sl_conv_args()
            conv.images = UInt32(window.images)
            (conv.in_h, conv.in_w) = (UInt32(window.inHeight), UInt32(window.inWidth))
            (conv.out_h, conv.out_w) = (conv.in_h, conv.in_w)
            (conv.channels, conv.out_channels) = (UInt32(channels), UInt32(window.outChannels))
            (conv.stride_h, conv.stride_w, conv.taps) = (1, 1, 1)
            (conv.tap_dy, conv.tap_dx) = (zero.baseAddress, zero.baseAddress)
            conv.input = UnsafePointer(input.base)
            conv.in_image_stride = imageStride
            conv.in_block_stride = blockStride
            conv.in_row_stride = window.inWidth * lanes
            conv.in_pixel_stride = lanes
            conv.weights = UnsafePointer(weights.base)
            conv.activation = random.activation()
            conv.output = between.base
            conv.out_image_stride = window.inImageStride
            conv.out_block_stride = blockStride
            conv.out_row_stride = conv.in_row_stride
            conv.out_pixel_stride = lanes
            (conv.tiles_per_task, conv.panels_per_task) = (7, 2)
            for task in 0..<sl_conv_task_count(isa, &conv) { isa.pointee.conv(&conv, task, nil) }

            var depthwise = window.depthwiseArguments()
            depthwise.input = UnsafePointer(between.base)
            depthwise.weights = UnsafePointer(taps.base)
            depthwise.output = expected.base
            depthwise.rows_per_task = 3
            for task in 0..<sl_depthwise_task_count(isa, &depthwise) {
                isa.pointee.depthwise(&depthwise, task, nil)
            }

            let both = joinedPanels(
                isa,
                [(weights, 1 + channels), (taps, 1 + window.taps)],
                channels: window.outChannels
            )
            conv.weights = UnsafePointer(both.base)
            depthwise.weights = nil
            conv.output = nil
            depthwise.input = nil
            for rows in [1, 2, 5, 1000] {
                let output = ConvBuffer(window.outputCount)
                depthwise.output = output.base
                depthwise.rows_per_task = UInt32(rows)
                var args = sl_expansion_args(conv: conv, depthwise: depthwise)
                let scratch = ConvBuffer(sl_expansion_scratch_floats(isa, &args))
                for task in (0..<sl_expansion_task_count(isa, &args)).reversed() {
                    isa.pointee.expansion(&args, task, scratch.base)
                }
                try #require(output.bits == expected.bits)
                #expect(output.guardsAreIntact)
                #expect(scratch.guardsAreIntact)
            }
        }
    }

    /// Groups smaller than a vector, of two and of four channels among them, and wider ones whose ends
    /// lie within vectors.
    @Test("grouped matches the reference", arguments: convTestISAs, 0..<90 as Range<UInt64>)
    func groupedMatchesTheReference(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let isWide = seed % 3 > 0
        let size = seed % 6 == 0 ? [2, 4][Int(seed) / 6 % 2] : nil
        let window = WindowCase(
            lanes: Int(isa.pointee.lanes),
            seed: seed,
            groups: isWide ? 1...4 : 1...9,
            perGroup: size.map { $0...$0 } ?? (isWide ? 5...21 : 1...5),
            outPerGroup: size.map { $0...$0 } ?? (isWide ? 5...40 : 1...6),
            isPointwise: seed % 5 == 0
        )
        let input = window.blockedInput()
        let packed = convPacked(
            isa,
            SL_PACK_GROUPED,
            weights: window.weights,
            bias: window.bias,
            channels: window.channelsPerGroup,
            taps: window.taps
        )
        let rows = (0..<window.taps).map {
            Int32($0 / window.kernelWidth * window.dilationHeight - window.padTop)
        }
        let columns = (0..<window.taps).map {
            Int32($0 % window.kernelWidth * window.dilationWidth - window.padLeft)
        }
        let run = { (output: ConvBuffer, residual: ConvBuffer?, rowsPerTask: Int) in
            rows.withUnsafeBufferPointer { rows in
                columns.withUnsafeBufferPointer { columns in
                    var args = sl_grouped_args()
                    args.images = UInt32(window.images)
                    args.blocks = UInt32(window.outBlocks)
                    (args.in_h, args.in_w) = (UInt32(window.inHeight), UInt32(window.inWidth))
                    (args.out_h, args.out_w) = (UInt32(window.outHeight), UInt32(window.outWidth))
                    args.channels_per_group = UInt32(window.channelsPerGroup)
                    args.out_channels_per_group = UInt32(window.outChannelsPerGroup)
                    args.out_channels = UInt32(window.outChannels)
                    args.stride_h = UInt32(window.strideHeight)
                    args.stride_w = UInt32(window.strideWidth)
                    args.taps = UInt32(window.taps)
                    args.tap_dy = rows.baseAddress
                    args.tap_dx = columns.baseAddress
                    args.input = UnsafePointer(input.base)
                    args.in_image_stride = window.inImageStride
                    args.in_block_stride = window.inBlockStride
                    args.in_row_stride = window.inWidth * window.lanes
                    args.weights = UnsafePointer(packed.base)
                    args.residual = residual.map { UnsafePointer($0.base) }
                    args.output = output.base
                    args.out_image_stride = window.outImageStride
                    args.out_block_stride = window.outBlockStride
                    args.out_row_stride = window.outWidth * window.lanes
                    args.out_pixel_stride = window.lanes
                    args.activation = window.activation
                    args.rows_per_task = UInt32(rowsPerTask)
                    for task in (0..<sl_grouped_task_count(isa, &args)).reversed() {
                        isa.pointee.grouped(&args, task, nil)
                    }
                }
            }
        }
        window.check { output, rowsPerTask, _ in run(output, window.residual, rowsPerTask) }
        // Lanes of one group must not be lost to another when the result replaces the residual.
        guard let residual = window.residual else { return }
        let expected = ConvBuffer(window.outputCount)
        run(expected, residual, 2)
        let inPlace = ConvBuffer((0..<window.outputCount).map { residual[$0] })
        run(inPlace, inPlace, 2)
        let areEqual = inPlace.bits == expected.bits
        #expect(areEqual)
    }

    @Test("the first layer matches the reference", arguments: convTestISAs, 0..<50 as Range<UInt64>)
    func firstLayerMatchesTheReference(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let window = WindowCase(
            lanes: Int(isa.pointee.lanes),
            seed: seed,
            groups: 1...1,
            perGroup: 1...4,
            outPerGroup: 1...70
        )
        let input = ConvBuffer(window.pixels)
        let packed = convPacked(
            isa,
            SL_PACK_PLANAR,
            weights: window.weights,
            bias: window.bias,
            channels: window.channels,
            taps: window.taps
        )
        window.check { output, rowsPerTask, _ in
            var args = window.planarArguments(input: input, weights: packed)
            args.residual = window.residual.map { UnsafePointer($0.base) }
            args.output = output.base
            args.out_image_stride = window.outImageStride
            args.out_block_stride = window.outBlockStride
            args.out_row_stride = window.outWidth * window.lanes
            args.rows_per_task = UInt32(rowsPerTask)
            run(isa, &args)
        }
    }

    @Test(
        "the first layer maps its input and not the padding",
        arguments: convTestISAs,
        0..<40 as Range<UInt64>
    )
    func mappedFirstLayer(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let window = WindowCase(
            lanes: Int(isa.pointee.lanes),
            seed: seed,
            groups: 1...1,
            perGroup: 1...4,
            outPerGroup: 1...40
        )
        var random = ConvRandom(seed: seed + 1)
        let channels = window.channels
        let isPerImage = random.chance(2)
        let scale = ConvBuffer(random.floats(isPerImage ? window.images * channels : channels))
        let shift = random.chance(2) ? ConvBuffer(random.floats(channels)) : nil
        let low: Float = random.chance(2) ? -0.2 : -.infinity
        let plane = window.inHeight * window.inWidth
        let mapped = { (isFused: Bool) in
            ConvBuffer(
                window.pixels.indices.map { index in
                    let channel = index / plane % channels
                    let image = isPerImage ? index / plane / channels : 0
                    let factor = scale[image * channels + channel]
                    let offset = shift.map { $0[channel] } ?? 0
                    let pixel = window.pixels[index]
                    let value =
                        isFused ? offset.addingProduct(pixel, factor) : pixel * factor + offset
                    return max(value, low)
                }
            )
        }
        let packed = convPacked(
            isa,
            SL_PACK_PLANAR,
            weights: window.weights,
            bias: window.bias,
            channels: channels,
            taps: window.taps
        )
        let inputs = [ConvBuffer(window.pixels), mapped(true), mapped(false)]
        let results = inputs.enumerated().map { number, input in
            let output = ConvBuffer(window.outputCount)
            var args = window.planarArguments(input: input, weights: packed)
            if number == 0 {
                args.affine.is_applied = true
                args.affine.scale = UnsafePointer(scale.base)
                args.affine.scale_image_stride = isPerImage ? channels : 0
                args.affine.scale_block_stride = Int(isa.pointee.lanes)
                args.affine.shift = shift.map { UnsafePointer($0.base) }
                (args.affine.low, args.affine.high) = (low, .infinity)
            }
            args.output = output.base
            args.out_image_stride = window.outImageStride
            args.out_block_stride = window.outBlockStride
            args.out_row_stride = window.outWidth * window.lanes
            args.rows_per_task = 2
            run(isa, &args)
            #expect(output.guardsAreIntact)
            return output.bits
        }
        // The portable kernels round the product, unless they are compiled for a CPU that need not.
        let isFused = results[0] == results[1]
        let isRounded = results[0] == results[2]
        #expect(isFused || isRounded && !isa.pointee.is_tuned)
    }

    @Test(
        "the first layer pools what a pool after it would",
        arguments: convTestISAs,
        0..<80 as Range<UInt64>
    )
    func pooledFirstLayer(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let window = WindowCase(
            lanes: Int(isa.pointee.lanes),
            seed: seed,
            groups: 1...1,
            perGroup: 1...4,
            outPerGroup: 1...70
        )
        var random = ConvRandom(seed: seed + 1000)
        let input = ConvBuffer(window.pixels)
        let weights = convPacked(
            isa,
            SL_PACK_PLANAR,
            weights: window.weights,
            bias: window.bias,
            channels: window.channels,
            taps: window.taps
        )
        var args = window.planarArguments(input: input, weights: weights)
        let plain = ConvBuffer(window.outputCount)
        args.output = plain.base
        args.out_image_stride = window.outImageStride
        args.out_block_stride = window.outBlockStride
        args.out_row_stride = window.outWidth * window.lanes
        args.rows_per_task = 3
        run(isa, &args)

        var pool = sl_pool_args()
        (pool.images, pool.blocks) = (UInt32(window.images), UInt32(window.outBlocks))
        (pool.in_h, pool.in_w) = (args.out_h, args.out_w)
        (pool.kernel_h, pool.kernel_w) = (UInt32(random.int(1...6)), UInt32(random.int(1...4)))
        (pool.stride_h, pool.stride_w) = (UInt32(random.int(1...4)), UInt32(random.int(1...3)))
        (pool.dilation_h, pool.dilation_w) = (1, 1)
        (pool.pad_top, pool.pad_left) = (Int32(random.int(0...3)), Int32(random.int(0...3)))
        (pool.pad_bottom, pool.pad_right) = (Int32(random.int(0...3)), Int32(random.int(0...3)))
        (pool.out_h, pool.out_w) = (UInt32(random.int(1...13)), UInt32(random.int(1...9)))
        pool.is_average = random.chance(3)
        pool.count_includes_padding = random.chance(2)
        pool.input = UnsafePointer(plain.base)
        pool.in_row_stride = args.out_row_stride
        (pool.in_block_stride, pool.in_image_stride) = (
            args.out_block_stride, args.out_image_stride
        )
        pool.out_row_stride = Int(pool.out_w) * window.lanes
        pool.out_block_stride = Int(pool.out_h) * pool.out_row_stride
        pool.out_image_stride = window.outBlocks * pool.out_block_stride
        pool.rows_per_task = 4
        let expected = ConvBuffer(window.images * pool.out_image_stride)
        pool.output = expected.base
        for task in 0..<sl_pool_task_count(isa, &pool) { isa.pointee.pool(&pool, task, nil) }

        args.out_image_stride = pool.out_image_stride
        args.out_block_stride = pool.out_block_stride
        args.out_row_stride = pool.out_row_stride
        try withUnsafePointer(to: pool) { pool in
            args.pool = pool
            for rows in [1, 3, 8, 100] as [UInt32] {
                let output = ConvBuffer(expected.count)
                args.output = output.base
                args.rows_per_task = rows
                run(isa, &args)
                try #require(output.bits == expected.bits)
                #expect(output.guardsAreIntact)
            }
        }
    }

    @Test(
        "the first layer makes what a depthwise convolution after it would",
        arguments: convTestISAs,
        0..<80 as Range<UInt64>
    )
    func depthwiseFirstLayer(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let lanes = Int(isa.pointee.lanes)
        let layer = WindowCase(
            lanes: lanes,
            seed: seed,
            groups: 1...1,
            perGroup: 1...4,
            outPerGroup: 1...70
        )
        // The second convolution reads the result of the first.
        var window = WindowCase(
            lanes: lanes,
            seed: seed + 3000,
            groups: layer.outChannels...layer.outChannels,
            perGroup: 1...1,
            outPerGroup: 1...1
        )
        (window.images, window.inHeight, window.inWidth) = (
            layer.images, layer.outHeight, layer.outWidth
        )
        var random = ConvRandom(seed: seed + 1000)
        window.outHeight = random.int(1...13)
        let input = ConvBuffer(layer.pixels)
        let weights = convPacked(
            isa,
            SL_PACK_PLANAR,
            weights: layer.weights,
            bias: layer.bias,
            channels: layer.channels,
            taps: layer.taps
        )
        let taps = convPacked(
            isa,
            SL_PACK_DEPTHWISE,
            weights: window.weights,
            bias: window.bias,
            channels: 1,
            taps: window.taps
        )
        var args = layer.planarArguments(input: input, weights: weights)
        let between = ConvBuffer(layer.outputCount)
        args.output = between.base
        args.out_image_stride = layer.outImageStride
        args.out_block_stride = layer.outBlockStride
        args.out_row_stride = layer.outWidth * lanes
        args.rows_per_task = 3
        run(isa, &args)

        var depthwise = window.depthwiseArguments()
        let expected = ConvBuffer(window.outputCount)
        depthwise.input = UnsafePointer(between.base)
        depthwise.weights = UnsafePointer(taps.base)
        depthwise.output = expected.base
        depthwise.rows_per_task = 3
        for task in 0..<sl_depthwise_task_count(isa, &depthwise) {
            isa.pointee.depthwise(&depthwise, task, nil)
        }

        let k = layer.channels * layer.taps
        let both = joinedPanels(
            isa,
            [(weights, 1 + k), (taps, 1 + window.taps)],
            channels: layer.outChannels
        )
        args.weights = UnsafePointer(both.base)
        args.out_image_stride = window.outImageStride
        args.out_block_stride = window.outBlockStride
        args.out_row_stride = window.outWidth * lanes
        (depthwise.input, depthwise.weights, depthwise.output) = (nil, nil, nil)
        try withUnsafePointer(to: depthwise) { depthwise in
            args.depthwise = depthwise
            for rows in [1, 3, 8, 100] as [UInt32] {
                let output = ConvBuffer(expected.count)
                args.output = output.base
                args.rows_per_task = rows
                run(isa, &args)
                try #require(output.bits == expected.bits)
                #expect(output.guardsAreIntact)
            }
        }
    }

    /// Panel by panel, the weights of several convolutions with that many rows each.
    private func joinedPanels(
        _ isa: UnsafePointer<sl_isa>,
        _ parts: [(packed: ConvBuffer, rows: Int)],
        channels: Int
    ) -> ConvBuffer {
        let lanes = Int(isa.pointee.lanes)
        let panel = Int(isa.pointee.panel)
        var joined: [Float] = []
        for first in stride(from: 0, to: channels, by: panel) {
            let vectors = (min(panel, channels - first) + lanes - 1) / lanes
            for (packed, rows) in parts {
                joined += (0..<vectors * lanes * rows).map { packed[first * rows + $0] }
            }
        }
        return ConvBuffer(joined)
    }

    private func run(_ isa: UnsafePointer<sl_isa>, _ args: inout sl_conv_nchw_args) {
        let scratch = ConvBuffer(sl_conv_nchw_scratch_floats(isa, &args))
        for task in (0..<sl_conv_nchw_task_count(&args)).reversed() {
            isa.pointee.conv_nchw(&args, task, scratch.base)
        }
        #expect(scratch.guardsAreIntact)
    }
}
