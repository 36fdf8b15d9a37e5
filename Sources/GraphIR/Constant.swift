/// A run of bytes in one of the files a model consists of.
package struct FileRange: Hashable, Sendable {
    /// Index into the list of files of the imported model; 0 is the model file itself.
    package var file: Int
    package var offset: Int
    package var byteCount: Int

    package init(file: Int, offset: Int, byteCount: Int) {
        self.file = file
        self.offset = offset
        self.byteCount = byteCount
    }
}

/// A tensor known before the run: where its bytes are, or how to compute them.
package struct Constant: Hashable, Sendable {
    package var type: TensorType
    package var source: Source

    package init(type: TensorType, source: Source) {
        self.type = type
        self.source = source
    }

    /// Where the elements come from, in row-major order, little-endian.
    package indirect enum Source: Hashable, Sendable {
        /// Raw bytes in a file, at any alignment, exactly `type.byteCount` of them.
        case file(FileRange)
        /// Few elements held in memory (integers for shapes, scalars, small vectors).
        case literal(DenseTensor)
        /// Every element is the same.
        case fill(Double)
        /// The first result of an operator over other constants; evaluated when a session opens.
        case computed(Operator, [Constant?])
    }

    package init(_ literal: DenseTensor) {
        self.init(type: literal.type, source: .literal(literal))
    }

    /// The elements, when they are held in memory.
    package var literal: DenseTensor? {
        if case .literal(let tensor) = source { return tensor }
        return nil
    }
}

/// A small tensor held in memory for shape arithmetic, recipes and the reference evaluator.
///
/// Floating-point elements of every width are held as `Float` except `float64`, held as `Double`;
/// integers and booleans are held as `Int64` (`uint64` by bit pattern).
package struct DenseTensor: Hashable, Sendable {
    package var type: TensorType
    package var storage: Storage

    package enum Storage: Hashable, Sendable {
        case floats([Float])
        case doubles([Double])
        case integers([Int64])
    }

    package init(type: TensorType, storage: Storage) {
        self.type = type
        self.storage = storage
    }

    package init(shape: [Int], floats: [Float]) {
        precondition(floats.count == shape.reduce(1, *))
        self.init(type: TensorType(.float32, shape), storage: .floats(floats))
    }

    package init(shape: [Int], integers: [Int64], dtype: DType = .int64) {
        precondition(integers.count == shape.reduce(1, *))
        self.init(type: TensorType(dtype, shape), storage: .integers(integers))
    }

    /// A tensor of which every element is `value`, converted to its type.
    package static func repeating(_ value: Double, type: TensorType) -> DenseTensor {
        let count = type.elementCount
        if type.dtype == .float64 {
            return DenseTensor(type: type, storage: .doubles(Array(repeating: value, count: count)))
        }
        if type.dtype.isFloatingPoint {
            return DenseTensor(
                type: type,
                storage: .floats(Array(repeating: Float(value), count: count))
            )
        }
        return DenseTensor(
            type: type,
            storage: .integers(Array(repeating: Int64(value), count: count))
        )
    }

    package var shape: [Int] { type.shape }
    package var elementCount: Int { type.elementCount }

    /// The elements as integers; nil for floating-point tensors.
    package var integers: [Int64]? {
        if case .integers(let elements) = storage { return elements }
        return nil
    }

    /// The elements as `Float`, converted when needed.
    package var floats: [Float] {
        switch storage {
        case .floats(let elements): elements
        case .doubles(let elements): elements.map { Float($0) }
        case .integers(let elements): elements.map { Float($0) }
        }
    }

    /// The elements as `Double`, converted when needed.
    package var doubles: [Double] {
        switch storage {
        case .floats(let elements): elements.map { Double($0) }
        case .doubles(let elements): elements
        case .integers(let elements): elements.map { Double($0) }
        }
    }
}
