import GraphIR

/// One step of the compiler on a graph.
package struct Pass<Stage>: Sendable {
    package var name: String
    package var apply: @Sendable (Stage) -> Stage
}

package typealias FusionPass = Pass<FusedGraph>

/// Operators that exporters write out become one node, or take the form that kernels are looked for in.
private func recognizePatterns(in graph: Graph) -> Graph {
    rewriteNormalizations(in: recognizeLocalResponse(in: recognizeActivations(in: graph)))
}

/// What is done to the model's own graph, in this order.
///
/// `--no-fusion` skips these and all fusions.
package let graphPasses: [Pass<Graph>] = [
    Pass(name: "pattern", apply: recognizePatterns),
    Pass(name: "transposition", apply: putChannelsFirst),
    Pass(name: "stride", apply: moveStridesUp),
]

/// All fusions of kernels, in the order they run.
package let fusionPasses: [FusionPass] = [
    FusionPass(name: "normalization", apply: joinNormalizations),
    FusionPass(name: "image", apply: liftToImages),
    FusionPass(name: "pad", apply: foldPadding),
    FusionPass(name: "view", apply: moveViews),
    FusionPass(name: "scale", apply: foldProductScales),
    FusionPass(name: "affine", apply: foldAffines),
    FusionPass(name: "branch", apply: { foldAffines(in: joinBranches(in: $0)) }),
    FusionPass(name: "silu", apply: recognizeSiLU),
    FusionPass(name: "pixel", apply: joinPixels),
    FusionPass(name: "residual", apply: fuseResiduals),
    FusionPass(name: "activation", apply: fuseActivations),
    FusionPass(name: "pool", apply: fusePools),
    FusionPass(name: "depthwise", apply: fuseDepthwise),
    FusionPass(name: "projection", apply: fuseProjections),
    FusionPass(name: "input", apply: fuseInputAffines),
    FusionPass(name: "channel", apply: joinChannelCopies),
]

/// The fusions of a graph whose layouts are chosen: until then passes look for single operators.
package let placedFusionPasses: [FusionPass] = [
    FusionPass(name: "copy", apply: joinCopies),
    FusionPass(name: "product", apply: joinProductCopies),
]

/// Nodes of a graph while a pass removes some and replaces others.
struct Editor {
    var graph: FusedGraph
    var nodes: [FusedNode?]
    /// Of the graph as it was; nobody is said to produce or to read what was added.
    private(set) var uses: GraphUses

    init(_ graph: FusedGraph) {
        self.graph = graph
        nodes = graph.nodes
        uses = GraphUses(of: graph)
    }

    mutating func addValue(_ value: FusedValue) -> ValueID {
        uses.addValue()
        return graph.addValue(value)
    }

    /// The index of the node that produces `id` for one reader only.
    func onlyProducer(of id: ValueID) -> Int? {
        guard uses.isReadOnce(id), let index = uses.producer[id.index], nodes[index] != nil else {
            return nil
        }
        return index
    }

    /// The same through nodes that only see its elements with other axes, last one first.
    func producerBeforeViews(of id: ValueID) -> (index: Int, views: [Int])? {
        var id = id
        var views: [Int] = []
        while let index = onlyProducer(of: id), let node = nodes[index] {
            guard graph.isReshape(node) else { return (index, views) }
            views.append(index)
            id = node.inputs[0]
        }
        return nil
    }

    func finish() -> FusedGraph {
        var result = graph
        result.nodes = nodes.compactMap { $0 }
        return result
    }
}
