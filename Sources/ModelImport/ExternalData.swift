import GraphIR
import TensorMemory

/// The files a model consists of: the model itself, and the files its weights are kept in.
///
/// Files that tensors refer to must lie in the directory of the model, links followed: a model
/// from elsewhere must not be able to read any other file of this machine.
struct ModelFiles {
    private(set) var files: [WeightFile]
    /// Where each resolved path stands in `files`.
    private var indices: [String: Int]
    /// Locations already checked, so that a thousand tensors of one file resolve it once.
    private var checked: [String: Int] = [:]
    /// The directory of the model, as it was written.
    private let directory: String

    init(model: WeightFile) throws(ImportError) {
        files = [model]
        indices = model.isInMemory ? [:] : [try resolve(model.path, field: ""): 0]
        let parent = model.path.lastIndex(of: "/").map { model.path[...$0] } ?? "./"
        directory = String(parent)
    }

    /// The bytes of a tensor whose data stand in another file.
    mutating func range(
        of tensor: TensorRecord,
        byteCount: Int
    ) throws(ImportError) -> FileRange {
        var location: String?
        var offset = 0
        var length: Int?
        for entry in tensor.external {
            switch entry.key {
            case "location": location = entry.value
            case "offset": offset = try number(entry, of: tensor)
            case "length": length = try number(entry, of: tensor)
            default: break  // A checksum, or the base path of the tool that wrote the file.
            }
        }
        guard let location else {
            throw tensor.error(.invalid, "is in an external file, but no location is given")
        }
        guard length == nil || length == byteCount else {
            throw tensor.error(
                .invalid,
                "needs \(byteCount) bytes, but its external data has \(length ?? 0)"
            )
        }
        let index = try open(location, for: tensor)
        let available = files[index].byteCount
        guard offset <= available, byteCount <= available - offset else {
            throw tensor.error(
                .truncated,
                "needs bytes \(offset) to \(offset.addingReportingOverflow(byteCount).partialValue)"
                    + " of \(quoted(location)), which has \(available)",
                remedy: "fetch that file again: its end is missing"
            )
        }
        return FileRange(file: index, offset: offset, byteCount: byteCount)
    }

    private func number(
        _ entry: TensorRecord.ExternalEntry,
        of tensor: TensorRecord
    ) throws(ImportError) -> Int {
        guard let value = Int(entry.value), value >= 0 else {
            throw tensor.error(
                .invalid,
                "has \(quoted(entry.value)) as \(entry.key) of its external data"
            )
        }
        return value
    }

    private mutating func open(
        _ location: String,
        for tensor: TensorRecord
    ) throws(ImportError) -> Int {
        if let index = checked[location] { return index }
        let parts = location.split(separator: "/", omittingEmptySubsequences: false)
        guard !location.isEmpty, !location.hasPrefix("/"), !location.contains("\0"),
            !parts.contains("..")
        else { throw escape(location, of: tensor) }

        let root = try resolve(directory, field: tensor.field)
        let path = try resolve(directory + location, field: tensor.field)
        guard path.hasPrefix(root == "/" ? root : root + "/") else {
            throw escape(location, of: tensor)
        }
        if let index = indices[path] {
            checked[location] = index
            return index
        }
        do throws(FileError) {
            files.append(try WeightFile(path: path))
        } catch {
            throw ImportError(error, field: tensor.field)
        }
        indices[path] = files.count - 1
        checked[location] = files.count - 1
        return files.count - 1
    }

    private func escape(_ location: String, of tensor: TensorRecord) -> ImportError {
        tensor.error(
            .invalid,
            "has its data at \(quoted(location)), outside the model's directory",
            remedy: "put the file into the directory of the model"
        )
    }
}

private func resolve(_ path: String, field: String) throws(ImportError) -> String {
    do throws(FileError) {
        return try resolvedPath(path)
    } catch {
        throw ImportError(error, field: field)
    }
}
