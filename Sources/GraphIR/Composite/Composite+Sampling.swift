/// `GridSample` with the attributes of ONNX.
package struct GridSampling: Hashable, Sendable {
    package enum Border: Hashable, Sendable { case zeros, border, reflection }

    package var mode: Resize.Mode
    package var border: Border
    package var alignCorners: Bool

    package init(mode: Resize.Mode, border: Border, alignCorners: Bool) {
        self.mode = mode
        self.border = border
        self.alignCorners = alignCorners
    }
}

/// `RoiAlign` with the attributes of ONNX.
package struct RegionAlignment: Hashable, Sendable {
    package var takesMaximum: Bool
    package var outputHeight: Int
    package var outputWidth: Int
    package var samplingRatio: Int
    package var spatialScale: Float
    /// Whether coordinates are shifted by half a pixel.
    package var isHalfPixel: Bool

    package init(
        takesMaximum: Bool,
        outputHeight: Int,
        outputWidth: Int,
        samplingRatio: Int,
        spatialScale: Float,
        isHalfPixel: Bool
    ) {
        self.takesMaximum = takesMaximum
        self.outputHeight = outputHeight
        self.outputWidth = outputWidth
        self.samplingRatio = samplingRatio
        self.spatialScale = spatialScale
        self.isHalfPixel = isHalfPixel
    }
}

/// Operators that read between pixels.
extension Expansion {
    mutating func defineSampling(_ composite: Composite) throws(ShapeError) {
        let x = try input(0, "x")
        switch composite {
        case .resizeAllAxes(let resize): outputs = [try resizeAllAxes(x, resize)]
        case .affineGrid(let alignCorners): try affineGrid(x, alignCorners: alignCorners)
        case .gridSample(let sampling): try gridSample(x, sampling)
        case .roiAlign(let alignment): try roiAlign(x, alignment)
        default: preconditionFailure("no sampling")
        }
    }

    /// Resizes one axis after the other by gathers of its taps.
    private mutating func resizeAllAxes(_ x: Slot, _ resize: Resize) throws(ShapeError) -> Slot {
        let given = inputs.map { $0.flatMap(literal) }
        let target = try inferTypes(
            of: .resize(resize),
            inputs: inputs.map { $0.map(type) },
            literals: given,
            outputCount: 1
        )[0].shape
        let axes = try resizeAxes(resize, input: shape(x), output: target, literals: given)
        var isOutside: Slot?
        let needsFloat = axes.contains { $0.taps > 1 } && !dtype(x).isFloatingPoint
        var y = needsFloat ? try cast(x, to: .float32) : x
        for (axis, table) in axes.enumerated() {
            let count = target[axis]
            if table.isIdentity(of: shape(y)[axis]) { continue }
            var along = target.map { _ in 1 }
            along[axis] = count
            if table.indices.contains(-1) {
                let flags = (0..<count).map { table.indices[$0 * table.taps] < 0 }
                let outside = booleans(flags, shape: along)
                isOutside =
                    try isOutside.map { old throws(ShapeError) in
                        try binary(.or, old, outside)
                    } ?? outside
            }
            var sum: Slot?
            for tap in 0..<table.taps {
                let places = (0..<count).map { max(Int(table.indices[$0 * table.taps + tap]), 0) }
                var term = try gather(y, integers(places), axis: axis)
                if table.taps > 1 {
                    let weights = (0..<count).map { Double(table.weights[$0 * table.taps + tap]) }
                    let factor = constant(
                        DenseTensor(TensorType(dtype(y), along), rounding: weights)
                    )
                    term = try binary(.multiply, term, factor)
                }
                sum =
                    try sum.map { old throws(ShapeError) in
                        try binary(.add, old, term)
                    } ?? term
            }
            if let sum { y = sum }
        }
        if let isOutside {
            y = try select(isOutside, scalar(Double(resize.extrapolation), like: y), y)
        }
        return needsFloat ? try cast(y, to: dtype(x)) : y
    }

