import GraphCompiler
import GraphIR
import Testing

@Suite("control flow") struct ControlFlowTests {
    /// A body of one node over values of the graph.
    private func body(
        _ sketch: inout GraphSketch,
        inputs: [ValueID] = [],
        _ build: (inout GraphSketch) -> [ValueID]
    ) -> Int {
        let outer = sketch.graph.nodes
        sketch.graph.nodes = []
        var body = Body()
        body.inputs = inputs
        body.outputs = build(&sketch)
        body.nodes = sketch.graph.nodes
        sketch.graph.nodes = outer
        sketch.graph.bodies.append(body)
        return sketch.graph.bodies.count - 1
    }

    private func operators(_ graph: Graph) -> [Operator] {
        graph.nodes.map(\.op).filter { $0 != .identity }
    }

    @Test("a known condition leaves its branch alone")
    func knownCondition() throws {
        for condition: Int64 in [0, 1] {
            var sketch = GraphSketch()
            let x = sketch.input("x", [2, 3])
            let known = sketch.integers("c", [condition])
            let yes = body(&sketch) { [$0.node("yes", .unary(.exp), x)] }
            let no = body(&sketch) { [$0.node("no", .transpose(permutation: nil), x)] }
            sketch.output(sketch.node("y", .conditional(then: yes, else: no), known, x))
            let bound = try sketch.bound()
            #expect(bound.firstViolation() == nil)
            #expect(
                operators(bound)
                    == (condition == 1 ? [.unary(.exp)] : [.transpose(permutation: nil)])
            )
        }
    }

    @Test("an unknown condition selects between branches of one type, and no others")
    func unknownCondition() throws {
        for isSame in [true, false] {
            var sketch = GraphSketch()
            let x = sketch.input("x", [2, 3])
            let condition = sketch.input("c", [1], .bool)
            let yes = body(&sketch) { [$0.node("yes", .unary(.exp), x)] }
            let no = body(&sketch) { sketch in
                [sketch.node("no", isSame ? .unary(.tanh) : .transpose(permutation: nil), x)]
            }
            sketch.output(sketch.node("y", .conditional(then: yes, else: no), condition, x))
            guard isSame else {
                let error = try #require(throws: CompileError.self) { try sketch.bound() }
                guard case .unsupported(let reasons) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(reasons.first?.contains("'y'") == true)
                continue
            }
            let bound = try sketch.bound()
            #expect(operators(bound).contains(.select))
            #expect(bound[bound.outputs[0]].type?.shape == [2, 3])
        }
    }

    /// x doubled as often as `count` says, with every step.
    private func doubling(_ sketch: inout GraphSketch, _ count: ValueID) {
        let x = sketch.input("x", [2])
        let (round, goesOn, state) = (
            sketch.graph.addValue(name: "round"), sketch.graph.addValue(name: "goesOn"),
            sketch.graph.addValue(name: "state")
        )
        let loop = body(&sketch, inputs: [round, goesOn, state]) { sketch in
            let sum = sketch.add("sum", state, state)
            return [goesOn, sum, sum]
        }
        let outputs = ["last", "all"].map { sketch.graph.addValue(name: $0) }
        sketch.graph.nodes.append(
            Node(
                name: "loop",
                op: .loop(body: loop, states: 1),
                inputs: [count, nil, x],
                outputs: outputs
            )
        )
        sketch.graph.outputs += outputs
    }

    @Test("a loop is written out once for every round")
    func loop() throws {
        var sketch = GraphSketch()
        doubling(&sketch, sketch.integers("count", [3]))
        let bound = try sketch.bound()
        #expect(bound.firstViolation() == nil)
        #expect(operators(bound).count { $0 == .binary(.add) } == 3)
        #expect(bound.outputs.map { bound[$0].type?.shape } == [[2], [3, 2]])
    }

    @Test("loops of too many or unknown rounds are refused by name")
    func endlessLoops() throws {
        for count: Int64? in [nil, 1 << 40] {
            var sketch = GraphSketch()
            let rounds =
                count.map { sketch.integers("count", [$0]) } ?? sketch.input("count", [1], .int64)
            doubling(&sketch, rounds)
            let error = try #require(throws: CompileError.self) { try sketch.bound() }
            guard case .unsupported(let reasons) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(reasons.first?.contains("'loop'") == true)
        }
    }

    @Test("an iteration takes slices, and stacks what it makes of them in either direction")
    func iteration() throws {
        var sketch = GraphSketch()
        let x = sketch.floats("x", [2, 3], [1, 2, 3, 10, 20, 30])
        let zero = sketch.floats("zero", [2], [0, 0])
        let (sum, slice) = (
            sketch.graph.addValue(name: "sum"), sketch.graph.addValue(name: "slice")
        )
        let running = body(&sketch, inputs: [sum, slice]) { sketch in
            let next = sketch.add("next", sum, slice)
            return [next, next]
        }
        let iteration = Iteration(
            body: running,
            states: 1,
            inputAxes: [-1],
            inputsAreReversed: [false],
            outputAxes: [0],
            outputsAreReversed: [true]
        )
        let outputs = ["last", "sums"].map { sketch.graph.addValue(name: $0) }
        sketch.graph.nodes.append(
            Node(name: "scan", op: .iterate(iteration), inputs: [zero, x], outputs: outputs)
        )
        sketch.graph.outputs += outputs
        let bound = try sketch.bound()
        // Everything is known, so everything is folded.
        #expect(
            bound.outputs.map { bound[$0].constant?.literal?.floats } == [
                [6, 60], [6, 60, 3, 30, 1, 10],
            ]
        )
    }
}
