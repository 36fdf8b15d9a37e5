import GraphIR

/// A run of device bytes that one or several values share.
package struct Storage: Hashable, Sendable {
    package var byteCount: Int
}

/// Which values share bytes: views, parts of a concat, and results written over an operand that
/// nobody reads again.
///
/// Independent of the budget.
package struct StorageMap: Sendable {
    package private(set) var storages: [Storage]
    /// Storage of each value; nil for constants.
    package private(set) var storage: [Int?]
    /// Where the value starts in its storage, in bytes.
    package private(set) var offset: [Int]
    /// Nodes that do nothing because their result is where it belongs already.
    package private(set) var isElided: [Bool]
    /// For a copy node: inputs that their producers wrote into place.
    package private(set) var placedInputs: [Int: Set<Int>]
    /// By node, the input of the graph that its kernel uploads: copies row by row from the caller.
    package private(set) var carriedInputs: [Int: Int] = [:]

    /// `sharing`: false gives every value bytes of its own (views still share).
    package init(graph: FusedGraph, lanes: Int, sharing: Bool = true) {
        var builder = StorageBuilder(graph: graph, lanes: lanes)
        builder.joinViews()
        if sharing {
            builder.placeConcats()
            builder.updateInPlace()
        }
        (storages, storage, offset) = builder.finish()
        isElided = builder.isElided
        placedInputs = builder.placedInputs
        findCarriedInputs(of: graph)
    }

    /// An input that only a kernel touches which copies what it reads anyway never stands on the
    /// device as a whole: the kernel copies its rows from where the caller has them.
    private mutating func findCarriedInputs(of graph: FusedGraph) {
        var inputs: [Int: [Int]] = [:]
        for (number, input) in graph.inputs.enumerated() {
            if let bytes = storage[input.index] { inputs[bytes, default: []].append(number) }
        }
        // Nodes that touch the bytes of an input; nil is the caller, who gets them.
        var users: [Int: [Int?]] = [:]
        for (index, node) in graph.nodes.enumerated() where !isElided[index] {
            for id in node.inputs + [node.output] {
                if let bytes = storage[id.index] { users[bytes, default: []].append(index) }
            }
        }
        for output in graph.outputs {
            if let bytes = storage[output.index] { users[bytes, default: []].append(nil) }
        }
        for (bytes, numbers) in inputs {
            guard numbers.count == 1, let user = users[bytes], user.count == 1,
                let index = user[0],
                case .convolution(let kernel) = graph.nodes[index].kernel, kernel.copiesInput,
                storage[graph.nodes[index].inputs[0].index] == bytes
            else { continue }
            carriedInputs[index] = numbers[0]
        }
    }
}

private struct StorageBuilder {
    let graph: FusedGraph
    let lanes: Int
    let uses: GraphUses
    /// Union-find with offsets: value i starts `shift[i]` bytes after value `parent[i]`.
    var parent: [Int]
    var shift: [Int]
    var size: [Int]
    var first: [Int]
    var last: [Int]
    var isElided: [Bool]
    var placedInputs: [Int: Set<Int>] = [:]
    var isPlaced: [Bool]

    init(graph: FusedGraph, lanes: Int) {
        self.graph = graph
        self.lanes = lanes
        uses = GraphUses(of: graph)
        let count = graph.values.count
        parent = Array(0..<count)
        shift = Array(repeating: 0, count: count)
        size = graph.values.map { $0.byteCount(lanes: lanes) }
        first = Array(repeating: -1, count: count)
        last = Array(repeating: -1, count: count)
        isElided = Array(repeating: false, count: graph.nodes.count)
        isPlaced = Array(repeating: false, count: count)
        for index in 0..<count {
            let producer = uses.producer[index] ?? -1
            first[index] = producer
            last[index] = max(producer, uses.readers[index].max() ?? -1)
        }
    }

    func root(_ index: Int) -> (root: Int, offset: Int) {
        var index = index
        var offset = 0
        while parent[index] != index {
            offset += shift[index]
            index = parent[index]
        }
        return (index, offset)
    }

    /// Puts the storage of `child` at `offset` of the storage of `owner`.
    mutating func merge(_ child: Int, into owner: Int, at offset: Int) {
        let inner = root(child)
        let outer = root(owner)
        precondition(inner.root != outer.root)
        parent[inner.root] = outer.root
        shift[inner.root] = outer.offset + offset - inner.offset
        first[outer.root] = min(first[outer.root], first[inner.root])
        last[outer.root] = max(last[outer.root], last[inner.root])
        size[outer.root] = max(size[outer.root], shift[inner.root] + size[inner.root])
    }

    mutating func joinViews() {
        for (index, node) in graph.nodes.enumerated() where isView(node) {
            merge(node.output.index, into: node.inputs[0].index, at: 0)
            isElided[index] = true
        }
    }

    private func isView(_ node: FusedNode) -> Bool {
        // A kernel that only fills its output reads nothing.
        guard let source = node.inputs.first else { return false }
        guard graph[source].constant == nil else { return false }
        if uses.isGraphOutput(node.output) {
            // A value that the caller gave or gets must not be two of them at once. What is given
            // can be views away.
            let given = ValueID(root(source.index).root)
            if graph.inputs.contains(given) || uses.isGraphOutput(source) { return false }
        }
        switch node.kernel {
        case .copy:
            return graph.isReshape(node)
        case .layout(let toBlocked, _):
            // One pixel: a block is its channels.
            let shape = graph[toBlocked ? node.output : source].type.shape
            guard shape[2] * shape[3] == 1 else { return false }
            // Of several images a block has the channels of all.
            guard shape[0] == 1 else { return shape[1] == lanes }
            return !toBlocked || shape[1].isMultiple(of: lanes)
        default:
            return false
        }
    }

