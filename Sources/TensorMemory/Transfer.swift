import Glibc

/// One explicit move of bytes between spaces, cut into chunks that any thread may carry.
package struct Transfer: @unchecked Sendable {
    private let source: UnsafeRawPointer
    private let target: UnsafeMutableRawPointer
    package let byteCount: Int
    /// Equal parts of the bytes, each of which is cut into chunks.
    private let planes: Int

    /// Bytes of a chunk: small enough to spread over threads, large enough to stream.
    private static let chunk = 64 << 10

    /// From the host arena to the device.
    package init(upload source: Region<HostSpace>, to target: Region<DeviceSpace>) {
        precondition(source.byteCount == target.byteCount)
        self.source = UnsafeRawPointer(source.pointer)
        self.target = target.pointer
        byteCount = source.byteCount
        planes = 1
    }

    /// From memory of the caller, which holds `planes` planes of a picture.
    ///
    /// Chunks of the same rows of all planes follow each other, so that a worker copies the rows that
    /// it convolves next.
    package init(
        upload source: UnsafeRawBufferPointer,
        to target: Region<DeviceSpace>,
        planes: Int = 1
    ) {
        precondition(source.count == target.byteCount && source.count.isMultiple(of: planes))
        self.source = source.baseAddress ?? UnsafeRawPointer(target.pointer)
        self.target = target.pointer
        byteCount = source.count
        // Small planes are not worth a task each.
        self.planes = byteCount / planes >= Self.chunk ? planes : 1
    }

    /// From the device to memory of the caller.
    package init(download source: Region<DeviceSpace>, to target: UnsafeMutableRawBufferPointer) {
        precondition(source.byteCount == target.count)
        self.source = UnsafeRawPointer(source.pointer)
        self.target = target.baseAddress ?? source.pointer
        byteCount = source.byteCount
        planes = 1
    }

    /// As many bytes as a transfer from or to the caller's memory will move, before that memory
    /// is known.
    package init(placeholder region: Region<DeviceSpace>) {
        source = UnsafeRawPointer(region.pointer)
        target = region.pointer
        byteCount = region.byteCount
        planes = 1
    }

    private var chunksPerPlane: Int { (byteCount / planes + Self.chunk - 1) / Self.chunk }

    package var taskCount: Int { planes * chunksPerPlane }

    /// Moves one chunk: number task / planes of plane task % planes.
    @inline(__always)
    package func run(task: Int) {
        let plane = byteCount / planes
        let chunks = chunksPerPlane
        // As even as lines of 64 bytes allow.
        let line = 64
        let lines = (plane + line - 1) / line
        let first = task / planes * lines / chunks * line
        let end = min((task / planes + 1) * lines / chunks * line, plane)
        let start = task % planes * plane + first
        memcpy(target + start, source + start, end - first)
    }
}
