/// The fields of a protobuf message without their meaning, to change one and write all again.
///
/// What a field of bytes holds is taken for a message when it can be read as one.
package struct ProtobufTree {
    private struct Field {
        /// Where it starts in the file.
        var start: Int
        var number: Int
        var content: Content
    }

    private enum Content {
        case varint(UInt64)
        case fixed([UInt8])
        case bytes([UInt8])
        case message([Field])
    }

    private var fields: [Field]

    /// Nil when the bytes are no message.
    package init?(_ bytes: [UInt8]) {
        guard let fields = Self.fields(of: bytes[...], depth: 0) else { return nil }
        self.fields = fields
    }

    /// Where the fields start, those of the messages inside included.
    package var boundaries: [Int] { Self.starts(of: fields) }

    /// The file with one number replaced by an extreme one, for each number and each extreme.
    ///
    /// Numbers are those of the fields themselves, and the words of short data of eight bytes each:
    /// tensors that hold shapes, axes or counts.
    package func withExtremes(_ body: ([UInt8]) -> Void) {
        Self.change(fields) { body(Self.encoded($0)) }
    }

    private static let extremes: [UInt64] = [
        0, 40_000, 1 << 31 - 1, 1 << 31, 1 << 40, 1 << 62, UInt64(Int64.max),
        UInt64(bitPattern: .min),
        UInt64(bitPattern: -1),
    ]

    /// Gives every version of `fields` in which one number is another.
    private static func change(_ fields: [Field], _ body: ([Field]) -> Void) {
        var changed = fields
        for (index, field) in fields.enumerated() {
            switch field.content {
            case .varint(let value):
                for extreme in extremes + [value &+ 1] where extreme != value {
                    changed[index].content = .varint(extreme)
                    body(changed)
                }
            case .message(let inner):
                change(inner) {
                    changed[index].content = .message($0)
                    body(changed)
                }
            case .bytes(let data) where data.count.isMultiple(of: 8) && data.count <= 64:
                for place in stride(from: 0, to: data.count, by: 8) {
                    for extreme in extremes {
                        var words = data
                        for byte in 0..<8 {
                            words[place + byte] = UInt8(truncatingIfNeeded: extreme >> (8 * byte))
                        }
                        changed[index].content = .bytes(words)
                        body(changed)
                    }
                }
            case .bytes, .fixed: break
            }
            changed[index] = field
        }
    }

    private static func starts(of fields: [Field]) -> [Int] {
        fields.flatMap { field -> [Int] in
            guard case .message(let inner) = field.content else { return [field.start] }
            return [field.start] + starts(of: inner)
        }
    }

    // MARK: Reading and writing

    private static func fields(of message: ArraySlice<UInt8>, depth: Int) -> [Field]? {
        guard depth < 32 else { return nil }
        var fields: [Field] = []
        var rest = message
        while !rest.isEmpty {
            let start = rest.startIndex
            guard let tag = varint(&rest), tag >> 3 > 0, tag >> 3 < 1 << 29 else { return nil }
            let content: Content
            switch tag & 7 {
            case 0:
                guard let value = varint(&rest) else { return nil }
                content = .varint(value)
            case 1, 5:
                let count = tag & 7 == 1 ? 8 : 4
                guard rest.count >= count else { return nil }
                content = .fixed(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            case 2:
                guard let count = varint(&rest), count <= UInt64(rest.count) else { return nil }
                let payload = rest.prefix(Int(count))
                let inner = payload.isEmpty ? nil : Self.fields(of: payload, depth: depth + 1)
                content = inner.map { .message($0) } ?? .bytes(Array(payload))
                rest = rest.dropFirst(Int(count))
            default: return nil
            }
            fields.append(Field(start: start, number: Int(tag >> 3), content: content))
        }
        return fields
    }

    private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7f) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        return nil
    }

    private static func encoded(_ fields: [Field]) -> [UInt8] {
        var bytes: [UInt8] = []
        for field in fields {
            switch field.content {
            case .varint(let value):
                bytes += encoded(UInt64(field.number) << 3) + encoded(value)
            case .fixed(let data):
                bytes += encoded(UInt64(field.number) << 3 | (data.count == 8 ? 1 : 5)) + data
            case .bytes(let data):
                bytes += encoded(UInt64(field.number) << 3 | 2)
                bytes += encoded(UInt64(data.count)) + data
            case .message(let inner):
                let data = encoded(inner)
                bytes += encoded(UInt64(field.number) << 3 | 2)
                bytes += encoded(UInt64(data.count)) + data
            }
        }
        return bytes
    }

    private static func encoded(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest > 0x7f {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
