/// Pools, and the input elements that the windows see.
extension Evaluation {
    /// The pooled values and, when asked for, where each maximum stands in the input.
    func pool(_ pool: Pool) throws(ShapeError) -> [DenseTensor] {
        let x = input(0)
        let window = try resolveWindow(pool: pool, input: x.shape)
        let values = x.doubles
        let planes = x.shape[0] * x.shape[1]
        let size = window.inputSizes.reduce(1, *)
        let pixels = window.outputSizes.reduce(1, *)
        var result = [Double](repeating: 0, count: type.elementCount)
        var places = [Int64](repeating: 0, count: type.elementCount)
        for pixel in 0..<pixels {
            let offsets = window.insideOffsets(ofOutput: pixel)
            let divisor =
                pool.countIncludesPadding
                ? window.paddedCount(ofOutput: pixel) : offsets.count
            for plane in 0..<planes {
                let start = plane * size
                let target = plane * pixels + pixel
                if pool.kind == .maximum {
                    // An empty window cannot win with an infinity, which would spread.
                    var best = offsets.first.map { start + $0 }
                    for offset in offsets {
                        if let place = best, values[start + offset] > values[place] {
                            best = start + offset
                        }
                    }
                    result[target] = best.map { values[$0] } ?? -.greatestFiniteMagnitude
                    places[target] = Int64(best ?? 0)
                } else {
                    result[target] = combine(
                        offsets.lazy.map { values[start + $0] },
                        kind: pool.kind,
                        divisor: divisor
                    )
                }
            }
        }
        let pooled = clampingMaximum(result)
        guard types.count > 1 else { return [pooled] }
        return [pooled, DenseTensor(type: types[1], storage: .integers(places))]
    }

    /// Rounds to the result's type; the mark of an empty window becomes its least finite number.
    private func clampingMaximum(_ values: [Double]) -> DenseTensor {
        let least: Double =
            switch type.dtype {
            case .float32: -Double(Float.greatestFiniteMagnitude)
            case .float16: -65504
            case .bfloat16: -0x1.fep127
            default: -.greatestFiniteMagnitude
            }
        return DenseTensor(
            type,
            rounding: values.map { $0 == -.greatestFiniteMagnitude ? least : $0 }
        )
    }

    func globalPool(_ kind: PoolKind) -> DenseTensor {
        let x = input(0)
        let size = x.shape[2...].reduce(1, *)
        let values = x.doubles
        let results = (0..<type.elementCount).map { plane in
            combine(values[plane * size..<(plane + 1) * size], kind: kind, divisor: size)
        }
        return DenseTensor(type, rounding: results)
    }

    private func combine(
        _ values: some Sequence<Double>,
        kind: PoolKind,
        divisor: Int
    ) -> Double {
        switch kind {
        case .maximum: return values.reduce(-.infinity) { $0 >= $1 || $0.isNaN ? $0 : $1 }
        case .average: return values.reduce(0, +) / Double(max(divisor, 1))
        case .lp(let order):
            let power = Double(order)
            let sum = values.reduce(0) { $0 + Elementary.pow(abs($1), power) }
            return Elementary.pow(sum, 1 / power)
        }
    }
}

extension WindowGeometry {
    /// For each tap of one output element, the element of the input plane it reads.
    ///
    /// The border is -1. Output elements are numbered in row-major order.
    func inputOffsets(ofOutput output: Int, isTransposed: Bool) -> [Int] {
        let positions = coordinates(ofOutput: output).enumerated().map { axis, coordinate in
            (0..<kernel[axis]).map { tap in
                isTransposed
                    ? transposedPosition(axis: axis, coordinate: coordinate, tap: tap)
                    : position(axis: axis, coordinate: coordinate, tap: tap)
            }
        }
        return boxOffsets(positions: positions, strides: rowMajorStrides(inputSizes))
    }

    /// The elements of the input plane that one output element sees, the border left out.
    ///
    /// Never more than the input has, whatever the size of the window.
    func insideOffsets(ofOutput output: Int) -> [Int] {
        let positions = coordinates(ofOutput: output).enumerated().map { axis, coordinate in
            let start = coordinate * strides[axis] - padBegin[axis]
            let dilation = dilations[axis]
            let first = start >= 0 ? 0 : (dilation - 1 - start) / dilation
            let room = inputSizes[axis] - start
            let end = room <= 0 ? 0 : min(kernel[axis], (room - 1) / dilation + 1)
            return (first..<max(first, end)).map { start + $0 * dilation }
        }
        return boxOffsets(positions: positions, strides: rowMajorStrides(inputSizes))
    }

    /// Taps of an output element that lie in the input or its declared padding.
    func paddedCount(ofOutput output: Int) -> Int {
        coordinates(ofOutput: output).enumerated().reduce(1) { product, element in
            let (axis, coordinate) = element
            let start = coordinate * strides[axis] - padBegin[axis]
            let room = inputSizes[axis] + padEnd[axis] - start
            let inside = room <= 0 ? 0 : (room - 1) / dilations[axis] + 1
            return product * min(kernel[axis], inside)
        }
    }

    private func coordinates(ofOutput output: Int) -> [Int] {
        zip(outputSizes, rowMajorStrides(outputSizes)).map { size, stride in
            output / stride % size
        }
    }

    private func position(axis: Int, coordinate: Int, tap: Int) -> Int {
        let position = coordinate * strides[axis] + tap * dilations[axis] - padBegin[axis]
        return position < inputSizes[axis] ? position : -1
    }

    private func transposedPosition(axis: Int, coordinate: Int, tap: Int) -> Int {
        let reached = coordinate + padBegin[axis] - tap * dilations[axis]
        guard reached >= 0, reached.isMultiple(of: strides[axis]) else { return -1 }
        let position = reached / strides[axis]
        return position < inputSizes[axis] ? position : -1
    }
}
