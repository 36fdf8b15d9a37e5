import CSluiceKernels
import GraphIR
import TensorMemory

/// Pools, layouts, resizing, products at run time, and kernels over rows.
extension KernelBinder {
    private func plane(_ id: ValueID) -> Int { shape(id)[2...].reduce(1, *) }

    func bindPool(
        _ node: FusedNode,
        _ pool: PoolKernel,
        _ operands: KernelOperands
    ) -> [KernelCall] {
        let input = shape(node.inputs[0])
        let output = shape(node.output)
        var args = poolArguments(
            pool,
            input: (input[2], input[3]),
            output: (output[2], output[3])
        )
        args.images = UInt32(input[0])
        args.blocks = UInt32(blocks(input[1]))
        args.input = UnsafePointer(floats(operands.inputs[0]))
        let from = blockedStrides(images: input[0], height: input[2], width: input[3])
        args.in_row_stride = from.row
        args.in_block_stride = from.block
        args.in_image_stride = from.image
        args.output = floats(operands.output)
        let to = blockedStrides(images: input[0], height: output[2], width: output[3])
        args.out_row_stride = to.row
        args.out_block_stride = to.block
        args.out_image_stride = to.image
        args.activation = node.activation.code
        args.rows_per_task = rowsPerTask(
            images: input[0],
            planes: blocks(input[1]),
            height: output[2],
            width: output[3]
        )
        return [
            KernelCall(
                isa.pointee.pool,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_pool_task_count(isa, &args)
            )
        ]
    }

    func bindGlobalPool(
        _ node: FusedNode,
        isAverage: Bool,
        _ operands: KernelOperands
    ) -> [KernelCall] {
        let input = shape(node.inputs[0])
        var args = sl_global_pool_args()
        args.images = UInt32(input[0])
        args.blocks = UInt32(blocks(input[1]))
        args.pixels = plane(node.inputs[0])
        args.is_average = isAverage
        args.input = UnsafePointer(floats(operands.inputs[0]))
        let from = blockedStrides(images: input[0], height: args.pixels, width: 1)
        args.in_block_stride = from.block
        args.in_image_stride = from.image
        args.output = floats(operands.output)
        let to = blockedStrides(images: input[0], height: 1, width: 1)
        args.out_block_stride = to.block
        args.out_image_stride = to.image
        args.activation = node.activation.code
        return [
            KernelCall(
                isa.pointee.global_pool,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_global_pool_task_count(isa, &args)
            )
        ]
    }

    func bindLayout(
        _ node: FusedNode,
        toBlocked: Bool,
        channelsLast: Bool,
        _ operands: KernelOperands
    ) -> [KernelCall] {
        let image = toBlocked ? node.output : node.inputs[0]
        let shape = shape(image)
        let pixels = plane(image)
        let dense = shape[1] * pixels
        let blocked = blockedStrides(images: shape[0], height: pixels, width: 1)
        var args = sl_layout_args()
        args.images = UInt32(shape[0])
        args.channels = UInt32(shape[1])
        args.pixels = pixels
        args.to_blocked = toBlocked
        args.channels_last = channelsLast
        args.input = UnsafePointer(floats(operands.inputs[0]))
        args.in_image_stride = toBlocked ? dense : blocked.image
        args.output = floats(operands.output)
        args.out_image_stride = toBlocked ? blocked.image : dense
        args.block_stride = blocked.block
        args.pixels_per_task = pixelsPerTask(shape)
        return [
            KernelCall(
                isa.pointee.layout,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_layout_task_count(isa, &args)
            )
        ]
    }

