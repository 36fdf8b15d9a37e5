import Glibc
import Sluice
import Testing

@Suite("NumPy archives")
struct NPZTests {
    private let tensors = [
        "a": Tensor(shape: [2, 3], [1, 2, 3, 4, 5, 6]),
        "deep/name": Tensor(shape: [], [Int64(7)]),
        "empty": Tensor(shape: [0, 4], [UInt8]()),
    ]

    @Test("what is written is read again, and the same gives the same file")
    func roundTrip() throws {
        try TemporaryDirectory.with { directory in
            let folder = directory.path
            try Tensor.writeNPZ(tensors, to: folder + "/a.npz")
            #expect(try Tensor.readNPZ(path: folder + "/a.npz") == tensors)
            try Tensor.writeNPZ(["b": Tensor(shape: [1], [1])], to: folder + "/b.npz")
            try Tensor.writeNPZ(tensors, to: folder + "/b.npz")
            #expect(try Tensor.readNPZ(path: folder + "/b.npz") == tensors)
            #expect(try bytes(folder + "/a.npz") == bytes(folder + "/b.npz"))
        }
    }

    @Test("damaged and missing archives are errors")
    func damaged() throws {
        try TemporaryDirectory.with { directory in
            let folder = directory.path
            let path = folder + "/a.npz"
            let missing = #expect(throws: SluiceError.self) { try Tensor.readNPZ(path: path) }
            #expect(missing?.kind == .missingFile)
            try Tensor.writeNPZ(tensors, to: path)
            var contents = try bytes(path)
            let data = try #require(
                contents.indices.first { contents[$0...].starts(with: [0, 0, 128, 63]) }
            )
            contents[data] = 1
            try write(contents, path)
            let damaged = #expect(throws: SluiceError.self) { try Tensor.readNPZ(path: path) }
            #expect(damaged?.kind == .badData)
            for length in stride(from: 0, to: contents.count, by: 97) {
                try write(Array(contents[..<length]), path)
                let error = #expect(throws: SluiceError.self) { try Tensor.readNPZ(path: path) }
                #expect(error?.kind == .badData)
            }
            let nowhere = #expect(throws: SluiceError.self) {
                try Tensor.writeNPZ(tensors, to: folder + "/none/a.npz")
            }
            #expect(nowhere?.kind == .system)
        }
    }

    private func bytes(_ path: String) throws -> [UInt8] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return bytes
    }

    private func write(_ bytes: [UInt8], _ path: String) throws {
        let file = try #require(fopen(path, "w"))
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
        fclose(file)
    }
}
