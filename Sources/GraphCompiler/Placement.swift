import GraphIR

/// How much device memory a run may use.
package enum DeviceBudget: Hashable, Sendable {
    case unlimited
    case bytes(Int)
    /// Of the resident plan, rounded down; below the minimum it means the minimum.
    case percent(Double)
    case minimum
}

/// One complete way to run: what is resident, how the rest streams, where everything stands.
struct Candidate {
    var streaming: Streaming
    var timeline: Timeline
    /// Offsets of the timeline's buffers above the residents.
    var offsets: [Int]
    var height: Int
}

/// Searches the ways to run a graph.
///
/// The candidates do not depend on the budget, so the best of those that fit never gets slower when
/// the budget grows.
struct PlacementSearch {
    let graph: FusedGraph
    let storage: StorageMap
    let items: [WeightItem]
    let cost: CostModel
    let workspaces: [WorkspaceNeed]
    private let timelines: TimelineBuilder
    /// Seconds of compute of each node with the best scratch.
    private let nodeSeconds: [Double]
    /// Seconds of compute that every block of an item after the first costs again.
    private let repeatedSeconds: [Double]
    /// Bytes of an upload that the computation of a reader carries for each unit of its weights.
    private let carriedByteCounts: [WeightItem.Reader: Int]
    /// For each node, the item with which the node computes that runs before it, if it has one.
    private let itemBefore: [(item: Int, reader: WeightItem.Reader)?]

    /// A thread's share of a block is not made larger than this: it should stay in its core's cache.
    private static let largestShare = 384 << 10
    /// Unless each block repeats work: then it has at least so many units, when there is room.
    private static let unitsPerRepetition = 16

    init(
        graph: FusedGraph,
        storage: StorageMap,
        items: [WeightItem],
        cost: CostModel,
        workspaces: [WorkspaceNeed],
        carriedByteCounts: [WeightItem.Reader: Int]
    ) {
        self.graph = graph
        self.storage = storage
        self.items = items
        self.cost = cost
        self.workspaces = workspaces
        self.carriedByteCounts = carriedByteCounts
        timelines = TimelineBuilder(graph: graph, storage: storage, items: items)
        var lastItem: [Int: (item: Int, reader: WeightItem.Reader)] = [:]
        for (index, item) in items.enumerated() where item.isPacked {
            for reader in item.readers where reader.part >= lastItem[reader.node]?.reader.part ?? 0
            {
                lastItem[reader.node] = (index, reader)
            }
        }
        var before: Int?
        itemBefore = graph.nodes.indices.map { node in
            defer { if !storage.isElided[node] { before = node } }
            return before.flatMap { lastItem[$0] }
        }
        repeatedSeconds = items.map { item in
            item.readers.reduce(0) { $0 + cost.repeatedSeconds(of: graph.nodes[$1.node]) }
        }
        nodeSeconds = graph.nodes.indices.map { index in
            storage.isElided[index] ? 0 : cost.seconds(of: graph.nodes[index], in: graph)
        }
    }

    // MARK: Candidates

    /// Everything on the device: what unlimited memory uses.
    func resident(isFrugal: Bool = false) -> Candidate {
        plan(
            Streaming(
                unitsPerBlock: items.map(\.unitCount),
                residentUnits: items.map(\.unitCount),
                prefetches: items.map { _ in false },
                workspaces: scratch(isFrugal: isFrugal)
            )
        )
    }

    private func scratch(isFrugal: Bool) -> [Int] {
        workspaces.map { isFrugal ? $0.least : $0.best }
    }

    /// Ways to stream everything, with the best scratch and, where that differs, with as much as
    /// leaves the height what the least scratch makes it.
    func streamed() -> [Candidate] {
        let hasChoice = workspaces.contains { $0.least != $0.best }
        guard hasChoice else { return streamed(isFrugal: false) }
        return streamed(isFrugal: false) + streamed(isFrugal: true).map { withMoreScratch($0) }
    }

