import GraphCompiler
import GraphIR
import KernelLibrary
import TensorMemory

/// Binds every step of a program to addresses, phase by phase.
struct JobBuilder {
    private let program: Program
    private let device: Arena<DeviceSpace>
    private let host: Arena<HostSpace>
    private let binder: KernelBinder
    /// Binds what one worker does while others do as much of something else.
    private let soloBinder: KernelBinder
    private(set) var actions: [[Action]] = []
    private(set) var phaseSteps: [[TimelineStep]] = []
    private(set) var inputActions: [Int?]
    /// The calls that upload an input themselves.
    private(set) var inputCarriers: [[KernelCall]]
    private(set) var outputActions: [Int?]
    private(set) var inputRegions: [Region<DeviceSpace>?]
    private(set) var outputRegions: [Region<DeviceSpace>?]
    /// The last call that can ask for what is read after it.
    private var asker: KernelCall?

    init(
        program: Program,
        catalog: NativeCatalog,
        device: Arena<DeviceSpace>,
        host: Arena<HostSpace>,
        store: ArgumentStore
    ) {
        self.program = program
        self.device = device
        self.host = host
        let makeBinder = { (workers: Int) in
            KernelBinder(
                catalog: catalog,
                graph: program.graph,
                workers: workers,
                threads: program.threads,
                store: store
            )
        }
        binder = makeBinder(program.threads)
        soloBinder = makeBinder(1)
        inputActions = Array(repeating: nil, count: program.graph.inputs.count)
        inputCarriers = Array(repeating: [], count: program.graph.inputs.count)
        outputActions = Array(repeating: nil, count: program.graph.outputs.count)
        inputRegions = Array(repeating: nil, count: program.graph.inputs.count)
        outputRegions = Array(repeating: nil, count: program.graph.outputs.count)
    }

    mutating func build() {
        var total = 0
        var moment = -1
        for (index, step) in program.steps.enumerated() {
            if step.moment != moment {
                moment = step.moment
                actions.append([])
                phaseSteps.append([])
            }
            let bound = bind(step, index: index, nextAction: total)
            // Computations first: transfers fill the gaps they leave.
            actions[actions.count - 1] += bound
            phaseSteps[phaseSteps.count - 1].append(step)
            total += bound.count
        }
    }

    private mutating func bind(_ step: TimelineStep, index: Int, nextAction: Int) -> [Action] {
        switch step.action {
        case .uploadInput(let number) where step.isCarried:
            carry(input: number)
            return []
        case .uploadInput(let number):
            let region = valueRegion(program.graph.inputs[number])
            inputRegions[number] = region
            inputActions[number] = nextAction
            return [.transfer(Transfer(placeholder: region))]
        case .downloadOutput(let number):
            let region = valueRegion(program.graph.outputs[number])
            outputRegions[number] = region
            outputActions[number] = nextAction
            return [.transfer(Transfer(placeholder: region))]
        case .uploadWeights(let item, let units):
            guard let slot = step.slot else { preconditionFailure("a block has a slot") }
            let source = hostRegion(item, units)
            let offset = program.plan.offsets[slot]
            let target = device.region(offset..<offset + source.byteCount)
            guard step.isCarried else { return [.transfer(Transfer(upload: source, to: target))] }
            carry(source, to: target)
            return []
        case .compute(let node, let work):
            return bindCompute(step, index: index, node: program.graph.nodes[node], work: work)
                .map { .kernel($0) }
        }
    }

    /// Where streamed units of an item are kept.
    private func hostRegion(_ item: Int, _ units: Range<Int>) -> Region<HostSpace> {
        let content = program.items[item]
        let first = program.streaming.residentUnits[item]
        let start = program.hostOffset[item] + content.byteCount(of: first..<units.lowerBound)
        return host.region(start..<start + content.byteCount(of: units))
    }

    /// Has the computation of the same phase copy the block while it multiplies.
    private func carry(_ source: Region<HostSpace>, to target: Region<DeviceSpace>) {
        for case .kernel(let call) in actions[actions.count - 1]
        where call.carry(source, to: target) {
            return
        }
        preconditionFailure("the plan has a kernel carry an upload that cannot")
    }

    /// Has the computation of the same phase copy an input as it reads it.
    private mutating func carry(input number: Int) {
        for case .kernel(let call) in actions[actions.count - 1] where call.copiesInput {
            inputCarriers[number].append(call)
            return
        }
        preconditionFailure("the plan has a kernel carry an input that cannot")
    }

    private mutating func bindCompute(
        _ step: TimelineStep,
        index: Int,
        node: FusedNode,
        work: TimelineStep.Work
    ) -> [KernelCall] {
        var operands = KernelOperands(
            inputs: node.inputs.map { valueRegion($0) },
            output: valueRegion(node.output)
        )
        if let buffer = program.workspace[index] {
            let offset = program.plan.offsets[buffer]
            operands.workspace = device.region(
                offset..<offset + program.plan.buffers[buffer].byteCount
            )
        }
        switch work {
        case .whole:
            return binder.bind(node, .whole, operands)
        case .fill:
            return binder.bind(node, .fill, operands)
        case .boxes:
            guard case .compute(let number, _) = step.action else { return [] }
            return binder.bind(
                node,
                .boxes(skipping: program.storage.placedInputs[number] ?? []),
                operands
            )
        case .units(let parts):
            let soloCount = soloParts(of: node, among: parts.count)
            return parts.enumerated().flatMap { number, units in
                let byteCount = program.items[units.item].byteCount(of: units.range)
                let offset =
                    step.slot.map { program.plan.offsets[$0] }
                    ?? program.residentOffset[units.item]
                let weights = device.region(offset..<offset + byteCount)
                operands.weights = weights
                let calls = (number < soloCount ? soloBinder : binder)
                    .bind(node, .units(part: units.part, range: units.range), operands)
                // A streamed block is close already: it has just been copied.
                ask(for: step.slot == nil ? weights : nil, of: calls)
                return calls
            }
        case .chunks(let units):
            if let slot = step.slot {
                let offset = program.plan.offsets[slot]
                operands.workspace = device.region(
                    offset..<offset + program.plan.buffers[slot].byteCount
                )
            }
            let weights = hostRegion(units.item, units.range)
            operands.chunkedWeights = weights
            let calls = binder.bind(node, .units(part: units.part, range: units.range), operands)
            ask(for: weights, of: calls)
            return calls
        }
    }

    /// Has the call before `calls` ask for what they read, if that comes from far away.
    private mutating func ask<Space>(for weights: Region<Space>?, of calls: [KernelCall]) {
        if let weights, let user = calls.first {
            asker?.askFor(weights, of: user, workers: program.threads)
        }
        asker = calls.last
    }

    /// How many of the first parts of a step are left to one worker each, the same number for all.
    ///
    /// Groups are too small to be cut well: each piece would transform all filters of Winograd's
    /// algorithm again. Phases of a transposed convolution, whose pixels alternate, are all cut.
    private func soloParts(of node: FusedNode, among count: Int) -> Int {
        guard case .convolution(let kernel) = node.kernel, kernel.outputStep == (1, 1) else {
            return 0
        }
        return count / program.threads * program.threads
    }

    private func valueRegion(_ id: ValueID) -> Region<DeviceSpace> {
        device.region(program.bytes(of: id))
    }
}
