import GraphCompiler
import GraphIR
import Testing

@Suite("Placement")
struct PlacementTests {
    private func program(
        _ graph: FusedGraph,
        _ budget: DeviceBudget,
        threads: Int = 2
    ) throws -> Program {
        try place(
            graph,
            catalog: FixedCatalog(),
            profile: FixedCatalog.profile,
            options: CompileOptions(budget: budget, threads: threads)
        )
    }

    @Test("random networks at random budgets are sound", arguments: 0..<100 as Range<UInt64>)
    func randomNetworksAreSound(seed: UInt64) throws {
        let graph = try randomNetwork(seed: seed).fused()
        var random = Random(seed: seed)
        for threads in 1...3 {
            let resident = try program(graph, .unlimited, threads: threads)
            let minimum = try program(graph, .minimum, threads: threads)
            #expect(minimum.devicePeak == minimum.summary.minimumPeak)
            #expect(resident.devicePeak == resident.summary.residentPeak)
            #expect(minimum.devicePeak <= resident.devicePeak)
            let room = resident.devicePeak - minimum.devicePeak
            var programs = [resident, minimum]
            for _ in 0..<4 {
                let budget = minimum.devicePeak + random.below(room + 1)
                programs.append(try program(graph, .bytes(budget), threads: threads))
                #expect(programs.last.map { $0.devicePeak <= budget } == true)
            }
            for program in programs {
                #expect(violation(of: program) == nil, "seed \(seed), \(threads) threads")
                #expect(program.schedule().firstViolation() == nil, "seed \(seed)")
            }
        }
    }

    @Test("more memory never makes the prediction worse", arguments: 100..<124 as Range<UInt64>)
    func moreMemoryNeverHurts(seed: UInt64) throws {
        let graph = try randomNetwork(seed: seed).fused()
        let resident = try program(graph, .unlimited)
        let minimum = try program(graph, .minimum).devicePeak
        var last = Double.infinity
        for step in 0..<50 {
            let budget = minimum + (resident.devicePeak - minimum) * step / 49
            let program = try program(graph, .bytes(budget))
            #expect(program.summary.predictedSeconds <= last, "seed \(seed), \(budget) bytes")
            #expect(program.devicePeak <= budget)
            last = program.summary.predictedSeconds
        }
        #expect(last == resident.summary.predictedSeconds)
    }

