import GraphIR

/// A number that multiplies an operand or the result of a product multiplies the matrices that are
/// packed for it anyway: the scale of attention.
func foldProductScales(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for (index, node) in graph.nodes.enumerated() {
        guard case .product = node.kernel, node.activation == .none,
            let packer = editor.onlyProducer(of: node.inputs[1]),
            case .packMatrices(var packing) = editor.nodes[packer]?.kernel
        else { continue }
        while let scale = editor.removeScale(before: index)
            ?? editor.removeScale(before: packer) ?? editor.removeScale(after: index)
        {
            packing.scale *= scale
        }
        editor.nodes[packer]?.kernel = .packMatrices(packing)
    }
    return editor.finish()
}

/// Products read matrices where copies before them took them from, and write theirs to where a copy
/// after them would move them: heads of attention are parts of rows.
func joinProductCopies(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    // What products read in place, and what is packed after them may read, too.
    var kept: Set<ValueID> = []
    for (index, node) in graph.nodes.enumerated() {
        switch node.kernel {
        case .packMatrices(let packing):
            editor.packSource(of: node, packing, at: index, keeping: kept)
        case .product:
            if let source = editor.readSource(ofProduct: index) { kept.insert(source) }
            editor.writeTarget(ofProduct: index)
        default:
            continue
        }
    }
    return editor.finish()
}

// MARK: Scales

extension Editor {
    /// Removes a multiplication by a number on the way to the first operand of a node, where the other
    /// nodes only move elements.
    fileprivate mutating func removeScale(before reader: Int) -> Float? {
        var reader = reader
        while let input = nodes[reader]?.inputs[0], let index = onlyProducer(of: input),
            let node = nodes[index]
        {
            if let scaling = graph.scaling(of: node) {
                nodes[reader]?.inputs[0] = scaling.input
                nodes[index] = nil
                return scaling.factor
            }
            guard graph.onlyBox(of: node) != nil else { return nil }
            reader = index
        }
        return nil
    }

    /// Removes a multiplication by a number after a node, where only views are between.
    fileprivate mutating func removeScale(after producer: Int) -> Float? {
        var producer = producer
        while let output = nodes[producer]?.output, let index = onlyReader(of: output),
            let node = nodes[index]
        {
            if let scaling = graph.scaling(of: node) {
                nodes[producer]?.output = node.output
                nodes[index] = nil
                return scaling.factor
            }
            guard graph.isReshape(node) else { return nil }
            producer = index
        }
        return nil
    }

    /// The index of the node that alone reads `id`, once.
    private func onlyReader(of id: ValueID) -> Int? {
        uses.isReadOnce(id) ? uses.readers[id.index].first : nil
    }
}

extension FusedGraph {
    /// What a node multiplies by which number; nil when it does something else.
    fileprivate func scaling(of node: FusedNode) -> (input: ValueID, factor: Float)? {
        guard case .binary(let function) = node.kernel, node.activation == .none,
            self[node.output].type.dtype == .float32
        else { return nil }
        for side in 0..<2 {
            let input = node.inputs[side]
            guard let constant = self[node.inputs[1 - side]].constant,
                constant.type.elementCount == 1, let number = constant.smallLiteral?.floats.first,
                self[input].constant == nil, self[input].type == self[node.output].type
            else { continue }
            let factor: Float
            switch (function, side) {
            case (.multiply, _): factor = number
            case (.divide, 0): factor = 1 / number
            default: return nil
            }
            return factor.isNormal ? (input, factor) : nil
        }
        return nil
    }
}

// MARK: Places

extension Editor {
    /// A copy that a value comes from, seen with other axes perhaps, which nothing else reads.
    private struct Mover {
        /// The copy and the views after it, which it takes to remove it.
        var nodes: [Int]
        var source: ValueID
        var box: StridedBox
    }

    private func mover(of id: ValueID) -> Mover? {
        guard let way = producerBeforeViews(of: id), let node = nodes[way.index] else { return nil }
        return graph.onlyBox(of: node).map {
            Mover(nodes: way.views + [way.index], source: node.inputs[0], box: $0)
        }
    }

