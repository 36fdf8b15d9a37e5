import CSluiceKernels
import Testing

/// A random call of the tile kernel: a convolution on a blocked tensor, or a matrix product.
private struct ConvCase {
    var args = sl_conv_args()
    var tapRows: [Int32] = []
    var tapColumns: [Int32] = []
    /// Which of the packed taps are computed; nil for all.
    var tapIndex: [UInt32]?
    var packedTaps: Int
    var weights: [Float] = []
    var bias: [Float] = []
    var cuts: [Int] = []
    var residual: ConvBuffer?
    /// Factors, for each image or for all, and offsets of the channels of the input.
    var scale: ConvBuffer?
    var shift: ConvBuffer?
    let input: ConvBuffer
    let outputCount: Int
    let lanes: Int

    var channels: Int { Int(args.channels) }
    var outChannels: Int { Int(args.out_channels) }
    var taps: Int { Int(args.taps) }

    /// `skipsTaps`: the weights have taps that are not computed.
    init(
        isa: UnsafePointer<sl_isa>,
        seed: UInt64,
        isSinglePixel: Bool = false,
        skipsTaps: Bool = false
    ) {
        var random = ConvRandom(seed: seed)
        lanes = Int(isa.pointee.lanes)
        let isMatrix = random.chance(3)
        let kernel = isMatrix || random.chance(3) ? (h: 1, w: 1) : (h: random.int(1...4), w: 3)
        let dilation = random.int(1...2)
        let pad = kernel.w == 1 ? 0 : random.int(0...2)
        args.images = UInt32(random.int(1...2))
        // Now and then long enough for the sum to be computed in chunks.
        args.channels = UInt32(random.chance(8) ? random.int(400...700) : random.int(1...37))
        args.out_channels = UInt32(random.int(1...70))
        // Now and then rows whose starts share the sets of a cache.
        let isSpread = isMatrix && seed.isMultiple(of: 2)
        if isSpread {
            args.channels = (args.channels + isa.pointee.lanes - 1) & ~(isa.pointee.lanes - 1)
        }
        args.stride_h = UInt32(isMatrix ? 1 : random.int(1...2))
        args.stride_w = UInt32(isMatrix ? 1 : random.int(1...2))
        args.in_h = UInt32(isMatrix ? 1 : random.int(1...11))
        args.in_w = UInt32(random.chance(4) ? 1 : random.int(2...34))
        let isPlain = kernel.w == 1 && args.stride_h == 1 && args.stride_w == 1
        // Now and then the whole input and nothing else, as plain strided convolutions read it.
        let isWhole = isPlain || (kernel.w == 1 && random.chance(2))
        args.out_h = isWhole ? (args.in_h - 1) / args.stride_h + 1 : UInt32(random.int(1...6))
        args.out_w = isWhole ? (args.in_w - 1) / args.stride_w + 1 : UInt32(random.int(1...31))
        if isSinglePixel { (args.images, args.out_h, args.out_w) = (1, 1, 1) }
        for row in 0..<kernel.h {
            for column in 0..<kernel.w {
                tapRows.append(Int32(row * dilation - pad))
                tapColumns.append(Int32(column * dilation - pad))
            }
        }
        packedTaps = tapRows.count
        if skipsTaps, packedTaps > 1 {
            let only = random.int(0...packedTaps - 1)
            let kept = (0..<packedTaps).filter { $0 == only || random.chance(2) }
            tapIndex = kept.map { UInt32($0) }
            let (rows, columns) = (tapRows, tapColumns)
            tapRows = kept.map { rows[$0] }
            tapColumns = kept.map { columns[$0] }
        }
        args.taps = UInt32(tapRows.count)
        args.packed_taps = UInt32(packedTaps)

        let inHeight = Int(args.in_h), inWidth = Int(args.in_w)
        let outHeight = Int(args.out_h), outWidth = Int(args.out_w)
        let channels = Int(args.channels), outChannels = Int(args.out_channels)
        args.in_pixel_stride = isSpread ? 1024 : isMatrix ? channels : lanes
        args.in_row_stride = inWidth * args.in_pixel_stride
        args.in_block_stride = isMatrix ? lanes : inHeight * args.in_row_stride
        args.in_image_stride =
            isMatrix ? args.in_row_stride : (channels + lanes - 1) / lanes * args.in_block_stride
        let isRowMajor = isMatrix || random.chance(4)
        let rowSlack = random.int(0...1) * lanes
        args.mask_tail = isRowMajor
        args.out_pixel_stride = isRowMajor ? outChannels + random.int(0...2) : lanes
        args.out_row_stride = outWidth * args.out_pixel_stride + rowSlack
        args.out_block_stride = isRowMajor ? lanes : outHeight * args.out_row_stride
        args.out_image_stride =
            isRowMajor
            ? outHeight * args.out_row_stride
            : (outChannels + lanes - 1) / lanes * args.out_block_stride
        outputCount = Int(args.images) * args.out_image_stride
        args.activation = random.activation()

        // Padding lanes stay NaN.
        input = ConvBuffer(Int(args.images) * args.in_image_stride)
        weights = random.floats(channels * outChannels * packedTaps)
        bias = random.floats(outChannels)
        cuts = [random.int(0...channels)]
        if random.chance(3) { residual = ConvBuffer(random.floats(outputCount)) }
        if isPlain && !isMatrix && !isSinglePixel && random.chance(2) {
            args.affine.is_applied = true
            args.affine.low = random.chance(2) ? 0 : -.infinity
            args.affine.high = random.chance(3) ? 0.5 : .infinity
            let padded = (channels + lanes - 1) / lanes * lanes
            if random.chance(2) {
                args.affine.scale_image_stride = random.chance(2) ? padded : 0
                args.affine.scale_block_stride = lanes
                scale = ConvBuffer(random.floats(padded * Int(args.images)))
            }
            if random.chance(2) { shift = ConvBuffer(random.floats(padded)) }
        }
        for image in 0..<Int(args.images) {
            for row in 0..<inHeight {
                for column in 0..<inWidth {
                    for channel in 0..<channels {
                        input[inputOffset(image, row, column, channel)] = random.float()
                    }
                }
            }
        }
    }

