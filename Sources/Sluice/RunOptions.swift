import Execution
import GraphCompiler
import KernelLibrary

/// How much device memory a session may use.
public enum MemoryBudget: Sendable, Hashable {
    /// All weights resident, nothing streamed.
    case unlimited
    /// At most this many bytes.
    case bytes(Int)
    /// This share of what unlimited memory would use, rounded down; raised to the minimum when it
    /// comes out below.
    case percent(Double)
    /// The smallest budget that works.
    case minimum
}

extension MemoryBudget {
    /// A budget as users write it: `24MiB`, `1GB`, `1048576`, `30%`, `minimum`, `unlimited`.
    public init(parsing text: String) throws(SluiceError) {
        let text = text.lowercased()
        if text == "unlimited" {
            self = .unlimited
        } else if text == "minimum" {
            self = .minimum
        } else if text.hasSuffix("%"), let percent = Double(text.dropLast()),
            percent.isFinite, percent > 0
        {
            self = .percent(percent)
        } else if let bytes = Self.byteCount(text) {
            self = .bytes(bytes)
        } else {
            throw SluiceError(
                .usage,
                "'\(text)' is not a memory budget; write bytes (24MiB, 1GB, 1048576), a percentage "
                    + "(30%), 'minimum' or 'unlimited'"
            )
        }
    }

    private static func byteCount(_ text: String) -> Int? {
        let units: [(String, Double)] = [
            ("kib", 1024), ("mib", 1_048_576), ("gib", 1_073_741_824), ("tib", 1_099_511_627_776),
            ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("tb", 1e12), ("k", 1024), ("m", 1_048_576),
            ("g", 1_073_741_824), ("b", 1),
        ]
        var number = text
        var factor = 1.0
        for (unit, size) in units where text.hasSuffix(unit) {
            number = String(text.dropLast(unit.count))
            factor = size
            break
        }
        if factor == 1, let bytes = Int(number) { return bytes >= 0 ? bytes : nil }
        guard number.allSatisfy({ $0.isNumber || $0 == "." }), let value = Double(number) else {
            return nil
        }
        let bytes = (value * factor).rounded(.down)
        return bytes >= 0 && bytes < 9e18 ? Int(bytes) : nil
    }

    package var compilerBudget: DeviceBudget {
        switch self {
        case .unlimited: .unlimited
        case .bytes(let bytes): .bytes(bytes)
        case .percent(let percent): .percent(percent)
        case .minimum: .minimum
        }
    }
}

/// Settings of a session.
public struct RunOptions: Sendable, Hashable {
    /// The device memory the session may use.
    public var deviceMemory: MemoryBudget = .unlimited
    /// The most threads that are busy at a time; nil uses what the container grants.
    public var threads: Int?
    /// False runs every operator by itself, for comparison.
    public var fusesOperators = true
    /// Fusions to leave out, for comparison; `fusionNames` are those there are.
    public var skippedFusions: Set<String> = []
    /// True computes each convolution by the sums of its definition, never by Winograd's algorithm,
    /// which is faster and rounds otherwise.
    public var isExact = false
    /// "native" or "openblas".
    public var gemmCore = "native"
    /// The instruction set: "avx512", "avx2", "generic", ...; nil picks the best.
    public var instructionSet: String?
    /// Shapes of inputs whose dimensions the model leaves open.
    public var shapes: [String: [Int]] = [:]
    /// Values of inputs known when the plan is made.
    ///
    /// Those that decide a shape become part of the plan, and runs must give the same again.
    public var values: [String: Tensor] = [:]

    /// The defaults: unlimited memory, all granted threads, everything fused.
    public init() {}

    /// The names of all fusions, in the order in which they are applied.
    public static var fusionNames: [String] {
        graphPasses.map(\.name) + (fusionPasses + placedFusionPasses).map(\.name)
    }

    package func checkedFusions() throws(SluiceError) -> Set<String> {
        if let unknown = skippedFusions.subtracting(Self.fusionNames).min() {
            throw SluiceError(
                .usage,
                "'\(unknown)' is not a fusion; there is: "
                    + Self.fusionNames.joined(separator: ", ")
            )
        }
        return skippedFusions
    }

    package func catalog() throws(SluiceError) -> NativeCatalog {
        let supported = InstructionSet.all.filter(\.isSupported).map(\.set.name)
        guard let set = InstructionSet(named: instructionSet) else {
            throw SluiceError(
                .usage,
                "instruction set '\(instructionSet ?? "")' is not available here; there is: "
                    + supported.joined(separator: ", ")
            )
        }
        guard let core = GemmCore(rawValue: gemmCore) else {
            throw SluiceError(.usage, "'\(gemmCore)' is not a core; there is: native, openblas")
        }
        if core == .openblas, OpenBLAS.load() == nil {
            throw SluiceError(
                .impossible,
                "OpenBLAS is not installed; install libopenblas0 or use native"
            )
        }
        return NativeCatalog(set: set, gemm: core)
    }

    package func threadCount() throws(SluiceError) -> Int {
        guard let threads else { return defaultThreadCount() }
        guard (1...1024).contains(threads) else {
            throw SluiceError(.usage, "\(threads) threads: give a number from 1 to 1024")
        }
        return threads
    }
}

extension RunOptions {
    /// Gives an input's shape as users write it: `NAME=1x3x224x224`, `NAME=` for a scalar.
    package mutating func addShape(parsing text: String) throws(SluiceError) {
        guard let equals = text.lastIndex(of: "=") else {
            throw SluiceError(.usage, "shape '\(text)': write NAME=1x3x224x224")
        }
        let name = String(text[..<equals])
        let sizes = text[text.index(after: equals)...]
            .split(separator: "x", omittingEmptySubsequences: false)
        var shape: [Int] = []
        for size in sizes where !(sizes.count == 1 && size.isEmpty) {
            guard let value = Int(size), value >= 0 else {
                throw SluiceError(
                    .usage,
                    "shape '\(text)': '\(size)' is not a size; write NAME=1x3x224x224"
                )
            }
            shape.append(value)
        }
        guard shapes.updateValue(shape, forKey: name) == nil else {
            throw SluiceError(.usage, "the shape of '\(name)' is given twice")
        }
    }
}
