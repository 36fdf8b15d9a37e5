import Glibc

/// The memory this process can still get, and who says so.
package struct AvailableMemory: Sendable, Equatable {
    package var byteCount: Int
    /// "the machine", "the container" or "the process limit".
    package var source: String

    package init(byteCount: Int, source: String) {
        self.byteCount = byteCount
        self.source = source
    }

    /// The tightest of what machine, control groups and limits of the process leave; nil when none
    /// of them can be read.
    ///
    /// The kernel maps memory that does not exist and kills the process that touches it, so whoever
    /// is about to use much of it asks here first.
    package static func now() -> AvailableMemory? {
        var bounds: [AvailableMemory] = []
        if let free = readField("/proc/meminfo", "MemAvailable") {
            let swap = readField("/proc/meminfo", "SwapFree") ?? 0
            bounds.append(AvailableMemory(byteCount: (free + swap) * 1024, source: "the machine"))
        }
        if let free = ControlGroup().freeBytes {
            bounds.append(AvailableMemory(byteCount: free, source: "the container"))
        }
        for (limit, used) in [(RLIMIT_AS, "VmSize"), (RLIMIT_DATA, "VmData")] {
            var values = rlimit()
            guard getrlimit(__rlimit_resource_t(limit.rawValue), &values) == 0,
                values.rlim_cur < UInt(Int.max)
            else { continue }
            let taken = (readField("/proc/self/status", used) ?? 0) * 1024
            bounds.append(
                AvailableMemory(
                    byteCount: max(0, Int(values.rlim_cur) - taken),
                    source: "the process limit"
                )
            )
        }
        return bounds.min { $0.byteCount < $1.byteCount }
    }
}
