import CSluiceKernels
import GraphIR
import TensorMemory

/// Kernels that map element to element.
extension KernelBinder {
    func bindUnary(_ node: FusedNode, _ operands: KernelOperands) -> [KernelCall] {
        let count = graph[node.output].byteCount(lanes: lanes) / 4
        var args = sl_unary_args()
        args.count = count
        args.input = UnsafePointer(floats(operands.inputs[0]))
        args.output = floats(operands.output)
        args.activation = node.activation.code
        (args.planes, args.elements_per_task) = pieces(of: node.output, count: count, row: count)
        return [
            KernelCall(
                isa.pointee.unary,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_unary_task_count(isa, &args)
            )
        ]
    }

    /// Elements of a task: whole rows of `row` elements, or parts of a long one.
    private func elementsPerTask(count: Int, row: Int) -> Int {
        let wanted = share(count, minimum: 8192)
        // Parts of a row are whole cache lines, of elements of any size.
        let unit = row > wanted ? 64 : max(row, 1)
        return (wanted + unit - 1) / unit * unit
    }

    /// How `count` elements of a value, in rows of `row`, are cut into tasks: into planes, and each
    /// plane into pieces.
    ///
    /// Workers share rows where kernels over planes do.
    private func pieces(of id: ValueID, count: Int, row: Int) -> (planes: Int, elements: Int) {
        let whole = (1, elementsPerTask(count: count, row: row))
        guard graph[id].layout == .blocked else { return whole }
        let shape = shape(id)
        let planes = max(shape[0] * blocks(shape[1]), 1)
        let rows = rowsPerTask(
            images: shape[0],
            planes: blocks(shape[1]),
            height: shape[2],
            width: shape[3]
        )
        let piece = Int(rows) * shape[3] * lanes
        // Elements of small planes are not worth a task each.
        return piece < 4096 ? whole : (planes, piece)
    }

    /// The physical axes of an operand of an element-wise kernel in the layout of the result.
    private func physicalShape(_ id: ValueID) -> [Int] {
        let value = graph[id]
        if value.layout == .blocked {
            let shape = value.type.shape
            return [blocks(shape[1]), shape[0], shape[2], shape[3], lanes]
        }
        return value.type.shape
    }

    private func operandStrides(_ id: ValueID, output: ValueID) -> [Int] {
        let target = physicalShape(output)
        let value = graph[id]
        guard graph[output].layout == .blocked, value.layout != .blocked else {
            return broadcastStrides(of: physicalShape(id), to: target)
        }
        // Row-major operands of blocked results are scalars or one value per channel.
        if value.type.elementCount == 1 { return [0, 0, 0, 0, 0] }
        return [lanes, 0, 0, 0, 1]
    }

    func bindBinary(
        _ node: FusedNode,
        _ function: BinaryFunction,
        _ operands: KernelOperands
    ) -> [KernelCall] {
        let output = physicalShape(node.output)
        let nest = LoopNest(
            dimensions: output,
            strides: [
                operandStrides(node.inputs[0], output: node.output),
                operandStrides(node.inputs[1], output: node.output), rowMajorStrides(output),
            ]
        )
        var args = sl_binary_args()
        args.kind = function.code
        args.dtype = graph[node.inputs[0]].type.dtype.code
        args.rank = UInt32(nest.rank)
        args.dims = fixed(nest.dimensions)
        args.a = UnsafeRawPointer(operands.inputs[0].pointer)
        args.a_stride = fixed(nest.strides[0])
        args.b = UnsafeRawPointer(operands.inputs[1].pointer)
        args.b_stride = fixed(nest.strides[1])
        args.output = operands.output.pointer
        args.activation = node.activation.code
        (args.planes, args.elements_per_task) = pieces(
            of: node.output,
            count: nest.rowCount * nest.rowLength,
            row: nest.rowLength
        )
        return [
            KernelCall(
                isa.pointee.binary,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_binary_task_count(isa, &args)
            )
        ]
    }

