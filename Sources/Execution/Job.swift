import Glibc
import KernelLibrary
import Synchronization
import TensorMemory

/// One thing a phase does, cut into tasks.
enum Action {
    case kernel(KernelCall)
    case transfer(Transfer)

    var taskCount: Int {
        switch self {
        case .kernel(let call): call.taskCount
        case .transfer(let transfer): transfer.taskCount
        }
    }

    @inline(__always)
    func run(task: Int, worker: Int) {
        switch self {
        case .kernel(let call): call.run(task: task, worker: worker)
        case .transfer(let transfer): transfer.run(task: task)
        }
    }
}

/// Actions that run at the same time: a run of the job's list.
struct Phase {
    var firstAction: Int
    var actionCount: Int
}

/// The work of one run as flat arrays, made when a session opens and never resized: running it
/// allocates nothing.
package struct Job: ~Copyable {
    let shared: Shared

    /// What workers read of a job, by value.
    struct Shared: @unchecked Sendable {
        let workers: Int
        let actions: UnsafeMutablePointer<Action>
        let phases: UnsafeMutablePointer<Phase>
        /// How many of a worker's own tasks of an action have been taken, worker by worker.
        ///
        /// A worker's counters share no cache line with another's.
        let taken: UnsafeMutablePointer<Atomic<Int>>
        let takenStride: Int
        /// Nanoseconds at which each phase ended, and at index 0 the start; nil without profile.
        let times: UnsafeMutablePointer<UInt64>
        let phaseCount: Int
        /// What can stop the run; whoever starts it keeps the object alive.
        var control = Unmanaged.passUnretained(RunControl.unstoppable)

        private var isStopped: Bool { control._withUnsafeGuaranteedRef { $0.isStopped } }

        /// To be called before any worker takes a task.
        func prepare() {
            for counter in 0..<workers * takenStride { taken[counter].store(0, ordering: .relaxed) }
            times[0] = now()
        }

        /// Runs tasks of the phase until none is left; none at all once the run is stopped.
        ///
        /// Each worker has a run of neighbouring tasks of each action, always the same part: what it
        /// wrote in the phase before is what it mostly reads, and still in its caches. When it is
        /// done it helps the others.
        ///
        /// A phase that one worker skipped is followed by none that another computes: the barrier
        /// between them makes the stop visible.
        func takeTasks(phase index: Int, worker: Int) {
            if isStopped { return }
            let phase = phases[index]
            for action in phase.firstAction..<phase.firstAction + phase.actionCount {
                takeTasks(action: action, of: worker, worker: worker)
                for other in 1..<workers {
                    takeTasks(action: action, of: (worker + other) % workers, worker: worker)
                }
            }
        }

        /// Runs the tasks of an action that are `owner`'s until none of them is left.
        private func takeTasks(action: Int, of owner: Int, worker: Int) {
            let count = actions[action].taskCount
            let first = (count * owner + workers - 1) / workers
            let end = (count * (owner + 1) + workers - 1) / workers
            let counter = taken + owner * takenStride + action
            // Nobody writes to the line of an owner who needs no help.
            while counter.pointee.load(ordering: .relaxed) < end - first {
                let task = first + counter.pointee.add(1, ordering: .relaxed).oldValue
                guard task < end else { return }
                actions[action].run(task: task, worker: worker)
            }
        }

        /// Runs everything on the calling thread, in order, until it is stopped.
        func runAlone() {
            times[0] = now()
            for index in 0..<phaseCount {
                if isStopped { return }
                let phase = phases[index]
                for action in phase.firstAction..<phase.firstAction + phase.actionCount {
                    let work = actions[action]
                    for task in 0..<work.taskCount { work.run(task: task, worker: 0) }
                }
                end(phase: index)
            }
        }

        /// Called by the caller's thread when all have left the phase.
        func end(phase index: Int) {
            let time = now()
            times[index + 1] = time
            control._withUnsafeGuaranteedRef { $0.check(time) }
        }
    }

    /// A job for `workers` threads, one phase for each group of actions.
    init(actions: [[Action]], workers: Int) {
        let flat = actions.flatMap { $0 }
        let actionMemory = UnsafeMutablePointer<Action>.allocate(capacity: max(flat.count, 1))
        actionMemory.initialize(from: flat, count: flat.count)
        let phaseMemory = UnsafeMutablePointer<Phase>.allocate(capacity: max(actions.count, 1))
        var first = 0
        for (index, group) in actions.enumerated() {
            (phaseMemory + index).initialize(
                to: Phase(firstAction: first, actionCount: group.count)
            )
            first += group.count
        }
        // Two lines more than the counters need: memory need not start with a line.
        let stride = (flat.count + 7) / 8 * 8 + 16
        let taken = UnsafeMutablePointer<Atomic<Int>>.allocate(capacity: workers * stride)
        for counter in 0..<workers * stride { (taken + counter).initialize(to: Atomic<Int>(0)) }
        let times = UnsafeMutablePointer<UInt64>.allocate(capacity: actions.count + 1)
        times.initialize(repeating: 0, count: actions.count + 1)
        shared = Shared(
            workers: workers,
            actions: actionMemory,
            phases: phaseMemory,
            taken: taken,
            takenStride: stride,
            times: times,
            phaseCount: actions.count
        )
    }

    deinit {
        shared.actions.deallocate()
        shared.phases.deallocate()
        shared.taken.deallocate()
        shared.times.deallocate()
    }

    /// Replaces one action, for transfers from and to the caller's memory.
    func replace(action index: Int, with action: Action) { shared.actions[index] = action }

    /// Seconds each phase of the last run took.
    var phaseSeconds: [Double] {
        (0..<shared.phaseCount).map {
            Double(shared.times[$0 + 1] &- shared.times[$0]) * 1e-9
        }
    }
}

/// Monotonic nanoseconds.
package func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
