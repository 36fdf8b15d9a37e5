/// What is wrong with the segments of a JPEG file, as far as the decoder does not notice; nil when
/// nothing is.
///
/// An end may be missing. Huffman tables may be too long, or not there: the decoder would read memory that
/// is not its own.
func jpegProblem(_ bytes: [UInt8]) -> String? {
    let missing = "its end is missing"
    // Class (0: DC, 1: AC) and number of each table so far, as the file has them in one byte.
    var tables: Set<UInt8> = []
    var isProgressive = false
    var position = 2
    while true {
        // Bytes between segments, among them the pixels, are passed over.
        while position + 1 < bytes.count, !isMarker(bytes[position], bytes[position + 1]) {
            position += 1
        }
        guard position + 1 < bytes.count else { return missing }
        let marker = bytes[position + 1]
        if marker == 0xd9 { return nil }
        guard position + 4 <= bytes.count else { return missing }
        let length = Int(bytes[position + 2]) << 8 + Int(bytes[position + 3])
        let end = position + 2 + length
        guard length >= 2, end <= bytes.count else { return missing }
        let segment = bytes[(position + 4)..<max(end, position + 4)]
        switch marker {
        case 0xc2: isProgressive = true
        case 0xc4:
            guard let found = huffmanTables(segment) else { return "a Huffman table is broken" }
            tables.formUnion(found)
        case 0xda:
            guard tables.isSuperset(of: neededTables(segment, isProgressive: isProgressive)) else {
                return "a scan needs a Huffman table that is not there"
            }
        default: break
        }
        position = end
    }
}

/// Whether two bytes start a segment or end the file: no filler, no 0xff of the pixels, no restart.
private func isMarker(_ first: UInt8, _ second: UInt8) -> Bool {
    first == 0xff && second != 0 && second != 0xff && !(0xd0...0xd8 ~= second)
}

/// The tables that a segment defines.
///
/// Nil when one has more codes than a byte has values, or than there are bytes.
private func huffmanTables(_ segment: ArraySlice<UInt8>) -> [UInt8]? {
    var rest = segment
    var tables: [UInt8] = []
    while let table = rest.first {
        let codes = rest.dropFirst().prefix(16).reduce(0) { $0 + Int($1) }
        guard codes <= 256, rest.count >= 17 + codes else { return nil }
        tables.append(table)
        rest = rest.dropFirst(17 + codes)
    }
    return tables
}

/// The tables that a scan reads.
///
/// Its header has components with their tables, then the coefficients of a progressive scan, and whether
/// it refines them.
private func neededTables(_ header: ArraySlice<UInt8>, isProgressive: Bool) -> Set<UInt8> {
    guard let count = header.first, header.count >= 4 + 2 * Int(count) else { return [] }
    let numbers = stride(from: 2, through: 2 * Int(count), by: 2).map {
        header[header.startIndex + $0]
    }
    let tail = header.dropFirst(1 + 2 * Int(count))
    let (first, refines) = (tail[tail.startIndex], tail[tail.startIndex + 2] >> 4 > 0)
    let readsDC = !isProgressive || (first == 0 && !refines)
    let readsAC = !isProgressive || first > 0
    var needed: Set<UInt8> = []
    for number in numbers {
        if readsDC { needed.insert(number >> 4) }
        if readsAC { needed.insert(0x10 | number & 0xf) }
    }
    return needed
}
