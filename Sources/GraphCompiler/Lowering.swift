import GraphIR

/// Turns a bound graph into kernel calls, one or a few per node, everything row-major except what
/// convolutions and pools need; fusion and layout are later passes.
package func lower(
    _ graph: Graph,
    catalog: some KernelCatalog
) throws(CompileError) -> FusedGraph {
    var lowering = Lowering(graph: graph, catalog: catalog)
    try lowering.run()
    return lowering.result
}

/// The state of one lowering: the fused graph so far and where each value of the source went.
struct Lowering {
    let graph: Graph
    let catalog: any KernelCatalog
    var result: FusedGraph
    /// Fused value of each source value.
    private var fused: [ValueID?]
    var problems: [String] = []
    /// What was put together so far.
    var joined: [JoinedValues: ValueID] = [:]

    /// Values one after the other along an axis.
    struct JoinedValues: Hashable {
        var axis: Int
        var parts: [ValueID]
    }

    init(graph: Graph, catalog: any KernelCatalog) {
        self.graph = graph
        self.catalog = catalog
        result = FusedGraph(name: graph.name, remarks: graph.remarks)
        fused = Array(repeating: nil, count: graph.values.count)
    }

    mutating func run() throws(CompileError) {
        for input in graph.inputs {
            guard let type = graph[input.value].type else {
                throw .invalid("input '\(graph[input.value].name)' has no shape")
            }
            let id = result.addValue(FusedValue(name: graph[input.value].name, type: type))
            result.inputs.append(id)
            fused[input.value.index] = asComputed(id, name: graph[input.value].name)
        }
        for node in graph.nodes {
            do throws(LoweringProblem) {
                try lower(node)
            } catch {
                problems.append("\(node.op.name) node '\(node.name)': \(error.reason)")
                for case let output? in node.outputs where fused[output.index] == nil {
                    define(output, as: addResult(of: output))
                }
            }
        }
        guard problems.isEmpty else { throw .unsupported(problems) }
        for output in graph.outputs {
            result.outputs.append(asDeclared(output))
        }
        addExtents()
    }

    /// What decides the size of an axis of an output becomes an output of its own.
    private mutating func addExtents() {
        for (number, output) in graph.outputs.enumerated() {
            for (axis, count) in graph[output].extents.sorted(by: { $0.key < $1.key }) {
                let place = result.outputs.count
                result.extents.append(OutputExtent(output: number, axis: axis, count: place))
                result.outputs.append(asDeclared(count))
            }
        }
    }

    // MARK: Values

    func type(_ id: ValueID) -> TensorType {
        guard let type = graph[id].type else { preconditionFailure("unbound value") }
        return type
    }

    /// The type in which a value is computed: all floating point as float32.
    func computedType(_ id: ValueID) -> TensorType {
        var type = type(id)
        if type.dtype.isFloatingPoint { type.dtype = .float32 }
        return type
    }

    func constant(_ id: ValueID?) -> Constant? { id.flatMap { graph[$0].constant } }

    /// The fused value of an operand; constants become operands on first use.
    mutating func operand(_ id: ValueID) -> ValueID {
        if let known = fused[id.index] { return known }
        guard let constant = graph[id].constant else { preconditionFailure("value before node") }
        let new = result.addValue(
            FusedValue(name: graph[id].name, type: computedType(id), constant: constant)
        )
        fused[id.index] = new
        return new
    }

    mutating func required(_ node: Node, _ index: Int) throws(LoweringProblem) -> ValueID {
        guard index < node.inputs.count, let id = node.inputs[index] else {
            throw LoweringProblem(reason: "input \(index) is missing")
        }
        return operand(id)
    }

    mutating func addResult(of id: ValueID) -> ValueID {
        result.addValue(FusedValue(name: graph[id].name, type: computedType(id)))
    }

    mutating func addTemporary(_ name: String, _ type: TensorType) -> ValueID {
        result.addValue(FusedValue(name: name, type: type))
    }

    mutating func addConstant(_ name: String, _ constant: Constant) -> ValueID {
        result.addValue(FusedValue(name: name, type: constant.type, constant: constant))
    }

    mutating func define(_ id: ValueID, as value: ValueID) { fused[id.index] = value }

    /// Appends a node that computes the first result of `node`.
    mutating func emit(
        _ node: Node,
        _ kernel: Kernel,
        inputs: [ValueID],
        activation: Activation = .none
    ) {
        guard let target = node.outputs[0] else { return }
        let output = addResult(of: target)
        result.nodes.append(
            FusedNode(
                name: node.name,
                kernel: kernel,
                inputs: inputs,
                output: output,
                activation: activation
            )
        )
        define(target, as: output)
    }

    /// A node with a result of its own that is not a value of the source graph.
    mutating func emitTemporary(
        _ name: String,
        _ kernel: Kernel,
        inputs: [ValueID],
        type: TensorType
    ) -> ValueID {
        let output = addTemporary(name, type)
        result.nodes.append(
            FusedNode(name: name, kernel: kernel, inputs: inputs, output: output)
        )
        return output
    }

    /// The same bytes under another shape.
    mutating func view(_ id: ValueID, name: String, shape: [Int]) -> ValueID {
        if result[id].type.shape == shape { return id }
        let type = TensorType(result[id].type.dtype, shape)
        return emitTemporary(
            name,
            .copy(CopyKernel(boxes: [.whole(type.elementCount)])),
            inputs: [id],
            type: type
        )
    }

    /// Inputs of other floating-point types are converted once.
    private mutating func asComputed(_ id: ValueID, name: String) -> ValueID {
        let type = result[id].type
        guard type.dtype.isFloatingPoint, type.dtype != .float32 else { return id }
        return emitTemporary(
            name + ".float32",
            .cast,
            inputs: [id],
            type: TensorType(.float32, type.shape)
        )
    }

    /// Outputs are delivered in the type the model declares, and never share a value with an
    /// input, a constant or another output.
    private mutating func asDeclared(_ id: ValueID) -> ValueID {
        let declared = type(id)
        let value = operand(id)
        if result[value].type.dtype != declared.dtype {
            return emitTemporary(graph[id].name, .cast, inputs: [value], type: declared)
        }
        let isTaken =
            result.inputs.contains(value) || result[value].constant != nil
            || result.outputs.contains(value)
        guard isTaken else { return value }
        return emitTemporary(
            graph[id].name,
            .copy(CopyKernel(boxes: [.whole(declared.elementCount)])),
            inputs: [value],
            type: declared
        )
    }
}

/// Why one node cannot be lowered.
struct LoweringProblem: Error {
    var reason: String
}

/// What shape arithmetic gives; what it finds wrong is a problem of lowering.
func resolved<Value>(
    _ arithmetic: () throws(ShapeError) -> Value
) throws(LoweringProblem) -> Value {
    do throws(ShapeError) {
        return try arithmetic()
    } catch {
        throw LoweringProblem(reason: error.message)
    }
}

extension StridedBox {
    /// All elements of input 0, in order.
    static func whole(_ count: Int) -> StridedBox {
        StridedBox(
            input: 0,
            dimensions: [count],
            inputOffset: 0,
            inputStrides: [1],
            outputOffset: 0,
            outputStrides: [1]
        )
    }
}
