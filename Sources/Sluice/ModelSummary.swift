import GraphCompiler
import GraphIR

/// What is in a model file, and what a run of it would take.
public struct ModelSummary: Sendable {
    /// An input or output.
    public typealias Port = Model.Port

    /// What depends on the shapes of the inputs.
    public struct Cost: Sendable {
        /// Of convolutions and matrix products, two for each multiply-add.
        public var floatingPointOperations: Int
        /// Device bytes with all weights resident.
        public var residentDeviceBytes: Int
        /// The smallest device budget that works.
        public var minimumDeviceBytes: Int
        /// The step that sets the minimum.
        public var minimumStep: String
        /// Threads the bytes are for.
        public var threads: Int
    }

    /// Version of the file format.
    public var irVersion: Int
    /// The program that wrote the file.
    public var producer: String
    /// Version of each operator set, by domain.
    public var operatorSets: [String: Int]
    /// The inputs a caller gives.
    public var inputs: [Port]
    /// The outputs.
    public var outputs: [Port]
    /// How many nodes there are of each operator.
    public var operators: [String: Int]
    /// Elements of floating-point weights.
    public var parameterCount: Int
    /// Bytes of all weights as the file has them, by element type.
    public var weightBytes: [String: Int]
    /// What a run takes; nil when it cannot be planned.
    public var cost: Cost?
    /// Why `cost` is not known, and what would help.
    public var missing: String?

    /// Looks into a model, and plans it when the shapes of its inputs are known.
    ///
    /// - Throws: `SluiceError` when `options` are wrong by themselves, such as a shape for an
    ///   input that the model does not have.
    public init(of model: Model, options: RunOptions = RunOptions()) throws(SluiceError) {
        let imported = model.imported
        let graph = imported.graph
        irVersion = Int(imported.irVersion)
        producer = imported.producer
        operatorSets = Dictionary(
            uniqueKeysWithValues: imported.opsets.map {
                ($0.key.isEmpty ? "ai.onnx" : $0.key, Int($0.value))
            }
        )
        inputs = model.inputs
        outputs = model.outputNames.map { Port(name: $0, elementType: nil, dimensions: nil) }
        operators = graph.nodes.reduce(into: [:]) { $0[$1.op.name, default: 0] += 1 }
        let types = graph.values.compactMap(\.constant).map(\.type)
        parameterCount = types.filter(\.dtype.isFloatingPoint).reduce(0) { $0 + $1.elementCount }
        weightBytes = types.reduce(into: [:]) {
            $0[ElementType($1.dtype).rawValue, default: 0] += $1.byteCount
        }
        if let open = model.openInput(shapes: options.shapes) {
            missing = open
            return
        }
        do throws(SluiceError) {
            let plan = try Plan(model: model, options: options)
            cost = Cost(
                floatingPointOperations: plan.bound.nodes.reduce(0) {
                    $0 + plan.bound.floatingPointOperations(of: $1)
                },
                residentDeviceBytes: plan.residentDeviceBytes,
                minimumDeviceBytes: plan.minimumDeviceBytes,
                minimumStep: plan.minimumStep,
                threads: plan.threads
            )
            inputs = plan.inputTypes.map {
                Port(
                    name: $0.name,
                    elementType: $0.elementType,
                    dimensions: $0.shape.map(String.init)
                )
            }
            outputs = zip(plan.outputNames, plan.outputTypes).map {
                Port(name: $0, elementType: $1.elementType, dimensions: $1.shape.map(String.init))
            }
        } catch  where error.kind == .impossible {
            missing = error.message
        }
    }
}

extension Model {
    /// Which shapes are needed beside `shapes`, as the options that would give them; nil when all
    /// are known.
    fileprivate func openInput(shapes: [String: [Int]]) -> String? {
        let ports = imported.graph.inputs.map { input in
            (name: imported.graph[input.value].name, dimensions: input.dimensions)
        }
        var known: Set<Dimension> = []
        for port in ports where shapes[port.name] != nil { known.formUnion(port.dimensions ?? []) }
        let open = ports.filter { port in
            guard shapes[port.name] == nil else { return false }
            return (port.dimensions ?? [.unknown]).contains { dimension in
                switch dimension {
                case .fixed: false
                case .symbol: !known.contains(dimension)
                case .unknown: true
                }
            }
        }
        guard !open.isEmpty else { return nil }
        let names = open.map { "'\($0.name)' (\(shapeText($0.dimensions)))" }
        let options = open.map { shapeOption($0.name, $0.dimensions) }
        return "open dimensions of \(names.joined(separator: ", ")); give them, for example "
            + options.joined(separator: " ")
    }
}

/// Dimensions as messages show them.
func shapeText(_ dimensions: [Dimension]?) -> String {
    dimensions?.map(\.description).joined(separator: "x") ?? "any rank"
}

/// The option that gives an input these dimensions, with 1 for open ones.
func shapeOption(_ name: String, _ dimensions: [Dimension]?) -> String {
    let sizes = (dimensions ?? [.unknown]).map { dimension -> String in
        if case .fixed(let size) = dimension { "\(size)" } else { "1" }
    }
    return "--shape \(name)=\(sizes.joined(separator: "x"))"
}
