import Glibc
import Sluice

/// The detector that comes with the command.
///
/// An installed command has it in `PREFIX/share/sluice`. One that was built in a checkout looks
/// for the checkout among the directories above it.
///
/// - Throws: `SluiceError` of kind `.missingFile` when there is none.
func installedDetector() throws(SluiceError) -> String {
    let directory = commandPath().split(separator: "/").dropLast()
    func path(_ above: some Collection<Substring>, _ file: String) -> String {
        "/" + (Array(above) + [Substring(file)]).joined(separator: "/")
    }
    let installed = path(directory.dropLast(), "share/sluice/digits.onnx")
    var candidates = [installed]
    for count in directory.indices.reversed() {
        candidates.append(path(directory.prefix(count), "tools/detector/digits.onnx"))
    }
    if let found = candidates.first(where: { access($0, R_OK) == 0 }) { return found }
    throw SluiceError(
        .missingFile,
        "\(installed): the detector is missing that `make install` puts there; "
            + "name one with --model"
    )
}

/// The file this process was started from, with symbolic links resolved; empty when unknown.
private func commandPath() -> String {
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let capacity = bytes.count
    let count = bytes.withUnsafeMutableBytes { buffer in
        buffer.baseAddress.map { readlink("/proc/self/exe", $0, capacity) } ?? 0
    }
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
}
