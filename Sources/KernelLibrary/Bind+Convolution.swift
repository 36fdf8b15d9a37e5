import CSluiceKernels
import GraphIR
import TensorMemory

extension KernelBinder {
    func bindConvolution(
        _ node: FusedNode,
        _ kernel: ConvolutionKernel,
        part number: Int,
        units: Range<Int>,
        _ operands: KernelOperands
    ) -> [KernelCall] {
        let part = kernel.parts[number]
        let chunked = operands.chunkedWeights.map { $0.pointer.assumingMemoryBound(to: Float.self) }
        guard let weights = operands.weights.map({ floats($0) }) ?? chunked else {
            preconditionFailure("weights are bound")
        }
        let unit = catalog.unitChannels(kernel.order)
        let firstChannel = units.lowerBound * unit
        let channelCount =
            kernel.projection == nil
            ? min(units.upperBound * unit, part.outputChannels) - firstChannel
            : part.outputChannels
        // Channels of the tensor that this call writes.
        let firstOutput = part.firstOutputChannel + firstChannel
        let context = ConvolutionContext(
            node: node,
            kernel: kernel,
            part: part,
            firstOutput: firstOutput,
            channelCount: channelCount,
            input: floats(operands.inputs[0]),
            residual: kernel.hasResidual ? floats(operands.inputs[1]) : nil,
            affine: kernel.inputAffine.map { bindAffine($0, kernel, operands) },
            output: floats(operands.output),
            weights: weights,
            hasChunkedWeights: chunked != nil,
            workspace: operands.workspace
        )
        if let projection = kernel.projection {
            return [
                kernel.depthwise == nil
                    ? bindFeedForward(context, projection) : bindBottleneck(context, projection)
            ]
        }
        switch kernel.algorithm {
        case .tile where kernel.depthwise != nil: return [bindExpansion(context)]
        case .tile:
            guard let regions = catalog.outputRegions(of: kernel, part: number) else {
                return [bindTile(context)]
            }
            return regions.map { bindTile(context, region: $0) }
        case .winograd: return [bindWinograd(context)]
        case .planar: return [bindPlanar(context)]
        case .depthwise: return [bindDepthwise(context)]
        case .grouped: return [bindGrouped(context)]
        }
    }

    struct ConvolutionContext {
        var node: FusedNode
        var kernel: ConvolutionKernel
        var part: ConvolutionPart
        var firstOutput: Int
        var channelCount: Int
        var input: UnsafeMutablePointer<Float>
        var residual: UnsafeMutablePointer<Float>?
        var affine: sl_input_affine?
        var output: UnsafeMutablePointer<Float>
        var weights: UnsafeMutablePointer<Float>
        var hasChunkedWeights: Bool
        var workspace: Region<DeviceSpace>?
    }

    /// Where the map's factors and offsets are.
    private func bindAffine(
        _ affine: InputAffine,
        _ kernel: ConvolutionKernel,
        _ operands: KernelOperands
    ) -> sl_input_affine {
        var place = kernel.hasResidual ? 2 : 1
        var args = sl_input_affine()
        args.is_applied = true
        args.low = affine.lower
        args.high = affine.upper
        if affine.hasScale {
            args.scale = UnsafePointer(floats(operands.inputs[place]))
            args.scale_image_stride = affine.isPerImage ? lanes : 0
            args.scale_block_stride = affine.isPerImage ? kernel.images * lanes : lanes
            place += 1
        }
        if affine.hasShift { args.shift = UnsafePointer(floats(operands.inputs[place])) }
        return args
    }

    /// Strides of a blocked tensor: channel blocks, in each the images, in each the rows.
    func blockedStrides(
        images: Int,
        height: Int,
        width: Int
    ) -> (image: Int, block: Int, row: Int) {
        let row = width * lanes
        let image = height * row
        return (image, images * image, row)
    }

