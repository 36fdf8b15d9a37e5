/// Where the windows of a convolution, a transposed convolution or a pool lie.
///
/// Every default and every form of automatic padding is worked out; lists have one element per
/// spatial axis.
///
/// Output element o of an ordinary window takes tap k from input element
/// `o * stride + k * dilation - padBegin`. A transposed one takes it from the element i for which
/// `i * stride + k * dilation - padBegin` is o, if there is one.
package struct WindowGeometry: Hashable, Sendable {
    package var inputSizes: [Int]
    package var outputSizes: [Int]
    package var kernel: [Int]
    package var strides: [Int]
    package var dilations: [Int]
    package var padBegin: [Int]
    /// Padding as declared or derived.
    ///
    /// A pool that rounds up may read past it; a transposed convolution with a given output shape
    /// may leave it negative: elements no tap reaches.
    package var padEnd: [Int]

    package init(
        inputSizes: [Int],
        outputSizes: [Int],
        kernel: [Int],
        strides: [Int],
        dilations: [Int],
        padBegin: [Int],
        padEnd: [Int]
    ) {
        self.inputSizes = inputSizes
        self.outputSizes = outputSizes
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.padBegin = padBegin
        self.padEnd = padEnd
    }

    /// Spatial axes.
    package var rank: Int { kernel.count }

    /// Elements a window spans along `axis`, holes included.
    package func extent(along axis: Int) -> Int { (kernel[axis] - 1) * dilations[axis] + 1 }

    /// Whether there is one window for each element along `axis`, which sees that element alone.
    package func isSingle(along axis: Int) -> Bool {
        kernel[axis] == 1 && outputSizes[axis] == inputSizes[axis] && padBegin[axis] == 0
    }
}

/// The windows of a convolution of either direction.
///
/// `input` is [N, C, spatial...]; `weights` are [O, C / group, kernel...] or, transposed,
/// [C, O / group, kernel...].
package func resolveWindow(
    convolution: Convolution,
    input: [Int],
    weights: [Int]
) throws(ShapeError) -> WindowGeometry {
    try checkShape(input)
    try checkShape(weights)
    guard input.count >= 3, weights.count == input.count else {
        throw ShapeError(
            "a convolution needs an input [N, C, spatial...] and weights of the same rank, not "
                + "\(describe(input)) and \(describe(weights))"
        )
    }
    let kernel = Array(weights.dropFirst(2))
    guard convolution.kernel.isEmpty || convolution.kernel == kernel else {
        throw ShapeError(
            "kernel_shape \(describe(convolution.kernel)) differs from the weights' "
                + "\(describe(kernel))"
        )
    }
    let spatial = Array(input.dropFirst(2))
    var window = try windowParameters(
        input: spatial,
        kernel: kernel,
        strides: convolution.strides,
        dilations: convolution.dilations,
        padding: convolution.padding
    )
    if convolution.isTransposed {
        try placeTransposed(&window, convolution)
        try bound(&window, channels: input[1])
        return window
    }
    for axis in 0..<window.rank {
        if convolution.padding.isSame {
            padEvenly(&window, axis: axis, padding: convolution.padding)
        }
        let room = window.room(along: axis)
        guard room >= 0 else { throw windowTooLarge(window, axis: axis) }
        window.outputSizes[axis] = room / window.strides[axis] + 1
    }
    try bound(&window, channels: input[1])
    return window
}

/// The windows of a pool over an input of shape [N, C, spatial...].
package func resolveWindow(pool: Pool, input: [Int]) throws(ShapeError) -> WindowGeometry {
    try checkShape(input)
    guard input.count >= 3, pool.kernel.count == input.count - 2 else {
        throw ShapeError(
            "a pool of kernel \(describe(pool.kernel)) needs an input of rank "
                + "\(pool.kernel.count + 2), not \(describe(input))"
        )
    }
    var window = try windowParameters(
        input: Array(input.dropFirst(2)),
        kernel: pool.kernel,
        strides: pool.strides,
        dilations: pool.dilations,
        padding: pool.padding
    )
    try checkShape(pool.kernel)
    for axis in 0..<window.rank {
        if pool.padding.isSame { padEvenly(&window, axis: axis, padding: pool.padding) }
        let extent = window.extent(along: axis)
        guard window.padBegin[axis] < extent, window.padEnd[axis] < extent else {
            throw ShapeError(
                "a pool's padding of \(max(window.padBegin[axis], window.padEnd[axis])) must be "
                    + "smaller than its window of \(extent)"
            )
        }
        let stride = window.strides[axis]
        let room = window.room(along: axis)
        guard room >= 0 || (pool.ceilMode && room > -stride) else {
            throw windowTooLarge(window, axis: axis)
        }
        guard pool.ceilMode else {
            window.outputSizes[axis] = room / stride + 1
            continue
        }
        var size = room <= 0 ? 1 : (room - 1) / stride + 2
        // The last window must start inside the input or the padding before it.
        if (size - 1) * stride >= window.inputSizes[axis] + window.padBegin[axis] { size -= 1 }
        window.outputSizes[axis] = size
    }
    try bound(&window, channels: input[1])
    return window
}

/// Keeps products of the sizes, strides and paddings of an image small enough to count with.
///
/// One image with its padding (of a transposed convolution, the result before it is cut) has at most
/// as many elements as a tensor. A longer stride has nowhere to go, so it may as well end there.
private func bound(_ window: inout WindowGeometry, channels: Int) throws(ShapeError) {
    let whole = (0..<window.rank).map { axis in
        max(
            max(window.inputSizes[axis], window.outputSizes[axis])
                + max(window.padBegin[axis], 0) + max(window.padEnd[axis], 0),
            window.extent(along: axis)
        )
    }
    do throws(ShapeError) {
        try checkShape([channels] + whole)
    } catch {
        throw ShapeError("with its padding, \(error.message)")
    }
    for axis in 0..<window.rank where window.strides[axis] > whole[axis] {
        window.strides[axis] = whole[axis]
    }
}

