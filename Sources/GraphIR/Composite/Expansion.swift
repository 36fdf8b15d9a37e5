/// A value inside an expansion.
package struct Slot: Hashable, Sendable {
    package let index: Int
}

/// An operator written out as simpler ones, for inputs of known types.
///
/// Composite operators are defined once, as a function that fills an expansion. Their shapes, their
/// reference and their lowering all follow from it. What is known without running is folded while
/// the expansion is made, so that constants, shape arithmetic and index tables leave no nodes.
package struct Expansion {
    /// One simple operator of the expansion.
    package struct Step: Sendable {
        package var op: Operator
        package var inputs: [Slot?]
        package var outputs: [Slot]
    }

    package private(set) var steps: [Step] = []
    private var types: [TensorType] = []
    private var literals: [DenseTensor?] = []
    /// The inputs of the operator; nil where an optional one is absent.
    package private(set) var inputs: [Slot?] = []
    /// Filled by the definition: one slot for each result.
    package var outputs: [Slot] = []
    /// For some outputs, the axes of which only a part is real, and the scalars of int64 that say
    /// how much.
    package var extents: [Slot: [Int: Slot]] = [:]
    /// Whether the definition made do with a bound where an input could have told the size.
    package var isBounded = false
    /// Results of more elements are left for the run.
    private let foldLimit: Int

    /// An expansion without steps of an operator with inputs of `inputTypes`.
    package init(inputs inputTypes: [TensorType?], literals known: [DenseTensor?], foldLimit: Int) {
        self.foldLimit = foldLimit
        for (index, type) in inputTypes.enumerated() {
            guard let type else {
                inputs.append(nil)
                continue
            }
            inputs.append(Slot(index: types.count))
            types.append(type)
            literals.append(index < known.count ? known[index] : nil)
        }
    }

    package func type(_ slot: Slot) -> TensorType { types[slot.index] }
    package func shape(_ slot: Slot) -> [Int] { types[slot.index].shape }
    package func dtype(_ slot: Slot) -> DType { types[slot.index].dtype }
    package func literal(_ slot: Slot) -> DenseTensor? { literals[slot.index] }

    // MARK: Inputs

    /// An optional input.
    func optional(_ index: Int) -> Slot? { index < inputs.count ? inputs[index] : nil }

    /// An input that must be there.
    func input(_ index: Int, _ name: String) throws(ShapeError) -> Slot {
        guard let slot = optional(index) else {
            throw ShapeError("input \(index) (\(name)) is missing")
        }
        return slot
    }

    private var operands: Operands {
        Operands(types: inputs.map { $0.map(type) }, literals: inputs.map { $0.flatMap(literal) })
    }

    /// The integers of an input that decides shapes; nil when it is absent.
    func integers(_ index: Int, _ name: String) throws(ShapeError) -> [Int]? {
        let list = try operands.integers(index, name)
        if let huge = list?.first(where: { $0.magnitude > maximumElementCount.magnitude }) {
            throw ShapeError("input \(index) (\(name)) has \(huge), more than any tensor holds")
        }
        return list
    }

    /// One integer that decides shapes; nil when it is absent.
    func integer(_ index: Int, _ name: String) throws(ShapeError) -> Int? {
        guard let list = try integers(index, name) else { return nil }
        guard list.count == 1 else {
            throw ShapeError("input \(index) (\(name)) has \(list.count) elements instead of one")
        }
        return list[0]
    }

    // MARK: Tables

    /// The numbers below `count`, for a table that the plan has to hold.
    func tableIndices(below count: Int) throws(ShapeError) -> Range<Int> {
        guard 0...longestTable ~= count else {
            throw ShapeError("it needs a table of \(count) numbers; at most \(longestTable) work")
        }
        return 0..<count
    }

    /// A constant of the numbers below `count`.
    mutating func counting(_ count: Int, shape: [Int]) throws(ShapeError) -> Slot {
        integers(Array(try tableIndices(below: count)), shape: shape)
    }

    // MARK: Steps

    /// Adds a constant.
    mutating func constant(_ tensor: DenseTensor) -> Slot {
        types.append(tensor.type)
        literals.append(tensor)
        return Slot(index: types.count - 1)
    }

    /// Adds an operator of one result; it is evaluated at once when its inputs are known.
    mutating func add(_ op: Operator, _ operands: [Slot?]) throws(ShapeError) -> Slot {
        try add(op, operands, outputCount: 1)[0]
    }

    /// Adds an operator.
    ///
    /// Composite ones are written out in place.
    mutating func add(
        _ op: Operator,
        _ operands: [Slot?],
        outputCount: Int
    ) throws(ShapeError) -> [Slot] {
        if case .composite(let composite) = op {
            let outer = (inputs, outputs)
            inputs = operands
            outputs = []
            defer { (inputs, outputs) = outer }
            try define(composite)
            return outputs
        }
        let known = operands.map { $0.flatMap(literal) }
        let results = try inferTypes(
            of: op,
            inputs: operands.map { $0.map(type) },
            literals: known,
            outputCount: outputCount
        )
        switch op {
        case .shape(let start, let end):
            if let x = operands.first, let x {
                let sizes = shape(x)[shapeAxes(rank: shape(x).count, start, end)]
                return [integers(Array(sizes))]
            }
        case .identity:
            if let x = operands.first, let x { return [x] }
        default: break
        }
        let allKnown = zip(operands, known).allSatisfy { $0 == nil || $1 != nil }
        if allKnown, results.allSatisfy({ $0.elementCount <= foldLimit }) {
            let values = try evaluateReference(op, inputs: known, outputCount: outputCount)
            return values.map { constant($0) }
        }
        let slots = results.map { type -> Slot in
            types.append(type)
            literals.append(nil)
            return Slot(index: types.count - 1)
        }
        steps.append(Step(op: op, inputs: operands, outputs: slots))
        return slots
    }
}

/// The longest table of indices that a plan holds: more would not fit in memory.
package let longestTable = 1 << 24

extension Expansion {
    /// Outputs of which the size turned out to be known get just that size.
    fileprivate mutating func cutKnownExtents() throws(ShapeError) {
        for index in outputs.indices {
            let whole = outputs[index]
            guard let bounds = extents.removeValue(forKey: whole) else { continue }
            var rest: [Int: Slot] = [:]
            for (axis, count) in bounds.sorted(by: { $0.key < $1.key }) {
                guard let known = literal(count)?.integers?.first else {
                    rest[axis] = count
                    continue
                }
                outputs[index] = try slice(outputs[index], axis: axis, 0..<Int(known))
            }
            if !rest.isEmpty { extents[outputs[index]] = rest }
        }
    }
}

/// The expansion of `composite` for inputs of these types.
package func expand(
    _ composite: Composite,
    inputs: [TensorType?],
    literals: [DenseTensor?],
    outputCount: Int,
    foldLimit: Int = 8192
) throws(ShapeError) -> Expansion {
    var expansion = Expansion(inputs: inputs, literals: literals, foldLimit: foldLimit)
    try expansion.define(composite)
    guard expansion.outputs.count >= outputCount else {
        throw ShapeError(
            "the operator has \(outputCount) results; it gives \(expansion.outputs.count)"
        )
    }
    expansion.outputs.removeLast(expansion.outputs.count - outputCount)
    try expansion.cutKnownExtents()
    return expansion
}
