import CSluiceKernels
import Testing

/// Kernels that move or convert elements: every result is exact.
@Suite struct CopyKernelTests {
    @Test(
        "to blocked and back is the identity, padding lanes are zero",
        arguments: KernelISA.supported,
        [false, true]
    )
    func layoutRoundTrip(isa: KernelISA, channelsLast: Bool) {
        var random = SeededGenerator(seed: 1)
        let lanes = isa.lanes
        for channels in isa.edgeSizes {
            for (pixels, run) in [
                (1, 1), (lanes - 1, 3), (lanes, 100), (lanes + 1, lanes), (49, 48),
            ] {
                let blocks = (channels + lanes - 1) / lanes
                let planar = GuardedBuffer(random.floats(2 * channels * pixels))
                let blockedCount = 2 * blocks * lanes * pixels
                let blocked = GuardedBuffer<Float>(Array(repeating: .nan, count: blockedCount))
                let back = GuardedBuffer<Float>(Array(repeating: .nan, count: planar.count))
                var args = sl_layout_args()
                args.images = 2
                args.channels = UInt32(channels)
                args.pixels = pixels
                args.pixels_per_task = run
                args.to_blocked = true
                args.channels_last = channelsLast
                args.input = UnsafePointer(planar.pointer)
                args.in_image_stride = channels * pixels
                args.output = blocked.pointer
                args.out_image_stride = lanes * pixels
                args.block_stride = 2 * lanes * pixels
                isa.run(isa.table.pointee.layout, args, sl_layout_task_count)
                let wrong = blocked.values.indices.first { index in
                    let (block, rest) = index.quotientAndRemainder(dividingBy: args.block_stride)
                    let (image, place) = rest.quotientAndRemainder(
                        dividingBy: args.out_image_stride
                    )
                    let channel = block * lanes + place % lanes
                    let pixel = place / lanes
                    let source =
                        image * channels * pixels
                        + (channelsLast
                            ? pixel * channels + channel : channel * pixels + pixel)
                    return blocked.pointer[index]
                        != (channel < channels ? planar.pointer[source] : 0)
                }
                #expect(wrong == nil, "\(channels) channels, \(pixels) pixels")

                args.to_blocked = false
                swap(&args.in_image_stride, &args.out_image_stride)
                args.input = UnsafePointer(blocked.pointer)
                args.output = back.pointer
                isa.run(isa.table.pointee.layout, args, sl_layout_task_count)
                #expect(back.values == planar.values)
                #expect(blocked.isIntact && back.isIntact)
            }
        }
    }

