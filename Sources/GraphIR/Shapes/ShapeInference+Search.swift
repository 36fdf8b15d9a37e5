/// Shapes of the operators that look for places or write to them.

func inferArgument(_ operands: Operands, _ search: ArgumentSearch) throws(ShapeError) -> TensorType
{
    let x = try operands.type(0, "x")
    let axis = try resolveAxis(search.axis, rank: x.shape.count)
    guard
        x.shape[axis] > 0
            || x.elementCount == 0
                && !x.shape.enumerated().allSatisfy({
                    $0.offset == axis || $0.element > 0
                })
    else {
        throw ShapeError("an axis without elements has no largest one")
    }
    var shape = x.shape
    if search.keepsDimension { shape[axis] = 1 } else { shape.remove(at: axis) }
    return TensorType(.int64, shape)
}

func inferScan(_ operands: Operands) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    guard x.dtype != .bool else { throw ShapeError("arithmetic on bool is not defined") }
    guard let axis = try operands.integers(1, "axis"), axis.count == 1 else {
        throw ShapeError("input 1 (axis) must be one axis")
    }
    _ = try resolveAxis(axis[0], rank: x.shape.count)
    return x
}

func inferScatterRows(_ operands: Operands) throws(ShapeError) -> TensorType {
    let table = try operands.type(0, "table")
    let rows = try operands.type(1, "rows")
    let updates = try operands.type(2, "updates")
    try operands.checkSameType(2, "updates", as: table)
    guard table.shape.count == 2, rows.shape.count == 1, rows.dtype == .int64,
        updates.shape == [rows.shape[0], table.shape[1]]
    else {
        throw ShapeError("updates \(updates) at \(rows) do not fit a table \(table)")
    }
    return table
}

func inferTopPlaces(_ operands: Operands, axis: Int) throws(ShapeError) -> TensorType {
    let x = try operands.type(0, "x")
    let axis = try resolveAxis(axis, rank: x.shape.count)
    guard let count = try operands.integers(1, "k"), count.count == 1,
        0...x.shape[axis] ~= count[0]
    else {
        throw ShapeError("input 1 (k) must be 0 to \(x.shape[axis])")
    }
    var shape = x.shape
    shape[axis] = count[0]
    return TensorType(.int64, shape)
}

func inferSuppression(_ operands: Operands, limit: Int) throws(ShapeError) -> TensorType {
    let boxes = try operands.type(0, "boxes")
    let scores = try operands.type(1, "scores")
    guard boxes.shape.count == 3, boxes.shape[2] == 4, scores.shape.count == 3,
        scores.shape[0] == boxes.shape[0], scores.shape[2] == boxes.shape[1]
    else {
        throw ShapeError(
            "boxes \(boxes) and scores \(scores) must be [batch x boxes x 4] and "
                + "[batch x classes x boxes]"
        )
    }
    for (index, name) in ["boxes", "scores", "iou_threshold", "score_threshold"].enumerated() {
        guard let type = operands.optionalType(index) else { continue }
        guard type.dtype == .float32, index < 2 || type.elementCount == 1 else {
            throw ShapeError("input \(index) (\(name)) cannot be \(type)")
        }
    }
    return TensorType(.int64, [scores.shape[0], scores.shape[1], limit])
}
