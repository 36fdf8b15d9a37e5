/// Non-maximum suppression.
///
/// In float32 throughout, as the operator compares thresholds with values that were rounded to it.
extension Evaluation {
    func suppress(limit: Int, boxesAreCentred: Bool) -> DenseTensor {
        let (boxes, scores) = (input(0).floats, input(1).floats)
        let (classes, count) = (input(1).shape[1], input(1).shape[2])
        let overlap = input(2).floats[0]
        let least = optionalInput(3)?.floats[0]
        var result: [Int64] = []
        for line in 0..<input(1).shape[0] * classes {
            let score = { (box: Int) in scores[line * count + box] }
            let candidates = (0..<count).filter { box in
                !score(box).isNaN && least.map { score(box) > $0 } ?? true
            }.sorted { a, b in score(a) > score(b) || (score(a) == score(b) && a < b) }
            var taken: [(number: Int, box: Box)] = []
            for number in candidates where taken.count < limit {
                let start = (line / classes * count + number) * 4
                let box = Box(boxes[start..<start + 4], isCentred: boxesAreCentred)
                if !taken.contains(where: { $0.box.overlaps(box, above: overlap) }) {
                    taken.append((number, box))
                }
            }
            result += taken.map { Int64($0.number) }
            result += Array(repeating: -1, count: limit - taken.count)
        }
        return DenseTensor(type: type, storage: .integers(result))
    }
}

private struct Box {
    var low: (x: Float, y: Float)
    var high: (x: Float, y: Float)

    /// Two corners (y first, in any order), or centre and size.
    init(_ numbers: ArraySlice<Float>, isCentred: Bool) {
        let n = Array(numbers)
        if isCentred {
            low = (n[0] - n[2] / 2, n[1] - n[3] / 2)
            high = (n[0] + n[2] / 2, n[1] + n[3] / 2)
        } else {
            low = (min(n[1], n[3]), min(n[0], n[2]))
            high = (max(n[1], n[3]), max(n[0], n[2]))
        }
    }

    var area: Float { (high.x - low.x) * (high.y - low.y) }

    /// Whether the area both have in common is above `threshold` of what they cover together.
    func overlaps(_ other: Box, above threshold: Float) -> Bool {
        let x = (max(low.x, other.low.x), min(high.x, other.high.x))
        let y = (max(low.y, other.low.y), min(high.y, other.high.y))
        guard x.1 > x.0, y.1 > y.0, area > 0, other.area > 0 else { return false }
        let common = (x.1 - x.0) * (y.1 - y.0)
        let all = area + other.area - common
        return all > 0 && common / all > threshold
    }
}
