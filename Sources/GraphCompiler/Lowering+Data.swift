import GraphIR

extension CopyKernel {
    /// Axis number i of the result is axis `permutation[i]` of a tensor of `shape`.
    static func transposition(of shape: [Int], _ permutation: [Int]) -> CopyKernel {
        let source = rowMajorStrides(shape)
        let sizes = permutation.map { shape[$0] }
        let box = StridedBox(
            input: 0,
            dimensions: sizes,
            inputOffset: 0,
            inputStrides: permutation.map { source[$0] },
            outputOffset: 0,
            outputStrides: rowMajorStrides(sizes)
        )
        return CopyKernel(boxes: [box])
    }

    /// Whether the copy moves all elements as that transposition does, however their axes are joined.
    func isTransposition(of shape: [Int], _ permutation: [Int]) -> Bool {
        guard fill == nil, boxes.count == 1, boxes[0].inputOffset == 0, boxes[0].outputOffset == 0
        else { return false }
        return boxes[0].loops == CopyKernel.transposition(of: shape, permutation).boxes[0].loops
    }
}

extension CopyKernel {
    /// What stands at `places` of an axis of a tensor of `shape`, in their order; nil where they are not
    /// evenly spaced.
    fileprivate init?(evenly places: [Int], axis: Int, of shape: [Int]) {
        guard let first = places.first, shape.reduce(1, *) > 0 else { return nil }
        let step = places.count > 1 ? places[1] - first : 0
        guard zip(places, places.dropFirst()).allSatisfy({ $1 - $0 == step }) else { return nil }
        let source = rowMajorStrides(shape)
        var sizes = shape
        sizes[axis] = places.count
        var strides = source
        strides[axis] *= step
        self.init(
            boxes: [
                StridedBox(
                    input: 0,
                    dimensions: sizes,
                    inputOffset: first * source[axis],
                    inputStrides: strides,
                    outputOffset: 0,
                    outputStrides: rowMajorStrides(sizes)
                )
            ]
        )
    }
}

extension StridedBox {
    var loops: LoopNest {
        LoopNest(dimensions: dimensions, strides: [inputStrides, outputStrides])
    }
}

/// Operators that only move elements become strided boxes.
extension Lowering {
    mutating func lowerView(_ node: Node) throws(LoweringProblem) {
        let x = try required(node, 0)
        guard let target = node.outputs[0] else { return }
        if case .identity = node.op {
            define(target, as: x)
            return
        }
        define(target, as: view(x, name: graph[target].name, shape: type(target).shape))
    }

    mutating func lowerTranspose(_ node: Node, permutation: [Int]?) throws(LoweringProblem) {
        let x = try required(node, 0)
        let shape = result[x].type.shape
        let permutation = permutation ?? Array(shape.indices.reversed())
        emit(node, .copy(.transposition(of: shape, permutation)), inputs: [x])
    }

    /// A concat that begins with the parts of one before it goes on from that: where features are put
    /// together again and again, each is appended once.
    mutating func lowerConcat(_ node: Node, axis: Int) throws(LoweringProblem) {
        guard let target = node.outputs[0] else { return }
        let shape = type(target).shape
        let axis = axis < 0 ? axis + shape.count : axis
        let strides = rowMajorStrides(shape)
        let all = node.inputs.compactMap { $0 }.filter { type($0).elementCount > 0 }
            .map { operand($0) }
        if all.count == 1, result[all[0]].type == type(target) {
            define(target, as: all[0])
            return
        }
        var parts = all
        for count in stride(from: all.count - 1, through: 2, by: -1) {
            let known = JoinedValues(axis: axis, parts: Array(all.prefix(count)))
            guard let whole = joined[known] else { continue }
            parts = [whole] + all.dropFirst(count)
            break
        }
        var boxes: [StridedBox] = []
        var start = 0
        for (index, id) in parts.enumerated() {
            let part = result[id].type.shape
            boxes.append(
                StridedBox(
                    input: index,
                    dimensions: part,
                    inputOffset: 0,
                    inputStrides: rowMajorStrides(part),
                    outputOffset: start * strides[axis],
                    outputStrides: strides
                )
            )
            start += part[axis]
        }
        emit(node, .copy(CopyKernel(boxes: boxes)), inputs: parts)
        if let output = result.nodes.last?.output {
            joined[JoinedValues(axis: axis, parts: all)] = output
        }
    }

