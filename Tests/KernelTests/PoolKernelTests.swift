import CSluiceKernels
import Testing

/// Pooling, global pooling and resizing of blocked tensors against naive loops.
@Suite struct PoolKernelTests {
    struct Window: Sendable, CustomTestStringConvertible {
        var kernel = 3
        var stride = 2
        var dilation = 1
        var padding = 1
        var paddingAfter = 1
        var isAverage = false
        var countsPadding = false
        var ceilMode = false

        var testDescription: String {
            "\(isAverage ? "average" : "maximum") \(kernel)/\(stride) d\(dilation) p\(padding)"
        }

        func outputSize(_ size: Int) -> Int {
            let free = size + padding + paddingAfter - dilation * (kernel - 1) - 1
            return (free + (ceilMode ? stride - 1 : 0)) / stride + 1
        }
    }

    static let windows: [Window] = [
        Window(), Window(kernel: 2, padding: 0, paddingAfter: 0), Window(stride: 1),
        Window(kernel: 1, padding: 0, paddingAfter: 0),
        Window(kernel: 2, padding: 1, paddingAfter: 0, ceilMode: true),
        Window(kernel: 5, stride: 3, padding: 2, paddingAfter: 2),
        Window(dilation: 2, padding: 2, paddingAfter: 2), Window(isAverage: true),
        Window(isAverage: true, countsPadding: true, ceilMode: true),
        Window(stride: 1, isAverage: true, countsPadding: true),
        Window(kernel: 2, padding: 0, paddingAfter: 0, isAverage: true, ceilMode: true),
        Window(kernel: 4, stride: 3, padding: 3, paddingAfter: 1, isAverage: true),
    ]

    /// One output pixel by the definition, lane `lane` of the block that starts at `block`.
    private func naivePixel(
        _ window: Window,
        _ input: [Float],
        block: Int,
        height: Int,
        width: Int,
        lanes: Int,
        oy: Int,
        ox: Int,
        lane: Int
    ) -> Double {
        var maximum = -Double(Float.greatestFiniteMagnitude)
        var sum = 0.0
        var inside = 0
        var counted = 0
        for ky in 0..<window.kernel {
            for kx in 0..<window.kernel {
                let y = oy * window.stride - window.padding + ky * window.dilation
                let x = ox * window.stride - window.padding + kx * window.dilation
                if y < height + window.paddingAfter && x < width + window.paddingAfter {
                    counted += 1
                }
                guard (0..<height).contains(y), (0..<width).contains(x) else { continue }
                let value = Double(input[block + (y * width + x) * lanes + lane])
                inside += 1
                sum += value
                maximum = max(maximum, value)
            }
        }
        guard window.isAverage else { return maximum }
        return inside == 0 ? 0 : sum / Double(window.countsPadding ? counted : inside)
    }

    @Test(
        "windows match the definition and the cut does not matter",
        arguments: KernelISA.supported,
        windows
    )
    func windowsMatchTheDefinition(isa: KernelISA, window: Window) {
        var random = SeededGenerator(seed: 1)
        let lanes = isa.lanes
        let blocks = 2
        for (height, width) in [(5, 5), (7, 13), (1, 17), (12, 6), (4, 31)] {
            let outHeight = window.outputSize(height)
            let outWidth = window.outputSize(width)
            guard outHeight > 0, outWidth > 0 else { continue }
            let input = GuardedBuffer(random.floats(blocks * height * width * lanes))
            var args = sl_pool_args()
            args.images = 1
            args.blocks = UInt32(blocks)
            (args.in_h, args.in_w) = (UInt32(height), UInt32(width))
            (args.out_h, args.out_w) = (UInt32(outHeight), UInt32(outWidth))
            (args.kernel_h, args.kernel_w) = (UInt32(window.kernel), UInt32(window.kernel))
            (args.stride_h, args.stride_w) = (UInt32(window.stride), UInt32(window.stride))
            (args.dilation_h, args.dilation_w) = (UInt32(window.dilation), UInt32(window.dilation))
            (args.pad_top, args.pad_left) = (Int32(window.padding), Int32(window.padding))
            args.pad_bottom = Int32(window.paddingAfter)
            args.pad_right = Int32(window.paddingAfter)
            args.is_average = window.isAverage
            args.count_includes_padding = window.countsPadding
            args.input = UnsafePointer(input.pointer)
            args.in_row_stride = width * lanes
            args.in_block_stride = height * width * lanes
            args.out_row_stride = outWidth * lanes
            args.out_block_stride = outHeight * outWidth * lanes

            var results: [[Float]] = []
            for rowsPerTask in [1, 2, 100] {
                let count = blocks * outHeight * outWidth * lanes
                let output = GuardedBuffer<Float>(Array(repeating: .nan, count: count))
                args.output = output.pointer
                args.rows_per_task = UInt32(rowsPerTask)
                isa.run(isa.table.pointee.pool, args, sl_pool_task_count)
                #expect(output.isIntact)
                results.append(output.values)
            }
            #expect(results.allSatisfy { $0 == results[0] })

            for (index, value) in results[0].enumerated() {
                let pixel = index / lanes % (outHeight * outWidth)
                let reference = naivePixel(
                    window,
                    input.values,
                    block: index / lanes / (outHeight * outWidth)
                        * args.in_block_stride,
                    height: height,
                    width: width,
                    lanes: lanes,
                    oy: pixel / outWidth,
                    ox: pixel % outWidth,
                    lane: index % lanes
                )
                guard agrees(value, reference, 1e-6) else {
                    Issue.record("\(height)x\(width), element \(index): \(value), not \(reference)")
                    return
                }
            }
        }
    }

