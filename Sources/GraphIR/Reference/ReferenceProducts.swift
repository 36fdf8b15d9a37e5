/// Convolutions and matrix products, all as sums of rows of one matrix times columns of another.
///
/// Eight columns are gathered into vectors of `Double`, and every row of the left matrix is
/// multiplied by them: the columns stay in cache, and no padding, stride or layout reaches the
/// inner loop.
extension Evaluation {
    func convolution(_ convolution: Convolution) throws(ShapeError) -> DenseTensor {
        let (x, weights) = (input(0), input(1))
        let window = try resolveWindow(
            convolution: convolution,
            input: x.shape,
            weights: weights.shape
        )
        let product = ConvolutionProduct(
            window: window,
            isTransposed: convolution.isTransposed,
            images: x.shape[0],
            group: convolution.group,
            channels: x.shape[1] / convolution.group,
            outputs: type.shape[1] / convolution.group,
            bias: optionalInput(2)?.doubles
        )
        var matrix = weights
        if convolution.isTransposed {
            matrix = product.weightsByOutput(weights)
        }
        switch (x.storage, matrix.storage) {
        case (.floats(let x), .floats(let rows)):
            return DenseTensor(type, rounding: product.evaluate(x, rows))
        default:
            return DenseTensor(type, rounding: product.evaluate(x.doubles, matrix.doubles))
        }
    }

    func gemm(_ gemm: Gemm) -> DenseTensor {
        var a = input(0)
        if gemm.transposeA { a = transposed(a) }
        let b = input(1)
        let (rows, depth) = (a.shape[0], a.shape[1])
        let columns = type.shape[1]
        let values = matrixProduct(
            a,
            at: 0,
            b,
            at: 0,
            rows: rows,
            depth: depth,
            columns: columns,
            strides: gemm.transposeB ? (1, depth) : (columns, 1)
        )
        let alpha = Double(gemm.alpha)
        guard let c = optionalInput(2) else {
            return DenseTensor(type, rounding: values.map { alpha * $0 })
        }
        let offsets = viewOffsets(
            shape: type.shape,
            strides: broadcastStrides(of: c.shape, to: type.shape)
        )
        let added = c.doubles
        let beta = Double(gemm.beta)
        return DenseTensor(
            type,
            rounding: zip(values, offsets).map { alpha * $0 + beta * added[$1] }
        )
    }

    private func transposed(_ matrix: DenseTensor) -> DenseTensor {
        let (rows, columns) = (matrix.shape[0], matrix.shape[1])
        let offsets = viewOffsets(shape: [columns, rows], strides: [1, columns])
        return DenseTensor(
            type: TensorType(matrix.type.dtype, [columns, rows]),
            storage: matrix.storage.picking(offsets)
        )
    }

    func matmul() throws(ShapeError) -> DenseTensor {
        let (a, b) = (input(0), input(1))
        let product = try MatrixProduct(a.shape, b.shape)
        let size = product.rows * product.columns
        let startsOfA = viewOffsets(
            shape: product.batch,
            strides: broadcastStrides(of: product.batchOfA, to: product.batch)
        )
        let startsOfB = viewOffsets(
            shape: product.batch,
            strides: broadcastStrides(of: product.batchOfB, to: product.batch)
        )
        var values: [Double] = []
        var integers: [Int64] = []
        for (matrixOfA, matrixOfB) in zip(startsOfA, startsOfB) {
            let first = matrixOfA * product.rows * product.depth
            let second = matrixOfB * product.depth * product.columns
            if case .integers(let x) = a.storage, case .integers(let y) = b.storage {
                for index in 0..<size {
                    var sum: Int64 = 0
                    for k in 0..<product.depth {
                        let left = x[first + index / product.columns * product.depth + k]
                        let right = y[second + k * product.columns + index % product.columns]
                        sum = sum &+ left &* right
                    }
                    integers.append(type.dtype.wrap(sum))
                }
            } else {
                values += matrixProduct(
                    a,
                    at: first,
                    b,
                    at: second,
                    rows: product.rows,
                    depth: product.depth,
                    columns: product.columns,
                    strides: (product.columns, 1)
                )
            }
        }
        if case .integers = a.storage {
            return DenseTensor(type: type, storage: .integers(integers))
        }
        return DenseTensor(type, rounding: values)
    }

    /// The product of a dense matrix of a and one of b, whose rows and columns are `strides` apart.
    private func matrixProduct(
        _ a: DenseTensor,
        at firstOfA: Int,
        _ b: DenseTensor,
        at firstOfB: Int,
        rows: Int,
        depth: Int,
        columns: Int,
        strides: (row: Int, column: Int)
    ) -> [Double] {
        func multiply<T: BinaryFloatingPoint>(_ a: [T], _ b: [T]) -> [Double] {
            var result = [Double](repeating: 0, count: rows * columns)
            var gathered = [SIMD8<Double>](repeating: .zero, count: depth)
            var sums = [SIMD8<Double>](repeating: .zero, count: rows)
            let size = depth * columns
            let matrix = b.span.extracting(firstOfB..<firstOfB + size)
            for column in stride(from: 0, to: columns, by: 8) {
                let lanes = min(8, columns - column)
                for k in 0..<depth {
                    let start = k * strides.row + column * strides.column
                    gathered[k] = eightLanes { lane in
                        lane < lanes ? Double(matrix[start + lane * strides.column]) : 0
                    }
                }
                multiplyRows(a, from: firstOfA, by: gathered, into: &sums)
                for row in 0..<rows {
                    for lane in 0..<lanes {
                        result[row * columns + column + lane] = sums[row][lane]
                    }
                }
            }
            return result
        }
        if case .floats(let x) = a.storage, case .floats(let y) = b.storage {
            return multiply(x, y)
        }
        return multiply(a.doubles, b.doubles)
    }
}