    /// The candidate with more scratch for the nodes beside which there is room below its height.
    private func withMoreScratch(_ candidate: Candidate) -> Candidate {
        let live = liveBytes(of: candidate)
        let spared = bytesSparedByChunks(candidate)
        let unit = arenaAlignment * cost.threads
        // What does not fit as a whole may do so in part: the planner of offsets leaves gaps.
        for share in [1, 0.5] {
            var streaming = candidate.streaming
            for node in graph.nodes.indices where live[node] > 0 {
                let need = workspaces[node]
                let workspace = { (live: Int) in
                    let room = Int(Double(max(0, candidate.height - live)) * share)
                    return min(need.best, need.least + room / unit * unit)
                }
                streaming.workspaces[node] = workspace(live[node])
                guard let (slot, least) = spared[node] else { continue }
                let most = workspace(live[node] - slot)
                if most >= least { streaming.workspaces[node] = most }
            }
            if streaming == candidate.streaming { break }
            let larger = plan(streaming)
            if larger.height <= candidate.height { return larger }
        }
        return candidate
    }

    /// Of the nodes whose weights come in blocks and would come in chunks with more scratch: the slot
    /// they then do without, and the scratch.
    private func bytesSparedByChunks(_ candidate: Candidate) -> [Int: (slot: Int, scratch: Int)] {
        var spared: [Int: (slot: Int, scratch: Int)] = [:]
        for step in candidate.timeline.steps {
            guard case .compute(let node, .units(let units)) = step.action, let slot = step.slot,
                let chunks = units.first.flatMap({
                    items[$0.item].chunks(to: node, workspace: .max)
                })
            else { continue }
            let byteCount = aligned(candidate.timeline.buffers[slot].byteCount)
            spared[node] = (max(spared[node]?.slot ?? 0, byteCount), chunks.workspace)
        }
        return spared
    }

    /// Ways to stream everything, from the smallest blocks to the largest.
    private func streamed(isFrugal: Bool) -> [Candidate] {
        let live = liveBytes(of: resident(isFrugal: isFrugal))
        let lowest = items.reduce(live.max() ?? 0) { highest, item in
            max(highest, mostLive(beside: item, live) + aligned(largestUnit(item)))
        }
        var seen: Set<Streaming> = []
        var result: [Candidate] = []
        let ladder = [1, 1.03, 1.07, 1.15, 1.3, 1.6, 2.2, .infinity]
        // Two slots where they fit, only where they fit well (what just fits may be a little higher
        // when offsets are chosen), and nowhere.
        let ways = ladder.map { ($0, 1) } + [(1, 0.9), (1, 0.75)] + ladder.map { ($0, 0) }
        for (factor, twoSlotShare) in ways {
            let target = factor.isInfinite ? Int.max / 4 : Int(Double(lowest) * factor)
            var streaming = blocks(
                target: target,
                twoSlotTarget: Int(Double(target) * twoSlotShare),
                live: live
            )
            streaming.workspaces = scratch(isFrugal: isFrugal)
            if seen.insert(streaming).inserted { result.append(plan(streaming)) }
        }
        return result
    }

    /// The most bytes that live beside the item while a node reads it.
    private func mostLive(beside item: WeightItem, _ live: [Int]) -> Int {
        item.readers.reduce(0) { max($0, live[$1.node]) }
    }

    private func largestUnit(_ item: WeightItem) -> Int {
        alwaysChunked(item)?.slot
            ?? (0..<item.unitCount).reduce(0) { max($0, item.byteCount(of: $1..<$1 + 1)) }
    }

    /// What an item needs that comes in chunks whatever the workspace.
    private func alwaysChunked(_ item: WeightItem) -> WeightChunks? {
        item.readers.first.flatMap { item.chunks(to: $0.node, workspace: 0) }
    }

    private func isChunked(_ index: Int, _ streaming: Streaming) -> Bool {
        items[index].comesInChunks(workspaces: streaming.workspaces)
    }

