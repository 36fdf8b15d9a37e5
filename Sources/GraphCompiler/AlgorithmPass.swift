import GraphIR

/// Gives each convolution on the tile kernel the algorithm its shape is fastest with.
func chooseAlgorithms(of graph: FusedGraph, catalog: some KernelCatalog) -> FusedGraph {
    var graph = graph
    for index in graph.nodes.indices {
        guard case .convolution(var kernel) = graph.nodes[index].kernel, kernel.algorithm == .tile
        else { continue }
        kernel.algorithm = catalog.fastestAlgorithm(for: kernel)
        graph.nodes[index].kernel = .convolution(kernel)
    }
    return graph
}
