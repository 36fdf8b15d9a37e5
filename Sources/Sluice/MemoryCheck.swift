import Execution

extension Plan {
    /// Bytes of memory an open session takes: both arenas.
    package var sessionByteCount: Int { plannedDevicePeakBytes + hostArenaBytes }

    /// Refuses a plan whose memory cannot exist, before it is asked for.
    ///
    /// The system would grant it and kill the process once it is used. `tensorByteCount` is what
    /// the caller is about to make besides: inputs and outputs.
    package func requireMemory(
        tensorByteCount: Int = 0,
        available: AvailableMemory? = .now()
    ) throws(SluiceError) {
        let needed = sessionByteCount + tensorByteCount
        guard let available, needed > available.byteCount else { return }
        var parts = "device memory of \(plannedDevicePeakBytes)"
        if hostArenaBytes > 0 { parts += ", streamed weights of \(hostArenaBytes)" }
        if tensorByteCount > 0 { parts += ", inputs and outputs of \(tensorByteCount)" }
        throw SluiceError(
            .impossible,
            "this run takes \(needed) bytes of memory (\(parts)), but \(available.source) has only "
                + "\(available.byteCount) bytes left; "
                + advice(tensorByteCount: tensorByteCount, available: available.byteCount)
        )
    }

    /// What would work instead: streamed weights are in memory too, so a smaller budget for the
    /// device rarely takes less in all, and a larger one may.
    private func advice(tensorByteCount: Int, available: Int) -> String {
        var least: Plan = self
        for budget in [MemoryBudget.minimum, .unlimited] {
            var options = options
            options.deviceMemory = budget
            guard let other = try? Plan(model: model, options: options) else { continue }
            if other.sessionByteCount < least.sessionByteCount { least = other }
        }
        let total = least.sessionByteCount + tensorByteCount
        if total <= available {
            return "a device memory of \(least.plannedDevicePeakBytes) bytes works, and takes "
                + "\(total) in all"
        }
        return "no budget works here: the least any takes is \(total) bytes in all"
    }
}
