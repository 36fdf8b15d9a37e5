import GraphIR

/// Graphs of frameworks that keep channels last, written for channels first.
///
/// Such a graph turns an image before and after every convolution and pool. What stands between two
/// turns works element by element, on borders, on whole channels: it does the same to the image as it
/// was before the turn, and next to the convolution it is part of it. Regions of such nodes change
/// their form as a whole, where that leaves fewer elements to be turned, or as many later.
package func putChannelsFirst(in graph: Graph) -> Graph {
    let regions = ChannelsLastRegions(of: graph)
    var rewriting = ChannelsFirstRewriting(graph)
    for (index, node) in graph.nodes.enumerated() {
        rewriting.add(node, as: regions.isMoved(index) ? regions.forms[index] : nil)
    }
    return removeDeadNodes(from: rewriting.result)
}

/// How a node on images with channels last is written for channels first.
private struct ChannelsFirstForm {
    enum Operand {
        /// An image, which has the other form too.
        case image
        /// What takes its place, such as axes.
        case constant(Constant)
        case same
    }

    var op: Operator
    var operands: [Operand]
    /// Else the results are the same in both forms.
    var givesImages = true
}

/// An image with channels last: axis a is axis `place(a)` where channels are first.
struct ChannelsLastImage {
    let rank: Int

    init?(rank: Int) {
        guard rank == 4 || rank == 5 else { return nil }
        self.rank = rank
    }

    /// The permutation that puts channels first, and the one that puts them last.
    var toFirst: [Int] { [0, rank - 1] + (1..<rank - 1) }
    var toLast: [Int] { [0] + (2..<rank) + [1] }

    func place(_ axis: Int) -> Int {
        let axis = axis < 0 ? axis + rank : axis
        return axis == 0 ? 0 : axis == rank - 1 ? 1 : axis + 1
    }

    func place(_ axes: [Int64]) -> Constant {
        let places = axes.map { Int64(place(Int($0))) }
        return Constant(DenseTensor(shape: [places.count], integers: places))
    }

    func type(_ type: TensorType) -> TensorType {
        TensorType(type.dtype, toFirst.map { type.shape[$0] })
    }
}

extension Graph {
    private func isTurn(_ node: Node, by permutation: (ChannelsLastImage) -> [Int]) -> Bool {
        guard case .transpose(let own) = node.op, let own,
            let image = ChannelsLastImage(rank: own.count)
        else { return false }
        return own == permutation(image)
    }

    fileprivate func putsChannelsLast(_ node: Node) -> Bool { isTurn(node, by: \.toLast) }
    fileprivate func putsChannelsFirst(_ node: Node) -> Bool { isTurn(node, by: \.toFirst) }

    /// The form for channels first of a node that has one.
    fileprivate func channelsFirstForm(of node: Node) -> ChannelsFirstForm? {
        guard let first = node.inputs.first, let first, let shape = self[first].type?.shape,
            (node.inputs + node.outputs).allSatisfy({ $0.map { self[$0].extents.isEmpty } ?? true })
        else { return nil }
        switch node.op {
        case .unary, .binary, .variadic, .clip, .cast, .select:
            return elementwiseForm(of: node)
        case .reduce(let reduction):
            guard let image = ChannelsLastImage(rank: shape.count), let axes = integers(node, 1),
                !axes.isEmpty
            else { return nil }
            let places = axes.map { image.place(Int($0)) }
            guard places.allSatisfy({ $0 > 1 }),
                reduction.keepsDimensions || Set(places).count == image.rank - 2
            else { return nil }
            return ChannelsFirstForm(
                op: node.op,
                operands: [.image, .constant(image.place(axes))],
                givesImages: reduction.keepsDimensions
            )
        case .concat(let axis):
            guard let image = ChannelsLastImage(rank: shape.count),
                node.inputs.allSatisfy({ $0.map { self[$0].constant == nil } ?? false })
            else { return nil }
            return ChannelsFirstForm(
                op: .concat(axis: image.place(axis)),
                operands: node.inputs.map { _ in .image }
            )
        case .split(let axis):
            guard let image = ChannelsLastImage(rank: shape.count) else { return nil }
            return ChannelsFirstForm(
                op: .split(axis: image.place(axis)),
                operands: node.inputs.indices.map { $0 == 0 ? .image : .same }
            )
        case .slice:
            guard let image = ChannelsLastImage(rank: shape.count), let starts = node.inputs[1],
                let count = self[starts].type?.elementCount,
                let axes = node.inputs.count > 3 && node.inputs[3] != nil
                    ? integers(node, 3) : Array(0..<Int64(count))
            else { return nil }
            var operands: [ChannelsFirstForm.Operand] = [.image, .same, .same]
            operands.append(.constant(image.place(axes)))
            if node.inputs.count > 4 { operands.append(.same) }
            return ChannelsFirstForm(op: .slice, operands: operands)
        case .pad:
            return borderForm(of: node, shape: shape)
        default:
            return nil
        }
    }

