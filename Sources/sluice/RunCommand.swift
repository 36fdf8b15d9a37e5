import ArgumentParser
import Glibc
import Sluice

struct RunCommand: TalkingCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a model inside a device-memory budget.",
        discussion: """
            Examples:
              sluice run resnet50.onnx --random-inputs 1 --device-memory 30% --repeat 20
              sluice run detector.onnx --input x=page.npy --device-memory 8MiB --output-dir out
              sluice run resnet50.onnx --random-inputs 1 --profile
              sluice run resnet50.onnx --random-inputs 1 --json | jq .latency_ms.median
              sluice run model.onnx --input inputs.npz --output outputs.npz

            --random-inputs draws element i of input number n from SplitMix64 seeded with \
            SEED + n * 2^32 (both in wrapping 64-bit arithmetic): floating-point elements are \
            (top 24 bits) / 2^24, in [0, 1); integers are the top bit, 0 or 1.

            An input given as a file may decide a shape (axes, sizes, a count): the plan is then \
            made for its value.
            """
    )

    @OptionGroup var options: ModelOptions

    @Option(
        name: .customLong("input"),
        help: ArgumentHelp(
            "A NumPy file for one input, or an archive with an array for each.",
            valueName: "name=file.npy|file.npz"
        ),
        completion: .file(extensions: ["npy", "npz"])
    )
    var inputs: [String] = []

    @Option(help: ArgumentHelp("Make the inputs that are not given.", valueName: "seed"))
    var randomInputs: UInt64?

    @Option(
        help: ArgumentHelp(
            "Where to write outputs (and random inputs) as NumPy files.",
            valueName: "directory"
        ),
        completion: .directory
    )
    var outputDir: String?

    @Option(help: ArgumentHelp("Where to write all outputs.", valueName: "file.npz"))
    var output: String?

    @Option(name: .customLong("repeat"), help: "Timed runs.")
    var repeatCount = 1

    @Option(help: "Runs before the timed ones.")
    var warmup = 0

    @Flag(help: "Print time, rate and bytes of every step.")
    var profile = false

    @Flag(help: "Compare the results with plain reference kernels.")
    var check = false

    @OptionGroup var messages: MessageOptions

    func run() throws {
        guard repeatCount >= 1, repeatCount <= 1_000_000, warmup >= 0, warmup <= 1_000_000 else {
            throw SluiceError(.usage, "--repeat takes 1 to 1000000, --warmup 0 to 1000000")
        }
        if let outputDir { try prepareDirectory(outputDir) }
        let start = monotonicSeconds()
        let model = try Model(path: options.model)
        var tensors = try readInputs()
        let loaded = monotonicSeconds()
        var runOptions = try options.runOptions(inputShapes: tensors.mapValues(\.shape))
        runOptions.values = tensors
        let plan = try Plan(model: model, options: runOptions)
        let planned = monotonicSeconds()
        try plan.requireMemory(tensorByteCount: plan.tensorByteCount)
        if let seed = randomInputs {
            let made = randomTensors(for: plan, given: tensors, seed: seed)
            if let outputDir {
                let files = fileNames(of: plan)
                for (name, tensor) in made.sorted(by: { $0.key < $1.key }) {
                    try tensor.writeNPY(to: outputDir + "/" + files[name, default: name])
                }
            }
            tensors.merge(made) { given, _ in given }
        }
        for (name, _, _) in plan.inputTypes where tensors[name] == nil {
            throw SluiceError(
                .usage,
                "input '\(name)' is missing: give --input \(name)=FILE.npy "
                    + "or --random-inputs SEED"
            )
        }
        logWarnings(of: plan)
        let session = try InferenceSession(plan: plan)
        let opened = monotonicSeconds()
        let result = try measure(session, tensors)
        let files = try writeOutputs(result.outputs, plan: plan)
        if let output {
            let named = zip(plan.outputNames, result.outputs)
            try Tensor.writeNPZ(Dictionary(uniqueKeysWithValues: named), to: output)
        }
        report(
            session,
            result.latencies,
            files,
            load: loaded - start + opened - planned,
            planning: planned - loaded
        )
        if profile {
            let text = session.profileText
            if options.json { writeError(text) } else { print(text, terminator: "") }
        }
        if check { try compare(plan, tensors, result.outputs) }
    }

    /// Runs the session, warm-ups first; latencies are in milliseconds.
    private func measure(
        _ session: InferenceSession,
        _ tensors: [String: Tensor]
    ) throws -> (outputs: [Tensor], latencies: [Double]) {
        let ordered = try session.plan.ordered(tensors)
        var outputs = session.plan.emptyOutputs()
        var latencies: [Double] = []
        var progress = ProgressLine(messages)
        for index in 0..<warmup + repeatCount {
            let start = monotonicSeconds()
            try session.run(ordered, into: &outputs)
            let elapsed = (monotonicSeconds() - start) * 1e3
            if index >= warmup { latencies.append(elapsed) }
            progress.update(index + 1, of: warmup + repeatCount, "running")
        }
        progress.finish()
        return (try session.plan.delivered(outputs), latencies)
    }

    private func readInputs() throws -> [String: Tensor] {
        var tensors: [String: Tensor] = [:]
        for text in inputs {
            for (name, tensor) in try readInput(text) {
                guard tensors.updateValue(tensor, forKey: name) == nil else {
                    throw SluiceError(.usage, "--input \(name) is given twice")
                }
            }
        }
        return tensors
    }

    /// What one `--input` gives: an array by name, or all of an archive.
    private func readInput(_ text: String) throws -> [String: Tensor] {
        if let equals = text.firstIndex(of: "=") {
            let path = String(text[text.index(after: equals)...])
            return [String(text[..<equals]): try Tensor(readingNPY: path)]
        }
        guard text.hasSuffix(".npz") else {
            throw SluiceError(.usage, "--input \(text): write NAME=FILE.npy or FILE.npz")
        }
        return try Tensor.readNPZ(path: text)
    }

    private func writeOutputs(
        _ outputs: [Tensor],
        plan: Plan
    ) throws -> [JSONReport.Output] {
        let files = fileNames(of: plan)
        return try zip(plan.outputNames, outputs).map { name, tensor in
            var file: String?
            if let outputDir {
                let path = outputDir + "/" + files[name, default: name]
                try tensor.writeNPY(to: path)
                file = path
            }
            return JSONReport.Output(
                name: name,
                dtype: tensor.elementType.rawValue,
                shape: tensor.shape,
                file: file
            )
        }
    }

    private func report(
        _ session: InferenceSession,
        _ latencies: [Double],
        _ files: [JSONReport.Output],
        load: Double,
        planning: Double
    ) {
        var report = JSONReport(plan: session.plan, path: options.model)
        let latency = JSONReport.Latency(latencies)
        report.latency = latency
        report.devicePeakBytes = session.devicePeakBytes
        report.hostPeakBytes = session.hostPeakBytes
        report.processPeakBytes = Machine.processPeakBytes
        report.loadMilliseconds = load * 1e3
        report.planMilliseconds = planning * 1e3
        report.outputs = files
        if options.json {
            print(report.text)
            return
        }
        print(summaryText(of: session.plan, path: options.model))
        var rows = [
            ("measured device peak", bytesText(session.devicePeakBytes)),
            ("measured process peak", bytesText(Machine.processPeakBytes)),
            (
                "latency",
                "\(millisecondsText(latency.median)) median, \(millisecondsText(latency.min)) "
                    + "best of \(latencies.count)"
            ),
        ]
        for output in files {
            let shape = output.shape.map(String.init).joined(separator: "x")
            rows.append(
                ("output \(output.name)", "\(output.dtype) \(shape) \(output.file ?? "")")
            )
        }
        print(table(rows))
    }

    private func compare(
        _ plan: Plan,
        _ inputs: [String: Tensor],
        _ outputs: [Tensor]
    ) throws {
        let expected = try plan.referenceOutputs(inputs)
        for (name, pair) in zip(plan.outputNames, zip(outputs, expected)) {
            let difference = TensorDifference(pair.0, reference: pair.1)
            let verdict = difference.isClose ? "close" : "NOT close"
            log.notice("check \(name): largest scaled error \(difference.largest) (\(verdict))")
            guard difference.isClose else {
                throw SluiceError(
                    .badData,
                    "output '\(name)' differs from the reference at element \(difference.worst)"
                )
            }
        }
    }
}