/// A vector of `element(0)` to `element(7)`.
///
/// Written out, since stores to single lanes go through memory.
@inline(__always)
private func eightLanes(_ element: (Int) -> Double) -> SIMD8<Double> {
    SIMD8(
        element(0),
        element(1),
        element(2),
        element(3),
        element(4),
        element(5),
        element(6),
        element(7)
    )
}

/// sums[row] = the sum over k of rows[row][k] * columns[k], for a dense matrix that starts at
/// element `first` of `rows`.
private func multiplyRows<T: BinaryFloatingPoint>(
    _ rows: [T],
    from first: Int,
    by columns: [SIMD8<Double>],
    into sums: inout [SIMD8<Double>]
) {
    let depth = columns.count
    let vectors = columns.span
    let matrix = rows.span
    for row in stride(from: 0, to: sums.count - 1, by: 2) {
        let start = first + row * depth
        let upperRow = matrix.extracting(start..<start + depth)
        let lowerRow = matrix.extracting(start + depth..<start + 2 * depth)
        var (upper, lower) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
        for k in vectors.indices {
            upper += Double(upperRow[k]) * vectors[k]
            lower += Double(lowerRow[k]) * vectors[k]
        }
        sums[row] = upper
        sums[row + 1] = lower
    }
    guard !sums.count.isMultiple(of: 2) else { return }
    let start = first + (sums.count - 1) * depth
    let lastRow = matrix.extracting(start..<start + depth)
    var sum = SIMD8<Double>.zero
    for k in vectors.indices { sum += Double(lastRow[k]) * vectors[k] }
    sums[sums.count - 1] = sum
}

/// A convolution of either direction as one matrix product per image, group and eight pixels.
private struct ConvolutionProduct {
    let window: WindowGeometry
    let isTransposed: Bool
    let images: Int
    let group: Int
    /// Input and output channels of one group.
    let channels: Int
    let outputs: Int
    let bias: [Double]?

    private var taps: Int { window.kernel.reduce(1, *) }

    /// Brings [group, C, O, taps] into [group, O, C, taps].
    func weightsByOutput(_ weights: DenseTensor) -> DenseTensor {
        let size = outputs * taps
        let offsets = viewOffsets(
            shape: [group, outputs, channels, taps],
            strides: [channels * size, taps, size, 1]
        )
        return DenseTensor(type: weights.type, storage: weights.storage.picking(offsets))
    }

    /// The result for input `x` and weights `rows` of shape [group, O, C, taps].
    func evaluate<T: BinaryFloatingPoint>(_ x: [T], _ rows: [T]) -> [Double] {
        let pixels = window.outputSizes.reduce(1, *)
        let plane = window.inputSizes.reduce(1, *)
        let taps = self.taps
        let depth = channels * taps
        var result = [Double](repeating: 0, count: images * group * outputs * pixels)
        var columns = [SIMD8<Double>](repeating: .zero, count: depth)
        var sums = [SIMD8<Double>](repeating: .zero, count: outputs)
        for pixel in stride(from: 0, to: pixels, by: 8) {
            let lanes = min(8, pixels - pixel)
            let offsets = tapOffsets(ofPixels: pixel..<pixel + lanes)
            for block in 0..<images * group {
                for channel in 0..<channels {
                    let start = (block * channels + channel) * plane
                    gather(
                        x.span.extracting(start..<start + plane),
                        at: offsets.span,
                        into: &columns,
                        from: channel * taps
                    )
                }
                let member = block % group
                multiplyRows(rows, from: member * outputs * depth, by: columns, into: &sums)
                for output in 0..<outputs {
                    let start = (block * outputs + output) * pixels + pixel
                    let added = bias?[member * outputs + output] ?? 0
                    for lane in 0..<lanes { result[start + lane] = sums[output][lane] + added }
                }
            }
        }
        return result
    }
    /// For each tap, the offset it reads within one input plane for each of up to eight output
    /// pixels; -1 for the border and for pixels that are not there.
    private func tapOffsets(ofPixels pixels: Range<Int>) -> [SIMD8<Int>] {
        var offsets = [SIMD8<Int>](repeating: SIMD8(repeating: -1), count: taps)
        for (lane, pixel) in pixels.enumerated() {
            let reads = window.inputOffsets(ofOutput: pixel, isTransposed: isTransposed)
            for (tap, offset) in reads.enumerated() { offsets[tap][lane] = offset }
        }
        return offsets
    }

    /// Converts the elements of one plane at `offsets` to columns, from index `first` on.
    private func gather<T: BinaryFloatingPoint>(
        _ plane: Span<T>,
        at offsets: Span<SIMD8<Int>>,
        into columns: inout [SIMD8<Double>],
        from first: Int
    ) {
        for tap in offsets.indices {
            let places = offsets[tap]
            columns[first + tap] = eightLanes { lane in
                let place = places[lane]
                return place < 0 ? 0 : Double(plane[place])
            }
        }
    }
}
