import CAllocationCounter
import Execution
import GraphCompiler
import GraphIR
import Testing

/// One at a time: there is one counter.
@Suite(
    "Allocation",
    .serialized,
    .disabled(if: ac_is_sanitized(), "the allocator belongs to a sanitizer")
)
struct AllocationTests {
    @Test("a warmed run allocates nothing", arguments: [1, 2])
    func warmedRunAllocatesNothing(threads: Int) throws {
        let set = try #require(supportedSets.first)
        for network in try testNetworks() {
            for budget in [DeviceBudget.minimum, .percent(50), .unlimited] {
                let program = try network.program(set: set, budget: budget, threads: threads)
                let session = try network.open(program, set: set)
                let sources = network.inputs.map(\.littleEndianBytes)
                var targets = session.outputs(of: network.inputs)
                // A worker that another test makes start allocates; the best of five counts.
                var fewest = Int.max
                withBuffers(sources, &targets) { inputs, outputs in
                    session.run(inputs: inputs, outputs: outputs)
                    for _ in 0..<5 {
                        ac_begin()
                        session.run(inputs: inputs, outputs: outputs)
                        fewest = min(fewest, ac_end())
                    }
                }
                #expect(fewest == 0, "\(network.name) at \(budget)")
            }
        }
    }

    @Test("the counter counts what it should")
    func counterCounts() {
        ac_begin()
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 16)
        let aligned = UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 64)
        let count = ac_end()
        memory.deallocate()
        aligned.deallocate()
        #expect(count >= 2)
    }
}
