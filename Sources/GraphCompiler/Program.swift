import GraphIR

/// Everything a session needs to run a model inside a budget: decided before, never while, it
/// runs.
package struct Program: Sendable {
    package var graph: FusedGraph
    package var storage: StorageMap
    package var items: [WeightItem]
    package var streaming: Streaming
    package var steps: [TimelineStep]
    package var momentCount: Int
    /// Buffers of the plan with their offsets in the device arena.
    package var plan: MemoryPlan
    /// Workspace buffer of steps that need one, by step.
    package var workspace: [Int: Int]
    /// Item of each constant that kernels read as an operand.
    package var operandItem: [ValueID: Int]
    /// Slot buffer of operand items that are streamed.
    package var operandSlot: [Int: Int]
    /// Offset in the device arena of the resident units of each item.
    package var residentOffset: [Int]
    /// Bytes of the arena that residents take, from offset 0.
    package var residentByteCount: Int
    /// Offset in the host arena of the first streamed unit of each item.
    package var hostOffset: [Int]
    package var hostByteCount: Int
    package var threads: Int
    package var isaName: String
    package var lanes: Int
    package var warnings: [String]
    package var summary: PlanSummary

    /// Bytes of the device arena: the planned peak.
    package var devicePeak: Int { summary.plannedPeak }

    /// The bytes of a value in the device arena, none for an input that a kernel carries; nil for
    /// constants.
    package func deviceBytes(of id: ValueID) -> Range<Int>? {
        guard let buffer = storage.storage[id.index] else { return nil }
        let offset = plan.offsets[buffer] + storage.offset[id.index]
        let isThere = plan.buffers[buffer].byteCount > 0
        return offset..<offset + (isThere ? graph[id].byteCount(lanes: lanes) : 0)
    }

    /// Where kernels read or write a value: in its storage, resident, or in the slot of its block.
    package func bytes(of id: ValueID) -> Range<Int> {
        if let bytes = deviceBytes(of: id) { return bytes }
        guard let item = operandItem[id] else { preconditionFailure("a value has bytes") }
        let offset = operandSlot[item].map { plan.offsets[$0] } ?? residentOffset[item]
        return offset..<offset + items[item].byteCount
    }
}

/// The numbers a user asks of a plan.
package struct PlanSummary: Hashable, Sendable {
    /// What was asked for, in bytes; nil when unlimited.
    package var budget: Int?
    /// Whether a percentage came out below the minimum and was raised to it.
    package var wasRaisedToMinimum: Bool
    package var plannedPeak: Int
    package var residentPeak: Int
    package var minimumPeak: Int
    /// The step that sets the minimum.
    package var minimumStep: String
    package var inputBytes: Int
    package var outputBytes: Int
    package var streamedWeightBytes: Int
    package var residentUploadBytes: Int
    /// Bytes that kernels read and write: values and weights, each once for each kernel.
    package var kernelTrafficBytes: Int
    package var predictedSeconds: Double
}

/// Settings of one compilation.
package struct CompileOptions: Sendable {
    package var budget: DeviceBudget
    package var threads: Int
    package var fuses: Bool
    /// Names of fusion passes to leave out.
    package var skippedFusions: Set<String> = []
    /// Whether convolutions keep to the sums of their definition.
    package var isExact: Bool

    package init(budget: DeviceBudget, threads: Int, fuses: Bool = true, isExact: Bool = false) {
        self.budget = budget
        self.threads = threads
        self.fuses = fuses
        self.isExact = isExact
    }
}

