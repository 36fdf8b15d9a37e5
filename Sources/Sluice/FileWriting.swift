import Execution

/// Writes text as a file that appears whole or not at all, also when the process is interrupted
/// meanwhile.
package func writeTextFile(_ text: String, to path: String) throws(SluiceError) {
    try uninterrupted { () throws(NPYError) in
        try Array(text.utf8).withUnsafeBufferPointer { (bytes) throws(NPYError) in
            try writeFile(UnsafeRawBufferPointer(bytes), to: path)
        }
    }
}

/// Runs what writes a file, and lets nothing interrupt the process meanwhile.
func uninterrupted(_ write: () throws(NPYError) -> Void) throws(SluiceError) {
    Interrupts.block()
    defer { Interrupts.unblock() }
    do throws(NPYError) {
        try write()
    } catch {
        throw SluiceError(.system, error.description)
    }
}