    func bindChannels(
        _ node: FusedNode,
        _ sources: [ChannelSource],
        _ operands: KernelOperands
    ) -> [KernelCall] {
        let shape = shape(node.output)
        let pixels = plane(node.output)
        var args = sl_channels_args()
        args.images = UInt32(shape[0])
        args.channels = UInt32(shape[1])
        args.pixels = pixels
        args.sources = store.keep(
            sources.map {
                sl_channel_source(input: UInt32($0.input), channel: UInt32($0.channel))
            }
        )
        args.inputs = store.keep(
            operands.inputs.map { Optional(UnsafePointer(floats($0))) }
        )
        args.output = floats(operands.output)
        let blocked = blockedStrides(images: shape[0], height: pixels, width: 1)
        args.image_stride = blocked.image
        args.block_stride = blocked.block
        args.pixels_per_task = pixelsPerTask(shape)
        return [
            KernelCall(
                isa.pointee.channels,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_channels_task_count(isa, &args)
            )
        ]
    }

    /// Pixels of one channel block in a task: rows as convolutions share them, in whole squares of
    /// pixels and channels.
    private func pixelsPerTask(_ shape: [Int]) -> Int {
        let width = shape[3...].reduce(1, *)
        let rows = rowsPerTask(
            images: shape[0],
            planes: blocks(shape[1]),
            height: shape[2],
            width: width
        )
        return max((Int(rows) * width + lanes - 1) / lanes, 1) * lanes
    }

    // MARK: Products of two activations

    func bindPacking(_ packing: MatrixPacking, _ operands: KernelOperands) -> [KernelCall] {
        let matrixFloats =
            catalog.packedByteCount(
                order: .blocked,
                outputChannels: packing.n,
                channels: packing.k,
                taps: 1
            ) / 4
        return packing.source.offsets.enumerated().map { index, offset in
            var args = sl_pack_matrix_args()
            args.k = UInt32(packing.k)
            args.n = UInt32(packing.n)
            args.source = UnsafePointer(floats(operands.inputs[0]) + offset)
            args.k_stride = packing.source.rowStride
            args.n_stride = packing.source.columnStride
            args.scale = packing.scale
            args.target = floats(operands.output) + index * matrixFloats
            return KernelCall(
                isa.pointee.pack_matrix,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_pack_matrix_task_count(isa, &args)
            )
        }
    }

    func bindProduct(
        _ node: FusedNode,
        _ product: ProductKernel,
        _ operands: KernelOperands
    ) -> [KernelCall] {
        let matrixFloats =
            catalog.packedByteCount(
                order: .blocked,
                outputChannels: product.n,
                channels: product.k,
                taps: 1
            ) / 4
        let zero = store.keep([Int32(0)])
        return product.bIndex.indices.map { index in
            var args = sl_conv_args()
            args.images = 1
            args.in_h = 1
            args.in_w = UInt32(product.m)
            args.out_h = 1
            args.out_w = UInt32(product.m)
            args.channels = UInt32(product.k)
            args.out_channels = UInt32(product.n)
            args.stride_h = 1
            args.stride_w = 1
            args.taps = 1
            args.tap_dy = zero
            args.tap_dx = zero
            args.input = UnsafePointer(
                floats(operands.inputs[0]) + product.a.offsets[index]
            )
            args.in_pixel_stride = product.a.rowStride
            args.in_block_stride = lanes
            args.in_row_stride = product.m * product.a.rowStride
            args.in_image_stride = args.in_row_stride
            args.weights = UnsafePointer(
                floats(operands.inputs[1]) + product.bIndex[index] * matrixFloats
            )
            args.output = floats(operands.output) + product.result.offsets[index]
            args.out_pixel_stride = product.result.rowStride
            args.out_block_stride = lanes
            args.out_row_stride = product.m * product.result.rowStride
            args.out_image_stride = args.out_row_stride
            args.mask_tail = true
            args.activation = node.activation.code
            let tiling = TaskTiling(
                pixels: product.m,
                inputFloatsPerPixel: product.k,
                panels: (product.n + catalog.panelChannels - 1) / catalog.panelChannels,
                weightFloatsPerPanel: product.k * catalog.panelChannels,
                images: product.bIndex.count,
                tilePixels: catalog.set.tilePixels,
                workers: workers
            )
            args.tiles_per_task = UInt32(tiling.tiles)
            args.panels_per_task = UInt32(tiling.panels)
            return KernelCall(
                isa.pointee.conv,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_conv_task_count(isa, &args)
            )
        }
    }

