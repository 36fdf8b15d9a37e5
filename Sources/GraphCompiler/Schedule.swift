import GraphIR

/// What moves or computes, and what it waits for.
///
/// The order of moments is what a session runs; the dependencies are derived from bytes alone, so
/// that each can be checked against the other.
package struct Schedule: Sendable {
    package enum Lane: String, Sendable {
        case compute
        case transfer
    }

    package struct Step: Sendable {
        package var moment: Int
        package var lane: Lane
        package var name: String
        /// Device bytes the step looks at and changes.
        package var reads: [Range<Int>]
        package var writes: [Range<Int>]
        /// Earlier steps that must be over, by number.
        package var dependencies: [Int]
    }

    package var steps: [Step]
    /// Device bytes that hold weights before the first step.
    package var residents: Range<Int>

    package enum Violation: Hashable, Sendable {
        /// Two steps of one moment touch the same bytes, and one writes them.
        case race(Int, Int)
        /// A step reads bytes that nothing wrote.
        case uninitialisedRead(step: Int)
        /// A step writes over resident weights.
        case residentOverwritten(step: Int)
    }

    /// States what a schedule is: whatever touches the same bytes as something that writes them
    /// happens at another moment, and nothing is read before it is written.
    package func firstViolation() -> Violation? {
        for (index, step) in steps.enumerated() {
            if step.writes.contains(where: { $0.overlaps(residents) }) {
                return .residentOverwritten(step: index)
            }
            for other in steps.indices where other < index && steps[other].moment == step.moment {
                if conflict(steps[other], step) { return .race(other, index) }
            }
            for read in step.reads where !isWritten(read, before: index) {
                return .uninitialisedRead(step: index)
            }
        }
        return nil
    }

    /// Whether every byte of a range is resident or was written by a step of an earlier moment.
    private func isWritten(_ range: Range<Int>, before index: Int) -> Bool {
        var missing = [range]
        func remove(_ written: Range<Int>) {
            missing = missing.flatMap { part in
                [
                    part.clamped(to: part.lowerBound..<max(part.lowerBound, written.lowerBound)),
                    part.clamped(to: min(part.upperBound, written.upperBound)..<part.upperBound),
                ]
            }.filter { !$0.isEmpty }
        }
        remove(residents)
        for other in steps[..<index].reversed() where other.moment < steps[index].moment {
            if missing.isEmpty { break }
            for written in other.writes { remove(written) }
        }
        return missing.isEmpty
    }
}

/// Whether one step writes what the other touches.
private func conflict(_ a: Schedule.Step, _ b: Schedule.Step) -> Bool {
    func meet(_ left: [Range<Int>], _ right: [Range<Int>]) -> Bool {
        left.contains { one in right.contains { one.overlaps($0) } }
    }
    return meet(a.writes, b.writes) || meet(a.writes, b.reads) || meet(a.reads, b.writes)
}

extension Program {
    /// The steps of a run with the bytes they touch, and the dependencies that follow from them.
    package func schedule() -> Schedule {
        var result = Schedule(steps: [], residents: 0..<residentByteCount)
        for (index, step) in steps.enumerated() {
            let bytes = touchedBytes(step, index: index)
            var isCompute = false
            if case .compute = step.action { isCompute = true }
            result.steps.append(
                Schedule.Step(
                    moment: step.moment,
                    lane: isCompute ? .compute : .transfer,
                    name: describe(step),
                    reads: bytes.reads.filter { !$0.isEmpty },
                    writes: bytes.writes.filter { !$0.isEmpty },
                    dependencies: []
                )
            )
        }
        for later in result.steps.indices {
            for earlier in 0..<later where conflict(result.steps[earlier], result.steps[later]) {
                result.steps[later].dependencies.append(earlier)
            }
        }
        return result
    }

    private func touchedBytes(
        _ step: TimelineStep,
        index: Int
    ) -> (reads: [Range<Int>], writes: [Range<Int>]) {
        switch step.action {
        case .uploadInput(let number):
            return ([], [bytes(of: graph.inputs[number])])
        case .downloadOutput(let number):
            return ([bytes(of: graph.outputs[number])], [])
        case .uploadWeights(let item, let units):
            let offset = step.slot.map { plan.offsets[$0] } ?? 0
            return ([], [offset..<offset + items[item].byteCount(of: units)])
        case .compute(let number, let work):
            let node = graph.nodes[number]
            var writes = [bytes(of: node.output)]
            if let buffer = workspace[index] {
                let offset = plan.offsets[buffer]
                writes.append(offset..<offset + plan.buffers[buffer].byteCount)
            }
            if case .chunks = work, let slot = step.slot {
                let offset = plan.offsets[slot]
                writes.append(offset..<offset + plan.buffers[slot].byteCount)
            }
            if case .fill = work { return ([], writes) }
            var reads = node.inputs.map { bytes(of: $0) }
            if case .units(let units) = work {
                reads += units.map { units in
                    let offset = step.slot.map { plan.offsets[$0] } ?? residentOffset[units.item]
                    return offset..<offset + items[units.item].byteCount(of: units.range)
                }
            }
            return (reads, writes)
        }
    }
}
