import GraphIR

/// The operators that bring rows to mean 0 and variance 1 become one, with factors and offsets of the
/// elements of a row that follow it at once.
///
/// A few long rows stay as they are: threads share what is done element by element, but not a row.
func joinNormalizations(in graph: FusedGraph) -> FusedGraph {
    var editor = Editor(graph)
    for index in graph.nodes.indices {
        guard let found = editor.normalization(endingAt: index),
            found.rows >= 8 || found.size <= 1 << 14
        else { continue }
        var absorbed = found.nodes + [index]
        var inputs = [found.input]
        func absorb(_ function: BinaryFunction) -> Bool {
            guard
                let next = editor.rowOperand(
                    function,
                    after: absorbed[absorbed.count - 1],
                    size: found.size
                )
            else { return false }
            absorbed.append(next.node)
            inputs.append(next.constants)
            return true
        }
        let hasScale = absorb(.multiply)
        let hasShift = absorb(.add)
        let last = absorbed[absorbed.count - 1]
        for node in absorbed { editor.nodes[node] = nil }
        editor.nodes[last] = FusedNode(
            name: graph.nodes[index].name,
            kernel: .normalize(
                rows: found.rows,
                size: found.size,
                epsilon: found.epsilon,
                hasScale: hasScale,
                hasShift: hasShift
            ),
            inputs: inputs,
            output: graph.nodes[last].output
        )
    }
    return editor.finish()
}

/// (x - mean) / sqrt(variance + epsilon) of rows, and the nodes before the last one that compute it.
private struct RowNormalization {
    var input: ValueID
    var rows: Int
    var size: Int
    var epsilon: Float
    var nodes: [Int]
}

extension Editor {
    /// The node with that result, if it is there and as the pass found it.
    private func producer(of id: ValueID) -> (index: Int, node: FusedNode)? {
        guard let index = uses.producer[id.index], let node = nodes[index],
            graph[id].type.dtype == .float32
        else { return nil }
        return (index, node)
    }

    private func number(_ id: ValueID) -> Float? {
        guard graph[id].type.elementCount == 1 else { return nil }
        return graph[id].constant?.smallLiteral?.floats.first
    }

    fileprivate func normalization(endingAt last: Int) -> RowNormalization? {
        guard let end = nodes[last], case .binary(let function) = end.kernel,
            end.activation == .none, graph[end.output].type.dtype == .float32
        else { return nil }
        switch function {
        case .divide:
            return normalization(end.inputs[0], dividedBy: end.inputs[1], before: [])
        case .multiply:
            for side in 0..<2 {
                guard let inverse = onlyProducer(of: end.inputs[1 - side]),
                    let node = nodes[inverse], node.isFunction(.reciprocal),
                    let found = normalization(
                        end.inputs[side],
                        dividedBy: node.inputs[0],
                        before: [inverse]
                    )
                else { continue }
                return found
            }
            return nil
        default: return nil
        }
    }

    /// Whether `centred` divided by `deviation` are normalized rows.
    private func normalization(
        _ centred: ValueID,
        dividedBy deviation: ValueID,
        before: [Int]
    ) -> RowNormalization? {
        guard let subtraction = producer(of: centred), !uses.isGraphOutput(centred),
            case .binary(.subtract) = subtraction.node.kernel, subtraction.node.activation == .none,
            let mean = onlyProducer(of: subtraction.node.inputs[1]), let meanNode = nodes[mean],
            case .reduce(.mean, let rows, let size, 1) = meanNode.kernel,
            meanNode.activation == .none, meanNode.inputs[0] == subtraction.node.inputs[0],
            graph[meanNode.inputs[0]].type == graph[centred].type,
            isOnePerRow(meanNode.output, of: centred, size: size),
            isOnePerRow(deviation, of: centred, size: size),
            let root = onlyProducer(of: deviation), let rootNode = nodes[root],
            rootNode.isFunction(.sqrt),
            let sum = onlyProducer(of: rootNode.inputs[0]), let sumNode = nodes[sum],
            case .binary(.add) = sumNode.kernel, sumNode.activation == .none
        else { return nil }
        for side in 0..<2 {
            guard let epsilon = number(sumNode.inputs[side]),
                let variance = variance(
                    sumNode.inputs[1 - side],
                    of: centred,
                    rows: rows,
                    size: size
                )
            else { continue }
            // Squares read the centred rows once or twice, the quotient once.
            let own = variance.filter { nodes[$0]?.inputs.contains(centred) == true }
            let reads = own.reduce(1) { count, index in
                count + (nodes[index]?.inputs.count { $0 == centred } ?? 0)
            }
            guard uses.readers[centred.index].count == reads else { continue }
            return RowNormalization(
                input: meanNode.inputs[0],
                rows: rows,
                size: size,
                epsilon: epsilon,
                nodes: before + [root, sum, mean, subtraction.index] + variance
            )
        }
        return nil
    }