    // MARK: Rows

    func bindRows(_ node: FusedNode, _ operands: KernelOperands) -> [KernelCall] {
        switch node.kernel {
        case .softmax(let outer, let axisSize, let inner):
            var args = sl_softmax_args()
            args.outer = outer
            args.axis_size = axisSize
            args.inner = inner
            args.input = UnsafePointer(floats(operands.inputs[0]))
            args.output = floats(operands.output)
            args.rows_per_task = share(outer * inner, minimum: max(1, 4096 / max(axisSize, 1)))
            return [
                KernelCall(
                    isa.pointee.softmax,
                    UnsafeRawPointer(store.keep(args)),
                    taskCount: sl_softmax_task_count(isa, &args)
                )
            ]
        case .normalize(let rows, let size, let epsilon, let hasScale, let hasShift):
            var args = sl_normalize_args()
            (args.rows, args.size, args.epsilon) = (rows, size, epsilon)
            args.input = UnsafePointer(floats(operands.inputs[0]))
            if hasScale { args.scale = UnsafePointer(floats(operands.inputs[1])) }
            if hasShift {
                args.shift = UnsafePointer(floats(operands.inputs[hasScale ? 2 : 1]))
            }
            args.output = floats(operands.output)
            args.rows_per_task = share(rows, minimum: max(1, 4096 / max(size, 1)))
            return [
                KernelCall(
                    isa.pointee.normalize,
                    UnsafeRawPointer(store.keep(args)),
                    taskCount: sl_normalize_task_count(isa, &args)
                )
            ]
        case .reduce(let kind, let outer, let axisSize, let inner):
            var args = sl_reduce_args()
            args.kind = kind.code
            args.outer = outer
            args.axis_size = axisSize
            args.inner = inner
            args.input = UnsafePointer(floats(operands.inputs[0]))
            args.output = floats(operands.output)
            args.rows_per_task = share(outer * inner, minimum: max(1, 4096 / max(axisSize, 1)))
            return [
                KernelCall(
                    isa.pointee.reduce,
                    UnsafeRawPointer(store.keep(args)),
                    taskCount: sl_reduce_task_count(isa, &args)
                )
            ]
        case .gather(let outer, let axisSize, let indexCount, let innerElements):
            var args = sl_gather_args()
            args.outer = outer
            args.axis_size = axisSize
            args.index_count = indexCount
            args.inner_bytes = innerElements * graph[node.output].type.dtype.byteCount
            args.input = UnsafeRawPointer(operands.inputs[0].pointer)
            args.indices = UnsafeRawPointer(operands.inputs[1].pointer)
            args.indices_are_64_bit = graph[node.inputs[1]].type.dtype == .int64
            args.output = operands.output.pointer
            return [
                KernelCall(
                    isa.pointee.gather,
                    UnsafeRawPointer(store.keep(args)),
                    taskCount: sl_gather_task_count(isa, &args)
                )
            ]
        case .cast:
            var args = sl_cast_args()
            args.count = graph[node.output].type.elementCount
            args.from = graph[node.inputs[0]].type.dtype.code
            args.to = graph[node.output].type.dtype.code
            args.input = UnsafeRawPointer(operands.inputs[0].pointer)
            args.output = operands.output.pointer
            args.elements_per_task = share(args.count, minimum: 8192)
            return [
                KernelCall(
                    isa.pointee.cast,
                    UnsafeRawPointer(store.keep(args)),
                    taskCount: sl_cast_task_count(isa, &args)
                )
            ]
        case .resize(let resize):
            return [bindResize(node, resize, operands)]
        case .localResponseNormalization(let size, let alpha, let beta, let bias):
            let input = shape(node.inputs[0])
            var args = sl_lrn_args()
            args.images = input[0]
            args.channels = input[1]
            args.pixels = input.dropFirst(2).reduce(1, *)
            args.size = UInt32(size)
            args.alpha = alpha
            args.beta = beta
            args.bias = bias
            args.input = UnsafePointer(floats(operands.inputs[0]))
            args.output = floats(operands.output)
            args.pixels_per_task = share(args.pixels, minimum: 64)
            return [
                KernelCall(
                    isa.pointee.lrn,
                    UnsafeRawPointer(store.keep(args)),
                    taskCount: sl_lrn_task_count(isa, &args)
                )
            ]
        default:
            preconditionFailure("not a kernel over rows")
        }
    }

