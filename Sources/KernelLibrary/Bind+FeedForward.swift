import CSluiceKernels
import GraphIR
import TensorMemory

extension KernelBinder {
    /// A pointwise convolution and the one that alone reads its wide result.
    func bindFeedForward(
        _ context: ConvolutionContext,
        _ projection: ResultProjection
    ) -> KernelCall {
        let kernel = context.kernel
        let channels = projection.part.outputChannels
        var args = sl_feed_forward_args()
        args.widen = boundTileArguments(context)
        args.widen.residual = nil
        args.widen.activation = projection.activation.code
        // Pixels of all images follow one another.
        args.widen.images = 1
        (args.widen.in_h, args.widen.out_h) = (1, 1)
        args.widen.in_w = UInt32(kernel.pixelCount)
        args.widen.out_w = args.widen.in_w

        args.narrow = args.widen
        args.narrow.channels = UInt32(kernel.outputChannels)
        args.narrow.out_channels = UInt32(channels)
        let floats = catalog.packedByteCount(of: kernel.packedWeights(of: 0)[0]) / 4
        args.narrow.weights = UnsafePointer(context.weights + floats)
        args.narrow.activation = context.node.activation.code
        args.narrow.residual = context.residual.map { UnsafePointer($0) }
        args.narrow.output = context.output
        args.narrow.mask_tail = kernel.writesPixels
        args.narrow.out_pixel_stride = kernel.writesPixels ? channels : lanes
        args.narrow.out_block_stride =
            kernel.writesPixels ? lanes : kernel.pixelCount * lanes
        args.narrow.out_row_stride = kernel.pixelCount * args.narrow.out_pixel_stride

        let scratch = scratch(context.workspace)
        let band = min(
            (scratch?.stride ?? 0) / kernel.wideFloats(lanes: lanes),
            catalog.feedForwardBand(kernel)
        )
        precondition(band > 0, "the workspace holds a band")
        // Workers get as many bands each.
        let bands = (kernel.pixelCount + band - 1) / band
        let shared = (bands + workers - 1) / workers * workers
        args.bands = UInt32(shared <= kernel.pixelCount / 2 ? shared : bands)
        let bound = UnsafeMutablePointer(mutating: store.keep(args))
        return KernelCall(
            isa.pointee.feed_forward,
            UnsafeRawPointer(bound),
            taskCount: sl_feed_forward_task_count(&args),
            scratch: scratch,
            next: bound.pointer(to: \.narrow.next)
        )
    }
}

extension NativeCatalog {
    /// A band of the wide result; at least one tile of pixels.
    func feedForwardWorkspace(_ kernel: ConvolutionKernel) -> WorkspaceNeed {
        let pixelBytes = kernel.wideFloats(lanes: lanes) * 4
        return WorkspaceNeed(
            least: min(kernel.pixelCount, self.set.tilePixels) * pixelBytes,
            best: feedForwardBand(kernel) * pixelBytes
        )
    }

    /// Pixels of a band whose wide result stays in a part of the second cache.
    fileprivate func feedForwardBand(_ kernel: ConvolutionKernel) -> Int {
        let cacheFloats = 64 << 10
        return min(
            kernel.pixelCount,
            max(self.set.tilePixels, cacheFloats / kernel.wideFloats(lanes: lanes))
        )
    }
}

extension ConvolutionKernel {
    /// Output pixels of all images.
    fileprivate var pixelCount: Int { images * outputHeight * outputWidth }

    /// Floats of a pixel of the result in whole vectors.
    fileprivate func wideFloats(lanes: Int) -> Int {
        (outputChannels + lanes - 1) / lanes * lanes
    }
}
