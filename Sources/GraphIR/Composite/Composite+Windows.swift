/// Pools and convolutions of any rank, type and weights: each window is gathered first.
///
/// They take the memory of all windows at once, but for pools and convolutions of slices. Shapes with
/// kernels of their own never come here.
extension Expansion {
    mutating func defineWindows(_ composite: Composite) throws(ShapeError) {
        let x = try input(0, "x")
        switch composite {
        case .windows(let pool, let columnsFirst):
            try definePool(x, pool, columnsFirst: columnsFirst)
        case .poolOfSlices(let pool): outputs = [try poolSlices(x, pool)]
        case .globalLpPool(let order):
            let axes = Array(shape(x).indices.dropFirst(2))
            outputs = [try lpNorm(x, axes: axes, order: order)]
        case .anyConvolution(let convolution):
            let y = try convolve(x, input(1, "w"), convolution) {
                (expansion, a, b) throws(ShapeError) in
                try expansion.matmul(a, b)
            }
            guard let bias = optional(2) else {
                outputs = [y]
                return
            }
            let ones = Array(repeating: 1, count: shape(y).count - 2)
            outputs = [try binary(.add, y, reshape(bias, shape(bias) + ones))]
        case .convolutionOfSlices(let convolution):
            outputs = [try convolveSlices(x, input(1, "w"), convolution, bias: optional(2))]
        default: preconditionFailure("no windows")
        }
    }

    /// A pool over more than two axes as one over the last two, then one over each other axis that windows
    /// extend along: largest values and means of windows are those of their rows'.
    private mutating func poolSlices(_ x: Slot, _ pool: Pool) throws(ShapeError) -> Slot {
        let window = try resolveWindow(pool: pool, input: shape(x))
        let rank = window.rank
        var sizes = shape(x)
        var result = x
        for axes in [rank - 2..<rank] + (0..<rank - 2).reversed().map({ $0..<$0 + 1 })
        where axes.contains(where: { !window.isSingle(along: $0) }) {
            let (before, after) = (sizes[1..<2 + axes.lowerBound], sizes[(2 + axes.upperBound)...])
            /// A pool of two axes, the second of which has a single column for each element behind.
            func list(_ values: [Int], one: Int) -> [Int] {
                values[axes] + (axes.count == 1 ? [one] : [])
            }
            let image = list(Array(sizes[2...]), one: after.reduce(1, *))
            let planes = try reshape(result, [sizes[0], before.reduce(1, *)] + image)
            let part = Pool(
                kind: pool.kind,
                kernel: list(window.kernel, one: 1),
                strides: list(window.strides, one: 1),
                dilations: list(window.dilations, one: 1),
                padding: .explicit(list(window.padBegin, one: 0) + list(window.padEnd, one: 0)),
                ceilMode: pool.ceilMode,
                countIncludesPadding: pool.countIncludesPadding
            )
            result = try add(.pool(part), [planes])
            for axis in axes { sizes[2 + axis] = window.outputSizes[axis] }
        }
        return try reshape(result, sizes)
    }

    /// A convolution over [depth, height, width] as one over [height, width] for each slice of the
    /// result: the slices of the input under the depth of the kernel are channels of an image, each
    /// channel's one after another, as its weights are.
    ///
    /// Every so many slices of a transposed one see the same taps; each such phase is a convolution.
    private mutating func convolveSlices(
        _ x: Slot,
        _ w: Slot,
        _ convolution: Convolution,
        bias: Slot?
    ) throws(ShapeError) -> Slot {
        let window = try resolveWindow(
            convolution: convolution,
            input: shape(x),
            weights: shape(w)
        )
        let slices = window.outputSizes[0]
        let phaseCount = convolution.isTransposed ? min(window.strides[0], slices) : 1
        _ = try tableIndices(below: slices * window.kernel[0])
        var phases: [Slot] = []
        for phase in 0..<phaseCount {
            let places = window.slicePlaces(
                of: Array(stride(from: phase, to: slices, by: phaseCount)),
                isTransposed: convolution.isTransposed
            )
            phases.append(try convolve(x, slices: places, w, convolution, window, bias: bias))
        }
        // [images, slices, channels, pixels]
        var result = try concat(phases, axis: 1)
        if phaseCount > 1 {
            let starts = (0..<phaseCount).map { phase in
                (0..<phase).reduce(0) { $0 + (slices - $1 + phaseCount - 1) / phaseCount }
            }
            let order = (0..<slices).map { starts[$0 % phaseCount] + $0 / phaseCount }
            result = try gather(result, integers(order), axis: 1)
        }
        let sizes = [shape(result)[0], shape(result)[2]] + window.outputSizes
        return try reshape(transpose(result, [0, 2, 1, 3]), sizes)
    }

