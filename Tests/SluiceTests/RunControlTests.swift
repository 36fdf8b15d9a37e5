import Dispatch
import Sluice
import Testing

@Suite("Ending runs early")
struct RunControlTests {
    private let input = Tensor(shape: [4, 3], Array(repeating: Float(1), count: 12))

    private func session(threads: Int = 2) throws -> InferenceSession {
        try openRows.withPath { path in
            var options = RunOptions()
            options.shapes = ["a": [4, 3]]
            options.threads = threads
            return try InferenceSession(model: Model(path: path), options: options)
        }
    }

    private func inputs() -> [String: Tensor] { ["a": input, "b": input] }

    @Test("a deadline that has passed ends the run, and the session runs again", arguments: [1, 2])
    func deadline(threads: Int) async throws {
        let session = try session(threads: threads)
        let expected = try await session.run(inputs())
        for _ in 0..<20 {
            let error = await #expect(throws: SluiceError.self) {
                try await session.run(inputs(), deadline: .now - .seconds(1))
            }
            #expect(error?.kind == .deadlineExceeded)
            let later = try await session.run(inputs(), deadline: .now + .seconds(600))
            #expect(later == expected)
        }
    }

    @Test("a cancelled task gets its error, and others their results")
    func cancellation() async throws {
        let session = try session()
        let inputs = inputs()
        let expected = try await session.run(inputs)
        for _ in 0..<50 {
            let cancelled = Task { try await session.run(inputs) }
            let other = Task { try await session.run(inputs) }
            cancelled.cancel()
            // A run may be done before it hears of it; nothing else may happen.
            switch await cancelled.result {
            case .success(let outputs): #expect(outputs == expected)
            case .failure(let error): #expect((error as? SluiceError)?.kind == .cancelled)
            }
            #expect(try await other.value == expected)
        }
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await session.run(inputs)
        }
        let error = await #expect(throws: SluiceError.self) { try await early.value }
        #expect(error?.kind == .cancelled)
    }

    @Test(
        "a run that waits ends as soon as it is cancelled or its time is over",
        .timeLimit(.minutes(1))
    )
    func waitingRunsEnd() async throws {
        let session = try session()
        let inputs = inputs()
        // Nothing runs until the waiting runs have ended, so only waiting can end them.
        let isTaken = DispatchSemaphore(value: 0)
        let mayEnd = DispatchSemaphore(value: 0)
        DispatchQueue.global().async {
            session.shared.turn.withLock {
                isTaken.signal()
                mayEnd.wait()
            }
        }
        waitBlocking(isTaken)
        // The first one in the queue waits for the session, the others for their turn in the queue.
        let leading = Task { try await session.run(inputs) }
        try await Task.sleep(for: .milliseconds(20))
        leading.cancel()
        let early = await #expect(throws: SluiceError.self) { try await leading.value }
        #expect(early?.kind == .cancelled)
        let first = Task { try await session.run(inputs) }
        let cancelled = Task { try await session.run(inputs) }
        let late = await #expect(throws: SluiceError.self) {
            try await session.run(inputs, deadline: .now + .milliseconds(20))
        }
        #expect(late?.kind == .deadlineExceeded)
        cancelled.cancel()
        let error = await #expect(throws: SluiceError.self) { try await cancelled.value }
        #expect(error?.kind == .cancelled)
        let blocked = #expect(throws: SluiceError.self) {
            try session.run(inputs, deadline: .now + .milliseconds(20))
        }
        #expect(blocked?.kind == .deadlineExceeded)
        mayEnd.signal()
        _ = try await first.value
    }

    @Test("many waiting runs leave the threads of other tasks alone")
    func cooperativePoolStaysFree() async throws {
        let sessions = [try session(threads: 1), try session(threads: 2)]
        let inputs = inputs()
        let expected = try await sessions[0].run(inputs)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask { try await sessions[number % 2].run(inputs) == expected }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }
}

/// `wait` of a semaphore, which asynchronous functions may not call: here nothing else has to run.
private func waitBlocking(_ semaphore: DispatchSemaphore) { semaphore.wait() }
