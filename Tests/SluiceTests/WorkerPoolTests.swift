import Execution
import Testing

@Suite("Worker pool")
struct WorkerPoolTests {
    #if !DEBUG
        /// Other tests run beside this one, so the best of several medians counts; a pool that
        /// sleeps and wakes in every phase needs several times the bound.
        @Test(
            "a round trip of two threads takes microseconds at most",
            .enabled(if: defaultThreadCount() > 1, "two threads need two processors")
        )
        func roundTrip() {
            let best = (0..<20).map { _ in WorkerPool.roundTripSeconds(workers: 2) }.min() ?? 1
            #expect(best > 0)
            #expect(best < 3e-6)
        }
    #endif

    @Test("phases without work end, on any number of threads", arguments: [1, 2, 5])
    func emptyPhases(workers: Int) {
        #expect(WorkerPool.roundTripSeconds(workers: workers) >= 0)
    }
}
