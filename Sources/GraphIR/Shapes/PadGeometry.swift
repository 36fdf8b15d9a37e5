/// Elements added (or, when negative, removed) before and after each axis by `Pad`.
package func resolvePads(
    shape: [Int],
    pads: [Int],
    axes: [Int]?,
    mode: PadMode
) throws(ShapeError) -> (begin: [Int], end: [Int], output: [Int]) {
    let named = try resolveAxes(axes ?? Array(shape.indices), rank: shape.count)
    guard pads.count == 2 * named.count else {
        throw ShapeError(
            "pads has \(pads.count) elements; \(named.count) axes need \(2 * named.count)"
        )
    }
    var begin = [Int](repeating: 0, count: shape.count)
    var end = begin
    var output = shape
    for (index, axis) in named.enumerated() {
        begin[axis] = pads[index]
        end[axis] = pads[named.count + index]
        let limit = -maximumElementCount...maximumElementCount
        guard limit ~= begin[axis], limit ~= end[axis] else {
            throw ShapeError("pads of \(begin[axis]) and \(end[axis]) are out of range")
        }
        output[axis] += begin[axis] + end[axis]
        guard output[axis] >= 0 else {
            throw ShapeError(
                "pads of \(begin[axis]) and \(end[axis]) remove more than the \(shape[axis]) "
                    + "elements of axis \(axis)"
            )
        }
        let kept = shape[axis] + min(begin[axis], 0) + min(end[axis], 0)
        guard mode == .constant || kept > 0 || output[axis] == 0 else {
            throw ShapeError(
                "axis \(axis) has no elements to fill its padding with; only mode 'constant' "
                    + "can pad it"
            )
        }
    }
    try checkShape(output)
    return (begin, end, output)
}
