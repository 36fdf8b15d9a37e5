/// Alignment of everything in an arena: a cache line.
package let arenaAlignment = 64

package func aligned(_ byteCount: Int) -> Int {
    (byteCount + arenaAlignment - 1) / arenaAlignment * arenaAlignment
}

/// Assigns offsets so that the arena is low: several greedy orders, the lowest result, stopping
/// when the lower bound is met.
///
/// The same buffers give the same plan.
package func planMemory(for buffers: [Buffer]) -> MemoryPlan {
    let bound = lowerBound(of: buffers)
    let area = { (buffer: Buffer) in buffer.byteCount * (buffer.live.count) }
    let orders: [(Buffer, Buffer) -> Bool?] = [
        { $0.byteCount == $1.byteCount ? nil : $0.byteCount > $1.byteCount },
        { area($0) == area($1) ? nil : area($0) > area($1) },
        { $0.live.count == $1.live.count ? nil : $0.live.count > $1.live.count },
        {
            $0.live.lowerBound == $1.live.lowerBound
                ? nil : $0.live.lowerBound < $1.live.lowerBound
        },
    ]
    var best: MemoryPlan?
    for order in orders {
        let indices = buffers.indices.sorted { left, right in
            if let first = order(buffers[left], buffers[right]) { return first }
            if buffers[left].byteCount != buffers[right].byteCount {
                return buffers[left].byteCount > buffers[right].byteCount
            }
            return left < right
        }
        let plan = placeLowest(buffers, order: indices)
        if best.map({ plan.height < $0.height }) ?? true { best = plan }
        if let best, aligned(best.height) == bound { break }
    }
    return best ?? MemoryPlan(buffers: [], offsets: [])
}

/// The largest sum of sizes that live at one moment.
package func lowerBound(of buffers: [Buffer]) -> Int {
    let last = buffers.map(\.live.upperBound).max() ?? 0
    return bytesAtMoments(of: buffers, count: last + 1).max() ?? 0
}

/// The sum of the sizes that live at each of the moments, which are all there are.
func bytesAtMoments(of buffers: [Buffer], count: Int) -> [Int] {
    var changes = [Int](repeating: 0, count: count + 1)
    for buffer in buffers {
        changes[buffer.live.lowerBound] += aligned(buffer.byteCount)
        changes[buffer.live.upperBound + 1] -= aligned(buffer.byteCount)
    }
    var sum = 0
    return changes.dropLast().map { change in
        sum += change
        return sum
    }
}

/// Places buffers one by one at the best-fitting gap below the others that live with it.
private func placeLowest(_ buffers: [Buffer], order: [Int]) -> MemoryPlan {
    var offsets = [Int](repeating: 0, count: buffers.count)
    var placed = LifetimeIndex(lastMoment: buffers.map(\.live.upperBound).max() ?? 0)
    for index in order {
        let buffer = buffers[index]
        var neighbours = placed.overlapping(buffer.live)
        neighbours.sort { (offsets[$0], $0) < (offsets[$1], $1) }
        offsets[index] = bestGap(
            for: aligned(buffer.byteCount),
            among: neighbours,
            buffers: buffers,
            offsets: offsets
        )
        placed.insert(index, living: buffer.live)
    }
    return MemoryPlan(buffers: buffers, offsets: offsets)
}

/// The smallest gap between placed buffers that holds `byteCount`, else the end.
private func bestGap(
    for byteCount: Int,
    among neighbours: [Int],
    buffers: [Buffer],
    offsets: [Int]
) -> Int {
    var end = 0
    var best: (offset: Int, size: Int)?
    for neighbour in neighbours {
        let gap = offsets[neighbour] - end
        if gap >= byteCount, best.map({ gap < $0.size }) ?? true { best = (end, gap) }
        end = max(end, offsets[neighbour] + aligned(buffers[neighbour].byteCount))
    }
    return best?.offset ?? end
}