    @Test("groups that are resident are one step, streamed ones follow each other")
    func stepsOfGroups() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 64, 9, 9])
        let first = sketch.convolution("a", x, from: 64, to: 64, kernel: 3, group: 4)
        sketch.output(sketch.convolution("y", first, from: 64, to: 64, kernel: 3, group: 4))
        let graph = try sketch.fused()
        let parts = { (program: Program) in
            program.steps.compactMap { step -> [Int]? in
                guard case .compute(_, let work) = step.action, !work.units.isEmpty else {
                    return nil
                }
                return work.units.map(\.part)
            }
        }
        let resident = try program(graph, .unlimited)
        #expect(parts(resident) == [[0, 1, 2, 3], [0, 1, 2, 3]])
        let minimum = try program(graph, .minimum)
        #expect(parts(minimum).allSatisfy { $0.count == 1 })
        #expect(Set(parts(minimum)) == [[0], [1], [2], [3]])
        for percent in stride(from: 10.0, to: 100, by: 10) {
            let program = try program(graph, .percent(percent))
            #expect(violation(of: program) == nil)
            #expect(program.schedule().firstViolation() == nil)
            #expect(parts(program).joined().sorted().starts(with: [0, 0]))
        }
    }

    /// A convolution at the peak, "large", and one of the same weights far from it, "small".
    private func largeAndSmall() throws -> FusedGraph {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 32, 32, 32])
        let large = sketch.convolution("large", x, from: 32, to: 32, kernel: 3)
        let pool = Pool(kind: .maximum, kernel: [4, 4], strides: [4, 4])
        let small = sketch.node("pool", .pool(pool), large)
        sketch.output(sketch.convolution("small", small, from: 32, to: 32, kernel: 3))
        return try sketch.fused()
    }

    @Test("only the steps at the peak are held short of scratch")
    func scratchGrowsBelowThePeak() throws {
        let program = try program(largeAndSmall(), .minimum, threads: 1)
        let scratch = { (name: String) -> Int? in
            let step = program.steps.indices.first {
                guard case .compute(let node, _) = program.steps[$0].action else { return false }
                return program.graph.nodes[node].name == name
            }
            return step.flatMap { program.workspace[$0] }
                .map { program.plan.buffers[$0].byteCount }
        }
        #expect(scratch("large") == 512)
        #expect(scratch("small") == 4032)
        #expect(program.devicePeak == program.summary.minimumPeak)
    }

    @Test("the smallest budget uploads ahead what does not meet the peak", arguments: 0..<20)
    func uploadsAheadAtTheMinimum(seed: UInt64) throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 16, 40, 40])
        var image = sketch.convolution("large", x, from: 16, to: 32 + 16 * Int(seed % 3))
        var channels = 32 + 16 * Int(seed % 3)
        let pool = Pool(kind: .maximum, kernel: [4, 4], strides: [4, 4])
        image = sketch.node("pool", .pool(pool), image)
        for layer in 0..<4 {
            let next = 16 * (2 + (Int(seed) * 7 + layer * 5) % 6)
            image = sketch.convolution("small\(layer)", image, from: channels, to: next)
            channels = next
        }
        sketch.output(image)
        let program = try program(sketch.fused(), .minimum)
        let late = program.steps.filter { step in
            guard case .uploadWeights(let item, _) = step.action else { return false }
            return program.items[item].name != "large" && step.moment.isMultiple(of: 2)
        }
        #expect(late.isEmpty)
        #expect(program.devicePeak == program.summary.minimumPeak)
    }

    @Test("one byte below the minimum is refused, naming a step")
    func belowTheMinimum() throws {
        let graph = try randomNetwork(seed: 3).fused()
        let minimum = try program(graph, .minimum).devicePeak
        let error = try #require(throws: CompileError.self) {
            _ = try program(graph, .bytes(minimum - 1))
        }
        guard case .budgetTooSmall(let budget, let smallest, let step) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(budget == minimum - 1)
        #expect(smallest == minimum)
        #expect(graph.nodes.contains { $0.name == step })
        #expect(error.description.contains("\(minimum) bytes"))
    }

    @Test("a percentage rounds down, and below the minimum it means the minimum")
    func percentages() throws {
        let graph = try randomNetwork(seed: 3).fused()
        let resident = try program(graph, .unlimited)
        let most = try program(graph, .percent(99))
        #expect(most.summary.budget == resident.devicePeak * 99 / 100)
        #expect(!most.summary.wasRaisedToMinimum)
        // More than any integer of bytes.
        let beyond = try program(graph, .percent(1e30))
        #expect(beyond.summary.plannedPeak == beyond.summary.residentPeak)
        let least = try program(graph, .percent(0.001))
        #expect(least.summary.wasRaisedToMinimum)
        #expect(least.devicePeak == least.summary.minimumPeak)
        #expect(resident.summary.budget == nil)
    }

    @Test("the same graph gives the same program")
    func sameGraphSameProgram() throws {
        let graph = try randomNetwork(seed: 11).fused()
        for budget in [DeviceBudget.minimum, .percent(50), .unlimited] {
            let first = try program(graph, budget)
            let second = try program(graph, budget)
            #expect(first.memoryDump() == second.memoryDump())
            #expect(first.scheduleDump() == second.scheduleDump())
        }
    }

    @Test("convolutions with the same weights share them", arguments: 1...3)
    func sharedWeights(threads: Int) throws {
        var sketch = GraphSketch()
        sketch.hasEqualWeights = true
        let x = sketch.input("x", [1, 32, 16, 16])
        let pool = Pool(kind: .maximum, kernel: [2, 2], strides: [2, 2])
        let small = sketch.node("small", .pool(pool), x)
        // Two sizes of image, and the second result of one and the same again.
        let outputs = [("a", x), ("b", small)].map { name, level in
            sketch.convolution(
                name + "2",
                sketch.convolution(name + "1", level, from: 32, to: 32, kernel: 3),
                from: 32,
                to: 32,
                kernel: 3
            )
        }
        sketch.graph.outputs = outputs + [sketch.convolution("other", x, from: 32, to: 40)]
        let graph = try sketch.fused()
        let resident = try program(graph, .unlimited, threads: threads)
        let readers = resident.items.map { $0.readers.map { graph.nodes[$0.node].name } }
        #expect(readers == [["a1", "a2", "b1", "b2"], ["other"]])
        let bytes = resident.items.map(\.byteCount)
        #expect(resident.residentByteCount == bytes.reduce(0) { $0 + aligned($1) })
        let minimum = try program(graph, .minimum, threads: threads)
        #expect(minimum.summary.streamedWeightBytes == 4 * bytes[0] + bytes[1])
        #expect(minimum.hostByteCount == resident.residentByteCount)
        // What is uploaded four times is the first to stay.
        let room = minimum.devicePeak + aligned(bytes[0])
        let most = try program(graph, .bytes(room), threads: threads)
        #expect(most.streaming.residentUnits[0] == most.items[0].unitCount)
        for program in [resident, minimum, most] {
            #expect(violation(of: program) == nil)
            #expect(program.schedule().firstViolation() == nil)
        }
    }

    @Test("every weight is there for each reader, and the summary adds up", arguments: 0..<20)
    func weightsAddUp(seed: UInt64) throws {
        let graph = try randomNetwork(seed: seed).fused()
        for budget in [DeviceBudget.minimum, .percent(60), .unlimited] {
            let program = try program(graph, budget)
            var streamed = 0
            var inputs = 0
            var read: [WeightItem.Reader: Int] = [:]
            for step in program.steps {
                switch step.action {
                case .uploadWeights(let item, let units):
                    streamed += program.items[item].byteCount(of: units)
                case .compute(let node, let work):
                    for units in work.units {
                        let bytes = program.items[units.item].byteCount(of: units.range)
                        read[WeightItem.Reader(node: node, part: units.part), default: 0] += bytes
                        if case .chunks = work { streamed += bytes }
                    }
                case .uploadInput(let number):
                    inputs += graph[graph.inputs[number]].type.byteCount
                default:
                    break
                }
            }
            #expect(streamed == program.summary.streamedWeightBytes)
            #expect(inputs == program.summary.inputBytes)
            var uploads = 0
            var residents = 0
            for (index, item) in program.items.enumerated() {
                let resident = item.byteCount(of: 0..<program.streaming.residentUnits[index])
                residents += resident
                guard case .packed = item.content else {
                    uploads += item.byteCount - resident
                    continue
                }
                uploads += item.readers.count * (item.byteCount - resident)
                #expect(item.readers.allSatisfy { read[$0] == item.byteCount })
            }
            #expect(streamed == uploads)
            #expect(program.summary.residentUploadBytes == residents)
        }
    }

    @Test("weights read once come in chunks, and become resident last", arguments: 0..<20)
    func chunks(seed: UInt64) throws {
        let graph = try randomNetwork(seed: seed).fused()
        let isOneRow = graph[try #require(graph.outputs.last)].type.shape[0] == 1
        for budget in [DeviceBudget.minimum, .percent(50), .percent(75), .percent(95)] {
            let program = try program(graph, budget)
            let items = program.items, residents = program.streaming.residentUnits
            let workspaces = program.streaming.workspaces
            let chunked = Set(
                items.indices.filter { items[$0].comesInChunks(workspaces: workspaces) }
            )
            let slot = { (item: Int) in items[item].chunks.values.first?.slot }
            #expect(chunked.contains { slot($0) ?? 0 > 0 } == isOneRow)
            for step in program.steps {
                switch step.action {
                case .uploadWeights(let item, _): #expect(!chunked.contains(item))
                case .compute(_, .chunks(let units)):
                    #expect(chunked.contains(units.item))
                    #expect((step.slot == nil) == (slot(units.item) == 0))
                default: break
                }
            }
            let missing = items.indices.filter { residents[$0] < items[$0].unitCount }
            for item in chunked where residents[item] > 0 {
                #expect(Set(missing).isSubset(of: chunked))
                // A call for each of two pieces would transform its input twice.
                let isWhole = residents[item] == items[item].unitCount
                #expect(isWhole || slot(item) ?? 0 > 0)
            }
        }
    }

    @Test(
        "Winograd's algorithm reads its weights in chunks where it has the scratch",
        arguments: 1...2
    )
    func winogradChunks(threads: Int) throws {
        let graph = try largeAndSmall()
        let program = try program(graph, .minimum, threads: threads)
        for step in program.steps {
            guard case .compute(let node, let work) = step.action, let units = work.units.first
            else { continue }
            let item = program.items[units.item]
            let workspace = program.streaming.workspaces[node]
            if program.graph.nodes[node].name == "small" {
                // All at once, through no slot.
                guard case .chunks = work else {
                    Issue.record("the weights come in blocks")
                    continue
                }
                #expect(units.range == 0..<item.unitCount && step.slot == nil)
                let need = try #require(item.chunks(to: node, workspace: workspace))
                #expect(item.chunks(to: node, workspace: need.workspace - 1) == nil)
            } else {
                #expect(step.slot != nil && item.chunks(to: node, workspace: workspace) == nil)
            }
        }
        // The other half stays where it is when half of the weights would fit.
        let item = try #require(program.items.last)
        let room = program.devicePeak + aligned(item.byteCount) / 2
        let more = try self.program(graph, .bytes(room), threads: threads)
        #expect([0, item.unitCount].contains(more.streaming.residentUnits[1]))
    }

    @Test("a kernel carries one upload of its moment, the largest, when it can", arguments: 0..<20)
    func carriedUploads(seed: UInt64) throws {
        let graph = try randomNetwork(seed: seed).fused()
        for budget in [DeviceBudget.minimum, .percent(60)] {
            let program = try program(graph, budget)
            for moment in 0..<program.momentCount {
                let steps = program.steps.filter { $0.moment == moment }
                let capacity = steps.reduce(0) { most, step in
                    guard case .compute(let node, .units(let units)) = step.action,
                        let first = units.first
                    else { return most }
                    let carried = FixedCatalog().carriedByteCount(
                        of: graph.nodes[node],
                        part: first.part,
                        threads: program.threads
                    )
                    return carried * first.range.count
                }
                let uploads = steps.compactMap { step -> (bytes: Int, isCarried: Bool)? in
                    guard case .uploadWeights(let item, let units) = step.action else { return nil }
                    return (program.items[item].byteCount(of: units), step.isCarried)
                }
                let carried = uploads.filter(\.isCarried)
                #expect(carried.count == (capacity > 0 && !uploads.isEmpty ? 1 : 0))
                #expect(carried.allSatisfy { $0.bytes == uploads.map(\.bytes).max() })
            }
        }
    }

    @Test("what a kernel carries costs less than what workers copy, up to what it can carry")
    func costOfCarrying() {
        let cost = CostModel(profile: FixedCatalog.profile, threads: 1, lanes: 8)
        let alone = cost.uploadSeconds(1000)
        #expect(cost.uploadSeconds(1000, carrying: 0) == alone)
        let half = cost.uploadSeconds(1000, carrying: 500)
        #expect(half < alone && half > cost.uploadSeconds(1000, carrying: 1000))
        #expect(cost.uploadSeconds(1000, carrying: 9999) == CostModel.carriedShare * alone)
    }

    @Test("the moments check finds a planted conflict")
    func plantedConflict() throws {
        var program = try program(try randomNetwork(seed: 3).fused(), .minimum)
        #expect(violation(of: program) == nil)
        // Put every upload of weights at the moment of the computation that reads it.
        for index in program.steps.indices {
            if case .uploadWeights = program.steps[index].action,
                let slot = program.steps[index].slot
            {
                program.steps[index].moment = program.plan.buffers[slot].live.upperBound
            }
        }
        #expect(violation(of: program) != nil)
    }
}