    private mutating func affineGrid(_ theta: Slot, alignCorners: Bool) throws(ShapeError) {
        guard let size = try integers(1, "size"), size.count == 4 || size.count == 5 else {
            throw ShapeError("AffineGrid needs the size of a batch of images or volumes")
        }
        try checkShape(size)
        let spatial = Array(size[2...])
        let axes = spatial.count
        guard shape(theta) == [size[0], axes, axes + 1] else {
            throw ShapeError("theta must be \(describe([size[0], axes, axes + 1]))")
        }
        let points = spatial.reduce(1, *)
        let strides = rowMajorStrides(spatial)
        // Rows of x, y(, z), 1: the innermost axis of the image comes first.
        var numbers: [Double] = []
        for point in try tableIndices(below: points) {
            for axis in (0..<axes).reversed() {
                let (index, count) = (Double(point / strides[axis] % spatial[axis]), spatial[axis])
                numbers.append(
                    alignCorners
                        ? (count == 1 ? 0 : 2 * index / Double(count - 1) - 1)
                        : (2 * index + 1) / Double(count) - 1
                )
            }
            numbers.append(1)
        }
        let grid = constant(
            DenseTensor(TensorType(dtype(theta), [1, points, axes + 1]), rounding: numbers)
        )
        let places = try matmul(grid, transpose(theta, [0, 2, 1]))
        outputs = [try reshape(places, [size[0]] + spatial + [axes])]
    }

    // MARK: GridSample

    /// A coordinate folded back between its limits.
    private mutating func reflected(
        _ x: Slot,
        _ low: Double,
        _ high: Double
    ) throws(ShapeError) -> Slot {
        let range = high - low
        if range <= 0 { return try binary(.multiply, x, 0) }
        let distance = try unary(.absolute, binary(.subtract, x, low))
        let phase = try binary(.modulo(truncated: true), distance, 2 * range)
        let back = try binary(.subtract, scalar(2 * range, like: x), phase)
        let isBack = try binary(.greater, phase, range)
        return try binary(.add, select(isBack, back, phase), low)
    }

    /// The element rows [N, P, C] of a table [N * S, C] at whole positions along each axis.
    ///
    /// Positions are float tensors [N, P]; outside of the image there may be zeros.
    private mutating func texels(
        _ table: Slot,
        _ sizes: [Int],
        _ positions: [Slot],
        _ sampling: GridSampling
    ) throws(ShapeError) -> Slot {
        let (batch, points) = (shape(positions[0])[0], shape(positions[0])[1])
        let strides = rowMajorStrides(sizes)
        let each = sizes.reduce(1, *)
        var rows = try integers(tableIndices(below: batch).map { $0 * each }, shape: [batch, 1])
        var isInside: Slot?
        for (axis, given) in positions.enumerated() {
            let last = Double(sizes[axis] - 1)
            var place = given
            switch sampling.border {
            case .zeros:
                let inside = try binary(
                    .and,
                    binary(.greaterOrEqual, given, 0),
                    binary(.lessOrEqual, given, last)
                )
                isInside =
                    try isInside.map { old throws(ShapeError) in
                        try binary(.and, old, inside)
                    } ?? inside
            case .border: break
            case .reflection:
                let (low, high) = sampling.alignCorners ? (0, last) : (-0.5, last + 0.5)
                place = try reflected(given, low, high)
            }
            let index = try cast(clip(place, 0, last), to: .int64)
            rows = try binary(.add, rows, binary(.multiply, index, Double(strides[axis])))
        }
        let values = try gather(table, reshape(rows, [batch * points]), axis: 0)
        let shaped = try reshape(values, [batch, points, shape(table)[1]])
        guard let isInside else { return shaped }
        let flags = try reshape(isInside, [batch, points, 1])
        return try select(flags, shaped, scalar(0, like: shaped))
    }

