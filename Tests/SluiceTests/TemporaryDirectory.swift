import Glibc
import Testing

/// A directory that exists while `body` runs.
struct TemporaryDirectory {
    let path: String

    static func with<Result>(_ body: (TemporaryDirectory) throws -> Result) throws -> Result {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir
        var template = Array("\(parent)/sluice-tests-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        let path = try #require(made)
        defer { removeTree(path) }
        return try body(TemporaryDirectory(path: path))
    }

    private static func removeTree(_ path: String) {
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

    /// Writes a file and the directories it is in; returns its path.
    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let parts = name.split(separator: "/")
        for count in 1..<max(parts.count, 1) {
            mkdir(path + "/" + parts[..<count].joined(separator: "/"), 0o777)
        }
        let file = try #require(fopen(path + "/" + name, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
        return path + "/" + name
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }
}

/// Calls `body` with a path in a directory of its own, which must hold nothing else afterwards.
func withFile<Result>(named name: String, _ body: (String) throws -> Result) throws -> Result {
    try TemporaryDirectory.with { directory in
        let path = directory.path + "/" + name
        defer {
            unlink(path)
            #expect(rmdir(directory.path) == 0)
        }
        return try body(path)
    }
}
