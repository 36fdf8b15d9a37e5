/// Operators that move elements: each picks, for every result element, one input element.
extension Evaluation {
    func transpose(_ permutation: [Int]?) throws(ShapeError) -> DenseTensor {
        let x = input(0)
        let order = try resolvePermutation(permutation, rank: x.shape.count)
        let strides = rowMajorStrides(x.shape)
        let offsets = viewOffsets(shape: type.shape, strides: order.map { strides[$0] })
        return DenseTensor(type: type, storage: x.storage.picking(offsets))
    }

    func concat(axis: Int) -> DenseTensor {
        let rank = type.shape.count
        let axis = axis < 0 ? axis + rank : axis
        let outer = type.shape[..<axis].reduce(1, *)
        var storage = input(0).storage.emptied
        for row in 0..<outer {
            for index in inputs.indices {
                let part = input(index)
                let length = part.shape[axis...].reduce(1, *)
                storage.append(part.storage, at: row * length..<(row + 1) * length)
            }
        }
        return DenseTensor(type: type, storage: storage)
    }

    func split(axis: Int) -> [DenseTensor] {
        let x = input(0)
        let axis = axis < 0 ? axis + x.shape.count : axis
        var start = 0
        return types.map { type in
            let size = type.shape[axis]
            defer { start += size }
            return picked(from: x, type: type, axis: axis, positions: Array(start..<start + size))
        }
    }

    /// All of `x`, but along `axis` only the elements at `positions`.
    private func picked(
        from x: DenseTensor,
        type: TensorType,
        axis: Int,
        positions: [Int]
    ) -> DenseTensor {
        var lists = x.shape.map { Array(0..<$0) }
        lists[axis] = positions
        let offsets = boxOffsets(positions: lists, strides: rowMajorStrides(x.shape))
        return DenseTensor(type: type, storage: x.storage.picking(offsets))
    }

    func gather(axis: Int) throws(ShapeError) -> DenseTensor {
        let x = input(0)
        let axis = axis < 0 ? axis + x.shape.count : axis
        let size = x.shape[axis]
        var positions: [Int] = []
        for index in integers(1) ?? [] {
            guard index >= -size, index < size else {
                throw ShapeError(
                    "index \(index) is outside axis \(axis) of \(describe(x.shape)); "
                        + "\(-size) to \(size - 1) are valid"
                )
            }
            positions.append(index < 0 ? index + size : index)
        }
        return picked(from: x, type: type, axis: axis, positions: positions)
    }

    func slice() throws(ShapeError) -> DenseTensor {
        let x = input(0)
        let bounds = try resolveSliceBounds(
            shape: x.shape,
            starts: integers(1) ?? [],
            ends: integers(2) ?? [],
            axes: integers(3),
            steps: integers(4)
        )
        let positions = bounds.map { axis in
            (0..<axis.count).map { axis.start + $0 * axis.step }
        }
        let offsets = boxOffsets(positions: positions, strides: rowMajorStrides(x.shape))
        return DenseTensor(type: type, storage: x.storage.picking(offsets))
    }

    func pad(_ mode: PadMode) throws(ShapeError) -> DenseTensor {
        let x = input(0)
        let pads = try resolvePads(
            shape: x.shape,
            pads: integers(1) ?? [],
            axes: integers(3),
            mode: mode
        )
        let positions = type.shape.indices.map { axis in
            let first = max(0, -pads.begin[axis])
            let end = x.shape[axis] + min(0, pads.end[axis])
            return (0..<type.shape[axis]).map { output in
                padSource(mode, position: output - pads.begin[axis], in: first..<max(first, end))
            }
        }
        let offsets = boxOffsets(positions: positions, strides: rowMajorStrides(x.shape))
        var fill = DenseTensor(TensorType(x.type.dtype, [1]), repeating: 0).storage
        if let value = optionalInput(2), value.elementCount == 1 { fill = value.storage }
        return DenseTensor(type: type, storage: x.storage.picking(offsets, elsewhere: fill))
    }

