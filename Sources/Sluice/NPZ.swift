import CZip
import Glibc
import GraphIR

extension Tensor {
    /// Reads all arrays of a NumPy `.npz` file, as `numpy.savez` and `numpy.savez_compressed` write
    /// them.
    public static func readNPZ(path: String) throws(SluiceError) -> [String: Tensor] {
        do throws(NPYError) {
            let archive = try ZipArchive(reading: path)
            var tensors: [String: Tensor] = [:]
            for index in 0..<archive.count {
                let member = try archive.member(index)
                let array = try Sluice.readNPY(path: "\(path):\(member.name)", member.bytes)
                let name =
                    member.name.hasSuffix(".npy") ? member.name.dropLast(4) : member.name[...]
                guard tensors.updateValue(Tensor(array), forKey: String(name)) == nil else {
                    throw NPYError(.malformed, path: path, "holds '\(name)' twice")
                }
            }
            return tensors
        } catch {
            throw SluiceError(error)
        }
    }

    /// Writes named tensors as a NumPy `.npz` file without compression, in the order of names.
    ///
    /// The file appears whole or not at all, also when the process is interrupted meanwhile.
    public static func writeNPZ(
        _ tensors: [String: Tensor],
        to path: String
    ) throws(SluiceError) {
        try uninterrupted { () throws(NPYError) in
            let archive = try ZipArchive(writing: path)
            for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
                let type = TensorType(tensor.elementType.dtype, tensor.shape)
                guard let prefix = npyPrefix(type) else {
                    throw NPYError(.unsupported, path: path, "NumPy files cannot hold \(type)")
                }
                try archive.add("\(name).npy", prefix, tensor.bytes)
            }
            try archive.finish()
        }
    }
}

/// A zip file that is open; changes are lost unless it is finished.
private final class ZipArchive {
    private let path: String
    private var archive: OpaquePointer?
    /// Of one that is read.
    private var fileByteCount: UInt64 = 0

    convenience init(reading path: String) throws(NPYError) {
        try self.init(path, ZIP_RDONLY)
        var status = stat()
        if stat(path, &status) == 0 { fileByteCount = UInt64(status.st_size) }
    }

    convenience init(writing path: String) throws(NPYError) {
        try self.init(path, ZIP_CREATE | ZIP_TRUNCATE)
    }

    private init(_ path: String, _ flags: Int32) throws(NPYError) {
        self.path = path
        var code: Int32 = 0
        archive = zip_open(path, flags, &code)
        guard archive != nil else {
            let isMissing = code == ZIP_ER_NOENT
            let isSystem = [ZIP_ER_OPEN, ZIP_ER_READ, ZIP_ER_SEEK].contains(code)
            var error = zip_error_t()
            zip_error_init_with_code(&error, code)
            defer { zip_error_fini(&error) }
            throw NPYError(
                isMissing ? .missing : isSystem ? .inputOutput : .malformed,
                path: path,
                "cannot be opened as a .npz file: \(String(cString: zip_error_strerror(&error)))"
            )
        }
    }

    deinit {
        if let archive { zip_discard(archive) }
    }

    var count: UInt64 { UInt64(max(zip_get_num_entries(archive, 0), 0)) }

    /// Unpacks a member.
    func member(_ index: UInt64) throws(NPYError) -> (name: String, bytes: [UInt8]) {
        var status = zip_stat_t()
        guard zip_stat_index(archive, index, 0, &status) == 0, let text = status.name else {
            throw failure(.malformed, "its list of members is broken")
        }
        let name = String(cString: text)
        // What deflate can save has a limit, and what it made is in the file: a small one cannot have
        // all memory for itself.
        guard status.comp_size <= fileByteCount, status.size / 1100 <= status.comp_size + 1 else {
            throw failure(.malformed, "'\(name)' claims to be \(status.size) bytes, too many")
        }
        if let error = NPYError(holding: status.size, path: "\(path):\(name)") { throw error }
        guard let file = zip_fopen_index(archive, index, 0) else {
            throw failure(.malformed, "'\(name)' cannot be unpacked")
        }
        defer { zip_fclose(file) }
        var bytes = [UInt8](repeating: 0, count: Int(status.size))
        let isWhole = bytes.withUnsafeMutableBytes { target -> Bool in
            var done = 0
            while let base = target.baseAddress, done < target.count {
                let count = zip_fread(file, base + done, UInt64(target.count - done))
                guard count > 0 else { return false }
                done += Int(count)
            }
            // The checksum is compared where the data ends.
            var extra: UInt8 = 0
            return zip_fread(file, &extra, 1) == 0
        }
        guard isWhole else { throw failure(.malformed, "'\(name)' is damaged") }
        return (name, bytes)
    }

    /// Adds a member of these bytes, one after the other.
    func add(_ name: String, _ prefix: [UInt8], _ bytes: [UInt8]) throws(NPYError) {
        // The archive reads the bytes when it is finished, and frees them.
        guard let copy = malloc(prefix.count + bytes.count) else {
            throw failure(.inputOutput, "no memory for '\(name)'")
        }
        copy.copyMemory(from: prefix, byteCount: prefix.count)
        (copy + prefix.count).copyMemory(from: bytes, byteCount: bytes.count)
        let count = UInt64(prefix.count + bytes.count)
        guard let source = zip_source_buffer(archive, copy, count, 1) else {
            free(copy)
            throw failure(.inputOutput, "'\(name)' cannot be added")
        }
        let index = zip_file_add(archive, name, source, UInt32(ZIP_FL_ENC_UTF_8))
        guard index >= 0 else {
            zip_source_free(source)
            throw failure(.inputOutput, "'\(name)' cannot be added")
        }
        zip_set_file_compression(archive, UInt64(index), ZIP_CM_STORE, 0)
        // The first day the format knows: the same tensors give the same file.
        zip_file_set_mtime(archive, UInt64(index), 315_532_800, 0)
    }

    /// Writes the file.
    func finish() throws(NPYError) {
        guard zip_close(archive) == 0 else { throw failure(.inputOutput, "cannot be written") }
        archive = nil
    }

    private func failure(_ kind: NPYError.Kind, _ what: String) -> NPYError {
        let detail = zip_strerror(archive).map { String(cString: $0) } ?? ""
        return NPYError(kind, path: path, detail == "No error" ? what : "\(what): \(detail)")
    }
}
