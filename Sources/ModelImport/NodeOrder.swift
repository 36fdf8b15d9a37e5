/// Indices into `nodes` in an order in which every producer precedes its readers.
///
/// The order of the file is kept where it already is one, as the format demands. `producers` gives
/// the node that makes each value; a cycle is an error.
func orderedNodes(
    _ nodes: [NodeRecord],
    producers: [String: Int]
) throws(ImportError) -> [Int] {
    enum Mark { case new, open, done }
    var marks = [Mark](repeating: .new, count: nodes.count)
    var order: [Int] = []
    order.reserveCapacity(nodes.count)
    let reads = nodes.map(\.reads)

    // A path of its own instead of recursion: a long chain must not exhaust the stack.
    var path: [(node: Int, nextInput: Int)] = []
    for root in nodes.indices where marks[root] == .new {
        marks[root] = .open
        path.append((root, 0))
        while let (node, nextInput) = path.last {
            guard nextInput < reads[node].count else {
                marks[node] = .done
                order.append(node)
                path.removeLast()
                continue
            }
            path[path.count - 1].nextInput += 1
            guard let producer = producers[reads[node][nextInput]] else { continue }
            switch marks[producer] {
            case .done: break
            case .new:
                marks[producer] = .open
                path.append((producer, 0))
            case .open:
                let start = path.lastIndex { $0.node == producer } ?? 0
                let labels = path[start...].map { quoted(nodes[$0.node].label) }
                throw nodes[producer].error(
                    .invalid,
                    "needs its own result: \(labels.joined(separator: " -> "))"
                )
            }
        }
    }
    return order
}