// MARK: Checks

/// The first thing wrong with where and when a program touches the device arena.
///
/// Plain and quadratic on purpose; nothing here asks the planner.
private func violation(of program: Program) -> String? {
    if let violation = program.plan.firstViolation(alignment: 64) { return "\(violation)" }
    var end = 0
    for (index, item) in program.items.enumerated() {
        let bytes = item.byteCount(of: 0..<program.streaming.residentUnits[index])
        guard bytes > 0 else { continue }
        if program.residentOffset[index] < end { return "residents overlap at \(item.name)" }
        end = program.residentOffset[index] + bytes
    }
    if end > program.residentByteCount { return "residents reach \(end)" }
    if program.plan.offsets.contains(where: { $0 < program.residentByteCount }) {
        return "a transient lies among the residents"
    }
    if program.plan.height > program.devicePeak { return "the plan is higher than its peak" }
    return bufferViolation(of: program) ?? momentViolation(of: program)
}

/// Steps use their slots and values only while these live.
private func bufferViolation(of program: Program) -> String? {
    for (index, step) in program.steps.enumerated() {
        var buffers = [step.slot, program.workspace[index]].compactMap { $0 }
        switch step.action {
        case .compute(let number, _):
            let node = program.graph.nodes[number]
            buffers += (node.inputs + [node.output]).compactMap {
                program.storage.storage[$0.index]
            }
        case .uploadInput(let number):
            buffers += [program.storage.storage[program.graph.inputs[number].index]].compactMap {
                $0
            }
        case .downloadOutput(let number):
            buffers += [program.storage.storage[program.graph.outputs[number].index]].compactMap {
                $0
            }
        case .uploadWeights:
            break
        }
        for buffer in buffers
        where program.plan.buffers[buffer].byteCount > 0
            && !program.plan.buffers[buffer].live.contains(step.moment)
        {
            return "step \(index) uses buffer \(buffer) when it does not live"
        }
    }
    return nil
}