    func bindSelect(_ node: FusedNode, _ operands: KernelOperands) -> [KernelCall] {
        let output = shape(node.output)
        let nest = LoopNest(
            dimensions: output,
            strides: node.inputs.map { broadcastStrides(of: shape($0), to: output) }
                + [rowMajorStrides(output)]
        )
        var args = sl_select_args()
        args.rank = UInt32(nest.rank)
        args.dims = fixed(nest.dimensions)
        args.element_bytes = graph[node.output].type.dtype.byteCount
        args.condition = UnsafePointer(
            operands.inputs[0].pointer.assumingMemoryBound(to: UInt8.self)
        )
        args.condition_stride = fixed(nest.strides[0])
        args.a = UnsafeRawPointer(operands.inputs[1].pointer)
        args.a_stride = fixed(nest.strides[1])
        args.b = UnsafeRawPointer(operands.inputs[2].pointer)
        args.b_stride = fixed(nest.strides[2])
        args.output = operands.output.pointer
        args.elements_per_task = elementsPerTask(
            count: nest.rowCount * nest.rowLength,
            row: nest.rowLength
        )
        return [
            KernelCall(
                isa.pointee.select,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_select_task_count(isa, &args)
            )
        ]
    }

    func bindCopy(
        _ node: FusedNode,
        _ copy: CopyKernel,
        _ work: KernelWork,
        _ operands: KernelOperands
    ) -> [KernelCall] {
        let size = graph[node.output].type.dtype.byteCount
        if case .fill = work {
            var args = sl_fill_args()
            args.count = graph[node.output].type.elementCount
            args.element_bytes = size
            args.pattern = copy.fill ?? 0
            args.output = operands.output.pointer
            args.elements_per_task = share(args.count, minimum: 16384)
            return [
                KernelCall(
                    isa.pointee.fill,
                    UnsafeRawPointer(store.keep(args)),
                    taskCount: sl_fill_task_count(isa, &args)
                )
            ]
        }
        guard case .boxes(let skipped) = work else { preconditionFailure("a copy copies boxes") }
        return copy.boxes.filter { !skipped.contains($0.input) }.map { box in
            let nest = LoopNest(
                dimensions: box.dimensions,
                strides: [box.inputStrides, box.outputStrides]
            ).inFewStreams()
            var args = sl_copy_args()
            args.rank = UInt32(nest.rank)
            args.dims = fixed(nest.dimensions)
            args.element_bytes = size
            args.input = UnsafeRawPointer(
                operands.inputs[box.input].pointer + box.inputOffset * size
            )
            args.in_stride = fixed(nest.strides[0])
            args.output = operands.output.pointer + box.outputOffset * size
            args.out_stride = fixed(nest.strides[1])
            args.elements_per_task = elementsPerTask(
                count: nest.rowCount * nest.rowLength,
                row: nest.rowLength
            )
            return KernelCall(
                isa.pointee.copy,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_copy_task_count(isa, &args)
            )
        }
    }
}

extension BinaryFunction {
    var code: sl_binary_kind {
        switch self {
        case .add: SL_BINARY_ADD
        case .subtract: SL_BINARY_SUBTRACT
        case .multiply: SL_BINARY_MULTIPLY
        case .divide: SL_BINARY_DIVIDE
        case .power: SL_BINARY_POWER
        case .minimum: SL_BINARY_MINIMUM
        case .maximum: SL_BINARY_MAXIMUM
        case .equal: SL_BINARY_EQUAL
        case .less: SL_BINARY_LESS
        case .lessOrEqual: SL_BINARY_LESS_OR_EQUAL
        case .greater: SL_BINARY_GREATER
        case .greaterOrEqual: SL_BINARY_GREATER_OR_EQUAL
        case .and: SL_BINARY_AND
        case .or: SL_BINARY_OR
        case .modulo(let truncated):
            truncated ? SL_BINARY_MODULO_TRUNCATED : SL_BINARY_MODULO
        case .parametricRelu: SL_BINARY_PARAMETRIC_RELU
        case .bitwiseAnd: SL_BINARY_BITWISE_AND
        case .bitwiseOr: SL_BINARY_BITWISE_OR
        case .bitwiseXor: SL_BINARY_BITWISE_XOR
        case .shiftLeft: SL_BINARY_SHIFT_LEFT
        case .shiftRight: SL_BINARY_SHIFT_RIGHT
        }
    }
}

extension DType {
    var code: sl_dtype { sl_dtype(rawValue: UInt32(rawValue)) }
}