    /// Blocks whose slots fit beside what lives at their steps: two below `twoSlotTarget` where there
    /// is room for them, else one below `target`.
    private func blocks(target: Int, twoSlotTarget: Int, live: [Int]) -> Streaming {
        var streaming = Streaming(
            unitsPerBlock: items.map(\.unitCount),
            residentUnits: items.map { _ in 0 },
            prefetches: items.map { _ in false },
            workspaces: []
        )
        for (index, item) in items.enumerated() {
            let own = mostLive(beside: item, live)
            let before = item.readers.reduce(0) { max($0, $1.node > 0 ? live[$1.node - 1] : 0) }
            let roomForTwo = (twoSlotTarget - max(own, before)) / 2
            streaming.prefetches[index] = roomForTwo >= aligned(largestUnit(item))
            guard item.isPacked, item.unitCount > 0 else { continue }
            if alwaysChunked(item) != nil {
                // No blocks: the pieces that become resident, each worth a phase of its own.
                let isWorth = {
                    cost.chunkSeconds(item.byteCount(of: 0..<$0)) > cost.profile.phaseSeconds
                }
                streaming.unitsPerBlock[index] =
                    (1...item.unitCount).first(where: isWorth) ?? item.unitCount
                streaming.prefetches[index] = false
                continue
            }
            let room = streaming.prefetches[index] ? roomForTwo : target - own
            let repeats = repeatedSeconds[index] > 0
            var units = 1
            while units < item.unitCount {
                let byteCount = aligned(item.byteCount(of: 0..<units + 1))
                // Each thread has a unit of its own to multiply, when there is room.
                let fewest = repeats ? Self.unitsPerRepetition : cost.threads
                let isLarge = byteCount > Self.largestShare * cost.threads && units >= fewest
                if byteCount > room || isLarge { break }
                units += 1
            }
            // The same number of blocks, as equal as can be, and the threads' shares of each.
            if units > cost.threads { units -= units % cost.threads }
            let count = (item.unitCount + units - 1) / units
            let equal = (item.unitCount + count - 1) / count
            let shares = (equal + cost.threads - 1) / cost.threads * cost.threads
            streaming.unitsPerBlock[index] = min(shares, units)
        }
        return streaming
    }

    func plan(_ streaming: Streaming) -> Candidate {
        let timeline = timelines.timeline(of: streaming)
        let memory = planMemory(for: timeline.buffers)
        return Candidate(
            streaming: streaming,
            timeline: timeline,
            offsets: memory.offsets,
            height: aligned(memory.height)
        )
    }

    /// The most bytes that live while each node runs, resident weights left out.
    private func liveBytes(of candidate: Candidate) -> [Int] {
        let atMoment = candidate.timeline.liveBytes
        var live = [Int](repeating: 0, count: graph.nodes.count)
        for step in candidate.timeline.steps {
            if case .compute(let node, _) = step.action {
                live[node] = max(live[node], atMoment[step.moment])
            }
        }
        // A node that does nothing holds what the node before it held.
        for index in live.indices.dropFirst() where storage.isElided[index] {
            live[index] = live[index - 1]
        }
        return live
    }

    // MARK: Choice

    /// The same candidate with as many blocks resident as `budget` leaves room for.
    func filled(_ candidate: Candidate, budget: Int) -> (streaming: Streaming, bytes: Int)? {
        guard candidate.height <= budget else { return nil }
        var streaming = candidate.streaming
        var bytes = 0
        // Chunks come almost for free: blocks go first, those that are uploaded most often at the head.
        let order = items.indices.sorted { left, right in
            let isChunked = isChunked(left, streaming)
            guard isChunked == self.isChunked(right, streaming) else { return !isChunked }
            let (count, other) = (items[left].uploadCount, items[right].uploadCount)
            guard count == other else { return count > other }
            let a = blockBytes(left, streaming)
            let b = blockBytes(right, streaming)
            return a == b ? left < right : a < b
        }
        fill: for item in order {
            while streaming.residentUnits[item] < items[item].unitCount {
                let now = streaming.residentUnits[item]
                let next = min(now + unitsAtOnce(item, streaming), items[item].unitCount)
                let grown =
                    bytes - aligned(items[item].byteCount(of: 0..<now))
                    + aligned(items[item].byteCount(of: 0..<next))
                guard candidate.height + grown <= budget else { break fill }
                bytes = grown
                streaming.residentUnits[item] = next
            }
        }
        return (streaming, bytes)
    }

    /// Units of an item that become resident together: all where a call for the rest would do again
    /// what costs more than chunks.
    private func unitsAtOnce(_ item: Int, _ streaming: Streaming) -> Int {
        isChunked(item, streaming) && repeatedSeconds[item] > 0
            ? items[item].unitCount : streaming.unitsPerBlock[item]
    }

    private func blockBytes(_ item: Int, _ streaming: Streaming) -> Int {
        items[item].byteCount(of: 0..<min(unitsAtOnce(item, streaming), items[item].unitCount))
    }