    /// Slices of a convolution's result, [images, slices, channels, pixels].
    private mutating func convolve(
        _ x: Slot,
        slices: SlicePlaces,
        _ w: Slot,
        _ convolution: Convolution,
        _ window: WindowGeometry,
        bias: Slot?
    ) throws(ShapeError) -> Slot {
        let (sizes, weights) = (shape(x), shape(w))
        let (depth, taps) = (sizes[2], slices.taps.count)
        var source = x
        if slices.inputs.contains(nil) {
            let outside = try expand(
                scalar(0, like: x),
                to: [sizes[0], sizes[1], 1] + sizes[3...]
            )
            source = try concat([source, outside], axis: 2)
        }
        let places = slices.inputs.map { $0 ?? depth }
        if places != Array(0..<depth) { source = try gather(source, integers(places), axis: 2) }
        let count = places.count / taps
        let pixels = sizes[3] * sizes[4]
        let parts = try reshape(source, [sizes[0], sizes[1], count, taps * pixels])
        let flat = try reshape(
            transpose(parts, [0, 2, 1, 3]),
            [sizes[0] * count, sizes[1] * taps, sizes[3], sizes[4]]
        )
        var filters = w
        if taps < weights[2] { filters = try gather(w, integers(slices.taps), axis: 2) }
        if convolution.isTransposed { filters = try transpose(filters, [0, 2, 1, 3, 4]) }
        let outer =
            convolution.isTransposed
            ? [weights[0] * taps, weights[1]] : [weights[0], weights[1] * taps]
        let flatConvolution = Convolution(
            isTransposed: convolution.isTransposed,
            group: convolution.group,
            kernel: Array(window.kernel[1...]),
            strides: Array(window.strides[1...]),
            dilations: Array(window.dilations[1...]),
            padding: .explicit(Array(window.padBegin[1...]) + Array(window.padEnd[1...])),
            outputPadding: Array(convolution.outputPadding.dropFirst())
        )
        let product = try add(
            .convolution(flatConvolution),
            [flat, reshape(filters, outer + weights[3...]), bias]
        )
        let made = shape(product)
        return try reshape(product, [sizes[0], count, made[1], made[2] * made[3]])
    }

    private mutating func lpNorm(
        _ x: Slot,
        axes: [Int],
        order: Int
    ) throws(ShapeError) -> Slot {
        if order == 1 { return try reduce(.l1, x, axes: axes) }
        if order == 2 { return try reduce(.l2, x, axes: axes) }
        let powers = try binary(.power, unary(.absolute, x), Double(order))
        return try binary(.power, reduce(.sum, powers, axes: axes), 1 / Double(order))
    }

    /// The elements each window sees, for every channel: [rows, windows, taps] of a tensor whose
    /// leading axes are `rows`; elements outside are `fill`.
    private mutating func windows(
        of x: Slot,
        rows: Int,
        _ table: [[Int]],
        fill: Double
    ) throws(ShapeError) -> Slot {
        let size = shape(x).reduce(1, *) / max(rows, 1)
        var source = try reshape(x, [rows, size])
        if table.contains(where: { $0.contains(-1) }) {
            let outside = try expand(scalar(fill, like: x), to: [rows, 1])
            source = try concat([source, outside], axis: 1)
        }
        let taps = table.first?.count ?? 0
        let places = table.flatMap { $0 }.map { $0 < 0 ? size : $0 }
        let picked = try gather(source, integers(places), axis: 1)
        return try reshape(picked, [rows, table.count, taps])
    }

