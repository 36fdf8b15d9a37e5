import GraphIR

/// The element type of a tensor.
public enum ElementType: String, Sendable, CaseIterable {
    case float32, float64, float16, bfloat16
    case int8, int16, int32, int64
    case uint8, uint16, uint32, uint64
    case bool

    /// Bytes that one element takes.
    public var byteCount: Int { dtype.byteCount }
}

/// A tensor in host memory: element type, shape, and row-major little-endian bytes.
public struct Tensor: Sendable, Hashable {
    /// The type of its elements.
    public let elementType: ElementType
    /// Sizes of its axes; empty for a scalar.
    public let shape: [Int]
    /// All elements, row-major, little-endian.
    public internal(set) var bytes: [UInt8]

    /// A tensor of float32 elements.
    ///
    /// - Precondition: `elements` holds as many elements as `shape` says.
    public init(shape: [Int], _ elements: [Float]) {
        precondition(elements.count == shape.reduce(1, *), "elements do not fill the shape")
        elementType = .float32
        self.shape = shape
        bytes = elements.withUnsafeBytes { Array($0) }
    }

    /// A tensor of any type from its bytes: row-major, little-endian.
    ///
    /// - Precondition: `bytes` holds exactly as many as type and shape say.
    public init(elementType: ElementType, shape: [Int], bytes: [UInt8]) {
        precondition(
            bytes.count == shape.reduce(elementType.dtype.byteCount, *),
            "bytes do not fill the shape"
        )
        self.elementType = elementType
        self.shape = shape
        self.bytes = bytes
    }

    package init(_ array: NPYArray) {
        elementType = ElementType(array.dtype)
        shape = array.shape
        bytes = array.bytes
    }

    /// The first `count` elements along one axis.
    package func cut(axis: Int, to count: Int, name: String) throws(SluiceError) -> Tensor {
        guard 0...shape[axis] ~= count else {
            throw SluiceError(
                .badData,
                "output '\(name)' would have \(count) elements along axis \(axis), where at most "
                    + "\(shape[axis]) are possible"
            )
        }
        let inner = shape[(axis + 1)...].reduce(elementType.dtype.byteCount, *)
        var sizes = shape
        sizes[axis] = count
        var kept: [UInt8] = []
        kept.reserveCapacity(shape[..<axis].reduce(count * inner, *))
        for outer in 0..<shape[..<axis].reduce(1, *) {
            let start = outer * shape[axis] * inner
            kept += bytes[start..<start + count * inner]
        }
        return Tensor(elementType: elementType, shape: sizes, bytes: kept)
    }

    /// The elements converted to `Float`.
    public var floats: [Float] { dense.floats }

    package var dense: DenseTensor {
        DenseTensor(type: TensorType(elementType.dtype, shape), littleEndian: bytes)
    }
}

extension ElementType {
    package init(_ dtype: DType) {
        self =
            switch dtype {
            case .float32: .float32
            case .float64: .float64
            case .float16: .float16
            case .bfloat16: .bfloat16
            case .int8: .int8
            case .int16: .int16
            case .int32: .int32
            case .int64: .int64
            case .uint8: .uint8
            case .uint16: .uint16
            case .uint32: .uint32
            case .uint64: .uint64
            case .bool: .bool
            }
    }

    package var dtype: DType {
        switch self {
        case .float32: .float32
        case .float64: .float64
        case .float16: .float16
        case .bfloat16: .bfloat16
        case .int8: .int8
        case .int16: .int16
        case .int32: .int32
        case .int64: .int64
        case .uint8: .uint8
        case .uint16: .uint16
        case .uint32: .uint32
        case .uint64: .uint64
        case .bool: .bool
        }
    }
}
