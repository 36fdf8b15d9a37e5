import CSluiceKernels
import Testing

/// Sizes of a convolution other than the tile kernel's, and the tensors it works on.
struct WindowCase {
    var images: Int
    var inHeight: Int, inWidth: Int
    var outHeight: Int, outWidth: Int
    var kernelHeight: Int, kernelWidth: Int
    var strideHeight: Int, strideWidth: Int
    var dilationHeight: Int, dilationWidth: Int
    var padTop: Int, padLeft: Int
    var channelsPerGroup: Int, outChannelsPerGroup: Int, groups: Int
    let lanes: Int
    let activation: sl_activation
    let weights: [Float]
    let bias: [Float]
    let pixels: [Float]  // [image][channel][row][column]
    let residual: ConvBuffer?

    var channels: Int { groups * channelsPerGroup }
    var outChannels: Int { groups * outChannelsPerGroup }
    var taps: Int { kernelHeight * kernelWidth }
    var outBlocks: Int { (outChannels + lanes - 1) / lanes }
    var outBlockStride: Int { outHeight * outWidth * lanes }
    var outImageStride: Int { outBlocks * outBlockStride }
    var inBlockStride: Int { inHeight * inWidth * lanes }
    var inImageStride: Int { (channels + lanes - 1) / lanes * inBlockStride }
    var outputCount: Int { images * outImageStride }

    init(
        lanes: Int,
        seed: UInt64,
        groups: ClosedRange<Int>,
        perGroup: ClosedRange<Int>,
        outPerGroup: ClosedRange<Int>,
        isPointwise: Bool = false,
        wideKernels: ClosedRange<Int>? = nil
    ) {
        var random = ConvRandom(seed: seed)
        self.lanes = lanes
        images = random.int(1...2)
        kernelHeight = random.int(1...4)
        kernelWidth = random.chance(2) ? [3, 5][random.int(0...1)] : random.int(1...7)
        strideHeight = random.int(1...2)
        strideWidth = random.int(1...3)
        dilationHeight = random.int(1...2)
        dilationWidth = random.chance(2) ? 1 : 2
        padTop = random.int(0...kernelHeight)
        padLeft = random.int(0...kernelWidth)
        inHeight = random.int(1...9)
        inWidth = random.int(1...29)
        outHeight = random.int(1...7)
        outWidth = random.int(1...29)
        if let wideKernels {
            kernelWidth = random.int(wideKernels)
            strideWidth = 1
            dilationWidth = random.int(1...3)
            padLeft = random.int(0...kernelWidth)
            inWidth = random.int(1...99)
            outWidth = random.int(1...99)
        }
        if isPointwise {
            (kernelHeight, kernelWidth, strideHeight, strideWidth) = (1, 1, 1, 1)
            (padTop, padLeft, inHeight, inWidth) = (0, 0, outHeight, outWidth)
        }
        self.groups = random.int(groups)
        channelsPerGroup = random.int(perGroup)
        outChannelsPerGroup = random.int(outPerGroup)
        activation = random.activation()
        let outChannels = self.groups * outChannelsPerGroup
        weights = random.floats(outChannels * channelsPerGroup * kernelHeight * kernelWidth)
        bias = random.floats(outChannels)
        pixels = random.floats(
            images * self.groups * channelsPerGroup * inHeight * inWidth
        )
        let blocks = (outChannels + lanes - 1) / lanes
        let count = images * blocks * outHeight * outWidth * lanes
        residual = random.chance(3) ? ConvBuffer(random.floats(count)) : nil
    }

    func pixel(_ image: Int, _ channel: Int, _ row: Int, _ column: Int) -> Float {
        pixels[((image * channels + channel) * inHeight + row) * inWidth + column]
    }

    /// The input in blocks of channels; padding lanes are NaN.
    func blockedInput() -> ConvBuffer {
        let buffer = ConvBuffer(images * inImageStride)
        for image in 0..<images {
            for channel in 0..<channels {
                for row in 0..<inHeight {
                    for column in 0..<inWidth {
                        let at =
                            image * inImageStride + channel / lanes * inBlockStride
                            + (row * inWidth + column) * lanes + channel % lanes
                        buffer[at] = pixel(image, channel, row, column)
                    }
                }
            }
        }
        return buffer
    }