    mutating func lowerSplit(_ node: Node, axis: Int) throws(LoweringProblem) {
        let x = try required(node, 0)
        let shape = result[x].type.shape
        let axis = axis < 0 ? axis + shape.count : axis
        let strides = rowMajorStrides(shape)
        var start = 0
        for case let target? in node.outputs {
            let part = type(target).shape
            let box = StridedBox(
                input: 0,
                dimensions: part,
                inputOffset: start * strides[axis],
                inputStrides: strides,
                outputOffset: 0,
                outputStrides: rowMajorStrides(part)
            )
            let output = addResult(of: target)
            result.nodes.append(
                FusedNode(
                    name: node.name,
                    kernel: .copy(CopyKernel(boxes: [box])),
                    inputs: [x],
                    output: output
                )
            )
            define(target, as: output)
            start += part[axis]
        }
    }

    private func integers(
        _ node: Node,
        _ index: Int,
        _ what: String
    ) throws(LoweringProblem) -> [Int]? {
        guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
        guard let values = constant(id)?.smallLiteral?.integers else {
            throw LoweringProblem(reason: "its \(what) are known only at run time")
        }
        return values.map { Int($0) }
    }

    mutating func lowerSlice(_ node: Node) throws(LoweringProblem) {
        let x = try required(node, 0)
        guard let target = node.outputs[0] else { return }
        let shape = result[x].type.shape
        let starts = try integers(node, 1, "bounds") ?? []
        let ends = try integers(node, 2, "bounds") ?? []
        let axes = try integers(node, 3, "axes")
        let steps = try integers(node, 4, "steps")
        let bounds = try resolved { () throws(ShapeError) in
            try resolveSliceBounds(
                shape: shape,
                starts: starts,
                ends: ends,
                axes: axes,
                steps: steps
            )
        }
        let strides = rowMajorStrides(shape)
        let offset = zip(bounds, strides).reduce(0) { $0 + $1.0.start * $1.1 }
        let sizes = type(target).shape
        let box = StridedBox(
            input: 0,
            dimensions: sizes,
            inputOffset: sizes.contains(0) ? 0 : offset,
            inputStrides: zip(bounds, strides).map { $0.count > 1 ? $0.step * $1 : 0 },
            outputOffset: 0,
            outputStrides: rowMajorStrides(sizes)
        )
        emit(node, .copy(CopyKernel(boxes: [box])), inputs: [x])
    }

    mutating func lowerRepeat(_ node: Node) throws(LoweringProblem) {
        let x = try required(node, 0)
        guard let target = node.outputs[0] else { return }
        let sizes = type(target).shape
        let shape =
            Array(repeating: 1, count: sizes.count - result[x].type.shape.count)
            + result[x].type.shape
        let strides = rowMajorStrides(shape)
        // Each axis is (repeats, size); expanding repeats an axis of one element.
        var dimensions: [Int] = []
        var sources: [Int] = []
        for axis in sizes.indices {
            let repeats = shape[axis] == 0 ? 0 : sizes[axis] / shape[axis]
            dimensions += [repeats, shape[axis]]
            sources += [0, strides[axis]]
        }
        let box = StridedBox(
            input: 0,
            dimensions: dimensions,
            inputOffset: 0,
            inputStrides: sources,
            outputOffset: 0,
            outputStrides: rowMajorStrides(dimensions)
        )
        emit(node, .copy(CopyKernel(boxes: [box])), inputs: [x])
    }

    mutating func lowerGather(_ node: Node, axis: Int) throws(LoweringProblem) {
        let x = try required(node, 0)
        let indices = try required(node, 1)
        let shape = result[x].type.shape
        let axis = axis < 0 ? axis + shape.count : axis
        guard [.int32, .int64].contains(result[indices].type.dtype) else {
            throw LoweringProblem(reason: "indices must be int32 or int64")
        }
        if let known = constant(node.inputs[1])?.smallLiteral?.integers {
            let size = Int64(shape[axis])
            guard known.allSatisfy({ $0 >= -size && $0 < size }) else {
                throw LoweringProblem(reason: "an index is outside the axis of size \(size)")
            }
            let places = known.map { Int($0 < 0 ? $0 + size : $0) }
            if let copy = CopyKernel(evenly: places, axis: axis, of: shape) {
                emit(node, .copy(copy), inputs: [x])
                return
            }
        }
        emit(
            node,
            .gather(
                outer: shape[..<axis].reduce(1, *),
                axisSize: shape[axis],
                indexCount: result[indices].type.elementCount,
                innerElements: shape[(axis + 1)...].reduce(1, *)
            ),
            inputs: [x, indices]
        )
    }

    // MARK: Pad

    /// The most pieces that a padded tensor is copied in: a plan names each.
    private static let mostPadPieces = 1 << 16

