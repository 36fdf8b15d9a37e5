import Glibc

/// A path in the folder for temporary files at which `make`, mkstemp or mkdtemp, has made something.
package func temporaryPath(by make: (UnsafeMutablePointer<CChar>) -> Bool) -> String {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir
    var template = Array("\(parent)/sluice-tests-XXXXXX".utf8CString)
    let isMade = template.withUnsafeMutableBufferPointer { $0.baseAddress.map(make) ?? false }
    precondition(isMade, "nothing can be made in \(parent)")
    return String(
        decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) },
        as: UTF8.self
    )
}

/// A directory that exists while `body` runs.
package func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) rethrows -> Result {
    let path = temporaryPath { mkdtemp($0) != nil }
    defer { removeTree(path) }
    return try body(path)
}

private func removeTree(_ path: String) {
    if let directory = opendir(path) {
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { removeTree(path + "/" + name) }
        }
        closedir(directory)
    }
    remove(path)
}
