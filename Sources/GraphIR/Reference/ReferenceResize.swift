/// Resizing, one axis after the other.
extension Evaluation {
    func resize(_ resize: Resize) throws(ShapeError) -> DenseTensor {
        let x = input(0)
        let tables = try resizeAxes(
            resize,
            input: x.shape,
            output: type.shape,
            literals: inputs
        )
        let outside = DenseTensor(
            TensorType(x.type.dtype, [1]),
            repeating: Double(resize.extrapolation)
        )
        guard resize.mode != .nearest else {
            let offsets = boxOffsets(
                positions: tables.map { $0.indices.map { Int($0) } },
                strides: rowMajorStrides(x.shape)
            )
            return DenseTensor(
                type: type,
                storage: x.storage.picking(offsets, elsewhere: outside.storage)
            )
        }
        var values = x.numbers
        var shape = x.shape
        for (axis, table) in tables.enumerated() where !table.isIdentity(of: shape[axis]) {
            values = resized(
                values,
                shape: shape,
                axis: axis,
                table,
                outside: Double(resize.extrapolation)
            )
            shape[axis] = type.shape[axis]
        }
        return DenseTensor(type, rounding: values)
    }

    private func resized(
        _ values: [Double],
        shape: [Int],
        axis: Int,
        _ table: ResizeAxis,
        outside: Double
    ) -> [Double] {
        let inner = shape[(axis + 1)...].reduce(1, *)
        let size = table.indices.count / table.taps
        let planes = shape[..<axis].reduce(1, *)
        var result = [Double](repeating: 0, count: planes * size * inner)
        for plane in 0..<planes {
            for output in 0..<size {
                let target = (plane * size + output) * inner
                for tap in output * table.taps..<(output + 1) * table.taps {
                    let index = Int(table.indices[tap])
                    let weight = Double(table.weights[tap])
                    let start = (plane * shape[axis] + max(index, 0)) * inner
                    for offset in 0..<inner {
                        let value = index < 0 ? outside : values[start + offset]
                        result[target + offset] += weight * value
                    }
                }
            }
        }
        return result
    }
}
