import GraphIR

/// What follows convolutions that are put together along channels can be done by each of them.
extension Editor {
    /// The convolutions whose results, read by nothing else, a node puts together channel after channel;
    /// nil where there are others or they end in an activation.
    func convolutions(joinedBy node: FusedNode) -> [Int]? {
        guard graph.joinsChannels(node) else { return nil }
        var producers: [Int] = []
        for input in node.inputs {
            guard let producer = onlyProducer(of: input),
                case .convolution = nodes[producer]?.kernel,
                nodes[producer]?.activation == Activation.none
            else { return nil }
            producers.append(producer)
        }
        return producers
    }

    /// The convolutions end in an activation, and are put together where `node` was.
    mutating func finish(
        _ join: FusedNode,
        at before: Int,
        with activation: Activation,
        of producers: [Int],
        in node: FusedNode,
        at index: Int
    ) {
        for producer in producers { nodes[producer]?.activation = activation }
        nodes[before] = nil
        nodes[index] = join
        nodes[index]?.output = node.output
    }
}
