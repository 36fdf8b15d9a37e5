import CSluiceKernels
import Glibc
import GraphIR
import TensorMemory

/// When Winograd's algorithm is faster, what scratch it gets and how it is bound.
extension NativeCatalog {
    /// Whether the shape of a convolution suits Winograd's algorithm and is faster with it.
    ///
    /// Both sides count multiply-adds of one lane; the transforms were measured in the same unit
    /// (`benchmarks/kernels` shows the result layer by layer). Wider vectors multiply faster than
    /// they transform and store filters; an image of 7x7 pixels is worth it with AVX-512 because that
    /// multiplies filters at once.
    func isFasterByWinograd(_ kernel: ConvolutionKernel) -> Bool {
        guard kernel.strideHeight == 1, kernel.strideWidth == 1,
            kernel.parts.allSatisfy({ $0.isWinogradShaped(of: kernel) })
        else { return false }
        let taps = kernel.kernelHeight * kernel.kernelWidth
        var args = winogradArguments(kernel, part: kernel.parts[0])
        let tiles = sl_winograd_tile_count(&args)
        guard tiles >= fewestTiles else { return false }
        let inputs = Double(kernel.channels)
        let outputs = Double(kernel.parts[0].outputChannels)
        let pixels = Double(kernel.images * kernel.outputHeight * kernel.outputWidth)
        // A filter that is dilated far has taps outside the image.
        let products = outputRegions(of: kernel, part: 0)?.reduce(0) { $0 + $1.products }
        let tapsPerPixel =
            products.map { Double($0 * kernel.images) / pixels } ?? Double(taps)
        let direct = 1.1 * pixels * tapsPerPixel * inputs * outputs
        // Filters are transformed again for each block of tiles.
        let isLine = kernel.kernelHeight != kernel.kernelWidth
        let tilesPerBlock = isLine ? 128 : 48
        let blocks = Double((tiles + tilesPerBlock - 1) / tilesPerBlock)
        let filter: Double =
            switch (isLine, lanes >= 16) {
            case (false, true): 300
            case (false, false): 219
            case (true, true): 150
            case (true, false): 55
            }
        let share = Double(sl_winograd_point_count(&args)) / 36
        let transforms = share * Double(tiles) * (366 * inputs + 292 * outputs)
        let filters =
            sl_winograd_can_filter_at_once(set.table, &args)
            ? Double(120 + 42 * tiles)
            : share * 42 * Double(tiles) + blocks * filter
        return (transforms + filters * inputs * outputs) * 1.1 < direct
    }

    /// Scratch for few tiles and the filters of a third of the points at a time, or the sums of those
    /// that are multiplied at once, and for as many tiles as keep the transformed patches close, with
    /// the filters of all points, ahead where that is of use.
    func winogradWorkspace(_ kernel: ConvolutionKernel) -> WorkspaceNeed {
        let limit = 1280 << 10
        var need = WorkspaceNeed.none
        for part in kernel.parts {
            var args = winogradArguments(kernel, part: part)
            let bytes = { (tiles: Int) in
                args.tiles_per_block = UInt32(tiles)
                return sl_winograd_scratch_floats(set.table, &args) * 4
            }
            args.pairs_at_once = 1
            args.tiles_per_block = UInt32(fewestTiles)
            args.filters_at_once = sl_winograd_can_filter_at_once(set.table, &args)
            need.least = max(need.least, bytes(fewestTiles))
            if args.filters_at_once, sl_winograd_tile_count(&args) <= fewestTiles {
                args.conv.chunks_weights = true
                need.best = max(need.best, bytes(fewestTiles))
                continue
            }
            args.filters_at_once = false
            args.pairs_at_once = UInt32(SL_WINOGRAD_PAIRS)
            // A multiple of the pixels of a register tile wastes none.
            let room = sl_winograd_tiles_within(set.table, &args, limit / 4)
            let best = max(room / set.tilePixels, 2) * set.tilePixels
            args.tiles_per_block = UInt32(best)
            args.conv.chunks_weights = true
            args.filters_ahead = floatsAhead(args) != nil
            need.best = max(need.best, bytes(best))
        }
        return need
    }

