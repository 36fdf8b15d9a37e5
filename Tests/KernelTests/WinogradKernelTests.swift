import CSluiceKernels
import Testing

/// Taps of a filter along both axes.
private typealias WinogradFilter = (height: Int, width: Int)

private let winogradFilters: [WinogradFilter] = [
    (3, 3), (5, 5), (1, 3), (3, 1), (1, 5), (5, 1), (1, 7), (7, 1),
]

/// A random convolution that Winograd's algorithm can compute, on blocked tensors.
private struct WinogradCase {
    var args = sl_winograd_args()
    var weights: [Float]
    var bias: [Float]
    let input: ConvBuffer
    var residual: ConvBuffer?
    let filter: WinogradFilter
    let lanes: Int
    let outputCount: Int

    var channels: Int { Int(args.conv.channels) }
    var outputs: Int { Int(args.conv.out_channels) }

    init(isa: UnsafePointer<sl_isa>, seed: UInt64) {
        var random = ConvRandom(seed: seed)
        let filter = winogradFilters[Int(seed) % winogradFilters.count]
        var conv = sl_conv_args()
        conv.images = UInt32(random.int(1...2))
        // Few, several chunks, or more than are transformed together.
        let sizes = [1...37, 1...37, 1...37, 1...37, 1...37, 90...150, 257...300, 513...530]
        conv.channels = UInt32(random.int(sizes[random.int(0...7)]))
        conv.out_channels = UInt32(random.int(1...(conv.channels > 150 ? 35 : 70)))
        let isDilated = random.chance(2)
        let dilations = (
            h: isDilated && filter.height > 1 ? random.int(1...4) : 1,
            w: isDilated && filter.width > 1 ? random.int(1...3) : 1
        )
        let reach = (
            h: (filter.height - 1) * dilations.h, w: (filter.width - 1) * dilations.w
        )
        conv.in_h = UInt32(random.int(1...11) + reach.h)
        conv.in_w = UInt32(random.int(1...11) + reach.w)
        // Some of the padding may lie after the image.
        let pads = (top: Int32(random.int(0...2)), left: Int32(random.int(0...2)))
        conv.out_h = conv.in_h + UInt32(random.int(0...2)) + 2 - UInt32(reach.h)
        conv.out_w = conv.in_w + UInt32(random.int(0...2)) + 2 - UInt32(reach.w)
        self.init(
            isa: isa,
            conv: conv,
            pads: pads,
            dilations: dilations,
            filter: filter,
            random: &random,
            sample: { $0.float() }
        )
        args.conv.activation = random.activation()
        if random.chance(3) { residual = ConvBuffer(random.floats(outputCount)) }
    }

    init(
        isa: UnsafePointer<sl_isa>,
        conv: sl_conv_args,
        pads: (top: Int32, left: Int32),
        dilations: (h: Int, w: Int) = (1, 1),
        filter: WinogradFilter,
        random: inout ConvRandom,
        sample: (inout ConvRandom) -> Float
    ) {
        lanes = Int(isa.pointee.lanes)
        self.filter = filter
        args.taps_h = UInt32(filter.height)
        args.taps_w = UInt32(filter.width)
        args.pad_top = pads.top
        args.pad_left = pads.left
        args.dilation_h = UInt32(dilations.h)
        args.dilation_w = UInt32(dilations.w)
        args.conv = conv
        let taps = filter.height * filter.width
        args.conv.taps = UInt32(taps)
        args.conv.stride_h = 1
        args.conv.stride_w = 1
        let channels = Int(conv.channels), outputs = Int(conv.out_channels)
        args.conv.in_pixel_stride = lanes
        args.conv.in_row_stride = Int(conv.in_w) * lanes
        args.conv.in_block_stride = Int(conv.in_h) * args.conv.in_row_stride
        args.conv.in_image_stride = (channels + lanes - 1) / lanes * args.conv.in_block_stride
        args.conv.out_pixel_stride = lanes
        args.conv.out_row_stride = Int(conv.out_w) * lanes
        args.conv.out_block_stride = Int(conv.out_h) * args.conv.out_row_stride
        args.conv.out_image_stride = (outputs + lanes - 1) / lanes * args.conv.out_block_stride
        outputCount = Int(conv.images) * args.conv.out_image_stride
        weights = random.floats(channels * outputs * taps)
        bias = random.floats(outputs)
        // Padding lanes stay NaN.
        input = ConvBuffer(Int(conv.images) * args.conv.in_image_stride)
        for image in 0..<Int(conv.images) {
            for channel in 0..<channels {
                for pixel in 0..<Int(conv.in_h) * Int(conv.in_w) {
                    input[inputOffset(image, channel, pixel)] = sample(&random)
                }
            }
        }
    }

