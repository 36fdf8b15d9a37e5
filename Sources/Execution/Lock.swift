import CSluicePlatform
import Glibc

/// A lock that one thread holds at a time.
///
/// A POSIX mutex rather than the standard library's `Mutex`: thread sanitizers see it, and with it
/// what it protects.
package final class Lock: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    package init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    package func withLock<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Like `withLock`, but gives up at `deadline`, in nanoseconds of `now()`, and returns nil.
    package func withLock<Result>(before deadline: UInt64, _ body: () -> Result) -> Result? {
        if deadline == .max { return withLock(body) }
        guard sl_mutex_lock_before(mutex, deadline) else { return nil }
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}
