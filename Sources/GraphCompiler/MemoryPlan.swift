/// A run of bytes that must stay together and alone while it lives.
package struct Buffer: Hashable, Sendable {
    package var byteCount: Int
    /// First and last moment at which the bytes are in use.
    package var live: ClosedRange<Int>

    package init(byteCount: Int, live: ClosedRange<Int>) {
        self.byteCount = byteCount
        self.live = live
    }
}

/// Where each buffer of one arena stands.
package struct MemoryPlan: Hashable, Sendable {
    package var buffers: [Buffer]
    package var offsets: [Int]

    package init(buffers: [Buffer], offsets: [Int]) {
        self.buffers = buffers
        self.offsets = offsets
    }

    /// Highest byte of any buffer + 1.
    package var height: Int {
        zip(buffers, offsets).reduce(0) { max($0, $1.1 + $1.0.byteCount) }
    }

    package enum Violation: Hashable, Sendable {
        case misaligned(buffer: Int)
        case overlap(Int, Int)
    }

    /// States what a plan is, without help from the planner: buffers that live at the same time
    /// never share bytes.
    package func firstViolation(alignment: Int) -> Violation? {
        for index in buffers.indices {
            if offsets[index] < 0 || !offsets[index].isMultiple(of: alignment) {
                return .misaligned(buffer: index)
            }
            for other in buffers.indices[(index + 1)...]
            where buffers[index].live.overlaps(buffers[other].live) {
                let bytes = offsets[index]..<offsets[index] + buffers[index].byteCount
                let others = offsets[other]..<offsets[other] + buffers[other].byteCount
                if bytes.overlaps(others) { return .overlap(index, other) }
            }
        }
        return nil
    }
}
