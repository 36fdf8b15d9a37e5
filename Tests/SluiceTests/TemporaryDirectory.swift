import Glibc
import HostileInput
import Testing

/// A directory that exists while `body` runs.
struct TemporaryDirectory {
    let path: String

    static func with<Result>(_ body: (TemporaryDirectory) throws -> Result) throws -> Result {
        try withTemporaryDirectory { try body(TemporaryDirectory(path: $0)) }
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
