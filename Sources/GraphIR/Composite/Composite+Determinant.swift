extension Expansion {
    /// Gaussian elimination, the largest element of each column first, written out step by step.
    mutating func defineDeterminant() throws(ShapeError) {
        let x = try input(0, "x")
        let sizes = shape(x)
        guard sizes.count >= 2, sizes[sizes.count - 1] == sizes[sizes.count - 2],
            let size = sizes.last, size <= 64, dtype(x).isFloatingPoint
        else { throw ShapeError("\(type(x)) are no square matrices of at most 64 rows") }
        let outer = Array(sizes.dropLast(2))
        let count = outer.reduce(1, *)
        var matrix = try reshape(x, [count, size, size])
        var result = try add(.expand, [scalar(1, like: x), integers([count])])
        for rows in stride(from: size, to: 0, by: -1) {
            let column = try pick(matrix, axis: 2, 0)
            let search = ArgumentSearch(axis: 1, keepsDimension: false)
            let place = try add(.argument(search), [unary(.absolute, column)])
            let starts = integers((0..<count).map { $0 * rows })
            let pivotRow = try gather(
                reshape(matrix, [count * rows, rows]),
                binary(.add, place, starts),
                axis: 0
            )
            let pivot = try pick(pivotRow, axis: 1, 0)
            let isFirst = try binary(.equal, place, 0)
            let signed = try select(isFirst, pivot, unary(.negate, pivot))
            result = try binary(.multiply, result, signed)
            guard rows > 1 else { break }
            matrix = try eliminated(matrix, pivotRow, place: place, pivot: pivot)
        }
        outputs = [try reshape(result, outer)]
    }

    /// What is left of matrices without the pivot's row and the first column.
    private mutating func eliminated(
        _ matrix: Slot,
        _ pivotRow: Slot,
        place: Slot,
        pivot: Slot
    ) throws(ShapeError) -> Slot {
        let (count, rows) = (shape(matrix)[0], shape(matrix)[1])
        // The first row stands in for that of the pivot.
        let isPivot = try binary(
            .equal,
            reshape(place, [count, 1, 1]),
            integers(Array(1..<rows), shape: [1, rows - 1, 1])
        )
        let rest = try select(
            isPivot,
            slice(matrix, axis: 1, 0..<1),
            slice(matrix, axis: 1, 1..<rows)
        )
        // A column of zeros makes the determinant zero, whatever it is divided by.
        let divisor = try select(binary(.equal, pivot, 0), scalar(1, like: pivot), pivot)
        let factor = try binary(
            .divide,
            slice(rest, axis: 2, 0..<1),
            reshape(divisor, [count, 1, 1])
        )
        let row = try reshape(slice(pivotRow, axis: 1, 1..<rows), [count, 1, rows - 1])
        return try binary(
            .subtract,
            slice(rest, axis: 2, 1..<rows),
            binary(.multiply, factor, row)
        )
    }
}
