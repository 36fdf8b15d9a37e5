import Execution
import GraphCompiler
import GraphIR
import KernelLibrary
import Sluice
import Testing

@Suite("Engine")
struct EngineTests {
    /// Both divided by the largest reference magnitude: rtol 1e-3, atol 1e-5, finite.
    private func isClose(_ result: [Float], _ reference: [Float]) -> Bool {
        let scale = max(reference.reduce(0) { max($0, abs($1)) }, .leastNormalMagnitude)
        return result.count == reference.count
            && zip(result, reference).allSatisfy {
                abs($0 - $1) / scale <= 1e-5 + 1e-3 * abs($1) / scale
            }
    }

    /// The minimum, four budgets above it, and unlimited memory.
    private func budgets(
        _ network: TestNetwork,
        _ set: InstructionSet,
        threads: Int = 1
    ) throws -> [DeviceBudget] {
        func peak(_ budget: DeviceBudget) throws -> Int {
            try network.program(set: set, budget: budget, threads: threads).devicePeak
        }
        let minimum = try peak(.minimum)
        let resident = try peak(.unlimited)
        let between = (1...4).map { DeviceBudget.bytes(minimum + (resident - minimum) * $0 / 5) }
        return [.minimum] + between + [.unlimited]
    }

    @Test("every budget, thread count and instruction set gives the reference's numbers")
    func matchesTheReference() throws {
        for network in try testNetworks() {
            let reference = try network.reference()
            for set in supportedSets {
                var first: [[UInt8]]?
                for threads in [1, 2] {
                    for budget in try budgets(network, set, threads: threads) {
                        let program = try network.program(
                            set: set,
                            budget: budget,
                            threads: threads
                        )
                        let session = try network.open(program, set: set)
                        let outputs = session.outputs(of: network.inputs)
                        let place = "\(network.name) \(set.name) \(budget) threads \(threads)"
                        for (output, expected) in zip(outputs, reference) {
                            #expect(isClose(floats(output), expected), "\(place)")
                        }
                        if let first { #expect(outputs == first, "\(place)") }
                        first = first ?? outputs
                        #expect(session.outputs(of: network.inputs) == outputs, "\(place)")
                        #expect(session.devicePeakBytes == program.devicePeak, "\(place)")
                        #expect(program.plan.firstViolation(alignment: 64) == nil, "\(place)")
                    }
                }
            }
        }
    }

    @Test("without fusion the numbers are the reference's too")
    func withoutFusion() throws {
        for network in try testNetworks() {
            let reference = try network.reference()
            for set in supportedSets {
                let program = try network.program(set: set, budget: .minimum, fuses: false)
                let outputs = try network.open(program, set: set).outputs(of: network.inputs)
                for (output, expected) in zip(outputs, reference) {
                    #expect(isClose(floats(output), expected), "\(network.name) \(set.name)")
                }
            }
        }
    }

    @Test("a run reads nothing it did not write, and reaches exactly the planned peak")
    func measuredPeakIsThePlan() throws {
        for network in try testNetworks() {
            for set in supportedSets {
                for threads in [1, 2] {
                    let program = try network.program(
                        set: set,
                        budget: .minimum,
                        threads: threads
                    )
                    // Filling the arena would destroy resident weights.
                    try #require(program.streaming.residentUnits.allSatisfy { $0 == 0 })
                    let session = try network.open(program, set: set)
                    var results: [[[UInt8]]] = []
                    var highest = 0
                    for pattern in [0xA5, 0x5A, 0xFF] as [UInt8] {
                        session.deviceArena.fill(pattern)
                        results.append(session.outputs(of: network.inputs))
                        let end = session.deviceArena.highestByteDiffering(from: pattern)
                        highest = max(highest, end)
                    }
                    let place = "\(network.name) \(set.name) threads \(threads)"
                    #expect(results[0] == results[1] && results[0] == results[2], "\(place)")
                    #expect(highest <= program.devicePeak, "\(place)")
                    #expect(aligned(highest) == program.devicePeak, "\(place)")
                }
            }
        }
    }

    @Test("the bytes that steps move are those the plan announces")
    func movedBytesAreThePlans() throws {
        let set = try #require(supportedSets.first)
        for network in try testNetworks() {
            for budget in try budgets(network, set) {
                let program = try network.program(set: set, budget: budget)
                let session = try network.open(program, set: set)
                let steps = session.phaseSteps.flatMap { $0 }
                #expect(steps == program.steps)
                var up = 0
                var down = 0
                for step in steps {
                    switch step.action {
                    case .uploadWeights(let item, let units):
                        up += program.items[item].byteCount(of: units)
                    case .uploadInput(let number): up += network.inputs[number].type.byteCount
                    case .downloadOutput(let number):
                        down += program.graph[program.graph.outputs[number]].type.byteCount
                    case .compute(_, .chunks(let units)):
                        up += program.items[units.item].byteCount(of: units.range)
                    case .compute: break
                    }
                }
                #expect(up == program.summary.streamedWeightBytes + program.summary.inputBytes)
                #expect(down == program.summary.outputBytes)
            }
        }
    }

    @Test("an input that only a first layer reads never stands on the device")
    func carriedInput() throws {
        let set = try #require(supportedSets.first)
        for isReadTwice in [false, true] {
            var net = NetworkBuilder(seed: 7)
            let x = net.input("x", [2, 3, 40, 36])
            let stem = net.relu("stem", net.convolution("first", x, [48, 3, 3, 3], stride: 2))
            net.graph.outputs = [net.convolution("second", stem, [4, 48, 1, 1])]
            if isReadTwice { net.graph.outputs.append(net.relu("positive", x)) }
            let network = try net.finish("first layer")
            let reference = try network.reference()
            for budget in [DeviceBudget.minimum, .unlimited] {
                let program = try network.program(set: set, budget: budget, threads: 2)
                let uploads = program.steps.filter {
                    if case .uploadInput = $0.action { true } else { false }
                }
                #expect(uploads.allSatisfy { $0.isCarried != isReadTwice })
                let bytes = try #require(program.deviceBytes(of: program.graph.inputs[0]))
                let byteCount = network.inputs[0].type.byteCount
                #expect(bytes.count == (isReadTwice ? byteCount : 0))
                #expect(program.summary.inputBytes == uploads.count * byteCount)
                // Each run reads what it is given, wherever that is.
                let session = try network.open(program, set: set)
                var other = network.inputs
                other[0] = DenseTensor(
                    shape: other[0].type.shape,
                    floats: Array(repeating: 0, count: other[0].type.elementCount)
                )
                let zeros = session.outputs(of: other)
                let outputs = session.outputs(of: network.inputs)
                #expect(outputs[0] != zeros[0])
                for (output, expected) in zip(outputs, reference) {
                    #expect(isClose(floats(output), expected))
                }
            }
        }
    }

    @Test("tensors without elements pass through")
    func emptyTensors() throws {
        let set = try #require(supportedSets.first)
        var net = NetworkBuilder(seed: 5)
        let x = net.input("x", [0, 16, 4, 4])
        let left = net.convolution("left", x, [16, 16, 1, 1])
        let right = net.relu("right", net.convolution("deep", x, [16, 16, 3, 3]))
        let joined = net.node("joined", .concat(axis: 1), [left, right])
        let wide = net.relu("wide", net.convolution("expand", left, [32, 16, 1, 1]))
        net.graph.outputs = [
            net.convolution("last", joined, [8, 32, 3, 3]),
            net.convolution("depthwise", wide, [32, 1, 3, 3], group: 32),
        ]
        let network = try net.finish("empty")
        for budget in [DeviceBudget.minimum, .unlimited] {
            for threads in [1, 2] {
                let program = try network.program(set: set, budget: budget, threads: threads)
                let session = try network.open(program, set: set)
                #expect(session.outputs(of: network.inputs) == [[], []])
            }
        }
    }

    @Test("sums of nothing are zero, and their bias where there is one")
    func emptySums() throws {
        for set in supportedSets {
            for rows in [1, 2, 40] {
                var net = NetworkBuilder(seed: 6)
                let x = net.input("x", [rows, 0])
                func product(_ name: String, _ width: Int) -> ValueID {
                    net.node(name, .matmul, [x, net.weights(name + ".w", [0, width])])
                }
                let bias = net.weights("bias", [70], in: 1...2)
                net.graph.outputs = [
                    product("narrow", 3),
                    net.node("sum", .binary(.add), [product("wide", 70), bias]),
                    net.node("both", .matmul, [x, net.input("y", [0, 5])]),
                ]
                let network = try net.finish("sums of nothing")
                let reference = try network.reference()
                for budget in [DeviceBudget.minimum, .unlimited] {
                    let program = try network.program(set: set, budget: budget, threads: 2)
                    let outputs = try network.open(program, set: set).outputs(of: network.inputs)
                    #expect(outputs.map(floats) == reference, "\(set.name) \(rows)")
                }
            }
        }
    }

    @Test("more threads than cores, and than tasks, change nothing", arguments: [3, 7, 33])
    func manyThreads(threads: Int) throws {
        let set = try #require(supportedSets.first)
        for network in try testNetworks() {
            let alone = try network.open(
                try network.program(set: set, budget: .minimum),
                set: set
            ).outputs(of: network.inputs)
            let program = try network.program(set: set, budget: .minimum, threads: threads)
            let session = try network.open(program, set: set)
            for _ in 0..<3 { #expect(session.outputs(of: network.inputs) == alone) }
        }
    }

    @Test("sessions on several tasks at once do not disturb each other")
    func concurrentSessions() async throws {
        let set = try #require(supportedSets.first)
        let networks = try testNetworks()
        let expected = try networks.map {
            try $0.open(try $0.program(set: set, budget: .unlimited), set: set)
                .outputs(of: $0.inputs)
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for task in 0..<6 {
                let network = networks[task % 3]
                let session = try network.open(
                    try network.program(set: set, budget: .minimum, threads: 1 + task % 3),
                    set: set
                )
                let wanted = expected[task % 3]
                group.addTask {
                    (0..<20).allSatisfy { _ in session.outputs(of: network.inputs) == wanted }
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }
}
