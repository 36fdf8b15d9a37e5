import CSluiceKernels
import GraphIR
import Testing

/// Kernels that are written once for every element type.
@Suite("plain kernels") struct PlainKernelTests {
    /// The cuts of lines into tasks, none of which may change a result.
    private let cuts = [1, 2, 5, 100]

    private func run<Arguments>(_ kernel: sl_task_fn, _ arguments: Arguments, tasks: Int) {
        withUnsafePointer(to: arguments) { pointer in
            for task in (0..<tasks).reversed() { kernel(pointer, task, nil) }
        }
    }

    @Test("the best places of each line, in order, ties by their order")
    func places() {
        let input: [Int32] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]  // [2, 3, 2]
        for cut in cuts {
            let output = GuardedBuffer([Int64](repeating: -1, count: 8))
            var args = sl_places_args()
            args.lines = sl_lines(outer: 2, axis_size: 3, inner: 2, lines_per_task: cut)
            args.dtype = SL_I32
            args.count = 2
            args.largest = true
            input.withUnsafeBytes { bytes in
                args.input = bytes.baseAddress
                args.output = output.pointer
                run(sl_places, args, tasks: sl_lines_task_count(&args.lines))
            }
            #expect(output.values == [2, 2, 1, 0, 1, 2, 2, 0])
            #expect(output.isIntact)
        }
    }

    @Test("the best places are those of a sort", arguments: [1, 2, 7, 64, 100])
    func placesOfLongLines(count: Int) {
        var random = ConvRandom(seed: 5)
        let input = (0..<200).map { _ in Float(random.int(0...19)) }  // [100, 2], many ties
        for largest in [false, true] {
            let output = GuardedBuffer([Int64](repeating: -1, count: count * 2))
            var args = sl_places_args()
            args.lines = sl_lines(outer: 1, axis_size: 100, inner: 2, lines_per_task: 1)
            args.dtype = SL_F32
            args.count = count
            args.largest = largest
            input.withUnsafeBytes { bytes in
                args.input = bytes.baseAddress
                args.output = output.pointer
                run(sl_places, args, tasks: 2)
            }
            for line in 0..<2 {
                let value = { (place: Int) in input[place * 2 + line] }
                let sorted = (0..<100).sorted { a, b in
                    if value(a) == value(b) { return a < b }
                    return (value(a) > value(b)) == largest
                }
                let found = (0..<count).map { Int(output.values[$0 * 2 + line]) }
                #expect(found == Array(sorted.prefix(count)))
            }
            #expect(output.isIntact)
        }
    }

    @Test("suppression leaves the best of boxes that overlap, in any order of tasks")
    func suppression() {
        // One image, two classes; corners y0 x0 y1 x1. Boxes 0 and 1 overlap by 0.9.
        let boxes: [Float] = [0, 0, 10, 10, 0, 0, 9, 10, 20, 20, 30, 30]
        let scores: [Float] = [0.5, 0.9, 0.3, 0.6, .nan, 0.7]
        let (overlap, least): (Float, Float) = (0.5, 0.4)
        let scratch = GuardedBuffer([Float](repeating: 0, count: 3))
        func kept(limit: Int, hasLeast: Bool) -> [Int64] {
            let output = GuardedBuffer([Int64](repeating: -7, count: 2 * limit))
            var args = sl_suppress_args()
            args.lines = 2
            args.classes = 2
            args.box_count = 3
            args.limit = limit
            withUnsafePointer(to: overlap) { overlap in
                withUnsafePointer(to: least) { least in
                    boxes.withUnsafeBufferPointer { boxes in
                        scores.withUnsafeBufferPointer { scores in
                            args.boxes = boxes.baseAddress
                            args.scores = scores.baseAddress
                            args.iou_threshold = overlap
                            args.score_threshold = hasLeast ? least : nil
                            args.output = output.pointer
                            for task in (0..<sl_suppress_task_count(&args)).reversed() {
                                sl_suppress(&args, task, scratch.pointer)
                            }
                        }
                    }
                }
            }
            #expect(output.isIntact && scratch.isIntact)
            return output.values
        }
        #expect(kept(limit: 3, hasLeast: false) == [1, 2, -1, 2, 0, -1])
        #expect(kept(limit: 2, hasLeast: true) == [1, -1, 2, 0])
        #expect(kept(limit: 1, hasLeast: true) == [1, 2])
    }

    @Test("running sums in both directions, with and without their own element")
    func scan() {
        let input: [Float] = [1, 2, 3, 4]
        let wanted: [(exclusive: Bool, reversed: Bool, sums: [Float])] = [
            (false, false, [1, 3, 6, 10]), (true, false, [0, 1, 3, 6]),
            (false, true, [10, 9, 7, 4]), (true, true, [9, 7, 4, 0]),
        ]
        for (exclusive, reversed, sums) in wanted {
            let output = GuardedBuffer([Float](repeating: -1, count: 4))
            var args = sl_scan_args()
            args.lines = sl_lines(outer: 1, axis_size: 4, inner: 1, lines_per_task: 1)
            args.dtype = SL_F32
            args.is_exclusive = exclusive
            args.is_reversed = reversed
            input.withUnsafeBytes { bytes in
                args.input = bytes.baseAddress
                args.output = UnsafeMutableRawPointer(output.pointer)
                run(sl_scan, args, tasks: sl_lines_task_count(&args.lines))
            }
            #expect(output.values == sums)
            #expect(output.isIntact)
        }
    }

    @Test("scatters join in order, skip what is outside, and do not depend on the cut")
    func scatter() {
        let table: [Float] = [1, 2, 3, 4, 5, 6]
        let updates: [Float] = [10, 20, 30, 40, 50, 60, 70, 80, 90]
        let rows: [Int64] = [1, 6, 1]
        let cases: [(kind: sl_scatter_kind, width: Int, result: [Float])] = [
            (SL_SCATTER_ADD, 3, [1, 2, 3, 84, 105, 126]),
            (SL_SCATTER_REPLACE, 3, [1, 2, 3, 70, 80, 90]),
            (SL_SCATTER_ADD, 1, [1, 42, 3, 4, 5, 6]),
            (SL_SCATTER_REPLACE, 1, [1, 30, 3, 4, 5, 6]),
        ]
        for (kind, width, result) in cases {
            for cut in cuts {
                let output = GuardedBuffer([Float](repeating: -1, count: 6))
                var args = sl_scatter_args()
                args.kind = kind
                args.dtype = SL_F32
                args.rows = 6 / width
                args.width = width
                args.count = 3
                args.elements_per_task = cut
                table.withUnsafeBytes { tableBytes in
                    updates.withUnsafeBytes { updateBytes in
                        rows.withUnsafeBufferPointer { rowNumbers in
                            args.table = tableBytes.baseAddress
                            args.updates = updateBytes.baseAddress
                            args.row_numbers = rowNumbers.baseAddress
                            args.output = UnsafeMutableRawPointer(output.pointer)
                            run(sl_scatter, args, tasks: sl_scatter_task_count(&args))
                        }
                    }
                }
                #expect(output.values == result)
                #expect(output.isIntact)
            }
        }
    }

    @Test("scatters replace elements of every size")
    func replaceBySize() {
        func replaced<Element: Equatable & BitwiseCopyable>(
            _ dtype: sl_dtype,
            _ table: [Element],
            _ new: Element
        ) {
            let output = GuardedBuffer([Element](repeating: new, count: table.count))
            var args = sl_scatter_args()
            args.kind = SL_SCATTER_REPLACE
            args.dtype = dtype
            args.rows = table.count
            args.width = 1
            args.count = 1
            args.elements_per_task = 2
            table.withUnsafeBytes { tableBytes in
                withUnsafeBytes(of: new) { updateBytes in
                    withUnsafePointer(to: Int64(1)) { row in
                        args.table = tableBytes.baseAddress
                        args.updates = updateBytes.baseAddress
                        args.row_numbers = row
                        args.output = UnsafeMutableRawPointer(output.pointer)
                        run(sl_scatter, args, tasks: sl_scatter_task_count(&args))
                    }
                }
            }
            #expect(output.values == [table[0], new] + table[2...])
            #expect(output.isIntact)
        }
        replaced(SL_I8, [1, 2, 3] as [Int8], 9)
        replaced(SL_F16, [1, 2, 3] as [UInt16], 9)
        replaced(SL_F32, [1, 2, 3] as [Float], 9)
        replaced(SL_I64, [1, 2, 3] as [Int64], 9)
    }

    @Test("reductions of integers wrap, and of nothing give the limit of the type")
    func reductions() {
        let input: [Int8] = [100, 27, 1, -5]
        func reduced(_ kind: sl_reduce_kind, size: Int) -> Int8 {
            let output = GuardedBuffer([Int8(0)])
            var args = sl_line_reduce_args()
            args.lines = sl_lines(outer: 1, axis_size: size, inner: 1, lines_per_task: 1)
            args.kind = kind
            args.dtype = SL_I8
            input.withUnsafeBytes { bytes in
                args.input = bytes.baseAddress
                args.output = UnsafeMutableRawPointer(output.pointer)
                run(sl_line_reduce, args, tasks: sl_lines_task_count(&args.lines))
            }
            #expect(output.isIntact)
            return output.values[0]
        }
        #expect(reduced(SL_REDUCE_SUM, size: 3) == -128)
        #expect(reduced(SL_REDUCE_L1, size: 4) == -123)
        #expect(reduced(SL_REDUCE_MINIMUM, size: 4) == -5)
        #expect(reduced(SL_REDUCE_MINIMUM, size: 0) == .max)
        #expect(reduced(SL_REDUCE_MAXIMUM, size: 0) == .min)
    }
}
