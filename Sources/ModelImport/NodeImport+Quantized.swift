import GraphIR

/// Operators on quantised numbers.
extension NodeForm {
    mutating func quantizedOperator() throws(ImportError) -> Operator? {
        guard let composite = try quantizedComposite() else { return nil }
        return .composite(composite)
    }

    private mutating func quantizedComposite() throws(ImportError) -> Composite? {
        switch node.type {
        case "QuantizeLinear":
            try takes(2...3)
            ignore("saturate", "precision")
            return .quantize(
                axis: try axis(default: 1),
                blockSize: try int("block_size", default: 0, in: sizesFromZero),
                to: try int("output_dtype") == 0 ? nil : try elementType("output_dtype")
            )
        case "DequantizeLinear":
            try takes(2...3)
            ignore("output_dtype")
            return .dequantize(
                axis: try axis(default: 1),
                blockSize: try int("block_size", default: 0, in: sizesFromZero)
            )
        case "DynamicQuantizeLinear":
            try takes(1...1)
            return .dynamicQuantize
        case "MatMulInteger":
            try takes(2...4)
            return .matmulInteger
        case "QLinearMatMul":
            try takes(8...8)
            return .quantizedMatmul
        case "ConvInteger":
            try takes(2...4)
            return .convolutionInteger(try convolution(isTransposed: false))
        case "QLinearConv":
            try takes(8...9)
            return .quantizedConvolution(try convolution(isTransposed: false))
        default: return nil
        }
    }
}