    /// The element that stands at `position` of an axis of which `kept` is left; -1 for the fill.
    private func padSource(_ mode: PadMode, position: Int, in kept: Range<Int>) -> Int {
        if kept.contains(position) { return position }
        guard mode != .constant, let last = kept.last else { return -1 }
        let distance = position - kept.lowerBound
        func cycled(_ period: Int) -> Int {
            let rest = distance % period
            return rest < 0 ? rest + period : rest
        }
        switch mode {
        case .constant: return -1
        case .edge: return min(max(position, kept.lowerBound), last)
        case .wrap: return kept.lowerBound + cycled(kept.count)
        case .reflect:
            guard kept.count > 1 else { return last }
            let period = 2 * (kept.count - 1)
            let rest = cycled(period)
            return kept.lowerBound + min(rest, period - rest)
        }
    }

    func expand() -> DenseTensor {
        let x = input(0)
        let offsets = viewOffsets(
            shape: type.shape,
            strides: broadcastStrides(of: x.shape, to: type.shape)
        )
        return DenseTensor(type: type, storage: x.storage.picking(offsets))
    }

    func tile() -> DenseTensor {
        let x = input(0)
        let positions = zip(type.shape, x.shape).map { total, size in
            (0..<total).map { $0 % size }
        }
        let offsets = boxOffsets(positions: positions, strides: rowMajorStrides(x.shape))
        return DenseTensor(type: type, storage: x.storage.picking(offsets))
    }

    func select() -> DenseTensor {
        func offsets(_ tensor: DenseTensor) -> [Int] {
            viewOffsets(
                shape: type.shape,
                strides: broadcastStrides(of: tensor.shape, to: type.shape)
            )
        }
        let condition = input(0).storage.picking(offsets(input(0)))
        guard case .integers(let flags) = condition else { return renamed }
        let a = input(1)
        var storage = a.storage
        storage.append(input(2).storage, at: 0..<input(2).elementCount)
        let picks = zip(flags, zip(offsets(a), offsets(input(2)))).map { flag, choice in
            flag != 0 ? choice.0 : a.elementCount + choice.1
        }
        return DenseTensor(type: type, storage: storage.picking(picks))
    }

    func range() -> DenseTensor {
        let count = type.elementCount
        switch (input(0).storage, input(2).storage) {
        case (.integers(let start), .integers(let delta)):
            let elements = (0..<count).map {
                type.dtype.wrap(start[0] &+ Int64($0) &* delta[0])
            }
            return DenseTensor(type: type, storage: .integers(elements))
        case (.floats(let start), .floats(let delta)):
            let elements = (0..<count).map {
                Float(type.dtype.round(Double(start[0] + Float($0) * delta[0])))
            }
            return DenseTensor(type: type, storage: .floats(elements))
        default:
            let (start, delta) = (input(0).doubles[0], input(2).doubles[0])
            let elements = (0..<count).map { start + Double($0) * delta }
            return DenseTensor(type: type, storage: .doubles(elements))
        }
    }

    func cast() -> DenseTensor {
        let x = input(0)
        guard case .integers(let elements) = x.storage, !type.dtype.isFloatingPoint else {
            return castToOrFromFloat(x)
        }
        return DenseTensor(type: type, storage: .integers(elements.map { type.dtype.wrap($0) }))
    }

    private func castToOrFromFloat(_ x: DenseTensor) -> DenseTensor {
        // Wide integers go straight to Float: through Double they would be rounded twice.
        if type.dtype == .float32, case .integers(let elements) = x.storage {
            let isUnsigned = x.type.dtype == .uint64
            let floats = elements.map { isUnsigned ? Float(UInt64(bitPattern: $0)) : Float($0) }
            return DenseTensor(type: type, storage: .floats(floats))
        }
        return DenseTensor(type, rounding: x.numbers)
    }
}
