import Glibc
import TensorMemory
import Testing

@Suite("Arenas")
struct ArenaTests {
    @Test("the last byte can be used, and the arena notices")
    func lastByte() throws {
        let arena = try Arena<DeviceSpace>(capacity: 4096 + 64)
        #expect(arena.highestByteIssued == 0)
        let region = arena.region(4096..<4096 + 64)
        region.pointer.storeBytes(of: 7, toByteOffset: 63, as: UInt8.self)
        #expect(arena.highestByteIssued == 4096 + 64)
        #expect(arena.highestByteDiffering(from: 0) == 4096 + 64)
        arena.fill(0xA5)
        #expect(arena.highestByteDiffering(from: 0xA5) == 0)
    }

    @Test("regions count whole cache lines")
    func wholeLines() throws {
        let arena = try Arena<DeviceSpace>(capacity: 256)
        _ = arena.region(64..<70)
        #expect(arena.highestByteIssued == 128)
        _ = arena.region(0..<10)
        #expect(arena.highestByteIssued == 128)
    }

    @Test("an empty arena is possible")
    func emptyArena() throws {
        let arena = try Arena<HostSpace>(capacity: 0)
        #expect(arena.region(0..<0).byteCount == 0)
    }

    @Test("memory that cannot be had is an error that says how much")
    func tooLarge() throws {
        let error = try #require(throws: ArenaError.self) {
            _ = try Arena<DeviceSpace>(capacity: 1 << 60)
        }
        #expect(error.description.contains("\(1 << 60) bytes of device memory"))
    }

    @Test("the byte after the last one crashes")
    func guardPage() async {
        await #expect(processExitsWith: .failure) {
            // No arena, no crash: the test then fails.
            guard let arena = try? Arena<DeviceSpace>(capacity: 192) else { exit(EXIT_SUCCESS) }
            let region = arena.region(0..<192)
            region.pointer.storeBytes(of: 1, toByteOffset: 191, as: UInt8.self)
            region.pointer.storeBytes(of: 1, toByteOffset: 192, as: UInt8.self)
        }
    }

    @Test("a region past the end traps")
    func regionPastTheEnd() async {
        await #expect(processExitsWith: .failure) {
            guard let arena = try? Arena<DeviceSpace>(capacity: 192) else { exit(EXIT_SUCCESS) }
            _ = arena.region(128..<193)
        }
    }

    @Test("a region before the start traps")
    func regionBeforeTheStart() async {
        await #expect(processExitsWith: .failure) {
            guard let arena = try? Arena<DeviceSpace>(capacity: 192) else { exit(EXIT_SUCCESS) }
            _ = arena.region(-64..<0)
        }
    }

    @Test(
        "transfers of every length arrive, in any order of tasks",
        arguments: [0, 1, 65536, 200_000]
    )
    func transfersArrive(byteCount: Int) throws {
        let capacity = (byteCount + 63) / 64 * 64
        let host = try Arena<HostSpace>(capacity: capacity)
        let device = try Arena<DeviceSpace>(capacity: capacity)
        let source = host.region(0..<byteCount)
        for index in 0..<byteCount {
            source.pointer.storeBytes(
                of: UInt8(truncatingIfNeeded: index * 31 + index >> 8),
                toByteOffset: index,
                as: UInt8.self
            )
        }
        let target = device.region(0..<byteCount)
        let transfer = Transfer(upload: source, to: target)
        for task in (0..<transfer.taskCount).reversed() { transfer.run(task: task) }
        #expect(byteCount == 0 || memcmp(source.pointer, target.pointer, byteCount) == 0)
    }
}
