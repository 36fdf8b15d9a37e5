import GraphIR

/// Weights that are made resident or streamed together: the packed panels of one part of a
/// convolution, or a constant that a kernel reads as an operand.
package struct WeightItem: Sendable {
    package enum Content: Sendable {
        /// Part `part` of the convolution of node `node`.
        case packed(node: Int, part: Int)
        /// The elements of a constant value.
        case operand(ValueID)
    }

    package var name: String
    package var content: Content
    /// First and last node that read the item.
    package var firstNode: Int
    package var lastNode: Int
    /// Smallest pieces (panels) the item can be cut into, and where each starts; one entry more
    /// than there are pieces.
    package var unitOffsets: [Int]

    /// Bytes of all workers' scratch through which streamed units pass in chunks; nil when they
    /// come in blocks.
    package var chunkByteCount: Int?
    /// Bytes of an upload that a computation with the item carries for each unit of it.
    package var carriedByteCount = 0

    package var unitCount: Int { unitOffsets.count - 1 }
    package var byteCount: Int { unitOffsets[unitCount] }

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
    for (index, node) in graph.nodes.enumerated() where !storage.isElided[index] {
        for input in node.inputs where graph[input].constant != nil {
            if let known = operandItem[input] {
                items[known].lastNode = index
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
                    firstNode: index,
                    lastNode: index,
                    unitOffsets: [0, byteCount]
                )
            )
        }
        guard case .convolution(let kernel) = node.kernel else { continue }
        for number in kernel.parts.indices {
            let name = kernel.parts.count == 1 ? node.name : "\(node.name).\(number)"
            items.append(
                WeightItem(
                    name: name,
                    content: .packed(node: index, part: number),
                    firstNode: index,
                    lastNode: index,
                    unitOffsets: unitOffsets(
                        of: kernel.packedWeights(of: number),
                        unit: kernel.projection == nil
                            ? catalog.unitChannels(kernel.order) : nil,
                        catalog: catalog
                    ),
                    chunkByteCount: catalog.chunkByteCount(of: node).map { $0 * threads },
                    carriedByteCount: catalog.carriedByteCount(
                        of: node,
                        part: number,
                        threads: threads
                    )
                )
            )
        }
    }
    return items
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
