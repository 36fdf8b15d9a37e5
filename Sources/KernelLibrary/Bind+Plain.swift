import CSluiceKernels
import GraphIR
import TensorMemory

/// Kernels that are written once for every instruction set and element type.
extension KernelBinder {
    func bindPlain(_ node: FusedNode, _ operands: KernelOperands) -> KernelCall {
        let dtype = graph[node.inputs[0]].type.dtype.code
        let input = UnsafeRawPointer(operands.inputs[0].pointer)
        let output = operands.output.pointer
        switch node.kernel {
        case .map(let function):
            var args = sl_map_args()
            args.kind = function.mapCode
            args.dtype = dtype
            args.count = graph[node.output].type.elementCount
            args.input = input
            args.output = output
            args.elements_per_task = share(args.count, minimum: 1024)
            return KernelCall(
                sl_map,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_map_task_count(&args)
            )
        case .lineReduce(let kind, let lines):
            var args = sl_line_reduce_args()
            args.lines = code(lines)
            args.kind = kind.code
            args.dtype = dtype
            args.input = input
            args.output = output
            return KernelCall(
                sl_line_reduce,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_lines_task_count(&args.lines)
            )
        case .places(let lines, let count, let largest, let takesLast):
            var args = sl_places_args()
            args.lines = code(lines)
            args.dtype = dtype
            args.count = count
            args.largest = largest
            args.takes_last = takesLast
            args.input = input
            args.output = output.assumingMemoryBound(to: Int64.self)
            return KernelCall(
                sl_places,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_lines_task_count(&args.lines)
            )
        case .scan(let lines, let scan):
            var args = sl_scan_args()
            args.lines = code(lines)
            args.dtype = dtype
            args.is_product = scan.isProduct
            args.is_exclusive = scan.isExclusive
            args.is_reversed = scan.isReversed
            args.input = input
            args.output = output
            return KernelCall(
                sl_scan,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_lines_task_count(&args.lines)
            )
        case .scatterRows(let reduction):
            let shape = shape(node.output)
            var args = sl_scatter_args()
            args.kind = reduction.code
            args.dtype = dtype
            args.rows = shape[0]
            args.width = shape[1]
            args.count = graph[node.inputs[1]].type.elementCount
            args.table = input
            args.row_numbers = UnsafePointer(
                operands.inputs[1].pointer.assumingMemoryBound(to: Int64.self)
            )
            args.updates = UnsafeRawPointer(operands.inputs[2].pointer)
            args.output = output
            // One for each worker: every task looks at all row numbers.
            args.elements_per_task = max((args.rows * args.width + workers - 1) / workers, 16)
            return KernelCall(
                sl_scatter,
                UnsafeRawPointer(store.keep(args)),
                taskCount: sl_scatter_task_count(&args)
            )
        case .suppress(let kernel): return bindSuppression(kernel, operands)
        default: preconditionFailure("not a plain kernel")
        }
    }

    private func bindSuppression(
        _ kernel: SuppressionKernel,
        _ operands: KernelOperands
    ) -> KernelCall {
        let inputs = operands.inputs.map { UnsafePointer(floats($0)) }
        var args = sl_suppress_args()
        args.lines = kernel.images * kernel.classes
        args.classes = kernel.classes
        args.box_count = kernel.boxes
        args.limit = kernel.limit
        args.are_centred = kernel.boxesAreCentred
        args.boxes = inputs[0]
        args.scores = inputs[1]
        args.iou_threshold = inputs[2]
        args.score_threshold = inputs.count > 3 ? inputs[3] : nil
        args.output = operands.output.pointer.assumingMemoryBound(to: Int64.self)
        return KernelCall(
            sl_suppress,
            UnsafeRawPointer(store.keep(args)),
            taskCount: sl_suppress_task_count(&args),
            scratch: scratch(operands.workspace, floats: kernel.boxes)
        )
    }

    private func code(_ lines: AxisLines) -> sl_lines {
        let count = lines.outer * lines.inner
        let least = max(1, 1024 / max(lines.axisSize, 1))
        return sl_lines(
            outer: lines.outer,
            axis_size: lines.axisSize,
            inner: lines.inner,
            lines_per_task: share(count, minimum: least)
        )
    }
}

extension UnaryFunction {
    fileprivate var mapCode: sl_map_kind {
        switch self {
        case .sin: SL_MAP_SIN
        case .cos: SL_MAP_COS
        case .tan: SL_MAP_TAN
        case .asin: SL_MAP_ASIN
        case .acos: SL_MAP_ACOS
        case .atan: SL_MAP_ATAN
        case .sinh: SL_MAP_SINH
        case .cosh: SL_MAP_COSH
        case .asinh: SL_MAP_ASINH
        case .acosh: SL_MAP_ACOSH
        case .atanh: SL_MAP_ATANH
        case .sign: SL_MAP_SIGN
        case .relu: SL_MAP_RELU
        case .absolute: SL_MAP_ABSOLUTE
        case .negate: SL_MAP_NEGATE
        case .bitwiseNot: SL_MAP_BITWISE_NOT
        case .isNaN: SL_MAP_IS_NAN
        case .isInfinite(let negative, let positive):
            negative && positive
                ? SL_MAP_IS_INFINITE
                : negative ? SL_MAP_IS_NEGATIVE_INFINITE : SL_MAP_IS_POSITIVE_INFINITE
        default: preconditionFailure("\(self) is an activation")
        }
    }
}

extension ScatterReduction {
    fileprivate var code: sl_scatter_kind {
        switch self {
        case .none: SL_SCATTER_REPLACE
        case .add: SL_SCATTER_ADD
        case .multiply: SL_SCATTER_MULTIPLY
        case .minimum: SL_SCATTER_MINIMUM
        case .maximum: SL_SCATTER_MAXIMUM
        }
    }
}
