/// Operators that move elements to places that shapes alone decide.
extension Expansion {
    mutating func defineMovement(_ composite: Composite) throws(ShapeError) {
        let x = try input(0, "x")
        switch composite {
        case .depthToSpace(let block, let columnsFirst):
            let s = try imageShape(x)
            guard block > 0, s[1].isMultiple(of: block * block) else {
                throw ShapeError("\(s[1]) channels do not make blocks of \(block)x\(block)")
            }
            let depth = s[1] / (block * block)
            let parts =
                columnsFirst
                ? [s[0], block, block, depth, s[2], s[3]] : [s[0], depth, block, block, s[2], s[3]]
            let order = columnsFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]
            let moved = try transpose(reshape(x, parts), order)
            outputs = [try reshape(moved, [s[0], depth, s[2] * block, s[3] * block])]
        case .spaceToDepth(let block, let columnsFirst):
            let s = try imageShape(x)
            guard block > 0, s[2].isMultiple(of: block), s[3].isMultiple(of: block) else {
                throw ShapeError("\(s[2])x\(s[3]) pixels are no blocks of \(block)x\(block)")
            }
            let parts = [s[0], s[1], s[2] / block, block, s[3] / block, block]
            let order = columnsFirst ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4]
            let moved = try transpose(reshape(x, parts), order)
            outputs = [
                try reshape(moved, [s[0], s[1] * block * block, s[2] / block, s[3] / block])
            ]
        case .trilu(let upper):
            let sizes = shape(x)
            guard sizes.count >= 2 else { throw ShapeError("a triangle needs two axes") }
            let k = try integer(1, "k") ?? 0
            let (rows, columns) = (sizes[sizes.count - 2], sizes[sizes.count - 1])
            // No triangle depends on more than this, and sums with it stay small.
            let offset = min(max(k, -rows - 1), columns + 1)
            let row = try counting(rows, shape: [rows, 1])
            let column = try counting(columns, shape: [1, columns])
            let diagonal = try binary(.add, row, Double(offset))
            let isKept = try binary(upper ? .greaterOrEqual : .lessOrEqual, column, diagonal)
            outputs = [try select(isKept, x, scalar(0, like: x))]
        case .eyeLike(let offset, let target):
            let sizes = shape(x)
            guard sizes.count == 2 else { throw ShapeError("EyeLike needs a matrix") }
            let row = try counting(sizes[0], shape: [sizes[0], 1])
            let column = try counting(sizes[1], shape: [1, sizes[1]])
            let hits = try binary(.equal, column, binary(.add, row, Double(offset)))
            outputs = [try cast(hits, to: target ?? dtype(x))]
        case .oneHot(let axis): try oneHot(x, axis: axis)
        case .reverseSequence(let batchAxis, let timeAxis):
            try reverseSequence(x, batchAxis: batchAxis, timeAxis: timeAxis)
        case .centerCropPad(let axes): try centerCropPad(x, axes: axes)
        case .window(let window, let isPeriodic, let target):
            guard let size = try integer(0, "size"), size >= 0, size <= 1 << 24 else {
                throw ShapeError("a window has a size of 0 to \(1 << 24)")
            }
            outputs = [
                constant(
                    DenseTensor(
                        TensorType(target, [size]),
                        rounding: samples(of: window, count: size, isPeriodic: isPeriodic)
                    )
                )
            ]
        default: preconditionFailure("no movement")
        }
    }

    private func imageShape(_ x: Slot) throws(ShapeError) -> [Int] {
        guard shape(x).count == 4 else {
            throw ShapeError("\(describe(shape(x))) is no batch of images [N, C, H, W]")
        }
        return shape(x)
    }

    private func samples(
        of window: SignalWindow,
        count: Int,
        isPeriodic: Bool
    ) -> [Double] {
        let period = Double(isPeriodic ? count : max(count - 1, 1))
        return (0..<count).map { index in
            let angle = 2 * Double.pi * Double(index) / period
            switch window {
            case .hann: return 0.5 - 0.5 * Elementary.cos(angle)
            case .hamming: return 25.0 / 46 - 21.0 / 46 * Elementary.cos(angle)
            case .blackman:
                return 0.42 - 0.5 * Elementary.cos(angle) + 0.08 * Elementary.cos(2 * angle)
            }
        }
    }

    private mutating func oneHot(_ indices: Slot, axis: Int) throws(ShapeError) {
        guard let depth = try depthOfOneHot(), 0...(1 << 24) ~= depth else {
            throw ShapeError("input 1 (depth) must be a number from 0 to \(1 << 24)")
        }
        let values = try input(2, "values")
        guard shape(values) == [2] else { throw ShapeError("input 2 (values) must have two") }
        let axis = try resolveAxis(axis, rank: shape(indices).count + 1)
        var sizes = shape(indices)
        sizes.insert(1, at: axis)
        let index = try reshape(wrapped(cast(indices, to: .int64), size: depth), sizes)
        var sizesOfRange = sizes.map { _ in 1 }
        sizesOfRange[axis] = depth
        let hits = try binary(
            .equal,
            counting(depth, shape: sizesOfRange),
            index
        )
        outputs = [
            try select(hits, pick(values, axis: 0, 1), pick(values, axis: 0, 0))
        ]
    }

    /// A number of any type.
    private func depthOfOneHot() throws(ShapeError) -> Int? {
        if let known = optional(1).flatMap(literal), known.type.dtype.isFloatingPoint {
            return known.doubles.first.flatMap { Int(exactly: $0.rounded(.towardZero)) }
        }
        return try integer(1, "depth")
    }

    /// Indices of which negative ones count from the end of an axis of `size`.
    mutating func wrapped(_ indices: Slot, size: Int) throws(ShapeError) -> Slot {
        let isNegative = try binary(.less, indices, 0)
        return try select(isNegative, binary(.add, indices, Double(size)), indices)
    }

    private mutating func reverseSequence(
        _ x: Slot,
        batchAxis: Int,
        timeAxis: Int
    ) throws(ShapeError) {
        let sizes = shape(x)
        guard sizes.count >= 2, Set([batchAxis, timeAxis]) == [0, 1] else {
            throw ShapeError("ReverseSequence works on the first two axes")
        }
        let (batch, time) = (sizes[batchAxis], sizes[timeAxis])
        let lengths = try reshape(
            cast(input(1, "sequence_lens"), to: .int64),
            batchAxis == 0 ? [batch, 1] : [1, batch]
        )
        let timeShape = timeAxis == 0 ? [time, 1] : [1, time]
        let t = try counting(time, shape: timeShape)
        let mirrored = try binary(.subtract, binary(.subtract, lengths, t), 1)
        let source = try select(binary(.less, t, lengths), mirrored, t)
        let b = try integers(
            tableIndices(below: batch).map { $0 * (batchAxis == 0 ? time : 1) },
            shape: batchAxis == 0 ? [batch, 1] : [1, batch]
        )
        let step = Double(timeAxis == 0 ? batch : 1)
        let flat = try binary(.add, binary(.multiply, source, step), b)
        let rows = try reshape(x, [sizes[0] * sizes[1], sizes[2...].reduce(1, *)])
        outputs = [
            try reshape(gather(rows, reshape(flat, [sizes[0] * sizes[1]]), axis: 0), sizes)
        ]
    }

    private mutating func centerCropPad(_ x: Slot, axes: [Int]) throws(ShapeError) {
        guard let target = try integers(1, "shape") else {
            throw ShapeError("input 1 (shape) is missing")
        }
        let rank = shape(x).count
        let axes = axes.isEmpty ? Array(0..<rank) : try resolveAxes(axes, rank: rank)
        guard axes.count == target.count else {
            throw ShapeError("\(target.count) sizes for \(axes.count) axes")
        }
        var y = x
        for (axis, size) in zip(axes, target) {
            let own = shape(y)[axis]
            if size < own {
                let start = (own - size) / 2
                y = try slice(y, axis: axis, start..<start + max(size, 0))
            } else if size > own {
                let start = (size - own) / 2
                let pads = integers([start, size - own - start])
                y = try add(.pad(.constant), [y, pads, nil, integers([axis])])
            }
        }
        outputs = [y]
    }
}