    private mutating func definePool(
        _ x: Slot,
        _ pool: Pool,
        columnsFirst: Bool
    ) throws(ShapeError) {
        let sizes = shape(x)
        let window = try resolveWindow(pool: pool, input: sizes)
        let rows = sizes[0] * sizes[1]
        let result = Array(sizes[..<2]) + window.outputSizes
        let table = try window.table()
        func columns(_ fill: Double, _ expansion: inout Expansion) throws(ShapeError) -> Slot {
            try expansion.windows(of: x, rows: rows, table, fill: fill)
        }
        switch pool.kind {
        case .average:
            let sums = try reduce(.sum, columns(0, &self), axes: [2], keeps: false)
            let counts = table.indices.map { pixel -> Double in
                let inside = table[pixel].count { $0 >= 0 }
                return Double(
                    pool.countIncludesPadding
                        ? window.paddedCount(ofOutput: pixel) : max(inside, 1)
                )
            }
            let divisor = constant(
                DenseTensor(TensorType(dtype(x), [counts.count]), rounding: counts)
            )
            outputs = [try reshape(binary(.divide, sums, divisor), result)]
        case .lp(let order):
            let norms = try lpNorm(columns(0, &self), axes: [2], order: order)
            outputs = [try reshape(norms, result)]
        case .maximum:
            let isFloat = dtype(x).isFloatingPoint
            let lowest = isFloat ? -Double.infinity : Double(dtype(x).integerRange.lowerBound)
            let values = try columns(lowest, &self)
            outputs = [try reshape(reduce(.maximum, values, axes: [2], keeps: false), result)]
            let search = ArgumentSearch(axis: 2, keepsDimension: true)
            let taps = try add(.argument(search), [values])
            var places = table.flatMap { $0 }.map { max($0, 0) }
            if columnsFirst { places = places.map { window.columnsFirst($0) } }
            let count = table.first?.count ?? 0
            let starts = integers(
                table.indices.map { $0 * count },
                shape: [1, table.count, 1]
            )
            let numbers = try binary(.add, taps, starts)
            let inPlane = try gather(integers(places), numbers, axis: 0)
            let plane = sizes[2...].reduce(1, *)
            let planes = try integers(
                tableIndices(below: rows).map { $0 * plane },
                shape: [rows, 1, 1]
            )
            outputs.append(try reshape(binary(.add, inPlane, planes), result))
        }
    }

    /// The convolution of x and w without bias; `multiply` forms the products of matrices
    /// [N, group, pixels, terms] and [group, terms, outputs].
    mutating func convolve(
        _ x: Slot,
        _ w: Slot,
        _ convolution: Convolution,
        by multiply: (inout Expansion, Slot, Slot) throws(ShapeError) -> Slot
    ) throws(ShapeError) -> Slot {
        let (sizes, weights) = (shape(x), shape(w))
        let window = try resolveWindow(convolution: convolution, input: sizes, weights: weights)
        let group = convolution.group
        let channels = sizes[1] / group
        let taps = window.kernel.reduce(1, *)
        let table = try convolution.isTransposed ? window.transposedTable() : window.table()
        let columns = try windows(of: x, rows: sizes[0] * sizes[1], table, fill: 0)
        let parts = try reshape(columns, [sizes[0], group, channels, table.count, taps])
        let left = try reshape(
            transpose(parts, [0, 1, 3, 2, 4]),
            [sizes[0], group, table.count, channels * taps]
        )
        let outputCount: Int
        let right: Slot
        if convolution.isTransposed {
            outputCount = weights[1]
            let parts = try reshape(w, [group, channels, outputCount, taps])
            right = try reshape(
                transpose(parts, [0, 1, 3, 2]),
                [group, channels * taps, outputCount]
            )
        } else {
            outputCount = weights[0] / group
            let parts = try reshape(w, [group, outputCount, channels * taps])
            right = try transpose(parts, [0, 2, 1])
        }
        let product = try multiply(&self, left, right)
        return try reshape(
            transpose(product, [0, 1, 3, 2]),
            [sizes[0], group * outputCount] + window.outputSizes
        )
    }
}

