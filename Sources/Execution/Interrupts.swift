import CSluicePlatform

/// When the process may be interrupted, and how a crash ends it.
package enum Interrupts {
    /// Holds interrupts of the calling thread back until `unblock`.
    package static func block() { sl_signals_block() }

    package static func unblock() { sl_signals_unblock() }

    /// Makes a trap end the process with `code` and one line of text.
    package static func exitOnCrash(code: Int32) { sl_crash_exit_install(code) }
}