    /// A region of the output, by the taps that are inside the image there.
    private func bindTile(_ context: ConvolutionContext, region: OutputRegion) -> KernelCall {
        let kernel = context.kernel
        let part = context.part
        var inner = context
        inner.part.outputHeight = region.rows.count
        inner.part.outputWidth = region.columns.count
        inner.part.originY += region.rows.lowerBound * kernel.outputStep.y
        inner.part.originX += region.columns.lowerBound * kernel.outputStep.x
        inner.part.taps = region.taps.map { index in
            Tap(
                dy: part.taps[index].dy + region.rows.lowerBound * kernel.strideHeight,
                dx: part.taps[index].dx + region.columns.lowerBound * kernel.strideWidth
            )
        }
        var args = boundTileArguments(inner)
        args.tap_index = store.keep(region.taps.map { UInt32($0) })
        args.packed_taps = UInt32(part.taps.count)
        return bindTile(inner, args)
    }

    private func bindTile(_ context: ConvolutionContext) -> KernelCall {
        bindTile(context, boundTileArguments(context))
    }

    private func bindTile(_ context: ConvolutionContext, _ bound: sl_conv_args) -> KernelCall {
        var args = bound
        if catalog.gemm == .openblas {
            let needed = sl_conv_openblas_scratch_floats(isa, &args)
            let bound = OpenBLASCall(isa: isa, args: store.keep(args))
            return KernelCall(
                runOpenBLAS,
                UnsafeRawPointer(store.keep(bound)),
                taskCount: sl_conv_task_count(isa, &args),
                scratch: scratch(context.workspace, floats: needed)
            )
        }
        let scratch = scratch(context.workspace)
        args.gather_tiles = sl_conv_gather_tiles(isa, &args, scratch?.stride ?? 0)
        args.chunks_weights = context.hasChunkedWeights
        let bound = UnsafeMutablePointer(mutating: store.keep(args))
        let taskCount = sl_conv_task_count(isa, &args)
        return KernelCall(
            isa.pointee.conv,
            UnsafeRawPointer(bound),
            taskCount: taskCount,
            scratch: scratch,
            carried: bound.pointer(to: \.carried),
            next: bound.pointer(to: \.next),
            weightStep: weightStep(context, taskCount: taskCount) {
                sl_conv_first_weight(isa, &args, $0)
            }
        )
    }

    /// Floats from the weights that a worker reads first to those of the next, where workers share the
    /// channels of an image; else 0.
    func weightStep(
        _ context: ConvolutionContext,
        taskCount: Int,
        firstWeight: (Int) -> Int
    ) -> Int {
        guard context.kernel.images == 1, taskCount >= workers else { return 0 }
        // The first task of the second worker; task 0 for one worker.
        return firstWeight((taskCount + workers - 1) / workers % taskCount)
    }

    /// The arguments of the tile kernel with all addresses.
    func boundTileArguments(_ context: ConvolutionContext) -> sl_conv_args {
        let kernel = context.kernel
        var args = tileArguments(
            kernel,
            part: context.part,
            isa: isa,
            workers: workers,
            unitChannels: context.channelCount,
            gemm: catalog.gemm
        )
        args.tap_dy = store.keep(context.part.taps.map { Int32($0.dy) })
        args.tap_dx = store.keep(context.part.taps.map { Int32($0.dx) })
        args.activation = context.node.activation.code
        if let affine = context.affine { args.affine = affine }
        args.weights = UnsafePointer(context.weights)
        if kernel.readsPixels {
            args.in_block_stride = lanes
            args.in_row_stride = kernel.channels * kernel.inputWidth
            args.in_image_stride = args.in_row_stride * kernel.inputHeight
            args.input = UnsafePointer(context.input)
        } else {
            let input = blockedStrides(
                images: kernel.images,
                height: kernel.inputHeight,
                width: kernel.inputWidth
            )
            args.in_image_stride = input.image
            args.in_block_stride = input.block
            args.in_row_stride = input.row
            args.input = UnsafePointer(
                context.input + context.part.firstInputChannel / lanes * input.block
            )
        }
        var start = 0
        if kernel.writesPixels {
            args.out_pixel_stride = kernel.outputChannels
            args.out_block_stride = lanes
            args.out_row_stride = kernel.outputChannels * kernel.outputWidth
            args.out_image_stride = args.out_row_stride * kernel.outputHeight
            args.mask_tail = true
            start = context.firstOutput
        } else {
            let output = blockedStrides(
                images: kernel.images,
                height: kernel.outputHeight,
                width: kernel.outputWidth
            )
            args.out_image_stride = output.image
            args.out_block_stride = output.block
            args.out_row_stride = output.row * kernel.outputStep.y
            args.out_pixel_stride = lanes * kernel.outputStep.x
            start =
                context.firstOutput / lanes * output.block
                + context.part.originY * output.row + context.part.originX * lanes
        }
        args.output = context.output + start
        args.residual = context.residual.map { UnsafePointer($0 + start) }
        return args
    }