    @Test("channels of several images in any order", arguments: KernelISA.supported)
    func channels(isa: KernelISA) {
        let lanes = isa.lanes
        for seed in 0..<60 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let draw = { (most: Int) in 1 + Int(random.next() % UInt64(most)) }
            let pixels = draw(3 * lanes)
            let sizes = (0..<draw(3)).map { _ in draw(5 * lanes) }
            let count = draw(4 * lanes)
            let blocks = { (channels: Int) in (channels + lanes - 1) / lanes }
            let inputs = sizes.map {
                GuardedBuffer(random.floats(2 * blocks($0) * lanes * pixels))
            }
            // Runs of neighbours, as of slices, and steps of more than one, as of shuffles.
            let step = seed % 3 == 0 ? 1 : draw(9)
            var place = 0
            let sources = (0..<count).map { _ in
                place += step
                let input = place / lanes % sizes.count
                return sl_channel_source(
                    input: UInt32(input),
                    channel: UInt32(place % sizes[input])
                )
            }
            let output = GuardedBuffer<Float>(
                Array(repeating: .nan, count: 2 * blocks(count) * lanes * pixels)
            )
            let pointers = inputs.map { Optional(UnsafePointer($0.pointer)) }
            sources.withUnsafeBufferPointer { sources in
                pointers.withUnsafeBufferPointer { pointers in
                    var args = sl_channels_args()
                    args.images = 2
                    args.channels = UInt32(count)
                    args.pixels = pixels
                    args.sources = sources.baseAddress
                    args.inputs = pointers.baseAddress
                    args.output = output.pointer
                    args.image_stride = lanes * pixels
                    args.block_stride = 2 * lanes * pixels
                    args.pixels_per_task = draw(pixels)
                    isa.run(isa.table.pointee.channels, args, sl_channels_task_count)
                }
            }
            let at = { (image: Int, channel: Int, pixel: Int) in
                ((channel / lanes * 2 + image) * pixels + pixel) * lanes + channel % lanes
            }
            var wrong = 0
            for image in 0..<2 {
                for (channel, source) in sources.enumerated() {
                    for pixel in 0..<pixels {
                        let from = at(image, Int(source.channel), pixel)
                        let to = at(image, channel, pixel)
                        if output.pointer[to] != inputs[Int(source.input)].pointer[from] {
                            wrong += 1
                        }
                    }
                }
            }
            #expect(wrong == 0, "seed \(seed)")
            #expect(output.isIntact)
        }
    }

    struct Box: Sendable, CustomTestStringConvertible {
        var shape: [Int]
        /// Which dimension of the output runs along each dimension of the input, outermost first.
        var order: [Int]
        var steps: [Int]
        var reversed: Set<Int> = []
        var gap = 0

        var testDescription: String { "\(shape) order \(order) steps \(steps) gap \(gap)" }
    }

    static let boxes: [Box] =
        [
            Box(shape: [37], order: [0], steps: [1]), Box(shape: [37], order: [0], steps: [3]),
            Box(shape: [37], order: [0], steps: [1], reversed: [0]),
            Box(shape: [17, 33], order: [1, 0], steps: [1, 1]),
            Box(shape: [64, 16], order: [1, 0], steps: [1, 1], gap: 3),
            Box(shape: [2, 19, 5, 7], order: [0, 2, 3, 1], steps: [1, 1, 1, 1]),
            Box(shape: [2, 3, 4, 8], order: [0, 2, 1, 3], steps: [1, 1, 1, 1], gap: 1),
            Box(shape: [3, 5, 7], order: [2, 0, 1], steps: [1, 2, 1], reversed: [1]),
            Box(shape: [1, 0, 3], order: [0, 1, 2], steps: [1, 1, 1]),
        ]
        + (1...70).map {
            Box(shape: [2, 3, $0], order: [1, 0, 2], steps: [1, 1, 1], gap: $0 % 3)
        }

    @Test("a copied box has every element in its place", arguments: KernelISA.supported, boxes)
    func copiesBoxes(isa: KernelISA, box: Box) {
        copyBox(isa: isa, box: box, as: UInt8.self)
        copyBox(isa: isa, box: box, as: UInt16.self)
        copyBox(isa: isa, box: box, as: UInt32.self)
        copyBox(isa: isa, box: box, as: UInt64.self)
    }

    private func copyBox<Element: FixedWidthInteger & BitwiseCopyable>(
        isa: KernelISA,
        box: Box,
        as type: Element.Type
    ) {
        var random = SeededGenerator(seed: 3)
        let rank = box.shape.count
        var inStrides = Array(repeating: 0, count: rank)
        var outStrides = inStrides
        var (inCount, outCount, start) = (1, 1, 0)
        for d in box.order.reversed() {
            inStrides[d] = inCount * box.steps[d]
            if box.reversed.contains(d) {
                start += (box.shape[d] - 1) * inStrides[d]
                inStrides[d].negate()
            }
            inCount *= box.shape[d] * box.steps[d]
        }
        for d in (0..<rank).reversed() {
            outStrides[d] = outCount
            outCount *= box.shape[d] + box.gap
        }
        let input = GuardedBuffer(
            (0..<inCount).map { _ in Element.random(in: 0 ... .max, using: &random) }
        )
        var expected = Array(repeating: Element(7), count: outCount)
        for index in 0..<box.shape.reduce(1, *) {
            let from = start + offset(of: index, in: box.shape, strides: inStrides)
            expected[offset(of: index, in: box.shape, strides: outStrides)] = input.pointer[from]
        }
        for elementsPerTask in [1, 7, 1000] {
            let output = GuardedBuffer(Array(repeating: Element(7), count: outCount))
            var args = sl_copy_args()
            args.rank = UInt32(rank)
            args.dims = rankTuple(box.shape)
            args.element_bytes = MemoryLayout<Element>.size
            args.input = UnsafeRawPointer(input.pointer + start)
            args.in_stride = rankTuple(inStrides)
            args.output = UnsafeMutableRawPointer(output.pointer)
            args.out_stride = rankTuple(outStrides)
            args.elements_per_task = elementsPerTask
            isa.run(isa.table.pointee.copy, args, sl_copy_task_count)
            #expect(output.values == expected && output.isIntact)
        }
    }

    @Test("a fill writes its element and nothing else", arguments: KernelISA.supported)
    func fills(isa: KernelISA) {
        for count in [0] + isa.edgeSizes {
            let output = GuardedBuffer<Float>(Array(repeating: 0, count: count))
            var args = sl_fill_args()
            args.count = count
            args.element_bytes = 4
            args.pattern = UInt64(Float(1.5).bitPattern)
            args.output = UnsafeMutableRawPointer(output.pointer)
            args.elements_per_task = 5
            isa.run(isa.table.pointee.fill, args, sl_fill_task_count)
            #expect(output.values.allSatisfy { $0 == 1.5 } && output.isIntact)
        }
    }

    @Test(
        "a gather counts negative indices from the end and clamps wild ones",
        arguments: KernelISA.supported
    )
    func gathers(isa: KernelISA) {
        let input = GuardedBuffer((0..<30).map { Int32($0) })  // [2, 5, 3]
        let indices = GuardedBuffer<Int64>([0, 4, -1, 2, 9, -9])
        let output = GuardedBuffer<Int32>(Array(repeating: -1, count: 36))
        var args = sl_gather_args()
        args.outer = 2
        args.axis_size = 5
        args.index_count = 6
        args.inner_bytes = 12
        args.input = UnsafeRawPointer(input.pointer)
        args.indices = UnsafeRawPointer(indices.pointer)
        args.indices_are_64_bit = true
        args.output = UnsafeMutableRawPointer(output.pointer)
        isa.run(isa.table.pointee.gather, args, sl_gather_task_count)
        var expected: [Int32] = []
        for outer in 0..<2 {
            for slice in [0, 4, 4, 2, 4, 0] {
                let first = Int32(outer * 15 + slice * 3)
                expected += [first, first + 1, first + 2]
            }
        }
        #expect(output.values == expected && output.isIntact)
    }

    private func cast<From: BitwiseCopyable, To: BitwiseCopyable>(
        _ isa: KernelISA,
        _ values: [From],
        _ from: sl_dtype,
        to: sl_dtype,
        _ zero: To
    ) -> [To] {
        let input = GuardedBuffer(values)
        let output = GuardedBuffer(Array(repeating: zero, count: values.count))
        var args = sl_cast_args()
        args.count = values.count
        (args.from, args.to) = (from, to)
        args.input = UnsafeRawPointer(input.pointer)
        args.output = UnsafeMutableRawPointer(output.pointer)
        args.elements_per_task = 100
        isa.run(isa.table.pointee.cast, args, sl_cast_task_count)
        #expect(output.isIntact)
        return output.values
    }

    @Test("casts truncate, wrap and compare with zero as C does", arguments: KernelISA.supported)
    func casts(isa: KernelISA) {
        let floats: [Float] = [0, -0.0, 0.9, -0.9, 1.5, -1.5, 255, 300, -300, 70000, 3e9, -3e9]
        #expect(
            cast(isa, floats, SL_F32, to: SL_I32, Int32(0))
                == floats.map { Int32(truncatingIfNeeded: Int64($0)) }
        )
        #expect(
            cast(isa, floats, SL_F32, to: SL_U8, UInt8(0))
                == floats.map { UInt8(truncatingIfNeeded: Int64($0)) }
        )
        #expect(cast(isa, floats, SL_F32, to: SL_I64, Int64(0)) == floats.map { Int64($0) })
        #expect(cast(isa, floats, SL_F32, to: SL_F64, 0.0) == floats.map { Double($0) })
        #expect(
            cast(isa, floats + [.nan], SL_F32, to: SL_BOOL, UInt8(9))
                == (floats + [.nan]).map { $0 != 0 ? 1 : 0 }
        )
        let integers: [Int64] = [0, 1, -1, 255, 256, 16_777_217, .max, .min]
        #expect(cast(isa, integers, SL_I64, to: SL_F32, Float(0)) == integers.map { Float($0) })
        #expect(
            cast(isa, integers, SL_I64, to: SL_I8, Int8(0))
                == integers.map { Int8(truncatingIfNeeded: $0) }
        )
        #expect(
            cast(isa, integers, SL_I64, to: SL_BOOL, UInt8(9)) == integers.map { $0 != 0 ? 1 : 0 }
        )
        #expect(cast(isa, [UInt64.max, 5], SL_U64, to: SL_F64, 0.0) == [0x1p64, 5])
        #expect(cast(isa, [Float.nan, 1e30], SL_F32, to: SL_I64, Int64(0)) == [.min, .min])
    }

    @Test("float16 and bfloat16 round to nearest even", arguments: KernelISA.supported)
    func halves(isa: KernelISA) {
        // Every float16 survives the way through float32.
        let all = (0...UInt16.max).filter { $0 & 0x7c00 != 0x7c00 || $0 & 0x3ff == 0 }
        let wide = cast(isa, Array(all), SL_F16, to: SL_F32, Float(0))
        #expect(cast(isa, wide, SL_F32, to: SL_F16, UInt16(0)) == Array(all))
        // Between two neighbours: below, at and above the midpoint of an even and of an odd one.
        let ulp: Float = 0x1p-10
        let between: [Float] = [
            1 + 0.49 * ulp, 1 + 0.5 * ulp, 1 + 0.51 * ulp, 1 + 1.5 * ulp, 65519, 65520, 0x1p-25,
            0x1.8p-25, 0x1.8p-24,
        ]
        #expect(
            cast(isa, between, SL_F32, to: SL_F16, UInt16(0)) == [
                0x3c00, 0x3c00, 0x3c01, 0x3c02, 0x7bff, 0x7c00, 0, 1, 2,
            ]
        )
        // A double just above a midpoint must not be rounded to the midpoint first.
        #expect(cast(isa, [1 + 0x1p-11 + 0x1p-40], SL_F64, to: SL_F16, UInt16(0)) == [0x3c01])
        #expect(
            cast(
                isa,
                [Float(1), 1.0078125, 1.00390625, 1.01171875],
                SL_F32,
                to: SL_BF16,
                UInt16(0)
            )
                == [0x3f80, 0x3f81, 0x3f80, 0x3f82]
        )
        #expect(cast(isa, [UInt16(0x3f81)], SL_BF16, to: SL_F32, Float(0)) == [1.0078125])
    }

    @Test(
        "a packed matrix has zero bias and zero columns past the end; a factor multiplies it",
        arguments: KernelISA.supported
    )
    func packsMatrices(isa: KernelISA) {
        var random = SeededGenerator(seed: 5)
        let lanes = isa.lanes
        for (k, n) in [
            (1, 1), (lanes, lanes), (lanes + 1, 2 * lanes + 1), (37, 3 * lanes), (5, 61),
        ] {
            for (isTransposed, scale) in [(false, 1), (true, 1), (false, 0.3), (true, -2)]
                as [(Bool, Float)]
            {
                let source = GuardedBuffer(random.floats(k * n))
                let panels = (n + 2 * lanes - 1) / (2 * lanes)
                let lastWidth = n - (panels - 1) * 2 * lanes <= lanes ? lanes : 2 * lanes
                let floats = (k + 1) * ((panels - 1) * 2 * lanes + lastWidth)
                let target = GuardedBuffer<Float>(Array(repeating: .nan, count: floats))
                var args = sl_pack_matrix_args()
                (args.k, args.n) = (UInt32(k), UInt32(n))
                args.source = UnsafePointer(source.pointer)
                (args.k_stride, args.n_stride) = isTransposed ? (1, k) : (n, 1)
                args.scale = scale
                args.target = target.pointer
                isa.run(isa.table.pointee.pack_matrix, args, sl_pack_matrix_task_count)

                var expected: [Float] = []
                for panel in 0..<panels {
                    let width = panel == panels - 1 ? lastWidth : 2 * lanes
                    expected += Array(repeating: 0, count: width)
                    for row in 0..<k {
                        expected += (panel * 2 * lanes..<panel * 2 * lanes + width).map { column in
                            column < n
                                ? source.pointer[row * args.k_stride + column * args.n_stride]
                                    * scale : 0
                        }
                    }
                }
                #expect(target.values == expected && target.isIntact)
            }
        }
    }
}
