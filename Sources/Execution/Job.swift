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
    var taskCount: Int
}

/// The work of one run as flat arrays, made when a session opens and never resized: running it
/// allocates nothing.
package struct Job: ~Copyable {
    let shared: Shared

    /// What workers read of a job, by value.
    struct Shared: @unchecked Sendable {
        let actions: UnsafeMutablePointer<Action>
        let phases: UnsafeMutablePointer<Phase>
        /// The next task of each phase.
        let next: UnsafeMutablePointer<Atomic<Int>>
        /// Nanoseconds at which each phase ended, and at index 0 the start; nil without profile.
        let times: UnsafeMutablePointer<UInt64>
        let workerCount: UnsafeMutablePointer<Int>
        let actionCount: Int
        let phaseCount: Int
        /// What can stop the run; whoever starts it keeps the object alive.
        var control = Unmanaged.passUnretained(RunControl.unstoppable)

        private var isStopped: Bool { control._withUnsafeGuaranteedRef { $0.isStopped } }

        var workers: Int { workerCount.pointee }

        func prepare(workers: Int) {
            workerCount.pointee = workers
            times[0] = now()
        }

        /// Runs tasks of the phase until none is left; none at all once the run is stopped.
        ///
        /// A phase that one worker skipped is followed by none that another computes: the barrier
        /// between them makes the stop visible.
        func takeTasks(phase index: Int, worker: Int) {
            if isStopped { return }
            let phase = phases[index]
            var action = actions + phase.firstAction
            var base = 0
            while true {
                let task = next[index].add(1, ordering: .relaxed).oldValue
                guard task < phase.taskCount else { return }
                while task - base >= action.pointee.taskCount {
                    base += action.pointee.taskCount
                    action += 1
                }
                action.pointee.run(task: task - base, worker: worker)
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

        /// Called by one thread when all have left the phase.
        func finish(phase index: Int) {
            next[index].store(0, ordering: .relaxed)
            end(phase: index)
        }

        private func end(phase index: Int) {
            let time = now()
            times[index + 1] = time
            control._withUnsafeGuaranteedRef { $0.check(time) }
        }
    }

    init(actions: [[Action]]) {
        let flat = actions.flatMap { $0 }
        let actionMemory = UnsafeMutablePointer<Action>.allocate(capacity: max(flat.count, 1))
        actionMemory.initialize(from: flat, count: flat.count)
        let phaseMemory = UnsafeMutablePointer<Phase>.allocate(capacity: max(actions.count, 1))
        let nextMemory = UnsafeMutablePointer<Atomic<Int>>.allocate(capacity: max(actions.count, 1))
        var first = 0
        for (index, group) in actions.enumerated() {
            let tasks = group.reduce(0) { $0 + $1.taskCount }
            (phaseMemory + index).initialize(
                to: Phase(firstAction: first, actionCount: group.count, taskCount: tasks)
            )
            (nextMemory + index).initialize(to: Atomic<Int>(0))
            first += group.count
        }
        let times = UnsafeMutablePointer<UInt64>.allocate(capacity: actions.count + 1)
        times.initialize(repeating: 0, count: actions.count + 1)
        let workers = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        workers.initialize(to: 1)
        shared = Shared(
            actions: actionMemory,
            phases: phaseMemory,
            next: nextMemory,
            times: times,
            workerCount: workers,
            actionCount: flat.count,
            phaseCount: actions.count
        )
    }

    deinit {
        shared.actions.deallocate()
        shared.phases.deallocate()
        shared.next.deallocate()
        shared.times.deallocate()
        shared.workerCount.deallocate()
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
