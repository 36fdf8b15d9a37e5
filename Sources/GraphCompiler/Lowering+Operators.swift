import GraphIR

extension Lowering {
    /// Lowers one node to kernel calls.
    mutating func lower(_ node: Node) throws(LoweringProblem) {
        switch node.op {
        case .convolution(let convolution):
            try lowerConvolution(node, convolution)
        case .pool(let pool):
            try lowerPool(node, pool)
        case .globalPool(let kind):
            try lowerGlobalPool(node, kind)
        case .batchNormalization(let epsilon):
            try lowerBatchNormalization(node, epsilon: epsilon)
        case .localResponseNormalization(let size, let alpha, let beta, let bias):
            emit(
                node,
                .localResponseNormalization(size: size, alpha: alpha, beta: beta, bias: bias),
                inputs: [try required(node, 0)]
            )
        case .gemm(let gemm):
            try lowerGemm(node, gemm)
        case .matmul:
            try lowerMatrixProduct(node)
        case .unary(let function):
            try lowerUnary(node, function)
        case .binary(let function):
            try lowerBinary(node, function)
        case .variadic(let function):
            try lowerVariadic(node, function)
        case .clip:
            try lowerClip(node)
        case .softmax(let axis, let flattened):
            try lowerSoftmax(node, axis: axis, flattened: flattened)
        case .concat(let axis):
            try lowerConcat(node, axis: axis)
        case .split(let axis):
            try lowerSplit(node, axis: axis)
        case .reshape, .flatten, .unsqueeze, .squeeze, .identity:
            try lowerView(node)
        case .transpose(let permutation):
            try lowerTranspose(node, permutation: permutation)
        case .reduce(let reduction):
            try lowerReduce(node, reduction)
        case .resize(let resize):
            try lowerResize(node, resize)
        case .gather(let axis):
            try lowerGather(node, axis: axis)
        case .cast:
            try lowerCast(node)
        case .bitCast:
            try lowerBitCast(node)
        case .slice:
            try lowerSlice(node)
        case .pad(let mode):
            try lowerPad(node, mode: mode)
        case .expand, .tile:
            try lowerRepeat(node)
        case .select:
            try lowerSelect(node)
        case .constantOfShape, .shape, .size, .range:
            throw LoweringProblem(
                reason: "its result depends on data known only at run time"
            )
        case .argument(let search):
            try lowerArgument(node, search)
        case .topPlaces(let axis, let largest):
            try lowerTopPlaces(node, axis: axis, largest: largest)
        case .scan(let scan):
            try lowerScan(node, scan)
        case .scatterRows(let reduction):
            emit(
                node,
                .scatterRows(reduction),
                inputs: [try required(node, 0), try required(node, 1), try required(node, 2)]
            )
        case .suppress(let limit, let areCentred):
            try lowerSuppression(node, limit: limit, boxesAreCentred: areCentred)
        case .composite, .conditional, .loop, .iterate:
            preconditionFailure(
                "composite operators and bodies are written out when types are bound"
            )
        }
    }

    // MARK: Element-wise

    private mutating func requireFloat(_ id: ValueID) throws(LoweringProblem) {
        let dtype = result[id].type.dtype
        guard dtype == .float32 else {
            throw LoweringProblem(reason: "no kernel for elements of type \(dtype)")
        }
    }

    private mutating func lowerUnary(
        _ node: Node,
        _ function: UnaryFunction
    ) throws(LoweringProblem) {
        let x = try required(node, 0)
        if case .not = function {
            let type = TensorType(.bool, [])
            let zero = result.addValue(
                FusedValue(
                    name: node.name + ".false",
                    type: type,
                    constant: Constant(DenseTensor(shape: [], integers: [0], dtype: .bool))
                )
            )
            emit(node, .binary(.equal), inputs: [x, zero])
            return
        }
        if result[x].type.dtype == .float32, function.isActivation {
            emit(node, .unary, inputs: [x], activation: Activation(function))
        } else {
            emit(node, .map(function), inputs: [x])
        }
    }

