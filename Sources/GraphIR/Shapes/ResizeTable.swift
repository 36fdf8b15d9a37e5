/// Which input elements make each element of a resized axis, and with which weights.
///
/// The result's weights add up to one for every output element. An element outside a cropped
/// region has index -1 in all its taps. Coordinates are computed in Float like onnxruntime's, so
/// that ties of nearest-neighbour rounding fall the same way.
package func resizeTable(
    _ resize: Resize,
    along axis: ResizeScale
) throws(ShapeError) -> ResizeAxis {
    guard axis.inputSize <= Int(Int32.max), Double(axis.outputSize) <= maximumTableSize else {
        throw ShapeError(
            "an axis of \(max(axis.inputSize, axis.outputSize)) elements is too long to resize"
        )
    }
    let isCropped =
        resize.coordinates == .cropAndResize
        && (axis.regionStart != 0 || axis.regionEnd != 1)
    if axis.scale == 1, axis.inputSize == axis.outputSize, !isCropped {
        return ResizeAxis(
            taps: 1,
            indices: (0..<Int32(axis.inputSize)).map { $0 },
            weights: Array(repeating: 1, count: axis.inputSize)
        )
    }
    var filter = ResizeFilter(resize, axis)
    guard filter.taps <= maximumTableSize / Double(max(axis.outputSize, 1)) else {
        throw ShapeError(
            "resizing \(axis.inputSize) elements to \(axis.outputSize) reads too many elements"
        )
    }
    var table = ResizeAxis(taps: Int(filter.taps), indices: [], weights: [])
    table.indices.reserveCapacity(table.taps * axis.outputSize)
    table.weights.reserveCapacity(table.taps * axis.outputSize)
    for output in 0..<axis.outputSize {
        filter.append(output, to: &table)
    }
    return table
}

private let maximumTableSize = 0x1p26

private struct ResizeFilter {
    let resize: Resize
    let axis: ResizeScale
    /// Taps of every output element; a Double since a hostile scale makes it huge.
    let taps: Double
    /// Factor below one that widens the filter when shrinking with antialiasing.
    private let shrink: Double
    private var weights: [Double] = []

    init(_ resize: Resize, _ axis: ResizeScale) {
        self.resize = resize
        self.axis = axis
        let widens = resize.antialias && axis.scale < 1 && resize.mode != .nearest
        shrink = widens ? Double(axis.scale) : 1
        switch resize.mode {
        case .nearest: taps = 1
        case .linear: taps = 2 * (1 / shrink).rounded(.up)
        case .cubic: taps = 2 * (2 / shrink).rounded(.up)
        }
    }

    /// Adds the taps of one output element.
    mutating func append(_ output: Int, to table: inout ResizeAxis) {
        let position = coordinate(of: output)
        let last = axis.inputSize - 1
        if resize.coordinates == .cropAndResize, !(position >= 0 && position <= Float(last)) {
            table.indices += Array(repeating: -1, count: table.taps)
            table.weights += [1] + Array(repeating: 0, count: table.taps - 1)
            return
        }
        // Farther outside, every border rule gives the same.
        let center = position.isNaN ? 0 : min(max(position, -4), Float(axis.inputSize) + 4)
        if resize.mode == .nearest {
            table.indices.append(Int32(min(max(nearest(center), 0), last)))
            table.weights.append(1)
            return
        }
        let start = Int(center.rounded(.down)) - table.taps / 2 + 1
        weights.removeAll(keepingCapacity: true)
        for index in start..<start + table.taps {
            let isDropped = resize.excludesOutside && (index < 0 || index > last)
            let distance = (Double(index) - Double(center)) * shrink
            weights.append(isDropped ? 0 : weight(at: abs(distance)))
        }
        let sum = weights.reduce(0, +)
        for (offset, weight) in weights.enumerated() {
            table.indices.append(Int32(min(max(start + offset, 0), last)))
            table.weights.append(Float(sum == 0 ? 1 / Double(table.taps) : weight / sum))
        }
    }

    /// The position in the input that output element `output` shows.
    private func coordinate(of output: Int) -> Float {
        let x = Float(output)
        let scale = axis.scale
        let input = Float(axis.inputSize)
        let size = Float(axis.outputSize)
        switch resize.coordinates {
        case .halfPixel:
            return (x + 0.5) / scale - 0.5
        case .halfPixelSymmetric:
            // The offset in Float and the rest in Double, again as onnxruntime rounds.
            let offset = input / 2 * (1 - size / (scale * input))
            return Float(Double(offset) + (Double(output) + 0.5) / Double(scale) - 0.5)
        case .pytorchHalfPixel:
            return axis.outputSize > 1 ? (x + 0.5) / scale - 0.5 : 0
        case .alignCorners:
            return axis.outputSize > 1 ? x * (input - 1) / (size - 1) : 0
        case .asymmetric:
            return x / scale
        case .tfHalfPixelForNearest:
            return (x + 0.5) / scale
        case .cropAndResize:
            let (start, end) = (axis.regionStart, axis.regionEnd)
            guard axis.outputSize > 1 else { return 0.5 * (start + end) * (input - 1) }
            return start * (input - 1) + x * (end - start) * (input - 1) / (size - 1)
        }
    }

    private func nearest(_ position: Float) -> Int {
        switch resize.rounding {
        case .floor: Int(position.rounded(.down))
        case .ceil: Int(position.rounded(.up))
        case .preferCeil:
            Int(
                (position.rounded(.down) + 0.5 <= position)
                    ? position.rounded(.up) : position.rounded(.down)
            )
        case .preferFloor:
            Int(
                (position.rounded(.down) + 0.5 < position)
                    ? position.rounded(.up) : position.rounded(.down)
            )
        }
    }

    /// The interpolation kernel: a tent, or Keys' cubic convolution.
    private func weight(at distance: Double) -> Double {
        guard resize.mode == .cubic else { return max(0, 1 - distance) }
        let a = Double(resize.cubicCoefficient)
        if distance <= 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
        if distance < 2 { return ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a }
        return 0
    }
}
