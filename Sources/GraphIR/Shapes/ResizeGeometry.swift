/// How `Resize` changes one axis, before any table is made.
package struct ResizeScale: Hashable, Sendable {
    package var inputSize: Int
    package var outputSize: Int
    /// Output elements per input element, as coordinates use it.
    package var scale: Float
    /// The part of the axis that is shown, from 0 to 1; only cropping looks at it.
    package var regionStart: Float
    package var regionEnd: Float
}

/// Works out the output size and scale of every axis.
///
/// `region` holds the starts of all resized axes, then their ends; only cropping needs it.
/// `scales`, unused when there are `sizes`, and `sizes` hold one element per resized axis.
func resolveResize(
    _ resize: Resize,
    input: [Int],
    region: [Float]?,
    scales: [Float]?,
    sizes: [Int]?
) throws(ShapeError) -> [ResizeScale] {
    let axes =
        resize.axes.isEmpty
        ? Array(input.indices) : try resolveAxes(resize.axes, rank: input.count)
    var result = input.map {
        ResizeScale(
            inputSize: $0,
            outputSize: $0,
            scale: 1,
            regionStart: 0,
            regionEnd: 1
        )
    }
    if resize.coordinates == .cropAndResize {
        guard let region, region.count == 2 * axes.count else {
            throw ShapeError(
                "cropping needs a region with \(2 * axes.count) elements, two per resized axis"
            )
        }
        guard region.allSatisfy(\.isFinite) else {
            throw ShapeError("the region of a resize contains a number that is not finite")
        }
        for (index, axis) in axes.enumerated() {
            result[axis].regionStart = region[index]
            result[axis].regionEnd = region[axes.count + index]
        }
    }
    if let sizes {
        try applySizes(sizes, axes: axes, policy: resize.aspectPolicy, to: &result)
    } else if let scales {
        try applyScales(scales, axes: axes, to: &result)
        if resize.coordinates == .alignCorners, resize.mode != .nearest {
            try checkCorners(result)
        }
    } else {
        throw ShapeError("a resize has neither scales nor sizes; one of them is needed")
    }
    try checkShape(result.map(\.outputSize))
    for axis in result where axis.inputSize == 0 && axis.outputSize > 0 {
        throw ShapeError("a resize cannot make \(axis.outputSize) elements out of none")
    }
    return result
}

private func applyScales(
    _ scales: [Float],
    axes: [Int],
    to result: inout [ResizeScale]
) throws(ShapeError) {
    guard scales.count == axes.count else {
        throw ShapeError("scales has \(scales.count) elements for \(axes.count) resized axes")
    }
    for (scale, axis) in zip(scales, axes) {
        guard scale > 0, scale.isFinite else {
            throw ShapeError("a resize has a scale of \(scale); it must be positive and finite")
        }
        // In Float, as onnxruntime does it: 10 elements at Float(0.7) are 7, not 6. It also
        // leaves a cropped region out of the size, which the standard's text multiplies in.
        let size = (scale * Float(result[axis].inputSize)).rounded(.down)
        guard size >= 0, size <= Float(maximumElementCount) else {
            throw ShapeError("a scale of \(scale) makes axis \(axis) \(size) elements long")
        }
        result[axis].scale = scale
        result[axis].outputSize = Int(size)
    }
}

/// Corners that are aligned by a scale need a whole number of elements: of others, the standard
/// and the runtimes in use read different pixels.
private func checkCorners(_ result: [ResizeScale]) throws(ShapeError) {
    for axis in result where axis.scale * Float(axis.inputSize) != Float(axis.outputSize) {
        throw ShapeError(
            "a resize with aligned corners scales \(axis.inputSize) elements by \(axis.scale), "
                + "which is no whole number of elements; sizes instead of scales would work"
        )
    }
}

private func applySizes(
    _ sizes: [Int],
    axes: [Int],
    policy: Resize.AspectPolicy,
    to result: inout [ResizeScale]
) throws(ShapeError) {
    guard sizes.count == axes.count else {
        throw ShapeError("sizes has \(sizes.count) elements for \(axes.count) resized axes")
    }
    for (size, axis) in zip(sizes, axes) {
        guard size >= 0, size <= maximumElementCount else {
            throw ShapeError("a resize asks for \(size) elements along axis \(axis)")
        }
        let input = result[axis].inputSize
        result[axis].outputSize = size
        result[axis].scale = input == 0 ? 1 : Float(size) / Float(input)
    }
    guard policy != .stretch, !axes.isEmpty else { return }
    let scales = axes.map { result[$0].scale }
    let common = policy == .notLarger ? scales.min() ?? 1 : scales.max() ?? 1
    for axis in axes {
        let size = (common * Float(result[axis].inputSize)).rounded(.toNearestOrAwayFromZero)
        guard size <= Float(maximumElementCount) else {
            throw ShapeError("keeping the aspect ratio makes axis \(axis) \(size) elements long")
        }
        result[axis].scale = common
        result[axis].outputSize = Int(size)
    }
}

/// The tables of all axes of a resize whose parameters are known.
///
/// `output` is the shape that inference found; `literals` are the elements of the inputs x (not
/// needed), region, scales and sizes, where nil or empty means absent.
package func resizeAxes(
    _ resize: Resize,
    input: [Int],
    output: [Int],
    literals: [DenseTensor?]
) throws(ShapeError) -> [ResizeAxis] {
    func given(_ index: Int) -> DenseTensor? {
        guard index < literals.count, let tensor = literals[index], tensor.elementCount > 0 else {
            return nil
        }
        return tensor
    }
    let scales = try resolveResize(
        resize,
        input: input,
        region: given(1)?.floats,
        scales: given(2)?.floats,
        sizes: given(3)?.integers?.map { Int($0) }
    )
    guard scales.map(\.outputSize) == output else {
        throw ShapeError(
            "a resize gives \(describe(scales.map(\.outputSize))), not \(describe(output))"
        )
    }
    var axes: [ResizeAxis] = []
    for scale in scales {
        axes.append(try resizeTable(resize, along: scale))
    }
    return axes
}
