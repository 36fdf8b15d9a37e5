/// The elements a slice takes along one axis: `count` of them, from `start`, `step` apart.
package struct SliceBounds: Hashable, Sendable {
    package var start: Int
    package var step: Int
    package var count: Int

    package init(start: Int, step: Int, count: Int) {
        self.start = start
        self.step = step
        self.count = count
    }

    /// What `Slice` takes of an axis of `size` elements; `step` is not zero.
    ///
    /// Bounds beyond the ends are clamped as in numpy. An `end` of the largest 32- or 64-bit integer
    /// means "to the end" in either direction, as onnxruntime has it.
    package init(of size: Int, from start: Int, to end: Int, step: Int) {
        // Steps beyond the axis take one element; bounding them keeps products small.
        let step = min(max(step, -maximumElementCount), maximumElementCount)
        let isForward = step > 0
        func clamp(_ bound: Int) -> Int {
            let position = bound < 0 ? bound + size : bound
            return isForward
                ? min(max(position, 0), size) : min(max(position, -1), size - 1)
        }
        let last = sliceIsOpen(end) ? (isForward ? size : -1) : clamp(end)
        var first = clamp(start)
        if !isForward, size > 0 { first = max(first, 0) }
        let distance = isForward ? last - first : first - last
        let stride = abs(step)
        let count = distance <= 0 ? 0 : (distance - 1) / stride + 1
        self.init(start: count == 0 ? 0 : first, step: step, count: count)
    }
}

/// Whether the `end` of a slice means "to the end", in either direction.
func sliceIsOpen(_ end: Int) -> Bool { end == Int.max || end == Int(Int32.max) }

/// The elements `Slice` takes along every axis of `shape`; axes that are not named are kept.
package func resolveSliceBounds(
    shape: [Int],
    starts: [Int],
    ends: [Int],
    axes: [Int]?,
    steps: [Int]?
) throws(ShapeError) -> [SliceBounds] {
    let named = try resolveAxes(axes ?? Array(starts.indices), rank: shape.count)
    let steps = steps ?? Array(repeating: 1, count: starts.count)
    guard ends.count == starts.count, named.count == starts.count, steps.count == starts.count
    else {
        throw ShapeError(
            "a slice has \(starts.count) starts, \(ends.count) ends, \(named.count) axes and "
                + "\(steps.count) steps; there must be equally many"
        )
    }
    var bounds = shape.map { SliceBounds(start: 0, step: 1, count: $0) }
    for (index, axis) in named.enumerated() {
        guard steps[index] != 0 else { throw ShapeError("a slice has a step of zero") }
        bounds[axis] = SliceBounds(
            of: shape[axis],
            from: starts[index],
            to: ends[index],
            step: steps[index]
        )
    }
    return bounds
}