    @Test("global pooling takes every pixel once", arguments: KernelISA.supported)
    func globalPooling(isa: KernelISA) {
        var random = SeededGenerator(seed: 2)
        let lanes = isa.lanes
        for pixels in [1, 7, 8, 9, 49, 131] {
            let input = GuardedBuffer(random.floats(3 * pixels * lanes))
            for isAverage in [true, false] {
                let output = GuardedBuffer<Float>(Array(repeating: .nan, count: 3 * lanes))
                var args = sl_global_pool_args()
                args.images = 1
                args.blocks = 3
                args.pixels = pixels
                args.is_average = isAverage
                args.input = UnsafePointer(input.pointer)
                args.in_block_stride = pixels * lanes
                args.output = output.pointer
                args.out_block_stride = lanes
                isa.run(isa.table.pointee.global_pool, args, sl_global_pool_task_count)
                #expect(output.isIntact)
                for (index, value) in output.values.enumerated() {
                    let column = (0..<pixels).map {
                        Double(input.pointer[(index / lanes * pixels + $0) * lanes + index % lanes])
                    }
                    let sum = column.reduce(0, +)
                    let reference = isAverage ? sum / Double(pixels) : column.max() ?? .nan
                    #expect(agrees(value, reference, 1e-6))
                }
            }
        }
    }

    @Test("resizing follows its tables", arguments: KernelISA.supported, [1, 2, 3, 4])
    func resizingFollowsItsTables(isa: KernelISA, taps: Int) {
        var random = SeededGenerator(seed: UInt64(taps))
        for floats in [1, isa.lanes] {
            // Wider than what is computed side by side.
            let (height, width, outHeight, outWidth) = (5, 7, 9, 150)
            func table(_ size: Int, _ limit: Int) -> ([Int32], [Float]) {
                let count = size * taps
                // -1 stands for a pixel outside.
                let index = (0..<count).map { _ in
                    Int32.random(in: -1..<Int32(limit), using: &random)
                }
                return (index, taps == 1 ? Array(repeating: 1, count: count) : random.floats(count))
            }
            let (rows, rowWeights) = table(outHeight, height)
            let (columns, columnWeights) = table(outWidth, width)
            let input = GuardedBuffer(random.floats(2 * height * width * floats))
            let count = outHeight * outWidth * floats
            let output = GuardedBuffer<Float>(Array(repeating: .nan, count: 2 * count))
            let tables = (
                GuardedBuffer(rows), GuardedBuffer(rowWeights), GuardedBuffer(columns),
                GuardedBuffer(columnWeights)
            )
            var args = sl_resize_args()
            args.planes = 2
            (args.in_h, args.in_w) = (UInt32(height), UInt32(width))
            (args.out_h, args.out_w) = (UInt32(outHeight), UInt32(outWidth))
            args.is_blocked = floats > 1
            (args.taps_h, args.taps_w) = (UInt32(taps), UInt32(taps))
            args.row_index = UnsafePointer(tables.0.pointer)
            args.row_weight = UnsafePointer(tables.1.pointer)
            args.column_index = UnsafePointer(tables.2.pointer)
            args.column_weight = UnsafePointer(tables.3.pointer)
            args.extrapolation = 0.75
            args.activation = sl_activation(kind: SL_ACTIVATION_CLAMP, p0: -0.5, p1: 2)
            args.input = UnsafePointer(input.pointer)
            args.in_plane_stride = height * width * floats
            args.output = output.pointer
            args.out_plane_stride = count
            args.rows_per_task = 4
            isa.run(isa.table.pointee.resize, args, sl_resize_task_count)
            #expect(output.isIntact)

            for (index, value) in output.values.enumerated() {
                let (part, pixel) = (index % floats, index / floats % (outHeight * outWidth))
                var reference = 0.0
                for i in 0..<taps {
                    for j in 0..<taps {
                        let row = pixel / outWidth * taps + i
                        let column = pixel % outWidth * taps + j
                        let (y, x) = (Int(rows[row]), Int(columns[column]))
                        let at = index / count * args.in_plane_stride + (y * width + x) * floats
                        let source = y < 0 || x < 0 ? 0.75 : input.pointer[at + part]
                        reference += Double(rowWeights[row] * columnWeights[column] * source)
                    }
                }
                #expect(agrees(value, min(max(reference, -0.5), 2), 1e-5))
            }
        }
    }
}