/// The fused graph of a bound graph: patterns, lowering, fusion, layout, algorithms.
package func fuse(
    _ graph: Graph,
    catalog: some KernelCatalog,
    fuses: Bool,
    skipping skippedFusions: Set<String> = [],
    isExact: Bool = false
) throws(CompileError) -> FusedGraph {
    let skipped = skippedFusions.union(catalog.skippedFusions)
    func apply<Stage>(_ passes: [Pass<Stage>], to graph: Stage) -> Stage {
        guard fuses else { return graph }
        return passes.filter { !skipped.contains($0.name) }.reduce(graph) { $1.apply($0) }
    }
    var fused = try lower(apply(graphPasses, to: graph), catalog: catalog)
    fused = apply(fusionPasses, to: fused)
    fused = joinPhases(of: fused, catalog: catalog, isExact: isExact)
    var placed = chooseLayouts(of: fused, lanes: catalog.lanes)
    placed = apply(placedFusionPasses, to: placed)
    if !isExact { placed = chooseAlgorithms(of: placed, catalog: catalog) }
    let refusals = placed.nodes.compactMap { node in
        catalog.refusal(of: node, in: placed).map { "node '\(node.name)': \($0)" }
    }
    guard refusals.isEmpty else { throw .unsupported(refusals) }
    return placed
}

/// Compiles a bound graph into a program for one budget and thread count.
package func compile(
    _ graph: Graph,
    catalog: some KernelCatalog,
    profile: CostProfile,
    options: CompileOptions
) throws(CompileError) -> Program {
    let fused = try fuse(
        graph,
        catalog: catalog,
        fuses: options.fuses,
        skipping: options.skippedFusions,
        isExact: options.isExact
    )
    return try place(fused, catalog: catalog, profile: profile, options: options)
}

/// Chooses residency, blocks and offsets for a fused graph.
package func place(
    _ fused: FusedGraph,
    catalog: some KernelCatalog,
    profile: CostProfile,
    options: CompileOptions
) throws(CompileError) -> Program {
    let storage = StorageMap(graph: fused, lanes: catalog.lanes)
    let items = weightItems(
        of: fused,
        storage: storage,
        catalog: catalog,
        threads: options.threads
    )
    let search = PlacementSearch(
        graph: fused,
        storage: storage,
        items: items,
        cost: CostModel(profile: profile, threads: options.threads, lanes: catalog.lanes),
        workspaces: fused.nodes.indices.map { index in
            guard !storage.isElided[index] else { return .none }
            let need = catalog.workspace(of: fused.nodes[index], in: fused)
            return WorkspaceNeed(
                least: aligned(need.least) * options.threads,
                best: aligned(need.best) * options.threads
            )
        },
        carriedByteCounts: Dictionary(
            uniqueKeysWithValues: items.filter(\.isPacked).flatMap(\.readers).map { reader in
                let node = fused.nodes[reader.node]
                return (
                    reader,
                    catalog.carriedByteCount(of: node, part: reader.part, threads: options.threads)
                )
            }
        )
    )
    let resident = search.resident()
    let residentBytes = items.reduce(0) { $0 + aligned($1.byteCount) }
    let residentPeak = residentBytes + resident.height
    let streamed = search.streamed()
    let smallest = streamed.min { $0.height < $1.height }
    let minimumPeak = min(residentPeak, smallest?.height ?? residentPeak)
    let minimumStep = peakStep(
        of: (smallest.map { $0.height < residentPeak } ?? false) ? smallest ?? resident : resident,
        in: fused
    )
    let budget = try resolve(
        options.budget,
        residentPeak: residentPeak,
        minimumPeak: minimumPeak,
        step: minimumStep
    )

    var chosen: (candidate: Candidate, streaming: Streaming, seconds: Double)?
    if residentPeak <= budget.bytes {
        chosen = (resident, resident.streaming, search.predictedSeconds(resident.streaming))
    } else {
        for candidate in streamed {
            guard let filled = search.filled(candidate, budget: budget.bytes) else { continue }
            let seconds = search.predictedSeconds(filled.streaming)
            if chosen.map({ seconds < $0.seconds }) ?? true {
                chosen = (candidate, filled.streaming, seconds)
            }
        }
    }
    guard let chosen else { preconditionFailure("a budget at or above the minimum must plan") }
    let program = assemble(
        fused,
        storage: storage,
        items: items,
        search: search,
        chosen: chosen,
        catalog: catalog,
        options: options,
        summary: PlanSummary(
            budget: budget.isUnlimited ? nil : budget.bytes,
            wasRaisedToMinimum: budget.wasRaised,
            plannedPeak: 0,
            residentPeak: residentPeak,
            minimumPeak: minimumPeak,
            minimumStep: minimumStep,
            inputBytes: 0,
            outputBytes: 0,
            streamedWeightBytes: 0,
            residentUploadBytes: 0,
            kernelTrafficBytes: fused.nodes.indices.reduce(0) { sum, index in
                guard !storage.isElided[index] else { return sum }
                let node = fused.nodes[index]
                return (node.inputs + [node.output]).reduce(sum) {
                    $0 + fused[$1].byteCount(lanes: catalog.lanes)
                }
            } + items.filter(\.isPacked).reduce(0) { $0 + $1.readers.count * $1.byteCount },
            predictedSeconds: chosen.seconds
        )
    )
    // Quadratic, so only for programs of ordinary size; tests check the rest.
    assert(
        program.steps.count > 1500
            || (program.plan.firstViolation(alignment: arenaAlignment) == nil
                && program.schedule().firstViolation() == nil),
        "the plan or the schedule is not sound"
    )
    return program
}