    /// Producers of the parts of a concat write straight into it.
    mutating func placeConcats() {
        // Later concats first: a chain of growing concats ends in one storage.
        for index in graph.nodes.indices.reversed() {
            let node = graph.nodes[index]
            guard case .copy(let copy) = node.kernel, copy.fill == nil, !isElided[index],
                copy.boxes.count == node.inputs.count, node.inputs.count > 1
            else { continue }
            for (position, box) in copy.boxes.enumerated() {
                let input = node.inputs[position]
                let count = box.dimensions.reduce(1, *)
                guard box.input == position, isContiguous(box), graph[input].constant == nil,
                    count * graph[input].type.dtype.byteCount
                        == graph[input].byteCount(lanes: lanes),
                    !graph.inputs.contains(input),
                    node.inputs.filter({ $0 == input }).count == 1
                else { continue }
                let owner = root(input.index)
                // Only a value that fills its storage and is in no other concat.
                guard owner.offset == 0, !isPlaced[owner.root],
                    owner.root != root(node.output.index).root,
                    size[owner.root] == graph[input].byteCount(lanes: lanes),
                    first[owner.root] >= 0
                else { continue }
                let offset = box.outputOffset * graph[input].type.dtype.byteCount
                isPlaced[owner.root] = true
                merge(input.index, into: node.output.index, at: offset)
                placedInputs[index, default: []].insert(position)
            }
            if placedInputs[index]?.count == node.inputs.count { isElided[index] = true }
        }
    }

    /// Whether a box is one run of bytes in source and result.
    private func isContiguous(_ box: StridedBox) -> Bool {
        func isDense(_ strides: [Int]) -> Bool {
            var expected = 1
            for axis in box.dimensions.indices.reversed() where box.dimensions[axis] != 1 {
                guard strides[axis] == expected else { return false }
                expected *= box.dimensions[axis]
            }
            return true
        }
        return isDense(box.inputStrides) && isDense(box.outputStrides)
    }

    /// A result takes the bytes of an operand that dies there and has the same shape.
    mutating func updateInPlace() {
        for (index, node) in graph.nodes.enumerated() where !isElided[index] {
            for position in inPlaceOperands(of: node) {
                let operand = node.inputs[position]
                guard canOverwrite(operand, at: index, node: node, position: position) else {
                    continue
                }
                merge(node.output.index, into: operand.index, at: 0)
                break
            }
        }
    }

    /// Operands whose element each result element depends on alone, best first.
    private func inPlaceOperands(of node: FusedNode) -> [Int] {
        switch node.kernel {
        case .unary, .softmax, .normalize: [0]
        case .binary: [0, 1]
        case .convolution(let kernel):
            kernel.hasResidual ? [1] : kernel.isAffine ? [0] : []
        default: []
        }
    }

    private func canOverwrite(
        _ operand: ValueID,
        at index: Int,
        node: FusedNode,
        position: Int
    ) -> Bool {
        let value = graph[operand]
        let output = graph[node.output]
        guard value.constant == nil, value.layout == output.layout, value.type == output.type else {
            return false
        }
        let owner = root(operand.index)
        let target = root(node.output.index)
        guard owner.root != target.root, last[owner.root] == index, target.offset == 0,
            parent[node.output.index] == node.output.index, !isPlaced[target.root],
            first[target.root] == index
        else { return false }
        // No other operand may be in the bytes that are overwritten.
        for (other, id) in node.inputs.enumerated() where other != position {
            if graph[id].constant == nil, root(id.index).root == owner.root { return false }
        }
        return true
    }

    func finish() -> ([Storage], [Int?], [Int]) {
        var storages: [Storage] = []
        var numberOfRoot: [Int: Int] = [:]
        var storage = [Int?](repeating: nil, count: graph.values.count)
        var offset = [Int](repeating: 0, count: graph.values.count)
        for index in graph.values.indices {
            let isUsed = uses.producer[index] != nil || graph.inputs.contains(ValueID(index))
            guard graph.values[index].constant == nil, isUsed else { continue }
            let place = root(index)
            if numberOfRoot[place.root] == nil {
                numberOfRoot[place.root] = storages.count
                storages.append(Storage(byteCount: size[place.root]))
            }
            storage[index] = numberOfRoot[place.root]
            offset[index] = place.offset
        }
        return (storages, storage, offset)
    }
}

extension FusedGraph {
    /// Whether a node gives all elements of a value another shape, and does nothing else.
    func isReshape(_ node: FusedNode) -> Bool {
        // A kernel that only fills its output reads nothing.
        guard case .copy(let copy) = node.kernel, let source = node.inputs.first,
            node.activation == .none
        else { return false }
        let input = self[source].type
        let output = self[node.output].type
        return copy.fill == nil && copy.boxes == [.whole(input.elementCount)]
            && input.dtype == output.dtype && input.elementCount == output.elementCount
    }

    /// Whether a node joins float32 images along channels, and does nothing else.
    func joinsChannels(_ node: FusedNode) -> Bool {
        let type = self[node.output].type
        guard case .copy(let copy) = node.kernel, copy.fill == nil, type.shape.count == 4,
            type.dtype == .float32, copy.boxes.count == node.inputs.count, copy.boxes.count > 1
        else { return false }
        let strides = rowMajorStrides(type.shape)
        var channel = 0
        for (index, box) in copy.boxes.enumerated() {
            let part = self[node.inputs[index]].type.shape
            let whole = StridedBox(
                input: index,
                dimensions: part,
                inputOffset: 0,
                inputStrides: rowMajorStrides(part),
                outputOffset: channel * strides[1],
                outputStrides: strides
            )
            guard box == whole else { return false }
            channel += part[1]
        }
        return channel == type.shape[1]
    }
}
