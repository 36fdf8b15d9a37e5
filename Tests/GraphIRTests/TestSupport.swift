import GraphIR

func floats(_ shape: [Int], _ elements: [Float]) -> DenseTensor {
    DenseTensor(shape: shape, floats: elements)
}

/// Elements that count from zero in row-major order.
func counting(_ shape: [Int]) -> DenseTensor {
    floats(shape, (0..<shape.reduce(1, *)).map { Float($0) })
}

func integers(_ elements: [Int64]) -> DenseTensor {
    DenseTensor(shape: [elements.count], integers: elements)
}

/// The first result of an operator.
func evaluate(_ op: Operator, _ inputs: DenseTensor?...) throws -> DenseTensor {
    try evaluateReference(op, inputs: inputs)[0]
}

/// The shape of the first result, and all inputs known.
func shape(_ op: Operator, _ inputs: DenseTensor?...) throws -> [Int] {
    try inferTypes(of: op, inputs: inputs.map { $0?.type }, literals: inputs, outputCount: 1)[0]
        .shape
}
