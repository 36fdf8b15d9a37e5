import Glibc
import GraphIR
import Synchronization

/// Writes an array as a NumPy file of version 1.0.
///
/// The file appears whole or not at all: it is written beside `path` under another name first,
/// and an earlier file at `path` stays until then.
package func writeNPY(_ array: NPYArray, to path: String) throws(NPYError) {
    try array.bytes.withUnsafeBufferPointer { (bytes) throws(NPYError) in
        try writeNPY(
            TensorType(array.dtype, array.shape),
            UnsafeRawBufferPointer(bytes),
            to: path
        )
    }
}

/// Writes the elements of an array that stands in memory, in row-major order, little-endian.
///
/// - Precondition: `bytes` has exactly the bytes that `type` needs.
package func writeNPY(
    _ type: TensorType,
    _ bytes: UnsafeRawBufferPointer,
    to path: String
) throws(NPYError) {
    precondition(bytes.count == type.byteCount)
    guard let prefix = npyPrefix(type) else {
        throw NPYError(
            .unsupported,
            path: path,
            "NumPy files cannot hold \(type); cast the output to float32"
        )
    }
    try writeAtomically(to: path) { (descriptor) throws(NPYError) in
        try prefix.withUnsafeBufferPointer { (buffer) throws(NPYError) in
            try writeAll(UnsafeRawBufferPointer(buffer), to: descriptor, path: path)
        }
        try writeAll(bytes, to: descriptor, path: path)
    }
}

/// Writes a whole file; it appears complete or not at all.
func writeFile(_ bytes: UnsafeRawBufferPointer, to path: String) throws(NPYError) {
    try writeAtomically(to: path) { (descriptor) throws(NPYError) in
        try writeAll(bytes, to: descriptor, path: path)
    }
}

/// Tells temporary files of one process apart.
private let temporaryFileCount = Atomic<Int>(0)

/// Lets `body` write a new file in the directory of `path`, then puts it in the place of `path`.
///
/// On failure the new file is removed.
private func writeAtomically(
    to path: String,
    _ body: (Int32) throws(NPYError) -> Void
) throws(NPYError) {
    let name = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    guard !name.isEmpty else { throw NPYError(.inputOutput, path: path, "names no file") }
    let directory = path.dropLast(name.count)

    var temporary = ""
    var descriptor: Int32 = -1
    repeat {
        let number = temporaryFileCount.add(1, ordering: .relaxed).newValue
        temporary = "\(directory).sluice-\(getpid())-\(number).tmp"
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    } while descriptor < 0 && (errno == EEXIST || errno == EINTR)
    guard descriptor >= 0 else { throw failure("cannot be written", path: path) }

    do throws(NPYError) {
        do throws(NPYError) {
            try body(descriptor)
        } catch {
            close(descriptor)
            throw error
        }
        // A full disk may show only now.
        guard close(descriptor) == 0 else { throw failure("cannot be closed", path: path) }
        guard rename(temporary, path) == 0 else { throw failure("cannot be replaced", path: path) }
    } catch {
        unlink(temporary)
        throw error
    }
}

private func writeAll(
    _ bytes: UnsafeRawBufferPointer,
    to descriptor: Int32,
    path: String
) throws(NPYError) {
    guard let base = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
        let count = write(descriptor, base + done, bytes.count - done)
        if count > 0 {
            done += count
        } else if count == 0 || errno != EINTR {
            throw failure("cannot be written", path: path)
        }
    }
}

/// An error with what the system says about the last call.
private func failure(_ what: String, path: String) -> NPYError {
    let reason = strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
    return NPYError(.inputOutput, path: path, "\(what): \(reason)")
}
