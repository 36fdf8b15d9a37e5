/// A rectangle of any angle around a line of text, in pixels.
public struct TextBox: Sendable, Hashable {
    /// A point of a picture.
    public struct Point: Sendable, Hashable {
        /// Distance from the left edge.
        public var x: Float
        /// Distance from the upper edge.
        public var y: Float

        /// The point at these distances.
        public init(x: Float, y: Float) {
            self.x = x
            self.y = y
        }

        static func + (one: Point, other: Point) -> Point {
            Point(x: one.x + other.x, y: one.y + other.y)
        }

        static func * (one: Point, factor: Float) -> Point {
            Point(x: one.x * factor, y: one.y * factor)
        }

        func dot(_ other: Point) -> Float { x * other.x + y * other.y }
    }

    /// Its centre.
    public var centre: Point
    /// The unit vector along which the text is read.
    public var direction: Point
    /// Its extent along `direction`.
    public var width: Float
    /// Its extent across `direction`.
    public var height: Float

    /// From the top of a letter to its foot.
    var down: Point { Point(x: -direction.y, y: direction.x) }

    /// Where the corners are: as the text stands, upper left, upper right, lower right, lower left.
    public var corners: [Point] {
        [(-1, -1), (1, -1), (1, 1), (-1, 1)].map { signs in
            centre + direction * (signs.0 * width / 2) + down * (signs.1 * height / 2)
        }
    }

    /// A rectangle from its centre, half sides and one of its axes.
    ///
    /// Text runs along the axis that is closer to horizontal, unless the box is much taller than
    /// wide; then it runs downwards.
    package init(centre: Point, axis: Point, halfSides: (Float, Float)) {
        self.centre = centre
        var along = axis
        var (halfWidth, halfHeight) = halfSides
        if abs(along.x) < abs(along.y) {
            along = Point(x: -along.y, y: along.x)
            swap(&halfWidth, &halfHeight)
        }
        if along.x < 0 { along = along * -1 }
        if halfHeight >= 1.5 * halfWidth {
            along = Point(x: -along.y, y: along.x)
            swap(&halfWidth, &halfHeight)
        }
        direction = along
        width = 2 * halfWidth
        height = 2 * halfHeight
    }
}

/// Finds lines of text in the probability map of a detector with differentiable binarization.
///
/// The network marks shrunken areas of text (Liao et al. 2020). Each connected component above a
/// threshold becomes the smallest rectangle around it, grown by the distance the training shrank it.
package func textBoxes(in probability: [Float], width: Int, height: Int) -> [TextBox] {
    var isOpen = probability.map { $0 > 0.3 }
    var boxes: [TextBox] = []
    for start in isOpen.indices where isOpen[start] {
        let pixels = takeComponent(from: start, in: &isOpen, width: width, height: height)
        let score = pixels.reduce(0) { $0 + probability[$1] } / Float(pixels.count)
        guard score >= 0.5 else { continue }
        let rectangle = smallestRectangle(around: outline(of: pixels, width: width))
        let (halfWidth, halfHeight) = rectangle.halfSides
        guard min(halfWidth, halfHeight) >= 1.5 else { continue }
        // Area times ratio over perimeter, of a rectangle given by its half sides.
        let growth = 1.6 * halfWidth * halfHeight / (halfWidth + halfHeight)
        boxes.append(
            TextBox(
                centre: rectangle.centre,
                axis: rectangle.axis,
                halfSides: (halfWidth + growth, halfHeight + growth)
            )
        )
    }
    return boxes
}

/// Takes the 8-connected component of `start` out of the open pixels.
private func takeComponent(
    from start: Int,
    in isOpen: inout [Bool],
    width: Int,
    height: Int
) -> [Int] {
    isOpen[start] = false
    var pixels = [start]
    var next = 0
    while next < pixels.count {
        let (y, x) = pixels[next].quotientAndRemainder(dividingBy: width)
        next += 1
        for row in max(0, y - 1)...min(height - 1, y + 1) {
            for column in max(0, x - 1)...min(width - 1, x + 1)
            where isOpen[row * width + column] {
                isOpen[row * width + column] = false
                pixels.append(row * width + column)
            }
        }
    }
    return pixels
}

/// Corners of the first and last pixel of every row: all that can be on the convex hull.
private func outline(of pixels: [Int], width: Int) -> [TextBox.Point] {
    var rows: [Int: (first: Int, last: Int)] = [:]
    for pixel in pixels {
        let (y, x) = pixel.quotientAndRemainder(dividingBy: width)
        let row = rows[y] ?? (x, x)
        rows[y] = (min(row.first, x), max(row.last, x))
    }
    return rows.flatMap { y, row in
        [y, y + 1].flatMap { edge in
            [row.first, row.last + 1].map { TextBox.Point(x: Float($0), y: Float(edge)) }
        }
    }
}

