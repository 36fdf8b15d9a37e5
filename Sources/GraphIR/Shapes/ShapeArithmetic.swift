/// The largest tensor any model may hold: larger products are refused before they can overflow.
///
/// Kernels count pixels, channels and rows in 32 bits, whichever axes become one of those.
package let maximumElementCount = 1 << 31

/// The most axes a tensor may have.
package let maximumRank = 64

/// Attributes that count elements along one axis stay below this, so that sums and products of
/// two of them fit into a word.
let maximumWindowParameter = 1 << 31

/// Checks that `shape` has no negative sizes and a bounded number of elements.
///
/// Axes of size zero count as one, so that strides of empty tensors stay bounded too.
package func checkShape(_ shape: [Int]) throws(ShapeError) {
    guard shape.count <= maximumRank else {
        throw ShapeError("a tensor has \(shape.count) axes; at most \(maximumRank) are possible")
    }
    var product = 1
    for size in shape {
        guard size >= 0 else {
            throw ShapeError("the shape \(describe(shape)) has a negative size")
        }
        let (next, overflow) = product.multipliedReportingOverflow(by: max(size, 1))
        guard !overflow, next <= maximumElementCount else {
            throw ShapeError(
                "the shape \(describe(shape)) has more than \(maximumElementCount) elements"
            )
        }
        product = next
    }
}

/// A shape as people write it: `[1x3x224]`.
func describe(_ shape: [Int]) -> String {
    "[\(shape.map(String.init).joined(separator: "x"))]"
}

/// Elements between neighbours along each axis of a dense row-major tensor.
package func rowMajorStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    var product = 1
    for axis in shape.indices.reversed() {
        strides[axis] = product
        product *= max(shape[axis], 1)
    }
    return strides
}

/// An axis counted from the front; valid axes are -rank ..< rank.
package func resolveAxis(_ axis: Int, rank: Int) throws(ShapeError) -> Int {
    guard axis >= -rank, axis < rank else {
        throw ShapeError(
            "axis \(axis) is outside a tensor of rank \(rank); "
                + (rank == 0 ? "a scalar has no axes" : "\(-rank) to \(rank - 1) are valid")
        )
    }
    return axis < 0 ? axis + rank : axis
}

/// Axes counted from the front, in the order given; each may occur once.
package func resolveAxes(_ axes: [Int], rank: Int) throws(ShapeError) -> [Int] {
    var isTaken = [Bool](repeating: false, count: rank)
    var resolved: [Int] = []
    for axis in axes {
        let axis = try resolveAxis(axis, rank: rank)
        guard !isTaken[axis] else {
            throw ShapeError("axis \(axis) is named twice")
        }
        isTaken[axis] = true
        resolved.append(axis)
    }
    return resolved
}

/// The common shape of operands that are repeated along their axes of size one.
package func broadcastShapes(_ shapes: [[Int]]) throws(ShapeError) -> [Int] {
    let rank = shapes.map(\.count).max() ?? 0
    var result = [Int](repeating: 1, count: rank)
    for shape in shapes {
        for (axis, size) in zip((rank - shape.count)..<rank, shape) where size != 1 {
            guard result[axis] == 1 || result[axis] == size else {
                throw ShapeError(
                    "the shapes \(shapes.map(describe).joined(separator: " and ")) do not "
                        + "broadcast: sizes along an axis must be equal or one"
                )
            }
            result[axis] = size
        }
    }
    try checkShape(result)
    return result
}

/// Checks that `shape` repeats to exactly `target`.
func checkBroadcast(of shape: [Int], to target: [Int], name: String) throws(ShapeError) {
    let fits =
        shape.count <= target.count
        && zip(shape.reversed(), target.reversed()).allSatisfy { $0 == 1 || $0 == $1 }
    guard fits else {
        throw ShapeError(
            "\(name) of shape \(describe(shape)) does not broadcast to \(describe(target))"
        )
    }
}

/// Element strides with which an operand of `shape` is read at the positions of `target`:
/// zero along repeated axes.
package func broadcastStrides(of shape: [Int], to target: [Int]) -> [Int] {
    var strides = [Int](repeating: 0, count: target.count)
    let own = rowMajorStrides(shape)
    for (axis, size) in shape.enumerated() where size != 1 {
        strides[target.count - shape.count + axis] = own[axis]
    }
    return strides
}
