/// What a `TensorProto` says of a tensor, with the elements still in the file.
struct TensorRecord {
    /// The path of the message in the model, for errors.
    var field: String
    /// Where the message stands, so that its typed data can be walked again.
    var message: Range<Int>
    var name = ""
    var dims: [Int64] = []
    var dataType: Int64 = 0
    /// The bytes of `raw_data`; nil when the field is absent or empty.
    var raw: Range<Int>?
    var typed: TypedData?
    var external: [ExternalEntry] = []
    var isExternal = false

    /// One of the `*_data` fields.
    ///
    /// Its elements may be spread over several pieces of the message.
    struct TypedData {
        var number: Int
        var pieceCount: Int
        /// The payload of the first piece, which is all of the data when there is one piece.
        var firstPiece: Range<Int>
    }

    struct ExternalEntry {
        var key: String
        var value: String
    }

    func error(
        _ kind: ImportError.Kind,
        _ message: String,
        remedy: String? = nil
    ) -> ImportError {
        let subject = name.isEmpty ? "tensor" : "tensor \(quoted(name))"
        return ImportError(
            kind,
            "\(subject) \(message)",
            remedy: remedy,
            location: .init(field: field, byte: self.message.lowerBound)
        )
    }
}

/// The fields of `TensorProto` that hold elements, and what one holds.
enum TypedField: Int {
    case floats = 4
    case int32s = 5
    case strings = 6
    case int64s = 7
    case doubles = 10
    case uint64s = 11

    var name: String {
        switch self {
        case .floats: "float_data"
        case .int32s: "int32_data"
        case .strings: "string_data"
        case .int64s: "int64_data"
        case .doubles: "double_data"
        case .uint64s: "uint64_data"
        }
    }
}

/// Reads a `TensorProto`, stepping over its elements.
func readTensor(_ message: WireReader) throws(ImportError) -> TensorRecord {
    var reader = message
    var record = TensorRecord(field: reader.name, message: reader.position..<reader.end)
    while let field = try reader.next() {
        switch field.number {
        case 1: try reader.appendIntegers(field, name: "dims", to: &record.dims)
        case 2: record.dataType = try reader.integer(field, name: "data_type")
        case 3: throw record.error(.unsupported, "is stored in segments")
        case 8: record.name = try reader.string(field, name: "name")
        case 9:
            try reader.expect(.bytes, field, name: "raw_data")
            record.raw = field.range.isEmpty ? nil : field.range
        case 13: record.external.append(try readExternalEntry(field, of: reader))
        case 14: record.isExternal = try reader.integer(field, name: "data_location") == 1
        case let number:
            guard let typed = TypedField(rawValue: number), !field.range.isEmpty else { break }
            if let earlier = record.typed, earlier.number != number {
                throw record.error(
                    .invalid,
                    "has data both in field \(earlier.number) and in \(typed.name)"
                )
            }
            if record.typed == nil {
                record.typed = .init(number: number, pieceCount: 1, firstPiece: field.range)
            } else {
                record.typed?.pieceCount += 1
            }
        }
    }
    return record
}

private func readExternalEntry(
    _ field: WireField,
    of tensor: WireReader
) throws(ImportError) -> TensorRecord.ExternalEntry {
    var entry = TensorRecord.ExternalEntry(key: "", value: "")
    var reader = try tensor.message(field, name: "\(tensor.name).external_data")
    while let field = try reader.next() {
        switch field.number {
        case 1: entry.key = try reader.string(field, name: "key")
        case 2: entry.value = try reader.string(field, name: "value")
        default: break
        }
    }
    return entry
}

extension TensorRecord {
    /// Walks the typed data and gives every element as the 64 bits (or fewer) it is stored in.
    ///
    /// Numbers of 32 and 64 bits stand at their width in `floats` and `doubles`, as varints in the
    /// integer fields; each may be packed or not, in any number of pieces.
    func forEachTypedElement(
        in source: FileWindow,
        _ body: (UInt64) -> Void
    ) throws(ImportError) {
        guard let typed, let subject = TypedField(rawValue: typed.number) else { return }
        let fixed: (kind: WireKind, width: Int)?
        switch subject {
        case .floats: fixed = (.fourBytes, 4)
        case .doubles: fixed = (.eightBytes, 8)
        case .int32s, .int64s, .uint64s: fixed = nil
        case .strings: return
        }
        var reader = WireReader(source, message, name: field)
        while let piece = try reader.next() {
            guard piece.number == typed.number else { continue }
            if piece.kind == (fixed?.kind ?? .varint) {
                body(piece.value)
                continue
            }
            var packed = try reader.message(piece, name: "\(field).\(subject.name)")
            guard let fixed else {
                while packed.position < packed.end { body(try packed.varint()) }
                continue
            }
            guard piece.range.count.isMultiple(of: fixed.width) else {
                throw reader.malformed(
                    "\(subject.name) has \(piece.range.count) bytes, not a multiple of "
                        + "\(fixed.width)",
                    at: piece.range.lowerBound
                )
            }
            for position in stride(from: packed.position, to: packed.end, by: fixed.width) {
                body(try packed.fixed(at: position, width: fixed.width))
            }
        }
    }
}

extension WireReader {
    /// The little-endian number of `width` bytes at `position` of the message.
    fileprivate func fixed(at position: Int, width: Int) throws(ImportError) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<width {
            value |= UInt64(try source.byte(at: position + index)) << UInt64(8 * index)
        }
        return value
    }
}