    private mutating func lowerBinary(
        _ node: Node,
        _ function: BinaryFunction
    ) throws(LoweringProblem) {
        let (a, b) = (try required(node, 0), try required(node, 1))
        let (first, second) = (result[a].type.dtype, result[b].type.dtype)
        guard function == .power, first != second else {
            emit(node, .binary(function), inputs: [a, b])
            return
        }
        // Powers of mixed types: as float32 where either is, else in the type of the base.
        guard let target = node.outputs[0] else { return }
        let isFloat = first == .float32 || second == .float32
        let common = isFloat ? DType.float32 : first
        let power = emitTemporary(
            node.name + ".power",
            .binary(.power),
            inputs: [converted(a, to: common), converted(b, to: common)],
            type: TensorType(common, type(target).shape)
        )
        define(target, as: converted(power, to: first))
    }

    /// The same elements as another type.
    private mutating func converted(_ id: ValueID, to dtype: DType) -> ValueID {
        if result[id].type.dtype == dtype { return id }
        return emitTemporary(
            "\(result[id].name).\(dtype)",
            .cast,
            inputs: [id],
            type: TensorType(dtype, result[id].type.shape)
        )
    }

    private mutating func lowerVariadic(
        _ node: Node,
        _ function: VariadicFunction
    ) throws(LoweringProblem) {
        var sum = try required(node, 0)
        let shape = node.outputs[0].map { type($0).shape } ?? []
        let binary: BinaryFunction =
            switch function {
            case .sum, .mean: .add
            case .minimum: .minimum
            case .maximum: .maximum
            }
        let dtype = result[sum].type.dtype
        if node.inputs.count == 1 {
            emit(node, .copy(CopyKernel(boxes: [.whole(shape.reduce(1, *))])), inputs: [sum])
            return
        }
        for index in 1..<node.inputs.count {
            let next = try required(node, index)
            if index == node.inputs.count - 1, function != .mean {
                emit(node, .binary(binary), inputs: [sum, next])
            } else {
                let shapes = [result[sum].type.shape, result[next].type.shape]
                let partial = try resolved { () throws(ShapeError) in
                    try broadcastShapes(shapes)
                }
                sum = emitTemporary(
                    "\(node.name).\(index)",
                    .binary(binary),
                    inputs: [sum, next],
                    type: TensorType(dtype, partial)
                )
            }
        }
        if function == .mean {
            let scale = addConstant(node.name + ".scale", .scalar(1 / Float(node.inputs.count)))
            emit(node, .binary(.multiply), inputs: [sum, scale])
        }
    }

    private mutating func lowerClip(_ node: Node) throws(LoweringProblem) {
        let x = try required(node, 0)
        var lower = -Float.infinity
        var upper = Float.infinity
        var isDynamic = result[x].type.dtype != .float32
        for (index, bound) in node.inputs.dropFirst().enumerated() {
            guard let bound else { continue }
            if let value = constant(bound)?.smallLiteral?.floats.first {
                if index == 0 { lower = value } else { upper = value }
            } else {
                isDynamic = true
            }
        }
        if !isDynamic {
            let activation = Activation.clamp(lower: lower, upper: upper)
            emit(node, .unary, inputs: [x], activation: activation)
            return
        }
        var clipped = x
        for (index, function) in [BinaryFunction.maximum, .minimum].enumerated() {
            guard index + 1 < node.inputs.count, let bound = node.inputs[index + 1] else {
                continue
            }
            clipped = emitTemporary(
                "\(node.name).\(index)",
                .binary(function),
                inputs: [clipped, operand(bound)],
                type: result[x].type
            )
        }
        if let output = node.outputs[0] { define(output, as: clipped) }
    }