    /// Constants must vary along channels only; other operands are numbers or have all channels.
    private func elementwiseForm(of node: Node) -> ChannelsFirstForm? {
        guard let output = node.outputs[0], let shape = self[output].type?.shape,
            let image = ChannelsLastImage(rank: shape.count)
        else { return nil }
        var form = ChannelsFirstForm(op: node.op, operands: [])
        for input in node.inputs {
            guard let input, let type = self[input].type, type.elementCount != 1 else {
                form.operands.append(.same)
                continue
            }
            if let constant = self[input].constant {
                let channels = type.shape.last ?? 1
                guard channels == type.elementCount else { return nil }
                let vector = [channels] + Array(repeating: 1, count: image.rank - 2)
                form.operands.append(.constant(constant.reshaped(vector)))
            } else {
                guard type.shape.count == image.rank, type.shape.last == shape.last else {
                    return nil
                }
                form.operands.append(.image)
            }
        }
        return form
    }

    private func borderForm(of node: Node, shape: [Int]) -> ChannelsFirstForm? {
        guard let image = ChannelsLastImage(rank: shape.count), var pads = integers(node, 1) else {
            return nil
        }
        var operands = node.inputs.map { _ in ChannelsFirstForm.Operand.same }
        operands[0] = .image
        if node.inputs.count > 3, node.inputs[3] != nil {
            guard let axes = integers(node, 3) else { return nil }
            operands[3] = .constant(image.place(axes))
        } else {
            let order = image.toFirst + image.toFirst.map { $0 + image.rank }
            pads = order.map { pads[$0] }
            operands[1] = .constant(Constant(DenseTensor(shape: [pads.count], integers: pads)))
        }
        return ChannelsFirstForm(op: node.op, operands: operands)
    }

    private func integers(_ node: Node, _ place: Int) -> [Int64]? {
        guard node.inputs.count > place, let id = node.inputs[place] else { return nil }
        return self[id].constant?.smallLiteral?.integers
    }
}

/// Nodes with another form that hand images to each other, and which of them change it.
private struct ChannelsLastRegions {
    let forms: [ChannelsFirstForm?]
    /// For each node one of its region, the same for all of them.
    private var regions: [Int]
    private var gains: [Int: Gain] = [:]
    private let graph: Graph
    private let uses: GraphUses

    /// What is turned now and would be then.
    private struct Gain {
        var now = 0
        var then = 0
        /// Whether all images come from convolutions and pools, so that those take in what follows.
        var startsAtWindows = true
        /// Whether they come from the caller and go to nothing but turns.
        var startsAtInputs = true
    }

    init(of graph: Graph) {
        self.graph = graph
        uses = GraphUses(of: graph)
        forms = graph.nodes.map { graph.channelsFirstForm(of: $0) }
        regions = Array(graph.nodes.indices)
        for (index, form) in forms.enumerated() {
            for id in images(read: index, form) {
                guard let producer = uses.producer[id.index], forms[producer]?.givesImages == true
                else { continue }
                regions[region(of: producer)] = region(of: index)
            }
        }
        for index in regions.indices { regions[index] = region(of: index) }
        weighInputs()
        weighOutputs()
    }

    func isMoved(_ index: Int) -> Bool {
        guard forms[index] != nil, let gain = gains[regions[index]] else { return false }
        return gain.then < gain.now
            || gain.then == gain.now && (gain.startsAtWindows || gain.startsAtInputs)
    }

    private mutating func region(of index: Int) -> Int {
        var index = index
        while regions[index] != index {
            regions[index] = regions[regions[index]]
            index = regions[index]
        }
        return index
    }

    private func images(read index: Int, _ form: ChannelsFirstForm?) -> [ValueID] {
        guard let form else { return [] }
        return zip(graph.nodes[index].inputs, form.operands).compactMap { input, operand in
            if case .image = operand { input } else { nil }
        }
    }

    private mutating func weighInputs() {
        var readers: [ValueID: Set<Int>] = [:]
        for (index, form) in forms.enumerated() {
            for id in images(read: index, form) { readers[id, default: []].insert(regions[index]) }
        }
        for (id, regionsReading) in readers {
            let producer = uses.producer[id.index]
            if let producer, forms[producer]?.givesImages == true { continue }
            let turn = producer.map { graph.nodes[$0] }.flatMap {
                graph.putsChannelsLast($0) ? $0 : nil
            }
            for region in regionsReading {
                var gain = gains[region] ?? Gain()
                if let turn {
                    gain.startsAtInputs = false
                    gain.startsAtWindows = gain.startsAtWindows && isFromWindow(turn)
                    let isOnlyReadHere = uses.readers[id.index].allSatisfy {
                        regions[$0] == region && forms[$0] != nil
                    }
                    if isOnlyReadHere, !uses.isGraphOutput(id) { gain.now += elementsTurned(id) }
                } else {
                    gain.startsAtWindows = false
                    gain.startsAtInputs = gain.startsAtInputs && producer == nil
                    gain.then += elementsTurned(id)
                }
                gains[region] = gain
            }
        }
    }