/// The smallest rectangle of any angle around points.
///
/// One of its sides lies on an edge of the convex hull, so only their directions are tried.
private func smallestRectangle(
    around points: [TextBox.Point]
) -> (centre: TextBox.Point, axis: TextBox.Point, halfSides: (Float, Float)) {
    let hull = convexHull(of: points)
    var best = (centre: hull[0], axis: TextBox.Point(x: 1, y: 0), halfSides: (Float(0), Float(0)))
    var leastArea = Float.infinity
    for (index, corner) in hull.enumerated() {
        let other = hull[(index + 1) % hull.count]
        let edge = TextBox.Point(x: other.x - corner.x, y: other.y - corner.y)
        let length = edge.dot(edge).squareRoot()
        guard length > 0 else { continue }
        let axis = edge * (1 / length)
        let normal = TextBox.Point(x: -axis.y, y: axis.x)
        let along = extent(hull.map(axis.dot))
        let across = extent(hull.map(normal.dot))
        let area = (along.high - along.low) * (across.high - across.low)
        guard area < leastArea else { continue }
        leastArea = area
        best = (
            axis * ((along.low + along.high) / 2) + normal * ((across.low + across.high) / 2),
            axis,
            ((along.high - along.low) / 2, (across.high - across.low) / 2)
        )
    }
    return best
}

private func extent(_ values: [Float]) -> (low: Float, high: Float) {
    (values.min() ?? 0, values.max() ?? 0)
}

/// Corners of the convex hull in order (Andrew's monotone chain).
private func convexHull(of points: [TextBox.Point]) -> [TextBox.Point] {
    let ordered = Set(points).sorted { ($0.x, $0.y) < ($1.x, $1.y) }
    func half(_ sequence: [TextBox.Point]) -> [TextBox.Point] {
        var chain: [TextBox.Point] = []
        for point in sequence {
            while chain.count > 1 {
                let (a, b) = (chain[chain.count - 2], chain[chain.count - 1])
                let turn = (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x)
                if turn > 0 { break }
                chain.removeLast()
            }
            chain.append(point)
        }
        return chain.dropLast()
    }
    return half(ordered) + half(ordered.reversed())
}

extension Image {
    /// The picture inside a box, turned so that the text stands upright.
    package func cropped(to box: TextBox) -> Image {
        let newWidth = max(1, Int(box.width.rounded()))
        let newHeight = max(1, Int(box.height.rounded()))
        var result: [UInt8] = []
        result.reserveCapacity(newWidth * newHeight * channels)
        for row in 0..<newHeight {
            let v = (Float(row) + 0.5) * box.height / Float(newHeight) - box.height / 2
            for column in 0..<newWidth {
                let u = (Float(column) + 0.5) * box.width / Float(newWidth) - box.width / 2
                appendSample(at: box.centre + box.direction * u + box.down * v, to: &result)
            }
        }
        return Image(width: newWidth, height: newHeight, channels: channels, samples: result)
    }

    /// Appends a bilinear sample of every channel; beyond the edges the edge continues.
    private func appendSample(at point: TextBox.Point, to result: inout [UInt8]) {
        let x = max(0, min(Float(width - 1), point.x - 0.5))
        let y = max(0, min(Float(height - 1), point.y - 0.5))
        let (left, top) = (Int(x), Int(y))
        let (right, bottom) = (min(left + 1, width - 1), min(top + 1, height - 1))
        let (fx, fy) = (x - Float(left), y - Float(top))
        for channel in 0..<channels {
            func sample(_ x: Int, _ y: Int) -> Float {
                Float(samples[(y * width + x) * channels + channel])
            }
            let upper = sample(left, top) * (1 - fx) + sample(right, top) * fx
            let lower = sample(left, bottom) * (1 - fx) + sample(right, bottom) * fx
            result.append(UInt8(upper * (1 - fy) + lower * fy + 0.5))
        }
    }

    /// Some of the columns, at their full height.
    func columns(_ range: Range<Int>) -> Image {
        var result: [UInt8] = []
        result.reserveCapacity(range.count * height * channels)
        for y in 0..<height {
            let row = y * width * channels
            let first = row + range.lowerBound * channels
            result += samples[first..<(row + range.upperBound * channels)]
        }
        return Image(width: range.count, height: height, channels: channels, samples: result)
    }

    /// The picture upside down.
    package func turnedAround() -> Image {
        var result: [UInt8] = []
        result.reserveCapacity(samples.count)
        for pixel in (0..<(width * height)).reversed() {
            result += samples[(pixel * channels)..<((pixel + 1) * channels)]
        }
        return Image(width: width, height: height, channels: channels, samples: result)
    }
}
