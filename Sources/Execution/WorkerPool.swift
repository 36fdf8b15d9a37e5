import CSluicePlatform
import Glibc
import KernelLibrary
import Synchronization

/// The system does not give the threads that a job needs.
package struct ThreadError: Error, Sendable, CustomStringConvertible {
    package var workers: Int
    /// The `errno` of `pthread_create`.
    package var code: Int32

    package var description: String {
        "the system gives no \(workers) threads (\(String(cString: strerror(code)))): ask for fewer"
    }
}

/// The threads of the process that compute.
///
/// One pool serves every session; it grows to the largest thread count any of them asked for and
/// runs one job at a time.
///
/// A job is a sequence of phases. Every worker walks through all of them; in each it takes tasks
/// until none is left, then waits for the others. The caller is worker 0.
package final class WorkerPool: Sendable {
    package static let shared = WorkerPool()

    /// Rounds of busy waiting for work before a thread sleeps: about 50 microseconds.
    private static let spins: UInt32 = 2000
    /// The same for the end of a phase: about 250 microseconds.
    ///
    /// Being woken takes 50, so a thread sleeps only where another has long work that cannot be shared.
    private static let phaseSpins: UInt32 = 10000

    private let lock = Lock()
    private let state = State()
    /// How many threads there are beside the callers.
    private let threadCount = Atomic<Int>(0)
    /// How often workers have come to the end of a phase, in all jobs.
    ///
    /// Who waits for the others waits for this count: the last to arrive lets all go on by arriving.
    private let arrivals: Signal
    /// The processors that workers of the current job started on: bit n for number n.
    private let occupied = Atomic<UInt64>(0)
    /// The address of the job being run, and how many arrivals there were before it.
    private let current = Atomic<UInt>(0)
    private let arrivalsBefore = Atomic<UInt32>(0)

    /// What the lock protects.
    private final class State: @unchecked Sendable {
        /// The start signal of each worker but the caller; a worker sleeps on its own, so only
        /// those that take part in a job wake.
        var starts: [Signal] = []
    }

    private init() {
        arrivals = Signal()
    }

    /// Starts the threads that jobs of so many workers need and that are not there yet.
    package func prepare(workers: Int) throws(ThreadError) {
        // What runs keeps the lock: only who needs more threads waits for it.
        guard threadCount.load(ordering: .relaxed) < workers - 1 else { return }
        let code = lock.withLock { startThreads(for: workers) }
        guard code == 0 else { throw ThreadError(workers: workers, code: code) }
    }

    /// Runs `job` on its number of threads, the calling one included, and returns when it is done.
    ///
    /// A job whose turn has not come by the deadline of its control does not run.
    func run(_ job: Job.Shared) {
        let workers = job.workers
        let deadline = job.control._withUnsafeGuaranteedRef { $0.deadline }
        let turn: Void? = lock.withLock(before: deadline) {
            let denormals = sl_denormals_flush()
            defer { sl_denormals_restore(denormals) }
            if workers == 1 || job.phaseCount == 0 {
                job.runAlone()
                return
            }
            let code = startThreads(for: workers)
            precondition(code == 0, "a worker thread cannot be started: error \(code)")
            job.prepare()
            occupied.store(currentProcessor, ordering: .relaxed)
            arrivalsBefore.store(arrivals.value, ordering: .relaxed)
            withUnsafePointer(to: job) { pointer in
                // Each worker reads the job before it arrives at the first phase, so before the
                // caller can leave.
                current.store(UInt(bitPattern: pointer), ordering: .releasing)
                for worker in 0..<workers - 1 { state.starts[worker].advance() }
                walk(job, worker: 0)
            }
        }
        if turn == nil { job.control._withUnsafeGuaranteedRef { $0.check(now()) } }
    }

    /// Median seconds of a phase without work on `workers` threads: what the pool adds to a phase.
    ///
    /// Each phase is one round trip: all threads arrive, the last lets all go on.
    package static func roundTripSeconds(workers: Int) -> Double {
        let job = Job(actions: Array(repeating: [], count: 4001), workers: workers)
        for _ in 0..<2 { shared.run(job.shared) }
        let seconds = job.phaseSeconds.sorted()
        return seconds[seconds.count / 2]
    }

    /// How many times as many multiply-adds as one thread `workers` threads do together, by the clock:
    /// what no network can exceed.
    ///
    /// Both are measured in turn, for some hundred milliseconds; the medians count.
    package static func multiplyAddSpeedup(_ set: InstructionSet, workers: Int) -> Double {
        let slices = 8
        let one = Job(
            actions: Array(repeating: [.kernel(set.multiplyAdds(count: slices))], count: 9),
            workers: 1
        )
        let all = Job(
            actions: Array(
                repeating: [.kernel(set.multiplyAdds(count: slices * workers))],
                count: 9
            ),
            workers: workers
        )
        var seconds: (one: [Double], all: [Double]) = ([], [])
        for _ in 0..<13 {
            shared.run(one.shared)
            seconds.one += one.phaseSeconds
            shared.run(all.shared)
            seconds.all += all.phaseSeconds
        }
        let median = { (values: [Double]) in values.sorted()[values.count / 2] }
        return Double(workers) * median(seconds.one) / median(seconds.all)
    }

    /// The system's error when a thread cannot be started, 0 when all are there.
    private func startThreads(for workers: Int) -> Int32 {
        while state.starts.count < workers - 1 {
            let signal = Signal()
            let code = startThread(number: state.starts.count + 1, start: signal)
            guard code == 0 else { return code }
            state.starts.append(signal)
            threadCount.store(state.starts.count, ordering: .relaxed)
        }
        return 0
    }

    private func startThread(number: Int, start: Signal) -> Int32 {
        let context = Unmanaged.passRetained(
            WorkerStart(pool: self, number: number, start: start)
        )
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 256 << 10)
        var thread = pthread_t()
        let code = pthread_create(&thread, &attributes, workerMain, context.toOpaque())
        pthread_attr_destroy(&attributes)
        guard code == 0 else {
            context.release()
            return code
        }
        pthread_detach(thread)
        return 0
    }

    fileprivate func work(number: Int, start: Signal) {
        _ = sl_denormals_flush()
        var seen: UInt32 = 0
        while true {
            seen &+= 1
            start.wait(until: seen, spins: Self.spins)
            let address = current.load(ordering: .acquiring)
            guard let pointer = UnsafePointer<Job.Shared>(bitPattern: address) else { continue }
            occupyProcessor()
            walk(pointer.pointee, worker: number)
        }
    }

    /// Goes to another processor when another worker of the job is on this one: they would wait for
    /// each other in every phase, and the system may take a long time to see that.
    private func occupyProcessor() {
        let mine = currentProcessor
        let before = occupied.bitwiseOr(mine, ordering: .relaxed).oldValue
        guard before & mine != 0 else { return }
        sl_processors_leave(before)
        occupied.bitwiseOr(currentProcessor, ordering: .relaxed)
    }

    /// The bit of the processor this thread runs on; none beyond the first 64.
    private var currentProcessor: UInt64 {
        let number = sl_processor_current()
        return (0..<64).contains(number) ? 1 << UInt64(number) : 0
    }

    /// Takes part in every phase of the job.
    private func walk(_ job: Job.Shared, worker: Int) {
        let workers = UInt32(job.workers)
        var target = arrivalsBefore.load(ordering: .relaxed)
        for phase in 0..<job.phaseCount {
            job.takeTasks(phase: phase, worker: worker)
            target &+= workers
            // When all have arrived at the last one, the caller may leave, and the job with it.
            arrivals.advance()
            arrivals.wait(until: target, spins: Self.phaseSpins)
            if worker == 0 { job.end(phase: phase) }
        }
    }
}

/// Owns a platform signal.
private final class Signal: @unchecked Sendable {
    private let signal: OpaquePointer

    init() {
        guard let signal = sl_signal_create() else { preconditionFailure("out of memory") }
        self.signal = signal
    }

    deinit { sl_signal_destroy(signal) }

    var value: UInt32 { sl_signal_value(signal) }
    func advance() { sl_signal_advance(signal) }
    func wait(until target: UInt32, spins: UInt32) { sl_signal_wait(signal, target, spins) }
}

private final class WorkerStart: Sendable {
    let pool: WorkerPool
    let number: Int
    let start: Signal

    init(pool: WorkerPool, number: Int, start: Signal) {
        self.pool = pool
        self.number = number
        self.start = start
    }
}

private let workerMain: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = {
    guard let context = $0 else { return nil }
    let start = Unmanaged<WorkerStart>.fromOpaque(context).takeRetainedValue()
    sl_thread_set_name("sluice-\(start.number)")
    sl_signals_block()
    start.pool.work(number: start.number, start: start.start)
    return nil
}
