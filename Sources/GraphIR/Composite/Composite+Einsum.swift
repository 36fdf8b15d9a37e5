/// Einstein summation: operands are joined pair by pair as matrix products.
extension Expansion {
    mutating func defineEinsum(_ equation: String) throws(ShapeError) {
        let parsed = try EinsumEquation(
            equation,
            ranks: inputs.map { slot throws(ShapeError) in
                guard let slot else { throw ShapeError("an operand of Einsum is missing") }
                return shape(slot).count
            }
        )
        var sizes: [Int: Int] = [:]
        var current: (slot: Slot, labels: [Int])?
        for (index, labels) in parsed.operands.enumerated() {
            let slot = try input(index, "operand")
            for (label, size) in zip(labels, shape(slot)) where sizes[label] ?? 1 == 1 {
                sizes[label] = size
            }
            var operand = try withoutRepeats(slot, labels)
            // Labels that nobody else needs are summed at once.
            let later = Set(parsed.operands[(index + 1)...].flatMap { $0 } + parsed.result)
            let earlier = Set(current?.labels ?? [])
            operand = try summed(operand, keeping: later.union(earlier))
            if let left = current {
                current = try summed(joined(left, operand, keeping: later), keeping: later)
            } else {
                current = operand
            }
        }
        guard let (slot, labels) = current else { throw ShapeError("Einsum needs an operand") }
        let order = try parsed.result.map { label throws(ShapeError) in
            guard let place = labels.firstIndex(of: label) else {
                throw ShapeError("the result of Einsum names an index that no operand has")
            }
            return place
        }
        outputs = [try transpose(slot, order)]
    }

    /// Repeated labels of one operand are its diagonal.
    private mutating func withoutRepeats(
        _ slot: Slot,
        _ labels: [Int]
    ) throws(ShapeError) -> (slot: Slot, labels: [Int]) {
        var unique: [Int] = []
        for label in labels where !unique.contains(label) { unique.append(label) }
        if unique.count == labels.count { return (slot, labels) }
        let strides = rowMajorStrides(shape(slot))
        var sizes: [Int] = []
        var steps: [Int] = []
        for label in unique {
            let axes = labels.indices.filter { labels[$0] == label }
            sizes.append(shape(slot)[axes[0]])
            steps.append(axes.reduce(0) { $0 + strides[$1] })
        }
        _ = try tableIndices(below: sizes.reduce(1, *))
        let places = viewOffsets(shape: sizes, strides: steps)
        let flat = try reshape(slot, [shape(slot).reduce(1, *)])
        return (try gather(flat, integers(places, shape: sizes), axis: 0), unique)
    }

    private mutating func summed(
        _ operand: (slot: Slot, labels: [Int]),
        keeping kept: Set<Int>
    ) throws(ShapeError) -> (slot: Slot, labels: [Int]) {
        let axes = operand.labels.indices.filter { !kept.contains(operand.labels[$0]) }
        if axes.isEmpty { return operand }
        return (
            try reduce(.sum, operand.slot, axes: axes, keeps: false),
            operand.labels.filter { kept.contains($0) }
        )
    }

    private mutating func joined(
        _ a: (slot: Slot, labels: [Int]),
        _ b: (slot: Slot, labels: [Int]),
        keeping later: Set<Int>
    ) throws(ShapeError) -> (slot: Slot, labels: [Int]) {
        let shared = a.labels.filter { b.labels.contains($0) }
        let batch = shared.filter { later.contains($0) }
        let summed = shared.filter { !later.contains($0) }
        let left = a.labels.filter { !shared.contains($0) }
        let right = b.labels.filter { !shared.contains($0) }
        func size(_ labels: [Int], _ one: (slot: Slot, labels: [Int])) -> Int {
            labels.reduce(1) { product, label in
                product * (one.labels.firstIndex(of: label).map { shape(one.slot)[$0] } ?? 1)
            }
        }
        func sizes(_ labels: [Int]) -> [Int] {
            labels.map { label in
                let mine = a.labels.firstIndex(of: label).map { shape(a.slot)[$0] } ?? 1
                let other = b.labels.firstIndex(of: label).map { shape(b.slot)[$0] } ?? 1
                return max(mine, other)
            }
        }
        var (x, y) = (a.slot, b.slot)
        // Axes of one element that meet longer ones are repeated first.
        x = try expand(x, to: sizes(a.labels))
        y = try expand(y, to: sizes(b.labels))
        x = try transpose(
            x,
            (batch + left + summed).compactMap { a.labels.firstIndex(of: $0) }
        )
        y = try transpose(
            y,
            (batch + summed + right).compactMap { b.labels.firstIndex(of: $0) }
        )
        let (count, terms) = (sizes(batch).reduce(1, *), sizes(summed).reduce(1, *))
        x = try reshape(x, [count, size(left, a), terms])
        y = try reshape(y, [count, terms, size(right, b)])
        let labels = batch + left + right
        return (try reshape(matmul(x, y), sizes(labels)), labels)
    }
}

/// The labels of an equation as numbers; the axes of an ellipsis get numbers of their own.
private struct EinsumEquation {
    var operands: [[Int]] = []
    var result: [Int] = []

    init(_ text: String, ranks: [Int]) throws(ShapeError) {
        let plain = Array(text.unicodeScalars.filter { $0 != " " })
        let arrow = plain.indices.first { index in
            plain[index] == "-" && index + 1 < plain.count && plain[index + 1] == ">"
        }
        let left = plain[..<(arrow ?? plain.count)]
        let terms = left.split(separator: ",", omittingEmptySubsequences: false)
        guard terms.count == ranks.count else {
            throw ShapeError("the equation \(text) does not name \(ranks.count) operands")
        }
        var most = 0
        for (term, rank) in zip(terms, ranks) where term.contains(".") {
            most = max(most, rank - term.count { $0 != "." })
        }
        for (term, rank) in zip(terms, ranks) {
            let named = term.count { $0 != "." }
            let labels = try Self.labels(term, extra: rank - named, most: most)
            guard labels.count == rank else {
                throw ShapeError("the equation \(text) does not fit an operand of rank \(rank)")
            }
            operands.append(labels)
        }
        if let arrow {
            result = try Self.labels(plain[(arrow + 2)...], extra: most, most: most)
        } else {
            let all = operands.flatMap { $0 }
            let single = Set(all.filter { label in label >= 0 && all.count { $0 == label } == 1 })
            result = (0..<most).map { $0 - most } + single.sorted()
        }
        guard Set(result).count == result.count else {
            throw ShapeError("the result of the equation \(text) names an index twice")
        }
    }

    /// Letters are their code points, axes of an ellipsis negative, aligned at the right.
    private static func labels(
        _ term: ArraySlice<Unicode.Scalar>,
        extra: Int,
        most: Int
    ) throws(ShapeError) -> [Int] {
        var labels: [Int] = []
        var dots = 0
        for scalar in term {
            if scalar == "." {
                dots += 1
                if dots == 3 { labels += (0..<max(extra, 0)).map { $0 - extra } }
            } else if scalar.properties.isAlphabetic {
                labels.append(Int(scalar.value))
            } else {
                throw ShapeError("'\(scalar)' is no index of an equation")
            }
        }
        guard dots == 0 || dots == 3 else { throw ShapeError("an ellipsis has three dots") }
        return labels
    }
}
