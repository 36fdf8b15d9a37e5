/// Conversion between tensors in memory and the bytes of files and arenas.
extension DenseTensor {
    /// Elements from their little-endian bytes; `bytes` holds exactly `type.byteCount` of them.
    package init(type: TensorType, littleEndian bytes: [UInt8]) {
        precondition(bytes.count == type.byteCount)
        let size = type.dtype.byteCount
        func word(_ index: Int) -> UInt64 {
            var value: UInt64 = 0
            for byte in 0..<size {
                value |= UInt64(bytes[index * size + byte]) << UInt64(8 * byte)
            }
            return value
        }
        let indices = 0..<type.elementCount
        switch type.dtype {
        case .float32:
            self.init(
                type: type,
                storage: .floats(
                    indices.map { Float(bitPattern: UInt32(truncatingIfNeeded: word($0))) }
                )
            )
        case .float16:
            self.init(
                type: type,
                storage: .floats(
                    indices.map {
                        Float(Float16(bitPattern: UInt16(truncatingIfNeeded: word($0))))
                    }
                )
            )
        case .bfloat16:
            self.init(
                type: type,
                storage: .floats(
                    indices.map { Float(bitPattern: UInt32(truncatingIfNeeded: word($0)) << 16) }
                )
            )
        case .float64:
            self.init(
                type: type,
                storage: .doubles(indices.map { Double(bitPattern: word($0)) })
            )
        case .int8, .int16, .int32, .int64:
            let shift = Int64(64 - 8 * size)
            self.init(
                type: type,
                storage: .integers(indices.map { (Int64(bitPattern: word($0)) << shift) >> shift })
            )
        case .uint8, .uint16, .uint32, .uint64, .bool:
            self.init(
                type: type,
                storage: .integers(indices.map { Int64(bitPattern: word($0)) })
            )
        }
    }

    /// The elements as little-endian bytes of the tensor's own type.
    package var littleEndianBytes: [UInt8] {
        let size = type.dtype.byteCount
        var bytes: [UInt8] = []
        bytes.reserveCapacity(type.byteCount)
        func append(_ word: UInt64) {
            for byte in 0..<size {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * byte)))
            }
        }
        switch storage {
        case .floats(let elements):
            for element in elements {
                switch type.dtype {
                case .float16: append(UInt64(Float16(element).bitPattern))
                case .bfloat16: append(UInt64(element.bitPattern >> 16))
                default: append(UInt64(element.bitPattern))
                }
            }
        case .doubles(let elements):
            for element in elements { append(element.bitPattern) }
        case .integers(let elements):
            for element in elements { append(UInt64(bitPattern: element)) }
        }
        return bytes
    }
}
