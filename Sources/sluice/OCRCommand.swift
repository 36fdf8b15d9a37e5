import ArgumentParser
import Sluice

struct OCRCommand: TalkingCommand {
    static let configuration = CommandConfiguration(
        commandName: "ocr",
        abstract: "Read the text of a picture inside a device-memory budget.",
        discussion: """
            Examples:
              sluice ocr models/page.png
              sluice ocr models/page.png --quiet > page.txt
              sluice ocr page.jpg --device-memory 30MiB --json

            Three networks of the PP-OCR family run one after another in the same budget: one \
            finds the lines, one tells whether they are upside down, one reads them. `make models` \
            fetches them.
            """
    )

    @Argument(help: "A PNG or JPEG file.", completion: .imageFile)
    var image: String

    @Option(
        help: ArgumentHelp(
            "Directory of ppocr_det.onnx, ppocr_cls.onnx and ppocr_rec.onnx.",
            valueName: "directory"
        ),
        completion: .directory
    )
    var models = "models"

    @Option(
        help: ArgumentHelp(
            "Device memory each network may use, as of `run`; one is open at a time.",
            valueName: "budget"
        ),
        completion: .budget
    )
    var deviceMemory = "unlimited"

    @Option(help: "Most threads that are busy at a time (default: what the container grants).")
    var threads: Int?

    @Option(help: "Lowest mean probability of a line, from 0 to 1.")
    var threshold: Float = 0.5

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var messages: MessageOptions

    func run() throws {
        guard threshold >= 0, threshold <= 1 else {
            throw SluiceError(.usage, "--threshold takes a number from 0 to 1")
        }
        let picture = try Image(reading: image)
        var options = RunOptions()
        options.deviceMemory = try MemoryBudget(parsing: deviceMemory)
        options.threads = threads
        options.instructionSet = environment("SL_ISA")
        let reader = try TextReader(
            detection: open("ppocr_det.onnx"),
            direction: open("ppocr_cls.onnx"),
            recognition: open("ppocr_rec.onnx"),
            options: options
        )
        let start = monotonicSeconds()
        let (lines, usage) = try reader.read(picture, threshold: threshold)
        let milliseconds = (monotonicSeconds() - start) * 1e3
        for network in usage {
            for warning in network.warnings { log.warning("\(network.network): \(warning)") }
            if network.wasRaisedToMinimum {
                log.notice("\(network.network): the budget is below the minimum, which is used")
            }
        }
        if json {
            let report = OCRReport(
                file: image,
                lines: lines.map {
                    OCRReport.Line(
                        text: $0.text,
                        score: $0.score,
                        corners: $0.box.corners.map { [$0.x, $0.y] }
                    )
                },
                networks: usage.map(OCRReport.Network.init),
                devicePeakBytes: usage.map(\.devicePeakBytes).max() ?? 0,
                processPeakBytes: Machine.processPeakBytes,
                totalMilliseconds: milliseconds
            )
            print(jsonText(report))
            return
        }
        for line in lines { print(line.text) }
        // The text alone goes to standard output, so that it can be piped on.
        var rows = usage.map { network in
            (
                network.network,
                "\(network.runs) runs, peak \(bytesText(network.devicePeakBytes)), unlimited "
                    + "\(bytesText(network.residentDeviceBytes)), weights streamed "
                    + bytesText(network.weightBytesStreamed)
            )
        }
        rows.append(("measured device peak", bytesText(usage.map(\.devicePeakBytes).max() ?? 0)))
        rows.append(("total time", millisecondsText(milliseconds) + ", planning included"))
        if !messages.quiet { printError(table(rows)) }
    }

    /// One of the three networks.
    private func open(_ file: String) throws(SluiceError) -> Model {
        do {
            return try Model(path: models + "/" + file)
        } catch  where error.kind == .missingFile {
            throw SluiceError(
                .missingFile,
                "\(error.message); `make models` fetches it in the project's directory, "
                    + "--models says where it is"
            )
        }
    }
}

/// The object `ocr --json` prints; its keys are stable.
private struct OCRReport: Encodable {
    struct Line: Encodable {
        var text: String
        var score: Float
        /// As the text stands: upper left, upper right, lower right, lower left; (x, y) in pixels.
        var corners: [[Float]]
    }

    struct Network: Encodable {
        var network: String
        var runs: Int
        var devicePeakBytes: Int
        var residentDeviceBytes: Int
        var weightBytesStreamed: Int
        var warnings: [String]

        init(_ usage: TextReader.Usage) {
            network = usage.network
            runs = usage.runs
            devicePeakBytes = usage.devicePeakBytes
            residentDeviceBytes = usage.residentDeviceBytes
            weightBytesStreamed = usage.weightBytesStreamed
            warnings = usage.warnings
        }

        enum CodingKeys: String, CodingKey {
            case network, runs, warnings
            case devicePeakBytes = "device_peak_bytes"
            case residentDeviceBytes = "resident_device_bytes"
            case weightBytesStreamed = "weight_bytes_streamed"
        }
    }

    var file: String
    var lines: [Line]
    var networks: [Network]
    var devicePeakBytes: Int
    var processPeakBytes: Int
    var totalMilliseconds: Double

    enum CodingKeys: String, CodingKey {
        case file, lines, networks
        case devicePeakBytes = "device_peak_bytes"
        case processPeakBytes = "process_peak_bytes"
        case totalMilliseconds = "total_ms"
    }
}
