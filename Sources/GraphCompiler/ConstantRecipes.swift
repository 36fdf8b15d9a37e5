import GraphIR

/// Recipes over constants: evaluated when a session opens, never while compiling.
extension Constant {
    static func scalar(_ value: Float) -> Constant {
        Constant(DenseTensor(shape: [], floats: [value]))
    }

    static func add(_ a: Constant, _ b: Constant) -> Constant { binary(.add, a, b) }
    static func subtract(_ a: Constant, _ b: Constant) -> Constant { binary(.subtract, a, b) }
    static func multiply(_ a: Constant, _ b: Constant) -> Constant { binary(.multiply, a, b) }
    static func divide(_ a: Constant, _ b: Constant) -> Constant { binary(.divide, a, b) }

    static func squareRoot(_ x: Constant) -> Constant {
        Constant(type: x.type, source: .computed(.unary(.sqrt), [x]))
    }

    /// The result has the shape of the operand with more elements: vectors and scalars only.
    private static func binary(
        _ function: BinaryFunction,
        _ a: Constant,
        _ b: Constant
    ) -> Constant {
        let type = a.type.elementCount >= b.type.elementCount ? a.type : b.type
        return Constant(type: type, source: .computed(.binary(function), [a, b]))
    }

    /// The same elements as float32.
    var asFloat: Constant {
        guard type.dtype != .float32 else { return self }
        return Constant(
            type: TensorType(.float32, type.shape),
            source: .computed(.cast(to: .float32), [self])
        )
    }

    /// The same elements under another shape. (A recipe's result is read as its constant's type.)
    func reshaped(_ shape: [Int]) -> Constant {
        guard shape != type.shape else { return self }
        precondition(shape.reduce(1, *) == type.elementCount)
        var result = self
        result.type.shape = shape
        if case .literal(var tensor) = source {
            tensor.type.shape = shape
            result.source = .literal(tensor)
        }
        return result
    }

    func transposed(_ permutation: [Int]) -> Constant {
        Constant(
            type: TensorType(type.dtype, permutation.map { type.shape[$0] }),
            source: .computed(.transpose(permutation: permutation), [self])
        )
    }

    /// A zero more at the end of the last axis.
    func followedByZero() -> Constant {
        var shape = type.shape
        let rank = shape.count
        shape[rank - 1] += 1
        let pads = (0..<2 * rank).map { Int64($0 == 2 * rank - 1 ? 1 : 0) }
        return Constant(
            type: TensorType(type.dtype, shape),
            source: .computed(
                .pad(.constant),
                [self, Constant(DenseTensor(shape: [2 * rank], integers: pads))]
            )
        )
    }

    /// The elements at `places` of the last axis.
    func gathered(_ places: [Int64]) -> Constant {
        let rank = type.shape.count
        return Constant(
            type: TensorType(type.dtype, type.shape.dropLast() + [places.count]),
            source: .computed(
                .gather(axis: rank - 1),
                [self, Constant(DenseTensor(shape: [places.count], integers: places))]
            )
        )
    }

    /// The constant as one float per channel of a result whose channel axis has `count` elements
    /// and is followed by `trailing` axes; nil when it varies along other axes.
    func channelVector(count: Int, trailing: Int) -> Constant? {
        guard type.dtype.isFloatingPoint else { return nil }
        if type.elementCount == 1 {
            if let value = smallLiteral?.floats.first {
                return Constant(type: TensorType(.float32, [count]), source: .fill(Double(value)))
            }
            let shape = Constant(DenseTensor(shape: [1], integers: [Int64(count)]))
            return Constant(
                type: TensorType(.float32, [count]),
                source: .computed(.expand, [asFloat.reshaped([1]), shape])
            )
        }
        let channelAxis = type.shape.count - 1 - trailing
        guard type.elementCount == count, channelAxis >= 0, type.shape[channelAxis] == count else {
            return nil
        }
        return asFloat.reshaped([count])
    }
}
