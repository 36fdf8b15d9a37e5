/// The loops of an element-wise or copying kernel: sizes and, for each operand, the elements
/// between neighbours.
///
/// Axes that can be walked as one are joined.
package struct LoopNest: Hashable, Sendable {
    package private(set) var dimensions: [Int]
    package private(set) var strides: [[Int]]

    /// `strides`: one list per operand.
    package init(dimensions: [Int], strides: [[Int]]) {
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

    /// The same loops with the shorter of two outer neighbours inside, where the operands disagree about
    /// which of them is the inner one: few streams that each go forward, instead of passes over all.
    package func inFewStreams() -> LoopNest {
        let mostStreams = 16
        var nest = self
        guard strides.allSatisfy({ $0.last == 1 }) else { return nest }
        for end in stride(from: rank - 2, to: 0, by: -1) {
            for axis in 0..<end
            where nest.dimensions[axis] < min(nest.dimensions[axis + 1], mostStreams + 1) {
                let isInner = nest.strides.map { abs($0[axis]) < abs($0[axis + 1]) }
                guard isInner.contains(true), isInner.contains(false) else { continue }
                nest.dimensions.swapAt(axis, axis + 1)
                for operand in nest.strides.indices { nest.strides[operand].swapAt(axis, axis + 1) }
            }
        }
        return nest
    }

    package var rank: Int { dimensions.count }

    /// Innermost runs.
    package var rowCount: Int { dimensions.dropLast().reduce(1, *) }
    package var rowLength: Int { dimensions.last ?? 1 }
}
