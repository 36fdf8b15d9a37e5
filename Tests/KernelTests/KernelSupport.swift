import CSluiceKernels
import Glibc
import Testing

/// One kernel table that this machine can run, for parameterised tests.
struct KernelISA: Sendable, CustomTestStringConvertible {
    nonisolated(unsafe) let table: UnsafePointer<sl_isa>

    var lanes: Int { Int(table.pointee.lanes) }
    var testDescription: String { String(cString: table.pointee.name) }

    /// All that this CPU runs, or the one among them that `SL_ISA` names.
    static let supported: [KernelISA] = (0..<sl_isa_count()).compactMap { index in
        let isa = KernelISA(table: sl_isa_at(index))
        let wanted = getenv("SL_ISA").map { String(cString: $0) } ?? isa.testDescription
        return sl_isa_is_supported(isa.table) && isa.testDescription == wanted ? isa : nil
    }

    /// The sizes that break vector loops.
    var edgeSizes: [Int] { [1, lanes - 1, lanes, lanes + 1, 3 * lanes + 1, 37] }

    /// Runs all tasks of a call, last one first: nothing may depend on their order.
    func run<Arguments>(
        _ kernel: sl_task_fn,
        _ arguments: Arguments,
        _ count: (UnsafePointer<sl_isa>, UnsafePointer<Arguments>) -> Int
    ) {
        withUnsafePointer(to: arguments) { pointer in
            for task in (0..<count(table, pointer)).reversed() { kernel(pointer, task, nil) }
        }
    }
}

/// A buffer between two guards that tell whether a kernel went past either end.
final class GuardedBuffer<Element: BitwiseCopyable> {
    private static var guardBytes: Int { 128 }
    private let base: UnsafeMutableRawPointer
    private let guards: [ForbiddenBytes]
    let count: Int

    init(_ values: [Element]) {
        count = values.count
        let bytes = count * MemoryLayout<Element>.stride
        base = .allocate(byteCount: bytes + 2 * Self.guardBytes, alignment: 64)
        base.initializeMemory(as: UInt8.self, repeating: 0xA5, count: bytes + 2 * Self.guardBytes)
        guards = [0, Self.guardBytes + bytes].map { [base] start in
            ForbiddenBytes(base + start, count: Self.guardBytes)
        }
        for (index, value) in values.enumerated() { pointer[index] = value }
    }

    deinit { base.deallocate() }

    var pointer: UnsafeMutablePointer<Element> {
        (base + Self.guardBytes).assumingMemoryBound(to: Element.self)
    }

    var values: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

    var isIntact: Bool {
        guards.allSatisfy { $0.satisfy { bytes in bytes.allSatisfy { $0 == 0xA5 } } }
    }
}

/// A small seeded generator (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func floats(_ count: Int, in range: ClosedRange<Float> = -2...2) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }
}

/// The eight-element tuple that a C array of SL_MAX_RANK becomes, filled with zeros at the end.
func rankTuple<T: BinaryInteger>(_ values: [T]) -> (T, T, T, T, T, T, T, T) {
    let all = values + Array(repeating: 0, count: 8 - values.count)
    return (all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7])
}

/// Row-major strides of a shape; the dimensions in `broadcast` get 0.
func strides(of shape: [Int], broadcast: Set<Int> = []) -> (strides: [Int], count: Int) {
    var result = Array(repeating: 0, count: shape.count)
    var count = 1
    for d in shape.indices.reversed() where !broadcast.contains(d) {
        result[d] = count
        count *= shape[d]
    }
    return (result, count)
}

/// Where row-major element `index` of `shape` lies under other strides.
func offset(of index: Int, in shape: [Int], strides: [Int]) -> Int {
    var rest = index
    var result = 0
    for d in shape.indices.reversed() {
        result += rest % shape[d] * strides[d]
        rest /= shape[d]
    }
    return result
}

/// Whether two results agree to `tolerance`, relative above 1; NaN agrees with NaN.
func agrees(_ value: Float, _ reference: Double, _ tolerance: Double) -> Bool {
    if reference.isNaN { return value.isNaN }
    if reference.isInfinite { return Double(value) == reference }
    return abs(Double(value) - reference) <= tolerance * max(1, abs(reference))
}

/// An `sl_activation` by name.
func activation(_ kind: sl_activation_kind, _ p0: Float = 0, _ p1: Float = 0) -> sl_activation {
    sl_activation(kind: kind, p0: p0, p1: p1)
}