extension Padding {
    var isSame: Bool { self == .sameUpper || self == .sameLower }
}

extension WindowGeometry {
    /// Elements a window can move within the padded input; negative when it does not fit.
    fileprivate func room(along axis: Int) -> Int {
        inputSizes[axis] + padBegin[axis] + padEnd[axis] - extent(along: axis)
    }
}

private func windowTooLarge(_ window: WindowGeometry, axis: Int) -> ShapeError {
    let padded = window.inputSizes[axis] + window.padBegin[axis] + window.padEnd[axis]
    return ShapeError(
        "a window of \(window.extent(along: axis)) elements is larger than the padded input of "
            + "\(padded) along spatial axis \(axis)"
    )
}

/// Fills in defaults and checks ranges; output sizes are left at zero.
private func windowParameters(
    input: [Int],
    kernel: [Int],
    strides: [Int],
    dilations: [Int],
    padding: Padding
) throws(ShapeError) -> WindowGeometry {
    let rank = input.count
    func list(
        _ values: [Int],
        _ name: String,
        count: Int,
        default value: Int,
        least: Int
    ) throws(ShapeError) -> [Int] {
        if values.isEmpty { return Array(repeating: value, count: count) }
        guard values.count == count else {
            throw ShapeError("\(name) has \(values.count) elements instead of \(count)")
        }
        for value in values where value < least || value > maximumWindowParameter {
            throw ShapeError(
                "\(name) contains \(value); \(least) to \(maximumWindowParameter) are possible"
            )
        }
        return values
    }
    var pads: [Int] = []
    if case .explicit(let given) = padding { pads = given }
    pads = try list(pads, "pads", count: 2 * rank, default: 0, least: 0)
    return WindowGeometry(
        inputSizes: input,
        outputSizes: Array(repeating: 0, count: rank),
        kernel: try list(kernel, "kernel_shape", count: rank, default: 1, least: 1),
        strides: try list(strides, "strides", count: rank, default: 1, least: 1),
        dilations: try list(dilations, "dilations", count: rank, default: 1, least: 1),
        padBegin: Array(pads[..<rank]),
        padEnd: Array(pads[rank...])
    )
}

/// Pads so that there is one window per `stride` input elements.
///
/// An odd element goes to the end for `sameUpper` and to the beginning for `sameLower`.
private func padEvenly(_ window: inout WindowGeometry, axis: Int, padding: Padding) {
    let size = window.inputSizes[axis]
    let stride = window.strides[axis]
    let target = size == 0 ? 0 : (size - 1) / stride + 1
    let total = max(0, (target - 1) * stride + window.extent(along: axis) - size)
    let half = total / 2
    window.padBegin[axis] = padding == .sameUpper ? half : total - half
    window.padEnd[axis] = total - window.padBegin[axis]
}

/// Works out the output sizes and the padding of a transposed convolution from each other.
private func placeTransposed(
    _ window: inout WindowGeometry,
    _ convolution: Convolution
) throws(ShapeError) {
    let rank = window.rank
    let extra =
        convolution.outputPadding.isEmpty
        ? Array(repeating: 0, count: rank) : convolution.outputPadding
    guard extra.count == rank, extra.allSatisfy({ 0...maximumWindowParameter ~= $0 }) else {
        throw ShapeError("output_padding \(extra) does not name \(rank) sizes of at least zero")
    }
    // Some exporters write the batch and channel sizes too.
    var wanted = convolution.outputShape
    if wanted.count == rank + 2 { wanted.removeFirst(2) }
    guard wanted.isEmpty || wanted.count == rank else {
        throw ShapeError("output_shape has \(wanted.count) elements instead of \(rank)")
    }
    for axis in 0..<rank {
        let stride = window.strides[axis]
        guard window.inputSizes[axis] >= 1 else {
            throw ShapeError("a transposed convolution needs at least one element per axis")
        }
        let (reach, overflow) = (window.inputSizes[axis] - 1)
            .multipliedReportingOverflow(by: stride)
        guard !overflow, reach <= maximumElementCount else {
            throw ShapeError("a transposed convolution's output is too large")
        }
        let full = reach + window.extent(along: axis) + extra[axis]
        var target = wanted.isEmpty ? nil : wanted[axis]
        if let size = target, size < 1 || size - stride >= full {
            throw ShapeError(
                "output_shape asks for \(size) elements along spatial axis \(axis); 1 to "
                    + "\(full + stride - 1) are possible"
            )
        }
        if target == nil, convolution.padding.isSame {
            // The size in demand is stride * input; a small kernel leaves less than that.
            target = min(full, reach + stride)
        }
        if let target {
            let total = full - target
            let half = max(total, 0) / 2
            let isUpper = convolution.padding == .sameUpper
            window.padBegin[axis] = isUpper ? half : max(total, 0) - half
            window.padEnd[axis] = total - window.padBegin[axis]
        }
        window.outputSizes[axis] = full - window.padBegin[axis] - window.padEnd[axis]
        guard window.outputSizes[axis] >= 1 else {
            throw ShapeError(
                "the padding of a transposed convolution leaves nothing of its "
                    + "\(full) elements along spatial axis \(axis)"
            )
        }
    }
}
