import GraphCompiler
import GraphIR
import KernelLibrary
import ModelImport

/// A model: its graph is known, its weights are still in the file.
public struct Model: Sendable {
    package let imported: ImportedModel
    /// Path of the file; of a model that a program made, its name.
    public let path: String
    let openSessions = OpenSessions()

    /// Opens an ONNX model.
    ///
    /// Reads the structure only; weights stay in the file.
    ///
    /// - Throws: `SluiceError` when the file is missing, broken, or uses what Sluice cannot run.
    public init(path: String) throws(SluiceError) {
        do throws(ImportError) {
            imported = try importONNX(path: path)
        } catch {
            throw SluiceError(error)
        }
        self.path = path
    }

    init(imported: ImportedModel, path: String) {
        self.imported = imported
        self.path = path
    }

    /// An input or output as the file declares it.
    public struct Port: Sendable {
        /// Its name.
        public let name: String
        /// The type of its elements; nil for outputs, which are known once shapes are bound.
        public let elementType: ElementType?
        /// Sizes, names of open dimensions, or "?"; nil when even the rank is open.
        public let dimensions: [String]?
    }

    /// The inputs a caller gives, in the model's order.
    public var inputs: [Port] {
        imported.graph.inputs.map { input in
            Port(
                name: imported.graph[input.value].name,
                elementType: ElementType(input.dtype),
                dimensions: input.dimensions?.map(\.description)
            )
        }
    }

    /// What the file says about itself, by key: labels, dictionaries, authors.
    public var metadata: [String: String] { imported.metadata }

    /// Names of the outputs, in the model's order.
    public var outputNames: [String] {
        imported.graph.outputs.map { imported.graph[$0].name }
    }

    /// Gives every input its shape: from `shapes`, else from the file, with dimensions of one name
    /// agreeing everywhere.
    package func inputTypes(shapes: [String: [Int]]) throws(SluiceError) -> [TensorType] {
        var sizes: [String: Int] = [:]
        let graph = imported.graph
        let known = Set(graph.inputs.map { graph[$0.value].name })
        for name in shapes.keys.sorted() where !known.contains(name) {
            throw SluiceError(
                .usage,
                "the model has no input '\(name)'; it has: \(known.sorted().joined(separator: ", "))"
            )
        }
        for input in graph.inputs {
            let name = graph[input.value].name
            guard let shape = shapes[name], let dimensions = input.dimensions else { continue }
            guard shape.count == dimensions.count else {
                throw SluiceError(
                    .badData,
                    "input '\(name)' has \(dimensions.count) dimensions (\(shapeText(dimensions))), "
                        + "not \(shape.count)"
                )
            }
            for (size, dimension) in zip(shape, dimensions) {
                if case .fixed(let declared) = dimension, declared != size {
                    throw SluiceError(
                        .badData,
                        "input '\(name)' is \(shapeText(dimensions)), which does not admit "
                            + shape.map(String.init).joined(separator: "x")
                    )
                }
                if case .symbol(let symbol) = dimension {
                    if let other = sizes[symbol], other != size {
                        throw SluiceError(
                            .badData,
                            "dimension '\(symbol)' is \(other) in one input and \(size) in '\(name)'"
                        )
                    }
                    sizes[symbol] = size
                }
            }
        }
        var types: [TensorType] = []
        for input in graph.inputs {
            let name = graph[input.value].name
            types.append(
                TensorType(
                    input.dtype,
                    try bind(name, input.dimensions, given: shapes[name], sizes: sizes)
                )
            )
        }
        return types
    }

    private func bind(
        _ name: String,
        _ dimensions: [Dimension]?,
        given: [Int]?,
        sizes: [String: Int]
    ) throws(SluiceError) -> [Int] {
        if let given { return given }
        var shape: [Int] = []
        for dimension in dimensions ?? [.unknown] {
            switch dimension {
            case .fixed(let size):
                shape.append(size)
                continue
            case .symbol(let symbol):
                if let size = sizes[symbol] {
                    shape.append(size)
                    continue
                }
            case .unknown:
                break
            }
            throw SluiceError(
                .usage,
                "input '\(name)' has open dimensions (\(shapeText(dimensions))): "
                    + "give its shape, for example \(shapeOption(name, dimensions))"
            )
        }
        return shape
    }

    /// The graph with all shapes known and constants folded, and the numbers of the inputs whose
    /// values decided a shape.
    package func boundGraph(
        shapes: [String: [Int]],
        values: [String: Tensor] = [:]
    ) throws(SluiceError) -> (graph: Graph, fixedInputs: [Int]) {
        let types = try inputTypes(shapes: shapes)
        for type in types where type.shape.contains(where: { $0 < 0 }) {
            throw SluiceError(.usage, "a shape cannot have negative sizes")
        }
        do throws(CompileError) {
            let known = zip(imported.graph.inputs, types).map { input, type -> DenseTensor? in
                guard let value = values[imported.graph[input.value].name]?.dense,
                    value.type == type
                else { return nil }
                return value
            }
            return try bindShapes(of: imported.graph, inputTypes: types, inputValues: known)
        } catch {
            throw SluiceError(error)
        }
    }
}
