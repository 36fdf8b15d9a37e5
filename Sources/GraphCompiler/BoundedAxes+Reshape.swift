import GraphIR

/// Shapes of tensors of which a part is real: merged, divided, and read back by other operators.
extension ShapeBinding {
    /// Where an axis of which a part is real is merged or divided, the parts are moved together.
    mutating func bindReshape(_ node: Node) throws(BindingProblem) -> Bool {
        guard let x = node.inputs[0], let output = node.outputs[0],
            let shape = bound[current(x)].type?.shape, bound[current(x)].extents.count == 1,
            let (axis, count) = bound[current(x)].extents.first,
            let sizes = sizes(of: node, axis, shape), let open = sizes.firstIndex(of: -1),
            isShape(sizes.filter { $0 != -1 }), sizes.count(where: { $0 == -1 }) == 1,
            !sizes.contains(0)
        else { return false }
        let isSame =
            shape[..<axis].reduce(1, *) == sizes[..<open].reduce(1, *)
            && shape[(axis + 1)...].reduce(1, *) == sizes[(open + 1)...].reduce(1, *)
        if isSame {
            try bind(node)
            bound[output].extents[open] = count
            return true
        }
        let op = Composite.reshapeFirst(axis: axis, sizes: sizes, open: open)
        try bind(
            Node(name: node.name, op: .composite(op), inputs: [x, count], outputs: [output])
        )
        let each = shape.indices.filter { $0 != axis }.map { shape[$0] }.reduce(1, *)
        let others = sizes.indices.filter { $0 != open }.map { sizes[$0] }.reduce(1, *)
        bound[output].extents[open] = bound[output].extents[open].map {
            sharedCount($0, isTimes: each, by: others, of: count)
        }
        return true
    }

    /// Whether there can be a tensor of some sizes.
    private func isShape(_ sizes: [Int]) -> Bool { (try? checkShape(sizes)) != nil }

    /// The sizes that a reshape or flatten asks for, -1 where they follow from `axis`; nil where
    /// they are known only to the run, or leave it no axis.
    private func sizes(of node: Node, _ axis: Int, _ shape: [Int]) -> [Int]? {
        if case .flatten(let named) = node.op {
            let border = named < 0 ? named + shape.count : named
            guard 0...shape.count ~= border else { return nil }
            var sizes = [shape[..<border].reduce(1, *), shape[border...].reduce(1, *)]
            sizes[axis < border ? 0 : 1] = -1
            return sizes
        }
        guard case .reshape(let allowZero) = node.op, var sizes = numbers(node, 1) else {
            return nil
        }
        for (place, size) in sizes.enumerated() where size == 0 && !allowZero {
            // An axis that stays where it is leaves none open.
            guard place < shape.count, place != axis else { return nil }
            sizes[place] = shape[place]
        }
        return sizes
    }

    /// One scalar for each multiple of a count, so that operators see which axes are equally long.
    private mutating func sharedCount(
        _ new: ValueID,
        isTimes factor: Int,
        by divisor: Int,
        of count: ValueID
    ) -> ValueID {
        let own = multiples[count] ?? CountMultiple(of: count, times: 1, by: 1)
        let (times, tooLarge) = own.times.multipliedReportingOverflow(by: factor)
        let (by, tooSmall) = own.by.multipliedReportingOverflow(by: divisor)
        guard !tooLarge, !tooSmall else { return new }
        let multiple = CountMultiple(of: own.of, times: times, by: by)
        if multiple.times == multiple.by { return multiple.of }
        if let known = multiples.first(where: { $0.value == multiple }) { return known.key }
        multiples[new] = multiple
        return new
    }

    // MARK: Sizes as numbers

