/// An operand of an operator whose results may be real only in part.
package struct BoundedOperand: Sendable {
    package var type: TensorType
    package var extents: Extents
    /// The elements, when they are known.
    package var literal: DenseTensor?

    package init(type: TensorType, extents: Extents, literal: DenseTensor? = nil) {
        self.type = type
        self.extents = extents
        self.literal = literal
    }

    fileprivate var shape: [Int] { type.shape }
}

/// Which axes of the results of `op` are real only in part, when operands are.
///
/// An operator may run on whole tensors as long as no element that is real depends on one that is
/// not. That holds for what treats the elements of an axis each for itself; all else is refused.
package func inferExtents(
    of op: Operator,
    inputs: [BoundedOperand?],
    outputs: [TensorType]
) throws(ShapeError) -> [Extents] {
    if inputs.allSatisfy({ $0?.extents.isEmpty ?? true }) { return outputs.map { _ in [:] } }
    let inference = ExtentInference(inputs: inputs, outputs: outputs)
    let first = try inference.extents(of: op)
    return outputs.map { output in
        first.filter { axis, _ in axis < output.shape.count }
    }
}

private struct ExtentInference {
    let inputs: [BoundedOperand?]
    let outputs: [TensorType]

    func extents(of op: Operator) throws(ShapeError) -> Extents {
        switch op {
        case .unary, .binary, .variadic, .clip, .select, .identity, .cast, .bitCast:
            return try elementwise()
        case .composite(let composite): return try extents(of: composite)
        case .transpose(let permutation):
            let rank = outputs[0].shape.count
            let permutation = permutation ?? Array((0..<rank).reversed())
            return try moved { axis in permutation.firstIndex(of: axis) }
        case .reshape: return try reshaped()
        case .squeeze:
            let gone = try axes(1) ?? inputs[0]?.shape.indices.filter { inputs[0]?.shape[$0] == 1 }
            return try moved { axis in
                gone?.contains(axis) == true ? nil : axis - (gone ?? []).count { $0 < axis }
            }
        case .unsqueeze:
            let named = inputs[1]?.literal?.integers ?? []
            let new = try resolveAxes(named.map { Int($0) }, rank: outputs[0].shape.count)
            let kept = outputs[0].shape.indices.filter { !new.contains($0) }
            return try moved { kept[$0] }
        case .softmax(let axis, let flattened):
            let axis = try resolveAxis(axis, rank: rank)
            return try moved { flattened ? ($0 < axis ? $0 : nil) : ($0 == axis ? nil : $0) }
        case .concat(let axis):
            let axis = try resolveAxis(axis, rank: rank)
            return try joined(except: axis)
        case .split(let axis), .gather(let axis):
            let axis = try resolveAxis(axis, rank: rank)
            if case .gather = op { return try gathered(axis: axis) }
            return try moved { $0 == axis ? nil : $0 }
        case .slice:
            let cut = try axes(3) ?? Array(0..<(inputs[1]?.type.elementCount ?? 0))
            return try moved { cut.contains($0) ? nil : $0 }
        case .pad:
            // The sizes tell: an axis that is padded grows or shrinks, or is cut and grows at once.
            guard let pads = inputs[1]?.literal?.integers else { throw refusal(of: 0) }
            let padded = try axes(3) ?? Array(0..<rank)
            let changed = padded.indices.filter {
                pads[$0] != 0 || pads[$0 + padded.count] != 0
            }.map { padded[$0] }
            return try moved { changed.contains($0) ? nil : $0 }
        case .tile:
            let repeats = inputs[1]?.literal?.integers ?? []
            return try moved { repeats.indices.contains($0) && repeats[$0] == 1 ? $0 : nil }
        case .reduce(let reduction): return try reduced(reduction)
        case .argument(let search):
            let axis = try resolveAxis(search.axis, rank: rank)
            return try moved {
                $0 == axis ? nil : $0 > axis && !search.keepsDimension ? $0 - 1 : $0
            }
        case .scan(let scan):
            // Sums that run forward end before what is not real.
            guard let axis = inputs[1]?.literal?.integers?.first, scan.isReversed else {
                return try moved { $0 }
            }
            let front = try resolveAxis(Int(axis), rank: rank)
            return try moved { $0 == front ? nil : $0 }
        case .matmul: return try product(transposeA: false, transposeB: false)
        case .gemm(let gemm):
            return try product(transposeA: gemm.transposeA, transposeB: gemm.transposeB)
        case .expand:
            let (own, target) = (inputs[0]?.shape ?? [], outputs[0].shape)
            let shift = target.count - own.count
            return try moved { own[$0] == target[$0 + shift] ? $0 + shift : nil }
        case .convolution, .pool, .globalPool, .batchNormalization, .localResponseNormalization:
            return try only(0, axes: [0: 0])
        case .resize:
            return try only(0, axes: outputs[0].shape[0] == inputs[0]?.shape[0] ? [0: 0] : [:])
        case .shape: return [:]
        default: throw refusal(of: 0)
        }
    }