    func inputOffset(_ image: Int, _ row: Int, _ column: Int, _ channel: Int) -> Int {
        image * args.in_image_stride + channel / lanes * args.in_block_stride
            + row * args.in_row_stride + column * args.in_pixel_stride + channel % lanes
    }

    func outputOffset(_ image: Int, _ row: Int, _ column: Int, _ channel: Int) -> Int {
        image * args.out_image_stride + channel / lanes * args.out_block_stride
            + row * args.out_row_stride + column * args.out_pixel_stride + channel % lanes
    }

    /// What is multiplied for one element of the input.
    func factor(_ image: Int, _ row: Int, _ column: Int, _ channel: Int) -> Float {
        let x = input[inputOffset(image, row, column, channel)]
        guard args.affine.is_applied else { return x }
        let scale = self.scale.map { $0[image * args.affine.scale_image_stride + channel] } ?? 1
        let mapped = (shift.map { $0[channel] } ?? 0).addingProduct(x, scale)
        return min(max(mapped, args.affine.low), args.affine.high)
    }

    /// Every output element: its place and its channel.
    func forEachOutput(_ body: (_ image: Int, _ row: Int, _ column: Int, _ channel: Int) -> Void) {
        for image in 0..<Int(args.images) {
            for row in 0..<Int(args.out_h) {
                for column in 0..<Int(args.out_w) {
                    for channel in 0..<outChannels { body(image, row, column, channel) }
                }
            }
        }
    }

    func reference(_ image: Int, _ row: Int, _ column: Int, _ channel: Int) -> ConvReferenceSum {
        var sum = ConvReferenceSum()
        sum.add(Double(bias[channel]))
        for tap in 0..<taps {
            let y = row * Int(args.stride_h) + Int(tapRows[tap])
            let x = column * Int(args.stride_w) + Int(tapColumns[tap])
            guard y >= 0, y < Int(args.in_h), x >= 0, x < Int(args.in_w) else { continue }
            for c in 0..<channels {
                let place = tapIndex.map { Int($0[tap]) } ?? tap
                let weight = weights[(channel * channels + c) * packedTaps + place]
                sum.add(Double(factor(image, y, x, c)) * Double(weight))
            }
        }
        if let residual {
            sum.add(Double(residual[outputOffset(image, row, column, channel)]))
        }
        return sum
    }

