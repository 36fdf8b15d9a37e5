import Execution

/// Writes text as a file that appears whole or not at all, also when the process is interrupted
/// meanwhile.
package func writeTextFile(_ text: String, to path: String) throws(SluiceError) {
    Interrupts.block()
    defer { Interrupts.unblock() }
    do throws(NPYError) {
        try Array(text.utf8).withUnsafeBufferPointer { (bytes) throws(NPYError) in
            try writeFile(UnsafeRawBufferPointer(bytes), to: path)
        }
    } catch {
        throw SluiceError(.system, error.description)
    }
}
