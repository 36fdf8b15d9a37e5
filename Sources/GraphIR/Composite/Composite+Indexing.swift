/// Operators that read or write where indices point.
///
/// All of them become a gather or scatter of rows by one list of row numbers.
extension Expansion {
    mutating func defineIndexing(_ composite: Composite) throws(ShapeError) {
        let x = try input(0, "x")
        let sizes = shape(x)
        switch composite {
        case .gatherElements(let axis):
            let indices = try input(1, "indices")
            let flat = try elementNumbers(indices, in: sizes, axis: axis)
            outputs = [try gather(reshape(x, [sizes.reduce(1, *)]), flat, axis: 0)]
        case .gatherND(let batchAxes): try gatherND(x, batchAxes: batchAxes)
        case .scatterElements(let axis, let reduction):
            let indices = try input(1, "indices")
            let resolved = try resolveAxis(axis, rank: sizes.count)
            let numbers = try elementNumbers(indices, in: sizes, axis: axis)
            let flat = try onlyCounted(numbers, shape(indices), axis: resolved)
            let count = shape(indices).reduce(1, *)
            let updates = try input(2, "updates")
            guard shape(updates) == shape(indices) else {
                throw ShapeError("updates and indices must have one shape")
            }
            let result = try add(
                .scatterRows(reduction),
                [
                    reshape(x, [sizes.reduce(1, *), 1]), reshape(flat, [count]),
                    reshape(updates, [count, 1]),
                ]
            )
            outputs = [try reshape(result, sizes)]
        case .scatterND(let reduction): try scatterND(x, reduction)
        case .maxUnpool(let pool): try maxUnpool(x, pool)
        case .tensorScatter(let axis, let circular):
            try tensorScatter(x, axis: axis, circular: circular)
        case .col2Im(let strides, let dilations, let pads):
            try col2Im(x, strides: strides, dilations: dilations, pads: pads)
        default: preconditionFailure("no indexing")
        }
    }

    /// For every index along `axis`, the number of the element it points at in a tensor of
    /// `sizes`, of which the other coordinates are those of the index.
    private mutating func elementNumbers(
        _ indices: Slot,
        in sizes: [Int],
        axis: Int
    ) throws(ShapeError) -> Slot {
        let axis = try resolveAxis(axis, rank: sizes.count)
        let own = shape(indices)
        guard own.count == sizes.count,
            own.indices.allSatisfy({ $0 == axis || own[$0] <= sizes[$0] })
        else {
            throw ShapeError(
                "indices of shape \(describe(own)) do not fit \(describe(sizes))"
            )
        }
        let strides = rowMajorStrides(sizes)
        let index = try wrapped(cast(indices, to: .int64), size: sizes[axis])
        var numbers = try binary(.multiply, index, Double(strides[axis]))
        for other in own.indices where other != axis && own[other] > 1 {
            var shape = own.map { _ in 1 }
            shape[other] = own[other]
            let offsets = try tableIndices(below: own[other]).map { $0 * strides[other] }
            numbers = try binary(.add, numbers, integers(offsets, shape: shape))
        }
        return numbers
    }

    /// Row numbers of index tuples [..., k] into the axes `sizes`, one for each tuple.
    private mutating func rowNumbers(
        _ indices: Slot,
        _ sizes: [Int]
    ) throws(ShapeError) -> Slot {
        let tuples = shape(indices).dropLast().reduce(1, *)
        let strides = rowMajorStrides(sizes)
        let flat = try reshape(cast(indices, to: .int64), [tuples, sizes.count])
        var rows = try integers(tableIndices(below: tuples).map { _ in 0 })
        for axis in sizes.indices {
            let index = try wrapped(pick(flat, axis: 1, axis), size: sizes[axis])
            rows = try binary(.add, rows, binary(.multiply, index, Double(strides[axis])))
        }
        return rows
    }

    /// Numbers, of shape `sizes` or flat, of which those behind the count in input 3 name no row.
    private mutating func onlyCounted(
        _ numbers: Slot,
        _ sizes: [Int],
        axis: Int
    ) throws(ShapeError) -> Slot {
        guard let count = optional(3) else { return numbers }
        let along = sizes.indices.map { $0 == axis ? sizes[axis] : 1 }
        let places = try reshape(self.numbers(sizes[axis]), along)
        let isReal = try binary(.less, places, count)
        let own = try reshape(numbers, sizes)
        return try reshape(select(isReal, own, scalar(-1, .int64)), shape(numbers))
    }

