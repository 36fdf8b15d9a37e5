import Glibc
import Testing

/// Bytes beside a buffer that no kernel may touch.
///
/// Comparing them afterwards shows what was written there. AddressSanitizer, where it is part of
/// the process, also stops whoever reads them; it sees only whole blocks of the allocator otherwise.
struct ForbiddenBytes {
    private typealias Marker = @convention(c) @Sendable (UnsafeRawPointer?, Int) -> Void
    private static let forbid = marker("__asan_poison_memory_region")
    private static let allow = marker("__asan_unpoison_memory_region")
    static var areWatched: Bool { forbid != nil }

    let bytes: UnsafeRawBufferPointer

    init(_ start: UnsafeRawPointer, count: Int) {
        bytes = UnsafeRawBufferPointer(start: start, count: count)
        Self.forbid?(bytes.baseAddress, bytes.count)
    }

    /// Whether `test` holds for the bytes, which it may read.
    func satisfy(_ test: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        Self.allow?(bytes.baseAddress, bytes.count)
        defer { Self.forbid?(bytes.baseAddress, bytes.count) }
        return test(bytes)
    }

    private static func marker(_ name: String) -> Marker? {
        // nil: whatever the process has loaded.
        guard let symbol = dlsym(nil, name) else { return nil }
        return unsafeBitCast(symbol, to: Marker.self)
    }
}

@Suite("Guards of buffers")
struct ForbiddenBytesTests {
    @Test(
        "a read beside a buffer ends the process",
        .enabled(if: ForbiddenBytes.areWatched, "only AddressSanitizer sees reads")
    )
    func readsAreSeen() async {
        await #expect(processExitsWith: .failure) {
            let buffer = GuardedBuffer<Float>([1, 2, 3])
            print(buffer.pointer[3])
        }
        await #expect(processExitsWith: .failure) {
            let buffer = ConvBuffer([1, 2, 3])
            print(buffer.base[-1])
        }
    }

    @Test("a write beside a buffer is found", .disabled(if: ForbiddenBytes.areWatched))
    func writesAreFound() {
        let buffer = GuardedBuffer<Float>([1, 2, 3])
        #expect(buffer.isIntact)
        buffer.pointer[3] = 4
        #expect(!buffer.isIntact)
        let floats = ConvBuffer([1, 2, 3])
        #expect(floats.guardsAreIntact)
        floats.base[-1] = 4
        #expect(!floats.guardsAreIntact)
    }
}