    /// How a call is cut: none of it may change a bit.
    struct Cut {
        var tilesPerTask = 1 << 20
        var panelsPerTask = 1 << 20
        var panelsPerBlock = 1 << 20
        var residualInPlace = false
        /// Tiles whose input is gathered at a time, when the call gathers any.
        var gathersTiles: Int?
    }

    /// Runs the call block by block, tasks in reverse, through `task`.
    func run(
        _ isa: UnsafePointer<sl_isa>,
        packed: ConvBuffer,
        cut: Cut,
        task: (inout sl_conv_args, Int) -> Void
    ) -> ConvBuffer {
        let output = ConvBuffer(outputCount)
        let panel = Int(isa.pointee.panel)
        if cut.residualInPlace, let residual {
            for index in 0..<outputCount { output[index] = residual[index] }
        }
        let index = tapIndex.map { kept in
            let copy = UnsafeMutablePointer<UInt32>.allocate(capacity: kept.count)
            copy.initialize(from: kept, count: kept.count)
            return copy
        }
        defer { index?.deallocate() }
        tapRows.withUnsafeBufferPointer { rows in
            tapColumns.withUnsafeBufferPointer { columns in
                var first = 0
                while first < outChannels {
                    let count = min(outChannels - first, panel * min(cut.panelsPerBlock, 64))
                    let offset = first / lanes * args.out_block_stride
                    var block = args
                    block.tap_dy = rows.baseAddress
                    block.tap_dx = columns.baseAddress
                    block.tap_index = index.map { UnsafePointer($0) }
                    block.input = UnsafePointer(input.base)
                    block.affine.scale = scale.map { UnsafePointer($0.base) }
                    block.affine.shift = shift.map { UnsafePointer($0.base) }
                    block.weights = UnsafePointer(packed.base + first * (1 + channels * packedTaps))
                    block.out_channels = UInt32(count)
                    block.output = output.base + offset
                    if let residual {
                        let source = cut.residualInPlace ? output : residual
                        block.residual = UnsafePointer(source.base + offset)
                    }
                    block.tiles_per_task = UInt32(cut.tilesPerTask)
                    block.panels_per_task = UInt32(cut.panelsPerTask)
                    for number in (0..<sl_conv_task_count(isa, &block)).reversed() {
                        task(&block, number)
                    }
                    first += count
                }
            }
        }
        #expect(output.guardsAreIntact)
        return output
    }

    func runNative(_ isa: UnsafePointer<sl_isa>, packed: ConvBuffer, cut: Cut) -> ConvBuffer {
        run(isa, packed: packed, cut: cut) { args, number in
            runNative(isa, &args, number, gathersTiles: cut.gathersTiles)
        }
    }

    /// Runs a task with the scratch it needs, gathering where that was asked for.
    func runNative(
        _ isa: UnsafePointer<sl_isa>,
        _ args: inout sl_conv_args,
        _ number: Int,
        gathersTiles: Int? = nil
    ) {
        let most = sl_conv_gather_tiles(isa, &args, 1 << 30)
        guard let tiles = gathersTiles ?? (args.affine.is_applied ? 2 : nil), most > 0 else {
            return isa.pointee.conv(&args, number, nil)
        }
        args.gather_tiles = min(most, tiles)
        let floats = sl_conv_gather_floats(isa, &args)
        #expect(sl_conv_gather_tiles(isa, &args, floats) >= args.gather_tiles)
        let scratch = ConvBuffer(floats)
        isa.pointee.conv(&args, number, scratch.base)
        #expect(scratch.guardsAreIntact)
    }

