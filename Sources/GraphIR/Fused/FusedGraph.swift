/// How the elements of a value stand in memory.
package enum Layout: Hashable, Sendable {
    case rowMajor
    /// CNHWc: channels in blocks of the vector width, the channels of a block innermost, its number
    /// outermost, so that tensors joined along channels lie one after the other.
    case blocked
    /// Panels that `packMatrices` wrote; `byteCount` is what the catalogue said.
    case packed(byteCount: Int)
}

/// A value of the fused graph.
package struct FusedValue: Sendable {
    package var name: String
    package var type: TensorType
    package var layout: Layout
    /// Constants that a kernel reads as an operand (weights live in the kernels).
    package var constant: Constant?

    package init(
        name: String,
        type: TensorType,
        layout: Layout = .rowMajor,
        constant: Constant? = nil
    ) {
        self.name = name
        self.type = type
        self.layout = layout
        self.constant = constant
    }

    /// Bytes the value takes, padding of channel blocks included.
    package func byteCount(lanes: Int) -> Int {
        switch layout {
        case .rowMajor:
            return type.byteCount
        case .blocked:
            let channels = (type.shape[1] + lanes - 1) / lanes * lanes
            let spatial = type.shape[2...].reduce(1, *)
            return type.shape[0] * channels * spatial * type.dtype.byteCount
        case .packed(let byteCount):
            return byteCount
        }
    }
}

/// One kernel call with its epilogue.
package struct FusedNode: Sendable {
    package var name: String
    package var kernel: Kernel
    package var inputs: [ValueID]
    package var output: ValueID
    package var activation: Activation

    package init(
        name: String,
        kernel: Kernel,
        inputs: [ValueID],
        output: ValueID,
        activation: Activation = .none
    ) {
        self.name = name
        self.kernel = kernel
        self.inputs = inputs
        self.output = output
        self.activation = activation
    }
}

/// An output of which a run decides how much is real along one axis.
package struct OutputExtent: Hashable, Sendable {
    /// Numbers of outputs: the one that is cut, and the scalar that says to how much.
    package var output: Int
    package var axis: Int
    package var count: Int

    package init(output: Int, axis: Int, count: Int) {
        self.output = output
        self.axis = axis
        self.count = count
    }
}

/// The graph after fusion and layout choice: every node is one kernel call.
package struct FusedGraph: Sendable {
    package var name: String
    package var values: [FusedValue]
    package var nodes: [FusedNode]
    package var inputs: [ValueID]
    /// The outputs of the model, then the counts of `extents`, one for each in their order.
    package var outputs: [ValueID]
    package var extents: [OutputExtent]
    /// The remarks of the graph it was lowered from.
    package var remarks: [String]

    package init(name: String, remarks: [String] = []) {
        self.name = name
        self.remarks = remarks
        values = []
        nodes = []
        inputs = []
        outputs = []
        extents = []
    }

    package subscript(id: ValueID) -> FusedValue {
        get { values[id.index] }
        set { values[id.index] = newValue }
    }

    package mutating func addValue(_ value: FusedValue) -> ValueID {
        values.append(value)
        return ValueID(values.count - 1)
    }
}
