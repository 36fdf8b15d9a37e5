import TensorMemory

/// Gives bytes of a file at rising positions through one small buffer.
///
/// Weights are stepped over, never read: opening a model costs the same whatever its weights
/// weigh, and no page of the file is mapped.
final class FileWindow {
    let file: WeightFile
    private var buffer: [UInt8]
    private var covered = 0..<0

    init(_ file: WeightFile, capacity: Int = 16 << 10) {
        precondition(capacity > 0)
        self.file = file
        self.buffer = [UInt8](repeating: 0, count: capacity)
    }

    /// - Precondition: `position` lies in the file.
    func byte(at position: Int) throws(ImportError) -> UInt8 {
        if !covered.contains(position) {
            let range = position..<min(file.byteCount, position + buffer.count)
            covered = 0..<0
            try fill(&buffer, from: range, of: file)
            covered = range
        }
        return buffer[position - covered.lowerBound]
    }

    /// The bytes of `range`, copied out.
    ///
    /// - Precondition: `range` lies in the file.
    func bytes(in range: Range<Int>) throws(ImportError) -> [UInt8] {
        if covered.lowerBound <= range.lowerBound && range.upperBound <= covered.upperBound {
            let start = covered.lowerBound
            return Array(buffer[(range.lowerBound - start)..<(range.upperBound - start)])
        }
        return try readBytes(range, of: file)
    }
}

/// The bytes of `range` of `file`.
func readBytes(_ range: Range<Int>, of file: WeightFile) throws(ImportError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    try fill(&bytes, from: range, of: file)
    return bytes
}

private func fill(
    _ bytes: inout [UInt8],
    from range: Range<Int>,
    of file: WeightFile
) throws(ImportError) {
    do throws(FileError) {
        try bytes.withUnsafeMutableBufferPointer { (target) throws(FileError) in
            try file.read(range, into: UnsafeMutableRawBufferPointer(target))
        }
    } catch {
        throw ImportError(error)
    }
}

/// How the value of a protobuf field is stored.
enum WireKind: UInt8 {
    case varint = 0
    case eightBytes = 1
    case bytes = 2
    case fourBytes = 5
}

/// One field of a protobuf message.
struct WireField {
    var number: Int
    var kind: WireKind
    /// The value of a number; 0 for `bytes`.
    var value: UInt64
    /// Where the payload stands in the file.
    var range: Range<Int>
}

/// Steps through the fields of one protobuf message without decoding those it is not asked for.
///
/// Every length is checked against the enclosing message before it is used, so a reader never
/// leaves the bytes of its message.
struct WireReader {
    let source: FileWindow
    /// The path of the message in the model, for errors.
    let name: String
    private(set) var position: Int
    let end: Int

    init(_ source: FileWindow, _ range: Range<Int>, name: String) {
        self.source = source
        self.name = name
        self.position = range.lowerBound
        self.end = range.upperBound
    }

    /// The next field, or nil at the end of the message.
    mutating func next() throws(ImportError) -> WireField? {
        guard position < end else { return nil }
        let start = position
        let tag = try varint()
        let number = tag >> 3
        guard number >= 1, number < 1 << 29 else {
            throw malformed("field number \(number) does not exist", at: start)
        }
        guard let kind = WireKind(rawValue: UInt8(tag & 7)) else {
            throw malformed("wire type \(tag & 7) of field \(number) is not used", at: start)
        }
        var value: UInt64 = 0
        let range: Range<Int>
        switch kind {
        case .varint:
            let first = position
            value = try varint()
            range = first..<position
        case .eightBytes:
            range = try take(8, of: Int(number))
            value = try littleEndian(range)
        case .fourBytes:
            range = try take(4, of: Int(number))
            value = try littleEndian(range)
        case .bytes:
            range = try take(varint(), of: Int(number))
        }
        return WireField(number: Int(number), kind: kind, value: value, range: range)
    }

    /// A number of up to 64 bits, seven to a byte.
    mutating func varint() throws(ImportError) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard position < end else { throw cutOff(needing: 1, for: "a number") }
            let byte = try source.byte(at: position)
            position += 1
            guard shift < 63 || byte <= 1 else {
                throw malformed("a number is longer than 64 bits", at: start)
            }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    private mutating func take(
        _ count: UInt64,
        of number: Int
    ) throws(ImportError) -> Range<Int> {
        guard count <= UInt64(end - position) else {
            throw cutOff(needing: count, for: "field \(number)")
        }
        defer { position += Int(count) }
        return position..<(position + Int(count))
    }

    private func littleEndian(_ range: Range<Int>) throws(ImportError) -> UInt64 {
        var value: UInt64 = 0
        for (index, position) in range.enumerated() {
            value |= UInt64(try source.byte(at: position)) << UInt64(8 * index)
        }
        return value
    }

    /// The error for data that runs past the end of the file or of the enclosing message.
    private func cutOff(needing count: UInt64, for what: String) -> ImportError {
        let kind: ImportError.Kind = end == source.file.byteCount ? .truncated : .malformed
        let place = kind == .truncated ? "the file" : "the message"
        return ImportError(
            kind,
            "\(what) needs \(count) bytes, but \(place) has only \(end - position) left",
            remedy: kind == .truncated ? "fetch the file again: its end is missing" : nil,
            location: .init(field: name, byte: position)
        )
    }

    func malformed(_ message: String, at byte: Int) -> ImportError {
        ImportError(
            .malformed,
            message,
            remedy: "check that the file is an ONNX model and is complete",
            location: .init(field: name, byte: byte)
        )
    }
}

extension WireReader {
    /// A reader for the message that `field` holds.
    func message(_ field: WireField, name: String) throws(ImportError) -> WireReader {
        try expect(.bytes, field, name: name)
        return WireReader(source, field.range, name: name)
    }

    func string(_ field: WireField, name: String) throws(ImportError) -> String {
        try expect(.bytes, field, name: name)
        let bytes = try source.bytes(in: field.range)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw malformed("\(name) is not UTF-8 text", at: field.range.lowerBound)
        }
        return text
    }

    func integer(_ field: WireField, name: String) throws(ImportError) -> Int64 {
        try expect(.varint, field, name: name)
        return Int64(bitPattern: field.value)
    }

    /// Appends the numbers of a repeated integer field, in either of its two layouts.
    func appendIntegers(
        _ field: WireField,
        name: String,
        to list: inout [Int64]
    ) throws(ImportError) {
        if field.kind == .varint {
            list.append(Int64(bitPattern: field.value))
            return
        }
        var packed = try message(field, name: name)
        while packed.position < packed.end {
            list.append(Int64(bitPattern: try packed.varint()))
        }
    }

    func expect(_ kind: WireKind, _ field: WireField, name: String) throws(ImportError) {
        guard field.kind == kind else {
            throw malformed(
                "\(name) is stored as wire type \(field.kind.rawValue), not \(kind.rawValue)",
                at: field.range.lowerBound
            )
        }
    }
}