private func resolve(
    _ budget: DeviceBudget,
    residentPeak: Int,
    minimumPeak: Int,
    step: String
) throws(CompileError) -> (bytes: Int, isUnlimited: Bool, wasRaised: Bool) {
    switch budget {
    case .unlimited:
        return (residentPeak, true, false)
    case .minimum:
        return (minimumPeak, false, false)
    case .percent(let percent):
        // What no integer holds is more than there is.
        let bytes = Int(exactly: (Double(residentPeak) * percent / 100).rounded(.down)) ?? .max
        return (max(bytes, minimumPeak), false, bytes < minimumPeak)
    case .bytes(let bytes):
        guard bytes >= minimumPeak else {
            throw .budgetTooSmall(budget: bytes, minimum: minimumPeak, step: step)
        }
        return (bytes, false, false)
    }
}

/// The name of the node at whose moment the most bytes live.
private func peakStep(of candidate: Candidate, in graph: FusedGraph) -> String {
    let live = candidate.timeline.liveBytes
    var best: (bytes: Int, name: String) = (-1, graph.name)
    for step in candidate.timeline.steps {
        guard case .compute(let node, _) = step.action, live[step.moment] > best.bytes else {
            continue
        }
        best = (live[step.moment], graph.nodes[node].name)
    }
    return best.name
}

