import GraphIR

/// Above this size integers stay in the file.
///
/// What shape arithmetic reads is far smaller.
private let largestIntegerLiteral = 64 << 10
/// Above this size every other tensor stays in the file.
private let largestLiteral = 256

/// Turns tensor records into constants: byte ranges where the file holds the elements side by
/// side, literals where it does not or where they are few.
struct ConstantReader {
    let source: FileWindow
    var files: ModelFiles

    mutating func constant(for tensor: TensorRecord) throws(ImportError) -> Constant {
        let type = try tensor.type()
        guard type.elementCount > 0 else {
            return Constant(DenseTensor(type: type, storage: type.dtype.emptyStorage))
        }
        if tensor.isExternal {
            guard tensor.raw == nil, tensor.typed == nil else {
                throw tensor.error(.invalid, "has data both in the model and in another file")
            }
            // On a line of its own: the range may add a file, which `constant` has to see.
            let range = try files.range(of: tensor, byteCount: type.byteCount)
            return try constant(type, at: range)
        }
        guard tensor.raw == nil || tensor.typed == nil else {
            throw tensor.error(.invalid, "has both raw_data and typed data")
        }
        if let raw = tensor.raw {
            try tensor.check(raw.count, of: type)
            return try constant(type, at: raw.inModel)
        }
        guard let typed = tensor.typed else { throw tensor.error(.invalid, "has no data") }
        if typed.pieceCount == 1, typed.holdsElementsSideBySide(of: type.dtype) {
            try tensor.check(typed.firstPiece.count, of: type)
            return try constant(type, at: typed.firstPiece.inModel)
        }
        return Constant(try decodeTyped(tensor, type))
    }

    private func constant(_ type: TensorType, at range: FileRange) throws(ImportError) -> Constant {
        let limit = type.dtype.mayHoldShapes ? largestIntegerLiteral : largestLiteral
        guard range.byteCount <= limit else { return Constant(type: type, source: .file(range)) }
        let bytes = try readBytes(
            range.offset..<(range.offset + range.byteCount),
            of: files.files[range.file]
        )
        return Constant(DenseTensor(type: type, littleEndian: bytes))
    }

    /// Typed data in pieces, or as varints: there is no range of bytes that could be used later.
    private func decodeTyped(
        _ tensor: TensorRecord,
        _ type: TensorType
    ) throws(ImportError) -> DenseTensor {
        let field = tensor.typed.flatMap { TypedField(rawValue: $0.number) }
        guard let field, field == type.dtype.typedField else {
            throw tensor.error(
                .invalid,
                "of type \(type.dtype) has its elements in \(field?.name ?? "no field")"
            )
        }
        // Each element takes at least one byte of the message, so the file bounds the memory.
        guard type.elementCount <= tensor.message.count else {
            throw tensor.error(.invalid, "has fewer elements than its shape \(type) needs")
        }
        var elements = TypedElements(type)
        try tensor.forEachTypedElement(in: source) { elements.append($0) }
        guard elements.count == type.elementCount else {
            throw tensor.error(
                .invalid,
                "has \(elements.count) elements, but \(type) needs \(type.elementCount)"
            )
        }
        guard !elements.isOutOfRange else {
            throw tensor.error(.invalid, "has an element that does not fit \(type.dtype)")
        }
        return DenseTensor(type: type, storage: elements.storage)
    }
}

extension Range<Int> {
    /// These bytes of the model file itself.
    fileprivate var inModel: FileRange {
        FileRange(file: 0, offset: lowerBound, byteCount: count)
    }
}

extension TensorRecord {
    /// The type the record declares, once its dimensions are known to be sane.
    func type() throws(ImportError) -> TensorType {
        guard let dtype = Int32(exactly: dataType).flatMap(DType.init(rawValue:)) else {
            guard dataType != 0 else { throw error(.invalid, "has no element type") }
            throw ImportError(
                .unsupported,
                "tensors of type \(dataTypeName(dataType))",
                location: .init(field: field, byte: message.lowerBound)
            )
        }
        let shape = dims.map { Int($0) }
        guard isSaneShape(shape, dtype) else {
            throw error(.invalid, "has the shape \(shape), which no memory can hold")
        }
        return TensorType(dtype, shape)
    }

    fileprivate func check(_ byteCount: Int, of type: TensorType) throws(ImportError) {
        guard byteCount == type.byteCount else {
            throw error(.invalid, "has \(byteCount) bytes, but \(type) needs \(type.byteCount)")
        }
    }
}

/// Whether sizes computed from `shape` cannot overflow: no negative dimension, at most 64 of
/// them, and a product (zeros left out) far below the largest integer.
func isSaneShape(_ shape: [Int], _ dtype: DType) -> Bool {
    guard shape.count <= 64 else { return false }
    var product = dtype.byteCount
    for dimension in shape {
        guard dimension >= 0 else { return false }
        let (next, overflow) = product.multipliedReportingOverflow(by: max(dimension, 1))
        guard !overflow, next < 1 << 56 else { return false }
        product = next
    }
    return true
}

/// The name ONNX gives to a type of elements, for errors.
func dataTypeName(_ code: Int64) -> String {
    let names: [Int64: String] = [
        0: "undefined", 8: "string", 14: "complex64", 15: "complex128", 17: "float8e4m3fn",
        18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4",
        23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2", 27: "float6e2m3",
        28: "float6e3m2",
    ]
    if let dtype = Int32(exactly: code).flatMap(DType.init(rawValue:)) { return "\(dtype)" }
    return names[code] ?? "number \(code)"
}