    private func bindResize(
        _ node: FusedNode,
        _ resize: ResizeKernel,
        _ operands: KernelOperands
    ) -> KernelCall {
        let input = shape(node.inputs[0])
        let output = shape(node.output)
        let isBlocked = graph[node.output].layout == .blocked
        let pixel = isBlocked ? lanes : 1
        var args = sl_resize_args()
        args.planes = input[0] * (isBlocked ? blocks(input[1]) : input[1])
        args.in_h = UInt32(input[2])
        args.in_w = UInt32(input[3])
        args.out_h = UInt32(output[2])
        args.out_w = UInt32(output[3])
        args.is_blocked = isBlocked
        args.taps_h = UInt32(resize.rows.taps)
        args.taps_w = UInt32(resize.columns.taps)
        args.row_index = store.keep(resize.rows.indices)
        args.row_weight = store.keep(resize.rows.weights)
        args.column_index = store.keep(resize.columns.indices)
        args.column_weight = store.keep(resize.columns.weights)
        args.extrapolation = resize.extrapolation
        args.input = UnsafePointer(floats(operands.inputs[0]))
        args.in_plane_stride = input[2] * input[3] * pixel
        args.output = floats(operands.output)
        args.out_plane_stride = output[2] * output[3] * pixel
        args.activation = node.activation.code
        args.rows_per_task = rowsPerTask(
            images: input[0],
            planes: args.planes / max(input[0], 1),
            height: output[2],
            width: output[3]
        )
        return KernelCall(
            isa.pointee.resize,
            UnsafeRawPointer(store.keep(args)),
            taskCount: sl_resize_task_count(isa, &args)
        )
    }
}

extension ReductionKind {
    var code: sl_reduce_kind {
        switch self {
        case .sum: SL_REDUCE_SUM
        case .mean: SL_REDUCE_MEAN
        case .minimum: SL_REDUCE_MINIMUM
        case .maximum: SL_REDUCE_MAXIMUM
        case .product: SL_REDUCE_PRODUCT
        case .l1: SL_REDUCE_L1
        case .l2: SL_REDUCE_L2
        case .sumOfSquares: SL_REDUCE_SUM_SQUARES
        case .logSum: SL_REDUCE_LOG_SUM
        case .logSumExp: SL_REDUCE_LOG_SUM_EXP
        }
    }
}

/// The windows of a pool over planes of a size.
func poolArguments(
    _ pool: PoolKernel,
    input: (height: Int, width: Int),
    output: (height: Int, width: Int)
) -> sl_pool_args {
    var args = sl_pool_args()
    args.in_h = UInt32(input.height)
    args.in_w = UInt32(input.width)
    args.out_h = UInt32(output.height)
    args.out_w = UInt32(output.width)
    args.kernel_h = UInt32(pool.kernel[0])
    args.kernel_w = UInt32(pool.kernel[1])
    args.stride_h = UInt32(pool.strides[0])
    args.stride_w = UInt32(pool.strides[1])
    args.dilation_h = UInt32(pool.dilations[0])
    args.dilation_w = UInt32(pool.dilations[1])
    args.pad_top = Int32(pool.padBegin[0])
    args.pad_left = Int32(pool.padBegin[1])
    args.pad_bottom = Int32(pool.padEnd[0])
    args.pad_right = Int32(pool.padEnd[1])
    args.is_average = pool.isAverage
    args.count_includes_padding = pool.countsPadding
    return args
}
