import GraphIR

/// Weights that are made resident or streamed together: the packed panels of one part of a
/// convolution, or a constant that a kernel reads as an operand.
///
/// Convolutions with the same packed panels share an item, such as the steps of a recurrent layer; not
/// those that read it in blocks with those that read it in chunks.
package struct WeightItem: Sendable {
    package enum Content: Sendable {
        /// What the readers multiply with.
        case packed
        /// The elements of a constant value.
        case operand(ValueID)
    }

    /// Part `part` of the convolution of node `node`, or an operand of that node.
    package struct Reader: Hashable, Sendable {
        package var node: Int
        package var part: Int

        package init(node: Int, part: Int = 0) {
            self.node = node
            self.part = part
        }
    }

    package var name: String
    package var content: Content
    /// Who reads the item, in the order of nodes; a streamed item is uploaded for each of them,
    /// an operand once.
    package var readers: [Reader]
    /// Smallest pieces (panels) the item can be cut into, and where each starts; one entry more
    /// than there are pieces.
    package var unitOffsets: [Int]

    /// By the node that reads: what its threads together need so that streamed units come in chunks.
    package var chunks: [Int: WeightChunks] = [:]

    package var unitCount: Int { unitOffsets.count - 1 }
    package var byteCount: Int { unitOffsets[unitCount] }

    package var isPacked: Bool {
        if case .packed = content { return true }
        return false
    }

    /// How often a streamed unit is uploaded in a run.
    package var uploadCount: Int {
        switch content {
        case .packed: readers.count
        case .operand: 1
        }
    }

    /// How streamed units come in chunks to a node that has `workspace` bytes of scratch; nil when they
    /// come in blocks.
    package func chunks(to node: Int, workspace: Int) -> WeightChunks? {
        chunks[node].flatMap { workspace >= $0.workspace ? $0 : nil }
    }

    /// Whether streamed units come in chunks to all readers, with the scratch that each node has.
    package func comesInChunks(workspaces: [Int]) -> Bool {
        readers.allSatisfy { chunks(to: $0.node, workspace: workspaces[$0.node]) != nil }
    }

    package func byteCount(of units: Range<Int>) -> Int {
        unitOffsets[units.upperBound] - unitOffsets[units.lowerBound]
    }
}

/// All weights of a graph, in the order they are used.
package func weightItems(
    of graph: FusedGraph,
    storage: StorageMap,
    catalog: some KernelCatalog,
    threads: Int
) -> [WeightItem] {
    var items: [WeightItem] = []
    var operandItem: [ValueID: Int] = [:]
    var packedItem: [Panels: Int] = [:]
    for (index, node) in graph.nodes.enumerated() where !storage.isElided[index] {
        for input in node.inputs where graph[input].constant != nil {
            if let known = operandItem[input] {
                items[known].readers.append(WeightItem.Reader(node: index))
                continue
            }
            operandItem[input] = items.count
            // Per-channel constants are read in whole vectors.
            let vector = catalog.lanes * 4
            let byteCount = (graph[input].type.byteCount + vector - 1) / vector * vector
            items.append(
                WeightItem(
                    name: graph[input].name,
                    content: .operand(input),
                    readers: [WeightItem.Reader(node: index)],
                    unitOffsets: [0, byteCount]
                )
            )
        }
        guard case .convolution(let kernel) = node.kernel else { continue }
        for number in kernel.parts.indices {
            let reader = WeightItem.Reader(node: index, part: number)
            let contents = kernel.packedWeights(of: number)
            let chunks = catalog.chunks(of: node, threads: threads)
            let panels = Panels(contents: contents, slot: chunks?.slot ?? 0)
            if let known = packedItem[panels] {
                items[known].readers.append(reader)
                items[known].chunks[index] = chunks
                continue
            }
            packedItem[panels] = items.count
            items.append(
                WeightItem(
                    name: kernel.parts.count == 1 ? node.name : "\(node.name).\(number)",
                    content: .packed,
                    readers: [reader],
                    unitOffsets: unitOffsets(
                        of: contents,
                        unit: kernel.projection == nil
                            ? catalog.unitChannels(kernel.order) : nil,
                        catalog: catalog
                    ),
                    chunks: chunks.map { [index: $0] } ?? [:]
                )
            )
        }
    }
    return items
}

/// What decides the bytes of packed panels and how they reach a kernel.
private struct Panels: Hashable {
    struct Content: Hashable {
        var order: PackOrder
        var channels: Int
        var weights: WeightSource
        var outputChannels: Range<Int>
    }

    var contents: [Content]
    /// Of chunks that come so whatever the workspace; else 0.
    var slot: Int

    init(contents: [PackedWeights], slot: Int) {
        self.contents = contents.map { packed in
            let first = packed.part.firstOutputChannel
            return Content(
                order: packed.order,
                channels: packed.channels,
                weights: packed.part.weights,
                outputChannels: first..<first + packed.part.outputChannels
            )
        }
        self.slot = slot
    }
}

/// Where units of `unit` output channels start, and where the last one ends; nil is all at once.
private func unitOffsets(
    of weights: [PackedWeights],
    unit: Int?,
    catalog: some KernelCatalog
) -> [Int] {
    let count = unit.map { (weights[0].part.outputChannels + $0 - 1) / $0 } ?? 1
    return (0...count).map { number in
        weights.reduce(0) { sum, packed in
            let channels = packed.part.outputChannels
            return sum
                + catalog.packedByteCount(
                    order: packed.order,
                    outputChannels: min(number * (unit ?? channels), channels),
                    channels: packed.channels,
                    taps: packed.part.taps.count
                )
        }
    }
}