/// Bytes that one step of a moment writes are not touched by another.
private func momentViolation(of program: Program) -> String? {
    for later in program.steps.indices {
        for earlier in 0..<later
        where program.steps[earlier].moment == program.steps[later].moment {
            let a = touched(earlier, by: program)
            let b = touched(later, by: program)
            let isConflict =
                a.writes.contains { one in (b.writes + b.reads).contains { one.overlaps($0) } }
                || b.writes.contains { one in a.reads.contains { one.overlaps($0) } }
            if isConflict { return "steps \(earlier) and \(later) conflict" }
        }
    }
    return nil
}

private func touched(
    _ index: Int,
    by program: Program
) -> (reads: [Range<Int>], writes: [Range<Int>]) {
    func bytes(_ id: ValueID) -> Range<Int> {
        program.deviceBytes(of: id) ?? 0..<0
    }
    func buffer(_ number: Int) -> Range<Int> {
        let offset = program.plan.offsets[number]
        return offset..<offset + program.plan.buffers[number].byteCount
    }
    let step = program.steps[index]
    switch step.action {
    case .uploadInput(let number):
        return ([], [bytes(program.graph.inputs[number])])
    case .downloadOutput(let number):
        return ([bytes(program.graph.outputs[number])], [])
    case .uploadWeights:
        return ([], step.slot.map { [buffer($0)] } ?? [])
    case .compute(let number, _):
        let node = program.graph.nodes[number]
        var reads = node.inputs.map(bytes)
        if let slot = step.slot { reads.append(buffer(slot)) }
        for (item, slot) in program.operandSlot {
            if case .operand(let id) = program.items[item].content, node.inputs.contains(id) {
                reads.append(buffer(slot))
            }
        }
        var writes = [bytes(node.output)]
        if let workspace = program.workspace[index] { writes.append(buffer(workspace)) }
        if case .compute(_, .chunks) = step.action, let slot = step.slot {
            writes.append(buffer(slot))
        }
        return (reads, writes)
    }
}