    /// Whether a value has a number for each row of `size` elements of `value`, along the same axes: one
    /// without the axes of a row may be a number for each column.
    private func isOnePerRow(_ id: ValueID, of value: ValueID, size: Int) -> Bool {
        let own = graph[id].type.shape, shape = graph[value].type.shape
        guard own.count == shape.count else { return false }
        let axes = shape.indices.filter { own[$0] != shape[$0] }
        return axes.allSatisfy { own[$0] == 1 } && axes.reduce(1) { $0 * shape[$1] } == size
    }

    /// The nodes that compute the mean of the squares of `centred` in each row.
    private func variance(
        _ id: ValueID,
        of centred: ValueID,
        rows: Int,
        size: Int
    ) -> [Int]? {
        guard let last = onlyProducer(of: id), let node = nodes[last], node.activation == .none
        else { return nil }
        switch node.kernel {
        case .binary(.divide):
            guard number(node.inputs[1]) == Float(size),
                let sum = onlyProducer(of: node.inputs[0]), let sumNode = nodes[sum],
                case .reduce(.sumOfSquares, rows, size, 1) = sumNode.kernel,
                sumNode.activation == .none, sumNode.inputs[0] == centred
            else { return nil }
            return [last, sum]
        case .reduce(.mean, rows, size, 1):
            guard let square = producer(of: node.inputs[0]),
                !uses.isGraphOutput(node.inputs[0]), square.node.activation == .none,
                uses.readers[node.inputs[0].index].count == 1
            else { return nil }
            switch square.node.kernel {
            case .binary(.multiply) where square.node.inputs == [centred, centred]:
                return [last, square.index]
            case .binary(.power)
            where square.node.inputs[0] == centred && number(square.node.inputs[1]) == 2:
                return [last, square.index]
            default: return nil
            }
        default: return nil
        }
    }

    /// The only reader of the result of node `index`, if it multiplies or adds constants of the elements
    /// of a row, and those.
    fileprivate func rowOperand(
        _ function: BinaryFunction,
        after index: Int,
        size: Int
    ) -> (node: Int, constants: ValueID)? {
        let value = graph.nodes[index].output
        guard uses.isReadOnce(value), let next = uses.readers[value.index].first,
            let node = nodes[next], case .binary(function) = node.kernel, node.activation == .none,
            let side = node.inputs.firstIndex(where: { $0 != value }),
            graph[node.output].type == graph[value].type
        else { return nil }
        let constants = node.inputs[side]
        let shape = graph[constants].type.shape
        let elements = Array(shape.drop { $0 == 1 })
        guard graph[constants].constant != nil, graph[constants].type.dtype == .float32,
            shape.reduce(1, *) == size,
            Array(graph[value].type.shape.suffix(elements.count)) == elements
        else { return nil }
        return (next, constants)
    }
}

extension FusedNode {
    /// Whether it is that function of one operand, alone.
    fileprivate func isFunction(_ function: UnaryFunction) -> Bool {
        guard case .unary = kernel else { return false }
        return activation == .function(function)
    }
}
