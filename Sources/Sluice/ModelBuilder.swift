import GraphIR
import ModelImport

/// Makes a model operator by operator, where `Model.init(path:)` would read one from a file.
///
/// Operators, the order of their inputs and their attributes are those of ONNX. What comes out is
/// a model like any other: the same checks, the same compiler, the same budgets.
///
///     var network = ModelBuilder(name: "perceptron")
///     let x = network.input("x", shape: ["batch", 784])
///     let w = network.constant(weights, name: "w")
///     let b = network.constant(bias, name: "b")
///     let hidden = network.add("Gemm", x, w, b)
///     network.output(network.add("Relu", hidden), name: "y")
///     let model = try network.build()
///
/// Mistakes (an operator that does not exist, a value of another builder, an attribute of the wrong
/// kind) come out as the errors of `build`, those of shapes as errors of planning.
public struct ModelBuilder: Sendable {
    /// An input, a constant or a result inside a model that is being made.
    public struct Value: Hashable, Sendable {
        /// Its name in the model.
        public let name: String
    }

    /// The size of an axis of an input.
    public enum Size: Hashable, Sendable, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
        /// Known when the model is made.
        case fixed(Int)
        /// Given when it is planned; sizes of one name are the same.
        case named(String)

        /// A known size.
        public init(integerLiteral value: Int) { self = .fixed(value) }
        /// A size that planning decides.
        public init(stringLiteral value: String) { self = .named(value) }
    }

    /// The value of an attribute of an operator.
    public enum Attribute: Sendable {
        case int(Int)
        case float(Float)
        case string(String)
        case ints([Int])
        case floats([Float])
        case strings([String])
        case tensor(Tensor)
    }

    private var draft: ModelDraft
    private var names: Set<String> = []

    /// The newest operator set that models can be made in.
    public static let newestOperatorSet = newestDraftOpset

    /// An empty model, its operators in the forms of an operator set.
    ///
    /// - Parameters:
    ///   - name: What messages call the model.
    ///   - operatorSet: The version of ONNX's operators, from 7.
    public init(name: String = "model", operatorSet: Int = newestOperatorSet) {
        draft = ModelDraft(name: name, opset: operatorSet)
    }

    /// Adds an input that every run gives.
    public mutating func input(
        _ name: String,
        _ elementType: ElementType = .float32,
        shape: [Size]
    ) -> Value {
        let dimensions = shape.map { size -> Dimension in
            switch size {
            case .fixed(let size): .fixed(size)
            case .named(let name): .symbol(name)
            }
        }
        draft.inputs.append((name, elementType.dtype, dimensions))
        names.insert(name)
        return Value(name: name)
    }

    /// Adds a constant: a weight, or what shapes an operator.
    public mutating func constant(_ tensor: Tensor, name: String? = nil) -> Value {
        let name = name ?? freshName("constant")
        names.insert(name)
        draft.weights.append(
            ModelDraft.Weight(
                name: name,
                type: TensorType(tensor.elementType.dtype, tensor.shape),
                bytes: tensor.bytes
            )
        )
        return Value(name: name)
    }

    /// Adds a constant of whole numbers, as operators take sizes, axes and indices.
    public mutating func constant(_ integers: [Int], name: String? = nil) -> Value {
        let elements = integers.map(Int64.init)
        return constant(Tensor(shape: [elements.count], elements), name: name)
    }

    /// Adds an operator with one result.
    ///
    /// - Parameters:
    ///   - operatorName: Its name in ONNX, such as "Conv".
    ///   - inputs: Its inputs in ONNX's order; nil where an optional one is absent.
    ///   - attributes: Those that differ from their defaults.
    ///   - name: What plans and messages call it; its result has the same name.
    /// - Returns: Its result.
    public mutating func add(
        _ operatorName: String,
        _ inputs: Value?...,
        attributes: [String: Attribute] = [:],
        name: String? = nil
    ) -> Value {
        append(operatorName, inputs, attributes, outputCount: 1, name: name)[0]
    }

    /// Adds an operator with several results, or with inputs that stand in an array.
    public mutating func add(
        _ operatorName: String,
        inputs: [Value?],
        attributes: [String: Attribute] = [:],
        outputCount: Int,
        name: String? = nil
    ) -> [Value] {
        append(operatorName, inputs, attributes, outputCount: outputCount, name: name)
    }

    private mutating func append(
        _ operatorName: String,
        _ inputs: [Value?],
        _ attributes: [String: Attribute],
        outputCount: Int,
        name: String?
    ) -> [Value] {
        let label = name ?? freshName(operatorName)
        names.insert(label)
        let outputs = (0..<outputCount).map { index -> Value in
            let output = index == 0 ? label : freshName("\(label).\(index)")
            names.insert(output)
            return Value(name: output)
        }
        draft.nodes.append(
            ModelDraft.Node(
                type: operatorName,
                domain: "",
                name: label,
                inputs: inputs.map { $0?.name ?? "" },
                outputs: outputs.map(\.name),
                attributes: attributes.mapValues(\.drafted)
            )
        )
        return outputs
    }

    /// Makes a value an output of the model, under its own name or another.
    public mutating func output(_ value: Value, name: String? = nil) {
        if let name, name != value.name {
            draft.nodes.append(
                ModelDraft.Node(
                    type: "Identity",
                    domain: "",
                    name: name,
                    inputs: [value.name],
                    outputs: [name],
                    attributes: [:]
                )
            )
            names.insert(name)
        }
        draft.outputs.append(name ?? value.name)
    }

    /// The model as it stands; the builder can go on.
    ///
    /// Constants are copied once, into the model.
    ///
    /// - Throws: `SluiceError` that names what is wrong: an unknown operator, a wrong number of
    ///   inputs, an attribute that the operator does not have, a name used twice.
    public func build() throws(SluiceError) -> Model {
        do throws(ImportError) {
            return Model(imported: try draft.imported(), path: draft.name)
        } catch {
            throw SluiceError(error)
        }
    }

    private func freshName(_ name: String) -> String {
        var candidate = name
        var number = 1
        while names.contains(candidate) {
            number += 1
            candidate = "\(name).\(number)"
        }
        return candidate
    }
}

extension ModelBuilder.Attribute {
    fileprivate var drafted: ModelDraft.Attribute {
        switch self {
        case .int(let value): .int(value)
        case .float(let value): .float(value)
        case .string(let value): .string(value)
        case .ints(let values): .ints(values)
        case .floats(let values): .floats(values)
        case .strings(let values): .strings(values)
        case .tensor(let tensor):
            .tensor(TensorType(tensor.elementType.dtype, tensor.shape), tensor.bytes)
        }
    }
}

extension ModelBuilder.Attribute: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringLiteral
{
    /// A whole number.
    public init(integerLiteral value: Int) { self = .int(value) }
    /// A number of float32.
    public init(floatLiteral value: Float) { self = .float(value) }
    /// A word, such as a mode.
    public init(stringLiteral value: String) { self = .string(value) }
}

extension ModelBuilder.Attribute: ExpressibleByArrayLiteral {
    /// A list of whole numbers.
    public init(arrayLiteral elements: Int...) { self = .ints(elements) }
}
