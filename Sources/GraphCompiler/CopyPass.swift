import GraphIR

/// Copies of a copy read what that one reads: the parts of a transposed tensor, such as the heads of
/// queries, keys and values, are each moved once, and so are the parts of a tensor that is rolled.
func joinCopies(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    // In order, so that what a copy reads is final when its own readers are joined with it.
    for (index, node) in graph.nodes.enumerated() {
        guard !graph.isReshape(node), let moving = editor.nodes[index],
            let box = graph.onlyBox(of: moving),
            let reading = graph.reading(of: node.output, editor.uses),
            graph.isKeptShortly(moving.inputs[0], by: index, until: reading.copies)
        else { continue }
        var joined: [(reader: Int, node: FusedNode)] = []
        var count = 0
        for reader in reading.copies {
            guard let copy = editor.nodes[reader],
                let (through, elements) = copy.reading(
                    moving.inputs[0],
                    through: box,
                    insteadOf: reading.values
                )
            else { break }
            joined.append((reader, through))
            count += elements
        }
        guard joined.count == reading.copies.count, count <= box.elementCount else { continue }
        for (reader, copy) in joined { editor.nodes[reader] = copy }
        for view in reading.views + [index] { editor.nodes[view] = nil }
    }
    return editor.finish()
}

extension FusedGraph {
    /// The box of a node that only moves elements of one value; nil when it does something else.
    func onlyBox(of node: FusedNode) -> StridedBox? {
        guard case .copy(let copy) = node.kernel, copy.fill == nil, copy.boxes.count == 1,
            node.inputs.count == 1, node.activation == .none,
            copy.boxes[0].elementCount == self[node.output].type.elementCount,
            self[node.inputs[0]].layout == .rowMajor, self[node.output].layout == .rowMajor
        else { return nil }
        return copy.boxes[0]
    }

    /// Whether a value may live until `readers` instead of what a copy makes of it: it is not larger, or
    /// there are only copies between.
    fileprivate func isKeptShortly(_ id: ValueID, by index: Int, until readers: [Int]) -> Bool {
        let isSmall = self[id].type.elementCount <= self[nodes[index].output].type.elementCount
        return isSmall
            || nodes[index..<(readers.max() ?? index)].allSatisfy {
                if case .copy = $0.kernel { true } else { false }
            }
    }

    /// The copies that read a value, itself or in another shape, the nodes that give it such, and all
    /// its names; nil when something else reads it, or nothing does.
    fileprivate func reading(
        of id: ValueID,
        _ uses: GraphUses
    ) -> (copies: [Int], views: [Int], values: Set<ValueID>)? {
        guard !uses.isGraphOutput(id), !uses.readers[id.index].isEmpty else { return nil }
        var copies: [Int] = []
        var views: [Int] = []
        var values: Set = [id]
        for reader in Set(uses.readers[id.index]).sorted() {
            let node = nodes[reader]
            guard case .copy = node.kernel, self[node.output].layout == .rowMajor else {
                return nil
            }
            guard isReshape(node) else {
                copies.append(reader)
                continue
            }
            guard let further = reading(of: node.output, uses) else { return nil }
            copies += further.copies
            views += further.views + [reader]
            values.formUnion(further.values)
        }
        return (copies, views, values)
    }
}

extension FusedNode {
    /// The copy with its boxes of `values` where `source` takes what is in them from, and how many
    /// elements these are; nil when that is no box, or one of many axes, whose rows are short.
    fileprivate func reading(
        _ input: ValueID,
        through source: StridedBox,
        insteadOf values: Set<ValueID>
    ) -> (copy: FusedNode, elements: Int)? {
        guard case .copy(var copy) = kernel else { return nil }
        var elements = 0
        for (number, box) in copy.boxes.enumerated() where values.contains(inputs[box.input]) {
            guard let through = box.reading(through: source), through.loops.rank <= 6 else {
                return nil
            }
            copy.boxes[number] = through
            elements += box.elementCount
        }
        var node = self
        node.kernel = .copy(copy)
        node.inputs = inputs.map { values.contains($0) ? input : $0 }
        return (node, elements)
    }
}

extension StridedBox {
    var elementCount: Int { dimensions.reduce(1, *) }

    /// The box that copies the elements back.
    var inverse: StridedBox {
        StridedBox(
            input: 0,
            dimensions: dimensions,
            inputOffset: outputOffset,
            inputStrides: outputStrides,
            outputOffset: inputOffset,
            outputStrides: inputStrides
        )
    }

    /// The box that copies the same elements from where `source` takes them; nil when `source` does not
    /// fill its result, or an axis of this box is no axis of that one.
    ///
    /// An offset in the result of `source` is a number whose digits are the places along its axes. Each
    /// axis of this box must walk along one digit or several that follow each other, without a carry.
    package func reading(through source: StridedBox) -> StridedBox? {
        guard let digits = source.digits, elementCount > 0 else { return nil }
        var box = self
        box.dimensions = []
        box.inputStrides = []
        box.outputStrides = []
        box.inputOffset = source.inputOffset
        var lowest = digits.map { inputOffset / $0.weight % $0.radix }
        for (digit, place) in zip(digits, lowest) { box.inputOffset += place * digit.stride }
        var highest = lowest
        for axis in dimensions.indices where dimensions[axis] > 1 {
            var count = dimensions[axis]
            var outputStride = outputStrides[axis]
            var axes: [(count: Int, input: Int, output: Int)] = []
            if inputStrides[axis] == 0 {
                axes.append((count, 0, outputStride))
                count = 1
            }
            let sign = inputStrides[axis].signum()
            var step = abs(inputStrides[axis])
            while count > 1 {
                guard let place = digits.firstIndex(where: { step.isMultiple(of: $0.weight) })
                else {
                    return nil
                }
                let digit = digits[place]
                let jump = step / digit.weight
                var steps = count
                if jump * (count - 1) >= digit.radix {
                    guard digit.radix.isMultiple(of: jump) else { return nil }
                    steps = digit.radix / jump
                    guard steps > 1, count.isMultiple(of: steps) else { return nil }
                }
                let reach = sign * jump * (steps - 1)
                lowest[place] += min(0, reach)
                highest[place] += max(0, reach)
                axes.append((steps, sign * jump * digit.stride, outputStride))
                count /= steps
                step = digit.weight * digit.radix
                outputStride *= steps
            }
            for axis in axes.reversed() {
                box.dimensions.append(axis.count)
                box.inputStrides.append(axis.input)
                box.outputStrides.append(axis.output)
            }
        }
        let hasNoCarry = digits.indices.allSatisfy {
            lowest[$0] >= 0 && highest[$0] < digits[$0].radix
        }
        return hasNoCarry ? box : nil
    }

    /// The axes of a box that fills a row-major result, outermost first: elements of the result between
    /// neighbours, how many there are, and elements of the source between neighbours.
    private var digits: [(weight: Int, radix: Int, stride: Int)]? {
        let order = dimensions.indices.filter { dimensions[$0] > 1 }
            .sorted { outputStrides[$0] > outputStrides[$1] }
        var weight = 1
        for axis in order.reversed() {
            guard outputStrides[axis] == weight else { return nil }
            weight *= dimensions[axis]
        }
        guard outputOffset == 0 else { return nil }
        return order.map { (outputStrides[$0], dimensions[$0], inputStrides[$0]) }
    }
}
