/// Names a value (an edge) of one graph.
package struct ValueID: Hashable, Sendable, Comparable {
    package let index: Int

    package init(_ index: Int) { self.index = index }

    package static func < (left: ValueID, right: ValueID) -> Bool { left.index < right.index }
}

extension ValueID: CustomStringConvertible {
    package var description: String { "%\(index)" }
}

/// For each axis whose size a run decides, the value that holds it: a scalar of int64.
///
/// What stands beyond it along the axis is of no meaning, but the same in every run.
package typealias Extents = [Int: ValueID]

/// A value of the graph: something a node produces, a graph input, or a constant.
package struct Value: Sendable {
    package let id: ValueID
    /// The name in the model file; unique in the graph.
    package var name: String
    /// Known once shapes are bound; constants know theirs from the start.
    package var type: TensorType?
    /// Set for values whose bytes are known without running the graph.
    package var constant: Constant?
    /// Axes of which the type states a bound: the run decides how much of them is real.
    package var extents = Extents()

    package init(id: ValueID, name: String, type: TensorType? = nil, constant: Constant? = nil) {
        self.id = id
        self.name = name
        self.type = type ?? constant?.type
        self.constant = constant
    }
}

/// An input of the model, with what the file declares of its type.
package struct GraphInput: Sendable {
    package var value: ValueID
    package var dtype: DType
    /// Nil when the file does not even state the rank.
    package var dimensions: [Dimension]?

    package init(value: ValueID, dtype: DType, dimensions: [Dimension]?) {
        self.value = value
        self.dtype = dtype
        self.dimensions = dimensions
    }
}

/// One operation of the model.
///
/// Absent optional inputs and outputs are nil.
package struct Node: Sendable {
    package var name: String
    package var op: Operator
    package var inputs: [ValueID?]
    package var outputs: [ValueID?]

    package init(name: String, op: Operator, inputs: [ValueID?], outputs: [ValueID?]) {
        self.name = name
        self.op = op
        self.inputs = inputs
        self.outputs = outputs
    }
}

/// A graph inside of the graph, which a node runs as often as it says.
///
/// Its values are values of the graph around it, of which its nodes may read any that are known by
/// then.
package struct Body: Sendable {
    package var inputs: [ValueID] = []
    package var nodes: [Node] = []
    package var outputs: [ValueID] = []

    package init() {}
}

/// A model as a data-flow graph.
///
/// Nodes stand in an order in which every producer precedes its readers; each value is produced at
/// most once.
package struct Graph: Sendable {
    package var name: String
    package var values: [Value]
    package var nodes: [Node]
    package var inputs: [GraphInput]
    package var outputs: [ValueID]
    /// What nodes with control flow run, by number; empty once shapes are bound.
    package var bodies: [Body] = []
    /// What was bound in a way that is slow; warnings of the plan.
    package var remarks: [String] = []

    package init(name: String) {
        self.name = name
        self.values = []
        self.nodes = []
        self.inputs = []
        self.outputs = []
    }

    package subscript(id: ValueID) -> Value {
        get { values[id.index] }
        set { values[id.index] = newValue }
    }

    /// Adds a value and returns its name.
    @discardableResult
    package mutating func addValue(
        name: String,
        type: TensorType? = nil,
        constant: Constant? = nil
    ) -> ValueID {
        let id = ValueID(values.count)
        values.append(Value(id: id, name: name, type: type, constant: constant))
        return id
    }
}
