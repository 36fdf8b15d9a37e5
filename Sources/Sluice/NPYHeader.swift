import GraphIR

/// What the header of a NumPy file says.
struct NPYHeader: Equatable {
    var dtype: DType
    var shape: [Int]
    var isFortranOrder: Bool
}

/// Why a header was refused, and at which of its bytes.
struct NPYHeaderError: Error {
    var isUnsupported = false
    var byte: Int
    var reason: String
}

/// Reads the dictionary of a header: the few literals of Python that NumPy writes there.
struct NPYHeaderParser {
    private let text: [UInt8]
    private var position = 0

    init(_ text: [UInt8]) { self.text = text }

    mutating func parsed() -> Result<NPYHeader, NPYHeaderError> {
        do throws(NPYHeaderError) {
            return .success(try parse())
        } catch {
            return .failure(error)
        }
    }

    private mutating func parse() throws(NPYHeaderError) -> NPYHeader {
        var dtype: DType?
        var shape: [Int]?
        var isFortranOrder: Bool?
        try expect("{")
        while !skip("}") {
            let start = position
            let key = try string()
            try expect(":")
            switch key {
            case "descr": dtype = try elementType()
            case "shape": shape = try tuple()
            case "fortran_order": isFortranOrder = try boolean()
            default: throw error("the header has the unknown key '\(key)'", at: start)
            }
            if !skip(",") {
                try expect("}")
                break
            }
        }
        skipSpace()
        guard position == text.count else { throw error("the header goes on after its end") }
        guard let dtype, let shape, let isFortranOrder else {
            throw error("the header lacks one of descr, shape and fortran_order")
        }
        return NPYHeader(dtype: dtype, shape: shape, isFortranOrder: isFortranOrder)
    }

    private mutating func elementType() throws(NPYHeaderError) -> DType {
        skipSpace()
        let start = position
        guard peek == UInt8(ascii: "'") || peek == UInt8(ascii: "\"") else {
            throw unsupported("records of several fields are not supported", at: start)
        }
        let code = try string()
        let order = code.first
        let kind = String(code.dropFirst())
        guard order == "<" || order == "|" || order == "=" || order == ">",
            let dtype = npyTypes.first(where: { $0.code == kind })?.dtype
        else {
            throw unsupported(
                "elements of type '\(code)' are not supported; convert them with astype('<f4')",
                at: start
            )
        }
        if order == ">" && dtype.byteCount > 1 {
            throw unsupported(
                "elements are big-endian ('\(code)'); convert them with astype('<\(kind)')",
                at: start
            )
        }
        return dtype
    }

    private mutating func tuple() throws(NPYHeaderError) -> [Int] {
        var numbers: [Int] = []
        try expect("(")
        while !skip(")") {
            numbers.append(try number())
            if !skip(",") {
                try expect(")")
                break
            }
        }
        return numbers
    }

    private mutating func number() throws(NPYHeaderError) -> Int {
        skipSpace()
        let start = position
        var value = 0
        while let digit = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) {
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (next, overflow2) = tens.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
            guard !overflow, !overflow2 else { throw error("a dimension is too large", at: start) }
            value = next
            position += 1
        }
        guard position > start else { throw error("a dimension is missing") }
        _ = skip("L")  // Long integers of Python 2.
        return value
    }

    private mutating func boolean() throws(NPYHeaderError) -> Bool {
        if skip("True") { return true }
        if skip("False") { return false }
        throw error("fortran_order is neither True nor False")
    }

    private mutating func string() throws(NPYHeaderError) -> String {
        skipSpace()
        guard let quote = peek, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
            throw error("a quoted word is missing")
        }
        let start = position + 1
        guard let end = text[start...].firstIndex(of: quote) else {
            throw error("a quoted word does not end")
        }
        position = end + 1
        return String(decoding: text[start..<end], as: UTF8.self)
    }

    // MARK: Characters

    private var peek: UInt8? { position < text.count ? text[position] : nil }

    private mutating func skipSpace() {
        while let byte = peek, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") {
            position += 1
        }
    }

    /// Steps over `word` when it comes next.
    private mutating func skip(_ word: StaticString) -> Bool {
        skipSpace()
        let bytes = Array(word.description.utf8)
        guard text[position...].starts(with: bytes) else { return false }
        position += bytes.count
        return true
    }

    private mutating func expect(_ word: StaticString) throws(NPYHeaderError) {
        guard skip(word) else { throw error("'\(word)' is missing") }
    }

    private func error(_ reason: String, at byte: Int? = nil) -> NPYHeaderError {
        NPYHeaderError(byte: byte ?? position, reason: reason)
    }

    private func unsupported(_ reason: String, at byte: Int) -> NPYHeaderError {
        NPYHeaderError(isUnsupported: true, byte: byte, reason: reason)
    }
}

/// How NumPy calls our element types, without the byte order.
///
/// It has no bfloat16; tools that add one write its elements as plain two bytes.
private let npyTypes: [(code: String, dtype: DType)] = [
    ("f4", .float32), ("f8", .float64), ("f2", .float16),
    ("i1", .int8), ("i2", .int16), ("i4", .int32), ("i8", .int64),
    ("u1", .uint8), ("u2", .uint16), ("u4", .uint32), ("u8", .uint64), ("b1", .bool),
    ("V2", .bfloat16),
]

/// The first bytes of every NumPy file.
let npyMagic: [UInt8] = [0x93] + Array("NUMPY".utf8)

/// The bytes before the elements in version 1.0 of the format, a multiple of 64 of them; nil when
/// the type has no name there or the shape is too long for this version.
func npyPrefix(_ type: TensorType) -> [UInt8]? {
    guard let code = npyTypes.first(where: { $0.dtype == type.dtype })?.code else { return nil }
    let order = type.dtype.byteCount == 1 ? "|" : "<"
    var shape = type.shape.map(String.init).joined(separator: ", ")
    if type.shape.count == 1 { shape += "," }
    let text = "{'descr': '\(order)\(code)', 'fortran_order': False, 'shape': (\(shape)), }"
    // Magic, version and length take 10 bytes; a line feed ends the padding.
    let padding = 63 - (10 + text.utf8.count) % 64
    let count = text.utf8.count + padding + 1
    guard count <= Int(UInt16.max) else { return nil }
    var prefix = npyMagic + [1, 0, UInt8(count & 0xff), UInt8(count >> 8)]
    prefix += Array(text.utf8)
    prefix += [UInt8](repeating: UInt8(ascii: " "), count: padding)
    prefix.append(UInt8(ascii: "\n"))
    return prefix
}