    private mutating func lowerSelect(_ node: Node) throws(LoweringProblem) {
        emit(
            node,
            .select,
            inputs: [try required(node, 0), try required(node, 1), try required(node, 2)]
        )
    }

    private mutating func lowerCast(_ node: Node) throws(LoweringProblem) {
        let x = try required(node, 0)
        guard let output = node.outputs[0] else { return }
        if result[x].type.dtype == computedType(output).dtype {
            define(output, as: x)
        } else {
            emit(node, .cast, inputs: [x])
        }
    }

    /// Halves are computed as float32, which keeps their bits; doubles would lose theirs.
    private mutating func lowerBitCast(_ node: Node) throws(LoweringProblem) {
        guard let source = node.inputs[0], let target = node.outputs[0] else { return }
        let (from, to) = (type(source).dtype, type(target).dtype)
        guard from != .float64, to != .float64 else {
            throw LoweringProblem(reason: "the bits of float64 are not kept")
        }
        let bits = converted(try required(node, 0), to: from)
        let copy = emitTemporary(
            node.name + ".bits",
            .copy(CopyKernel(boxes: [.whole(type(source).elementCount)])),
            inputs: [bits],
            type: type(target)
        )
        define(target, as: converted(copy, to: computedType(target).dtype))
    }

    // MARK: Along an axis

    private mutating func lowerSoftmax(
        _ node: Node,
        axis: Int,
        flattened: Bool
    ) throws(LoweringProblem) {
        let x = try required(node, 0)
        try requireFloat(x)
        let shape = result[x].type.shape
        let axis = axis < 0 ? axis + shape.count : axis
        let outer = shape[..<axis].reduce(1, *)
        let kernel: Kernel
        if flattened {
            kernel = .softmax(outer: outer, axisSize: shape[axis...].reduce(1, *), inner: 1)
        } else {
            kernel = .softmax(
                outer: outer,
                axisSize: shape[axis],
                inner: shape[(axis + 1)...].reduce(1, *)
            )
        }
        emit(node, kernel, inputs: [x])
    }

    private mutating func lowerReduce(
        _ node: Node,
        _ reduction: Reduction
    ) throws(LoweringProblem) {
        let x = try required(node, 0)
        let shape = result[x].type.shape
        var axes: [Int]
        if node.inputs.count > 1, let input = node.inputs[1] {
            guard let literal = constant(input)?.smallLiteral?.integers else {
                throw LoweringProblem(reason: "its axes are known only at run time")
            }
            axes = literal.map { Int($0) < 0 ? Int($0) + shape.count : Int($0) }.sorted()
        } else {
            axes = []
        }
        if axes.isEmpty {
            if reduction.ignoresEmptyAxes {
                emit(node, .copy(CopyKernel(boxes: [.whole(shape.reduce(1, *))])), inputs: [x])
                return
            }
            axes = Array(shape.indices)
        }
        // The mean of all pixels of images, which are in blocks after a convolution.
        if reduction.kind == .mean, result[x].type.dtype == .float32, shape.count == 4,
            axes == [2, 3], !shape.contains(0)
        {
            try emitSpatial(node, .globalPool(isAverage: true), inputs: [x])
            return
        }
        // Reduced axes that are neighbours are one; others are moved to the end first.
        var source = x
        let isRun = axes.indices.dropFirst().allSatisfy { axes[$0] == axes[$0 - 1] + 1 }
        var outer = shape[..<(axes.first ?? 0)].reduce(1, *)
        let size = axes.reduce(1) { $0 * shape[$1] }
        var inner = shape[((axes.last ?? -1) + 1)...].reduce(1, *)
        if !isRun {
            let kept = shape.indices.filter { !axes.contains($0) }
            let permutation = kept + axes
            source = emitTemporary(
                node.name + ".transposed",
                .copy(.transposition(of: shape, permutation)),
                inputs: [x],
                type: TensorType(result[x].type.dtype, permutation.map { shape[$0] })
            )
            outer = kept.reduce(1) { $0 * shape[$1] }
            inner = 1
        }
        if result[x].type.dtype == .float32 {
            emit(
                node,
                .reduce(reduction.kind, outer: outer, axisSize: size, inner: inner),
                inputs: [source]
            )
        } else {
            let lines = AxisLines(outer: outer, axisSize: size, inner: inner)
            emit(node, .lineReduce(reduction.kind, lines), inputs: [source])
        }
    }

