/// A recurrent layer: what `RNN`, `GRU` and `LSTM` have in common.
package struct Recurrence: Hashable, Sendable {
    package enum Cell: Hashable, Sendable { case simple, gru, lstm }
    package enum Direction: Hashable, Sendable { case forward, reverse, both }

    package var cell: Cell
    package var direction: Direction
    package var hiddenSize: Int
    /// For each direction in turn; empty means the defaults.
    package var activations: [UnaryFunction]
    package var clip: Float?
    package var linearBeforeReset: Bool
    package var inputForget: Bool
    package var batchFirst: Bool

    package init(
        cell: Cell,
        direction: Direction,
        hiddenSize: Int,
        activations: [UnaryFunction],
        clip: Float?,
        linearBeforeReset: Bool,
        inputForget: Bool,
        batchFirst: Bool
    ) {
        self.cell = cell
        self.direction = direction
        self.hiddenSize = hiddenSize
        self.activations = activations
        self.clip = clip
        self.linearBeforeReset = linearBeforeReset
        self.inputForget = inputForget
        self.batchFirst = batchFirst
    }

    var gates: Int {
        switch cell {
        case .simple: 1
        case .gru: 3
        case .lstm: 4
        }
    }

    var standardActivations: [UnaryFunction] {
        switch cell {
        case .simple: [.tanh]
        case .gru: [.sigmoid, .tanh]
        case .lstm: [.sigmoid, .tanh, .tanh]
        }
    }
}

/// Recurrent layers, one copy of the cell for each step of the sequence.
extension Expansion {
    mutating func defineRecurrence(_ recurrence: Recurrence) throws(ShapeError) {
        var x = try input(0, "X")
        guard shape(x).count == 3 else { throw ShapeError("X must be [time, batch, features]") }
        if recurrence.batchFirst { x = try transpose(x, [1, 0, 2]) }
        let directions: [Bool] =
            switch recurrence.direction {
            case .forward: [false]
            case .reverse: [true]
            case .both: [false, true]
            }
        let (time, batch, hidden) = (shape(x)[0], shape(x)[1], recurrence.hiddenSize)
        guard time <= 4096 else {
            throw ShapeError("a sequence of \(time) steps is too long; at most 4096 are possible")
        }
        var sequences: [Slot] = []
        var last: [Slot] = []
        var lastCells: [Slot] = []
        for (number, isReversed) in directions.enumerated() {
            var cell = try Cell(
                &self,
                recurrence,
                number: number,
                batch: batch
            )
            // What the inputs contribute depends on no state: one product for a run of steps, with
            // rows enough to be fast and few enough to need little memory.
            let most = max(1, 256 / max(batch, 1))
            let runs = max(1, (time + most - 1) / most)
            let length = max(1, (time + runs - 1) / runs)
            var run = 0..<0
            var given = x
            var steps = [Slot?](repeating: nil, count: time)
            for index in 0..<time {
                let t = isReversed ? time - 1 - index : index
                if !run.contains(t) {
                    let first = t / length * length
                    run = first..<min(first + length, time)
                    given = try biased(matmul(slice(x, axis: 0, run), cell.weights), cell.inputBias)
                }
                let own = try pick(given, axis: 0, t - run.lowerBound)
                let result = try step(&cell, own, at: t)
                steps[t] = try reshape(result, [1, batch, hidden])
            }
            let all = steps.compactMap { $0 }
            sequences.append(try reshape(concat(all, axis: 0), [time, 1, batch, hidden]))
            last.append(try reshape(cell.hidden, [1, batch, hidden]))
            lastCells.append(try reshape(cell.memory, [1, batch, hidden]))
        }
        var y = try concat(sequences, axis: 1)
        var h = try concat(last, axis: 0)
        var c = try concat(lastCells, axis: 0)
        if recurrence.batchFirst {
            y = try transpose(y, [2, 0, 1, 3])
            h = try transpose(h, [1, 0, 2])
            c = try transpose(c, [1, 0, 2])
        }
        outputs = recurrence.cell == .lstm ? [y, h, c] : [y, h]
    }

    /// The weights of one direction, and the state after the steps so far.
    private struct Cell {
        var layer: Recurrence
        var activations: ArraySlice<UnaryFunction>
        var weights: Slot
        var recurrent: Slot
        var inputBias: Slot?
        var recurrentBias: Slot?
        var peepholes: [Slot] = []
        var lengths: Slot?
        var hidden: Slot
        var memory: Slot

        init(
            _ e: inout Expansion,
            _ layer: Recurrence,
            number: Int,
            batch: Int
        ) throws(ShapeError) {
            self.layer = layer
            let (size, gates) = (layer.hiddenSize, layer.gates)
            let count = layer.standardActivations.count
            let named =
                layer.activations.isEmpty
                ? layer.standardActivations + layer.standardActivations : layer.activations
            guard named.count >= (number + 1) * count else {
                throw ShapeError("\(named.count) activations are too few for this layer")
            }
            activations = named[number * count..<(number + 1) * count]
            let w = try e.input(1, "W")
            let r = try e.input(2, "R")
            guard e.shape(w).count == 3, e.shape(w)[1] == gates * size,
                e.shape(r).count == 3, Array(e.shape(r)[1...]) == [gates * size, size],
                e.shape(w)[0] > number, e.shape(r)[0] > number
            else { throw ShapeError("the weights do not fit \(size) hidden units") }
            weights = try e.transpose(e.pick(w, axis: 0, number), [1, 0])
            recurrent = try e.transpose(e.pick(r, axis: 0, number), [1, 0])
            if let b = e.optional(3) {
                let both = try e.pick(b, axis: 0, number)
                inputBias = try e.slice(both, axis: 0, 0..<gates * size)
                recurrentBias = try e.slice(both, axis: 0, gates * size..<2 * gates * size)
            }
            if let given = e.optional(4) {
                lengths = try e.reshape(e.cast(given, to: .int64), [batch, 1])
            }
            func state(_ index: Int, _ e: inout Expansion) throws(ShapeError) -> Slot {
                guard let given = e.optional(index) else {
                    return try e.expand(e.scalar(0, like: w), to: [batch, size])
                }
                return try e.pick(given, axis: layer.batchFirst ? 1 : 0, number)
            }
            hidden = try state(5, &e)
            memory = layer.cell == .lstm ? try state(6, &e) : hidden
            if layer.cell == .lstm, let p = e.optional(7) {
                let all = try e.pick(p, axis: 0, number)
                for gate in 0..<3 {
                    peepholes.append(try e.slice(all, axis: 0, gate * size..<(gate + 1) * size))
                }
            }
        }
    }

