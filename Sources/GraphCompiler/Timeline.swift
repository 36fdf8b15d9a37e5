import GraphIR

/// How the weights reach the device, what is resident and how the rest is cut; and the scratch of
/// kernels.
package struct Streaming: Hashable, Sendable {
    /// Units of each item that make a block.
    package var unitsPerBlock: [Int]
    /// Units of each item that stay on the device: whole blocks from the first, or all.
    package var residentUnits: [Int]
    /// Bytes of scratch of each node for all threads together: between the least it works with and
    /// what it works best with.
    package var workspaces: [Int]
    /// Of each item: true uploads a block while the step before its use computes, into a second
    /// slot; false just before its use.
    package var prefetches: [Bool]

    package init(
        unitsPerBlock: [Int],
        residentUnits: [Int],
        prefetches: [Bool],
        workspaces: [Int]
    ) {
        self.unitsPerBlock = unitsPerBlock
        self.residentUnits = residentUnits
        self.prefetches = prefetches
        self.workspaces = workspaces
    }
}

/// Units of the weights of one part of a node, and the item they are in.
package struct WeightUnits: Hashable, Sendable {
    package var item: Int
    package var part: Int
    package var range: Range<Int>
}

/// Something that happens at one moment of a run.
///
/// Moments count phases: even ones hold transfers alone, odd ones a computation and what is
/// transferred beside it.
package struct TimelineStep: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        case uploadInput(Int)
        case downloadOutput(Int)
        /// Units of an item into their slot.
        case uploadWeights(item: Int, units: Range<Int>)
        /// Work of a node.
        case compute(node: Int, work: Work)
    }

    package enum Work: Hashable, Sendable {
        case whole
        case fill
        case boxes
        /// Units of one part, or several parts that are resident.
        case units([WeightUnits])
        /// Streamed units, which the kernel copies chunk by chunk as it goes: through the slot, or to
        /// its workspace.
        case chunks(WeightUnits)

        /// The units that are multiplied.
        package var units: [WeightUnits] {
            switch self {
            case .whole, .fill, .boxes: []
            case .units(let units): units
            case .chunks(let units): [units]
            }
        }
    }

    package var moment: Int
    package var action: Action
    /// The buffer of the streamed block that the step fills or reads.
    package var slot: Int?
    /// Whether the computation of the same moment does the upload; workers do others beside it.
    ///
    /// It copies a block between its multiplications, of an input the rows that it is about to read.
    package var isCarried = false
}

/// The run as a sequence of steps, and the buffers it needs beside the resident weights.
package struct Timeline: Sendable {
    package var steps: [TimelineStep] = []
    /// Storages first, by number, then workspaces and slots.
    package var buffers: [Buffer] = []
    /// Buffer of each operand item that is streamed.
    package var operandSlot: [Int: Int] = [:]
    /// Workspace of each compute step, by index into `steps`.
    package var workspace: [Int: Int] = [:]
    package var momentCount = 0

    /// Slot of the streamed weights that each compute step reads, if it does.
    package var weightSlot: [Int: Int] {
        var slots: [Int: Int] = [:]
        for (index, step) in steps.enumerated() {
            if case .compute = step.action { slots[index] = step.slot }
        }
        return slots
    }

    /// Bytes that live at each moment, resident weights left out.
    var liveBytes: [Int] { bytesAtMoments(of: buffers, count: momentCount) }
}

/// Lays out the steps of a run, for one way of streaming after another.
struct TimelineBuilder {
    let graph: FusedGraph
    let storage: StorageMap
    let items: [WeightItem]
    private var streaming = Streaming(
        unitsPerBlock: [],
        residentUnits: [],
        prefetches: [],
        workspaces: []
    )
    private var timeline = Timeline()
    private var computeSteps = 0
    private var operandsOfNode: [Int: [Int]] = [:]
    private var packedItem: [WeightItem.Reader: Int] = [:]
    /// When each storage is in use; nil while nothing has touched it.
    private var lives: [ClosedRange<Int>?]