/// For each output and input, `NAME.npy` with anything outside A-Za-z0-9._- replaced; a number tells
/// apart those that come out the same.
private func fileNames(of plan: Plan) -> [String: String] {
    var files: [String: String] = [:]
    var taken: Set<String> = []
    for name in plan.outputNames + plan.inputTypes.map(\.name) where files[name] == nil {
        let scalars = name.unicodeScalars.map { scalar -> Character in
            let isPlain =
                ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
                || ("0"..."9").contains(scalar) || "._-".unicodeScalars.contains(scalar)
            return isPlain ? Character(scalar) : "_"
        }
        let safe = String(scalars)
        var file = safe + ".npy"
        var number = 2
        while !taken.insert(file).inserted {
            file = "\(safe).\(number).npy"
            number += 1
        }
        files[name] = file
    }
    return files
}

/// Makes the directory unless it is there.
func prepareDirectory(_ path: String) throws {
    var parts = ""
    for part in path.split(separator: "/", omittingEmptySubsequences: false) {
        parts += part
        if !parts.isEmpty, mkdir(parts, 0o777) != 0, errno != EEXIST {
            throw SluiceError(
                .system,
                "cannot make directory '\(parts)': \(String(cString: strerror(errno)))"
            )
        }
        parts += "/"
    }
    guard access(path, W_OK) == 0 else {
        throw SluiceError(.system, "cannot write to directory '\(path)'")
    }
}