    private mutating func activate(
        _ cell: Cell,
        _ index: Int,
        _ x: Slot
    ) throws(ShapeError) -> Slot {
        var value = x
        if let limit = cell.layer.clip {
            value = try clip(value, -Double(limit), Double(limit))
        }
        return try unary(cell.activations[cell.activations.startIndex + index], value)
    }

    /// The columns of one gate.
    private mutating func gate(
        _ x: Slot,
        _ number: Int,
        _ cell: Cell
    ) throws(ShapeError) -> Slot {
        let size = cell.layer.hiddenSize
        return try slice(x, axis: shape(x).count - 1, number * size..<(number + 1) * size)
    }

    private mutating func biased(_ x: Slot, _ bias: Slot?) throws(ShapeError) -> Slot {
        guard let bias else { return x }
        return try binary(.add, x, bias)
    }

    /// Advances the state by what the input of time `t` contributes; gives that step's output.
    private mutating func step(
        _ cell: inout Cell,
        _ given: Slot,
        at t: Int
    ) throws(ShapeError) -> Slot {
        let new: (hidden: Slot, memory: Slot)
        switch cell.layer.cell {
        case .simple:
            let fed = try biased(matmul(cell.hidden, cell.recurrent), cell.recurrentBias)
            let hidden = try activate(cell, 0, binary(.add, given, fed))
            new = (hidden, hidden)
        case .gru:
            let hidden = try gruStep(cell, given)
            new = (hidden, hidden)
        case .lstm: new = try lstmStep(cell, given)
        }
        guard let lengths = cell.lengths else {
            (cell.hidden, cell.memory) = new
            return new.hidden
        }
        // Past the end of its sequence an entry keeps its state and puts out zeros.
        let isRunning = try binary(.greater, lengths, Double(t))
        cell.hidden = try select(isRunning, new.hidden, cell.hidden)
        cell.memory = try select(isRunning, new.memory, cell.memory)
        return try select(isRunning, new.hidden, scalar(0, like: new.hidden))
    }

    private mutating func gruStep(_ cell: Cell, _ given: Slot) throws(ShapeError) -> Slot {
        let size = cell.layer.hiddenSize
        let fed = try biased(matmul(cell.hidden, cell.recurrent), cell.recurrentBias)
        let update = try activate(
            cell,
            0,
            binary(.add, gate(given, 0, cell), gate(fed, 0, cell))
        )
        let reset = try activate(
            cell,
            0,
            binary(.add, gate(given, 1, cell), gate(fed, 1, cell))
        )
        let candidate: Slot
        if cell.layer.linearBeforeReset {
            candidate = try binary(.multiply, reset, gate(fed, 2, cell))
        } else {
            let weights = try slice(cell.recurrent, axis: 1, 2 * size..<3 * size)
            let kept = try matmul(binary(.multiply, reset, cell.hidden), weights)
            var bias = cell.recurrentBias
            if let all = bias { bias = try slice(all, axis: 0, 2 * size..<3 * size) }
            candidate = try biased(kept, bias)
        }
        let fresh = try activate(cell, 1, binary(.add, gate(given, 2, cell), candidate))
        let rest = try binary(.subtract, scalar(1, like: update), update)
        return try binary(
            .add,
            binary(.multiply, rest, fresh),
            binary(.multiply, update, cell.hidden)
        )
    }

    private mutating func lstmStep(
        _ cell: Cell,
        _ given: Slot
    ) throws(ShapeError) -> (hidden: Slot, memory: Slot) {
        let fed = try biased(matmul(cell.hidden, cell.recurrent), cell.recurrentBias)
        let sums = try binary(.add, given, fed)
        // Gates stand in the order input, output, forget, cell; peepholes likewise.
        func peeped(
            _ number: Int,
            _ memory: Slot,
            _ e: inout Expansion
        ) throws(ShapeError) -> Slot {
            let sum = try e.gate(sums, number, cell)
            guard !cell.peepholes.isEmpty else { return sum }
            return try e.binary(.add, sum, e.binary(.multiply, cell.peepholes[number], memory))
        }
        let input = try activate(cell, 0, peeped(0, cell.memory, &self))
        let forget =
            cell.layer.inputForget
            ? try binary(.subtract, scalar(1, like: input), input)
            : try activate(cell, 0, peeped(2, cell.memory, &self))
        let fresh = try activate(cell, 1, gate(sums, 3, cell))
        let memory = try binary(
            .add,
            binary(.multiply, forget, cell.memory),
            binary(.multiply, input, fresh)
        )
        let output = try activate(cell, 0, peeped(1, memory, &self))
        // The last activation is applied without clipping, as the standard has it.
        let shown = try unary(cell.activations[cell.activations.startIndex + 2], memory)
        return (try binary(.multiply, output, shown), memory)
    }
}
