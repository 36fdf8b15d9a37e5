import Execution
import Synchronization

/// What sessions of one model with equal options have in common: the plan, the arenas with the
/// weights in them, and whose turn it is to run.
///
/// Runs of a process take turns on one pool of threads anyway, so a second arena would hold the
/// same weights twice and compute nothing sooner.
package final class SharedSession: Sendable {
    let plan: Plan
    let session: Session
    package let turn = Lock()

    /// Maps the arenas of a plan and packs its weights.
    init(opening plan: Plan) throws(SluiceError) {
        try plan.requireMemory()
        self.plan = plan
        do throws(SessionError) {
            session = try Session(
                program: plan.program,
                catalog: plan.catalog,
                files: plan.model.imported.files
            )
        } catch {
            throw SluiceError(error)
        }
        log.debug(
            "session open",
            metadata: [
                "device": "\(session.devicePeakBytes)", "host": "\(session.hostPeakBytes)",
                "threads": "\(plan.threads)", "isa": "\(plan.instructionSet)",
            ]
        )
    }
}

/// The open sessions of a model, which it does not keep open itself.
final class OpenSessions: Sendable {
    private struct Entry {
        weak var session: SharedSession?
    }

    private let entries = Mutex<[Entry]>([])

    /// The open session that a plan equal to this one runs in, or a new one.
    func session(for plan: Plan) throws(SluiceError) -> SharedSession {
        let opened = entries.withLock { entries -> Result<SharedSession, SluiceError> in
            entries.removeAll { $0.session == nil }
            let known = entries.lazy.compactMap(\.session).first {
                $0.plan.options == plan.options && $0.plan.threads == plan.threads
            }
            if let known { return .success(known) }
            return Result { () throws(SluiceError) in
                let new = try SharedSession(opening: plan)
                entries.append(Entry(session: new))
                return new
            }
        }
        return try opened.get()
    }
}
