import GraphIR

/// A network of convolutions, pools, sums and joins, drawn from a seed.
func randomNetwork(seed: UInt64) -> GraphSketch {
    var random = Random(seed: seed)
    var sketch = GraphSketch()
    sketch.hasEqualWeights = seed % 2 == 0
    var channels = random.pick([3, 8, 16, 24])
    var size = random.pick([8, 12, 17])
    var x = sketch.input("x", [1, channels, size, size])
    for layer in 0..<3 + random.below(8) {
        let name = "n\(layer)"
        switch random.below(7) {
        case 0, 1:
            let outputs = random.pick([8, 16, 20, 40, 64])
            x = sketch.convolution(
                name,
                x,
                from: channels,
                to: outputs,
                kernel: random.pick([1, 3])
            )
            channels = outputs
        case 2:
            x = sketch.convolution(
                name,
                x,
                from: channels,
                to: channels,
                kernel: 3,
                group: channels % 8 == 0 && random.below(2) == 0 ? channels / 8 : channels
            )
            if random.below(2) == 0 { x = sketch.relu(name + ".relu", x) }
        case 3:
            let inner = sketch.convolution(
                name + ".a",
                x,
                from: channels,
                to: channels,
                kernel: 3
            )
            let outer = sketch.convolution(
                name + ".b",
                sketch.relu(name + ".relu", inner),
                from: channels,
                to: channels
            )
            x = sketch.add(name, outer, x)
        case 4:
            let left = sketch.convolution(name + ".l", x, from: channels, to: 16)
            let right = sketch.convolution(name + ".r", x, from: channels, to: 24, kernel: 3)
            x = sketch.node(name, .concat(axis: 1), left, right)
            channels = 40
        case 5 where size >= 4:
            x = sketch.node(
                name,
                .pool(Pool(kind: .maximum, kernel: [2, 2], strides: [2, 2])),
                x
            )
            size /= 2
        default:
            x = sketch.node(name, .unary(random.pick([.tanh, .sigmoid, .relu])), x)
        }
    }
    let pooled = sketch.node("pooled", .globalPool(.average), x)
    let flat = sketch.node("flat", .flatten(axis: 1), pooled)
    let w = sketch.weights("w", [50, channels])
    let bias = sketch.weights("bias", [50])
    let y = sketch.node("y", .gemm(Gemm(transposeA: false, transposeB: true)), flat, w, bias)
    if random.below(3) == 0 { sketch.output(x) }
    sketch.output(y)
    return sketch
}
