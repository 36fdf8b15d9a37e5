/// What operators that mix the elements of an axis read and give where only a part of it is real.
///
/// `count` is the scalar of int64 that says how many elements, from the front, are.
extension Expansion {
    mutating func defineRealParts(_ composite: Composite) throws(ShapeError) {
        switch composite {
        case .placesFromFront: try placesFromFront()
        case .keepFirst(let axis, let fill): try keepFirst(axis: axis, fill: fill)
        case .concatFirst(let axis, let isCounted):
            try concatFirst(axis: axis, isCounted: isCounted)
        case .sliceFirst(let axis, let start, let end, let step):
            try sliceFirst(axis: axis, from: start, to: end, step: step)
        case .reshapeFirst(let axis, let sizes, let open):
            try reshapeFirst(axis: axis, to: sizes, open: open)
        default: preconditionFailure("nothing about real parts")
        }
    }

    private mutating func keepFirst(axis: Int, fill: Float?) throws(ShapeError) {
        let (x, count) = (try input(0, "x"), try input(1, "count"))
        let size = shape(x)[axis]
        guard size > 0 else { return outputs = [x] }
        let places = try numbers(size)
        guard let fill else {
            let last = try add(
                .variadic(.maximum),
                [binary(.subtract, count, 1), scalar(0, .int64)]
            )
            outputs = [try gather(x, add(.variadic(.minimum), [places, last]), axis: axis)]
            return
        }
        let along = shape(x).indices.dropFirst(axis).map { $0 == axis ? size : 1 }
        let isReal = try reshape(binary(.less, places, count), along)
        outputs = [try select(isReal, x, scalar(Double(fill), like: x))]
    }

    private mutating func placesFromFront() throws(ShapeError) {
        let indices = try cast(input(0, "indices"), to: .int64)
        let isFromEnd = try binary(.less, indices, 0)
        let fromEnd = try binary(.add, indices, input(1, "count"))
        outputs = [try select(isFromEnd, fromEnd, indices)]
    }

    /// Behind the end of a part, everything moves forward by what the part lacks.
    private mutating func concatFirst(axis: Int, isCounted: [Bool]) throws(ShapeError) {
        var parts: [Slot] = []
        for index in isCounted.indices { parts.append(try input(index, "part")) }
        let whole = try concat(parts, axis: axis)
        let size = shape(whole)[axis]
        let places = try numbers(size)
        var sources = places
        var end = scalar(0, .int64)
        var counts = inputs[isCounted.count...]
        for (part, isCounted) in zip(parts, isCounted) {
            let most = Double(shape(part)[axis])
            guard isCounted, let count = counts.popFirst(), let count else {
                end = try binary(.add, end, most)
                continue
            }
            end = try binary(.add, end, count)
            let isBehind = try unary(.not, binary(.less, places, end))
            let missing = try binary(.subtract, scalar(most, .int64), count)
            let step = try select(isBehind, missing, scalar(0, .int64))
            sources = try binary(.add, sources, step)
        }
        let last = scalar(Double(max(size - 1, 0)), .int64)
        outputs = [try gather(whole, add(.variadic(.minimum), [sources, last]), axis: axis)]
        extents[outputs[0]] = [axis: end]
    }

