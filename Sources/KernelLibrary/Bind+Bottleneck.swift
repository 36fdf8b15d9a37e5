import CSluiceKernels
import GraphIR
import TensorMemory

extension KernelBinder {
    /// A convolution that widens the image, the depthwise one of its result and the projection of that.
    func bindBottleneck(
        _ context: ConvolutionContext,
        _ projection: ResultProjection
    ) -> KernelCall {
        let kernel = context.kernel
        var args = bottleneckArguments(kernel, lanes: lanes)
        let floats = kernel.packedWeights(of: 0).map { catalog.packedByteCount(of: $0) / 4 }
        var image: UnsafeMutablePointer<UnsafePointer<Float>?>?
        if kernel.algorithm == .planar {
            let planar = UnsafeMutablePointer(mutating: store.keep(boundPlanarArguments(context)))
            image = planar.pointer(to: \.input)
            args.planar = UnsafePointer(planar)
        } else {
            var pointwise = boundTileArguments(context)
            pointwise.activation = (kernel.depthwise?.activation ?? .none).code
            pointwise.residual = nil
            args.pointwise = store.keep(pointwise)
        }
        args.depthwise.weights = UnsafePointer(context.weights + floats[0])
        args.depthwise.activation = projection.activation.code
        args.depthwise.in_row_stride = kernel.outputWidth * lanes
        args.depthwise.out_row_stride = projection.part.outputWidth * lanes

        let output = blockedStrides(
            images: kernel.images,
            height: projection.part.outputHeight,
            width: projection.part.outputWidth
        )
        args.project.tap_dy = store.keep([Int32(0)])
        args.project.tap_dx = args.project.tap_dy
        args.project.weights = UnsafePointer(context.weights + floats[0] + floats[1])
        args.project.residual = context.residual.map { UnsafePointer($0) }
        args.project.output = context.output
        args.project.out_image_stride = output.image
        args.project.out_block_stride = output.block
        args.project.out_row_stride = output.row
        args.project.out_pixel_stride = lanes
        args.project.activation = context.node.activation.code

        // As few tasks as are even: rows of the wide image under two of them are computed twice.
        let pieces = kernel.images.isMultiple(of: workers) ? 1 : workers
        args.rows_per_task = UInt32(
            max(
                (projection.part.outputHeight + pieces - 1) / pieces,
                min(4, Int(args.rows_per_task))
            )
        )
        let room = scratch(context.workspace)?.stride ?? 0
        while sl_bottleneck_scratch_floats(isa, &args) > room, args.rows_per_band > 1 {
            args.rows_per_band -= 1
        }
        let bound = UnsafeMutablePointer(mutating: store.keep(args))
        return KernelCall(
            isa.pointee.bottleneck,
            UnsafeRawPointer(bound),
            taskCount: sl_bottleneck_task_count(&args),
            scratch: scratch(
                context.workspace,
                floats: sl_bottleneck_scratch_floats(isa, &args)
            ),
            next: bound.pointer(to: \.project.next),
            image: image
        )
    }
}

extension NativeCatalog {
    /// Bands of the two wide results: as many rows as stay in a part of the second cache, at least one.
    func bottleneckWorkspace(_ kernel: ConvolutionKernel) -> WorkspaceNeed {
        var args = bottleneckArguments(kernel, lanes: lanes)
        let byteCount = { (planar: UnsafePointer<sl_conv_nchw_args>?, rows: UInt32) in
            args.planar = planar
            args.rows_per_band = min(args.rows_per_band, rows)
            return sl_bottleneck_scratch_floats(set.table, &args) * 4
        }
        guard kernel.algorithm == .planar else {
            let best = byteCount(nil, .max)
            return WorkspaceNeed(least: byteCount(nil, 1), best: best)
        }
        return withUnsafePointer(to: planarArguments(kernel, part: kernel.parts[0])) { planar in
            let best = byteCount(planar, .max)
            return WorkspaceNeed(least: byteCount(planar, 1), best: best)
        }
    }
}

/// The shape part of the arguments of the bottleneck kernel, without what it starts with.
private func bottleneckArguments(_ kernel: ConvolutionKernel, lanes: Int) -> sl_bottleneck_args {
    var args = sl_bottleneck_args()
    guard let projection = kernel.projection else { return args }
    args.depthwise = expansionArguments(kernel).depthwise
    args.depthwise.blocks = UInt32((kernel.outputChannels + lanes - 1) / lanes)
    args.project.images = UInt32(kernel.images)
    args.project.in_h = UInt32(projection.part.outputHeight)
    args.project.in_w = UInt32(projection.part.outputWidth)
    args.project.out_h = args.project.in_h
    args.project.out_w = args.project.in_w
    args.project.channels = UInt32(kernel.outputChannels)
    args.project.out_channels = UInt32(projection.part.outputChannels)
    args.project.stride_h = 1
    args.project.stride_w = 1
    args.project.taps = 1
    args.rows_per_task = args.project.out_h

    // Floats of a channel block of the wide rows under one row, and of each row more.
    let cacheFloats = 80 << 10
    let (wide, deep) = (Int(args.depthwise.in_w) * lanes, Int(args.depthwise.out_w) * lanes)
    let reach = (Int(args.depthwise.kernel_h) - 1) * Int(args.depthwise.dilation_h) + 1
    let fit = cacheFloats / Int(args.depthwise.blocks) - reach * wide - deep
    let next = Int(args.depthwise.stride_h) * wide + deep
    args.rows_per_band = UInt32(1 + max(fit, 0) / next)
    return args
}