    func inputOffset(_ image: Int, _ channel: Int, _ pixel: Int) -> Int {
        image * args.conv.in_image_stride + channel / lanes * args.conv.in_block_stride
            + pixel * lanes + channel % lanes
    }

    func outputOffset(_ image: Int, _ channel: Int, _ pixel: Int) -> Int {
        image * args.conv.out_image_stride + channel / lanes * args.conv.out_block_stride
            + pixel * lanes + channel % lanes
    }

    func reference(_ image: Int, _ channel: Int, _ pixel: Int) -> ConvReferenceSum {
        var sum = ConvReferenceSum()
        sum.add(Double(bias[channel]))
        let width = Int(args.conv.in_w), height = Int(args.conv.in_h)
        let taps = filter.height * filter.width
        for tap in 0..<taps {
            let row = pixel / Int(args.conv.out_w)
            let column = pixel % Int(args.conv.out_w)
            let y = row + tap / filter.width * Int(args.dilation_h) - Int(args.pad_top)
            let x = column + tap % filter.width * Int(args.dilation_w) - Int(args.pad_left)
            guard y >= 0, y < height, x >= 0, x < width else { continue }
            for c in 0..<channels {
                let weight = weights[(channel * channels + c) * taps + tap]
                sum.add(Double(input[inputOffset(image, c, y * width + x)]) * Double(weight))
            }
        }
        if let residual {
            sum.add(Double(residual[outputOffset(image, channel, pixel)]))
        }
        return sum
    }

    func forEachOutput(_ body: (_ image: Int, _ channel: Int, _ pixel: Int) -> Void) {
        for image in 0..<Int(args.conv.images) {
            for channel in 0..<outputs {
                for pixel in 0..<Int(args.conv.out_h) * Int(args.conv.out_w) {
                    body(image, channel, pixel)
                }
            }
        }
    }

    var tileCount: Int {
        var args = args
        return sl_winograd_tile_count(&args)
    }

    func canFilterAhead(_ isa: UnsafePointer<sl_isa>, tiles: Int) -> Bool {
        var args = args
        args.tiles_per_block = UInt32(tiles)
        return sl_winograd_can_filter_ahead(isa, &args)
    }

    func canFilterAtOnce(_ isa: UnsafePointer<sl_isa>, tiles: Int) -> Bool {
        var args = args
        args.tiles_per_block = UInt32(tiles)
        return sl_winograd_can_filter_at_once(isa, &args)
    }

    /// All tasks, last one first, with blocks of `tiles` tiles, groups of `panels` panels and filters
    /// for `pairs` pairs of rows of points at a time, transformed `ahead` or `atOnce`, weights read as they come
    /// from afar if `chunked`, the residual in the output if `inPlace`, on scratch that holds NaN before each task.
    func run(
        _ isa: UnsafePointer<sl_isa>,
        tiles: Int,
        panels: Int,
        pairs: Int = Int(SL_WINOGRAD_PAIRS),
        ahead: Bool = false,
        atOnce: Bool = false,
        chunked: Bool = false,
        inPlace: Bool = false,
        carrying upload: CarriedUpload? = nil
    ) -> ConvBuffer {
        let output = ConvBuffer(outputCount)
        let packed = convPacked(
            isa,
            SL_PACK_BLOCKED,
            weights: weights,
            bias: bias,
            channels: channels,
            taps: filter.height * filter.width
        )
        var args = args
        args.tiles_per_block = UInt32(tiles)
        args.pairs_at_once = UInt32(pairs)
        args.conv.panels_per_task = UInt32(panels)
        args.filters_ahead = ahead
        args.filters_at_once = atOnce
        args.conv.chunks_weights = chunked
        args.conv.input = UnsafePointer(input.base)
        args.conv.weights = UnsafePointer(packed.base)
        args.conv.residual = residual.map { UnsafePointer($0.base) }
        args.conv.output = output.base
        if inPlace, let residual {
            output.base.update(from: residual.base, count: outputCount)
            args.conv.residual = UnsafePointer(output.base)
        }
        if let upload {
            args.conv.carried = upload.arguments
            args.conv.asks_close = tiles % 2 == 0
        }
        for task in (0..<sl_winograd_task_count(isa, &args)).reversed() {
            let scratch = ConvBuffer(sl_winograd_scratch_floats(isa, &args))
            isa.pointee.winograd(&args, task, scratch.base)
            #expect(scratch.guardsAreIntact)
        }
        #expect(output.guardsAreIntact && packed.guardsAreIntact)
        return output
    }
}

