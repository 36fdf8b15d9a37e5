import Glibc

/// What the control groups of this process grant, of either version of the interface.
///
/// A group is bounded by its own limits and by those of every group above it, so all directories
/// from the process's own up to the mount are read. Where the hierarchy is seen from inside a
/// container, the path of the process may not exist; the mount then shows the container's group.
package struct ControlGroup {
    private let mount: String
    /// Lines of /proc/self/cgroup: number, controllers and path of each hierarchy.
    private let hierarchies: [(controllers: [Substring], path: Substring)]

    /// The groups of this process; tests name other directories.
    package init(
        mount: String = "/sys/fs/cgroup",
        membership: String = readText("/proc/self/cgroup") ?? ""
    ) {
        self.mount = mount
        hierarchies = membership.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return nil }
            return (fields[1].split(separator: ","), fields[2])
        }
    }

    /// Directories that may bound a controller, the process's own group first.
    private func directories(of controller: String) -> [String] {
        var found: [String] = []
        for hierarchy in hierarchies {
            let isUnified = hierarchy.controllers.isEmpty
            guard isUnified || hierarchy.controllers.contains(where: { $0 == controller }) else {
                continue
            }
            let roots =
                isUnified
                ? [mount, mount + "/unified"]
                : [
                    mount + "/" + controller,
                    mount + "/" + hierarchy.controllers.joined(separator: ","),
                ]
            var parts = hierarchy.path.split(separator: "/")
            while true {
                let path = parts.map { "/" + $0 }.joined()
                found += roots.map { $0 + path }
                if parts.isEmpty { break }
                parts.removeLast()
            }
        }
        return found
    }

    /// Processors the groups grant, rounded up; nil without a limit.
    package var processorLimit: Int? {
        directories(of: "cpu").compactMap { directory -> Int? in
            var quota: Int?
            var period: Int?
            if let text = readText(directory + "/cpu.max") {
                let numbers = text.split(whereSeparator: \.isWhitespace)
                quota = numbers.first.flatMap { Int($0) }
                period = numbers.dropFirst().first.flatMap { Int($0) }
            } else {
                quota = readNumber(directory + "/cpu.cfs_quota_us")
                period = readNumber(directory + "/cpu.cfs_period_us")
            }
            guard let quota, let period, quota > 0, period > 0 else { return nil }
            return (quota - 1) / period + 1
        }.min()
    }

    /// Bytes the groups still grant, what the system could reclaim from them included; nil without
    /// a limit.
    package var freeBytes: Int? {
        directories(of: "memory").compactMap { directory -> Int? in
            if let limit = readNumber(directory + "/memory.max") {
                let used = readNumber(directory + "/memory.current") ?? 0
                return free(limit, used, directory + "/memory.stat", "inactive_file")
            }
            if let limit = readNumber(directory + "/memory.limit_in_bytes") {
                let used = readNumber(directory + "/memory.usage_in_bytes") ?? 0
                return free(limit, used, directory + "/memory.stat", "total_inactive_file")
            }
            return nil
        }.min()
    }

    private func free(_ limit: Int, _ used: Int, _ statistics: String, _ key: String) -> Int {
        let reclaimable = readField(statistics, key) ?? 0
        return max(0, limit - max(0, used - reclaimable))
    }
}

/// The number a file holds; nil for files that are missing or say something else, like "max".
private func readNumber(_ path: String) -> Int? {
    readText(path).flatMap { Int($0.filter { !$0.isWhitespace }) }
}