    /// Where a cut starts and how long it is follow from the count, as they do from a known size.
    private mutating func sliceFirst(
        axis: Int,
        from start: Int,
        to end: Int,
        step: Int
    ) throws(ShapeError) {
        let (x, count) = (try input(0, "x"), try input(1, "count"))
        let size = shape(x)[axis]
        let open = sliceIsOpen(end)
        let (start, end, step) = (
            bounded(start, by: size), bounded(end, by: size), bounded(step, by: size)
        )
        // As a function of the count, the length bends only where a bound meets an end of the axis.
        let bends = [0, 1, size, start, end, -start, -end].flatMap { [$0 - 1, $0, $0 + 1] }
        let most =
            bends.filter { 0...size ~= $0 }.map {
                SliceBounds(of: $0, from: start, to: open ? Int.max : end, step: step).count
            }.max() ?? 0
        let isForward = step > 0
        func clamped(_ bound: Int, _ low: Int, _ self: inout Expansion) throws(ShapeError) -> Slot {
            let number = self.scalar(Double(bound), .int64)
            let place = bound < 0 ? try self.binary(.add, count, number) : number
            let top = isForward ? count : try self.binary(.subtract, count, 1)
            let capped = try self.add(.variadic(.minimum), [place, top])
            return try self.add(.variadic(.maximum), [capped, self.scalar(Double(low), .int64)])
        }
        let first = try clamped(start, 0, &self)
        var last = isForward ? count : scalar(-1, .int64)
        if !open { last = try clamped(end, isForward ? 0 : -1, &self) }
        var length =
            try isForward
            ? binary(.subtract, last, first) : binary(.subtract, first, last)
        length = try add(.variadic(.maximum), [length, scalar(0, .int64)])
        length = try binary(.add, length, Double(abs(step) - 1))
        length = try binary(.divide, length, Double(abs(step)))
        // Backwards through nothing, one place before it would be counted.
        length = try add(.variadic(.minimum), [length, count])
        if start >= 0, isForward {
            let bounds = SliceBounds(of: size, from: start, to: size, step: step)
            let range = [bounds.start, bounds.start + most * step, axis, step].map {
                integers([$0])
            }
            outputs = [try add(.slice, [x] + range)]
        } else {
            var places = try binary(.multiply, numbers(most), Double(step))
            places = try binary(.add, places, first)
            places = try inside(places, size)
            outputs = [try gather(x, places, axis: axis)]
        }
        extents[outputs[0]] = [axis: length]
    }

    /// Elements keep their order in memory, without those that are not real.
    private mutating func reshapeFirst(
        axis: Int,
        to sizes: [Int],
        open: Int
    ) throws(ShapeError) {
        let (x, count) = (try input(0, "x"), try input(1, "count"))
        let from = shape(x)
        let others = sizes.indices.filter { $0 != open }.map { sizes[$0] }.reduce(1, *)
        let each = from.indices.filter { $0 != axis }.map { from[$0] }.reduce(1, *)
        let most = from[axis]
        guard others > 0, most * each % others == 0 else {
            throw ShapeError("\(describe(from)) cannot become \(describe(sizes))")
        }
        var sizes = sizes
        sizes[open] = most * each / others
        let length = try binary(
            .divide,
            binary(.multiply, count, Double(each)),
            Double(others)
        )
        let (before, after) = (
            from[..<axis].reduce(1, *), sizes[..<open].reduce(1, *)
        )
        if before == 1, after == 1 {
            outputs = [try reshape(x, sizes)]
        } else {
            let (inner, width) = (
                from[(axis + 1)...].reduce(1, *), sizes[(open + 1)...].reduce(1, *)
            )
            // The place of each element among those that are real, and where that one stands in x.
            let rows = try reshape(numbers(after), [after, 1, 1])
            let columns = try reshape(numbers(sizes[open] * width), [1, sizes[open], width])
            var place = try binary(.multiply, rows, binary(.multiply, length, Double(width)))
            place = try binary(.add, place, columns)
            let line = try binary(.multiply, count, Double(inner))
            let whole = try add(.variadic(.maximum), [line, scalar(1, .int64)])
            let row = try binary(.divide, place, whole)
            let rest = try binary(.subtract, place, binary(.multiply, row, whole))
            place = try binary(.add, binary(.multiply, row, Double(most * inner)), rest)
            let flat = try reshape(x, [most * each])
            outputs = [try reshape(gather(flat, inside(place, most * each), axis: 0), sizes)]
        }
        extents[outputs[0]] = [open: length]
    }

    /// Places brought into an axis of `size` elements.
    private mutating func inside(_ places: Slot, _ size: Int) throws(ShapeError) -> Slot {
        let low = try add(.variadic(.maximum), [places, scalar(0, .int64)])
        return try add(
            .variadic(.minimum),
            [low, scalar(Double(max(size - 1, 0)), .int64)]
        )
    }
}

/// A number beyond both ends of an axis made one just beyond them.
private func bounded(_ number: Int, by size: Int) -> Int { max(-size - 1, min(number, size + 1)) }