    /// The workspace for the threads, each of which needs `floats` of it.
    func scratch(_ workspace: Region<DeviceSpace>?, floats: Int = 0) -> WorkerScratch? {
        WorkerScratch(workspace, workers: threads, floats: floats)
    }

    /// The arguments of the planar kernel with its input and weights.
    func boundPlanarArguments(_ context: ConvolutionContext) -> sl_conv_nchw_args {
        let kernel = context.kernel
        var args = planarArguments(kernel, part: context.part)
        let plane = kernel.inputHeight * kernel.inputWidth
        args.out_channels = UInt32(context.channelCount)
        args.input = UnsafePointer(context.input)
        args.in_row_stride = kernel.inputWidth
        args.in_plane_stride = plane
        args.in_image_stride = plane * kernel.channels
        args.weights = UnsafePointer(context.weights)
        if let affine = context.affine { args.affine = affine }
        args.activation = (kernel.depthwise?.activation ?? context.node.activation).code
        return args
    }

    private func bindPlanar(_ context: ConvolutionContext) -> KernelCall {
        let kernel = context.kernel
        var args = boundPlanarArguments(context)
        let size = kernel.storedSize
        let output = blockedStrides(
            images: kernel.images,
            height: size.height,
            width: size.width
        )
        if var pool = kernel.poolArguments {
            pool.in_row_stride = kernel.outputWidth * lanes
            args.pool = store.keep(pool)
        }
        if kernel.depthwise != nil {
            var depthwise = expansionArguments(kernel).depthwise
            depthwise.in_row_stride = kernel.outputWidth * lanes
            depthwise.out_row_stride = output.row
            depthwise.activation = context.node.activation.code
            args.depthwise = store.keep(depthwise)
        }
        if args.pool != nil || args.depthwise != nil {
            // Two tasks for each worker or more, as many for each, as long as bands are whole.
            let share = (size.height + 2 * workers - 1) / (2 * workers)
            let most = min(Int(args.rows_per_task), max(share, Int(SL_PLANAR_BAND)))
            let tasks = (size.height + most - 1) / most
            let even = (tasks + workers - 1) / workers * workers
            args.rows_per_task = UInt32((size.height + even - 1) / even)
            let room = scratch(context.workspace)?.stride ?? 0
            while sl_conv_nchw_scratch_floats(isa, &args) > room, args.rows_per_task > 1 {
                args.rows_per_task -= 1
            }
        }
        let start = context.firstOutput / lanes * output.block
        args.output = context.output + start
        args.residual = context.residual.map { UnsafePointer($0 + start) }
        args.out_image_stride = output.image
        args.out_block_stride = output.block
        args.out_row_stride = output.row
        let bound = UnsafeMutablePointer(mutating: store.keep(args))
        return KernelCall(
            isa.pointee.conv_nchw,
            UnsafeRawPointer(bound),
            taskCount: sl_conv_nchw_task_count(&args),
            scratch: scratch(
                context.workspace,
                floats: sl_conv_nchw_scratch_floats(isa, &args)
            ),
            image: bound.pointer(to: \.input)
        )
    }