    private func extents(of composite: Composite) throws(ShapeError) -> Extents {
        switch composite {
        case .celu, .selu, .mish, .softsign, .thresholdedRelu, .swish, .shrink, .xor, .swiGLU:
            return try elementwise()
        case .castLike: return try only(0, axes: identityAxes)
        case .gatherND(let batchAxes):
            // One result for each tuple of indices, whatever tuple it is.
            guard batchAxes == 0, inputs[0]?.extents.isEmpty == true else { throw refusal(of: 0) }
            guard let indices = inputs[1] else { return [:] }
            return try moved(1) { $0 < indices.shape.count - 1 ? $0 : nil }
        case .oneHot(let axis):
            let place = try resolveAxis(axis, rank: rank + 1)
            return try moved { $0 < place ? $0 : $0 + 1 }
        case .quantize(_, let block, _), .dequantize(_, let block):
            guard block == 0 else { throw refusal(of: 0) }
            return try only(0, axes: identityAxes)
        case .gatherElements(let axis):
            let axis = try resolveAxis(axis, rank: rank)
            guard inputs[0]?.extents[axis] == nil else { throw refusal(of: 0, axis: axis) }
            return try joined(except: nil)
        case .roiAlign: return try regions()
        case .layerNormalization(let axis, _), .rmsNormalization(let axis, _):
            let axis = try resolveAxis(axis, rank: rank)
            return try moved { $0 < axis ? $0 : nil }
        case .logSoftmax(let axis, false), .hardmax(let axis, false), .topK(let axis, _):
            let axis = try resolveAxis(axis, rank: rank)
            return try moved { $0 == axis ? nil : $0 }
        case .instanceNormalization, .groupNormalization, .windows, .poolOfSlices, .globalLpPool,
            .anyConvolution, .convolutionOfSlices, .depthToSpace, .spaceToDepth,
            .batchNormalization:
            return try only(0, axes: [0: 0])
        default: throw refusal(of: 0)
        }
    }

    // MARK: Rules

    private var rank: Int { inputs[0]?.shape.count ?? 0 }

    private var identityAxes: [Int: Int] {
        Dictionary(uniqueKeysWithValues: (0..<rank).map { ($0, $0) })
    }

    /// Each axis of one operand goes to the axis of the results that `target` names; nil refuses.
    private func moved(
        _ index: Int = 0,
        _ target: (Int) -> Int?
    ) throws(ShapeError) -> Extents {
        for other in inputs.indices where other != index { try requireWhole(other) }
        var result: Extents = [:]
        for (axis, count) in inputs[index]?.extents ?? [:] {
            guard let new = target(axis) else { throw refusal(of: index, axis: axis) }
            result[new] = count
        }
        return result
    }

    private func only(_ index: Int, axes: [Int: Int]) throws(ShapeError) -> Extents {
        try moved(index) { axes[$0] }
    }

    /// Along each axis of a broadcast, all operands that are not repeated have one extent.
    private func elementwise() throws(ShapeError) -> Extents {
        try aligned(rank: outputs[0].shape.count, except: nil, repeats: true)
    }

    private func joined(except axis: Int?) throws(ShapeError) -> Extents {
        try aligned(rank: outputs[0].shape.count, except: axis, repeats: false)
    }

    private func aligned(
        rank: Int,
        except excluded: Int?,
        repeats: Bool
    ) throws(ShapeError) -> Extents {
        var result: Extents = [:]
        for (index, operand) in inputs.enumerated() {
            guard let operand else { continue }
            let shift = rank - operand.shape.count
            for (axis, count) in operand.extents {
                if axis == excluded { throw refusal(of: index, axis: axis) }
                if let other = result[axis + shift], other != count {
                    throw refusal(of: index, axis: axis)
                }
                result[axis + shift] = count
            }
        }
        for (index, operand) in inputs.enumerated() {
            guard let operand else { continue }
            let shift = rank - operand.shape.count
            for (axis, count) in result where axis >= shift {
                guard operand.extents[axis - shift] != count else { continue }
                // A whole operand must be repeated along the axis.
                guard repeats, operand.shape[axis - shift] == 1 else {
                    throw ShapeError(
                        "input \(index) has \(operand.shape[axis - shift]) elements along axis "
                            + "\(axis - shift), where another has as many as the run decides"
                    )
                }
            }
        }
        return result
    }

