import ArgumentParser
import Sluice

struct DetectCommand: TalkingCommand {
    static let configuration = CommandConfiguration(
        commandName: "detect",
        abstract: "Find objects in pictures inside a device-memory budget.",
        discussion: """
            Examples:
              sluice detect picture.png
              sluice detect picture.jpg --device-memory minimum -o found.png
              sluice detect one.png two.png --threshold 0.5 --json

            A model for this command has one picture input (1x1xHxW or 1x3xHxW, samples from 0 \
            to 1), the outputs 'boxes' (1xNx4: left, top, right, bottom in pixels of the input) \
            and 'scores' (1xNxCLASSES), and its class names in the metadata 'labels'.
            """
    )

    @Argument(
        help: ArgumentHelp("PNG or JPEG files.", valueName: "image"),
        completion: .imageFile
    )
    var images: [String]

    @Option(
        help: ArgumentHelp(
            "A detector as ONNX file (default: the detector of digits that comes with the command).",
            valueName: "file.onnx"
        ),
        completion: .file(extensions: ["onnx"])
    )
    var model: String?

    @Option(
        help: ArgumentHelp("Device memory the run may use, as of `run`.", valueName: "budget"),
        completion: .budget
    )
    var deviceMemory = "unlimited"

    @Option(help: "Most threads that are busy at a time (default: what the container grants).")
    var threads: Int?

    @Option(help: "Lowest score of a detection, from 0 to 1.")
    var threshold: Float = 0.3

    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp("Where to write the picture with its boxes.", valueName: "file.png"),
        completion: .file(extensions: ["png"])
    )
    var output: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var messages: MessageOptions

    func run() throws {
        guard threshold >= 0, threshold <= 1 else {
            throw SluiceError(.usage, "--threshold takes a number from 0 to 1")
        }
        guard output == nil || images.count == 1 else {
            throw SluiceError(.usage, "--output takes one picture at a time")
        }
        let start = monotonicSeconds()
        var options = RunOptions()
        options.deviceMemory = try MemoryBudget(parsing: deviceMemory)
        options.threads = threads
        options.instructionSet = environment("SL_ISA")
        let path = try model ?? installedDetector()
        let detector = try Detector(model: Model(path: path), options: options)
        let opened = monotonicSeconds()

        var latencies: [Double] = []
        var results: [JSONReport.Picture] = []
        var progress = ProgressLine(messages)
        for (number, picture) in images.enumerated() {
            let image = try Image(reading: picture)
            let begin = monotonicSeconds()
            let detections = try detector.detect(image, threshold: threshold)
            latencies.append((monotonicSeconds() - begin) * 1e3)
            results.append(JSONReport.Picture(path: picture, image: image, detections: detections))
            if let output { try image.annotated(with: detections).writePNG(to: output) }
            progress.update(number + 1, of: images.count, "detecting")
        }
        progress.finish()
        let session = detector.session
        logWarnings(of: session.plan)
        if json {
            var report = JSONReport(plan: session.plan, path: path)
            report.latency = JSONReport.Latency(latencies)
            report.devicePeakBytes = session.devicePeakBytes
            report.hostPeakBytes = session.hostPeakBytes
            report.processPeakBytes = Machine.processPeakBytes
            report.loadMilliseconds = (opened - start) * 1e3
            report.pictures = results
            print(report.text)
            return
        }
        for result in results { print(result.text) }
        print(summaryText(of: session.plan, path: path))
        print(
            table([
                ("measured device peak", bytesText(session.devicePeakBytes)),
                ("measured process peak", bytesText(Machine.processPeakBytes)),
                (
                    "latency",
                    millisecondsText(JSONReport.Latency(latencies).median)
                        + " median of \(latencies.count), resizing included"
                ),
            ])
        )
        if let output { print("drawn into \(output)") }
    }
}

extension JSONReport.Picture {
    init(path: String, image: Image, detections: [Detection]) {
        file = path
        width = image.width
        height = image.height
        self.detections = detections.map {
            JSONReport.Found(
                class: $0.label,
                score: $0.score,
                box: [$0.box.left, $0.box.top, $0.box.right, $0.box.bottom]
            )
        }
    }

    /// The detections as a table.
    fileprivate var text: String {
        var lines = ["\(file)  \(width)x\(height), \(detections.count) found"]
        guard !detections.isEmpty else { return lines[0] + "\n" }
        let names = max(5, detections.map(\.class.count).max() ?? 0)
        lines.append("  \(padded("class", names))  score    left     top   right  bottom")
        for found in detections {
            let score = padded(fixedText(Double(found.score), digits: 3), 5, left: true)
            let edges = found.box.map { padded(fixedText(Double($0), digits: 1), 7, left: true) }
            lines.append(
                "  \(padded(found.class, names))  \(score) \(edges.joined(separator: " "))"
            )
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
