/// Operators that combine the elements along axes: reductions, softmax and normalisations.
extension Evaluation {
    func reduce(_ reduction: Reduction) throws(ShapeError) -> DenseTensor {
        let x = input(0)
        let isReduced = try resolveReducedAxes(
            reduction,
            rank: x.shape.count,
            axes: integers(1)
        )
        // The result element each input element belongs to: reduced axes do not move it.
        let kept = zip(x.shape, isReduced).map { $1 ? 1 : $0 }
        let strides = zip(rowMajorStrides(kept), isReduced).map { $1 ? 0 : $0 }
        let targets = viewOffsets(shape: x.shape, strides: strides)
        let count = zip(x.shape, isReduced).reduce(1) { $1.1 ? $0 * $1.0 : $0 }
        if case .integers(let elements) = x.storage,
            let integers = reduceIntegers(reduction.kind, elements, targets, count: count)
        {
            return DenseTensor(type: type, storage: .integers(integers))
        }
        let values = reduceNumbers(reduction.kind, x.numbers, targets, count: count)
        return DenseTensor(type, rounding: values)
    }

    private func reduceNumbers(
        _ kind: ReductionKind,
        _ x: [Double],
        _ targets: [Int],
        count: Int
    ) -> [Double] {
        var result = [Double](repeating: 0, count: type.elementCount)
        func accumulate(from start: Double, _ combine: (Double, Double) -> Double) {
            for index in result.indices { result[index] = start }
            for (value, target) in zip(x, targets) {
                result[target] = combine(result[target], value)
            }
        }
        switch kind {
        case .sum: accumulate(from: 0) { $0 + $1 }
        case .mean:
            accumulate(from: 0) { $0 + $1 }
            if count > 0 { result = result.map { $0 / Double(count) } }
        case .minimum: accumulate(from: .infinity) { $0 <= $1 || $0.isNaN ? $0 : $1 }
        case .maximum: accumulate(from: -.infinity) { $0 >= $1 || $0.isNaN ? $0 : $1 }
        case .product: accumulate(from: 1) { $0 * $1 }
        case .l1: accumulate(from: 0) { $0 + abs($1) }
        case .l2:
            accumulate(from: 0) { $0 + $1 * $1 }
            result = result.map { $0.squareRoot() }
        case .sumOfSquares: accumulate(from: 0) { $0 + $1 * $1 }
        case .logSum:
            accumulate(from: 0) { $0 + $1 }
            result = result.map(Elementary.log)
        case .logSumExp:
            accumulate(from: -.infinity) { $0 >= $1 || $0.isNaN ? $0 : $1 }
            let largest = result.map { $0.isInfinite ? 0 : $0 }
            var sums = [Double](repeating: 0, count: result.count)
            for (value, target) in zip(x, targets) {
                sums[target] += Elementary.exp(value - largest[target])
            }
            result = zip(largest, sums).map { $0 + Elementary.log($1) }
        }
        return result
    }

    /// Reductions of integers that wrap; nil for those that leave the integers.
    private func reduceIntegers(
        _ kind: ReductionKind,
        _ x: [Int64],
        _ targets: [Int],
        count: Int
    ) -> [Int64]? {
        let dtype = type.dtype
        let flip: Int64 = dtype == .uint64 ? .min : 0
        let start: Int64
        let combine: (Int64, Int64) -> Int64
        switch kind {
        case .sum, .mean: (start, combine) = (0, { $0 &+ $1 })
        case .minimum:
            start = dtype == .uint64 ? -1 : dtype.integerRange.upperBound
            combine = { $0 ^ flip <= $1 ^ flip ? $0 : $1 }
        case .maximum:
            start = dtype == .uint64 ? 0 : dtype.integerRange.lowerBound
            combine = { $0 ^ flip >= $1 ^ flip ? $0 : $1 }
        case .product: (start, combine) = (1, { $0 &* $1 })
        case .l1: (start, combine) = (0, { $0 &+ ($1 < 0 && flip == 0 ? 0 &- $1 : $1) })
        case .sumOfSquares: (start, combine) = (0, { $0 &+ $1 &* $1 })
        case .l2, .logSum, .logSumExp: return nil
        }
        var result = [Int64](repeating: start, count: type.elementCount)
        for (value, target) in zip(x, targets) {
            result[target] = combine(result[target], value)
        }
        if kind == .mean, count > 0 {
            result = result.map { sum in
                flip == 0
                    ? sum / Int64(count)
                    : Int64(bitPattern: UInt64(bitPattern: sum) / UInt64(count))
            }
        }
        return result.map { dtype.wrap($0) }
    }

    func softmax(axis: Int, flattened: Bool) -> DenseTensor {
        let x = input(0)
        let axis = axis < 0 ? axis + x.shape.count : axis
        let end = flattened ? x.shape.count : axis + 1
        let count = x.shape[axis..<end].reduce(1, *)
        let inner = x.shape[end...].reduce(1, *)
        var values = x.doubles
        for outer in 0..<x.shape[..<axis].reduce(1, *) {
            for offset in 0..<inner {
                let first = outer * count * inner + offset
                let row = stride(from: first, to: first + count * inner, by: inner)
                var largest = -Double.infinity
                for index in row { largest = max(largest, values[index]) }
                var sum = 0.0
                for index in row {
                    values[index] = Elementary.exp(values[index] - largest)
                    sum += values[index]
                }
                for index in row { values[index] /= sum }
            }
        }
        return DenseTensor(type, rounding: values)
    }

    func batchNormalization(epsilon: Float) -> DenseTensor {
        let x = input(0)
        let (scale, bias) = (input(1).doubles, input(2).doubles)
        let (mean, variance) = (input(3).doubles, input(4).doubles)
        let channels = x.shape[1]
        let inner = x.shape[2...].reduce(1, *)
        var values = x.doubles
        for plane in 0..<x.shape[0] * channels {
            let channel = plane % channels
            let factor = scale[channel] / (variance[channel] + Double(epsilon)).squareRoot()
            for index in plane * inner..<(plane + 1) * inner {
                values[index] = (values[index] - mean[channel]) * factor + bias[channel]
            }
        }
        return DenseTensor(type, rounding: values)
    }

    func localResponseNormalization(
        size: Int,
        alpha: Float,
        beta: Float,
        bias: Float
    ) -> DenseTensor {
        let x = input(0)
        let channels = x.shape[1]
        let inner = x.shape[2...].reduce(1, *)
        let source = x.doubles
        var values = source
        for image in 0..<x.shape[0] {
            for channel in 0..<channels {
                let first = max(0, channel - (size - 1) / 2)
                let last = min(channels - 1, channel + size / 2)
                for pixel in 0..<inner {
                    var sum = 0.0
                    for other in first...last {
                        let value = source[(image * channels + other) * inner + pixel]
                        sum += value * value
                    }
                    let base = Double(bias) + Double(alpha) / Double(size) * sum
                    values[(image * channels + channel) * inner + pixel] /=
                        Elementary.pow(base, Double(beta))
                }
            }
        }
        return DenseTensor(type, rounding: values)
    }
}