    private mutating func gridSample(_ x: Slot, _ sampling: GridSampling) throws(ShapeError) {
        let grid = try input(1, "grid")
        let (sizes, places) = (shape(x), shape(grid))
        let axes = sizes.count - 2
        guard axes >= 1, axes <= 3, places.count == axes + 2, places[axes + 1] == axes,
            places[0] == sizes[0], sampling.mode != .cubic || axes == 2
        else {
            throw ShapeError(
                "a grid of \(describe(places)) does not sample \(describe(sizes)) this way"
            )
        }
        let (batch, channels) = (sizes[0], sizes[1])
        let spatial = Array(sizes[2...])
        let points = places[1..<axes + 1].reduce(1, *)
        let rows = try transpose(reshape(x, [batch, channels, spatial.reduce(1, *)]), [0, 2, 1])
        let table = try reshape(rows, [batch * spatial.reduce(1, *), channels])
        let flat = try reshape(grid, [batch, points, axes])
        var positions: [Slot] = []
        for axis in 0..<axes {
            // The grid names the innermost axis first.
            let given = try pick(flat, axis: 2, axes - 1 - axis)
            let size = Double(spatial[axis])
            let shifted = try binary(.add, given, 1)
            var place =
                sampling.alignCorners
                ? try binary(.multiply, shifted, (size - 1) / 2)
                : try binary(.subtract, binary(.multiply, shifted, size / 2), 0.5)
            if sampling.mode == .nearest { place = try unary(.round, place) }
            let (low, high) = sampling.alignCorners ? (0, size - 1) : (-0.5, size - 0.5)
            switch sampling.border {
            case .zeros: break
            case .border:
                if sampling.mode != .cubic { place = try clip(place, 0, size - 1) }
            case .reflection:
                if sampling.mode != .cubic { place = try reflected(place, low, high) }
            }
            positions.append(place)
        }
        let sampled = try interpolated(table, spatial, positions, sampling)
        let y = try transpose(sampled, [0, 2, 1])
        outputs = [try reshape(y, [batch, channels] + Array(places[1..<axes + 1]))]
    }

    /// The weighted sum of the texels around each position.
    private mutating func interpolated(
        _ table: Slot,
        _ sizes: [Int],
        _ positions: [Slot],
        _ sampling: GridSampling
    ) throws(ShapeError) -> Slot {
        if sampling.mode == .nearest { return try texels(table, sizes, positions, sampling) }
        // For each axis, the taps around a position and their weights.
        var taps: [[(place: Slot, weight: Slot)]] = []
        for position in positions {
            let base = try unary(.floor, position)
            let part = try binary(.subtract, position, base)
            let range = sampling.mode == .cubic ? -1...2 : 0...1
            var list: [(place: Slot, weight: Slot)] = []
            for tap in range {
                let place = try binary(.add, base, Double(tap))
                let distance = try unary(.absolute, binary(.subtract, part, Double(tap)))
                list.append((place, try tapWeight(distance, tap, sampling.mode)))
            }
            taps.append(list)
        }
        var sum: Slot?
        let count = taps[0].count
        for choice in 0..<taps.reduce(1, { product, _ in product * count }) {
            var rest = choice
            var places: [Slot] = []
            var weight: Slot?
            for axis in taps.indices {
                let tap = taps[axis][rest % count]
                rest /= count
                places.append(tap.place)
                weight =
                    try weight.map { old throws(ShapeError) in
                        try binary(.multiply, old, tap.weight)
                    } ?? tap.weight
            }
            guard let weight else { continue }
            let values = try texels(table, sizes, places, sampling)
            let factor = try reshape(weight, shape(weight) + [1])
            let term = try binary(.multiply, values, factor)
            sum =
                try sum.map { old throws(ShapeError) in
                    try binary(.add, old, term)
                } ?? term
        }
        guard let sum else { throw ShapeError("a grid needs an axis") }
        return sum
    }

    /// A tent, or Keys' cubic convolution with -0.75, at a distance known by its tap.
    private mutating func tapWeight(
        _ distance: Slot,
        _ tap: Int,
        _ mode: Resize.Mode
    ) throws(ShapeError) -> Slot {
        if mode == .linear { return try binary(.subtract, scalar(1, like: distance), distance) }
        let a = -0.75
        let coefficients =
            tap == 0 || tap == 1 ? [a + 2, -(a + 3), 0, 1] : [a, -5 * a, 8 * a, -4 * a]
        var sum = scalar(coefficients[0], like: distance)
        for coefficient in coefficients.dropFirst() {
            sum = try binary(.add, binary(.multiply, sum, distance), coefficient)
        }
        return sum
    }

    // MARK: RoiAlign

