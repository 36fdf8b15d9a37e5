import GraphCompiler
import GraphIR
import Testing

@Suite("Binding shapes")
struct BindShapesTests {
    @Test("constants fold and dead nodes go")
    func constantsFoldAndDeadNodesGo() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 3, 4])
        let shape = sketch.node("shape", .shape(start: 0, end: 1), x)
        let rest = sketch.integers("rest", [-1])
        let target = sketch.node("target", .concat(axis: 0), shape, rest)
        let y = sketch.node("y", .reshape(allowZero: false), x, target)
        _ = sketch.node("unread", .unary(.exp), y)
        sketch.output(y)
        #expect(
            sketch.graph.nodes.map(\.name) == ["shape", "target", "y", "unread"]
        )
        #expect(
            try sketch.bound().dump() == """
                graph "test"
                input %0 "x" declared float32[2x3x4] bound float32[2x3x4]
                constant %1 "shape" int64[1] literal [2]
                constant %2 "rest" int64[1] literal [-1]
                constant %3 "target" int64[2] literal [2, -1]
                node "y" %4 "y" float32[2x12] = \(Operator.reshape(allowZero: false)) %0 %3
                output %4 "y" float32[2x12]

                """
        )
    }

    @Test("a convolution whose weights come from the run is remarked on")
    func gatheredWindowsAreRemarkedOn() throws {
        func remarks(_ weights: (inout GraphSketch) -> ValueID) throws -> [String] {
            var sketch = GraphSketch()
            let x = sketch.input("x", [1, 3, 8, 8])
            let w = weights(&sketch)
            sketch.output(sketch.node("y", .convolution(Convolution()), x, w))
            return try sketch.bound().remarks
        }
        #expect(try remarks { $0.weights("w", [4, 3, 3, 3]) } == [])
        #expect(
            try remarks { $0.input("w", [4, 3, 3, 3]) }
                == ["node 'y': what its windows see is gathered first"]
        )
    }

    @Test("nodes over run-time values are not folded")
    func runTimeValuesAreNotFolded() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [4])
        let one = sketch.floats("one", [1], [1])
        sketch.output(sketch.add("y", x, one))
        let bound = try sketch.bound()
        #expect(bound.nodes.map(\.name) == ["y"])
        #expect(bound.values.filter { $0.constant != nil }.map(\.name) == ["one"])
    }

    @Test("large float results become recipes that read nothing")
    func largeResultsBecomeRecipes() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [100, 100])
        let a = sketch.weights("a", [100, 100])
        let b = sketch.node("b", .unary(.exp), a)
        sketch.output(sketch.add("y", x, b))
        let bound = try sketch.bound()
        guard case .computed(.unary(.exp), let operands) = bound[b].constant?.source else {
            Issue.record("b is not a recipe")
            return
        }
        #expect(operands.count == 1)
        #expect(bound.nodes.map(\.name) == ["y"])
    }

    @Test("a recipe that would read its parts too often stays a node", arguments: [5, 60])
    func repeatedRecipesStayNodes(count: Int) throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [100, 100])
        var sum = sketch.weights("c", [100, 100])
        for number in 0..<count { sum = sketch.add("sum\(number)", sum, sum) }
        let product = sketch.node("product", .matmul, x, sum)
        sketch.output(product)
        let bound = try sketch.bound()
        // 2^n - 1 operators in recipe n.
        #expect(bound.nodes.first?.name == (count < 9 ? "product" : "sum9"))
        #expect(bound.remarks.count == (count < 9 ? 0 : 1))
        let plan = try fuse(bound, catalog: FixedCatalog(), fuses: true)
        #expect(plan.nodes.last?.output == plan.outputs[0])
    }

    @Test("a graph without dead nodes is left as it is")
    func nothingDeadNothingRemoved() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [4])
        sketch.output(sketch.relu("y", x))
        let bound = try sketch.bound()
        #expect(removeDeadNodes(from: bound).dump() == bound.dump())
    }

    @Test("a shape that depends on data is refused, naming the node")
    func dataDependentShapesAreRefused() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [4])
        let shape = sketch.input("shape", [1], .int64)
        sketch.output(sketch.node("grown", .expand, x, shape))
        let error = try #require(throws: CompileError.self) { _ = try sketch.bound() }
        guard case .unsupported(let reasons) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(reasons.count == 1)
        #expect(reasons.first?.contains("'grown'") == true)
    }

    @Test("a known input that decides a shape becomes part of the plan, and no other")
    func knownInputsDecideShapes() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1])
        let shape = sketch.input("shape", [1], .int64)
        sketch.output(sketch.node("grown", .expand, x, shape))
        let (bound, fixed) = try bindShapes(
            of: sketch.graph,
            inputTypes: [TensorType(.float32, [1]), TensorType(.int64, [1])],
            inputValues: [
                DenseTensor(shape: [1], floats: [2]), DenseTensor(shape: [1], integers: [5]),
            ]
        )
        #expect(fixed == [1])
        #expect(bound.nodes.count == 1)
        #expect(bound[bound.outputs[0]].type?.shape == [5])
        #expect(bound.firstViolation() == nil)
    }

    @Test("composite operators are written out, under names of their own")
    func compositesAreWrittenOut() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [2, 6])
        sketch.output(sketch.node("y", .composite(.logSoftmax(axis: 1, flattened: false)), x))
        sketch.output(sketch.node("z", .composite(.mish), x))
        let bound = try sketch.bound()
        #expect(bound.firstViolation() == nil)
        let isPlain = bound.nodes.allSatisfy { node in
            if case .composite = node.op { return false }
            return true
        }
        #expect(isPlain && bound.nodes.count > 2)
    }

    @Test("shapes that do not fit are an error of the model")
    func shapesThatDoNotFit() throws {
        var sketch = GraphSketch()
        let a = sketch.input("a", [4])
        let b = sketch.input("b", [3])
        sketch.output(sketch.add("sum", a, b))
        let error = try #require(throws: CompileError.self) { _ = try sketch.bound() }
        guard case .invalid(let reason) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(reason.contains("'sum'"))
    }

    @Test("every unsupported node is listed")
    func everyUnsupportedNodeIsListed() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [4], .float64)
        sketch.output(sketch.node("a", .bitCast(to: .int64), x))
        sketch.output(sketch.node("b", .bitCast(to: .uint64), x))
        let bound = try sketch.bound()
        let error = try #require(throws: CompileError.self) {
            _ = try lower(bound, catalog: FixedCatalog())
        }
        guard case .unsupported(let reasons) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(reasons.count == 2)
    }
}