    init(
        graph: FusedGraph,
        storage: StorageMap,
        items: [WeightItem]
    ) {
        self.graph = graph
        self.storage = storage
        self.items = items
        lives = Array(repeating: nil, count: storage.storages.count)
        for (index, item) in items.enumerated() {
            for reader in item.readers {
                switch item.content {
                case .packed: packedItem[reader] = index
                case .operand: operandsOfNode[reader.node, default: []].append(index)
                }
            }
        }
        for (number, input) in graph.inputs.enumerated() {
            guard let bytes = storage.storage[input.index] else { continue }
            inputsOfStorage[bytes, default: []].append(number)
        }
        uploadedInputs = Set(storage.carriedInputs.values.map { graph.inputs[$0] })
        var writer: Int?
        var writers: [ValueID: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            if !storage.isElided[index] { writer = index }
            writers[node.output] = writer
        }
        for (number, output) in graph.outputs.enumerated() {
            // No output is a constant, an input or a view of one.
            guard let writer = writers[output] else {
                preconditionFailure("a node writes every output")
            }
            outputsCompleted[writer, default: []].append(number)
        }
    }

    func timeline(of streaming: Streaming) -> Timeline {
        var builder = self
        builder.streaming = streaming
        return builder.build()
    }

    private mutating func build() -> Timeline {
        addStorages()
        for index in graph.nodes.indices where !storage.isElided[index] { add(node: index) }
        timeline.momentCount = 2 * computeSteps + 1
        closeStorages()
        // Steps of one moment keep the order in which they were added: computation first.
        timeline.steps = timeline.steps.enumerated()
            .sorted { ($0.element.moment, $0.offset) < ($1.element.moment, $1.offset) }
            .map(\.element)
        attachWorkspaces()
        return timeline
    }

    // MARK: Inputs

    private var inputsOfStorage: [Int: [Int]] = [:]
    private var uploadedInputs: Set<ValueID> = []

    // MARK: Buffers

    private mutating func addStorages() {
        timeline.buffers = storage.storages.map { Buffer(byteCount: $0.byteCount, live: 0...0) }
    }

    private mutating func touch(_ storageIndex: Int, at moment: Int) {
        let live = lives[storageIndex] ?? moment...moment
        lives[storageIndex] = min(live.lowerBound, moment)...max(live.upperBound, moment)
    }

    private mutating func touch(_ id: ValueID, at moment: Int) {
        if let index = storage.storage[id.index] { touch(index, at: moment) }
    }

    private mutating func closeStorages() {
        for index in storage.storages.indices {
            guard let live = lives[index] else {
                // Carried, or only its shape counts: the input never stands on the device.
                timeline.buffers[index].byteCount = 0
                continue
            }
            timeline.buffers[index].live = live
        }
    }

    private mutating func addBuffer(_ byteCount: Int, _ live: ClosedRange<Int>) -> Int {
        timeline.buffers.append(Buffer(byteCount: byteCount, live: live))
        return timeline.buffers.count - 1
    }

    // MARK: Steps

    private var nextComputeMoment: Int { 2 * computeSteps + 1 }

    private mutating func add(node index: Int) {
        let node = graph.nodes[index]
        for input in node.inputs { uploadIfInput(input) }
        for item in operandsOfNode[index] ?? [] { uploadOperand(item, at: index) }
        let started = nextComputeMoment
        switch node.kernel {
        case .convolution(let kernel):
            addParts(kernel.parts.indices, of: index)
        case .copy(let copy):
            if copy.fill != nil { compute(index, .fill) }
            let placed = storage.placedInputs[index] ?? []
            if copy.boxes.contains(where: { !placed.contains($0.input) }) {
                compute(index, .boxes)
            }
        default:
            compute(index, .whole)
        }
        // What has nothing to compute, as parts of a concat are in place, ends before the next step.
        let isIdle = nextComputeMoment == started
        let moments = isIdle ? started - 1...started - 1 : started...nextComputeMoment - 2
        let carried = storage.carriedInputs[index] == nil ? nil : node.inputs.first
        for id in node.inputs + [node.output] where id != carried {
            touch(id, at: moments.lowerBound)
            touch(id, at: moments.upperBound)
        }
        for item in operandsOfNode[index] ?? [] {
            guard let slot = timeline.operandSlot[item] else { continue }
            let live = timeline.buffers[slot].live
            timeline.buffers[slot].live = live.lowerBound...moments.upperBound
        }
        downloadIfOutput(after: index)
    }

