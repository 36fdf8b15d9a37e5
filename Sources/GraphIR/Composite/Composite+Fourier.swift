/// Transforms of signals.
extension Expansion {
    /// A discrete Fourier transform as products with the tables of its angles.
    mutating func defineFourier(
        axis given: Int?,
        isOneSided: Bool
    ) throws(ShapeError) {
        var x = try input(0, "x")
        let rank = shape(x).count
        guard rank >= 2, let parts = shape(x).last, parts == 1 || parts == 2 else {
            throw ShapeError("\(describe(shape(x))) cannot be transformed this way")
        }
        let named = try integer(2, "axis")
        let axis = try resolveAxis(named ?? given ?? -2, rank: rank)
        guard axis < rank - 1 else { throw ShapeError("the last axis holds real and imaginary") }
        let length = try integer(1, "dft_length") ?? shape(x)[axis]
        guard length > 0, length <= 1 << 14 else {
            throw ShapeError("a transform of \(length) elements is not supported")
        }
        if length < shape(x)[axis] { x = try slice(x, axis: axis, 0..<length) }
        if length > shape(x)[axis] {
            let pads = integers([0, length - shape(x)[axis]])
            x = try add(.pad(.constant), [x, pads, nil, integers([axis])])
        }
        // The transformed axis goes to the end.
        let order = (0..<rank - 1).filter { $0 != axis } + [axis]
        var back = [Int](repeating: 0, count: rank - 1)
        for (place, axis) in order.enumerated() { back[axis] = place }
        let real = try transpose(pick(x, axis: rank - 1, 0), order)
        let count = isOneSided ? length / 2 + 1 : length
        _ = try tableIndices(below: length * count)
        func table(_ function: (Double) -> Double, _ e: inout Expansion) -> Slot {
            var values: [Double] = []
            for n in 0..<length {
                for k in 0..<count {
                    let angle = 2 * Double.pi * Double(n * k % length) / Double(length)
                    values.append(function(angle))
                }
            }
            return e.constant(
                DenseTensor(TensorType(e.dtype(x), [length, count]), rounding: values)
            )
        }
        let cosine = table({ Elementary.cos($0) }, &self)
        let sine = table({ -Elementary.sin($0) }, &self)
        var (a, b) = (try matmul(real, cosine), try matmul(real, sine))
        if parts == 2 {
            let imaginary = try transpose(pick(x, axis: rank - 1, 1), order)
            a = try binary(.subtract, a, matmul(imaginary, sine))
            b = try binary(.add, b, matmul(imaginary, cosine))
        }
        var results: [Slot] = []
        for part in [a, b] {
            let moved = try transpose(part, back)
            results.append(try reshape(moved, shape(moved) + [1]))
        }
        outputs = [try concat(results, axis: rank - 1)]
    }
}
