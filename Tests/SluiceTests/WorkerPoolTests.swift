import Execution
import Testing

@Suite("Worker pool")
struct WorkerPoolTests {
    #if !DEBUG
        /// A lost wake-up would show as a hang or as milliseconds.
        ///
        /// How many nanoseconds a quiet machine needs is what `sluice doctor` prints; here other
        /// tests take the processors.
        @Test(
            "no phase of two threads waits for a lost wake-up",
            .enabled(if: defaultThreadCount() > 1, "two threads need two processors")
        )
        func roundTrip() {
            let best = (0..<20).map { _ in WorkerPool.roundTripSeconds(workers: 2) }.min() ?? 1
            #expect(best > 0)
            #expect(best < 1e-3)
        }
    #endif

    @Test("phases without work end, on any number of threads", arguments: [1, 2, 5])
    func emptyPhases(workers: Int) {
        #expect(WorkerPool.roundTripSeconds(workers: workers) >= 0)
    }
}
