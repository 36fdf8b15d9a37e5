import GraphCompiler
import GraphIR
import KernelLibrary
import TensorMemory

/// Why a program could not be opened.
package enum SessionError: Error, Sendable {
    case memory(ArenaError)
    case threads(ThreadError)
    case constant(ConstantError, item: String)
}

/// A program with its memory: arenas mapped, residents packed, every kernel bound.
///
/// Runs of one session do not overlap: callers take turns.
package final class Session: @unchecked Sendable {
    package let program: Program
    private let device: Arena<DeviceSpace>
    private let host: Arena<HostSpace>
    private let store = ArgumentStore()
    private let job: Job
    /// Index of the action that moves each input and output.
    private let inputActions: [Int?]
    /// The calls that upload each input themselves.
    private let inputCarriers: [[KernelCall]]
    private let inputByteCounts: [Int]
    private let outputActions: [Int?]
    /// Planes of a picture, 1 of any other input.
    private let inputPlanes: [Int]
    private let inputRegions: [Region<DeviceSpace>?]
    private let outputRegions: [Region<DeviceSpace>?]
    /// What each phase of the job does, for profiles.
    package let phaseSteps: [[TimelineStep]]
    /// Most host bytes that bringing in weights took beside the arena.
    private let stagingPeak: Int

    /// Maps the arenas, packs the weights and binds every step.
    package init(
        program: Program,
        catalog: NativeCatalog,
        files: [WeightFile]
    ) throws(SessionError) {
        self.program = program
        do throws(ArenaError) {
            device = try Arena<DeviceSpace>(capacity: program.devicePeak)
            host = try Arena<HostSpace>(capacity: program.hostByteCount)
        } catch {
            throw .memory(error)
        }
        do throws(ThreadError) {
            try WorkerPool.shared.prepare(workers: program.threads)
        } catch {
            throw .threads(error)
        }
        let reader = ConstantReader(files: files)
        try packWeights(
            program,
            packer: WeightPacker(catalog: catalog, reader: reader),
            device: device,
            host: host
        )
        stagingPeak = reader.peakByteCount
        var builder = JobBuilder(
            program: program,
            catalog: catalog,
            device: device,
            host: host,
            store: store
        )
        builder.build()
        job = Job(actions: builder.actions, workers: program.threads)
        phaseSteps = builder.phaseSteps
        inputActions = builder.inputActions
        inputCarriers = builder.inputCarriers
        inputByteCounts = program.graph.inputs.map { program.graph[$0].type.byteCount }
        outputActions = builder.outputActions
        inputPlanes = program.graph.inputs.map { input in
            let shape = program.graph[input].type.shape
            return shape.count == 4 && shape[0] == 1 ? max(shape[1], 1) : 1
        }
        inputRegions = builder.inputRegions
        outputRegions = builder.outputRegions
    }

    /// Highest byte of the device arena that the session uses, + 1, by the arena's own account.
    package var devicePeakBytes: Int { device.highestByteIssued }

    /// Bytes of host memory for weights: the arena, and the most that opening took beside it.
    package var hostPeakBytes: Int { host.capacity + stagingPeak }

    /// Runs the program once.
    ///
    /// Inputs and outputs are in the order of the program's graph, each of exactly its value's
    /// size; nothing is allocated. The caller must not run one session on two threads at a time.
    ///
    /// When `control` stops the run, the outputs hold anything; the next run starts afresh.
    package func run(
        inputs: [UnsafeRawBufferPointer],
        outputs: [UnsafeMutableRawBufferPointer],
        control: RunControl? = nil
    ) {
        for index in inputs.indices {
            // By index: the iterator of an array allocates in a debug build.
            for carrier in inputCarriers[index].indices {
                precondition(inputs[index].count == inputByteCounts[index])
                inputCarriers[index][carrier].carryInput(inputs[index])
            }
            guard let action = inputActions[index], let region = inputRegions[index] else {
                continue
            }
            job.replace(
                action: action,
                with: .transfer(
                    Transfer(upload: inputs[index], to: region, planes: inputPlanes[index])
                )
            )
        }
        for index in outputs.indices {
            guard let action = outputActions[index], let region = outputRegions[index] else {
                continue
            }
            job.replace(
                action: action,
                with: .transfer(Transfer(download: region, to: outputs[index]))
            )
        }
        let control = control ?? .unstoppable
        var shared = job.shared
        shared.control = Unmanaged.passUnretained(control)
        withExtendedLifetime(control) {
            WorkerPool.shared.run(shared)
        }
    }

    /// Seconds of each phase of the last run.
    package var phaseSeconds: [Double] { job.phaseSeconds }

    /// The device arena, for tests that watch which bytes a run touches.
    package var deviceArena: Arena<DeviceSpace> { device }
}

/// Brings every weight where the program wants it.
private func packWeights(
    _ program: Program,
    packer: WeightPacker,
    device: Arena<DeviceSpace>,
    host: Arena<HostSpace>
) throws(SessionError) {
    for (index, item) in program.items.enumerated() {
        let resident = program.streaming.residentUnits[index]
        let residentBytes = item.byteCount(of: 0..<resident)
        let streamed = resident..<item.unitCount
        let start = program.residentOffset[index]
        let deviceRegion = device.region(start..<start + residentBytes)
        let hostStart = program.hostOffset[index]
        let hostRegion = host.region(hostStart..<hostStart + item.byteCount(of: streamed))
        do throws(ConstantError) {
            switch item.content {
            case .operand(let id):
                guard let constant = program.graph[id].constant else {
                    preconditionFailure("an operand item is a constant")
                }
                let type = program.graph[id].type
                if resident > 0 {
                    try packer.store(constant, as: type, to: deviceRegion)
                } else {
                    try packer.store(constant, as: type, to: hostRegion)
                }
            case .packed:
                let reader = item.readers[0]
                guard case .convolution(let kernel) = program.graph.nodes[reader.node].kernel else {
                    preconditionFailure("packed weights belong to a convolution")
                }
                try packer.pack(kernel, part: reader.part, units: 0..<resident, to: deviceRegion)
                try packer.pack(kernel, part: reader.part, units: streamed, to: hostRegion)
            }
        } catch {
            throw .constant(error, item: item.name)
        }
    }
}