    /// Floats of scratch to transform filters ahead; nil where that is of no use: with a small second
    /// cache, or when what a task works on would leave it.
    func floatsAhead(_ args: sl_winograd_args) -> Int? {
        var ahead = args
        ahead.filters_ahead = true
        guard secondCacheBytes >= 2 << 20, sl_winograd_can_filter_ahead(set.table, &ahead) else {
            return nil
        }
        let floats = sl_winograd_scratch_floats(set.table, &ahead)
        return floats * 4 <= secondCacheBytes ? floats : nil
    }

    /// Room for all tiles at once; each thread reads panels of its own.
    func winogradChunks(_ kernel: ConvolutionKernel, threads: Int) -> WeightChunks? {
        var byteCount = 0
        for part in kernel.parts {
            guard part.outputChannels > (threads - 1) * panelChannels else { return nil }
            var args = winogradArguments(kernel, part: part)
            args.conv.chunks_weights = true
            args.filters_at_once = sl_winograd_can_filter_at_once(set.table, &args)
            byteCount = max(byteCount, sl_winograd_scratch_floats(set.table, &args) * 4)
        }
        return WeightChunks(slot: 0, workspace: (byteCount + 63) / 64 * 64 * threads)
    }

    /// The shape part of the arguments, for all tiles at once.
    func winogradArguments(_ kernel: ConvolutionKernel, part: ConvolutionPart) -> sl_winograd_args {
        var args = sl_winograd_args()
        args.conv = tileArguments(kernel, part: part)
        args.pad_top = Int32(-part.taps[0].dy)
        args.pad_left = Int32(-part.taps[0].dx)
        args.taps_h = UInt32(kernel.kernelHeight)
        args.taps_w = UInt32(kernel.kernelWidth)
        args.dilation_h = kernel.kernelHeight > 1 ? UInt32(kernel.dilationHeight) : 1
        args.dilation_w = kernel.kernelWidth > 1 ? UInt32(kernel.dilationWidth) : 1
        args.tiles_per_block = UInt32(Int32.max)
        args.pairs_at_once = UInt32(SL_WINOGRAD_PAIRS)
        return args
    }
}

extension ConvolutionPart {
    /// Whether the taps are a whole filter of 3x3, 5x5, or a row or column of 3, 5 or 7, in row-major
    /// order, on dense outputs.
    fileprivate func isWinogradShaped(of kernel: ConvolutionKernel) -> Bool {
        let (height, width) = (kernel.kernelHeight, kernel.kernelWidth)
        let isSquare = height == width && (height == 3 || height == 5)
        let isLine = min(height, width) == 1 && [3, 5, 7].contains(max(height, width))
        guard isSquare || isLine, kernel.outputStep == (1, 1), taps.count == height * width,
            outputHeight == kernel.outputHeight, outputWidth == kernel.outputWidth
        else { return false }
        return taps.indices.allSatisfy { index in
            taps[index].dy == taps[0].dy + index / width * kernel.dilationHeight
                && taps[index].dx == taps[0].dx + index % width * kernel.dilationWidth
        }
    }
}

extension KernelBinder {
    /// Cuts tiles and panels so that all workers have the same share; bits do not depend on it.
    func bindWinograd(_ context: ConvolutionContext) -> KernelCall {
        guard let scratch = scratch(context.workspace) else {
            preconditionFailure("Winograd's algorithm has scratch")
        }
        var args = catalog.winogradArguments(context.kernel, part: context.part)
        args.conv = boundTileArguments(context)
        args.conv.chunks_weights = context.hasChunkedWeights
        let tiles = sl_winograd_tile_count(&args)
        let most = tilesPerBlock(&args, floats: scratch.stride, of: tiles)
        var blocks = (tiles + most - 1) / most
        // The weights of a chunk are read once.
        precondition(
            !context.hasChunkedWeights
                || (blocks == 1 && args.pairs_at_once == SL_WINOGRAD_PAIRS)
        )
        let panels =
            (context.channelCount + catalog.panelChannels - 1) / catalog.panelChannels
        var groups = 1
        if blocks >= workers {
            blocks = (blocks + workers - 1) / workers * workers
        } else {
            // Chunks are read once, by whoever has their panel.
            let most = context.hasChunkedWeights ? blocks : min(workers, tiles / fewestTiles)
            (blocks, groups) = winogradShares(
                blocks...max(blocks, most),
                tiles: tiles,
                panels: panels,
                of: args
            )
        }
        args.tiles_per_block = UInt32(max(fewestTiles, min(most, (tiles + blocks - 1) / blocks)))
        args.conv.panels_per_task = UInt32((panels + groups - 1) / groups)
        args.filters_at_once = sl_winograd_can_filter_at_once(isa, &args)
        args.filters_ahead =
            !args.filters_at_once && filtersAhead(args, floats: scratch.stride)
        let bound = UnsafeMutablePointer(mutating: store.keep(args))
        let taskCount = sl_winograd_task_count(isa, &args)
        return KernelCall(
            isa.pointee.winograd,
            UnsafeRawPointer(bound),
            taskCount: taskCount,
            scratch: scratch,
            carried: bound.pointer(to: \.conv.carried),
            next: bound.pointer(to: \.conv.next),
            weightStep: weightStep(context, taskCount: taskCount) {
                sl_winograd_first_weight(isa, &args, $0)
            }
        )
    }

