import Glibc

/// A kind of memory.
///
/// Regions of different spaces are different types, so bytes cross from one to the other only where
/// a transfer says so.
package protocol MemorySpace: Sendable {
    static var name: String { get }
}

package enum HostSpace: MemorySpace {
    package static let name = "host"
}

package enum DeviceSpace: MemorySpace {
    package static let name = "device"
}

/// Why memory could not be had.
package struct ArenaError: Error, Sendable, CustomStringConvertible {
    package var space: String
    package var byteCount: Int
    package var code: Int32

    package var description: String {
        "cannot map \(byteCount) bytes of \(space) memory: \(String(cString: strerror(code)))"
    }
}

/// Bytes of a huge page, where the processor has them; where not, larger alignment does no harm.
private let hugePage = 2 << 20

/// A fixed run of bytes of one space, with an unreadable page right behind it.
///
/// The arena ends exactly at the guard page, so the first byte past its capacity faults. It is
/// sealed by construction: its size never changes, and regions are the only way to its bytes.
/// Threads may use disjoint regions at the same time; the schedule orders the others.
package final class Arena<Space: MemorySpace>: @unchecked Sendable {
    package let capacity: Int
    private let base: UnsafeMutableRawPointer
    private let mapping: UnsafeMutableRawPointer
    private let mappingByteCount: Int
    /// Highest byte of any region handed out, + 1, up to the end of its cache line; only changed
    /// while a session opens.
    package private(set) var highestByteIssued = 0

    package init(capacity: Int) throws(ArenaError) {
        precondition(capacity >= 0 && capacity.isMultiple(of: 64))
        let page = sysconf(Int32(_SC_PAGESIZE))
        let body = (capacity + page - 1) / page * page
        let total = body + page
        // Huge pages stand at multiples of their size: reserve more and give back what is beside.
        let alignment = body >= 2 * hugePage ? hugePage : page
        let reserved = total + alignment - page
        guard
            let reservation = mmap(
                nil,
                reserved,
                PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1,
                0
            ), reservation != MAP_FAILED
        else { throw ArenaError(space: Space.name, byteCount: capacity, code: errno) }
        let before = (alignment - Int(bitPattern: reservation) % alignment) % alignment
        let mapped = reservation + before
        if before > 0 { munmap(reservation, before) }
        let after = reserved - before - total
        if after > 0 { munmap(mapped + total, after) }
        guard mprotect(mapped + body, page, PROT_NONE) == 0 else {
            let code = errno
            munmap(mapped, total)
            throw ArenaError(space: Space.name, byteCount: capacity, code: code)
        }
        if alignment == hugePage { madvise(mapped, body, MADV_HUGEPAGE) }
        self.capacity = capacity
        mapping = mapped
        mappingByteCount = total
        base = mapped + (body - capacity)
    }

    deinit { munmap(mapping, mappingByteCount) }

    /// The bytes `range` of the arena.
    ///
    /// Traps when they are not all inside.
    package func region(_ range: Range<Int>) -> Region<Space> {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= capacity,
            "region outside its arena"
        )
        let line = (range.upperBound + 63) / 64 * 64
        highestByteIssued = max(highestByteIssued, line)
        return Region(pointer: base + range.lowerBound, byteCount: range.count)
    }

    /// Writes `pattern` into every byte, so that a test can see which bytes a run touches.
    package func fill(_ pattern: UInt8) { memset(base, Int32(pattern), capacity) }

    /// Highest byte that differs from `pattern`, + 1: what was touched since `fill`.
    package func highestByteDiffering(from pattern: UInt8) -> Int {
        var end = capacity
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        while end > 0, bytes[end - 1] == pattern { end -= 1 }
        return end
    }
}

/// Bytes of one arena; only an arena makes them.
package struct Region<Space: MemorySpace>: @unchecked Sendable {
    package let pointer: UnsafeMutableRawPointer
    package let byteCount: Int

    fileprivate init(pointer: UnsafeMutableRawPointer, byteCount: Int) {
        self.pointer = pointer
        self.byteCount = byteCount
    }
}