@Suite struct WinogradKernelTests {
    @Test(arguments: convTestISAs, 1...48)
    func matchesTheDefinition(isa name: String, seed: Int) throws {
        let isa = try convTestISA(name)
        let sample = WinogradCase(isa: isa, seed: UInt64(seed))
        let result = sample.run(isa, tiles: 1000, panels: 100)
        // The results of a tile share the roundings of its patch, so the largest sum counts.
        var size = 0.0
        sample.forEachOutput { size = max(size, sample.reference($0, $1, $2).size) }
        let bound = 10 * Double(Float.ulpOfOne) * size
        var wrong = 0
        sample.forEachOutput { image, channel, pixel in
            let sum = sample.reference(image, channel, pixel)
            let expected = convReferenceActivation(sum.value, sample.args.conv.activation)
            let actual = Double(result[sample.outputOffset(image, channel, pixel)])
            if !(abs(actual - expected) <= bound) { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    @Test(arguments: convTestISAs, 1...16)
    func cutsDoNotChangeBits(isa name: String, seed: Int) throws {
        let isa = try convTestISA(name)
        let sample = WinogradCase(isa: isa, seed: UInt64(100 + seed))
        let whole = sample.run(isa, tiles: 1000, panels: 100).bits
        for (tiles, pairs) in [(3, 3), (4, 1), (5, 3), (7, 1), (13, 1), (1000, 1)] {
            let cut = sample.run(
                isa,
                tiles: tiles,
                panels: 1 + tiles % 2,
                pairs: pairs,
                chunked: tiles % 3 == 1
            )
            #expect(cut.bits == whole)
        }
        let replaced = sample.run(isa, tiles: 5, panels: 1, inPlace: true)
        #expect(replaced.bits == whole)
    }

    @Test(arguments: convTestISAs)
    func filtersAheadDoNotChangeBits(isa name: String) throws {
        let isa = try convTestISA(name)
        var ahead = 0
        for seed in 40..<72 {
            let sample = WinogradCase(isa: isa, seed: UInt64(8 * seed))  // 3x3 taps
            guard sample.tileCount > 1 else { continue }
            let plain = sample.run(isa, tiles: 1000, panels: 100).bits
            for tiles in [3, 5, 8, 10, 20] where sample.canFilterAhead(isa, tiles: tiles) {
                let upload = CarriedUpload(floats: tiles == 5 ? 40_000 : 100)
                let result = sample.run(
                    isa,
                    tiles: tiles,
                    panels: 1 + tiles % 3,
                    ahead: true,
                    chunked: tiles % 2 == 1,
                    carrying: tiles % 2 == 0 ? nil : upload
                )
                #expect(result.bits == plain)
                ahead += 1
            }
        }
        #expect((ahead > 0) == (isa.pointee.filtering_pixels > 0))
    }

    @Test(arguments: convTestISAs)
    func filtersAtOnceDoNotChangeBits(isa name: String) throws {
        let isa = try convTestISA(name)
        var blocks: Set<Int> = []
        for seed in 40..<88 {
            let sample = WinogradCase(isa: isa, seed: UInt64(8 * seed))  // 3x3 taps
            guard sample.tileCount > 1 else { continue }
            let plain = sample.run(isa, tiles: 1000, panels: 100).bits
            for tiles in [3, 4] where sample.canFilterAtOnce(isa, tiles: tiles) {
                let uploads = [nil, CarriedUpload(floats: 100), CarriedUpload(floats: 40_000)]
                let result = sample.run(
                    isa,
                    tiles: tiles,
                    panels: 1 + seed % 3,
                    atOnce: true,
                    chunked: seed % 2 == 1,
                    inPlace: seed % 4 == 0 && sample.residual != nil,
                    carrying: uploads[seed % 3]
                )
                #expect(result.bits == plain)
                #expect(uploads[seed % 3]?.isComplete ?? true)
                let count = (sample.tileCount + tiles - 1) / tiles
                blocks.formUnion([sample.tileCount / count, (sample.tileCount + count - 1) / count])
            }
        }
        #expect(blocks == (isa.pointee.at_once_tiles > 0 ? [2, 3, 4] : []))
    }

    /// Every dilation-th pixel is tiled by itself: of 33 pixels one phase has nine and needs three
    /// tiles of four, three have eight and need two.
    @Test(
        arguments: zip([(33, 4), (33, 2), (32, 4), (3, 4), (1, 1)], [9, 9, 8, 3, 1])
    )
    func tilesFollowTheirPhases(axis: (pixels: Int, dilation: Int), tiles: Int) {
        var args = sl_winograd_args()
        args.conv.images = 2
        (args.taps_h, args.taps_w) = (3, 3)
        (args.conv.out_h, args.conv.out_w) = (UInt32(axis.pixels), 5)
        (args.dilation_h, args.dilation_w) = (UInt32(axis.dilation), 1)
        #expect(sl_winograd_tile_count(&args) == 2 * tiles * 2)
    }

    @Test(arguments: convTestISAs)
    func scratchHasABound(isa name: String) throws {
        let isa = try convTestISA(name)
        var args = sl_winograd_args()
        args.dilation_h = 1
        args.dilation_w = 1
        args.conv.images = 1
        (args.conv.out_h, args.conv.out_w) = (100, 100)
        args.tiles_per_block = 28
        args.pairs_at_once = UInt32(SL_WINOGRAD_PAIRS)
        for filter in winogradFilters {
            (args.taps_h, args.taps_w) = (UInt32(filter.height), UInt32(filter.width))
            args.conv.taps = args.taps_h * args.taps_w
            for channels in [16, 64, 250, 256, 257, 300, 512, 1000, 2048, 10_000] {
                args.conv.channels = UInt32(channels)
                #expect(sl_winograd_scratch_floats(isa, &args) * 4 <= 2 << 20)
            }
        }
        // Filters ahead are for few tiles.
        (args.taps_h, args.taps_w) = (3, 3)
        (args.conv.taps, args.conv.channels, args.conv.out_channels) = (9, 256, 64)
        args.tiles_per_block = 20
        args.filters_ahead = true
        #expect(sl_winograd_scratch_floats(isa, &args) * 4 <= 2 << 20)
    }

    @Test(arguments: convTestISAs, 1...16)
    func carriesAnUpload(isa name: String, seed: Int) throws {
        let isa = try convTestISA(name)
        let sample = WinogradCase(isa: isa, seed: UInt64(200 + seed))
        let plain = sample.run(isa, tiles: 5, panels: 1).bits
        for floats in [1, 1000, 40_000, 300_000] {
            let upload = CarriedUpload(floats: floats)
            let pairs = floats > 10_000 ? 1 : 3
            let result = sample.run(isa, tiles: 5, panels: 1, pairs: pairs, carrying: upload)
            #expect(result.bits == plain && upload.isComplete)
        }
    }

    /// At most 1.2e-5 of the standard deviation of the results, as data after ReLU gives them.
    @Test(arguments: convTestISAs)
    func roundsLittle(isa name: String) throws {
        let isa = try convTestISA(name)
        let cases: [(WinogradFilter, Int)] = [
            ((3, 3), 128), ((3, 3), 512), ((5, 5), 96), ((1, 3), 64), ((3, 1), 384),
            ((5, 1), 64), ((1, 5), 256), ((1, 7), 64), ((7, 1), 192),
        ]
        for (filter, channels) in cases {
            var random = ConvRandom(seed: UInt64(channels))
            var conv = sl_conv_args()
            conv.images = 1
            conv.channels = UInt32(channels)
            conv.out_channels = 16
            (conv.in_h, conv.in_w, conv.out_h, conv.out_w) = (16, 16, 16, 16)
            var sample = WinogradCase(
                isa: isa,
                conv: conv,
                pads: (Int32(filter.height / 2), Int32(filter.width / 2)),
                filter: filter,
                random: &random,
                sample: { max(0, normal(&$0)) }
            )
            sample.args.conv.activation = sl_activation(kind: SL_ACTIVATION_NONE, p0: 0, p1: 0)
            let result = sample.run(isa, tiles: 1000, panels: 100)
            var largest = 0.0
            var squares = 0.0
            var count = 0.0
            sample.forEachOutput { image, channel, pixel in
                let exact = sample.reference(image, channel, pixel).value
                let error = Double(result[sample.outputOffset(image, channel, pixel)]) - exact
                largest = max(largest, abs(error))
                squares += exact * exact
                count += 1
            }
            #expect(largest <= 1.2e-5 * (squares / count).squareRoot())
        }
    }
}

/// Nearly normal: the sum of twelve uniform numbers.
private func normal(_ random: inout ConvRandom) -> Float {
    (0..<12).reduce(Float(0)) { sum, _ in sum + random.float() } / 2
}
