import GraphIR

/// SplitMix64 (Steele, Lea, Flood 2014): the generator of `--random-inputs`.
package struct SplitMix64 {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Tensors for the inputs that are not given, as the help of `run` documents.
package func randomTensors(
    for plan: Plan,
    given: [String: Tensor],
    seed: UInt64
) -> [String: Tensor] {
    var made: [String: Tensor] = [:]
    for (number, input) in plan.inputTypes.enumerated() where given[input.name] == nil {
        var generator = SplitMix64(seed: seed &+ UInt64(number) << 32)
        let type = TensorType(input.elementType.dtype, input.shape)
        let words = (0..<type.elementCount).map { _ in generator.next() }
        let dense: DenseTensor
        if type.dtype == .float64 {
            dense = DenseTensor(
                type: type,
                storage: .doubles(words.map { Double($0 >> 40) * 0x1p-24 })
            )
        } else if type.dtype.isFloatingPoint {
            dense = DenseTensor(
                type: type,
                storage: .floats(words.map { Float($0 >> 40) * 0x1p-24 })
            )
        } else {
            dense = DenseTensor(
                type: type,
                storage: .integers(words.map { Int64($0 >> 63) })
            )
        }
        made[input.name] = Tensor(
            elementType: input.elementType,
            shape: input.shape,
            bytes: dense.littleEndianBytes
        )
    }
    return made
}