/// Puts residents below the transients and the streamed rest into the host arena.
private func assemble(
    _ graph: FusedGraph,
    storage: StorageMap,
    items: [WeightItem],
    search: PlacementSearch,
    chosen: (candidate: Candidate, streaming: Streaming, seconds: Double),
    catalog: some KernelCatalog,
    options: CompileOptions,
    summary: PlanSummary
) -> Program {
    let streaming = chosen.streaming
    var residentOffset = [Int](repeating: 0, count: items.count)
    var hostOffset = residentOffset
    var residentEnd = 0
    var hostEnd = 0
    for (index, item) in items.enumerated() {
        let resident = streaming.residentUnits[index]
        residentOffset[index] = residentEnd
        residentEnd += aligned(item.byteCount(of: 0..<resident))
        hostOffset[index] = hostEnd
        hostEnd += aligned(item.byteCount(of: resident..<item.unitCount))
    }
    // Fewer slots than the candidate planned for: plan again, keep the lower of the two.
    let final = search.plan(streaming)
    let offsets =
        final.height <= chosen.candidate.height
        ? final.offsets : offsetsKept(from: chosen.candidate, for: final.timeline)
    let plan = MemoryPlan(
        buffers: final.timeline.buffers,
        offsets: offsets.map { $0 + residentEnd }
    )
    var summary = summary
    summary.plannedPeak = max(aligned(plan.height), residentEnd)
    summary.residentUploadBytes = items.indices.reduce(0) {
        $0 + items[$1].byteCount(of: 0..<streaming.residentUnits[$1])
    }
    summary.streamedWeightBytes = items.indices.reduce(0) {
        $0 + items[$1].uploadCount
            * items[$1].byteCount(of: streaming.residentUnits[$1]..<items[$1].unitCount)
    }
    for step in final.timeline.steps {
        if case .uploadInput(let number) = step.action {
            summary.inputBytes += graph[graph.inputs[number]].type.byteCount
        }
    }
    summary.outputBytes = graph.outputs.reduce(0) { $0 + graph[$1].type.byteCount }
    return Program(
        graph: graph,
        storage: storage,
        items: items,
        streaming: streaming,
        steps: search.withCarriers(final.timeline.steps),
        momentCount: final.timeline.momentCount,
        plan: plan,
        workspace: final.timeline.workspace,
        operandItem: items.enumerated().reduce(into: [:]) { found, item in
            if case .operand(let id) = item.element.content { found[id] = item.offset }
        },
        operandSlot: final.timeline.operandSlot,
        residentOffset: residentOffset,
        residentByteCount: residentEnd,
        hostOffset: hostOffset,
        hostByteCount: hostEnd,
        threads: options.threads,
        isaName: catalog.isaName,
        lanes: catalog.lanes,
        warnings: graph.remarks
            + graph.nodes.indices.compactMap { index in
                guard !storage.isElided[index],
                    let warning = catalog.warning(for: graph.nodes[index], in: graph)
                else { return nil }
                return "step '\(graph.nodes[index].name)': \(warning)"
            },
        summary: summary
    )
}

/// The candidate's offsets for the buffers that are left when some blocks became resident.
private func offsetsKept(from candidate: Candidate, for timeline: Timeline) -> [Int] {
    var offsets = [Int](repeating: 0, count: timeline.buffers.count)
    for index in timeline.buffers.indices where index < candidate.offsets.count {
        offsets[index] = candidate.offsets[index]
    }
    for (item, buffer) in timeline.operandSlot {
        guard let planned = candidate.timeline.operandSlot[item] else {
            preconditionFailure("a streamed operand was planned")
        }
        offsets[buffer] = candidate.offsets[planned]
    }
    // What a step has for itself stands where the step that ends with the same unit had it.
    for (scratch, planned) in [
        (timeline.workspace, candidate.timeline.workspace),
        (timeline.weightSlot, candidate.timeline.weightSlot),
    ] {
        var offsetOf: [WorkspaceKey: Int] = [:]
        for (step, buffer) in planned {
            if let key = WorkspaceKey(candidate.timeline.steps[step].action) {
                offsetOf[key] = candidate.offsets[buffer]
            }
        }
        for (step, buffer) in scratch {
            guard let key = WorkspaceKey(timeline.steps[step].action), let offset = offsetOf[key]
            else { preconditionFailure("the bytes of a step were planned") }
            offsets[buffer] = offset
        }
    }
    return offsets
}

/// Names a computation by its node and the last unit of weights it reads.
private struct WorkspaceKey: Hashable {
    var node: Int
    var part: Int
    var lastUnit: Int

    init?(_ action: TimelineStep.Action) {
        guard case .compute(let node, let work) = action else { return nil }
        self.node = node
        switch work {
        case .whole: (part, lastUnit) = (-1, 0)
        case .fill: (part, lastUnit) = (-1, 1)
        case .boxes: (part, lastUnit) = (-1, 2)
        case .units, .chunks:
            guard let last = work.units.last else { return nil }
            (part, lastUnit) = (last.part, last.range.upperBound)
        }
    }
}
