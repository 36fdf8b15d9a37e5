import GraphIR

/// Lines [images, channels, length] and volumes [images, channels, depth, height, width] beside
/// convolutions and pools become what those kernels read and write: images of one row, and of slices.
///
/// What is done to them element by element, what is copied along an axis, and means and largest values
/// of whole lines are done to the images instead: later passes find it beside the kernel, and the
/// layout of channel blocks lasts.
func liftToImages(in graph: FusedGraph) -> FusedGraph {
    var lifting = ImageLifting(source: graph, result: graph)
    lifting.run()
    return lifting.result
}

/// The shape of a line or a volume as images; nil for other ranks.
func imageShape(of shape: [Int]) -> [Int]? {
    switch shape.count {
    case 3: [shape[0], shape[1], 1, shape[2]]
    case 5: [shape[0] * shape[2], shape[1], shape[3], shape[4]]
    default: nil
    }
}

/// A copy that makes images of a line or a volume of `shape`; slices of a volume follow one another.
func toImages(from shape: [Int]) -> CopyKernel {
    exchange(images: shape[0], rows: shape[1], columns: shape.count == 5 ? shape[2] : 1, shape)
}

/// A copy that makes a line or a volume of `shape` of its images.
func fromImages(to shape: [Int]) -> CopyKernel {
    exchange(images: shape[0], rows: shape.count == 5 ? shape[2] : 1, columns: shape[1], shape)
}

/// Turns [images, rows, columns, the rest of `shape`] into [images, columns, rows, the rest].
private func exchange(images: Int, rows: Int, columns: Int, _ shape: [Int]) -> CopyKernel {
    let count = shape.reduce(1, *)
    if rows == 1 || columns == 1 { return CopyKernel(boxes: [.whole(count)]) }
    let rest = count / max(images * rows * columns, 1)
    return .transposition(of: [images, rows, columns, rest], [0, 2, 1, 3])
}

private struct ImageLifting {
    let source: FusedGraph
    var result: FusedGraph
    /// The images with the elements of a line or a volume.
    private var images: [ValueID: ValueID] = [:]
    /// Images that are read in the place of others with the same elements.
    private var replacement: [ValueID: ValueID] = [:]

    init(source: FusedGraph, result: FusedGraph) {
        self.source = source
        self.result = result
        self.result.nodes = []
    }

    mutating func run() {
        for var node in source.nodes {
            node.inputs = node.inputs.map { replacement[$0] ?? $0 }
            if placeConversion(node) { continue }
            if let lifted = lifted(node) {
                emit(lifted, for: node.output)
            } else {
                result.nodes.append(node)
            }
        }
        removeUnreadCopies()
    }

    private func shape(_ id: ValueID) -> [Int] { result[id].type.shape }

    /// Notes which images a conversion makes or reads; images that exist are not made again.
    private mutating func placeConversion(_ node: FusedNode) -> Bool {
        guard case .copy(let copy) = node.kernel, node.inputs.count == 1, node.activation == .none
        else {
            return false
        }
        let (x, y) = (node.inputs[0], node.output)
        if imageShape(of: shape(x)) == shape(y), copy == toImages(from: shape(x)) {
            if let known = images[x], !source.outputs.contains(y) {
                replacement[y] = known
                return true
            }
            images[x] = y
        } else if imageShape(of: shape(y)) == shape(x), copy == fromImages(to: shape(y)) {
            images[y] = x
        } else {
            return false
        }
        result.nodes.append(node)
        return true
    }

    /// The same on images; nil for what stays as it is.
    private mutating func lifted(_ node: FusedNode) -> FusedNode? {
        let isFloat = (node.inputs + [node.output]).allSatisfy {
            result[$0].type.dtype == .float32
        }
        guard isFloat, node.inputs.contains(where: { images[$0] != nil }) else { return nil }
        let output = shape(node.output)
        var lifted = node
        switch node.kernel {
        case .unary where imageShape(of: output) != nil:
            lifted.inputs = node.inputs.map { asImages($0) }
        case .binary where node.inputs.allSatisfy({ canBroadcast($0, to: output) }):
            lifted.inputs = node.inputs.map { asOperand($0, rank: output.count) }
        case .copy(let copy):
            guard let boxes = imageBoxes(of: copy, in: node) else { return nil }
            lifted.kernel = .copy(CopyKernel(boxes: boxes, fill: copy.fill))
            lifted.inputs = node.inputs.map { asImages($0) }
        case .reduce(let kind, let outer, let axisSize, inner: 1)
        where kind == .mean || kind == .maximum:
            let line = shape(node.inputs[0])
            guard line.count == 3, line[0] * line[1] == outer, line[2] == axisSize else {
                return nil
            }
            lifted.kernel = .globalPool(isAverage: kind == .mean)
            lifted.inputs = node.inputs.map { asImages($0) }
        default:
            return nil
        }
        return lifted
    }