    private func bindDepthwise(_ context: ConvolutionContext) -> KernelCall {
        let kernel = context.kernel
        let input = blockedStrides(
            images: kernel.images,
            height: kernel.inputHeight,
            width: kernel.inputWidth
        )
        let output = blockedStrides(
            images: kernel.images,
            height: kernel.outputHeight,
            width: kernel.outputWidth
        )
        let block = context.firstOutput / lanes
        var args = depthwiseArguments(ResultDepthwise(kernel, after: .none), of: kernel)
        args.in_h = UInt32(kernel.inputHeight)
        args.in_w = UInt32(kernel.inputWidth)
        args.blocks = UInt32(blocks(context.channelCount))
        args.input = UnsafePointer(context.input + block * input.block)
        args.in_image_stride = input.image
        args.in_block_stride = input.block
        args.in_row_stride = input.row
        args.weights = UnsafePointer(context.weights)
        args.output = context.output + block * output.block
        args.residual = context.residual.map { UnsafePointer($0 + block * output.block) }
        args.out_image_stride = output.image
        args.out_block_stride = output.block
        args.out_row_stride = output.row
        args.activation = context.node.activation.code
        args.rows_per_task = rowsPerTask(
            images: kernel.images,
            planes: Int(args.blocks),
            height: kernel.outputHeight,
            width: kernel.outputWidth
        )
        return KernelCall(
            isa.pointee.depthwise,
            UnsafeRawPointer(store.keep(args)),
            taskCount: sl_depthwise_task_count(isa, &args)
        )
    }

    /// Output rows of a task of a kernel that computes planes, blocks of channels, independently.
    ///
    /// Workers share what they shared in convolutions nearby, and find it in their caches: images, else
    /// rows of a large image, else channels of a small one.
    func rowsPerTask(images: Int, planes: Int, height: Int, width: Int) -> UInt32 {
        var pieces = 1
        if workers > 1, !images.isMultiple(of: workers) {
            if height * width > planes * lanes { pieces = workers }
            let most = max(images * planes, 1)
            while pieces * most < workers * 4 { pieces *= 2 }
        }
        return UInt32(max((height + pieces - 1) / pieces, 1))
    }

    private func bindGrouped(_ context: ConvolutionContext) -> KernelCall {
        let kernel = context.kernel
        let input = blockedStrides(
            images: kernel.images,
            height: kernel.inputHeight,
            width: kernel.inputWidth
        )
        let output = blockedStrides(
            images: kernel.images,
            height: kernel.outputHeight,
            width: kernel.outputWidth
        )
        var args = sl_grouped_args()
        args.images = UInt32(kernel.images)
        args.blocks = UInt32(blocks(context.channelCount))
        args.in_h = UInt32(kernel.inputHeight)
        args.in_w = UInt32(kernel.inputWidth)
        args.out_h = UInt32(context.part.outputHeight)
        args.out_w = UInt32(context.part.outputWidth)
        args.channels_per_group = UInt32(kernel.channels)
        args.out_channels_per_group = UInt32(kernel.outputChannels / kernel.group)
        args.first_channel = UInt32(context.firstOutput)
        args.out_channels = UInt32(kernel.outputChannels)
        args.stride_h = UInt32(kernel.strideHeight)
        args.stride_w = UInt32(kernel.strideWidth)
        args.taps = UInt32(context.part.taps.count)
        args.tap_dy = store.keep(context.part.taps.map { Int32($0.dy) })
        args.tap_dx = store.keep(context.part.taps.map { Int32($0.dx) })
        args.input = UnsafePointer(context.input)
        args.in_image_stride = input.image
        args.in_block_stride = input.block
        args.in_row_stride = input.row
        args.weights = UnsafePointer(context.weights)
        let start =
            context.firstOutput / lanes * output.block
            + context.part.originY * output.row + context.part.originX * lanes
        args.output = context.output + start
        args.residual = context.residual.map { UnsafePointer($0 + start) }
        args.out_image_stride = output.image
        args.out_block_stride = output.block
        args.out_row_stride = output.row * kernel.outputStep.y
        args.out_pixel_stride = lanes * kernel.outputStep.x
        args.activation = context.node.activation.code
        args.rows_per_task = rowsPerTask(
            images: kernel.images,
            planes: (Int(args.blocks) + 1) / 2,
            height: context.part.outputHeight,
            width: context.part.outputWidth
        )
        return KernelCall(
            isa.pointee.grouped,
            UnsafeRawPointer(store.keep(args)),
            taskCount: sl_grouped_task_count(isa, &args)
        )
    }
}

