/// The eight-element arrays of the C structs.
func fixed<Element: FixedWidthInteger>(
    _ values: [Int],
    as type: Element.Type = Element.self
) -> (Element, Element, Element, Element, Element, Element, Element, Element) {
    precondition(values.count <= 8, "kernels take up to eight axes")
    let all = values + Array(repeating: 0, count: 8 - values.count)
    let e = all.map { Element(truncatingIfNeeded: $0) }
    return (e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7])
}

/// Elements between neighbours of a dense row-major tensor.
func denseStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
}

/// Strides of an operand of shape `own` (aligned at the right) read for a result of `shape`.
func broadcastStrides(_ own: [Int], to shape: [Int]) -> [Int] {
    let padded = Array(repeating: 1, count: shape.count - own.count) + own
    let dense = denseStrides(padded)
    return shape.indices.map { padded[$0] == 1 ? 0 : dense[$0] }
}
