import CSluiceKernels
import Testing

/// The instruction sets under test, by name, so that a failing case replays by name.
let convTestISAs: [String] = KernelISA.supported.map(\.testDescription)

func convTestISA(_ name: String) throws -> UnsafePointer<sl_isa> {
    try #require(sl_isa_select(name))
}

/// Small repeatable random numbers; the seed is the test's argument.
struct ConvRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    private mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }

    mutating func int(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int((next() >> 33) % UInt64(range.count))
    }

    mutating func chance(_ oneIn: Int) -> Bool { int(1...oneIn) == 1 }

    /// Uniform in [-1, 1).
    mutating func float() -> Float { Float(Int64(bitPattern: next()) >> 40) / Float(1 << 23) }

    mutating func floats(_ count: Int, scale: Float = 1) -> [Float] {
        (0..<count).map { _ in float() * scale }
    }

    mutating func activation() -> sl_activation {
        let choices: [sl_activation] = [
            sl_activation(kind: SL_ACTIVATION_NONE, p0: 0, p1: 0),
            sl_activation(kind: SL_ACTIVATION_CLAMP, p0: 0, p1: .infinity),
            sl_activation(kind: SL_ACTIVATION_CLAMP, p0: -0.3, p1: 0.6),
            sl_activation(kind: SL_ACTIVATION_LEAKY, p0: 0.1, p1: 0),
            sl_activation(kind: SL_ACTIVATION_HARD_SIGMOID, p0: 0.2, p1: 0.5),
            sl_activation(kind: SL_ACTIVATION_HARD_SWISH, p0: 0, p1: 0),
            sl_activation(kind: SL_ACTIVATION_ABSOLUTE, p0: 0, p1: 0),
        ]
        return choices[int(0...choices.count - 1)]
    }
}

/// The activations `ConvRandom` draws; none of them steeper than 1.5.
func convReferenceActivation(_ x: Double, _ activation: sl_activation) -> Double {
    let p0 = Double(activation.p0), p1 = Double(activation.p1)
    switch activation.kind {
    case SL_ACTIVATION_CLAMP: return min(max(x, p0), p1)
    case SL_ACTIVATION_LEAKY: return x < 0 ? p0 * x : x
    case SL_ACTIVATION_HARD_SIGMOID: return min(max(p0 * x + p1, 0), 1)
    case SL_ACTIVATION_HARD_SWISH: return x * min(max(x / 6 + 0.5, 0), 1)
    case SL_ACTIVATION_ABSOLUTE: return abs(x)
    default: return x
    }
}

/// A sum and the sum of the sizes of its terms, from which the error bound follows.
struct ConvReferenceSum {
    var value = 0.0
    var size = 0.0
    var terms = 0

    mutating func add(_ term: Double) {
        value += term
        size += abs(term)
        terms += 1
    }

    func accepts(_ actual: Float, _ activation: sl_activation) -> Bool {
        let bound = 3 * Double(terms + 2) * Double(Float.ulpOfOne) * size + 1e-6
        return abs(Double(actual) - convReferenceActivation(value, activation)) <= bound
    }
}

/// Floats between guard words.
///
/// Everything starts as NaN: what a kernel must not read poisons its results, and what it must not
/// write shows.
final class ConvBuffer {
    private static let guardCount = 32
    static let fill = Float(bitPattern: 0x7FC1_2345)

    let count: Int
    private let storage: UnsafeMutablePointer<Float>
    private let guards: [ForbiddenBytes]

    var base: UnsafeMutablePointer<Float> { storage + Self.guardCount }

    init(_ count: Int) {
        self.count = count
        storage = .allocate(capacity: count + 2 * Self.guardCount)
        storage.initialize(repeating: Self.fill, count: count + 2 * Self.guardCount)
        guards = [0, Self.guardCount + count].map { [storage] start in
            ForbiddenBytes(
                storage + start,
                count: Self.guardCount * MemoryLayout<Float>.stride
            )
        }
    }

    convenience init(_ values: [Float]) {
        self.init(values.count)
        for (index, value) in values.enumerated() { base[index] = value }
    }

    deinit { storage.deallocate() }

    subscript(index: Int) -> Float {
        get { base[index] }
        set { base[index] = newValue }
    }

    var bits: [UInt32] { (0..<count).map { base[$0].bitPattern } }

    var guardsAreIntact: Bool {
        guards.allSatisfy { guarded in
            guarded.satisfy { bytes in
                bytes.bindMemory(to: UInt32.self).allSatisfy { $0 == Self.fill.bitPattern }
            }
        }
    }
}

/// An upload for a kernel to carry: numbers that all differ, and where they go.
struct CarriedUpload {
    let source: ConvBuffer
    let target: ConvBuffer

    init(floats: Int) {
        source = ConvBuffer((0..<floats).map { Float($0) })
        target = ConvBuffer(floats)
    }

    var arguments: sl_carried_upload {
        sl_carried_upload(
            source: UnsafePointer(source.base),
            target: target.base,
            floats: source.count
        )
    }

    var isComplete: Bool { target.bits == source.bits && target.guardsAreIntact }
}

/// Packs weights [out channel][channel][tap] with their bias, in ranges of channels that end where
/// `cuts` says, from an address that is not a multiple of four.
func convPacked(
    _ isa: UnsafePointer<sl_isa>,
    _ order: sl_pack_order,
    weights: [Float],
    bias: [Float],
    channels: Int,
    taps: Int,
    cuts: [Int] = []
) -> ConvBuffer {
    let target = ConvBuffer(
        sl_packed_floats(isa, UInt32(bias.count), UInt32(channels), UInt32(taps))
    )
    let raw = UnsafeMutableRawPointer.allocate(byteCount: 4 * weights.count + 1, alignment: 16)
    defer { raw.deallocate() }
    weights.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(start: raw + 1, count: $0.count).copyMemory(from: $0)
    }
    let offsets = (0..<taps).map { Int32($0) }
    var first = 0
    for end in cuts + [channels] where end > first {
        offsets.withUnsafeBufferPointer { offsets in
            bias.withUnsafeBufferPointer { bias in
                var args = sl_pack_args()
                args.order = order
                args.out_channels = UInt32(bias.count)
                args.channels = UInt32(channels)
                args.taps = UInt32(taps)
                args.channel_first = UInt32(first)
                args.channel_count = UInt32(end - first)
                args.source = UnsafeRawPointer(raw + 1 + 4 * first * taps)
                args.oc_stride = channels * taps
                args.channel_stride = taps
                args.tap_offset = offsets.baseAddress
                args.bias = bias.baseAddress
                args.target = target.base
                sl_pack(isa, &args)
            }
        }
        first = end
    }
    return target
}
