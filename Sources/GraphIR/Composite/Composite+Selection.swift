/// Operators that select as much as the data says.
///
/// Each gives tensors of the largest size that is possible, filled from the front, and the scalar
/// that says how much of them was selected.
extension Expansion {
    mutating func defineSelection(_ composite: Composite) throws(ShapeError) {
        switch composite {
        case .topK(let axis, let largest): try topK(axis: axis, largest: largest)
        case .nonZero: try nonZero()
        case .compress(let axis): try compress(axis: axis)
        case .unique(let axis, let isSorted): try unique(axis: axis, isSorted: isSorted)
        case .nonMaxSuppression(let areCentred):
            try nonMaxSuppression(boxesAreCentred: areCentred)
        default: preconditionFailure("no selection")
        }
    }

    /// Where a vector of booleans is true: places in a vector of the same size with zeros at its
    /// end, and how many there are.
    private mutating func truePlaces(
        _ condition: Slot
    ) throws(ShapeError) -> (places: Slot, count: Slot) {
        let size = shape(condition)[0]
        let ones = try cast(condition, to: .int64)
        let count = try reduce(.sum, ones, axes: [0], keeps: false)
        let target = try select(condition, running(ones), scalar(-1, .int64))
        let places = try add(
            .scatterRows(.none),
            [
                filled(0, [size, 1]), target, reshape(numbers(size), [size, 1]),
            ]
        )
        return (try reshape(places, [size]), count)
    }

    /// For each element, the sum of those before it.
    private mutating func running(_ x: Slot) throws(ShapeError) -> Slot {
        let scan = Scan(isProduct: false, isExclusive: true, isReversed: false)
        return try add(.scan(scan), [x, integers([0])])
    }

    /// 0, 1, 2, ...; long ones are computed when a session opens.
    mutating func numbers(_ count: Int) throws(ShapeError) -> Slot {
        try add(
            .range,
            [scalar(0, .int64), scalar(Double(count), .int64), scalar(1, .int64)]
        )
    }

    private mutating func filled(_ value: Double, _ sizes: [Int]) throws(ShapeError) -> Slot {
        try add(.constantOfShape(value: value, dtype: .int64), [integers(sizes)])
    }

    // MARK: Operators

    /// A count known only at run time may be the whole axis.
    private mutating func topK(axis: Int, largest: Bool) throws(ShapeError) {
        let x = try input(0, "x")
        let axis = try resolveAxis(axis, rank: shape(x).count)
        var count = try input(1, "k")
        var extent: Slot?
        if literal(count) == nil {
            guard shape(count).reduce(1, *) == 1 else { throw ShapeError("k must be one number") }
            extent = try reshape(cast(count, to: .int64), [])
            count = integers([shape(x)[axis]])
            isBounded = true
        }
        let places = try add(.topPlaces(axis: axis, largest: largest), [x, count])
        outputs = [try add(.composite(.gatherElements(axis: axis)), [x, places]), places]
        if let extent {
            for output in outputs { extents[output] = [axis: extent] }
        }
    }

    private mutating func nonZero() throws(ShapeError) {
        let x = try input(0, "x")
        let sizes = shape(x).isEmpty ? [1] : shape(x)
        let size = sizes.reduce(1, *)
        let (places, count) = try truePlaces(reshape(cast(x, to: .bool), [size]))
        let rows = try coordinates(of: places, in: sizes).map { row throws(ShapeError) in
            try reshape(row, [1, size])
        }
        outputs = [try concat(rows, axis: 0)]
        extents[outputs[0]] = [1: count]
    }

    /// The coordinates of elements of a tensor of `sizes`, one vector for each axis.
    private mutating func coordinates(
        of places: Slot,
        in sizes: [Int]
    ) throws(ShapeError) -> [Slot] {
        var result: [Slot] = []
        for (axis, stride) in rowMajorStrides(sizes).enumerated() {
            var coordinate = places
            if stride > 1 { coordinate = try binary(.divide, coordinate, Double(stride)) }
            if axis > 0 {
                let size = Double(max(sizes[axis], 1))
                coordinate = try binary(.modulo(truncated: true), coordinate, size)
            }
            result.append(coordinate)
        }
        return result
    }

    private mutating func compress(axis: Int?) throws(ShapeError) {
        var x = try input(0, "x")
        var condition = try input(1, "condition")
        if axis == nil { x = try reshape(x, [shape(x).reduce(1, *)]) }
        let axis = try resolveAxis(axis ?? 0, rank: shape(x).count)
        let size = shape(x)[axis]
        guard dtype(condition) == .bool, shape(condition).count == 1, shape(condition)[0] <= size
        else {
            throw ShapeError(
                "the condition \(type(condition)) must be at most \(size) booleans, as the axis"
            )
        }
        let missing = size - shape(condition)[0]
        if missing > 0 {
            let rest = booleans(Array(repeating: false, count: missing), shape: [missing])
            condition = try concat([condition, rest], axis: 0)
        }
        let (places, count) = try truePlaces(condition)
        outputs = [try gather(x, places, axis: axis)]
        extents[outputs[0]] = [axis: count]
    }

