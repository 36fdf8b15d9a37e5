import Sluice
import Testing

@Suite("Sessions of one model")
struct SharedSessionTests {
    private func model() throws -> Model {
        var network = ModelBuilder()
        let x = network.input("x", shape: ["n", 64])
        let weights = Tensor(shape: [64, 256], (0..<64 * 256).map { Float($0 % 7) - 3 })
        network.output(network.add("MatMul", x, network.constant(weights)), name: "y")
        return try network.build()
    }

    private func options(_ budget: MemoryBudget = .unlimited) -> RunOptions {
        var options = RunOptions()
        options.deviceMemory = budget
        options.threads = 2
        options.shapes = ["x": [3, 64]]
        return options
    }

    private func input(_ seed: Int) -> [String: Tensor] {
        ["x": Tensor(shape: [3, 64], (0..<192).map { Float(($0 * seed) % 11) })]
    }

    @Test("sessions with equal options hold weights and arenas once")
    func sharesMemory() throws {
        let model = try model()
        let first = try InferenceSession(model: model, options: options())
        let second = try InferenceSession(plan: Plan(model: model, options: options()))
        #expect(first.session === second.session)
        let smaller = try InferenceSession(model: model, options: options(.minimum))
        #expect(first.session !== smaller.session)
        let again = try InferenceSession(model: self.model(), options: options())
        #expect(first.session !== again.session)
    }

    @Test("memory goes when the last session does")
    func closes() throws {
        let model = try model()
        weak var engine: AnyObject?
        do {
            let first = try InferenceSession(model: model, options: options())
            engine = first.session
            do {
                let second = try InferenceSession(model: model, options: options())
                #expect(second.session === first.session)
            }
            #expect(engine != nil)
        }
        #expect(engine == nil)
        #expect(try InferenceSession(model: model, options: options()).run(input(1)).count == 1)
    }

    @Test("runs of sessions that share do not disturb each other")
    func concurrentRuns() async throws {
        let model = try model()
        let expected = try (1...4).map { seed in
            try InferenceSession(model: self.model(), options: options()).run(input(seed))
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for seed in 1...4 {
                let session = try InferenceSession(model: model, options: options())
                group.addTask {
                    for _ in 0..<50 {
                        let outputs = try await session.run(input(seed))
                        #expect(outputs == expected[seed - 1])
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("sessions opened at the same time share too")
    func concurrentOpening() async throws {
        let model = try model()
        let sessions = try await withThrowingTaskGroup(of: InferenceSession.self) { group in
            for _ in 0..<8 {
                group.addTask { try InferenceSession(model: model, options: options()) }
            }
            return try await group.reduce(into: [InferenceSession]()) { $0.append($1) }
        }
        #expect(Set(sessions.map { ObjectIdentifier($0.session) }).count == 1)
    }
}
