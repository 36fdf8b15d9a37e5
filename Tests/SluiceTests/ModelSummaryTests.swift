import GraphIR
import Sluice
import Testing

@Suite("What a model takes")
struct ModelSummaryTests {
    /// Three layers of 64 rows with a weight each, the input of any number of rows.
    private static let layers = ModelFile(
        nodes: [
            ("MatMul", ["x", "w0"], "a"), ("MatMul", ["a", "w1"], "b"),
            ("MatMul", ["b", "w2"], "y"),
        ],
        inputs: [("x", [.name("rows"), .size(64)])],
        outputs: ["y"],
        weights: (0..<3).map { number in
            (
                "w\(number)", [64, 64],
                (0..<4096).map { Float(($0 * 7 + number) % 13) / 13 - 0.5 }
            )
        }
    )

    private func withModel<Result>(_ body: (Model) throws -> Result) throws -> Result {
        try Self.layers.withPath { try body(try Model(path: $0)) }
    }

    private func options(_ budget: MemoryBudget) -> RunOptions {
        var options = RunOptions()
        options.shapes = ["x": [64, 64]]
        options.threads = 2
        options.deviceMemory = budget
        return options
    }

    @Test(
        "the highest moment of a run is the planned peak",
        arguments: [MemoryBudget.unlimited, .percent(80), .minimum]
    )
    func theHighestMomentIsThePeak(budget: MemoryBudget) throws {
        try withModel { model in
            let plan = try Plan(model: model, options: options(budget))
            let use = plan.deviceMemoryUse
            #expect(use.map(\.byteCount).max() == plan.plannedDevicePeakBytes)
            #expect(use.allSatisfy { $0.unusedBytes >= 0 && $0.valueBytes > 0 })
            #expect(Set(use.map(\.residentWeightBytes)).count == 1)
            // Every call appears, and time does not go back.
            #expect(use.first?.call == 0)
            #expect(zip(use, use.dropFirst()).allSatisfy { (0...1).contains($1.call - $0.call) })
            #expect(use.contains { $0.streamedWeightBytes > 0 } == (plan.weightBytesStreamed > 0))
            #expect((budget == .unlimited) == (plan.weightBytesStreamed == 0))
        }
    }

    @Test("operations, parameters and bytes are counted")
    func counts() throws {
        try withModel { model in
            let summary = try ModelSummary(of: model, options: options(.unlimited))
            #expect(summary.operators == ["matmul": 3])
            #expect(summary.parameterCount == 3 * 4096)
            #expect(summary.weightBytes == ["float32": 3 * 4096 * 4])
            #expect(summary.missing == nil)
            let plan = try Plan(model: model, options: options(.unlimited))
            let cost = try #require(summary.cost)
            #expect(cost.floatingPointOperations == 3 * 2 * 64 * 64 * 64)
            #expect(cost.residentDeviceBytes == plan.residentDeviceBytes)
            #expect(cost.minimumDeviceBytes == plan.minimumDeviceBytes)
            #expect(summary.outputs.first?.dimensions == ["64", "64"])
        }
    }

    @Test("without shapes the summary says which are missing")
    func openShapes() throws {
        try withModel { model in
            let summary = try ModelSummary(of: model)
            #expect(summary.cost == nil)
            #expect(summary.missing?.contains("--shape x=1x64") == true)
            #expect(summary.inputs.first?.dimensions == ["rows", "64"])
        }
    }
}
