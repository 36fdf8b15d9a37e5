import ArgumentParser
import FoundationEssentials
import Sluice

struct InspectCommand: TalkingCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Say what is in a model file and what a run of it would take.",
        discussion: """
            Prints inputs and outputs, operators with their counts, parameters, bytes of weights \
            by element type, floating-point operations (of convolutions and matrix products, two \
            for each multiply-add), and the device memory a run takes: resident, with all \
            weights there, and minimum. Where the model leaves dimensions open, the last two \
            need --shape.

            Examples:
              sluice inspect resnet50.onnx
              sluice inspect detector.onnx --shape x=1x3x640x640
              sluice inspect detector.onnx --json
            """
    )

    @Argument(help: "An ONNX model file.", completion: .file(extensions: ["onnx"]))
    var model: String

    @OptionGroup var shapes: ShapeOptions

    @Option(help: "Threads of the run whose memory is said (default: what the container grants).")
    var threads: Int?

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var messages: MessageOptions

    func run() throws {
        var options = RunOptions()
        options.shapes = try shapes.parsed()
        options.threads = threads
        options.instructionSet = environment("SL_ISA")
        let summary = try ModelSummary(of: Model(path: model), options: options)
        print(json ? jsonText(InspectReport(path: model, summary: summary)) : text(of: summary))
    }

    private func text(of summary: ModelSummary) -> String {
        var rows = [
            ("model", model),
            ("format", "ONNX IR \(summary.irVersion), producer \(summary.producer)"),
            (
                "opsets",
                summary.operatorSets.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
                    .joined(separator: ", ")
            ),
        ]
        for (what, ports) in [("input", summary.inputs), ("output", summary.outputs)] {
            for port in ports {
                let type = port.elementType.map { " \($0.rawValue)" } ?? ""
                let sizes = port.dimensions.map {
                    $0.isEmpty ? "scalar" : $0.joined(separator: "x")
                }
                rows.append((what, port.name + type + (sizes.map { " " + $0 } ?? "")))
            }
        }
        rows.append(("parameters", "\(summary.parameterCount)"))
        rows.append(("weights", bytesText(summary.weightBytes.values.reduce(0, +))))
        for (type, bytes) in summary.weightBytes.sorted(by: { $0.key < $1.key }) {
            rows.append(("  \(type)", bytesText(bytes)))
        }
        if let cost = summary.cost {
            let giga = Double(cost.floatingPointOperations) / 1e9
            rows += [
                ("operations", "\(fixedText(giga, digits: 3)) GFLOP a run"),
                ("unlimited would use", bytesText(cost.residentDeviceBytes)),
                (
                    "smallest that works",
                    bytesText(cost.minimumDeviceBytes) + " (\(cost.minimumStep))"
                ),
                ("  at threads", "\(cost.threads)"),
            ]
        } else if let missing = summary.missing {
            rows.append(("memory and operations", "unknown: \(missing)"))
        }
        rows.append(("operators", "\(summary.operators.values.reduce(0, +))"))
        let sorted = summary.operators.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        rows += sorted.map { ("  \($0.key)", "\($0.value)") }
        return table(rows)
    }
}

/// The object `inspect --json` prints; its keys are stable.
private struct InspectReport: Encodable {
    struct Port: Encodable {
        var name: String
        var dtype: String?
        var shape: [Size]?

        init(_ port: ModelSummary.Port) {
            name = port.name
            dtype = port.elementType?.rawValue
            shape = port.dimensions?.map(Size.init)
        }

        enum CodingKeys: String, CodingKey { case name, dtype, shape }

        func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: CodingKeys.self)
            try values.encode(name, forKey: .name)
            try values.encode(dtype, forKey: .dtype)
            try values.encode(shape, forKey: .shape)
        }
    }

    /// A number, or the name of an open dimension.
    struct Size: Encodable {
        var text: String

        init(_ text: String) { self.text = text }

        func encode(to encoder: any Encoder) throws {
            var value = encoder.singleValueContainer()
            if let number = Int(text) {
                try value.encode(number)
            } else {
                try value.encode(text)
            }
        }
    }

    var path: String
    var summary: ModelSummary

    enum CodingKeys: String, CodingKey {
        case model, producer, opsets, inputs, outputs, operators, parameters, threads, missing
        case irVersion = "ir_version"
        case operatorCount = "operator_count"
        case weightBytes = "weight_bytes"
        case weightBytesByType = "weight_bytes_by_dtype"
        case operations = "flop"
        case resident = "resident_device_bytes"
        case minimum = "minimum_device_bytes"
        case minimumStep = "minimum_step"
    }

    func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(path, forKey: .model)
        try values.encode(summary.irVersion, forKey: .irVersion)
        try values.encode(summary.producer, forKey: .producer)
        try values.encode(summary.operatorSets, forKey: .opsets)
        try values.encode(summary.inputs.map(Port.init), forKey: .inputs)
        try values.encode(summary.outputs.map(Port.init), forKey: .outputs)
        try values.encode(summary.operators, forKey: .operators)
        try values.encode(summary.operators.values.reduce(0, +), forKey: .operatorCount)
        try values.encode(summary.parameterCount, forKey: .parameters)
        try values.encode(summary.weightBytes.values.reduce(0, +), forKey: .weightBytes)
        try values.encode(summary.weightBytes, forKey: .weightBytesByType)
        try values.encode(summary.cost?.floatingPointOperations, forKey: .operations)
        try values.encode(summary.cost?.residentDeviceBytes, forKey: .resident)
        try values.encode(summary.cost?.minimumDeviceBytes, forKey: .minimum)
        try values.encode(summary.cost?.minimumStep, forKey: .minimumStep)
        try values.encode(summary.cost?.threads, forKey: .threads)
        try values.encode(summary.missing, forKey: .missing)
    }
}