/// Where slices of a result come from: taps along the first axis, and for each slice and each of them a
/// slice of the input; nil outside.
private struct SlicePlaces {
    var taps: [Int]
    var inputs: [Int?]
}

extension WindowGeometry {
    /// The places of slices that see the same taps.
    fileprivate func slicePlaces(of slices: [Int], isTransposed: Bool) -> SlicePlaces {
        let (step, dilation) = (strides[0], dilations[0])
        var taps = Array(0..<kernel[0])
        if isTransposed, let first = slices.first {
            taps = taps.filter { (first + padBegin[0] - $0 * dilation).isMultiple(of: step) }
            // A slice that no tap reaches is that of any tap over nothing.
            if taps.isEmpty {
                return SlicePlaces(taps: [0], inputs: slices.map { _ in nil })
            }
        }
        let inputs = slices.flatMap { slice in
            taps.map { tap -> Int? in
                let place =
                    isTransposed
                    ? (slice + padBegin[0] - tap * dilation) / step
                    : slice * step + tap * dilation - padBegin[0]
                let isBefore = isTransposed && slice + padBegin[0] < tap * dilation
                return !isBefore && 0..<inputSizes[0] ~= place ? place : nil
            }
        }
        return SlicePlaces(taps: taps, inputs: inputs)
    }

    private func coordinates(_ index: Int, in sizes: [Int]) -> [Int] {
        var rest = index
        var result = [Int](repeating: 0, count: sizes.count)
        for axis in sizes.indices.reversed() {
            result[axis] = rest % sizes[axis]
            rest /= sizes[axis]
        }
        return result
    }

    /// For each output pixel, the input element of each tap; -1 outside.
    func table() throws(ShapeError) -> [[Int]] {
        try table { axis, output, tap in
            output * strides[axis] + tap * dilations[axis] - padBegin[axis]
        }
    }

    /// The same for a transposed convolution.
    func transposedTable() throws(ShapeError) -> [[Int]] {
        try table { axis, output, tap in
            let position = output + padBegin[axis] - tap * dilations[axis]
            return position.isMultiple(of: strides[axis]) ? position / strides[axis] : -1
        }
    }

    private func table(
        _ place: (_ axis: Int, _ output: Int, _ tap: Int) -> Int
    ) throws(ShapeError) -> [[Int]] {
        var size = 1.0
        for count in outputSizes + kernel { size *= Double(count) }
        guard size <= 0x1p26 else {
            throw ShapeError("windows with \(size) elements have no kernel; at most 2^26 work")
        }
        let inputStrides = rowMajorStrides(inputSizes)
        let taps = (0..<kernel.reduce(1, *)).map { coordinates($0, in: kernel) }
        return (0..<outputSizes.reduce(1, *)).map { pixel in
            let output = coordinates(pixel, in: outputSizes)
            return taps.map { tap in
                var offset = 0
                for axis in 0..<rank {
                    let position = place(axis, output[axis], tap[axis])
                    guard 0..<inputSizes[axis] ~= position else { return -1 }
                    offset += position * inputStrides[axis]
                }
                return offset
            }
        }
    }

    /// The number of an input element when the first axis is the innermost.
    func columnsFirst(_ index: Int) -> Int {
        let place = coordinates(index, in: inputSizes)
        var (offset, step) = (0, 1)
        for axis in 0..<rank {
            offset += place[axis] * step
            step *= inputSizes[axis]
        }
        return offset
    }
}
