import Execution
import GraphCompiler
import GraphIR
import KernelLibrary

/// What a session will do: decided, and its peak known to the byte, before anything runs.
public struct Plan: Sendable {
    package let model: Model
    package let bound: Graph
    /// Inputs whose values decided a shape: number and value.
    package let fixedInputs: [(index: Int, value: Tensor)]
    package let program: Program
    package let catalog: NativeCatalog
    package let options: RunOptions
    /// Threads the run uses.
    public let threads: Int

    /// Plans a model.
    ///
    /// Nothing is run and no weights are read.
    public init(model: Model, options: RunOptions = RunOptions()) throws(SluiceError) {
        self.model = model
        self.options = options
        threads = try options.threadCount()
        catalog = try options.catalog()
        let binding = try model.boundGraph(shapes: options.shapes, values: options.values)
        bound = binding.graph
        fixedInputs = binding.fixedInputs.compactMap { index in
            let name = binding.graph[binding.graph.inputs[index].value].name
            return options.values[name].map { (index, $0) }
        }
        var settings = CompileOptions(
            budget: options.deviceMemory.compilerBudget,
            threads: threads,
            fuses: options.fusesOperators,
            isExact: options.isExact
        )
        settings.skippedFusions = try options.checkedFusions()
        do throws(CompileError) {
            program = try compile(
                bound,
                catalog: catalog,
                profile: catalog.profile,
                options: settings
            )
        } catch {
            throw SluiceError(error)
        }
        log.debug(
            "planned",
            metadata: [
                "model": "\(model.path)", "calls": "\(program.graph.nodes.count)",
                "steps": "\(program.steps.count)", "peak": "\(plannedDevicePeakBytes)",
                "resident": "\(residentDeviceBytes)", "minimum": "\(minimumDeviceBytes)",
            ]
        )
    }

    /// The peak of device memory, in bytes; the run reaches it and never passes it.
    public var plannedDevicePeakBytes: Int { program.summary.plannedPeak }
    /// The budget in bytes; nil when unlimited.
    public var deviceBudgetBytes: Int? { program.summary.budget }
    /// What unlimited memory would use.
    public var residentDeviceBytes: Int { program.summary.residentPeak }
    /// The smallest budget that works, and the step that sets it.
    public var minimumDeviceBytes: Int { program.summary.minimumPeak }
    /// The step that sets the minimum.
    public var minimumStep: String { program.summary.minimumStep }
    /// Whether a percentage was below the minimum and raised to it.
    public var wasRaisedToMinimum: Bool { program.summary.wasRaisedToMinimum }
    /// Weights uploaded in every run.
    public var weightBytesStreamed: Int { program.summary.streamedWeightBytes }
    /// Bytes uploaded in every run: weights and inputs.
    public var uploadedBytes: Int {
        program.summary.streamedWeightBytes + program.summary.inputBytes
    }
    /// Bytes brought back in every run.
    public var downloadedBytes: Int { program.summary.outputBytes }
    /// Weights uploaded once, when a session opens.
    public var residentUploadBytes: Int { program.summary.residentUploadBytes }
    /// Bytes that kernels read and write in a run: values and weights, once for each kernel.
    public var kernelTrafficBytes: Int { program.summary.kernelTrafficBytes }
    /// Seconds of a run by the cost model.
    public var predictedSeconds: Double { program.summary.predictedSeconds }
    /// Host bytes of streamed weights.
    public var hostArenaBytes: Int { program.hostByteCount }
    /// The instruction set of the kernels.
    public var instructionSet: String { catalog.isaName }
    /// Steps that run on kernels which are correct but not tuned.
    public var warnings: [String] { program.warnings }
    /// Names of the outputs, in the model's order.
    public var outputNames: [String] { model.outputNames }
    /// Element type and shape of each output.
    ///
    /// Where data decides a size, the shape states the most it can be.
    public var outputTypes: [(elementType: ElementType, shape: [Int])] {
        runOutputs.prefix(outputNames.count).map { ($0.elementType, $0.shape) }
    }

    /// What a run brings back: the outputs, then for each axis whose size data decides that size.
    package var runOutputs: [(name: String, elementType: ElementType, shape: [Int])] {
        let sizes = program.graph.extents.map { "\(outputNames[$0.output]).size\($0.axis)" }
        return zip(outputNames + sizes, program.graph.outputs).map {
            ($0, ElementType(program.graph[$1].type.dtype), program.graph[$1].type.shape)
        }
    }
    /// Element type and shape of each input, in the model's order.
    public var inputTypes: [(name: String, elementType: ElementType, shape: [Int])] {
        program.graph.inputs.map {
            let value = program.graph[$0]
            return (value.name, ElementType(value.type.dtype), value.type.shape)
        }
    }

    /// Bytes of all inputs and outputs together.
    package var tensorByteCount: Int { program.summary.inputBytes + program.summary.outputBytes }

    /// The inputs in the model's order, checked against the plan.
    package func ordered(_ inputs: [String: Tensor]) throws(SluiceError) -> [Tensor] {
        let expected = inputTypes
        for name in inputs.keys.sorted() where !expected.contains(where: { $0.name == name }) {
            throw SluiceError(
                .usage,
                "the model has no input '\(name)'; it has: "
                    + expected.map(\.name).joined(separator: ", ")
            )
        }
        var ordered: [Tensor] = []
        for (name, elementType, shape) in expected {
            guard let tensor = inputs[name] else {
                throw SluiceError(.usage, "input '\(name)' is missing")
            }
            guard tensor.elementType == elementType, tensor.shape == shape else {
                throw SluiceError(
                    .badData,
                    "input '\(name)' must be \(elementType)\(shape), not "
                        + "\(tensor.elementType)\(tensor.shape)"
                )
            }
            ordered.append(tensor)
        }
        for (index, value) in fixedInputs where ordered[index] != value {
            throw SluiceError(
                .usage,
                "input '\(expected[index].name)' decides shapes and must have the value the "
                    + "session was planned for; plan again for another"
            )
        }
        return ordered
    }

    /// The outputs of the model as a run made them, each cut to the size the run found.
    package func delivered(_ made: [Tensor]) throws(SluiceError) -> [Tensor] {
        var outputs = Array(made.prefix(outputNames.count))
        for extent in program.graph.extents {
            outputs[extent.output] = try outputs[extent.output].cut(
                axis: extent.axis,
                to: Int(made[extent.count].dense.integers?[0] ?? 0),
                name: outputNames[extent.output]
            )
        }
        return outputs
    }

    /// Zeroed tensors for all that a run brings back.
    package func emptyOutputs() -> [Tensor] {
        runOutputs.map { type in
            Tensor(
                elementType: type.elementType,
                shape: type.shape,
                bytes: Array(
                    repeating: 0,
                    count: type.shape.reduce(type.elementType.dtype.byteCount, *)
                )
            )
        }
    }
}
