/// The loops of an element-wise or copying kernel: sizes and, for each operand, the elements
/// between neighbours.
///
/// Axes that can be walked as one are joined.
struct LoopNest {
    private(set) var dimensions: [Int]
    private(set) var strides: [[Int]]

    /// `strides`: one list per operand.
    init(dimensions: [Int], strides: [[Int]]) {
        var sizes: [Int] = []
        var joined = strides.map { _ in [Int]() }
        for axis in dimensions.indices where dimensions[axis] != 1 {
            let canJoin =
                !sizes.isEmpty
                && strides.indices.allSatisfy { operand in
                    joined[operand][sizes.count - 1] == strides[operand][axis] * dimensions[axis]
                }
            if canJoin {
                sizes[sizes.count - 1] *= dimensions[axis]
                for operand in strides.indices {
                    joined[operand][sizes.count - 1] = strides[operand][axis]
                }
            } else {
                sizes.append(dimensions[axis])
                for operand in strides.indices { joined[operand].append(strides[operand][axis]) }
            }
        }
        if sizes.isEmpty {
            sizes = [dimensions.contains(0) ? 0 : 1]
            joined = strides.map { _ in [1] }
        }
        self.dimensions = sizes
        self.strides = joined
    }

    var rank: Int { dimensions.count }

    /// Innermost runs.
    var rowCount: Int { dimensions.dropLast().reduce(1, *) }
    var rowLength: Int { dimensions.last ?? 1 }
}

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
