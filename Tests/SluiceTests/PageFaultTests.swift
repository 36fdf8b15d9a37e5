import CAllocationCounter
import Execution
import Glibc
import GraphCompiler
import GraphIR
import KernelLibrary
import Testing

/// Each test is a process of its own: page faults are counted for all its threads.
@Suite("Page faults")
struct PageFaultTests {
    @Test(
        "a warmed run faults no page, streamed or resident, on one thread or two",
        .disabled(if: ac_is_sanitized(), "a sanitizer touches pages of its own")
    )
    func warmedRunFaultsNoPage() async {
        await #expect(processExitsWith: .success) {
            let set = try #require(supportedSets.first)
            for network in try [denseStack(), classifier()] {
                for threads in [1, 2] {
                    for budget in [DeviceBudget.minimum, .percent(60), .unlimited] {
                        let program = try network.program(
                            set: set,
                            budget: budget,
                            threads: threads
                        )
                        let faults = try faultsOfRuns(network, program, set: set)
                        // The system may take a page back at any time, so the best counts.
                        guard faults.min() ?? .max <= 2, faults.reduce(0, +) <= 40 else {
                            print(network.name, budget, "threads", threads, "faults", faults)
                            exit(EXIT_FAILURE)
                        }
                    }
                }
            }
        }
    }

    @Test("the counter sees pages that are touched for the first time")
    func counterCounts() async {
        await #expect(processExitsWith: .success) {
            let before = pageFaults()
            let pages = 64
            let size = pages * sysconf(Int32(_SC_PAGESIZE))
            let flags = MAP_PRIVATE | MAP_ANONYMOUS
            let memory = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0)
            guard let memory, memory != MAP_FAILED else { exit(EXIT_FAILURE) }
            madvise(memory, size, MADV_NOHUGEPAGE)
            memset(memory, 1, size)
            guard pageFaults() - before >= pages else { exit(EXIT_FAILURE) }
        }
    }
}

/// Page faults of this process so far, on all threads.
private func pageFaults() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_minflt + usage.ru_majflt
}

/// Page faults of the second and nine later runs of a session.
private func faultsOfRuns(
    _ network: TestNetwork,
    _ program: Program,
    set: InstructionSet
) throws -> [Int] {
    let session = try network.open(program, set: set)
    let sources = network.inputs.map(\.littleEndianBytes)
    var targets = session.outputs(of: network.inputs)
    var faults = Array(repeating: 0, count: 10)
    withBuffers(sources, &targets) { inputs, outputs in
        session.run(inputs: inputs, outputs: outputs)
        for index in faults.indices {
            let before = pageFaults()
            session.run(inputs: inputs, outputs: outputs)
            faults[index] = pageFaults() - before
        }
    }
    return faults
}

/// Products whose weights take megabytes: streamed, they pass through slots in many blocks.
private func denseStack() throws -> TestNetwork {
    var net = NetworkBuilder(seed: 4)
    var x = net.input("x", [9, 320])
    for layer in 0..<8 {
        let weights = net.weights("w\(layer)", [320, 320], in: -0.1...0.1)
        x = net.relu("relu\(layer)", net.node("product\(layer)", .matmul, [x, weights]))
    }
    net.graph.outputs = [x]
    return try net.finish("dense stack")
}
