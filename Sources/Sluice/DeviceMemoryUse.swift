import GraphCompiler

/// What stands in device memory at one moment of a run, in bytes, as the plan places it.
public struct DeviceMemoryUse: Sendable, Hashable {
    /// Which kernel call the moment belongs to, counted from 0 in order of execution.
    ///
    /// A call whose weights are streamed has several moments; transfers belong to the call they
    /// come before.
    public var call = 0
    /// Weights uploaded once, when the session opened.
    public var residentWeightBytes: Int
    /// Weights that are there for this call or the next.
    public var streamedWeightBytes = 0
    /// Inputs, results of kernels, outputs.
    public var valueBytes = 0
    /// Scratch of all threads.
    public var scratchBytes = 0
    /// Gaps below the highest byte in use.
    public var unusedBytes = 0

    /// The highest byte in use + 1: all kinds together.
    public var byteCount: Int {
        residentWeightBytes + streamedWeightBytes + valueBytes + scratchBytes + unusedBytes
    }

    fileprivate init(residentWeightBytes: Int) { self.residentWeightBytes = residentWeightBytes }
}

extension Plan {
    /// Device memory in use at each moment of the run that has a step, from the offsets of the
    /// plan; the largest is the planned peak.
    public var deviceMemoryUse: [DeviceMemoryUse] {
        let moments = program.momentCount
        let floor = program.residentByteCount
        var uses = (0..<moments).map { _ in DeviceMemoryUse(residentWeightBytes: floor) }
        var tops = [Int](repeating: floor, count: moments)
        let workspaces = Set(program.workspace.values)
        for (index, buffer) in program.plan.buffers.enumerated() where buffer.byteCount > 0 {
            let bytes = aligned(buffer.byteCount)
            let kind: WritableKeyPath<DeviceMemoryUse, Int> =
                index < program.storage.storages.count
                ? \.valueBytes
                : workspaces.contains(index) ? \.scratchBytes : \.streamedWeightBytes
            for moment in buffer.live {
                uses[moment][keyPath: kind] += bytes
                tops[moment] = max(tops[moment], program.plan.offsets[index] + bytes)
            }
        }
        let calls = callAtMoments()
        // Transfers alone come before a call, those at the end after the last.
        var next = calls.compactMap(\.self).last ?? 0
        for moment in uses.indices.reversed() {
            next = calls[moment] ?? next
            uses[moment].call = next
            uses[moment].unusedBytes = tops[moment] - uses[moment].byteCount
        }
        return Set(program.steps.map(\.moment)).sorted().map { uses[$0] }
    }

    /// The number of the kernel call at each moment, nil where only transfers happen.
    private func callAtMoments() -> [Int?] {
        var calls = [Int?](repeating: nil, count: program.momentCount)
        var call = -1
        var last = -1
        for step in program.steps {
            guard case .compute(let node, _) = step.action else { continue }
            if node != last { (call, last) = (call + 1, node) }
            calls[step.moment] = call
        }
        return calls
    }
}
