import CStb
import TensorMemory

/// Decodes a PNG or JPEG file; `channels` is 1 or 3.
///
/// The decoder knows more formats, and believes what a header says. Here only the two get to it,
/// a picture whose size no file of this length can hold is refused before memory is taken for it,
/// a JPEG file that was cut off is an error instead of a picture that ends in gray, and one whose scans
/// need tables that are not there does not read what happens to be in memory.
func readImage(path: String, channels: Int) throws(SluiceError) -> Image {
    func refusal(_ reason: String) -> SluiceError {
        SluiceError(
            .badData,
            "'\(path)' is not a picture Sluice can read (\(reason)); give a PNG or JPEG file"
        )
    }
    func reading<Value>(_ body: () throws(FileError) -> Value) throws(SluiceError) -> Value {
        do throws(FileError) {
            return try body()
        } catch {
            throw SluiceError(.missingFile, "cannot read image '\(path)': \(error.message)")
        }
    }
    let file = try reading { () throws(FileError) in try WeightFile(path: path) }
    let start = try reading { () throws(FileError) in
        try readBytes(0..<min(4, file.byteCount), of: file)
    }
    let isJPEG = start.starts(with: [0xff, 0xd8])
    guard isJPEG || start == [0x89, 0x50, 0x4e, 0x47] else { throw refusal("unknown image type") }
    guard let length = Int32(exactly: file.byteCount) else { throw refusal("larger than 2 GiB") }
    let bytes = try reading { () throws(FileError) in
        try readBytes(0..<file.byteCount, of: file)
    }
    if isJPEG, let problem = jpegProblem(bytes) { throw refusal(problem) }

    func failure() -> SluiceError {
        refusal(stbi_failure_reason().map { String(cString: $0) } ?? "unreadable")
    }
    func refuseImpossible(width: Int, height: Int) throws(SluiceError) {
        guard width * height > mostPixelsPerByte * bytes.count else { return }
        throw refusal("\(bytes.count) bytes cannot hold \(width) x \(height) pixels")
    }
    // For a PNG of too many pixels the decoder only says that it is none.
    if let claimed = sizeInPNGHeader(bytes) {
        try refuseImpossible(width: claimed.width, height: claimed.height)
    }
    var size: (width: Int32, height: Int32, channels: Int32) = (0, 0, 0)
    guard
        stbi_info_from_memory(bytes, length, &size.width, &size.height, &size.channels) != 0,
        size.width > 0, size.height > 0
    else { throw failure() }
    try refuseImpossible(width: Int(size.width), height: Int(size.height))
    guard
        let decoded = stbi_load_from_memory(
            bytes,
            length,
            &size.width,
            &size.height,
            &size.channels,
            Int32(channels)
        )
    else { throw failure() }
    defer { stbi_image_free(decoded) }
    let count = Int(size.width) * Int(size.height) * channels
    return Image(
        width: Int(size.width),
        height: Int(size.height),
        channels: channels,
        samples: Array(UnsafeBufferPointer(start: decoded, count: count))
    )
}

/// The most pixels a byte of a file can stand for.
///
/// Deflate makes up to 1032 bytes of each of its own, and a PNG file may have eight pixels in a
/// byte. JPEG stays below.
private let mostPixelsPerByte = 8 * 1032

/// What the first chunk of a PNG file says, if it is the header.
private func sizeInPNGHeader(_ bytes: [UInt8]) -> (width: Int, height: Int)? {
    guard bytes.count >= 24, bytes[12..<16].elementsEqual("IHDR".utf8) else { return nil }
    let number = { (range: Range<Int>) in bytes[range].reduce(0) { $0 << 8 | Int($1) } }
    // Larger ones would be negative for the decoder, which refuses them.
    let (width, height) = (number(16..<20), number(20..<24))
    return max(width, height) <= Int32.max ? (width, height) : nil
}