    private mutating func weighOutputs() {
        for (index, form) in forms.enumerated() {
            guard let form, form.givesImages, var gain = gains[regions[index]] else { continue }
            for case let output? in graph.nodes[index].outputs {
                let others = uses.readers[output.index].filter { reader in
                    !images(read: reader, forms[reader]).contains(output)
                }
                let isTurned = others.contains { graph.putsChannelsFirst(graph.nodes[$0]) }
                if isTurned { gain.now += elementsTurned(output) }
                if uses.isGraphOutput(output)
                    || others.contains(where: { !graph.putsChannelsFirst(graph.nodes[$0]) })
                {
                    gain.startsAtInputs = false
                    gain.then += elementsTurned(output)
                }
            }
            gains[regions[index]] = gain
        }
    }

    private func isFromWindow(_ turn: Node) -> Bool {
        guard let source = turn.inputs[0], let producer = uses.producer[source.index] else {
            return false
        }
        switch graph.nodes[producer].op {
        case .convolution, .pool, .globalPool: return true
        default: return false
        }
    }

    /// The elements of an image; one if only axes without extent change their place.
    private func elementsTurned(_ id: ValueID) -> Int {
        guard let type = graph[id].type else { return 0 }
        let pixels = type.shape.dropFirst().dropLast().reduce(1, *)
        return pixels == 1 || type.shape.last == 1 ? 1 : type.elementCount
    }
}

/// Writes the nodes of a graph one after the other, some in their other form.
private struct ChannelsFirstRewriting {
    private(set) var result: Graph
    /// The image with channels first of one with channels last, and the other way round.
    private var images: [ValueID: ValueID] = [:]
    private var turnedImages: [ValueID: ValueID] = [:]
    /// What is read instead of images that were turned back, or twice.
    private var replacements: [ValueID: ValueID] = [:]

    init(_ graph: Graph) {
        result = graph
        result.nodes = []
    }

    mutating func add(_ node: Node, as form: ChannelsFirstForm?) {
        var node = node
        node.inputs = node.inputs.map { input in input.map { replacements[$0] ?? $0 } }
        if let form {
            change(node, to: form)
        } else if let input = node.inputs.first, let input, let output = node.outputs[0],
            result.putsChannelsFirst(node) || result.putsChannelsLast(node)
        {
            let isFirst = result.putsChannelsFirst(node)
            if let known = isFirst ? images[input] : turnedImages[input] {
                replace(output, by: known, named: node.name)
            } else {
                result.nodes.append(node)
                remember(isFirst ? output : input, turned: isFirst ? input : output)
            }
        } else {
            result.nodes.append(node)
        }
    }

    private mutating func remember(_ image: ValueID, turned: ValueID) {
        images[turned] = image
        turnedImages[image] = turned
    }

    private mutating func replace(_ output: ValueID, by known: ValueID, named name: String) {
        if result.outputs.contains(output) {
            let same = Node(name: name, op: .identity, inputs: [known], outputs: [output])
            result.nodes.append(same)
        } else {
            replacements[output] = known
        }
    }

    private mutating func change(_ node: Node, to form: ChannelsFirstForm) {
        var changed = node
        changed.op = form.op
        changed.inputs = form.operands.enumerated().map { place, operand in
            let input = place < node.inputs.count ? node.inputs[place] : nil
            switch operand {
            case .same: return input
            case .constant(let constant):
                return result.addValue(name: "\(node.name).\(place)", constant: constant)
            case .image: return input.map { image(of: $0) }
            }
        }
        guard form.givesImages else {
            result.nodes.append(changed)
            return
        }
        changed.outputs = node.outputs.map { output in
            output.map { output in
                let image = addImage(of: output)
                remember(image, turned: output)
                return image
            }
        }
        result.nodes.append(changed)
        for case (let output?, let image?) in zip(node.outputs, changed.outputs) {
            turn(image, to: output, by: \.toLast)
        }
    }

    private mutating func image(of id: ValueID) -> ValueID {
        if let known = images[id] { return known }
        let image = addImage(of: id)
        remember(image, turned: id)
        turn(id, to: image, by: \.toFirst)
        return image
    }

    private mutating func addImage(of id: ValueID) -> ValueID {
        let value = result[id]
        let type = value.type.flatMap { type in
            ChannelsLastImage(rank: type.shape.count)?.type(type)
        }
        return result.addValue(name: value.name + ".channelsFirst", type: type)
    }

    private mutating func turn(
        _ input: ValueID,
        to output: ValueID,
        by permutation: (ChannelsLastImage) -> [Int]
    ) {
        guard let rank = result[input].type?.shape.count,
            let image = ChannelsLastImage(rank: rank)
        else { preconditionFailure("an image without axes") }
        result.nodes.append(
            Node(
                name: result[output].name,
                op: .transpose(permutation: permutation(image)),
                inputs: [input],
                outputs: [output]
            )
        )
    }
}