/// The shape part of the arguments of the tile kernel, and how its work is cut into tasks.
func tileArguments(
    _ kernel: ConvolutionKernel,
    part: ConvolutionPart,
    isa: UnsafePointer<sl_isa>,
    workers: Int,
    unitChannels: Int,
    gemm: GemmCore
) -> sl_conv_args {
    var args = sl_conv_args()
    args.images = UInt32(kernel.images)
    args.in_h = UInt32(kernel.inputHeight)
    args.in_w = UInt32(kernel.inputWidth)
    args.out_h = UInt32(part.outputHeight)
    args.out_w = UInt32(part.outputWidth)
    args.channels = UInt32(kernel.channels)
    args.out_channels = UInt32(unitChannels)
    args.stride_h = UInt32(kernel.strideHeight)
    args.stride_w = UInt32(kernel.strideWidth)
    args.taps = UInt32(part.taps.count)
    args.in_pixel_stride = kernel.readsPixels ? kernel.channels : Int(isa.pointee.lanes)
    args.affine.is_applied = kernel.inputAffine != nil
    args.asks_close = sl_cpu_asks_close()
    let tiling = TaskTiling(
        pixels: part.outputHeight * part.outputWidth,
        inputFloatsPerPixel: kernel.channels * kernel.strideHeight * kernel.strideWidth,
        panels: (unitChannels + Int(isa.pointee.panel) - 1) / Int(isa.pointee.panel),
        weightFloatsPerPanel: part.taps.count * kernel.channels * Int(isa.pointee.panel),
        images: kernel.images,
        tilePixels: Int(isa.pointee.tile_pixels),
        workers: workers,
        isGathered: part.taps.count > 1 || kernel.strideHeight * kernel.strideWidth > 1
            || kernel.inputAffine != nil,
        tileMultiple: gemm == .openblas ? Int(SL_OPENBLAS_CELL) : 1
    )
    args.tiles_per_task = UInt32(tiling.tiles)
    args.panels_per_task = UInt32(tiling.panels)
    return args
}

/// The shape part of the arguments of the planar kernel.
func planarArguments(_ kernel: ConvolutionKernel, part: ConvolutionPart) -> sl_conv_nchw_args {
    var args = sl_conv_nchw_args()
    args.images = UInt32(kernel.images)
    args.in_h = UInt32(kernel.inputHeight)
    args.in_w = UInt32(kernel.inputWidth)
    args.out_h = UInt32(kernel.outputHeight)
    args.out_w = UInt32(kernel.outputWidth)
    args.channels = UInt32(kernel.channels)
    args.out_channels = UInt32(part.outputChannels)
    args.kernel_h = UInt32(kernel.kernelHeight)
    args.kernel_w = UInt32(kernel.kernelWidth)
    args.stride_h = UInt32(kernel.strideHeight)
    args.stride_w = UInt32(kernel.strideWidth)
    args.dilation_h = UInt32(kernel.dilationHeight)
    args.dilation_w = UInt32(kernel.dilationWidth)
    args.pad_top = Int32(kernel.padTop)
    args.pad_left = Int32(kernel.padLeft)
    args.rows_per_task = planarRows(kernel)
    return args
}

/// Calls `body` with the shape part of the arguments of the planar kernel and of what follows it.
func withPlanarArguments<Result>(
    _ kernel: ConvolutionKernel,
    _ body: (inout sl_conv_nchw_args) -> Result
) -> Result {
    var args = planarArguments(kernel, part: kernel.parts[0])
    return withUnsafePointer(to: kernel.poolArguments ?? sl_pool_args()) { pool in
        withUnsafePointer(to: expansionArguments(kernel).depthwise) { depthwise in
            if kernel.pool != nil { args.pool = pool }
            if kernel.depthwise != nil { args.depthwise = depthwise }
            return body(&args)
        }
    }
}

extension ConvolutionKernel {
    /// The size of what is stored: of the result, or of what is made of it at once.
    var storedSize: (height: Int, width: Int) {
        if let pool { return (pool.height, pool.width) }
        if let depthwise { return (depthwise.part.outputHeight, depthwise.part.outputWidth) }
        return (outputHeight, outputWidth)
    }

    /// The windows of the pool over the result.
    var poolArguments: sl_pool_args? {
        pool.map { pool in
            KernelLibrary.poolArguments(
                pool.kernel,
                input: (outputHeight, outputWidth),
                output: (pool.height, pool.width)
            )
        }
    }
}