    private mutating func roiAlign(
        _ x: Slot,
        _ alignment: RegionAlignment
    ) throws(ShapeError) {
        let regions = try input(1, "rois")
        let images = try cast(input(2, "batch_indices"), to: .int64)
        let sizes = shape(x)
        guard sizes.count == 4, shape(regions).count == 2, shape(regions)[1] == 4,
            alignment.samplingRatio > 0
        else {
            throw ShapeError("RoiAlign needs images, boxes and a sampling ratio above zero")
        }
        let count = shape(regions)[0]
        let (height, width) = (alignment.outputHeight, alignment.outputWidth)
        let samples = alignment.samplingRatio
        let bounds = try binary(.multiply, regions, Double(alignment.spatialScale))
        let shift = alignment.isHalfPixel ? 0.5 : 0
        var axes: [(low: Slot, high: Slot, lowWeight: Slot, highWeight: Slot)] = []
        for (axis, cells) in [(0, height), (1, width)] {
            // Boxes are x1, y1, x2, y2.
            let start = try binary(.subtract, pick(bounds, axis: 1, 1 - axis), shift)
            let end = try binary(.subtract, pick(bounds, axis: 1, 3 - axis), shift)
            var extent = try binary(.subtract, end, start)
            if !alignment.isHalfPixel { extent = try binary(.maximum, extent, 1) }
            try checkShape([cells, samples])
            let steps = try tableIndices(below: cells * samples).map {
                (Double($0) + 0.5) / Double(cells * samples)
            }
            let along = constant(
                DenseTensor(TensorType(dtype(x), [1, steps.count]), rounding: steps)
            )
            let place = try binary(
                .add,
                reshape(start, [count, 1]),
                binary(.multiply, reshape(extent, [count, 1]), along)
            )
            axes.append(try linearTaps(place, size: sizes[axis + 2]))
        }
        let plane = sizes[2] * sizes[3]
        let rows = try transpose(reshape(x, [sizes[0], sizes[1], plane]), [0, 2, 1])
        let table = try reshape(rows, [sizes[0] * plane, sizes[1]])
        let (down, across) = (height * samples, width * samples)
        let image = try binary(.multiply, reshape(images, [count, 1, 1]), Double(plane))
        var terms: [Slot] = []
        for y in [(axes[0].low, axes[0].lowWeight), (axes[0].high, axes[0].highWeight)] {
            for x in [(axes[1].low, axes[1].lowWeight), (axes[1].high, axes[1].highWeight)] {
                let row = try binary(.multiply, reshape(y.0, [count, down, 1]), Double(sizes[3]))
                let place = try binary(
                    .add,
                    binary(.add, image, row),
                    reshape(x.0, [count, 1, across])
                )
                let weight = try binary(
                    .multiply,
                    reshape(y.1, [count, down, 1]),
                    reshape(x.1, [count, 1, across])
                )
                let flat = try reshape(place, [count * down * across])
                terms.append(
                    try binary(
                        .multiply,
                        gather(table, flat, axis: 0),
                        reshape(weight, [count * down * across, 1])
                    )
                )
            }
        }
        let combine = alignment.takesMaximum ? BinaryFunction.maximum : .add
        var value = terms[0]
        for term in terms.dropFirst() { value = try binary(combine, value, term) }
        let cells = try reshape(
            value,
            [count, height, samples, width, samples, sizes[1]]
        )
        let kind = alignment.takesMaximum ? ReductionKind.maximum : .mean
        let pooled = try reduce(kind, cells, axes: [2, 4], keeps: false)
        outputs = [try transpose(pooled, [0, 3, 1, 2])]
    }

    /// The two pixels around each place along an axis, and their weights; none far outside.
    private mutating func linearTaps(
        _ place: Slot,
        size: Int
    ) throws(ShapeError) -> (low: Slot, high: Slot, lowWeight: Slot, highWeight: Slot) {
        let last = Double(size - 1)
        let isInside = try binary(
            .and,
            binary(.greaterOrEqual, place, -1),
            binary(.lessOrEqual, place, Double(size))
        )
        let inside = try clip(place, 0, last)
        let low = try unary(.floor, inside)
        let high = try clip(binary(.add, low, 1), 0, last)
        let part = try binary(.subtract, inside, low)
        let zero = scalar(0, like: place)
        let rest = try binary(.subtract, scalar(1, like: part), part)
        return (
            try cast(low, to: .int64), try cast(high, to: .int64),
            try select(isInside, rest, zero), try select(isInside, part, zero)
        )
    }
}
