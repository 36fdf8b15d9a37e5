import Glibc

/// Why a file of a model could not be opened or read.
package struct FileError: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// Nothing has this path.
        case missing
        /// The path names a directory, a pipe or a device.
        case notRegular
        /// The process has no file descriptor left.
        case tooManyOpenFiles
        /// The system refused; the message says why.
        case unreadable
        /// The file ends before the bytes asked for: it shrank after it was opened.
        case truncated
    }

    package var kind: Kind
    package var path: String
    package var message: String

    package init(kind: Kind, path: String, message: String) {
        self.kind = kind
        self.path = path
        self.message = message
    }
}

extension FileError: CustomStringConvertible {
    package var description: String { "\(path): \(message)" }
}

/// A model file, or a file with weights beside it, open for reading.
///
/// Bytes are read by position, so any number of threads may read at once. The file is never
/// mapped: memory the weights take is always an arena's, and a file that shrinks while it is in
/// use is an error rather than a signal. A model that a program made is a file in memory.
package final class WeightFile: Sendable {
    /// The path it was opened at; of a file in memory, its name.
    package let path: String
    /// The size when the file was opened.
    package let byteCount: Int
    private let contents: Contents

    private enum Contents: Sendable {
        case descriptor(Int32)
        case bytes([UInt8])
    }

    /// A file of these bytes that is on no disk.
    package init(contents: [UInt8], name: String) {
        path = name
        byteCount = contents.count
        self.contents = .bytes(contents)
    }

    /// Whether the file is on no disk.
    package var isInMemory: Bool {
        if case .bytes = contents { return true }
        return false
    }

    package init(path: String) throws(FileError) {
        // Without O_NONBLOCK a named pipe would wait here for a writer that never comes.
        var opened: Int32
        repeat {
            opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        } while opened < 0 && errno == EINTR
        guard opened >= 0 else { throw FileError(opening: path, number: errno) }

        var status = stat()
        guard fstat(opened, &status) == 0 else {
            let number = errno
            close(opened)
            throw FileError(opening: path, number: number)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(opened)
            let what = status.st_mode & S_IFMT == S_IFDIR ? "a directory" : "not a regular file"
            throw FileError(kind: .notRegular, path: path, message: "is \(what)")
        }
        self.path = path
        self.byteCount = Int(status.st_size)
        contents = .descriptor(opened)
    }

    deinit {
        if case .descriptor(let descriptor) = contents { close(descriptor) }
    }

    /// Reads exactly the bytes of `range` to the start of `target`.
    ///
    /// - Precondition: `target` holds at least `range.count` bytes, and `range` starts at 0 or
    ///   later.
    package func read(
        _ range: Range<Int>,
        into target: UnsafeMutableRawBufferPointer
    ) throws(FileError) {
        precondition(range.lowerBound >= 0)
        precondition(target.count >= range.count)
        guard let base = target.baseAddress else { return }
        var done = 0
        while done < range.count {
            let position = range.lowerBound + done
            let count = read(at: position, into: base + done, atMost: range.count - done)
            if count > 0 {
                done += count
            } else if count == 0 {
                throw FileError(
                    kind: .truncated,
                    path: path,
                    message: "ends before byte \(position); it had \(byteCount) bytes when opened"
                )
            } else if errno != EINTR {
                throw FileError(
                    kind: .unreadable,
                    path: path,
                    message: "reading at byte \(position) failed: \(describe(errno))"
                )
            }
        }
    }

    /// Like `pread`: how many bytes were read, 0 behind the end, -1 when the system refuses.
    private func read(
        at position: Int,
        into target: UnsafeMutableRawPointer,
        atMost limit: Int
    ) -> Int {
        switch contents {
        case .descriptor(let descriptor):
            return pread(descriptor, target, limit, off_t(position))
        case .bytes(let bytes):
            let count = min(limit, max(0, bytes.count - position))
            bytes.withUnsafeBytes { source in
                if count > 0, let base = source.baseAddress {
                    target.copyMemory(from: base + position, byteCount: count)
                }
            }
            return count
        }
    }
}

extension FileError {
    fileprivate init(opening path: String, number: Int32) {
        let kind: Kind =
            switch number {
            case ENOENT, ENOTDIR: .missing
            case EMFILE, ENFILE: .tooManyOpenFiles
            default: .unreadable
            }
        self.init(kind: kind, path: path, message: "cannot be opened: \(describe(number))")
    }
}

/// The absolute path of an existing file or directory, with every symbolic link followed.
package func resolvedPath(_ path: String) throws(FileError) -> String {
    guard let resolved = realpath(path, nil) else {
        throw FileError(opening: path, number: errno)
    }
    defer { free(resolved) }
    return String(cString: resolved)
}

/// What the system says about an `errno`.
private func describe(_ number: Int32) -> String {
    guard let text = strerror(number) else { return "error \(number)" }
    return String(cString: text)
}