    func packed(_ isa: UnsafePointer<sl_isa>) -> ConvBuffer {
        convPacked(
            isa,
            SL_PACK_BLOCKED,
            weights: weights,
            bias: bias,
            channels: channels,
            taps: packedTaps,
            cuts: cuts
        )
    }

    func mismatches(in output: ConvBuffer) -> Int {
        var count = 0
        forEachOutput { image, row, column, channel in
            let actual = output[outputOffset(image, row, column, channel)]
            if !reference(image, row, column, channel).accepts(actual, args.activation) {
                count += 1
            }
        }
        return count
    }

    func differences(_ a: ConvBuffer, _ b: ConvBuffer) -> Int {
        var count = 0
        forEachOutput { image, row, column, channel in
            let offset = outputOffset(image, row, column, channel)
            if a[offset].bitPattern != b[offset].bitPattern { count += 1 }
        }
        return count
    }
}

/// The product as OpenBLAS would be asked for it: C += A * B.
private let plainProduct: sl_sgemm_fn = { m, n, k, a, lda, b, ldb, c, ldc in
    for row in 0..<m {
        for column in 0..<n {
            var sum = c[row * ldc + column]
            for depth in 0..<k { sum += a[row * lda + depth] * b[depth * ldb + column] }
            c[row * ldc + column] = sum
        }
    }
}

@Suite("Tile kernel")
struct ConvKernelTests {
    @Test("matches the reference", arguments: convTestISAs, 0..<60 as Range<UInt64>)
    func matchesTheReference(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        for skipsTaps in [false, true] {
            let conv = ConvCase(isa: isa, seed: seed, skipsTaps: skipsTaps)
            let packed = conv.packed(isa)
            #expect(packed.guardsAreIntact)
            let output = conv.runNative(isa, packed: packed, cut: .init())
            #expect(conv.mismatches(in: output) == 0)

            // Row-major rows that are longer than their channels keep what follows them.
            let pixelEnd = conv.args.out_pixel_stride
            if conv.args.mask_tail && pixelEnd > conv.outChannels {
                #expect(output[conv.outChannels].bitPattern == ConvBuffer.fill.bitPattern)
            }
        }
    }

    /// A product of matrices, how large its bias is, and the error allowed in root mean squares of results.
    struct Rounding: Sendable {
        var rows: Int
        var channels = 8192
        var bias: Float = 1
        var error: Double
    }

    /// One chain over all channels errs by 13e-6 at most, four interleaved ones by 2.5e-6.
    ///
    /// Sums that start with a large bias err by 1.5e-6, those to which it is added by half a last place
    /// of it.
    @Test(
        "adds long sums in short chains, and the bias last",
        arguments: convTestISAs,
        [
            Rounding(rows: 1, error: 1e-6),
            Rounding(rows: 20, error: 3e-6),
            Rounding(rows: 1, channels: 256, bias: 1000, error: 1.5e-7),
            Rounding(rows: 20, channels: 256, bias: 1000, error: 1.5e-7),
        ]
    )
    func roundsLittle(name: String, limit: Rounding) throws {
        let rows = limit.rows, channels = limit.channels
        let isa = try convTestISA(name)
        let outputs = 48
        var random = ConvRandom(seed: UInt64(rows))
        let input = ConvBuffer(random.floats(rows * channels))
        let weights = random.floats(outputs * channels)
        let bias = random.floats(outputs).map { $0 * limit.bias }
        let packed = convPacked(
            isa,
            SL_PACK_BLOCKED,
            weights: weights,
            bias: bias,
            channels: channels,
            taps: 1
        )
        let output = ConvBuffer(rows * outputs)
        let lanes = Int(isa.pointee.lanes)
        var args = sl_conv_args()
        (args.images, args.in_h, args.out_h) = (1, 1, 1)
        (args.in_w, args.out_w, args.stride_w, args.stride_h) = (UInt32(rows), UInt32(rows), 1, 1)
        (args.channels, args.out_channels) = (UInt32(channels), UInt32(outputs))
        (args.taps, args.packed_taps) = (1, 1)
        (args.in_pixel_stride, args.out_pixel_stride) = (channels, outputs)
        (args.in_row_stride, args.out_row_stride) = (rows * channels, rows * outputs)
        (args.in_block_stride, args.out_block_stride) = (lanes, lanes)
        (args.tiles_per_task, args.panels_per_task) = (1000, 1000)
        args.mask_tail = true
        args.input = UnsafePointer(input.base)
        args.weights = UnsafePointer(packed.base)
        args.output = output.base
        let noOffset: [Int32] = [0]
        noOffset.withUnsafeBufferPointer { offset in
            args.tap_dy = offset.baseAddress
            args.tap_dx = offset.baseAddress
            for task in 0..<sl_conv_task_count(isa, &args) { isa.pointee.conv(&args, task, nil) }
        }
        var largest = 0.0
        var squares = 0.0
        for row in 0..<rows {
            for column in 0..<outputs {
                let exact = (0..<channels).reduce(Double(bias[column])) {
                    $0 + Double(input[row * channels + $1])
                        * Double(weights[column * channels + $1])
                }
                largest = max(largest, abs(Double(output[row * outputs + column]) - exact))
                squares += exact * exact
            }
        }
        #expect(largest <= limit.error * (squares / Double(rows * outputs)).squareRoot())
    }

