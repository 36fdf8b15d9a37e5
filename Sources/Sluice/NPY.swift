import GraphIR
import TensorMemory

/// An array as a NumPy file holds it: its elements in row-major order, little-endian.
package struct NPYArray: Sendable {
    package var dtype: DType
    package var shape: [Int]
    package var bytes: [UInt8]

    package init(dtype: DType, shape: [Int], bytes: [UInt8]) {
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }
}

/// Reads a NumPy file of version 1, 2 or 3.
///
/// Column-major arrays are turned to row-major order.
package func readNPY(path: String) throws(NPYError) -> NPYArray {
    let result: Result<NPYArray, NPYError>
    do throws(FileError) {
        let file = try WeightFile(path: path)
        result = try readNPY(path: path, byteCount: file.byteCount) { range throws(FileError) in
            try readBytes(range, of: file)
        }
    } catch {
        throw NPYError(
            error.kind == .missing ? .missing : .inputOutput,
            path: error.path,
            error.message
        )
    }
    return try result.get()
}

/// The same for a file that is in memory, such as a member of an archive.
func readNPY(path: String, _ contents: [UInt8]) throws(NPYError) -> NPYArray {
    let result: Result<NPYArray, NPYError>
    do throws(FileError) {
        result = try readNPY(path: path, byteCount: contents.count) { Array(contents[$0]) }
    } catch {
        throw NPYError(.inputOutput, path: path, error.message)
    }
    return try result.get()
}

/// The two kinds of failure are kept apart until here: what the system says, and what is wrong
/// with the contents.
private func readNPY(
    path: String,
    byteCount fileByteCount: Int,
    _ bytes: (Range<Int>) throws(FileError) -> [UInt8]
) throws(FileError) -> Result<NPYArray, NPYError> {
    func malformed(_ reason: String, at byte: Int) -> Result<NPYArray, NPYError> {
        .failure(NPYError(.malformed, path: path, byte: byte, reason))
    }

    // The version decides whether the length of the header takes two bytes or four.
    let preamble = try bytes(0..<min(12, fileByteCount))
    guard preamble.starts(with: npyMagic) else {
        return malformed("is not a NumPy file: it does not start with \\x93NUMPY", at: 0)
    }
    guard preamble.count == 12 else { return malformed("ends within its header", at: 6) }
    guard (1...3).contains(preamble[6]) else {
        let reason = "has version \(preamble[6]) of the format; 1 to 3 are known"
        return .failure(NPYError(.unsupported, path: path, byte: 6, reason))
    }
    let lengthBytes = preamble[8..<(preamble[6] == 1 ? 10 : 12)]
    let length = lengthBytes.reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= fileByteCount - lengthBytes.endIndex else {
        return malformed("ends within its header of \(length) bytes", at: lengthBytes.endIndex)
    }
    let start = lengthBytes.endIndex + length

    let header: NPYHeader
    var parser = NPYHeaderParser(try bytes(lengthBytes.endIndex..<start))
    switch parser.parsed() {
    case .success(let parsed): header = parsed
    case .failure(let error):
        return .failure(
            NPYError(
                error.isUnsupported ? .unsupported : .malformed,
                path: path,
                byte: lengthBytes.endIndex + error.byte,
                error.reason
            )
        )
    }
    guard let byteCount = npyByteCount(header) else {
        return malformed("has the shape \(header.shape), which no memory can hold", at: start)
    }
    guard byteCount == fileByteCount - start else {
        let reason =
            "has \(fileByteCount - start) bytes of data, but its shape "
            + "\(header.shape) of \(header.dtype) needs \(byteCount)"
        return malformed(reason, at: start)
    }
    if let error = NPYError(holding: UInt64(byteCount), path: path) { return .failure(error) }
    var data = try bytes(start..<(start + byteCount))
    if header.isFortranOrder {
        data = rowMajor(data, shape: header.shape, width: header.dtype.byteCount)
    }
    return .success(NPYArray(dtype: header.dtype, shape: header.shape, bytes: data))
}

/// The bytes of `range` of `file`.
func readBytes(_ range: Range<Int>, of file: WeightFile) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    try bytes.withUnsafeMutableBufferPointer { (target) throws(FileError) in
        try file.read(range, into: UnsafeMutableRawBufferPointer(target))
    }
    return bytes
}

/// The bytes all elements take; nil when that is beyond any memory.
private func npyByteCount(_ header: NPYHeader) -> Int? {
    var product = header.dtype.byteCount
    for dimension in header.shape {
        let (next, overflow) = product.multipliedReportingOverflow(by: max(dimension, 1))
        guard !overflow, next < 1 << 56 else { return nil }
        product = next
    }
    return header.shape.contains(0) ? 0 : product
}

/// Reorders elements whose first axis varies fastest so that the last one does.
private func rowMajor(_ source: [UInt8], shape: [Int], width: Int) -> [UInt8] {
    guard shape.count > 1, !source.isEmpty else { return source }
    var strides: [Int] = []
    var stride = width
    for dimension in shape {
        strides.append(stride)
        stride *= dimension
    }
    var target: [UInt8] = []
    target.reserveCapacity(source.count)
    var index = [Int](repeating: 0, count: shape.count)
    var offset = 0
    while target.count < source.count {
        target.append(contentsOf: source[offset..<(offset + width)])
        var axis = shape.count - 1
        while axis >= 0 {
            index[axis] += 1
            offset += strides[axis]
            if index[axis] < shape[axis] { break }
            offset -= index[axis] * strides[axis]
            index[axis] = 0
            axis -= 1
        }
    }
    return target
}
