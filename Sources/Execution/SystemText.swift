import Glibc

/// The first number after `key` in a file of lines that start with a key.
package func readField(_ path: String, _ key: String) -> Int? {
    guard let text = readText(path) else { return nil }
    for line in text.split(separator: "\n") {
        let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == ":" })
        if words.first.map({ $0 == key }) == true, words.count > 1 { return Int(words[1]) }
    }
    return nil
}

/// A small text file of the system; nil when it cannot be read.
package func readText(_ path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        guard count > 0 else { break }
        text += buffer[..<count]
    }
    return ferror(file) == 0 ? String(decoding: text, as: UTF8.self) : nil
}
