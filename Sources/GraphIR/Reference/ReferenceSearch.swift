/// Operators that look for places along an axis or write to them.
extension Evaluation {
    /// The elements of x in an order in which integers and numbers compare alike.
    private func ordered(_ x: DenseTensor) -> [OrderedElement] {
        switch x.storage {
        case .integers(let elements):
            let flip: Int64 = x.type.dtype == .uint64 ? .min : 0
            return elements.map { .integer($0 ^ flip) }
        case .floats(let elements): return elements.map { .number(Double($0)) }
        case .doubles(let elements): return elements.map { .number($0) }
        }
    }

    /// Calls `body` with the offset of the first element of every line along `axis`.
    private func lines(_ shape: [Int], axis: Int, _ body: (Int) -> Void) {
        let inner = shape[(axis + 1)...].reduce(1, *)
        for outer in 0..<shape[..<axis].reduce(1, *) {
            for place in 0..<inner { body(outer * shape[axis] * inner + place) }
        }
    }

    func argument(_ search: ArgumentSearch) throws(ShapeError) -> DenseTensor {
        let x = input(0)
        let axis = try resolveAxis(search.axis, rank: x.shape.count)
        let values = ordered(x)
        let step = x.shape[(axis + 1)...].reduce(1, *)
        var result: [Int64] = []
        lines(x.shape, axis: axis) { start in
            var best = 0
            for index in 1..<max(x.shape[axis], 1) {
                let (new, old) = (values[start + index * step], values[start + best * step])
                let isBetter = search.findsMinimum ? new < old : old < new
                if isBetter || (search.takesLast && !(search.findsMinimum ? old < new : new < old))
                {
                    best = index
                }
            }
            result.append(Int64(best))
        }
        return DenseTensor(type: type, storage: .integers(result))
    }

    func topPlaces(axis: Int, largest: Bool) throws(ShapeError) -> DenseTensor {
        let x = input(0)
        let axis = try resolveAxis(axis, rank: x.shape.count)
        let values = ordered(x)
        let step = x.shape[(axis + 1)...].reduce(1, *)
        let count = type.shape[axis]
        var result = [Int64](repeating: 0, count: type.elementCount)
        var line = 0
        lines(x.shape, axis: axis) { start in
            let order = (0..<x.shape[axis]).sorted { a, b in
                let (p, q) = (values[start + a * step], values[start + b * step])
                if p < q { return !largest }
                if q < p { return largest }
                return a < b
            }
            let target = line / step * count * step + line % step
            for index in 0..<count { result[target + index * step] = Int64(order[index]) }
            line += 1
        }
        return DenseTensor(type: type, storage: .integers(result))
    }

    func scan(_ scan: Scan) throws(ShapeError) -> DenseTensor {
        let x = input(0)
        let axis = try resolveAxis(integers(1)?[0] ?? 0, rank: x.shape.count)
        let (size, step) = (x.shape[axis], x.shape[(axis + 1)...].reduce(1, *))
        func run<Element>(
            _ elements: [Element],
            from start: Element,
            _ combine: (Element, Element) -> Element
        ) -> [Element] {
            var result = elements
            lines(x.shape, axis: axis) { line in
                var total = start
                for index in 0..<size {
                    let place = line + (scan.isReversed ? size - 1 - index : index) * step
                    let next = combine(total, elements[place])
                    result[place] = scan.isExclusive ? total : next
                    total = next
                }
            }
            return result
        }
        if case .integers(let elements) = x.storage {
            let result =
                scan.isProduct ? run(elements, from: 1, &*) : run(elements, from: 0, &+)
            return DenseTensor(type: type, storage: .integers(result.map { type.dtype.wrap($0) }))
        }
        let result =
            scan.isProduct ? run(x.doubles, from: 1, *) : run(x.doubles, from: 0, +)
        return DenseTensor(type, rounding: result)
    }

    func scatterRows(_ reduction: ScatterReduction) -> DenseTensor {
        var result = input(0)
        let updates = input(2)
        let (rows, width) = (type.shape[0], type.shape[1])
        for (number, row) in (integers(1) ?? []).enumerated() where 0..<rows ~= row {
            for column in 0..<width {
                result.storage.combine(
                    row * width + column,
                    with: updates.storage,
                    at: number * width + column,
                    reduction,
                    type.dtype
                )
            }
        }
        return result
    }
}

/// An element to compare: not-a-number is larger than all others.
private enum OrderedElement {
    case integer(Int64)
    case number(Double)

    static func < (left: OrderedElement, right: OrderedElement) -> Bool {
        switch (left, right) {
        case (.integer(let a), .integer(let b)): a < b
        case (.number(let a), .number(let b)): a < b || (b.isNaN && !a.isNaN)
        default: false
        }
    }
}

extension DenseTensor.Storage {
    /// Joins element `source` of `other` to element `target`.
    fileprivate mutating func combine(
        _ target: Int,
        with other: Self,
        at source: Int,
        _ reduction: ScatterReduction,
        _ dtype: DType
    ) {
        switch (self, other) {
        case (.floats(var own), .floats(let new)):
            self = .integers([])
            own[target] = Float(
                dtype.round(joined(Double(own[target]), Double(new[source]), reduction))
            )
            self = .floats(own)
        case (.doubles(var own), .doubles(let new)):
            self = .integers([])
            own[target] = joined(own[target], new[source], reduction)
            self = .doubles(own)
        case (.integers(var own), .integers(let new)):
            self = .integers([])
            let flip: Int64 = dtype == .uint64 ? .min : 0
            let (a, b) = (own[target], new[source])
            switch reduction {
            case .none: own[target] = b
            case .add: own[target] = dtype.wrap(a &+ b)
            case .multiply: own[target] = dtype.wrap(a &* b)
            case .minimum: own[target] = a ^ flip <= b ^ flip ? a : b
            case .maximum: own[target] = a ^ flip >= b ^ flip ? a : b
            }
            self = .integers(own)
        default: preconditionFailure("tensors of one type have one kind of storage")
        }
    }

    private func joined(_ a: Double, _ b: Double, _ reduction: ScatterReduction) -> Double {
        switch reduction {
        case .none: b
        case .add: a + b
        case .multiply: a * b
        case .minimum: a <= b || a.isNaN ? a : b
        case .maximum: a >= b || a.isNaN ? a : b
        }
    }
}
