import Glibc

/// One explicit move of bytes between spaces, cut into chunks that any thread may carry.
package struct Transfer: @unchecked Sendable {
    private let source: UnsafeRawPointer
    private let target: UnsafeMutableRawPointer
    package let byteCount: Int

    /// Bytes of a chunk: small enough to spread over threads, large enough to stream.
    private static let chunk = 64 << 10

    /// From the host arena to the device.
    package init(upload source: Region<HostSpace>, to target: Region<DeviceSpace>) {
        precondition(source.byteCount == target.byteCount)
        self.source = UnsafeRawPointer(source.pointer)
        self.target = target.pointer
        byteCount = source.byteCount
    }

    /// Within the device arena, while a session opens.
    package init(upload source: UnsafeRawBufferPointer, to target: Region<DeviceSpace>) {
        precondition(source.count == target.byteCount)
        self.source = source.baseAddress ?? UnsafeRawPointer(target.pointer)
        self.target = target.pointer
        byteCount = source.count
    }

    /// From the device to memory of the caller.
    package init(download source: Region<DeviceSpace>, to target: UnsafeMutableRawBufferPointer) {
        precondition(source.byteCount == target.count)
        self.source = UnsafeRawPointer(source.pointer)
        self.target = target.baseAddress ?? source.pointer
        byteCount = source.byteCount
    }

    /// As many bytes as a transfer from or to the caller's memory will move, before that memory
    /// is known.
    package init(placeholder region: Region<DeviceSpace>) {
        source = UnsafeRawPointer(region.pointer)
        target = region.pointer
        byteCount = region.byteCount
    }

    package var taskCount: Int { (byteCount + Self.chunk - 1) / Self.chunk }

    /// Moves one chunk.
    @inline(__always)
    package func run(task: Int) {
        let start = task * Self.chunk
        memcpy(target + start, source + start, min(Self.chunk, byteCount - start))
    }
}
