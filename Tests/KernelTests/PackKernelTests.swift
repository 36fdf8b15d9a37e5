import CSluiceKernels
import Testing

@Suite("Packing of sums")
struct PackKernelTests {
    /// Weights [output][channel][tap] and where their taps are; -1 where there is none.
    private struct Source {
        var elements: [Float]
        var outputStride: Int
        var channelStride: Int
        var tapOffsets: [Int32]
        var scale: [Float]?
        var isDiagonal = false
    }

    private func pack(
        _ sources: [Source],
        _ isa: KernelISA,
        _ order: sl_pack_order,
        outputs: Int,
        channels: Int,
        bias: [Float]
    ) -> [Float] {
        let taps = sources[0].tapOffsets.count
        let count = sl_packed_floats(
            isa.table,
            UInt32(outputs),
            UInt32(channels),
            UInt32(taps)
        )
        let target = GuardedBuffer<Float>(Array(repeating: .nan, count: count))
        for (number, source) in sources.enumerated() {
            let elements = GuardedBuffer(source.elements)
            let offsets = GuardedBuffer(source.tapOffsets)
            let scale = GuardedBuffer(source.scale ?? [])
            let shift = GuardedBuffer(bias)
            var args = sl_pack_args()
            args.order = order
            args.out_channels = UInt32(outputs)
            args.channels = UInt32(channels)
            args.taps = UInt32(taps)
            args.channel_count = UInt32(channels)
            args.source = UnsafeRawPointer(elements.pointer)
            args.oc_stride = source.outputStride
            args.channel_stride = source.channelStride
            args.tap_offset = UnsafePointer(offsets.pointer)
            args.scale = source.scale == nil ? nil : UnsafePointer(scale.pointer)
            args.bias = number == 0 ? UnsafePointer(shift.pointer) : nil
            args.target = target.pointer
            args.adds = number > 0
            args.is_diagonal = source.isDiagonal
            sl_pack(isa.table, &args)
        }
        #expect(target.isIntact)
        return target.values
    }

    @Test(
        "weights that are added under some taps are those of the sum",
        arguments: KernelISA.supported,
        [SL_PACK_BLOCKED, SL_PACK_PLANAR, SL_PACK_DEPTHWISE, SL_PACK_GROUPED]
    )
    func sums(isa: KernelISA, order: sl_pack_order) {
        var random = SeededGenerator(seed: 3)
        let isDepthwise = order == SL_PACK_DEPTHWISE
        for (outputs, taps) in [(5, 1), (isa.lanes, 9), (2 * isa.lanes + 3, 9), (37, 4)] {
            let channels = isDepthwise ? 1 : outputs
            let whole = Source(
                elements: random.floats(outputs * channels * taps),
                outputStride: channels * taps,
                channelStride: taps,
                tapOffsets: (0..<Int32(taps)).map { $0 }
            )
            // Two taps, or the only one, in the order of the source.
            let places = taps == 1 ? [0] : [1, taps - 1]
            var offsets = [Int32](repeating: -1, count: taps)
            for (number, place) in places.enumerated() { offsets[place] = Int32(number) }
            let part = Source(
                elements: random.floats(outputs * channels * places.count),
                outputStride: channels * places.count,
                channelStride: places.count,
                tapOffsets: offsets,
                scale: random.floats(outputs)
            )
            let own = Source(
                elements: random.floats(outputs * places.count),
                outputStride: places.count,
                channelStride: places.count,
                tapOffsets: offsets,
                scale: random.floats(outputs),
                isDiagonal: true
            )
            var sum = whole
            func add(_ source: Source, _ output: Int, _ channel: Int, from: Int) {
                for (number, place) in places.enumerated() {
                    let factor = source.scale?[output] ?? 1
                    sum.elements[(output * channels + channel) * taps + place] +=
                        source.elements[from * places.count + number] * factor
                }
            }
            for output in 0..<outputs {
                for channel in 0..<channels {
                    add(part, output, channel, from: output * channels + channel)
                }
                if !isDepthwise { add(own, output, output, from: output) }
            }
            let bias = random.floats(outputs)
            let sources = isDepthwise ? [whole, part] : [whole, part, own]
            let run = { (sources: [Source]) in
                pack(sources, isa, order, outputs: outputs, channels: channels, bias: bias)
            }
            for (actual, expected) in zip(run(sources), run([sum])) {
                #expect(agrees(actual, Double(expected), 1e-6))
            }
        }
    }
}
