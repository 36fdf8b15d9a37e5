/// The element type of a tensor.
///
/// Raw values are the codes of ONNX `TensorProto.DataType`.
package enum DType: Int32, Hashable, Sendable, CaseIterable {
    case float32 = 1
    case uint8 = 2
    case int8 = 3
    case uint16 = 4
    case int16 = 5
    case int32 = 6
    case int64 = 7
    case bool = 9
    case float16 = 10
    case float64 = 11
    case uint32 = 12
    case uint64 = 13
    case bfloat16 = 16

    /// Bytes one element takes in a file and in an arena.
    package var byteCount: Int {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16, .float16, .bfloat16: 2
        case .float32, .int32, .uint32: 4
        case .float64, .int64, .uint64: 8
        }
    }

    package var isFloatingPoint: Bool {
        switch self {
        case .float16, .bfloat16, .float32, .float64: true
        default: false
        }
    }
}

extension DType: CustomStringConvertible {
    package var description: String {
        switch self {
        case .float32: "float32"
        case .uint8: "uint8"
        case .int8: "int8"
        case .uint16: "uint16"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .bool: "bool"
        case .float16: "float16"
        case .float64: "float64"
        case .uint32: "uint32"
        case .uint64: "uint64"
        case .bfloat16: "bfloat16"
        }
    }
}

/// An element type and a shape in which every dimension is known.
package struct TensorType: Hashable, Sendable {
    package var dtype: DType
    package var shape: [Int]

    package init(_ dtype: DType, _ shape: [Int]) {
        self.dtype = dtype
        self.shape = shape
    }

    package var elementCount: Int { shape.reduce(1, *) }
    package var byteCount: Int { elementCount * dtype.byteCount }
}

extension TensorType: CustomStringConvertible {
    package var description: String {
        "\(dtype)[\(shape.map(String.init).joined(separator: "x"))]"
    }
}

/// One dimension of a declared input: known, named by the model, or left open.
package enum Dimension: Hashable, Sendable {
    case fixed(Int)
    case symbol(String)
    case unknown
}

extension Dimension: CustomStringConvertible {
    package var description: String {
        switch self {
        case .fixed(let size): "\(size)"
        case .symbol(let name): name
        case .unknown: "?"
        }
    }
}
