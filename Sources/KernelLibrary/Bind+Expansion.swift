import CSluiceKernels
import GraphIR
import TensorMemory

extension KernelBinder {
    /// A pointwise convolution and the depthwise one of its result.
    func bindExpansion(_ context: ConvolutionContext) -> KernelCall {
        let kernel = context.kernel
        guard let depthwise = kernel.depthwise else {
            preconditionFailure("an expansion has a depthwise convolution")
        }
        var args = expansionArguments(kernel)
        args.conv = boundTileArguments(context)
        args.conv.activation = depthwise.activation.code
        args.conv.residual = nil
        let output = blockedStrides(
            images: kernel.images,
            height: depthwise.part.outputHeight,
            width: depthwise.part.outputWidth
        )
        args.depthwise.blocks = UInt32(blocks(context.channelCount))
        args.depthwise.in_row_stride = kernel.outputWidth * lanes
        args.depthwise.output = context.output + context.firstOutput / lanes * output.block
        args.depthwise.out_image_stride = output.image
        args.depthwise.out_block_stride = output.block
        args.depthwise.out_row_stride = output.row
        args.depthwise.activation = context.node.activation.code
        let panels = (Int(args.depthwise.blocks) + 1) / 2
        let rows = depthwise.part.outputHeight
        if args.depthwise.kernel_h == 1 {
            let shared = rowsPerTask(
                images: kernel.images,
                planes: panels,
                height: rows,
                width: depthwise.part.outputWidth
            )
            // No row is computed twice, so all panels can follow one another on rows that stay close.
            let rowFloats = kernel.channels * kernel.inputWidth * Int(args.depthwise.stride_h)
            let close = max(Int(isa.pointee.pass_floats) / rowFloats, 1)
            args.depthwise.rows_per_task = min(shared, UInt32(close))
        } else {
            args.depthwise.rows_per_task = rowsForLeastWork(args, panels: panels)
        }
        let bound = UnsafeMutablePointer(mutating: store.keep(args))
        let taskCount = sl_expansion_task_count(isa, &args)
        return KernelCall(
            isa.pointee.expansion,
            UnsafeRawPointer(bound),
            taskCount: taskCount,
            scratch: scratch(
                context.workspace,
                floats: sl_expansion_scratch_floats(isa, &args)
            ),
            next: bound.pointer(to: \.conv.next),
            weightStep: weightStep(context, taskCount: taskCount) {
                sl_expansion_first_weight(isa, &args, $0)
            }
        )
    }
}

extension KernelBinder {
    /// Output rows of a task of the expansion kernel with which the worker that has most to do has least.
    ///
    /// Rows of the pointwise convolution under two tasks are computed twice, so panels are cut into pieces
    /// of rows only where workers could not share them evenly.
    private func rowsForLeastWork(_ args: sl_expansion_args, panels: Int) -> UInt32 {
        let depthwise = args.depthwise
        let reach = (depthwise.kernel_h - 1) * depthwise.dilation_h + 1
        let convolved = Int(depthwise.in_w) * Int(args.conv.channels)
        let filtered = Int(depthwise.out_w) * Int(depthwise.kernel_h * depthwise.kernel_w)
        func work(rows: UInt32) -> Int {
            let pieces = Int((depthwise.out_h + rows - 1) / rows)
            let tasks = (Int(depthwise.images) * panels * pieces + workers - 1) / workers
            let needed = min((rows - 1) * depthwise.stride_h + reach, depthwise.in_h)
            return tasks * (Int(needed) * convolved + Int(rows) * filtered)
        }
        var best = max(depthwise.out_h, 1)
        for pieces in 2..<max(depthwise.out_h, 2) {
            let rows = (depthwise.out_h + pieces - 1) / pieces
            if work(rows: rows) < work(rows: best) { best = rows }
        }
        return best
    }
}

/// The shape part of the arguments of the expansion kernel that its scratch depends on.
func expansionArguments(_ kernel: ConvolutionKernel) -> sl_expansion_args {
    var args = sl_expansion_args()
    if let depthwise = kernel.depthwise {
        args.depthwise = depthwiseArguments(depthwise, of: kernel)
        args.depthwise.in_h = UInt32(kernel.outputHeight)
        args.depthwise.in_w = UInt32(kernel.outputWidth)
        args.depthwise.rows_per_task = args.depthwise.out_h
    }
    return args
}

/// The windows of a depthwise convolution of as many images as `kernel` has.
func depthwiseArguments(
    _ depthwise: ResultDepthwise,
    of kernel: ConvolutionKernel
) -> sl_depthwise_args {
    var args = sl_depthwise_args()
    args.images = UInt32(kernel.images)
    args.out_h = UInt32(depthwise.part.outputHeight)
    args.out_w = UInt32(depthwise.part.outputWidth)
    args.kernel_h = UInt32(depthwise.kernelHeight)
    args.kernel_w = UInt32(depthwise.kernelWidth)
    args.stride_h = UInt32(depthwise.strideHeight)
    args.stride_w = UInt32(depthwise.strideWidth)
    args.dilation_h = UInt32(depthwise.dilationHeight)
    args.dilation_w = UInt32(depthwise.dilationWidth)
    args.pad_top = Int32(depthwise.padTop)
    args.pad_left = Int32(depthwise.padLeft)
    return args
}
