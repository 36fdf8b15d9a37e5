import Glibc
import HostileInput
import Sluice
import Testing

/// The root of the repository.
private let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

/// The files that fuzzing starts from: small and good ones, and those that broke something once.
func corpus(_ target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
    let directory = root + "/Tests/Fuzz/corpus/" + target.corpus
    return try listing(of: directory).map { ($0, try contents(of: directory + "/" + $0)) }
}

private func listing(of directory: String) throws -> [String] {
    let stream = try #require(opendir(directory))
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
}

private func contents(of path: String) throws -> [UInt8] {
    let file = try #require(fopen(path, "re"))
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 {
        bytes += buffer[..<count]
    }
    return bytes
}

/// A crash ends the process and with it the test run; an endless loop does not end it.
@Suite("Files that are cut off, damaged or malicious, through the library")
struct HostileFileTests {
    @Test("every file that fuzzing kept is read or refused", arguments: FuzzTarget.allCases)
    func corpusIsReadOrRefused(target: FuzzTarget) throws {
        let files = try corpus(target)
        #expect(files.contains { target.accept($0.bytes) })
        #expect(files.count > 10)
    }

    @Test("a file cut off anywhere is read or refused", arguments: FuzzTarget.allCases)
    func cutOffAnywhere(target: FuzzTarget) throws {
        for (name, bytes) in try corpus(target) {
            for file in Damage(of: bytes).cutOff {
                let isGood = target.accept(file)
                // What a header counts has to be there to the last byte.
                #expect(!isGood || target != .array, "\(name), \(file.count) bytes")
            }
        }
    }

    @Test("a file with changed bytes is read or refused", arguments: FuzzTarget.allCases)
    func changedBytes(target: FuzzTarget) throws {
        for (number, file) in try corpus(target).enumerated() {
            let damage = Damage(of: file.bytes, seed: UInt64(number + 1))
            if target != .plan { for file in damage.changed { target.accept(file) } }
            for file in damage.scattered(150) { target.accept(file) }
        }
    }

    @Test("a model with any one number at an extreme is planned or refused")
    func extremeNumbers() throws {
        for (name, bytes) in try corpus(.plan) {
            let tree = try #require(ProtobufTree(bytes), "\(name)")
            tree.withExtremes { FuzzTarget.plan.accept($0) }
        }
    }

    @Test("a large model is read or refused, wherever it is cut off or changed")
    func largeModel() throws {
        let bytes = try contents(of: root + "/tools/detector/digits.onnx")
        #expect(bytes.count > 8 << 10)
        let boundaries = try #require(ProtobufTree(bytes)).boundaries
        #expect(boundaries.count > 100)
        let damage = Damage(of: bytes, boundaries: boundaries)
        #expect(damage.cutOff.count(where: FuzzTarget.model.accept) < boundaries.count)
        for file in damage.changed { FuzzTarget.model.accept(file) }
        for file in damage.scattered(100) { FuzzTarget.plan.accept(file) }
    }

    @Test("labels that do not fit the classes are refused, not used")
    func damagedLabels() throws {
        let bytes = try contents(of: root + "/tools/detector/digits.onnx")
        let labels = Array("0,1,2,3,4,5,6,7,8,9".utf8)
        let start = try #require(
            bytes.indices.first { bytes[$0...].starts(with: labels) },
            "the labels stand in the file as text"
        )
        func opens(_ bytes: [UInt8]) throws -> Bool {
            try withFile(of: bytes) { path in
                do throws(SluiceError) {
                    _ = try Detector(model: Model(path: path))
                    return true
                } catch {
                    #expect(error.kind == .badData)
                    return false
                }
            }
        }
        #expect(try opens(bytes))
        for offset in labels.indices {
            var damaged = bytes
            damaged[start + offset] ^= 0x40
            // A comma that is gone makes one label of two.
            let isComma = labels[offset] == UInt8(ascii: ",")
            #expect(try opens(damaged) != isComma)
        }
        var invalid = bytes
        invalid[start] = 0xff
        #expect(try !opens(invalid))
    }
}
