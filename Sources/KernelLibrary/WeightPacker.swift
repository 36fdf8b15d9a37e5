import CSluiceKernels
import GraphIR
import TensorMemory

/// Brings weights from a model's files into the form the kernels read.
package struct WeightPacker {
    private let catalog: NativeCatalog
    private let reader: ConstantReader

    package init(catalog: NativeCatalog, reader: ConstantReader) {
        self.catalog = catalog
        self.reader = reader
    }

    /// Packs `units` of one part of a convolution to `target`.
    package func pack<Space>(
        _ kernel: ConvolutionKernel,
        part: Int,
        units: Range<Int>,
        to target: Region<Space>
    ) throws(ConstantError) {
        guard !units.isEmpty else { return }
        let unit = catalog.unitChannels(kernel.order)
        var floats = target.pointer.assumingMemoryBound(to: Float.self)
        let contents = kernel.packedWeights(of: part)
        if kernel.projection != nil {
            for weights in contents {
                let channels = 0..<weights.part.outputChannels
                floats += try pack(weights, channels: channels, unit, to: floats)
            }
            return
        }
        let end = min(units.upperBound * unit, kernel.parts[part].outputChannels)
        // Any run of units is a block of its own, so each holds all it needs.
        let step = contents.count > 1 ? unit : end
        for first in stride(from: units.lowerBound * unit, to: end, by: step) {
            let channels = first..<min(first + step, end)
            for weights in contents {
                floats += try pack(weights, channels: channels, unit, to: floats)
            }
        }
    }

    /// Packs some output channels of a part; returns how many floats they take.
    private func pack(
        _ weights: PackedWeights,
        channels: Range<Int>,
        _ unit: Int,
        to target: UnsafeMutablePointer<Float>
    ) throws(ConstantError) -> Int {
        let first = weights.part.firstOutputChannel + channels.lowerBound
        for (number, source) in ([weights.part.weights] + weights.part.weights.added).enumerated() {
            let job = PackJob(
                weights: weights,
                source: source,
                adds: number > 0,
                scale: try vector(source.scale, first: first, count: channels.count),
                bias: try vector(source.bias, first: first, count: channels.count),
                channels: channels,
                target: target,
                unit: unit
            )
            try reader.withElements(of: source.constant) { elements throws(ConstantError) in
                if source.outputStride >= source.channelStride {
                    try packByOutput(job, from: elements)
                } else {
                    try packByInput(job, from: elements)
                }
            }
        }
        return packedFloats(weights, channels.count)
    }

    private func packedFloats(_ weights: PackedWeights, _ outputChannels: Int) -> Int {
        sl_packed_floats(
            catalog.set.table,
            UInt32(outputChannels),
            UInt32(weights.channels),
            UInt32(weights.part.taps.count)
        )
    }

    private struct PackJob {
        var weights: PackedWeights
        var source: WeightSource
        /// Whether the weights are added to those of another source.
        var adds: Bool
        var scale: [Float]?
        var bias: [Float]?
        /// Output channels of the part.
        var channels: Range<Int>
        var target: UnsafeMutablePointer<Float>
        var unit: Int
    }

    private func vector(
        _ constant: Constant?,
        first: Int,
        count: Int
    ) throws(ConstantError) -> [Float]? {
        guard let constant else { return nil }
        return Array(try reader.evaluate(constant).floats[first..<first + count])
    }

    /// Output channels are far apart in the source: a run of them is read at a time.
    private func packByOutput(
        _ job: PackJob,
        from weights: ConstantReader.Elements
    ) throws(ConstantError) {
        let source = job.source
        let extent =
            source.isDiagonal ? source.outputStride : job.weights.channels * source.channelStride
        let perUnit = job.unit * max(source.outputStride, 1) * 4
        let units = max(1, ConstantReader.stagingLimit / max(perUnit, 1))
        var channel = job.channels.lowerBound
        var target = job.target
        while channel < job.channels.upperBound {
            let end = min(channel + units * job.unit, job.channels.upperBound)
            let start = source.firstElement + channel * source.outputStride
            let count = (end - channel - 1) * source.outputStride + max(extent, 1)
            let elements = try reader.floats(
                of: weights,
                first: start,
                count: min(count, source.constant.type.elementCount - start)
            )
            run(
                job,
                channels: channel..<end,
                inputs: 0..<job.weights.channels,
                elements: elements,
                target: target
            )
            target += packedFloats(job.weights, end - channel)
            channel = end
        }
    }

    /// Input channels are far apart: all outputs of a run of input channels are read at a time.
    private func packByInput(
        _ job: PackJob,
        from weights: ConstantReader.Elements
    ) throws(ConstantError) {
        let source = job.source
        let rows = max(1, ConstantReader.stagingLimit / max(source.channelStride * 4, 1))
        var row = 0
        repeat {
            let end = min(row + rows, job.weights.channels)
            let start =
                source.firstElement + row * source.channelStride
                + job.channels.lowerBound * source.outputStride
            let available = source.constant.type.elementCount - start
            let elements = try reader.floats(
                of: weights,
                first: start,
                count: min((end - row) * source.channelStride, available)
            )
            run(
                job,
                channels: job.channels,
                inputs: row..<end,
                elements: elements,
                target: job.target
            )
            row = end
        } while row < job.weights.channels
    }

    private func run(
        _ job: PackJob,
        channels: Range<Int>,
        inputs: Range<Int>,
        elements: UnsafePointer<Float>,
        target: UnsafeMutablePointer<Float>
    ) {
        let offset = channels.lowerBound - job.channels.lowerBound
        let scale = job.scale.map { Array($0[offset..<offset + channels.count]) }
        let bias = job.bias.map { Array($0[offset..<offset + channels.count]) }
        let taps = job.source.tapOffsets.map { Int32($0) }
        var args = sl_pack_args()
        args.order = job.weights.order.code
        args.out_channels = UInt32(channels.count)
        args.channels = UInt32(job.weights.channels)
        args.taps = UInt32(taps.count)
        args.channel_first = UInt32(inputs.lowerBound)
        args.channel_count = UInt32(inputs.count)
        args.source = UnsafeRawPointer(elements)
        args.oc_stride = job.source.outputStride
        args.channel_stride = job.source.channelStride
        args.adds = job.adds
        args.is_diagonal = job.source.isDiagonal
        args.diagonal_first = UInt32(channels.lowerBound)
        args.target = target
        taps.withUnsafeBufferPointer { taps in
            withOptional(scale) { scale in
                withOptional(bias) { bias in
                    args.tap_offset = taps.baseAddress
                    args.scale = scale
                    args.bias = bias
                    sl_pack(catalog.set.table, &args)
                }
            }
        }
    }

    private func withOptional(
        _ values: [Float]?,
        _ body: (UnsafePointer<Float>?) -> Void
    ) {
        guard let values else {
            body(nil)
            return
        }
        values.withUnsafeBufferPointer { body($0.baseAddress) }
    }

    /// Writes a constant operand, zero up to the end of `target`.
    package func store<Space>(
        _ constant: Constant,
        as type: TensorType,
        to target: Region<Space>
    ) throws(ConstantError) {
        target.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: target.byteCount)
        guard type.elementCount > 0 else { return }
        if type.dtype == .float32 {
            let floats = target.pointer.assumingMemoryBound(to: Float.self)
            try reader.withElements(of: constant) { elements throws(ConstantError) in
                var first = 0
                while first < type.elementCount {
                    let count = min(type.elementCount - first, ConstantReader.stagingLimit / 4)
                    let values = try reader.floats(of: elements, first: first, count: count)
                    (floats + first).update(from: values, count: count)
                    first += count
                }
            }
            return
        }
        let bytesOfTarget = UnsafeMutableRawBufferPointer(
            start: target.pointer,
            count: target.byteCount
        )
        if constant.type.dtype == type.dtype, try reader.copy(constant, into: bytesOfTarget) {
            return
        }
        let bytes = try reader.evaluate(constant).littleEndianBytes
        bytes.withUnsafeBytes { bytesOfTarget.copyMemory(from: $0) }
    }
}
