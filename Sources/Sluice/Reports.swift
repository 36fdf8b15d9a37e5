import Execution
import GraphCompiler
import GraphIR
import KernelLibrary

extension Plan {
    /// The bound graph as text.
    public var graphDump: String { bound.dump() }
    /// The fused graph as text.
    public var fusedDump: String { program.graph.dump() }
    /// Where every value and weight stands, as text.
    public var memoryDump: String { program.memoryDump() }
    /// Every step of a run, as text.
    public var scheduleDump: String { program.scheduleDump() }
}

extension InferenceSession {
    /// Time, rate and bytes of every step of the last run, as a table.
    public var profileText: String {
        let peak = plan.catalog.set.measurePeak(milliseconds: 20) * Double(plan.threads)
        var lines = ["    ms  GFLOP/s   % peak       bytes  lane      step"]
        var total = 0.0
        for (steps, seconds) in zip(session.phaseSteps, session.phaseSeconds) {
            total += seconds
            let work = phaseWork(steps)
            let rate = seconds > 0 ? work.operations / seconds / 1e9 : 0
            let columns = [
                column(seconds * 1e3, 6, digits: 3), column(rate, 8, digits: 1),
                column(100 * rate / peak, 8, digits: 1), pad("\(work.bytes)", 11),
            ]
            lines.append(columns.joined(separator: " ") + "  \(work.lane)  \(work.name)")
        }
        lines.append("\(column(total * 1e3, 6, digits: 3)) total")
        return lines.joined(separator: "\n") + "\n"
    }

    private func phaseWork(
        _ steps: [TimelineStep]
    ) -> (operations: Double, bytes: Int, lane: String, name: String) {
        let program = plan.program
        var operations = 0.0
        var bytes = 0
        var names: [String] = []
        var isCompute = false
        for step in steps {
            switch step.action {
            case .compute(let number, let work):
                isCompute = true
                let node = program.graph.nodes[number]
                names.insert(program.describe(step), at: 0)
                switch node.kernel {
                case .product(let product): operations += product.floatingPointOperations
                case .convolution(let kernel):
                    for units in work.units {
                        let item = program.items[units.item]
                        let share =
                            Double(item.byteCount(of: units.range)) / Double(item.byteCount)
                        operations +=
                            kernel.floatingPointOperations * share
                            / Double(max(kernel.parts.count, 1))
                    }
                default: break
                }
                bytes += program.graph[node.output].byteCount(lanes: program.lanes)
            case .uploadWeights(let item, let units):
                bytes += program.items[item].byteCount(of: units)
                if !isCompute { names.append(program.describe(step)) }
            case .uploadInput(let number):
                bytes += program.graph[program.graph.inputs[number]].type.byteCount
                names.append(program.describe(step))
            case .downloadOutput(let number):
                bytes += program.graph[program.graph.outputs[number]].type.byteCount
                names.append(program.describe(step))
            }
        }
        return (
            operations, bytes, isCompute ? "compute " : "transfer", names.first ?? ""
        )
    }

    private func column(_ value: Double, _ width: Int, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let rounded = Int((value * scale).rounded())
        let fraction = String(rounded % Int(scale))
        let text =
            "\(rounded / Int(scale))."
            + String(repeating: "0", count: max(0, digits - fraction.count)) + fraction
        return pad(text, width)
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