    mutating func lowerPad(_ node: Node, mode: PadMode) throws(LoweringProblem) {
        let x = try required(node, 0)
        guard let target = node.outputs[0] else { return }
        let shape = result[x].type.shape
        let pads = try integers(node, 1, "pads") ?? []
        let axes = try integers(node, 3, "axes")
        let padding = try resolved { () throws(ShapeError) in
            try resolvePads(shape: shape, pads: pads, axes: axes, mode: mode)
        }
        let sizes = type(target).shape
        var boxes = [BoxAlongAxes()]
        for axis in shape.indices {
            let runs = padRuns(
                mode,
                size: shape[axis],
                begin: padding.begin[axis],
                end: padding.end[axis],
                total: sizes[axis],
                most: Self.mostPadPieces
            )
            guard runs.count <= Self.mostPadPieces / max(boxes.count, 1) else {
                throw LoweringProblem(
                    reason:
                        "its padding repeats the input in more than \(Self.mostPadPieces) pieces"
                )
            }
            boxes = boxes.flatMap { box in runs.map { box.adding($0) } }
        }
        let source = rowMajorStrides(shape)
        let destination = rowMajorStrides(sizes)
        let kernel = CopyKernel(
            boxes: boxes.compactMap { $0.box(source, destination) },
            fill: mode == .constant ? try fillPattern(node, dtype: result[x].type.dtype) : nil
        )
        emit(node, .copy(kernel), inputs: [x])
    }

    /// The element a constant pad writes.
    private func fillPattern(_ node: Node, dtype: DType) throws(LoweringProblem) -> UInt64 {
        guard node.inputs.count > 2, let id = node.inputs[2] else { return 0 }
        guard let value = constant(id)?.smallLiteral else {
            throw LoweringProblem(reason: "its pad value is known only at run time")
        }
        if dtype == .float32 { return UInt64((value.floats.first ?? 0).bitPattern) }
        return UInt64(bitPattern: value.integers?.first ?? 0)
    }

    /// The pieces of one padded axis, each a run in the source and a run in the result; the first
    /// `most` of them and one more where there are so many.
    private func padRuns(
        _ mode: PadMode,
        size: Int,
        begin: Int,
        end: Int,
        total: Int,
        most: Int
    ) -> [AxisRun] {
        let first = max(0, -begin)
        let last = size - max(0, -end)
        let copied = last - first
        guard copied > 0 else { return [] }
        let middle = AxisRun(source: first, step: 1, target: max(0, begin), count: copied)
        if begin <= 0, end <= 0 { return [middle] }
        switch mode {
        case .constant:
            return [middle]
        case .edge:
            return [
                AxisRun(source: first, step: 0, target: 0, count: max(0, begin)), middle,
                AxisRun(
                    source: last - 1,
                    step: 0,
                    target: max(0, begin) + copied,
                    count: max(0, end)
                ),
            ].filter { $0.count > 0 }
        case .reflect, .wrap:
            if copied == 1 { return [AxisRun(source: first, step: 0, target: 0, count: total)] }
            // Forth, and back without the ends; wrapped only forth.
            let period = mode == .wrap ? copied : 2 * (copied - 1)
            var runs: [AxisRun] = []
            var target = 0
            while target < total, runs.count <= most {
                let phase = ((target - max(0, begin)) % period + period) % period
                let isForth = phase < copied
                let run = AxisRun(
                    source: first + (isForth ? phase : period - phase),
                    step: isForth ? 1 : -1,
                    target: target,
                    count: min((isForth ? copied : period) - phase, total - target)
                )
                runs.append(run)
                target += run.count
            }
            return runs
        }
    }
}

/// A run of positions along one axis of a copy.
private struct AxisRun {
    var source: Int
    var step: Int
    var target: Int
    var count: Int
}

/// A box under construction, one run per axis.
private struct BoxAlongAxes {
    var runs: [AxisRun] = []

    func adding(_ run: AxisRun) -> BoxAlongAxes { BoxAlongAxes(runs: runs + [run]) }

    func box(_ source: [Int], _ target: [Int]) -> StridedBox? {
        guard runs.count == source.count else { return nil }
        var box = StridedBox(
            input: 0,
            dimensions: runs.map(\.count),
            inputOffset: 0,
            inputStrides: [],
            outputOffset: 0,
            outputStrides: target
        )
        for (axis, run) in runs.enumerated() {
            box.inputOffset += run.source * source[axis]
            box.outputOffset += run.target * target[axis]
            box.inputStrides.append(run.step * source[axis])
        }
        return box
    }
}