    /// How many blocks of tiles and groups of panels give the worker that has most to do least.
    ///
    /// Each task transforms the patches of its tiles and the filters of its panels, at every point in as much
    /// time as some multiplications take; filters are read from afar. The figures are about those of AVX-512.
    private func winogradShares(
        _ blocks: ClosedRange<Int>,
        tiles: Int,
        panels: Int,
        of args: sl_winograd_args
    ) -> (blocks: Int, groups: Int) {
        let points = withUnsafePointer(to: args) { Int(sl_winograd_point_count($0)) }
        let channels = Int(args.conv.channels)
        let vectors = (Int(args.conv.out_channels) + lanes - 1) / lanes
        let patch = 7 * points * (channels + lanes - 1) / lanes
        let filter = (4 * points + 18 * Int(args.taps_h * args.taps_w)) * channels
        let product = points * channels
        let output = 6 * points
        func work(_ share: (blocks: Int, groups: Int)) -> Int {
            let tiles = (tiles + share.blocks - 1) / share.blocks
            let vectors = min((panels + share.groups - 1) / share.groups * 2, vectors)
            let task = tiles * (patch + vectors * (product + output)) + vectors * filter
            return (share.blocks * share.groups + workers - 1) / workers * task
        }
        let shares = blocks.map { (blocks: $0, groups: min((workers + $0 - 1) / $0, panels)) }
        return shares.min { work($0) < work($1) } ?? (1, 1)
    }

    /// Whether filters are transformed ahead: it is of use, and `floats` of scratch have room for it.
    private func filtersAhead(_ args: sl_winograd_args, floats: Int) -> Bool {
        guard args.pairs_at_once == SL_WINOGRAD_PAIRS, let ahead = catalog.floatsAhead(args) else {
            return false
        }
        return ahead <= floats
    }

    /// The most tiles of a block that `floats` of scratch have room for.
    ///
    /// Filters are transformed once for each block: where room is short, for a third of the points at a
    /// time, if so many more tiles fit that fewer of them are transformed; where it is shorter still, at
    /// once, which fewer than eight tiles cannot beat.
    private func tilesPerBlock(_ args: inout sl_winograd_args, floats: Int, of tiles: Int) -> Int {
        args.tiles_per_block = UInt32(fewestTiles)
        let fits = sl_winograd_scratch_floats(isa, &args) <= floats
        let whole = fits ? min(sl_winograd_tiles_within(isa, &args, floats), tiles) : 0
        args.pairs_at_once = 1
        let thirds = min(sl_winograd_tiles_within(isa, &args, floats), tiles)
        let isThirds = 2 * thirds >= 3 * whole
        let most = isThirds ? thirds : whole
        // Chunks are read once, by a block of all tiles.
        let isShort = args.conv.chunks_weights ? tiles <= fewestTiles : most < 2 * fewestTiles
        let isAtOnce = isShort && sl_winograd_can_filter_at_once(isa, &args)
        args.pairs_at_once = isThirds && !isAtOnce ? 1 : UInt32(SL_WINOGRAD_PAIRS)
        return isAtOnce ? min(fewestTiles, most) : most
    }
}

/// Tiles of a block below which the algorithm is not worth it.
private let fewestTiles = Int(SL_WINOGRAD_FEWEST)

/// Bytes of the second cache of a processor; a common size where the system does not say.
private let secondCacheBytes: Int = {
    let bytes = sysconf(Int32(_SC_LEVEL2_CACHE_SIZE))
    return bytes > 0 ? bytes : 1 << 20
}()
