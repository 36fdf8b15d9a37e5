import CAllocationCounter
import Execution
import Glibc
import Sluice
import Testing

@Suite("Limits of the container")
struct ControlGroupTests {
    @Test("version 2: the tightest group above the process counts")
    func unified() throws {
        try TemporaryDirectory.with { directory in
            try directory.write("a/memory.max", "1000000\n")
            try directory.write("a/memory.current", "400000\n")
            try directory.write("a/memory.stat", "anon 1\ninactive_file 100000\n")
            try directory.write("a/b/memory.max", "max\n")
            try directory.write("a/b/cpu.max", "250000 100000\n")
            try directory.write("a/cpu.max", "max 100000\n")
            let inner = ControlGroup(mount: directory.path, membership: "0::/a/b\n")
            #expect(inner.freeBytes == 700_000)
            #expect(inner.processorLimit == 3)
            let outer = ControlGroup(mount: directory.path, membership: "0::/a\n")
            #expect(outer.processorLimit == nil)
        }
    }

    @Test("version 1: each controller has a tree of its own")
    func separateTrees() throws {
        try TemporaryDirectory.with { directory in
            try directory.write("memory/memory.limit_in_bytes", "9223372036854771712\n")
            try directory.write("memory/box/memory.limit_in_bytes", "5000\n")
            try directory.write("memory/box/memory.usage_in_bytes", "9000\n")
            try directory.write("memory/box/memory.stat", "total_inactive_file 6000\n")
            try directory.write("cpu,cpuacct/box/cpu.cfs_quota_us", "100000\n")
            try directory.write("cpu,cpuacct/box/cpu.cfs_period_us", "100000\n")
            let group = ControlGroup(
                mount: directory.path,
                membership: "4:memory:/box\n1:cpu,cpuacct:/box\n0::/\n"
            )
            #expect(group.freeBytes == 2000)
            #expect(group.processorLimit == 1)
        }
    }

    @Test("a path that exists only outside the container leaves the mount itself")
    func foreignPath() throws {
        try TemporaryDirectory.with { directory in
            try directory.write("memory.max", "4096\n")
            let group = ControlGroup(mount: directory.path, membership: "0::/else/where\n")
            #expect(group.freeBytes == 4096)
            #expect(ControlGroup(mount: directory.path, membership: "").freeBytes == nil)
        }
    }
}

@Suite("Memory that cannot exist")
struct MemoryLimitTests {
    /// Three products in a row, whose weights are far larger than what flows between them.
    private func plan(_ budget: MemoryBudget) throws -> Plan {
        let side = 64
        let weights = Array(repeating: Float(0.5), count: side * side)
        let file = ModelFile(
            nodes: [
                ("MatMul", ["x", "u"], "first"), ("MatMul", ["first", "v"], "second"),
                ("MatMul", ["second", "w"], "y"),
            ],
            inputs: [("x", [.size(1), .size(side)])],
            outputs: ["y"],
            weights: ["u", "v", "w"].map { ($0, [side, side], weights) }
        )
        return try file.withPath { path in
            var options = RunOptions()
            options.deviceMemory = budget
            return try Plan(model: try Model(path: path), options: options)
        }
    }

    @Test("a plan larger than what is left is refused, with what it takes and what there is")
    func refused() throws {
        let plan = try plan(.unlimited)
        let needed = plan.sessionByteCount + plan.tensorByteCount
        let short = AvailableMemory(byteCount: needed - 1, source: "the test")
        let error = try #require(throws: SluiceError.self) {
            try plan.requireMemory(tensorByteCount: plan.tensorByteCount, available: short)
        }
        #expect(error.kind == .impossible)
        #expect(error.message.contains("\(needed) bytes"))
        #expect(error.message.contains("the test has only \(needed - 1) bytes"))
        let enough = AvailableMemory(byteCount: needed, source: "the test")
        try plan.requireMemory(tensorByteCount: plan.tensorByteCount, available: enough)
        try plan.requireMemory(available: nil)
    }

    @Test("the error names a budget that works when there is one")
    func advice() throws {
        // Here less on the device takes more in all: streamed weights are kept in host memory.
        let small = try plan(.minimum)
        let large = try plan(.unlimited)
        try #require(small.sessionByteCount > large.sessionByteCount)
        let between = AvailableMemory(byteCount: large.sessionByteCount, source: "the test")
        let error = try #require(throws: SluiceError.self) {
            try small.requireMemory(available: between)
        }
        #expect(error.message.contains("\(large.plannedDevicePeakBytes) bytes works"))
        let none = AvailableMemory(byteCount: 0, source: "the test")
        let refusal = try #require(throws: SluiceError.self) {
            try small.requireMemory(available: none)
        }
        #expect(refusal.message.contains("no budget works"))
        #expect(refusal.message.contains("\(large.sessionByteCount) bytes in all"))
    }

    @Test(
        "a limit of the process counts",
        .disabled(if: ac_is_sanitized(), "a sanitizer ends when it gets no address space")
    )
    func processLimit() async {
        await #expect(processExitsWith: .success) {
            let resource = __rlimit_resource_t(RLIMIT_AS.rawValue)
            var limit = rlimit()
            guard getrlimit(resource, &limit) == 0 else { exit(EXIT_FAILURE) }
            // Less than the process has already.
            limit.rlim_cur = 1 << 20
            setrlimit(resource, &limit)
            let expected = AvailableMemory(byteCount: 0, source: "the process limit")
            guard AvailableMemory.now() == expected else { exit(EXIT_FAILURE) }
        }
    }
}
