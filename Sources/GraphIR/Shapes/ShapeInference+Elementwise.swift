/// Shapes of the operators that work on one element at a time, and of reductions.

func inferUnary(
    _ operands: Operands,
    _ function: UnaryFunction
) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    let isDefined =
        switch function {
        case .not: x.dtype == .bool
        case .relu, .negate, .absolute, .sign: x.dtype != .bool
        case .bitwiseNot: !x.dtype.isFloatingPoint && x.dtype != .bool
        default: x.dtype.isFloatingPoint
        }
    guard isDefined else { throw ShapeError("\(function) of \(x.dtype) is not defined") }
    return function.isPredicate ? TensorType(.bool, x.shape) : x
}

extension UnaryFunction {
    /// Whether the result is a truth value whatever the operand is.
    package var isPredicate: Bool {
        switch self {
        case .isNaN, .isInfinite: true
        default: false
        }
    }
}

func inferBinary(
    _ operands: Operands,
    _ function: BinaryFunction
) throws(ShapeError) -> TensorType {
    let a = try operands.type(0, "a")
    let b = try operands.type(1, "b")
    if function == .power {
        guard a.dtype != .bool, b.dtype != .bool else {
            throw ShapeError("a power of bool is not defined")
        }
    } else {
        try operands.checkSameType(1, "b", as: a)
    }
    let isBool = a.dtype == .bool
    let isDefined =
        switch function {
        case .and, .or: isBool
        case .equal: true
        case .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft, .shiftRight:
            !isBool && !a.dtype.isFloatingPoint
        default: !isBool
        }
    guard isDefined else { throw ShapeError("\(function) of \(a.dtype) is not defined") }
    let shape: [Int]
    if function == .parametricRelu {
        try checkBroadcast(of: b.shape, to: a.shape, name: "input 1 (slope)")
        shape = a.shape
    } else {
        shape = try broadcastShapes([a.shape, b.shape])
    }
    return TensorType(function.isPredicate ? .bool : a.dtype, shape)
}

extension BinaryFunction {
    /// Whether the result is a truth value.
    package var isPredicate: Bool {
        switch self {
        case .equal, .less, .lessOrEqual, .greater, .greaterOrEqual, .and, .or: true
        default: false
        }
    }
}

func inferVariadic(_ operands: Operands) throws(ShapeError) -> TensorType {
    let first = try operands.type(0, "data_0")
    guard first.dtype != .bool else { throw ShapeError("arithmetic on bool is not defined") }
    var shapes: [[Int]] = []
    for index in operands.types.indices {
        let type = try operands.type(index, "data_\(index)")
        try operands.checkSameType(index, "data_\(index)", as: first)
        shapes.append(type.shape)
    }
    return TensorType(first.dtype, try broadcastShapes(shapes))
}

func inferClip(_ operands: Operands) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    guard x.dtype != .bool else { throw ShapeError("a clip of bool is not defined") }
    for (index, name) in [(1, "minimum"), (2, "maximum")] {
        try operands.checkSameType(index, name, as: x)
        if let limit = operands.optionalType(index), limit.elementCount != 1 {
            throw ShapeError(
                "input \(index) (\(name)) has shape \(describe(limit.shape)); one element would "
                    + "work"
            )
        }
    }
    return x
}

func inferSelect(_ operands: Operands) throws(ShapeError) -> TensorType {
    let condition = try operands.type(0, "condition")
    let a = try operands.type(1, "a")
    let b = try operands.type(2, "b")
    guard condition.dtype == .bool else {
        throw ShapeError("input 0 (condition) holds \(condition.dtype) where bool is needed")
    }
    try operands.checkSameType(2, "b", as: a)
    return TensorType(a.dtype, try broadcastShapes([condition.shape, a.shape, b.shape]))
}

func inferReduce(
    _ operands: Operands,
    _ reduction: Reduction
) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    let isOrder = reduction.kind == .minimum || reduction.kind == .maximum
    guard x.dtype != .bool || isOrder else {
        throw ShapeError("this reduction of bool is not defined")
    }
    let isReduced = try resolveReducedAxes(
        reduction,
        rank: x.shape.count,
        axes: operands.integers(1, "axes")
    )
    var shape: [Int] = []
    for (size, isReduced) in zip(x.shape, isReduced) {
        if !isReduced {
            shape.append(size)
        } else if reduction.keepsDimensions {
            shape.append(1)
        }
    }
    return TensorType(x.dtype, shape)
}

/// Which of `rank` axes a reduction removes.
///
/// Without axes that is all of them or, when empty axes are ignored, none: then only what the
/// reduction does to a single element happens (a sum of squares squares it).
package func resolveReducedAxes(
    _ reduction: Reduction,
    rank: Int,
    axes: [Int]?
) throws(ShapeError) -> [Bool] {
    let named = axes ?? []
    guard !named.isEmpty else {
        return Array(repeating: !reduction.ignoresEmptyAxes, count: rank)
    }
    var isReduced = [Bool](repeating: false, count: rank)
    for axis in try resolveAxes(named, rank: rank) { isReduced[axis] = true }
    return isReduced
}