    // MARK: Pools

    private mutating func lowerPool(_ node: Node, _ pool: Pool) throws(LoweringProblem) {
        let x = try required(node, 0)
        try requireFloat(x)
        let shape = result[x].type.shape
        guard shape.count == 3 || shape.count == 4 else {
            throw LoweringProblem(reason: "pooling over \(shape.count - 2) axes has no kernel")
        }
        if case .lp = pool.kind { throw LoweringProblem(reason: "LpPool has no kernel") }
        guard node.outputs.count == 1 || node.outputs[1] == nil else {
            throw LoweringProblem(reason: "the indices of MaxPool are not computed")
        }
        let window = try resolved { () throws(ShapeError) in
            try resolveWindow(pool: pool, input: shape)
        }
        let isFlat = shape.count == 3
        let lift = { (values: [Int], new: Int) in isFlat ? [new] + values : values }
        let kernel = PoolKernel(
            isAverage: pool.kind == .average,
            countsPadding: pool.countIncludesPadding,
            kernel: lift(window.kernel, 1),
            strides: lift(window.strides, 1),
            dilations: lift(window.dilations, 1),
            padBegin: lift(window.padBegin, 0),
            padEnd: lift(window.padEnd, 0)
        )
        let source = view(x, name: node.name + ".x", shape: spatialShape(shape))
        try emitSpatial(node, .pool(kernel), inputs: [source])
    }

    private mutating func lowerGlobalPool(
        _ node: Node,
        _ kind: PoolKind
    ) throws(LoweringProblem) {
        let x = try required(node, 0)
        try requireFloat(x)
        if case .lp = kind { throw LoweringProblem(reason: "GlobalLpPool has no kernel") }
        let shape = result[x].type.shape
        let pixels = shape.dropFirst(2).reduce(1, *)
        let source =
            shape.count == 4
            ? x : view(x, name: node.name + ".x", shape: [shape[0], shape[1], 1, pixels])
        try emitSpatial(node, .globalPool(isAverage: kind == .average), inputs: [source])
    }

    /// A tensor of one spatial axis as one of two.
    func spatialShape(_ shape: [Int]) -> [Int] {
        shape.count == 3 ? [shape[0], shape[1], 1, shape[2]] : shape
    }

    /// Emits a kernel whose result has two spatial axes for a node whose result may have another
    /// number of them.
    mutating func emitSpatial(
        _ node: Node,
        _ kernel: Kernel,
        inputs: [ValueID]
    ) throws(LoweringProblem) {
        guard let target = node.outputs[0] else { return }
        let shape = type(target).shape
        if shape.count == 4 {
            emit(node, kernel, inputs: inputs)
            return
        }
        let pixels = shape.dropFirst(2).reduce(1, *)
        let spatial = emitTemporary(
            node.name + ".y",
            kernel,
            inputs: inputs,
            type: TensorType(.float32, [shape[0], shape[1], 1, pixels])
        )
        define(target, as: view(spatial, name: graph[target].name, shape: shape))
    }
}

extension Activation {
    /// The epilogue that computes `function`.
    init(_ function: UnaryFunction) {
        switch function {
        case .relu: self = .clamp(lower: 0, upper: .infinity)
        default: self = .function(function)
        }
    }
}

extension Operator {
    /// The case without its parameters, for messages.
    package var name: String {
        let text = String(describing: self)
        return String(text.prefix { $0 != "(" })
    }
}