@Suite("Spelled-out activations")
struct RecognizeActivationsTests {
    /// x * clip(x + 3, 0, 6) / divisor.
    private func spelledOut(divisor: Float) throws -> Graph {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8])
        let three = sketch.floats("three", [], [3])
        let zero = sketch.floats("zero", [], [0])
        let six = sketch.floats("six", [], [6])
        let last = sketch.floats("last", [], [divisor])
        let sum = sketch.add("sum", x, three)
        let gate = sketch.node("gate", .clip, sum, zero, six)
        let product = sketch.node("product", .binary(.multiply), x, gate)
        sketch.output(sketch.node("y", .binary(.divide), product, last))
        return try sketch.bound()
    }

    private func nodeLines(_ graph: Graph) -> [String] {
        graph.dump().split(separator: "\n").map(String.init).filter { $0.hasPrefix("node") }
    }

    @Test("hard-swish is one node")
    func hardSwishIsOneNode() throws {
        let before = try spelledOut(divisor: 6)
        #expect(before.nodes.map(\.name) == ["sum", "gate", "product", "y"])
        #expect(
            nodeLines(recognizeActivations(in: before)) == [
                "node \"y\" %8 \"y\" float32[1x8] = \(Operator.unary(.hardSwish)) %0"
            ]
        )
    }

    @Test("the hard sigmoid gate is recognised too")
    func hardSigmoidGate() throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8])
        let gate = sketch.node("gate", .unary(.hardSigmoid(alpha: 1 / 6, beta: 0.5)), x)
        sketch.output(sketch.node("y", .binary(.multiply), gate, x))
        let after = recognizeActivations(in: try sketch.bound())
        #expect(after.nodes.map(\.op) == [.unary(.hardSwish)])
    }

    @Test("another divisor is not hard-swish")
    func anotherDivisorIsNotHardSwish() throws {
        let before = try spelledOut(divisor: 5)
        #expect(recognizeActivations(in: before).dump() == before.dump())
    }

    /// clip(x * slope + shift, 0, limit) * scale, and x times that when it `isGate`.
    private func spelledOutGate(
        slope: Float?,
        shift: Float,
        limit: Float,
        scale: Float,
        isGate: Bool = false
    ) throws -> Graph {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8])
        let number = { (name: String, value: Float) in sketch.floats(name, [], [value]) }
        let zero = number("zero", 0)
        let numbers = [number("shift", shift), number("limit", limit), number("scale", scale)]
        var argument = x
        if let slope {
            argument = sketch.node("argument", .binary(.multiply), x, number("slope", slope))
        }
        let sum = sketch.add("sum", argument, numbers[0])
        var y = sketch.node("clip", .clip, sum, zero, numbers[1])
        if scale != 1 { y = sketch.node("scaled", .binary(.multiply), y, numbers[2]) }
        sketch.output(isGate ? sketch.node("y", .binary(.multiply), x, y) : y)
        return try sketch.bound()
    }

    @Test("hard-sigmoid is one node, and hard-swish with it as a gate")
    func hardSigmoid() throws {
        let sixth = Float(1) / 6
        let gate = try spelledOutGate(slope: nil, shift: 3, limit: 6, scale: sixth)
        let own = recognizeActivations(in: gate).nodes.map(\.op)
        #expect(own == [.unary(.hardSigmoid(alpha: sixth, beta: 3 * sixth))])
        let keras = try spelledOutGate(slope: 0.2, shift: 0.5, limit: 1, scale: 1)
        let other = recognizeActivations(in: keras).nodes.map(\.op)
        #expect(other == [.unary(.hardSigmoid(alpha: 0.2, beta: 0.5))])
        let swish = try spelledOutGate(slope: nil, shift: 3, limit: 6, scale: sixth, isGate: true)
        #expect(recognizeActivations(in: swish).nodes.map(\.op) == [.unary(.hardSwish)])
        let scaled = try spelledOutGate(slope: nil, shift: 3, limit: 6, scale: 0.5)
        #expect(recognizeActivations(in: scaled).dump() == scaled.dump())
    }

    /// x / divisor * (1 + erf(x / sqrt(2))), the last factor first when `isTurned`.
    private func spelledOutGELU(divisor: Float, isTurned: Bool) throws -> Graph {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8])
        let one = sketch.floats("one", [], [1])
        let root = sketch.floats("root", [], [Float(2).squareRoot()])
        let scale = sketch.floats("scale", [], [1 / divisor])
        let argument = sketch.node("argument", .binary(.divide), x, root)
        let sum = sketch.add("sum", sketch.node("erf", .unary(.erf), argument), one)
        if isTurned {
            let half = sketch.node("half", .binary(.multiply), sum, scale)
            sketch.output(sketch.node("y", .binary(.multiply), half, x))
        } else {
            let product = sketch.node("product", .binary(.multiply), x, sum)
            sketch.output(sketch.node("y", .binary(.multiply), product, scale))
        }
        return try sketch.bound()
    }

    @Test("GELU is one node, whatever the order of its factors", arguments: [false, true])
    func geluIsOneNode(isTurned: Bool) throws {
        let after = recognizeActivations(in: try spelledOutGELU(divisor: 2, isTurned: isTurned))
        #expect(after.nodes.map(\.op) == [.unary(.gelu(tanhApproximation: false))])
        let other = try spelledOutGELU(divisor: 3, isTurned: isTurned)
        #expect(recognizeActivations(in: other).dump() == other.dump())
    }

    @Test("TensorFlow's GELU has a sign in two places", arguments: [true, false])
    func negativeGELU(isNegatedInside: Bool) throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8])
        let one = sketch.floats("one", [], [1])
        let root = sketch.floats("root", [], [Float(0.5).squareRoot()])
        let half = sketch.floats("half", [], [0.5])
        let turned = isNegatedInside ? sketch.node("turned", .unary(.negate), x) : x
        let argument = sketch.node("argument", .binary(.multiply), turned, root)
        let erf = sketch.node("erf", .unary(.erf), argument)
        let complement = sketch.node("complement", .binary(.subtract), one, erf)
        let scaled = sketch.node("scaled", .binary(.multiply), half, x)
        sketch.output(sketch.node("y", .binary(.multiply), scaled, complement))
        let after = recognizeActivations(in: try sketch.bound())
        let isGELU = after.nodes.map(\.op) == [.unary(.gelu(tanhApproximation: false))]
        #expect(isGELU == isNegatedInside)
    }

    @Test("the cube of GELU's approximation is a power or a product", arguments: [false, true])
    func approximateGELU(isPower: Bool) throws {
        var sketch = GraphSketch()
        let x = sketch.input("x", [1, 8])
        let number = { (name: String, value: Float) in sketch.floats(name, [], [value]) }
        let three = number("three", 3)
        let small = number("small", 0.044715)
        let root = number("root", (2 / Float.pi).squareRoot())
        let one = number("one", 1)
        let half = number("half", 0.5)
        let square = isPower ? nil : sketch.node("square", .binary(.multiply), x, x)
        let cube =
            isPower
            ? sketch.node("cube", .binary(.power), x, three)
            : sketch.node("cube", .binary(.multiply), square, x)
        let term = sketch.node("term", .binary(.multiply), small, cube)
        let sum = sketch.add("sum", x, term)
        let argument = sketch.node("argument", .binary(.multiply), sum, root)
        let tanh = sketch.node("tanh", .unary(.tanh), argument)
        let gate = sketch.add("gate", one, tanh)
        let scaled = sketch.node("scaled", .binary(.multiply), x, half)
        sketch.output(sketch.node("y", .binary(.multiply), scaled, gate))
        let after = recognizeActivations(in: try sketch.bound())
        #expect(after.nodes.map(\.op) == [.unary(.gelu(tanhApproximation: true))])
    }
}
