import CSluicePlatform
import KernelLibrary

/// OpenBLAS as found on this machine.
package struct OpenBLAS: Sendable {
    package var core: String
    package var configuration: String

    /// Loads the library on first use and installs it as the `openblas` core; nil when missing.
    package static func load() -> OpenBLAS? {
        guard let sgemm = sl_openblas_load() else { return nil }
        installOpenBLAS(sgemm)
        return OpenBLAS(
            core: sl_openblas_core().map { String(cString: $0) } ?? "unknown",
            configuration: sl_openblas_config().map { String(cString: $0) } ?? "unknown"
        )
    }
}
