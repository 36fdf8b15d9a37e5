import ArgumentParser
import Sluice

struct PlanCommand: TalkingCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Decide how a model would run in a budget, without running it.",
        discussion: """
            Examples:
              sluice plan resnet50.onnx --device-memory 30%
              sluice plan detector.onnx --shape x=1x3x640x640 --emit schedule
              sluice plan resnet50.onnx --device-memory 10% --chart memory.svg
            """
    )

    @OptionGroup var options: ModelOptions

    @Option(
        help: ArgumentHelp(
            "Which stage to print.",
            valueName: "graph|fused|plan|schedule|summary"
        )
    )
    var emit: Stage = .summary

    @Option(
        help: ArgumentHelp(
            "Draw the device memory in use over the run, beside that of unlimited memory.",
            valueName: "file.svg"
        ),
        completion: .file(extensions: ["svg"])
    )
    var chart: String?

    @OptionGroup var messages: MessageOptions

    enum Stage: String, ExpressibleByArgument, CaseIterable {
        case graph, fused, plan, schedule, summary
    }

    func run() throws {
        let start = monotonicSeconds()
        let model = try Model(path: options.model)
        let loaded = monotonicSeconds()
        let plan = try Plan(model: model, options: options.runOptions())
        let planned = monotonicSeconds()
        if let chart {
            var unlimited = plan.options
            unlimited.deviceMemory = .unlimited
            let whole = try Plan(model: model, options: unlimited)
            try MemoryChart(plan: plan, unlimited: whole, path: options.model).write(to: chart)
            log.notice("drawn into \(chart)")
        }
        logWarnings(of: plan)
        if options.json {
            var report = JSONReport(plan: plan, path: options.model)
            report.loadMilliseconds = (loaded - start) * 1e3
            report.planMilliseconds = (planned - loaded) * 1e3
            print(report.text)
            return
        }
        switch emit {
        case .graph: print(plan.graphDump, terminator: "")
        case .fused: print(plan.fusedDump, terminator: "")
        case .plan: print(plan.memoryDump, terminator: "")
        case .schedule: print(plan.scheduleDump, terminator: "")
        case .summary: print(summaryText(of: plan, path: options.model))
        }
    }
}

/// Says which steps of a plan run on kernels that are not tuned, and of a percentage that is too small.
func logWarnings(of plan: Plan) {
    for warning in plan.warnings { log.warning("\(warning)") }
    if plan.wasRaisedToMinimum {
        let minimum = plan.minimumDeviceBytes
        log.notice("the budget is below the minimum of \(minimum) bytes; the minimum is used")
    }
}

/// The numbers of a plan as a small table.
func summaryText(of plan: Plan, path: String) -> String {
    var rows: [(String, String)] = [
        ("model", path),
        ("device budget", plan.deviceBudgetBytes.map { bytesText($0) } ?? "unlimited"),
        ("planned device peak", bytesText(plan.plannedDevicePeakBytes)),
        ("unlimited would use", bytesText(plan.residentDeviceBytes)),
        ("smallest that works", bytesText(plan.minimumDeviceBytes) + " (\(plan.minimumStep))"),
        ("uploaded a run", bytesText(plan.uploadedBytes)),
        ("weights streamed a run", bytesText(plan.weightBytesStreamed)),
        ("weights resident", bytesText(plan.residentUploadBytes)),
        ("host arena", bytesText(plan.hostArenaBytes)),
        ("predicted latency", millisecondsText(plan.predictedSeconds * 1e3)),
        ("threads, kernels", "\(plan.threads), \(plan.instructionSet)"),
    ]
    if plan.wasRaisedToMinimum { rows[1].1 += " (the minimum)" }
    return table(rows)
}
