import Glibc
import Sluice
import Testing

@Suite("NumPy files")
struct NPYTests {
    private func put(_ bytes: [UInt8], at path: String) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }

    private func read(_ bytes: [UInt8]) throws -> NPYArray {
        try withFile(named: "a.npy") { path in
            try put(bytes, at: path)
            return try readNPY(path: path)
        }
    }

    /// A file with this header, padded by nothing.
    private func file(_ header: String, version: UInt8 = 1, data: [UInt8] = []) -> [UInt8] {
        let count = header.utf8.count
        var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [version, 0]
        bytes += [UInt8(count & 0xff), UInt8(count >> 8)]
        if version > 1 { bytes += [0, 0] }
        return bytes + Array(header.utf8) + data
    }

    @Test("what is written is read back, and starts at a multiple of 64")
    func roundTrip() throws {
        let arrays = [
            NPYArray(dtype: .float32, shape: [2, 3], bytes: (0..<24).map { $0 }),
            NPYArray(dtype: .int64, shape: [], bytes: (0..<8).map { $0 }),
            NPYArray(dtype: .bool, shape: [3], bytes: [1, 0, 1]),
            NPYArray(dtype: .float16, shape: [0, 4], bytes: []),
            NPYArray(dtype: .uint8, shape: [Int](repeating: 1, count: 30), bytes: [9]),
        ]
        for array in arrays {
            try withFile(named: "a.npy") { path in
                try writeNPY(array, to: path)
                try writeNPY(array, to: path)
                let back = try readNPY(path: path)
                #expect(back.dtype == array.dtype)
                #expect(back.shape == array.shape)
                #expect(back.bytes == array.bytes)
                var status = stat()
                #expect(stat(path, &status) == 0)
                #expect((Int(status.st_size) - array.bytes.count).isMultiple(of: 64))
            }
        }
    }

    @Test("all versions, quotes and spacings of the header", arguments: 1...3)
    func versions(version: Int) throws {
        let header = "{\"descr\": '<i2','fortran_order':False, 'shape' : (2L,) }   \n"
        let array = try read(file(header, version: UInt8(version), data: [1, 0, 2, 0]))
        #expect(array.dtype == .int16)
        #expect(array.shape == [2])
        #expect(array.bytes == [1, 0, 2, 0])
    }

    @Test("column-major arrays are turned")
    func columnMajor() throws {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }"
        let array = try read(file(header, data: (0..<12).map { $0 }))
        #expect(array.bytes == [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11])
    }

    static let faulty: [(String, NPYError.Kind)] = [
        ("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", .unsupported),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", .unsupported),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", .unsupported),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", .malformed),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
            .malformed
        ),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4, 0), }",
            .malformed
        ),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", .malformed),
        ("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }", .malformed),
        ("{'descr': '<f4', 'shape': (1,), }", .malformed),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", .malformed),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", .malformed),
        ("{'descr': '<f4", .malformed), ("", .malformed), ("{", .malformed),
    ]

    @Test("headers that say something else are refused", arguments: faulty)
    func faultyHeaders(header: String, kind: NPYError.Kind) throws {
        let error = #expect(throws: NPYError.self) {
            _ = try read(file(header, data: [0, 0, 0, 0]))
        }
        #expect(error?.kind == kind)
        #expect(error?.byte != nil)
    }

    @Test("a file cut off or damaged anywhere is refused or read, never worse")
    func damagedFiles() throws {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n"
        let whole = file(header, data: [0, 0, 0, 0, 1, 1, 1, 1])
        #expect(try read(whole).shape == [2, 1])
        for count in 0..<whole.count {
            #expect(throws: NPYError.self) { _ = try read(Array(whole[..<count])) }
        }
        for index in whole.indices {
            var damaged = whole
            damaged[index] ^= 0x15
            _ = try? read(damaged)
        }
    }

    @Test("errors of the system name the file, and leave nothing behind")
    func systemErrors() throws {
        let array = NPYArray(dtype: .float32, shape: [1], bytes: [0, 0, 0, 0])
        try withFile(named: "a.npy") { path in
            #expect(throws: NPYError.self) { _ = try readNPY(path: path) }
            // The place is taken by a directory: the new file is complete, but cannot move there.
            #expect(mkdir(path, 0o755) == 0)
            let error = #expect(throws: NPYError.self) { try writeNPY(array, to: path) }
            #expect(error?.kind == .inputOutput)
            #expect(error?.path == path)
            #expect(rmdir(path) == 0)
        }
        #expect(throws: NPYError.self) { try writeNPY(array, to: "/nonexistent/a.npy") }
    }

    @Test("bfloat16 is written as two plain bytes and read again")
    func brainFloats() throws {
        let brain = NPYArray(dtype: .bfloat16, shape: [2], bytes: [0x80, 0x3f, 0, 0xc0])
        try withFile(named: "a.npy") { path in
            try writeNPY(brain, to: path)
            let read = try readNPY(path: path)
            #expect(read.dtype == .bfloat16)
            #expect(read.bytes == brain.bytes)
        }
    }
}