    /// Shapes, and what is taken from them, are known but for the counts in them.
    mutating func followSizes(of node: Node) {
        guard let output = node.outputs.first.flatMap({ $0 }) else { return }
        func terms(_ index: Int) -> [SizeTerm]? {
            guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
            return sizeTerms(of: id)
        }
        guard node.inputs.contains(where: { id in id.map { sizes[current($0)] != nil } == true })
        else { return }
        var result: [SizeTerm]?
        switch node.op {
        case .identity, .squeeze, .unsqueeze, .reshape, .cast(to: .int64), .cast(to: .int32):
            result = terms(0)
        case .gather:
            guard let all = terms(0), let places = numbers(node, 1) else { return }
            let front = places.map { $0 < 0 ? $0 + all.count : $0 }
            guard front.allSatisfy(all.indices.contains) else { return }
            result = front.map { all[$0] }
        case .slice:
            guard let all = terms(0), let starts = numbers(node, 1), let ends = numbers(node, 2)
            else { return }
            let cut = try? resolveSliceBounds(
                shape: [all.count],
                starts: starts,
                ends: ends,
                axes: numbers(node, 3),
                steps: numbers(node, 4)
            )
            result = cut?.first.map { cut in
                (0..<cut.count).map { all[cut.start + $0 * cut.step] }
            }
        case .concat:
            var all: [SizeTerm] = []
            for index in node.inputs.indices {
                guard let part = terms(index) else { return }
                all += part
            }
            result = all
        default: return
        }
        guard let result, bound[output].constant == nil,
            bound[output].type?.elementCount == result.count
        else { return }
        sizes[output] = result
    }

    private func sizeTerms(of id: ValueID) -> [SizeTerm]? {
        if let known = sizes[current(id)] { return known }
        guard bound[current(id)].type.map({ $0.shape.count <= 1 }) == true else { return nil }
        return bound[current(id)].constant?.smallLiteral?.integers?.map { .number(Int($0)) }
    }

    /// An operator that is told a shape with one count in it gives as much as can be, and says how
    /// much of it is real.
    mutating func bindShaped(_ node: Node) throws(BindingProblem) -> Bool {
        let place: Int
        switch node.op {
        case .reshape, .expand: place = 1
        case .constantOfShape: place = 0
        case .range: return try bindCounting(node)
        default: return false
        }
        guard place < node.inputs.count, let list = node.inputs[place],
            let terms = sizes[current(list)], let output = node.outputs[0]
        else { return false }
        let counted = terms.indices.filter { terms[$0].count != nil }
        guard counted.count == 1, let open = counted.first, let count = terms[open].count else {
            return false
        }
        var numbers = terms.map(\.most)
        guard isShape(numbers.filter { $0 != -1 }) else { return false }
        if case .reshape = node.op {
            // What is whole has as many elements as the shape says, or the model is wrong.
            guard let x = node.inputs[0], let type = bound[current(x)].type,
                !bound[current(x)].extents.isEmpty
            else { return false }
            if let other = numbers.firstIndex(of: -1) {
                let rest = numbers.indices.filter { $0 != other }.map { numbers[$0] }
                let known = rest.reduce(1, *)
                guard known > 0, type.elementCount % known == 0 else { return false }
                numbers[other] = type.elementCount / known
            }
            numbers[open] = -1
        }
        var told = node
        told.inputs[place] = vector(numbers, "\(node.name).sizes")
        try bindWithExtents(told)
        if case .reshape = node.op { return true }
        if let other = bound[output].extents[open], other != count { return false }
        bound[output].extents[open] = count
        return true
    }

    /// The numbers from zero below a count.
    private mutating func bindCounting(_ node: Node) throws(BindingProblem) -> Bool {
        guard node.inputs.count == 3, let limit = node.inputs[1], let output = node.outputs[0],
            let term = sizes[current(limit)]?.first, let count = term.count,
            let start = node.inputs[0].flatMap({ sizeTerms(of: $0) }), start == [.number(0)],
            let step = node.inputs[2].flatMap({ sizeTerms(of: $0) }), step == [.number(1)],
            let type = bound[current(limit)].type
        else { return false }
        var told = node
        let most = DenseTensor.repeating(Double(term.most), type: TensorType(type.dtype, []))
        told.inputs[1] = addValue("\(node.name).most", Constant(most))
        try bind(told)
        bound[output].extents[0] = count
        return true
    }
}

/// One element of a shape.
enum SizeTerm: Hashable {
    case number(Int)
    /// A scalar of the run, and the most it can be.
    case counted(ValueID, most: Int)

    var count: ValueID? {
        guard case .counted(let count, _) = self else { return nil }
        return count
    }

    var most: Int {
        switch self {
        case .number(let number): number
        case .counted(_, let most): most
        }
    }
}

/// A count times a fraction.
struct CountMultiple: Hashable {
    let of: ValueID
    let times: Int
    let by: Int

    init(of count: ValueID, times: Int, by divisor: Int) {
        var (a, b) = (max(times, 1), max(divisor, 1))
        while b != 0 { (a, b) = (b, a % b) }
        of = count
        self.times = times / a
        by = divisor / a
    }
}