    /// Boxes of lines or volumes as boxes of images: ranges of the axes of a line, ranges of the
    /// channels of a volume.
    private func imageBoxes(of copy: CopyKernel, in node: FusedNode) -> [StridedBox]? {
        let output = shape(node.output)
        guard let outputImages = imageShape(of: output),
            node.inputs.allSatisfy({ shape($0).count == output.count })
        else { return nil }
        var boxes: [StridedBox] = []
        for var box in copy.boxes {
            let input = shape(node.inputs[box.input])
            guard let inputImages = imageShape(of: input),
                let dimensions = imageShape(of: box.dimensions),
                box.dimensions.count == output.count,
                box.inputStrides == rowMajorStrides(input),
                box.outputStrides == rowMajorStrides(output)
            else { return nil }
            if output.count == 5 {
                let isOfChannels = [input, output].allSatisfy {
                    $0[0] == box.dimensions[0] && $0[2...] == box.dimensions[2...]
                }
                guard isOfChannels else { return nil }
                box.inputOffset /= output[2]
                box.outputOffset /= output[2]
            }
            box.dimensions = dimensions
            box.inputStrides = rowMajorStrides(inputImages)
            box.outputStrides = rowMajorStrides(outputImages)
            boxes.append(box)
        }
        return boxes
    }

    /// An operand's axes with those that it leaves out.
    private func allAxes(_ id: ValueID, rank: Int) -> [Int] {
        Array(repeating: 1, count: rank - shape(id).count) + shape(id)
    }

    /// Whether an operand repeats along images as it does along a line or volume.
    private func canBroadcast(_ id: ValueID, to output: [Int]) -> Bool {
        guard let target = imageShape(of: output) else { return false }
        let own = allAxes(id, rank: output.count)
        guard let images = imageShape(of: own) else { return false }
        // The slices of a constant volume would have to change places.
        let isInOrder = own.count == 3 || own[2] == 1 || result[id].constant == nil
        return (images[0] == 1 || images[0] == target[0]) && isInOrder
    }

    private mutating func asOperand(_ id: ValueID, rank: Int) -> ValueID {
        let own = shape(id)
        if own.count == rank, result[id].constant == nil { return asImages(id) }
        let axes = allAxes(id, rank: rank)
        guard own.count > 1, let lifted = imageShape(of: axes) else { return id }
        guard let constant = result[id].constant else {
            return converted(id, by: toImages(from: axes), lifted)
        }
        var value = result[id]
        value.type.shape = lifted
        value.constant = constant.reshaped(lifted)
        return result.addValue(value)
    }

    private mutating func asImages(_ id: ValueID) -> ValueID {
        if let known = images[id] { return known }
        guard let lifted = imageShape(of: shape(id)) else { preconditionFailure("no line") }
        let new = converted(id, by: toImages(from: shape(id)), lifted)
        images[id] = new
        return new
    }

    private mutating func converted(_ id: ValueID, by copy: CopyKernel, _ shape: [Int]) -> ValueID {
        var value = result[id]
        value.type.shape = shape
        value.constant = nil
        let new = result.addValue(value)
        result.nodes.append(
            FusedNode(name: value.name, kernel: .copy(copy), inputs: [id], output: new)
        )
        return new
    }

    /// Appends a node on images; what it made before is made of its result.
    private mutating func emit(_ node: FusedNode, for original: ValueID) {
        var node = node
        var value = result[original]
        let lifted = imageShape(of: value.type.shape)
        if case .globalPool = node.kernel {
            value.type.shape = Array(shape(node.inputs[0])[..<2]) + [1, 1]
        } else if let lifted {
            value.type.shape = lifted
        }
        node.output = result.addValue(value)
        result.nodes.append(node)
        if value.type.shape == lifted { images[original] = node.output }
        let back =
            lifted == nil
            ? CopyKernel(boxes: [.whole(value.type.elementCount)])
            : fromImages(to: shape(original))
        result.nodes.append(
            FusedNode(
                name: result[original].name,
                kernel: .copy(back),
                inputs: [node.output],
                output: original
            )
        )
    }

    private mutating func removeUnreadCopies() {
        var isRead = [Bool](repeating: false, count: result.values.count)
        for output in result.outputs { isRead[output.index] = true }
        var kept: [FusedNode] = []
        for node in result.nodes.reversed() {
            if case .copy = node.kernel, !isRead[node.output.index] { continue }
            for input in node.inputs { isRead[input.index] = true }
            kept.append(node)
        }
        result.nodes = kept.reversed()
    }
}