/// Output rows of a task of the planar kernel: as many as keep its padded input rows in the first
/// cache, so that the scratch depends on the shape alone.
///
/// With a pool or a depthwise convolution, as many as keep them in the second: rows under the windows
/// of two tasks are computed twice.
private func planarRows(_ kernel: ConvolutionKernel) -> UInt32 {
    let rowBytes = 4 * kernel.channels * kernel.strideHeight * (kernel.inputWidth + 16)
    if let stride = kernel.pool?.kernel.strides[0] ?? kernel.depthwise?.strideHeight {
        let rows = (192 << 10) / max(rowBytes * stride, 1)
        return UInt32(max(1, min(rows, 16, kernel.storedSize.height)))
    }
    let rows = (24 << 10) / max(rowBytes, 1)
    return UInt32(max(1, min(rows, 8, kernel.outputHeight)))
}

/// How the grid of a tile kernel is cut into tasks.
///
/// Bits do not depend on it. Workers share what there is more of. Where that is input, each task has
/// pixels whose input stays in a core's cache, and all panels pass over them. Where it is weights,
/// each task has panels, and every weight is read by one worker.
struct TaskTiling {
    /// The most tiles of a task.
    var tiles: Int
    /// The most panels of a task.
    var panels: Int

    /// Bytes of input that a task should keep in a core's cache.
    private static let cachedInput = 160 << 10
    /// Fewer tiles wait for the weights that pass over them.
    private static let fewestTiles = 4

    init(
        pixels: Int,
        inputFloatsPerPixel: Int,
        panels panelCount: Int,
        weightFloatsPerPanel: Int,
        images: Int,
        tilePixels: Int,
        workers: Int,
        isGathered: Bool = false,
        tileMultiple: Int = 1
    ) {
        // A batch may have no image.
        let images = max(images, 1)
        let tileCount = max(1, (pixels + tilePixels - 1) / tilePixels)
        let tileFloats = max(1, tilePixels * inputFloatsPerPixel)
        let cached = max(Self.fewestTiles, Self.cachedInput / 4 / tileFloats)
        var groups = (tileCount + cached - 1) / cached
        var cuts = 1
        if workers > 1 {
            if panelCount * weightFloatsPerPanel > tileCount * tileFloats {
                groups = 1
                cuts = Self.evenCount(workers, of: images, workers: workers)
                // Few panels are not the same share for all: workers share the pixels of one, too.
                let isUneven = cuts > 1 && !panelCount.isMultiple(of: cuts)
                // That costs more than it evens out for all but a few where each gathers its input or
                // has few tiles.
                let few = isGathered ? 2 : tileCount < Self.fewestTiles * workers ? 4 : 8
                let mayShare = panelCount < few * workers
                if isUneven, mayShare, tileCount >= workers {
                    groups = workers
                    cuts = panelCount
                }
            } else {
                let most = max(groups, tileCount / Self.fewestTiles)
                let wanted = max(groups, (3 * workers + images - 1) / images)
                groups = min(
                    Self.evenCount(min(wanted, most) * images, of: images, workers: workers),
                    tileCount
                )
                let tasks = images * groups
                cuts = tasks >= 2 * workers ? 1 : (3 * workers + tasks - 1) / tasks
            }
        }
        panels = max(1, (panelCount + cuts - 1) / cuts)
        // The OpenBLAS core computes whole cells of several tiles.
        let perTask = (tileCount + groups - 1) / groups
        tiles = min(tileCount, (perTask + tileMultiple - 1) / tileMultiple * tileMultiple)
    }

    /// Pieces to cut each image into for at least `tasks` tasks, so that all workers get as many.
    private static func evenCount(_ tasks: Int, of images: Int, workers: Int) -> Int {
        var pieces = (tasks + images - 1) / images
        while pieces * images % workers != 0 { pieces += 1 }
        return pieces
    }
}

/// A tile-kernel call whose products OpenBLAS computes.
struct OpenBLASCall {
    var isa: UnsafePointer<sl_isa>
    var args: UnsafePointer<sl_conv_args>
}

private let runOpenBLAS: KernelCall.Function = { arguments, task, scratch in
    let call = arguments.assumingMemoryBound(to: OpenBLASCall.self).pointee
    guard let scratch else { preconditionFailure("the OpenBLAS core has scratch") }
    sl_conv_openblas(call.isa, call.args, task, scratch)
}