    @Test("gives the same bits however it is cut", arguments: convTestISAs, 0..<80 as Range<UInt64>)
    func bitsDoNotDependOnTheCut(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let conv = ConvCase(isa: isa, seed: seed, skipsTaps: seed.isMultiple(of: 2))
        let packed = conv.packed(isa)
        let whole = conv.runNative(isa, packed: packed, cut: .init())
        let cuts: [ConvCase.Cut] = [
            .init(tilesPerTask: 1, panelsPerTask: 1),
            .init(tilesPerTask: 3, panelsPerTask: 2, residualInPlace: true),
            .init(tilesPerTask: 2, panelsPerBlock: 1),
            .init(gathersTiles: 100),
            .init(tilesPerTask: 5, residualInPlace: true, gathersTiles: 1),
            .init(panelsPerBlock: 1, gathersTiles: 3),
        ]
        for cut in cuts {
            let output = conv.runNative(isa, packed: packed, cut: cut)
            #expect(conv.differences(whole, output) == 0)
        }
    }

    @Test(
        "carries an upload along and asks for what is next",
        arguments: convTestISAs,
        0..<40 as Range<UInt64>
    )
    func carriesAnUpload(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let conv = ConvCase(isa: isa, seed: seed, skipsTaps: seed.isMultiple(of: 2))
        let packed = conv.packed(isa)
        let plain = conv.runNative(isa, packed: packed, cut: .init())
        var random = ConvRandom(seed: seed + 1)
        for cut in [ConvCase.Cut(), .init(tilesPerTask: 3, panelsPerTask: 1)] {
            // From less than a line in each step to more than all steps have room for.
            let upload = CarriedUpload(floats: random.int(1...(random.chance(2) ? 2_000 : 200_000)))
            let next = (floats: random.int(0...10_000), workers: random.int(0...3))
            let output = conv.run(isa, packed: packed, cut: cut) { args, number in
                args.carried = upload.arguments
                args.asks_close = number % 2 == 0
                args.next = sl_next_reads(
                    from: args.weights,
                    floats: next.floats,
                    worker_step: 100,
                    workers: next.workers
                )
                conv.runNative(isa, &args, number)
            }
            #expect(conv.differences(plain, output) == 0)
            #expect(upload.isComplete)
        }
    }

    @Test("a task begins to read its weights where it says", arguments: convTestISAs, 0..<20)
    func firstWeights(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let conv = ConvCase(isa: isa, seed: seed)
        let packed = conv.packed(isa)
        let plain = conv.runNative(isa, packed: packed, cut: .init())
        // What lies before changes nothing; the first number is a bias, which every pixel adds.
        for poisonsFirst in [false, true] {
            let cut = ConvCase.Cut(tilesPerTask: 2, panelsPerTask: 1)
            let output = conv.run(isa, packed: packed, cut: cut) { args, number in
                let copy = ConvBuffer((0..<packed.count).map { packed[$0] })
                let first = sl_conv_first_weight(isa, &args, number)
                for place in 0..<(first + (poisonsFirst ? 1 : 0)) { copy[place] = .nan }
                args.weights = UnsafePointer(copy.base)
                conv.runNative(isa, &args, number)
            }
            #expect((conv.differences(plain, output) == 0) == !poisonsFirst)
        }
    }