    /// Seconds a run takes under the cost model.
    func predictedSeconds(_ streaming: Streaming) -> Double {
        var seconds = 0.0
        for index in graph.nodes.indices where !storage.isElided[index] {
            let slowdown = cost.slowdown(
                of: graph.nodes[index],
                needing: workspaces[index],
                with: streaming.workspaces[index]
            )
            seconds += cost.phaseSeconds(work: nodeSeconds[index] * slowdown)
        }
        for (index, item) in items.enumerated() {
            let resident = streaming.residentUnits[index]
            let streamed = item.unitCount - resident
            guard streamed > 0 else { continue }
            let blocks =
                (streamed + streaming.unitsPerBlock[index] - 1)
                / streaming.unitsPerBlock[index]
            let isChunked = isChunked(index, streaming)
            let parts = (isChunked ? 1 : blocks) + (resident > 0 ? 1 : 0)
            seconds += Double(parts - 1) * repeatedSeconds[index] / Double(cost.threads)
            let bytes = item.byteCount(of: resident..<item.unitCount)
            if isChunked {
                let phase = resident > 0 ? cost.profile.phaseSeconds : 0
                seconds += Double(item.uploadCount) * (cost.chunkSeconds(bytes) + phase)
                continue
            }
            let phases = item.uploadCount * blocks * (streaming.prefetches[index] ? 1 : 2)
            let uploads = item.readers.prefix(item.uploadCount).reduce(0) {
                $0 + uploadSeconds(of: index, for: $1, streaming)
            }
            seconds +=
                uploads / Double(cost.threads) + Double(phases) * cost.profile.phaseSeconds
        }
        return seconds
    }

    // MARK: Carriers

    /// Seconds of one thread for the uploads of an item for one of its readers: the first block beside
    /// the computation before its node, each other one beside the block before it.
    private func uploadSeconds(
        of index: Int,
        for reader: WeightItem.Reader,
        _ streaming: Streaming
    ) -> Double {
        let item = items[index]
        let block = streaming.unitsPerBlock[index]
        var start = streaming.residentUnits[index]
        var seconds = 0.0
        while start < item.unitCount {
            let end = min(start + block, item.unitCount)
            var capacity = 0
            if streaming.prefetches[index] {
                capacity =
                    start == 0
                    ? itemBefore[reader.node].map { lastCapacity($0, $1, streaming) } ?? 0
                    : carriedBytes(reader, start == streaming.residentUnits[index] ? start : block)
            }
            seconds += cost.uploadSeconds(item.byteCount(of: start..<end), carrying: capacity)
            start = end
        }
        return seconds
    }

    /// What the last computation of a reader with its item carries.
    private func lastCapacity(
        _ index: Int,
        _ reader: WeightItem.Reader,
        _ streaming: Streaming
    ) -> Int {
        let streamed = items[index].unitCount - streaming.residentUnits[index]
        let block = streaming.unitsPerBlock[index]
        let rest = streamed % block
        let units = streamed == 0 ? items[index].unitCount : rest == 0 ? block : rest
        return carriedBytes(reader, units)
    }

    private func carriedBytes(_ reader: WeightItem.Reader, _ units: Int) -> Int {
        carriedByteCounts[reader, default: 0] * units
    }

    /// The steps with an upload of each moment given to the computation beside it, where that costs
    /// less than leaving it to workers: the largest, as a kernel carries one.
    func withCarriers(_ steps: [TimelineStep]) -> [TimelineStep] {
        var steps = steps
        var capacity: [Int: Int] = [:]
        for step in steps {
            guard case .compute(let node, let work) = step.action, let first = work.units.first
            else { continue }
            let reader = WeightItem.Reader(node: node, part: first.part)
            capacity[step.moment] = carriedBytes(reader, first.range.count)
        }
        var largest: [Int: (index: Int, bytes: Int)] = [:]
        for (index, step) in steps.enumerated() {
            guard case .uploadWeights(let item, let units) = step.action else { continue }
            let bytes = items[item].byteCount(of: units)
            let carried = cost.uploadSeconds(bytes, carrying: capacity[step.moment] ?? 0)
            guard carried < cost.uploadSeconds(bytes), bytes > largest[step.moment]?.bytes ?? 0
            else { continue }
            largest[step.moment] = (index, bytes)
        }
        for (index, _) in largest.values { steps[index].isCarried = true }
        return steps
    }
}