    /// An axis stays itself where as many elements stand before and behind it.
    private func reshaped() throws(ShapeError) -> Extents {
        try requireWhole(1)
        guard let x = inputs[0] else { return [:] }
        let target = outputs[0].shape
        var result: Extents = [:]
        for (axis, count) in x.extents {
            let before = x.shape[..<axis].reduce(1, *)
            let match = target.indices.first { place in
                target[place] == x.shape[axis] && target[..<place].reduce(1, *) == before
                    && isOpen(place, of: target)
            }
            guard let match else { throw refusal(of: 0, axis: axis) }
            result[match] = count
        }
        return result
    }

    /// Whether the new shape leaves an axis open instead of stating its size.
    private func isOpen(_ axis: Int, of shape: [Int]) -> Bool {
        guard let sizes = inputs[1]?.literal?.integers, sizes.count == shape.count else {
            return false
        }
        return sizes[axis] == -1 || (sizes[axis] == 0 && inputs[0]?.extents[axis] != nil)
    }

    private func gathered(axis: Int) throws(ShapeError) -> Extents {
        guard let x = inputs[0], let indices = inputs[1] else { return [:] }
        var result: Extents = [:]
        for (own, count) in x.extents {
            guard own != axis else { throw refusal(of: 0, axis: own) }
            result[own < axis ? own : own + indices.shape.count - 1] = count
        }
        for (own, count) in indices.extents { result[axis + own] = count }
        return result
    }

    /// The axes that an input names; nil when it is absent.
    private func axes(_ index: Int) throws(ShapeError) -> [Int]? {
        guard let named = inputs.count > index ? inputs[index]?.literal?.integers : nil else {
            return nil
        }
        return try resolveAxes(named.map { Int($0) }, rank: rank)
    }

    private func reduced(_ reduction: Reduction) throws(ShapeError) -> Extents {
        var axes = try axes(1) ?? []
        if axes.isEmpty, !reduction.ignoresEmptyAxes { axes = Array(0..<rank) }
        return try moved { axis in
            if axes.contains(axis) { return nil }
            return reduction.keepsDimensions ? axis : axis - axes.count { $0 < axis }
        }
    }

    /// Rows of the first factor and columns of the second stay apart.
    private func product(transposeA: Bool, transposeB: Bool) throws(ShapeError) -> Extents {
        guard let a = inputs[0], let b = inputs[1] else { return [:] }
        guard a.shape.count >= 2, b.shape.count >= 2 else {
            return try moved { $0 == a.shape.count - 1 ? nil : $0 }
        }
        // As operands of a broadcast: [..., rows, 1], [..., 1, columns] and what is added.
        var factors = [a, b]
        for (index, isTransposed) in [transposeA, transposeB].enumerated() {
            let rank = factors[index].shape.count
            let summed = (index == 0) == isTransposed ? rank - 2 : rank - 1
            guard factors[index].extents[summed] == nil else {
                throw refusal(of: index, axis: summed)
            }
            var shape = factors[index].shape
            var extents = factors[index].extents
            shape[summed] = 1
            if isTransposed {
                shape.swapAt(rank - 2, rank - 1)
                extents = Extents(
                    uniqueKeysWithValues: extents.map { axis, count in
                        (axis < rank - 2 ? axis : 2 * rank - 3 - axis, count)
                    }
                )
            }
            factors[index] = BoundedOperand(
                type: TensorType(a.type.dtype, shape),
                extents: extents
            )
        }
        let operands = factors.map(Optional.some) + inputs.dropFirst(2)
        return try ExtentInference(inputs: operands, outputs: outputs).elementwise()
    }

    /// One result for each region.
    private func regions() throws(ShapeError) -> Extents {
        guard let boxes = inputs[1], let images = inputs[2], inputs[0]?.extents.isEmpty == true,
            let count = boxes.extents[0], boxes.extents.count == 1, images.extents == [0: count]
        else { throw refusal(of: 1) }
        return [0: count]
    }

    // MARK: Refusals

    private func requireWhole(_ index: Int) throws(ShapeError) {
        guard index < inputs.count, let operand = inputs[index] else { return }
        if !operand.extents.isEmpty { throw refusal(of: index) }
    }

    private func refusal(of index: Int, axis: Int? = nil) -> ShapeError {
        let index =
            inputs[index]?.extents.isEmpty == false
            ? index : inputs.firstIndex { $0?.extents.isEmpty == false } ?? index
        let axis = axis ?? inputs[index]?.extents.keys.min() ?? 0
        let most = inputs[index]?.shape[axis] ?? 0
        return ShapeError(
            "the run decides how many of the at most \(most) elements along axis \(axis) of input "
                + "\(index) there are, and the operator mixes them"
        )
    }
}
