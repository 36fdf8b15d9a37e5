/// Rounding to element types narrower than what `DenseTensor` holds them in.
extension DType {
    /// `value` as this floating-point type can represent it, ties to even.
    func round(_ value: Double) -> Double {
        switch self {
        case .float32: Double(Float(value))
        case .float16: roundTo(value, fractionBits: 10, leastExponent: -14, largest: 65504)
        case .bfloat16: roundTo(value, fractionBits: 7, leastExponent: -126, largest: 0x1.fep127)
        default: value
        }
    }

    private func roundTo(
        _ value: Double,
        fractionBits: Int,
        leastExponent: Int,
        largest: Double
    ) -> Double {
        guard value.isFinite, value != 0 else { return value }
        let exponent = max(Int(value.exponent), leastExponent)
        let quantum = Double(sign: .plus, exponent: exponent - fractionBits, significand: 1)
        let rounded = (value / quantum).rounded(.toNearestOrEven) * quantum
        guard abs(rounded) <= largest else { return value < 0 ? -.infinity : .infinity }
        return rounded
    }

    /// The bits of this integer type that `value` ends in, as wrapping arithmetic leaves them.
    func wrap(_ value: Int64) -> Int64 {
        switch self {
        case .uint8: Int64(UInt8(truncatingIfNeeded: value))
        case .int8: Int64(Int8(truncatingIfNeeded: value))
        case .uint16: Int64(UInt16(truncatingIfNeeded: value))
        case .int16: Int64(Int16(truncatingIfNeeded: value))
        case .int32: Int64(Int32(truncatingIfNeeded: value))
        case .uint32: Int64(UInt32(truncatingIfNeeded: value))
        case .bool: value == 0 ? 0 : 1
        default: value
        }
    }

    /// The least and greatest value of an integer type of at most 63 value bits.
    var integerRange: ClosedRange<Int64> {
        switch self {
        case .uint8: 0...Int64(UInt8.max)
        case .int8: Int64(Int8.min)...Int64(Int8.max)
        case .uint16: 0...Int64(UInt16.max)
        case .int16: Int64(Int16.min)...Int64(Int16.max)
        case .int32: Int64(Int32.min)...Int64(Int32.max)
        case .uint32: 0...Int64(UInt32.max)
        case .bool: 0...1
        default: Int64.min...Int64.max
        }
    }

    /// `value` truncated towards zero and clamped to this integer type; not-a-number gives zero.
    func integer(_ value: Double) -> Int64 {
        if self == .bool { return value == 0 ? 0 : 1 }
        if value.isNaN { return 0 }
        if self == .uint64 {
            if value <= 0 { return 0 }
            return value >= 0x1p64 ? -1 : Int64(bitPattern: UInt64(value))
        }
        let range = integerRange
        if value >= Double(range.upperBound) { return range.upperBound }
        if value <= Double(range.lowerBound) { return range.lowerBound }
        return Int64(value)
    }

    /// The value of an integer element as a number; `uint64` is held by its bits.
    func number(_ element: Int64) -> Double {
        self == .uint64 ? Double(UInt64(bitPattern: element)) : Double(element)
    }
}

extension DenseTensor {
    /// Rounds `values` to the element type.
    init(_ type: TensorType, rounding values: [Double]) {
        let dtype = type.dtype
        if dtype == .float32 {
            self.init(type: type, storage: .floats(values.map { Float($0) }))
        } else if dtype == .float64 {
            self.init(type: type, storage: .doubles(values))
        } else if dtype.isFloatingPoint {
            self.init(type: type, storage: .floats(values.map { Float(dtype.round($0)) }))
        } else {
            self.init(type: type, storage: .integers(values.map { dtype.integer($0) }))
        }
    }

    /// Every element is `value`.
    init(_ type: TensorType, repeating value: Double) {
        self.init(
            TensorType(type.dtype, [1]),
            rounding: [value]
        )
        storage = storage.picking(Array(repeating: 0, count: type.elementCount))
        self.type = type
    }

    /// The elements as numbers; unlike `doubles`, right for `uint64` too.
    var numbers: [Double] {
        guard type.dtype == .uint64, let integers else { return doubles }
        return integers.map { type.dtype.number($0) }
    }
}

extension DenseTensor.Storage {
    /// The elements at `indices`.
    func picking(_ indices: [Int]) -> Self {
        switch self {
        case .floats(let elements): .floats(indices.map { elements[$0] })
        case .doubles(let elements): .doubles(indices.map { elements[$0] })
        case .integers(let elements): .integers(indices.map { elements[$0] })
        }
    }

    /// The elements at `indices`, and the one element of `fill` where an index is negative.
    func picking(_ indices: [Int], elsewhere fill: Self) -> Self {
        switch (self, fill) {
        case (.floats(let elements), .floats(let fill)):
            .floats(indices.map { $0 < 0 ? fill[0] : elements[$0] })
        case (.doubles(let elements), .doubles(let fill)):
            .doubles(indices.map { $0 < 0 ? fill[0] : elements[$0] })
        case (.integers(let elements), .integers(let fill)):
            .integers(indices.map { $0 < 0 ? fill[0] : elements[$0] })
        default: preconditionFailure("tensors of one type have one kind of storage")
        }
    }

    /// These elements followed by those of `other`.
    mutating func append(_ other: Self, at indices: Range<Int>) {
        switch (self, other) {
        case (.floats(var elements), .floats(let new)):
            self = .integers([])
            elements += new[indices]
            self = .floats(elements)
        case (.doubles(var elements), .doubles(let new)):
            self = .integers([])
            elements += new[indices]
            self = .doubles(elements)
        case (.integers(var elements), .integers(let new)):
            self = .integers([])
            elements += new[indices]
            self = .integers(elements)
        default: preconditionFailure("tensors of one type have one kind of storage")
        }
    }

    /// No elements, of the same kind.
    var emptied: Self {
        switch self {
        case .floats: .floats([])
        case .doubles: .doubles([])
        case .integers: .integers([])
        }
    }
}

/// The linear offsets of a box of elements: the listed positions along each axis.
///
/// A negative position marks everything behind it as outside: -1.
func boxOffsets(positions: [[Int]], strides: [Int]) -> [Int] {
    var offsets = [0]
    // An empty axis makes the box empty, however long the others are.
    if positions.contains(where: \.isEmpty) { return [] }
    for (axis, stride) in zip(positions, strides) {
        if axis.count == 1, axis[0] == 0 { continue }
        var next: [Int] = []
        next.reserveCapacity(offsets.count * axis.count)
        for offset in offsets {
            for position in axis {
                next.append(offset < 0 || position < 0 ? -1 : offset + position * stride)
            }
        }
        offsets = next
    }
    return offsets
}

/// The offsets of all elements of a tensor of `shape` whose axes are `strides` apart.
func viewOffsets(shape: [Int], strides: [Int]) -> [Int] {
    if shape.contains(0) { return [] }
    return boxOffsets(positions: shape.map { Array(0..<$0) }, strides: strides)
}
