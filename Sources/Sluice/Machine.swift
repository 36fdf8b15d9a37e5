import Execution
import Glibc
import KernelLibrary

/// The version of this library and command.
public let sluiceVersion = "0.1.0"

/// What the machine offers.
public enum Machine {
    /// One table of kernels.
    public struct KernelTable: Sendable {
        /// "avx512", "avx2", "generic", ...
        public let name: String
        /// Floats of a vector.
        public let lanes: Int
        /// Output channels of a panel.
        public let panelChannels: Int
        /// Most pixels of a tile.
        public let tilePixels: Int
        /// Whether this CPU runs it.
        public let isSupported: Bool
        /// Measured multiply-add GFLOP/s of one thread; nil when it cannot run here.
        public let peak: Double?
    }

    /// All tables of this build, best first.
    ///
    /// Measures each for a few milliseconds.
    public static var kernelTables: [KernelTable] {
        InstructionSet.all.map { entry in
            KernelTable(
                name: entry.set.name,
                lanes: entry.set.lanes,
                panelChannels: entry.set.panelChannels,
                tilePixels: entry.set.tilePixels,
                isSupported: entry.isSupported,
                peak: entry.isSupported ? entry.set.measurePeak(milliseconds: 20) : nil
            )
        }
    }

    /// Names of the instruction sets this CPU runs, best first.
    public static var instructionSetNames: [String] {
        InstructionSet.all.filter(\.isSupported).map(\.set.name)
    }

    /// Lines for `sluice doctor`.
    public static var report: [(String, String)] {
        let tables = InstructionSet.all
        let best = InstructionSet()
        let blas = OpenBLAS.load()
        return [
            ("sluice", sluiceVersion),
            ("processor", processorName),
            ("threads by default", "\(defaultThreadCount())"),
            ("kernels", best.map(\.name) ?? "none"),
            (
                "kernels here",
                tables.filter(\.isSupported).map(\.set.name).joined(separator: ", ")
            ),
            (
                "multiply-add peak",
                best.map { "\(Int($0.measurePeak(milliseconds: 50))) GFLOP/s a thread" } ?? "-"
            ),
            ("threads at once", best.map(multiplyAddSpeedup) ?? "-"),
            ("pool round trip", poolRoundTrip),
            ("memory left", memoryLeft),
            ("OpenBLAS core", blas.map(\.core) ?? "not installed"),
            ("OpenBLAS", blas.map(\.configuration) ?? "install libopenblas0"),
        ]
    }

    /// What the default number of threads is worth when memory plays no part.
    private static func multiplyAddSpeedup(_ set: InstructionSet) -> String {
        let threads = defaultThreadCount()
        guard threads > 1 else { return "- (one processor)" }
        let hundredths = Int((WorkerPool.multiplyAddSpeedup(set, workers: threads) * 100).rounded())
        let text = "\(hundredths / 100).\(hundredths / 10 % 10)\(hundredths % 10)"
        return "\(text) times the multiply-adds of one, \(threads) threads"
    }

    /// What a phase of two threads costs beyond its work.
    private static var poolRoundTrip: String {
        guard defaultThreadCount() > 1 else { return "- (one processor)" }
        let nanoseconds = WorkerPool.roundTripSeconds(workers: 2) * 1e9
        return "\(Int(nanoseconds.rounded())) ns, two threads"
    }

    private static var memoryLeft: String {
        guard let memory = AvailableMemory.now() else { return "unknown" }
        return "\(memory.byteCount >> 20) MiB, bounded by \(memory.source)"
    }

    /// Makes a trap of this process end it with `code` and one line on standard error, for command
    /// line tools.
    public static func exitOnCrash(code: Int32) { Interrupts.exitOnCrash(code: code) }

    /// The CPU's own name.
    public static var processorName: String {
        let lines = (readText("/proc/cpuinfo") ?? "").split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("model name") }),
            let colon = line.firstIndex(of: ":")
        else { return "unknown" }
        return String(line[line.index(after: colon)...].drop { $0 == " " })
    }

    /// The largest resident size this program has had, in bytes: VmHWM, which unlike `getrusage`
    /// leaves out what the process was before it became this program.
    package static var processPeakBytes: Int {
        (readField("/proc/self/status", "VmHWM") ?? 0) * 1024
    }
}
