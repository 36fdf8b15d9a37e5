import ArgumentParser
import Sluice

/// The model and the settings that `run` and `plan` share.
struct ModelOptions: ParsableArguments {
    @Argument(help: "An ONNX model file.", completion: .file(extensions: ["onnx"]))
    var model: String

    @OptionGroup var shapes: ShapeOptions

    @Option(
        help: ArgumentHelp(
            """
            Device memory the run may use: bytes (24MiB, 1GB), a percentage of what unlimited \
            memory would use (30%), minimum, or unlimited.
            """,
            valueName: "budget"
        ),
        completion: .budget
    )
    var deviceMemory = "unlimited"

    @Option(help: "Most threads that are busy at a time (default: what the container grants).")
    var threads: Int?

    @Flag(name: .customLong("no-fusion"), help: "Run every operator by itself, for comparison.")
    var noFusion = false

    @Option(
        name: .customLong("skip-fusion"),
        help: ArgumentHelp(
            "Leave out a fusion, for comparison: "
                + "\(RunOptions.fusionNames.joined(separator: ", ")).",
            valueName: "name"
        ),
        completion: .list(RunOptions.fusionNames)
    )
    var skippedFusions: [String] = []

    @Flag(
        help: "Compute convolutions by the sums of their definition, never by Winograd's algorithm."
    )
    var exact = false

    @Option(
        help: ArgumentHelp("Core of products and convolutions.", valueName: "native|openblas"),
        completion: .list(["native", "openblas"])
    )
    var gemm = "native"

    @Option(
        help: ArgumentHelp(
            "Instruction set of the kernels (default: $SL_ISA, else the best).",
            valueName: "name"
        ),
        completion: .custom { _, _, _ in Machine.instructionSetNames }
    )
    var isa: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func runOptions(inputShapes: [String: [Int]] = [:]) throws -> RunOptions {
        var options = RunOptions()
        options.deviceMemory = try MemoryBudget(parsing: deviceMemory)
        options.threads = threads
        options.fusesOperators = !noFusion
        options.skippedFusions = Set(skippedFusions)
        options.isExact = exact
        options.gemmCore = gemm
        options.instructionSet = isa ?? environment("SL_ISA")
        options.shapes = inputShapes
        for (name, shape) in try shapes.parsed() {
            if let given = inputShapes[name], given != shape {
                throw SluiceError(
                    .badData,
                    "input '\(name)' has shape \(given), but --shape says \(shape)"
                )
            }
            options.shapes[name] = shape
        }
        return options
    }
}

/// Shapes of inputs as users write them.
struct ShapeOptions: ParsableArguments {
    @Option(
        name: .customLong("shape"),
        help: ArgumentHelp(
            "Shape of an input whose dimensions the model leaves open.",
            valueName: "name=1x3x224x224"
        )
    )
    var texts: [String] = []

    /// The shapes by the names of their inputs.
    func parsed() throws -> [String: [Int]] {
        var options = RunOptions()
        for text in texts { try options.addShape(parsing: text) }
        return options.shapes
    }
}

extension CompletionKind {
    static var budget: CompletionKind { .list(["minimum", "10%", "30%", "50%", "unlimited"]) }
    static var imageFile: CompletionKind { .file(extensions: ["png", "jpg", "jpeg"]) }
}