    /// Packs what the copies before would copy, and where they would, as packed matrices take about
    /// their bytes; what is kept anyway is packed when it is needed.
    fileprivate mutating func packSource(
        of node: FusedNode,
        _ packing: MatrixPacking,
        at index: Int,
        keeping kept: Set<ValueID>
    ) {
        var (node, packing, place) = (node, packing, index)
        while let mover = mover(of: node.inputs[0]),
            let places = packing.source.reading(
                through: mover.box,
                rows: packing.k,
                columns: packing.n
            ),
            case .packed(let byteCount) = graph[node.output].layout,
            byteCount <= 2 * 4 * mover.box.elementCount
        {
            packing.source = places
            node.kernel = .packMatrices(packing)
            node.inputs[0] = mover.source
            nodes[place] = nil
            for index in mover.nodes { nodes[index] = nil }
            place = kept.contains(mover.source) ? index : mover.nodes.last ?? place
            nodes[place] = node
        }
    }

    /// Reads the left matrices where a copy took them from, unless more bytes live at a time for it;
    /// returns what it reads.
    fileprivate mutating func readSource(ofProduct index: Int) -> ValueID? {
        guard let node = nodes[index], case .product(var product) = node.kernel,
            let mover = mover(of: node.inputs[0]),
            let places = product.a.reading(
                through: mover.box,
                rows: product.m,
                columns: product.k
            ), places.columnStride == 1, !places.sharesCacheSets
        else { return nil }
        // Copied at once, its parts stand beside it; read in place, the result does.
        let copied = mover.box.elementCount
        let isSmaller = graph[mover.source].type.elementCount <= copied
        let result = graph[node.output].type.elementCount
        guard isSmaller || result <= copied + packed(of: mover.source, after: index) else {
            return nil
        }
        product.a = places
        nodes[index]?.kernel = .product(product)
        nodes[index]?.inputs[0] = mover.source
        for index in mover.nodes { nodes[index] = nil }
        return mover.source
    }

    /// Elements of copies of a value that are packed after node `index`.
    private func packed(of source: ValueID, after index: Int) -> Int {
        uses.readers[source.index].reduce(0) { sum, reader in
            guard let copy = nodes[reader], let box = graph.onlyBox(of: copy),
                let packer = packer(of: copy.output), packer > index
            else { return sum }
            return sum + box.elementCount
        }
    }

    /// The node that packs a value, moved or not, which nothing else reads.
    private func packer(of id: ValueID) -> Int? {
        var id = id
        while let reader = onlyReader(of: id), let node = nodes[reader] {
            if case .packMatrices = node.kernel { return reader }
            guard graph.onlyBox(of: node) != nil else { return nil }
            id = node.output
        }
        return nil
    }

    /// Writes where the copy that alone reads the result moves it to.
    fileprivate mutating func writeTarget(ofProduct index: Int) {
        guard let node = nodes[index], case .product(var product) = node.kernel else { return }
        var path: [Int] = []
        var id = node.output
        while let reader = onlyReader(of: id), let next = nodes[reader] {
            path.append(reader)
            id = next.output
            if graph.isReshape(next) { continue }
            guard let box = graph.onlyBox(of: next),
                box.elementCount == graph[node.output].type.elementCount,
                let places = product.result.reading(
                    through: box.inverse,
                    rows: product.m,
                    columns: product.n
                ), places.columnStride == 1
            else { return }
            product.result = places
            nodes[index]?.kernel = .product(product)
            nodes[index]?.output = id
            for index in path { nodes[index] = nil }
            return
        }
    }
}

extension MatrixPlaces {
    /// Whether rows are so far apart that those of a tile share one set of the first cache, which has
    /// fewer ways than a tile has rows: each would be read again for every column.
    fileprivate var sharesCacheSets: Bool { (rowStride * 4).isMultiple(of: 4096) }

    /// The places that `source` takes these matrices of its result from; nil when rows or columns of them
    /// are not evenly spaced there.
    fileprivate func reading(through source: StridedBox, rows: Int, columns: Int) -> MatrixPlaces? {
        var result = MatrixPlaces(offsets: [], rowStride: 0)
        for (index, offset) in offsets.enumerated() {
            let matrix = StridedBox(
                input: 0,
                dimensions: [rows, columns],
                inputOffset: offset,
                inputStrides: [rowStride, columnStride],
                outputOffset: 0,
                outputStrides: [columns, 1]
            )
            guard let through = matrix.reading(through: source),
                through.dimensions == matrix.dimensions.filter({ $0 > 1 })
            else { return nil }
            let rowStride = rows > 1 ? through.inputStrides[0] : columns
            let columnStride = columns > 1 ? through.inputStrides[rows > 1 ? 1 : 0] : 1
            guard rowStride > 0, columnStride > 0,
                index == 0 || (rowStride, columnStride) == (result.rowStride, result.columnStride)
            else { return nil }
            (result.rowStride, result.columnStride) = (rowStride, columnStride)
            result.offsets.append(through.inputOffset)
        }
        return result
    }
}
