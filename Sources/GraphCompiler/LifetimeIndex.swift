/// Buffers by the moments at which they live, in a segment tree: those that live with another are
/// found without a look at the rest.
struct LifetimeIndex {
    /// Leaf m, at `leaves + m`, stands for moment m, and each inner node for the moments of the two
    /// below it; the moments of a lifetime are those of few nodes.
    private let leaves: Int
    private var covering: Chains
    private var starting: Chains

    init(lastMoment: Int) {
        leaves = lastMoment + 1
        covering = Chains(count: 2 * leaves)
        starting = Chains(count: leaves)
    }

    mutating func insert(_ buffer: Int, living live: ClosedRange<Int>) {
        starting.prepend(buffer, to: live.lowerBound)
        var (left, right) = (leaves + live.lowerBound, leaves + live.upperBound + 1)
        while left < right {
            if left % 2 == 1 {
                covering.prepend(buffer, to: left)
                left += 1
            }
            if right % 2 == 1 {
                right -= 1
                covering.prepend(buffer, to: right)
            }
            (left, right) = (left / 2, right / 2)
        }
    }

    /// Each buffer once that lives at one of the moments, in no order: those that do at the first
    /// one, and those whose life starts later.
    func overlapping(_ live: ClosedRange<Int>) -> [Int] {
        var result: [Int] = []
        var node = leaves + live.lowerBound
        while node > 0 {
            covering.append(node, to: &result)
            node /= 2
        }
        for moment in live.dropFirst() { starting.append(moment, to: &result) }
        return result
    }
}

/// Lists of numbers that are short and many, linked in one array.
private struct Chains {
    private var first: [Int]
    private var links: [(number: Int, next: Int)] = []

    init(count: Int) { first = Array(repeating: -1, count: count) }

    mutating func prepend(_ number: Int, to list: Int) {
        links.append((number, first[list]))
        first[list] = links.count - 1
    }

    func append(_ list: Int, to numbers: inout [Int]) {
        var link = first[list]
        while link >= 0 {
            numbers.append(links[link].number)
            link = links[link].next
        }
    }
}