    private func reference(_ image: Int, _ oc: Int, _ row: Int, _ column: Int) -> ConvReferenceSum {
        var sum = ConvReferenceSum()
        sum.add(Double(bias[oc]))
        let firstChannel = oc / outChannelsPerGroup * channelsPerGroup
        for tap in 0..<taps {
            let y = row * strideHeight + tap / kernelWidth * dilationHeight - padTop
            let x = column * strideWidth + tap % kernelWidth * dilationWidth - padLeft
            guard y >= 0, y < inHeight, x >= 0, x < inWidth else { continue }
            for c in 0..<channelsPerGroup {
                let weight = weights[(oc * channelsPerGroup + c) * taps + tap]
                sum.add(Double(pixel(image, firstChannel + c, y, x)) * Double(weight))
            }
        }
        return sum
    }

    /// Elements off the reference, and elements whose bits differ from those of `other`.
    func compare(_ output: ConvBuffer, with other: ConvBuffer) -> (wrong: Int, different: Int) {
        var wrong = 0, different = 0
        for image in 0..<images {
            for oc in 0..<outChannels {
                for row in 0..<outHeight {
                    for column in 0..<outWidth {
                        let at =
                            image * outImageStride + oc / lanes * outBlockStride
                            + (row * outWidth + column) * lanes + oc % lanes
                        var sum = reference(image, oc, row, column)
                        if let residual { sum.add(Double(residual[at])) }
                        if !sum.accepts(output[at], activation) { wrong += 1 }
                        if output[at].bitPattern != other[at].bitPattern { different += 1 }
                    }
                }
            }
        }
        return (wrong, different)
    }

    /// Runs twice, whole and in small tasks, and expects the reference and equal bits.
    func check(_ run: (_ output: ConvBuffer, _ rowsPerTask: Int, _ panelsPerTask: Int) -> Void) {
        let whole = ConvBuffer(outputCount)
        run(whole, 1000, 1000)
        let pieces = ConvBuffer(outputCount)
        run(pieces, 2, 1)
        #expect(whole.guardsAreIntact)
        #expect(pieces.guardsAreIntact)
        let result = compare(whole, with: pieces)
        #expect(result.wrong == 0)
        #expect(result.different == 0)
    }

    /// The arguments of the depthwise kernel, without its addresses.
    func depthwiseArguments() -> sl_depthwise_args {
        var args = sl_depthwise_args()
        args.images = UInt32(images)
        args.blocks = UInt32(outBlocks)
        (args.in_h, args.in_w) = (UInt32(inHeight), UInt32(inWidth))
        (args.out_h, args.out_w) = (UInt32(outHeight), UInt32(outWidth))
        args.kernel_h = UInt32(kernelHeight)
        args.kernel_w = UInt32(kernelWidth)
        args.stride_h = UInt32(strideHeight)
        args.stride_w = UInt32(strideWidth)
        args.dilation_h = UInt32(dilationHeight)
        args.dilation_w = UInt32(dilationWidth)
        (args.pad_top, args.pad_left) = (Int32(padTop), Int32(padLeft))
        args.in_image_stride = inImageStride
        args.in_block_stride = inBlockStride
        args.in_row_stride = inWidth * lanes
        args.out_image_stride = outImageStride
        args.out_block_stride = outBlockStride
        args.out_row_stride = outWidth * lanes
        args.activation = activation
        return args
    }

    /// The arguments of the first layer's kernel, without its output.
    func planarArguments(input: ConvBuffer, weights: ConvBuffer) -> sl_conv_nchw_args {
        var args = sl_conv_nchw_args()
        args.images = UInt32(images)
        (args.in_h, args.in_w) = (UInt32(inHeight), UInt32(inWidth))
        (args.out_h, args.out_w) = (UInt32(outHeight), UInt32(outWidth))
        args.channels = UInt32(channels)
        args.out_channels = UInt32(outChannels)
        args.kernel_h = UInt32(kernelHeight)
        args.kernel_w = UInt32(kernelWidth)
        args.stride_h = UInt32(strideHeight)
        args.stride_w = UInt32(strideWidth)
        args.dilation_h = UInt32(dilationHeight)
        args.dilation_w = UInt32(dilationWidth)
        (args.pad_top, args.pad_left) = (Int32(padTop), Int32(padLeft))
        args.input = UnsafePointer(input.base)
        args.in_row_stride = inWidth
        args.in_plane_stride = inHeight * inWidth
        args.in_image_stride = channels * args.in_plane_stride
        args.weights = UnsafePointer(weights.base)
        args.activation = activation
        return args
    }
}
