import GraphIR

/// Lines [images, channels, length] beside convolutions and pools of one axis become images of one row.
///
/// Those kernels read and write views of lines as images. What is done to lines element by element,
/// what is copied along an axis, and means and largest values of whole lines are done to the images
/// instead: later passes find it beside the kernel, and the layout of channel blocks lasts.
func liftLines(in graph: FusedGraph) -> FusedGraph {
    var lifting = LineLifting(source: graph, result: graph)
    lifting.run()
    return lifting.result
}

private struct LineLifting {
    let source: FusedGraph
    var result: FusedGraph
    /// The image with the elements of a line.
    private var image: [ValueID: ValueID] = [:]
    /// An image that is read in the place of another with the same elements.
    private var replacement: [ValueID: ValueID] = [:]

    init(source: FusedGraph, result: FusedGraph) {
        self.source = source
        self.result = result
        self.result.nodes = []
    }

    mutating func run() {
        for var node in source.nodes {
            node.inputs = node.inputs.map { replacement[$0] ?? $0 }
            if source.isReshape(node) {
                place(view: node)
            } else if let lifted = lifted(node) {
                emit(lifted, for: node.output)
            } else {
                result.nodes.append(node)
            }
        }
        removeUnreadViews()
    }

    private func shape(_ id: ValueID) -> [Int] { result[id].type.shape }

    /// A second view of a line as an image is the first one; others are noted.
    private mutating func place(view: FusedNode) {
        let (x, y) = (view.inputs[0], view.output)
        if let known = image[x], shape(known) == shape(y), !source.outputs.contains(y) {
            replacement[y] = known
            return
        }
        if shape(x).count == 4, shape(y).count == 3, shape(x) == rowImage(shape(y)) {
            image[y] = x
        } else if shape(x).count == 3, shape(y) == rowImage(shape(x)) {
            image[x] = y
        }
        result.nodes.append(view)
    }

    private func rowImage(_ line: [Int]) -> [Int] { [line[0], line[1], 1, line[2]] }

    /// The same on images; nil for what stays as it is.
    private mutating func lifted(_ node: FusedNode) -> FusedNode? {
        let isFloat = (node.inputs + [node.output]).allSatisfy {
            result[$0].type.dtype == .float32
        }
        guard isFloat, node.inputs.contains(where: { image[$0] != nil }) else { return nil }
        var lifted = node
        switch node.kernel {
        case .unary:
            lifted.inputs = node.inputs.map { asImage($0) }
        case .binary where shape(node.output).count == 3:
            lifted.inputs = node.inputs.map { asOperand($0) }
        case .copy(let copy) where shape(node.output).count == 3:
            guard let boxes = imageBoxes(of: copy, in: node) else { return nil }
            lifted.kernel = .copy(CopyKernel(boxes: boxes, fill: copy.fill))
            lifted.inputs = node.inputs.map { asImage($0) }
        case .reduce(let kind, let outer, let axisSize, inner: 1)
        where kind == .mean || kind == .maximum:
            let line = shape(node.inputs[0])
            guard line.count == 3, line[0] * line[1] == outer, line[2] == axisSize else {
                return nil
            }
            lifted.kernel = .globalPool(isAverage: kind == .mean)
            lifted.inputs = node.inputs.map { asImage($0) }
        default:
            return nil
        }
        return lifted
    }

    /// Boxes of lines as boxes of images, where each is a range of every axis.
    private func imageBoxes(of copy: CopyKernel, in node: FusedNode) -> [StridedBox]? {
        let output = shape(node.output)
        guard node.inputs.allSatisfy({ shape($0).count == 3 }) else { return nil }
        var boxes: [StridedBox] = []
        for var box in copy.boxes {
            let input = shape(node.inputs[box.input])
            guard box.dimensions.count == 3, box.inputStrides == rowMajorStrides(input),
                box.outputStrides == rowMajorStrides(output)
            else { return nil }
            box.dimensions = rowImage(box.dimensions)
            box.inputStrides = rowMajorStrides(rowImage(input))
            box.outputStrides = rowMajorStrides(rowImage(output))
            boxes.append(box)
        }
        return boxes
    }

    /// An operand that has as many axes as its operation or fewer.
    private mutating func asOperand(_ id: ValueID) -> ValueID {
        let own = shape(id)
        if own.count < 2 { return id }
        if own.count == 3, result[id].constant == nil { return asImage(id) }
        let lifted = own.count == 3 ? rowImage(own) : [own[0], 1, own[1]]
        guard let constant = result[id].constant else { return view(id, shape: lifted) }
        var value = result[id]
        value.type.shape = lifted
        value.constant = constant.reshaped(lifted)
        return result.addValue(value)
    }

    private mutating func asImage(_ id: ValueID) -> ValueID {
        if let known = image[id] { return known }
        let new = view(id, shape: rowImage(shape(id)))
        image[id] = new
        return new
    }

    private mutating func view(_ id: ValueID, shape: [Int]) -> ValueID {
        var value = result[id]
        value.type.shape = shape
        value.constant = nil
        let new = result.addValue(value)
        emitView(of: id, as: new)
        return new
    }

    private mutating func emitView(of id: ValueID, as new: ValueID) {
        let box = StridedBox.whole(result[new].type.elementCount)
        result.nodes.append(
            FusedNode(
                name: result[new].name,
                kernel: .copy(CopyKernel(boxes: [box])),
                inputs: [id],
                output: new
            )
        )
    }

    /// Appends a node on images; `line` becomes a view of its result.
    private mutating func emit(_ node: FusedNode, for line: ValueID) {
        var node = node
        var value = result[line]
        value.type.shape =
            if case .globalPool = node.kernel {
                Array(shape(node.inputs[0])[..<2]) + [1, 1]
            } else {
                rowImage(value.type.shape)
            }
        node.output = result.addValue(value)
        result.nodes.append(node)
        if shape(line).count == 3 { image[line] = node.output }
        emitView(of: node.output, as: line)
    }

    private mutating func removeUnreadViews() {
        var isRead = [Bool](repeating: false, count: result.values.count)
        for output in result.outputs { isRead[output.index] = true }
        var kept: [FusedNode] = []
        for node in result.nodes.reversed() {
            if result.isReshape(node), !isRead[node.output.index] { continue }
            for input in node.inputs { isRead[input.index] = true }
            kept.append(node)
        }
        result.nodes = kept.reversed()
    }
}