    private mutating func uploadIfInput(_ id: ValueID) {
        // Views of an input read the bytes of the input.
        guard let bytes = storage.storage[id.index] else { return }
        for number in inputsOfStorage[bytes] ?? [] {
            let input = graph.inputs[number]
            guard uploadedInputs.insert(input).inserted else { continue }
            let moment = nextComputeMoment - 1
            timeline.steps.append(
                TimelineStep(moment: moment, action: .uploadInput(number), slot: nil)
            )
            touch(input, at: moment)
        }
    }

    private var outputsCompleted: [Int: [Int]] = [:]

    /// Results are given to the caller as soon as they are complete: after the last node up to
    /// their producer that does something.
    private mutating func downloadIfOutput(after node: Int) {
        for number in outputsCompleted[node] ?? [] {
            let moment = 2 * computeSteps
            timeline.steps.append(
                TimelineStep(moment: moment, action: .downloadOutput(number), slot: nil)
            )
            touch(graph.outputs[number], at: moment)
        }
    }

    private mutating func compute(_ node: Int, _ work: TimelineStep.Work, slot: Int? = nil) {
        timeline.steps.append(
            TimelineStep(
                moment: nextComputeMoment,
                action: .compute(node: node, work: work),
                slot: slot
            )
        )
        if let number = storage.carriedInputs[node] {
            timeline.steps.append(
                TimelineStep(
                    moment: nextComputeMoment,
                    action: .uploadInput(number),
                    slot: nil,
                    isCarried: true
                )
            )
        }
        computeSteps += 1
    }

    /// The steps of all parts: neighbours that are resident at once, since no part waits for another.
    private mutating func addParts(_ parts: Range<Int>, of node: Int) {
        var residents: [WeightUnits] = []
        for part in parts {
            guard let item = packedItem[WeightItem.Reader(node: node, part: part)] else {
                preconditionFailure("a part has weights")
            }
            let resident = streaming.residentUnits[item]
            if resident > 0 {
                residents.append(WeightUnits(item: item, part: part, range: 0..<resident))
            }
            let isWhole = resident == items[item].unitCount
            if !residents.isEmpty, !isWhole || part + 1 == parts.upperBound {
                compute(node, .units(residents))
                residents = []
            }
            if !isWhole { addStreamed(part, in: item, of: node) }
        }
    }

    /// The steps of the streamed units of one part, block after block.
    private mutating func addStreamed(_ part: Int, in item: Int, of node: Int) {
        let total = items[item].unitCount
        let resident = streaming.residentUnits[item]
        let workspace = streaming.workspaces[node]
        if let chunks = items[item].chunks(to: node, workspace: workspace) {
            let moment = nextComputeMoment
            let slot = chunks.slot > 0 ? addBuffer(chunks.slot, moment...moment) : nil
            return compute(
                node,
                .chunks(WeightUnits(item: item, part: part, range: resident..<total)),
                slot: slot
            )
        }
        var start = resident
        while start < total {
            let end = min(start + streaming.unitsPerBlock[item], total)
            let range = start..<end
            let upload = uploadMoment(of: item)
            let slot = addBuffer(
                items[item].byteCount(of: range),
                upload...nextComputeMoment
            )
            timeline.steps.append(
                TimelineStep(
                    moment: upload,
                    action: .uploadWeights(item: item, units: range),
                    slot: slot
                )
            )
            let units = WeightUnits(item: item, part: part, range: range)
            compute(node, .units([units]), slot: slot)
            start = end
        }
    }

    private func uploadMoment(of item: Int) -> Int {
        let comesEarly = streaming.prefetches[item] && computeSteps > 0
        return comesEarly ? nextComputeMoment - 2 : nextComputeMoment - 1
    }

    private mutating func uploadOperand(_ item: Int, at node: Int) {
        guard streaming.residentUnits[item] == 0 else { return }
        guard timeline.operandSlot[item] == nil else { return }
        let upload = uploadMoment(of: item)
        let slot = addBuffer(items[item].byteCount, upload...nextComputeMoment)
        timeline.operandSlot[item] = slot
        timeline.steps.append(
            TimelineStep(
                moment: upload,
                action: .uploadWeights(item: item, units: 0..<1),
                slot: slot
            )
        )
    }

    private mutating func attachWorkspaces() {
        for (index, step) in timeline.steps.enumerated() {
            guard case .compute(let node, _) = step.action else { continue }
            let bytes = streaming.workspaces[node]
            guard bytes > 0 else { continue }
            timeline.workspace[index] = addBuffer(bytes, step.moment...step.moment)
        }
    }
}