    private mutating func nonMaxSuppression(boxesAreCentred: Bool) throws(ShapeError) {
        let (boxes, scores) = (try input(0, "boxes"), try input(1, "scores"))
        guard shape(scores).count == 3 else {
            throw ShapeError("scores \(type(scores)) must be [batch x classes x boxes]")
        }
        let sizes = shape(scores)
        var limit = sizes[2]
        let most = optional(2)
        if let most {
            guard shape(most).reduce(1, *) == 1 else {
                throw ShapeError("max_output_boxes_per_class must be one number")
            }
            if let known = literal(most)?.integers?[0] { limit = min(limit, max(0, Int(known))) }
        } else {
            limit = 0
        }
        let kept = try add(
            .suppress(limit: limit, boxesAreCentred: boxesAreCentred),
            [boxes, scores, optional(3) ?? scalar(0, .float32)] + (optional(4).map { [$0] } ?? [])
        )
        let size = sizes[0] * sizes[1] * limit
        guard size > 0 else {
            outputs = [integers([], shape: [0, 3])]
            return
        }
        var isKept = try unary(.not, binary(.less, kept, 0))
        if let most, literal(most) == nil {
            let position = try reshape(numbers(limit), [1, 1, limit])
            let few = try reshape(cast(most, to: .int64), [1, 1, 1])
            isKept = try binary(.and, isKept, binary(.less, position, few))
        }
        let (places, count) = try truePlaces(reshape(isKept, [size]))
        var columns = try coordinates(of: places, in: [sizes[0], sizes[1], limit])
        columns[2] = try gather(reshape(kept, [size]), places, axis: 0)
        // Beyond the count, the first place may be one where nothing was kept.
        columns[2] = try add(.variadic(.maximum), [columns[2], scalar(0, .int64)])
        let parts = try columns.map { column throws(ShapeError) in
            try reshape(column, [size, 1])
        }
        outputs = [try concat(parts, axis: 1)]
        extents[outputs[0]] = [0: count]
    }

    // MARK: Unique

    /// Equal rows stand together once they are sorted; the first of each group is kept.
    private mutating func unique(axis: Int?, isSorted: Bool) throws(ShapeError) {
        let x = try input(0, "x")
        let sizes = axis == nil ? [shape(x).reduce(1, *)] : shape(x)
        let axis = try resolveAxis(axis ?? 0, rank: sizes.count)
        let front = [axis] + sizes.indices.filter { $0 != axis }
        let moved = try transpose(reshape(x, sizes), front)
        let (count, width) = (sizes[axis], shape(moved).dropFirst().reduce(1, *))
        guard count > 0 else {
            let none = integers([])
            outputs = [x, none, none, none]
            return
        }
        guard 1...64 ~= width else {
            throw ShapeError("slices of \(width) elements cannot be sorted; 1 to 64 can")
        }
        let rows = try reshape(moved, [count, width])
        let order = try sortedOrder(rows)
        let sorted = try gather(rows, order, axis: 0)
        let isFirst = try startsOfGroups(sorted)
        var (firsts, groups) = try truePlaces(isFirst)
        // The group of each sorted row, counted from zero.
        let group = try binary(
            .subtract,
            binary(.add, running(cast(isFirst, to: .int64)), cast(isFirst, to: .int64)),
            1
        )
        let table = try filled(0, [count, 1])
        let column = [count, 1]
        var inverse = try add(.scatterRows(.none), [table, order, reshape(group, column)])
        var tally = try add(.scatterRows(.add), [table, group, filled(1, column)])
        (inverse, tally) = (try reshape(inverse, [count]), try reshape(tally, [count]))
        if !isSorted {
            // Groups in the order of their first members; those beyond the count stay behind.
            let position = try numbers(count)
            let isReal = try binary(.less, position, groups)
            let key = try select(
                isReal,
                gather(order, firsts, axis: 0),
                binary(.add, position, Double(count))
            )
            let ranked = try add(
                .topPlaces(axis: 0, largest: false),
                [key, integers([count])]
            )
            firsts = try gather(firsts, ranked, axis: 0)
            tally = try gather(tally, ranked, axis: 0)
            let rank = try add(
                .scatterRows(.none),
                [table, ranked, reshape(position, column)]
            )
            inverse = try gather(reshape(rank, [count]), inverse, axis: 0)
        }
        let kept = try reshape(gather(sorted, firsts, axis: 0), shape(moved))
        var back = front
        for (position, axis) in front.enumerated() { back[axis] = position }
        let y = try transpose(kept, back)
        let indices = try gather(order, firsts, axis: 0)
        outputs = [y, indices, inverse, tally]
        extents = [y: [axis: groups], indices: [0: groups], tally: [0: groups]]
    }

    /// The order in which rows ascend; equal ones keep theirs.
    private mutating func sortedOrder(_ rows: Slot) throws(ShapeError) -> Slot {
        let (count, width) = (shape(rows)[0], shape(rows)[1])
        var order = try numbers(count)
        // Sorting by the last element first leaves the first one to decide.
        for index in (0..<width).reversed() {
            let keys = try gather(pick(rows, axis: 1, index), order, axis: 0)
            let places = try add(
                .topPlaces(axis: 0, largest: false),
                [keys, integers([count])]
            )
            order = try gather(order, places, axis: 0)
        }
        return order
    }

    /// For each of some sorted rows, whether it differs from the one before.
    private mutating func startsOfGroups(_ rows: Slot) throws(ShapeError) -> Slot {
        let count = shape(rows)[0]
        guard count > 1 else {
            return booleans(Array(repeating: true, count: count), shape: [count])
        }
        let (before, after) = (
            try slice(rows, axis: 0, 0..<count - 1), try slice(rows, axis: 0, 1..<count)
        )
        var isSame = try binary(.equal, before, after)
        if dtype(rows).isFloatingPoint {
            let areNaN = try binary(.and, unary(.isNaN, before), unary(.isNaN, after))
            isSame = try binary(.or, isSame, areNaN)
        }
        let differing = try cast(unary(.not, isSame), to: .int64)
        let differs = try cast(reduce(.maximum, differing, axes: [1], keeps: false), to: .bool)
        return try concat([booleans([true], shape: [1]), differs], axis: 0)
    }
}
