import GraphIR

extension DType {
    /// Whether tensors of this type may take part in shape arithmetic or in masks.
    var mayHoldShapes: Bool {
        switch self {
        case .int32, .int64, .uint32, .uint64, .bool: true
        default: false
        }
    }

    /// The field of `TensorProto` for elements of this type that are not raw bytes.
    var typedField: TypedField {
        switch self {
        case .float32: .floats
        case .float64: .doubles
        case .int64: .int64s
        case .uint32, .uint64: .uint64s
        case .int8, .uint8, .int16, .uint16, .int32, .bool, .float16, .bfloat16: .int32s
        }
    }

    var emptyStorage: DenseTensor.Storage {
        switch self {
        case .float16, .bfloat16, .float32: .floats([])
        case .float64: .doubles([])
        default: .integers([])
        }
    }
}

extension TensorRecord.TypedData {
    /// Whether one piece of this field is laid out like raw data of `dtype`.
    func holdsElementsSideBySide(of dtype: DType) -> Bool {
        switch (TypedField(rawValue: number), dtype) {
        case (.floats, .float32), (.doubles, .float64): true
        default: false
        }
    }
}

/// Collects elements given as bits into the storage that literals of their type use.
struct TypedElements {
    private let dtype: DType
    private(set) var storage: DenseTensor.Storage
    private(set) var count = 0
    /// Set when an integer does not fit its type.
    private(set) var isOutOfRange = false

    /// An empty collection with room for all elements of `type`.
    init(_ type: TensorType) {
        dtype = type.dtype
        switch type.dtype {
        case .float16, .bfloat16, .float32:
            var floats: [Float] = []
            floats.reserveCapacity(type.elementCount)
            storage = .floats(floats)
        case .float64:
            var doubles: [Double] = []
            doubles.reserveCapacity(type.elementCount)
            storage = .doubles(doubles)
        default:
            var integers: [Int64] = []
            integers.reserveCapacity(type.elementCount)
            storage = .integers(integers)
        }
    }

    mutating func append(_ bits: UInt64) {
        count += 1
        // Taking the array out keeps it the only reference, so that appending does not copy it.
        switch storage {
        case .floats(var floats):
            storage = .integers([])
            floats.append(float(bits))
            storage = .floats(floats)
        case .doubles(var doubles):
            storage = .integers([])
            doubles.append(Double(bitPattern: bits))
            storage = .doubles(doubles)
        case .integers(var integers):
            storage = .floats([])
            integers.append(integer(bits))
            storage = .integers(integers)
        }
    }

    private func float(_ bits: UInt64) -> Float {
        switch dtype {
        case .float16: Float(Float16(bitPattern: UInt16(truncatingIfNeeded: bits)))
        case .bfloat16: Float(bitPattern: UInt32(UInt16(truncatingIfNeeded: bits)) << 16)
        default: Float(bitPattern: UInt32(truncatingIfNeeded: bits))
        }
    }

    private mutating func integer(_ bits: UInt64) -> Int64 {
        let value = Int64(bitPattern: bits)
        let fits: Bool
        switch dtype {
        case .bool: return value != 0 ? 1 : 0
        case .uint8: fits = UInt8(exactly: value) != nil
        case .int8: fits = Int8(exactly: value) != nil
        case .uint16: fits = UInt16(exactly: value) != nil
        case .int16: fits = Int16(exactly: value) != nil
        case .uint32: fits = UInt32(exactly: value) != nil
        case .int32: return Int64(Int32(truncatingIfNeeded: value))
        default: fits = true
        }
        if !fits { isOutOfRange = true }
        return value
    }
}