    private mutating func gatherND(_ x: Slot, batchAxes: Int) throws(ShapeError) {
        let indices = try input(1, "indices")
        let (sizes, own) = (shape(x), shape(indices))
        guard let depth = own.last, depth >= 0, batchAxes >= 0, batchAxes < own.count,
            batchAxes + depth <= sizes.count,
            sizes.prefix(batchAxes) == own.prefix(batchAxes)
        else {
            throw ShapeError(
                "indices of shape \(describe(own)) do not fit \(describe(sizes))"
            )
        }
        let batches = sizes.prefix(batchAxes).reduce(1, *)
        let indexed = Array(sizes[batchAxes..<batchAxes + depth])
        let rest = Array(sizes[(batchAxes + depth)...])
        let tuples = own.dropLast().reduce(1, *)
        var rows = try rowNumbers(indices, indexed)
        if batches > 1 {
            let each = indexed.reduce(1, *)
            let starts = try tableIndices(below: tuples).map { $0 / (tuples / batches) * each }
            rows = try binary(.add, rows, integers(starts))
        }
        let table = try reshape(x, [batches * indexed.reduce(1, *), rest.reduce(1, *)])
        outputs = [try reshape(gather(table, rows, axis: 0), Array(own.dropLast()) + rest)]
    }

    private mutating func scatterND(
        _ x: Slot,
        _ reduction: ScatterReduction
    ) throws(ShapeError) {
        let (indices, updates) = (try input(1, "indices"), try input(2, "updates"))
        let (sizes, own) = (shape(x), shape(indices))
        guard let depth = own.last, depth <= sizes.count,
            shape(updates) == Array(own.dropLast()) + Array(sizes[depth...])
        else {
            throw ShapeError(
                "indices \(describe(own)) and updates \(describe(shape(updates))) do not fit "
                    + describe(sizes)
            )
        }
        let indexed = Array(sizes[..<depth])
        let width = sizes[depth...].reduce(1, *)
        let rows = try onlyCounted(rowNumbers(indices, indexed), Array(own.dropLast()), axis: 0)
        let result = try add(
            .scatterRows(reduction),
            [
                reshape(x, [indexed.reduce(1, *), width]), rows,
                reshape(updates, [own.dropLast().reduce(1, *), width]),
            ]
        )
        outputs = [try reshape(result, sizes)]
    }

    private mutating func maxUnpool(_ x: Slot, _ pool: Pool) throws(ShapeError) {
        let sizes = shape(x)
        let axes = sizes.count - 2
        guard axes >= 1, pool.kernel.count == axes else {
            throw ShapeError("the kernel does not fit \(describe(sizes))")
        }
        let strides = pool.strides.isEmpty ? pool.kernel.map { _ in 1 } : pool.strides
        var pads = [Int](repeating: 0, count: 2 * axes)
        if case .explicit(let given) = pool.padding, !given.isEmpty { pads = given }
        guard strides.count == axes, pads.count == 2 * axes else {
            throw ShapeError("strides or pads do not fit \(describe(sizes))")
        }
        for (size, stride) in zip(sizes[2...], strides) { try checkShape([size, stride]) }
        let spatial = (0..<axes).map {
            (sizes[$0 + 2] - 1) * strides[$0] + pool.kernel[$0] - pads[$0] - pads[$0 + axes]
        }
        let inferred = Array(sizes[..<2]) + spatial
        try checkShape(inferred)
        let count = sizes.reduce(1, *)
        let zeros = try add(
            .constantOfShape(value: 0, dtype: dtype(x)),
            [integers([inferred.reduce(1, *), 1])]
        )
        let filled = try add(
            .scatterRows(.none),
            [
                zeros, reshape(cast(input(1, "indices"), to: .int64), [count]),
                reshape(x, [count, 1]),
            ]
        )
        var y = try reshape(filled, inferred)
        if let wanted = try integers(2, "output_shape"), wanted != inferred {
            guard wanted.count == inferred.count,
                zip(wanted, inferred).allSatisfy({ $0 >= $1 })
            else { throw ShapeError("the output_shape is too small for the indices") }
            let ends = zip(wanted, inferred).map { $0 - $1 }
            y = try add(.pad(.constant), [y, integers(ends.map { _ in 0 } + ends)])
        }
        outputs = [y]
    }

