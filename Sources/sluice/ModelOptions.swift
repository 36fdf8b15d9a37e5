import ArgumentParser
import Sluice

/// The model and the settings that `run` and `plan` share.
struct ModelOptions: ParsableArguments {
    @Argument(help: "An ONNX model file.")
    var model: String

    @Option(
        name: .customLong("shape"),
        help: ArgumentHelp(
            "Shape of an input whose dimensions the model leaves open.",
            valueName: "name=1x3x224x224"
        )
    )
    var shapes: [String] = []

    @Option(
        help: ArgumentHelp(
            """
            Device memory the run may use: bytes (24MiB, 1GB), a percentage of what unlimited \
            memory would use (30%), minimum, or unlimited.
            """,
            valueName: "budget"
        )
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
        )
    )
    var skippedFusions: [String] = []

    @Flag(
        help: "Compute convolutions by the sums of their definition, never by Winograd's algorithm."
    )
    var exact = false

    @Option(help: ArgumentHelp("Core of products and convolutions.", valueName: "native|openblas"))
    var gemm = "native"

    @Option(
        help: ArgumentHelp(
            "Instruction set of the kernels (default: $SL_ISA, else the best).",
            valueName: "name"
        )
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
        for text in shapes {
            let (name, shape) = try parseShape(text)
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

    private func parseShape(_ text: String) throws -> (String, [Int]) {
        guard let equals = text.lastIndex(of: "=") else {
            throw SluiceError(.usage, "--shape \(text): write NAME=1x3x224x224")
        }
        let sizes = text[text.index(after: equals)...]
            .split(separator: "x", omittingEmptySubsequences: false)
        var shape: [Int] = []
        for size in sizes where !(sizes.count == 1 && size.isEmpty) {
            guard let value = Int(size), value >= 0 else {
                throw SluiceError(.usage, "--shape \(text): '\(size)' is not a size")
            }
            shape.append(value)
        }
        return (String(text[..<equals]), shape)
    }
}