    @Test("copies the weights of a single pixel in chunks", arguments: convTestISAs, 0..<20)
    func chunksWeights(name: String, seed: UInt64) throws {
        let isa = try convTestISA(name)
        let conv = ConvCase(
            isa: isa,
            seed: seed,
            isSinglePixel: true,
            skipsTaps: seed.isMultiple(of: 2)
        )
        let packed = conv.packed(isa)
        let inPlace = conv.run(isa, packed: packed, cut: .init()) { args, number in
            isa.pointee.conv(&args, number, nil)
        }
        #expect(conv.mismatches(in: inPlace) == 0)
        let chunked = conv.run(isa, packed: packed, cut: .init(panelsPerTask: 1)) { args, number in
            args.chunks_weights = true
            let scratch = ConvBuffer(2 * conv.lanes * conv.lanes)
            isa.pointee.conv(&args, number, scratch.base)
            #expect(scratch.guardsAreIntact)
            guard args.tap_index == nil else { return }
            // The last rows of the panel are there: they were copied.
            let lanes = conv.lanes
            let firstChannel = number * 2 * lanes
            let width = Int(args.out_channels) - firstChannel > lanes ? 2 * lanes : lanes
            let rows = 1 + conv.channels * conv.packedTaps
            let count = (conv.channels - 1) % lanes + 1
            let last = firstChannel * rows + (rows - count) * width
            #expect((0..<count * width).allSatisfy { scratch[$0] == args.weights[last + $0] })
        }
        #expect(conv.differences(inPlace, chunked) == 0)
    }

    @Test("has an openblas form that depends on cells alone", arguments: convTestISAs)
    func openblasFormMatches(name: String) throws {
        let isa = try convTestISA(name)
        // Stays installed: other cases of this test may be running.
        sl_openblas_install(plainProduct)
        for seed in 0..<20 as Range<UInt64> {
            let conv = ConvCase(isa: isa, seed: seed)
            let packed = conv.packed(isa)
            let outputs = [8, 16, 1 << 20].map { tiles in
                conv.run(isa, packed: packed, cut: .init(tilesPerTask: tiles, panelsPerTask: 1)) {
                    let scratch = ConvBuffer(sl_conv_openblas_scratch_floats(isa, &$0))
                    sl_conv_openblas(isa, &$0, $1, scratch.base)
                    #expect(scratch.guardsAreIntact)
                }
            }
            #expect(conv.mismatches(in: outputs[0]) == 0)
            #expect(conv.differences(outputs[0], outputs[1]) == 0)
            #expect(conv.differences(outputs[0], outputs[2]) == 0)
        }
    }
}

@Suite("Kernel tables")
struct KernelTableTests {
    @Test("the portable tables are always there and supported")
    func portableTablesAreAlwaysSupported() throws {
        let tables = (0..<sl_isa_count()).map(sl_isa_at)
        let names = tables.map { String(cString: $0.pointee.name) }
        #expect(names.suffix(2) == ["generic", "emulated512"])
        #expect(tables.suffix(2).allSatisfy(sl_isa_is_supported))
        #expect(sl_isa_select(nil) == tables.first(where: sl_isa_is_supported))
        #expect(!KernelISA.supported.isEmpty, "SL_ISA names no table this CPU runs")
        #expect(sl_isa_select("no such table") == nil)
        for name in convTestISAs {
            let isa = try convTestISA(name).pointee
            #expect(isa.panel == 2 * isa.lanes)
        }
    }

    @Test("every table has a peak", arguments: convTestISAs)
    func everyTableHasAPeak(name: String) throws {
        #expect(sl_fma_peak(try convTestISA(name), 1) > 0.01)
    }
}