    /// Writes rows of a cache [B, ..., L, ...] from a place that each batch entry has for itself.
    private mutating func tensorScatter(
        _ x: Slot,
        axis: Int,
        circular: Bool
    ) throws(ShapeError) {
        let sizes = shape(x)
        let axis = try resolveAxis(axis, rank: sizes.count)
        let update = try input(1, "update")
        guard axis > 0, shape(update).count == sizes.count else {
            throw ShapeError("the update does not fit a cache of \(describe(sizes))")
        }
        let (batch, length, count) = (sizes[0], sizes[axis], shape(update)[axis])
        let middle = sizes[1..<axis].reduce(1, *)
        let width = sizes[(axis + 1)...].reduce(1, *)
        var start = try integers(tableIndices(below: batch).map { _ in 0 })
        if let given = optional(2) { start = try cast(given, to: .int64) }
        let steps = try counting(count, shape: [1, 1, count])
        var place = try binary(.add, reshape(start, [batch, 1, 1]), steps)
        if circular { place = try binary(.modulo(truncated: false), place, Double(length)) }
        let firsts = try integers(
            tableIndices(below: batch * middle).map { $0 * length },
            shape: [batch, middle, 1]
        )
        let rows = try binary(.add, place, firsts)
        let total = batch * middle * count
        let result = try add(
            .scatterRows(.none),
            [
                reshape(x, [batch * middle * length, width]), reshape(rows, [total]),
                reshape(update, [total, width]),
            ]
        )
        outputs = [try reshape(result, sizes)]
    }

    private mutating func col2Im(
        _ x: Slot,
        strides: [Int],
        dilations: [Int],
        pads: [Int]
    ) throws(ShapeError) {
        guard let image = try integers(1, "image_shape"),
            let block = try integers(2, "block_shape"), shape(x).count == 3,
            image.count == block.count, !image.isEmpty
        else { throw ShapeError("Col2Im needs columns [N, C * block, L] and two shapes") }
        let axes = image.count
        let stride = strides.isEmpty ? image.map { _ in 1 } : strides
        let dilation = dilations.isEmpty ? image.map { _ in 1 } : dilations
        let pad = pads.isEmpty ? Array(repeating: 0, count: 2 * axes) : pads
        let padded: [Int] = (0..<axes).map { image[$0] + pad[$0] + pad[$0 + axes] }
        try checkShape(padded)
        try checkShape(block)
        guard block.allSatisfy({ $0 < maximumWindowParameter }) else {
            throw ShapeError("a block of \(describe(block)) is too large")
        }
        let taps = block.reduce(1, *)
        let counts: [Int] = (0..<axes).map { axis in
            let extent = dilation[axis] * (block[axis] - 1) + 1
            return extent > padded[axis] ? 0 : (padded[axis] - extent) / stride[axis] + 1
        }
        try checkShape(counts)
        let (batch, columns) = (shape(x)[0], shape(x)[2])
        guard taps > 0, shape(x)[1].isMultiple(of: taps), counts.allSatisfy({ $0 > 0 }),
            counts.reduce(1, *) == columns
        else { throw ShapeError("the columns \(describe(shape(x))) do not fit the image") }
        let channels = shape(x)[1] / taps
        let size = padded.reduce(1, *)
        let rowStrides = rowMajorStrides(padded)
        // Where each column's element of each tap lands, in one channel.
        let tapOffsets = viewOffsets(
            shape: block,
            strides: (0..<axes).map { block[$0] > 1 ? dilation[$0] * rowStrides[$0] : 0 }
        )
        let columnOffsets = viewOffsets(
            shape: counts,
            strides: (0..<axes).map { counts[$0] > 1 ? stride[$0] * rowStrides[$0] : 0 }
        )
        _ = try tableIndices(below: channels * taps * columns)
        var places: [Int] = []
        for channel in 0..<channels {
            for tap in tapOffsets { places += columnOffsets.map { channel * size + tap + $0 } }
        }
        let rows = try transpose(
            reshape(x, [batch, channels * taps * columns]),
            [1, 0]
        )
        let zeros = try add(
            .constantOfShape(value: 0, dtype: dtype(x)),
            [integers([channels * size, batch])]
        )
        let summed = try add(.scatterRows(.add), [zeros, integers(places), rows])
        var y = try reshape(transpose(summed, [1, 0]), [batch, channels] + padded)
        for axis in 0..<axes {
            y = try slice(y, axis: axis + 2, pad[axis]..<pad[axis] + image[axis])
        }
        outputs = [y]
    }
}
