import Sluice

/// Device memory in use over a run as a picture: above beside what unlimited memory would use,
/// below by what the bytes are for.
struct MemoryChart {
    private let plan: Plan
    private let title: String
    private let use: [DeviceMemoryUse]
    private let unlimitedUse: [DeviceMemoryUse]
    private let unlimitedBytes: Int

    private static let width = 860.0
    private static let plotLeft = 76.0
    private static let plotWidth = 752.0
    private static let plotHeight = 178.0

    /// `unlimited` is the plan of the same model with unlimited memory.
    init(plan: Plan, unlimited: Plan, path: String) {
        self.plan = plan
        title = path.split(separator: "/").last.map(String.init) ?? path
        use = plan.deviceMemoryUse
        unlimitedUse = unlimited.deviceMemoryUse
        unlimitedBytes = unlimited.plannedDevicePeakBytes
    }

    func write(to path: String) throws {
        try writeTextFile(svg, to: path)
    }

    /// What a plan without a budget is compared with would be itself.
    private var isBudgeted: Bool { plan.deviceBudgetBytes != nil }

    private var svg: String {
        var panels: [String] = []
        var top = 74.0
        if isBudgeted {
            panels.append(comparison(top: top))
            top += Self.plotHeight + 62
        }
        panels.append(composition(top: top))
        let height = top + Self.plotHeight + 52
        let peak = "peak \(mebibytes(plan.plannedDevicePeakBytes))"
        let budget = plan.deviceBudgetBytes.map { "budget \(mebibytes($0)), " } ?? "unlimited, "
        let subtitle =
            budget + peak + (isBudgeted ? ", unlimited \(mebibytes(unlimitedBytes))" : "")
            + "; \(plan.threads) thread\(plan.threads == 1 ? "" : "s"), \(plan.instructionSet)"
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(number(Self.width)) \
            \(number(height))" role="img" aria-labelledby="title">
            <title id="title">Device memory over a run of \(escaped(title)): \(subtitle)</title>
            \(Self.style)
            <rect class="card" width="\(number(Self.width))" height="\(number(height))" rx="8"/>
            <text class="title" x="24" y="32">Device memory over a run of \(escaped(title))</text>
            <text class="note" x="24" y="52">\(subtitle)</text>
            \(panels.joined(separator: "\n"))
            </svg>

            """
    }

    // MARK: Panels

    private func comparison(top: Double) -> String {
        let panel = Panel(top: top, highest: unlimitedBytes, calls: calls)
        return """
            <g class="comparison" data-bytes-per-pixel="\(panel.bytesPerPixel)">
            \(panel.axes(isLast: false))
            \(panel.area(heights(unlimitedUse), class: "unlimited"))
            \(panel.area(heights(use), class: "budgeted"))
            \(panel.legend([("unlimited", "unlimited memory"), ("budgeted", "this budget")]))
            </g>
            """
    }

    private func composition(top: Double) -> String {
        let line = plan.deviceBudgetBytes
        let highest = max(plan.plannedDevicePeakBytes, line ?? 0)
        let panel = Panel(top: top, highest: highest, calls: calls)
        let kinds: [(name: String, text: String, bytes: (DeviceMemoryUse) -> Int)] = [
            ("resident", "weights, resident", { $0.residentWeightBytes }),
            ("streamed", "weights, streamed", { $0.streamedWeightBytes }),
            ("values", "activations", { $0.valueBytes }),
            ("scratch", "scratch", { $0.scratchBytes }),
            ("unused", "gaps", { $0.unusedBytes }),
        ]
        var floors = [Int](repeating: 0, count: use.count)
        var areas: [String] = []
        for kind in kinds {
            let bands: [Panel.Band] = zip(use, floors).map {
                (call: $0.call, from: $1, to: $1 + kind.bytes($0))
            }
            areas.append(panel.area(bands, class: kind.name))
            floors = bands.map { $0.to }
        }
        if let line { areas.append(panel.line(at: line, "budget \(mebibytes(line))")) }
        return """
            <g class="composition" data-bytes-per-pixel="\(panel.bytesPerPixel)" \
            data-peak-bytes="\(plan.plannedDevicePeakBytes)">
            \(panel.axes(isLast: true))
            \(areas.joined(separator: "\n"))
            \(panel.legend(kinds.map { ($0.name, $0.text) }))
            </g>
            """
    }

    private func heights(_ use: [DeviceMemoryUse]) -> [Panel.Band] {
        use.map { (call: $0.call, from: 0, to: $0.byteCount) }
    }

    private var calls: Int { max(1, (use.map(\.call).max() ?? 0) + 1) }

    /// Colours for light and dark surroundings; the card brings its own ground.
    private static let style = """
        <style>
        text { font: 12px system-ui, sans-serif; fill: #57606a }
        .title { font-size: 16px; font-weight: 600; fill: #1f2328 }
        .card { fill: #ffffff; stroke: #d0d7de }
        .grid { stroke: #d8dee4 } .axis { stroke: #57606a }
        .unlimited { fill: #c3c9d1 } .budgeted { fill: #0969da }
        .resident { fill: #0550ae } .streamed { fill: #54aeff } .values { fill: #e8a33d }
        .scratch { fill: #8250df } .unused { fill: #e6e9ed }
        .budget { stroke: #cf222e; stroke-dasharray: 6 4 } .budget-text { fill: #cf222e }
        @media (prefers-color-scheme: dark) {
        text { fill: #9da7b3 } .title { fill: #e6edf3 }
        .card { fill: #0d1117; stroke: #30363d }
        .grid { stroke: #21262d } .axis { stroke: #9da7b3 }
        .unlimited { fill: #484f58 } .budgeted { fill: #58a6ff }
        .resident { fill: #1f6feb } .streamed { fill: #79c0ff } .values { fill: #d29922 }
        .scratch { fill: #a371f7 } .unused { fill: #262c36 }
        .budget { stroke: #ff7b72 } .budget-text { fill: #ff7b72 }
        }
        </style>
        """

    /// One pair of axes: bytes over kernel calls.
    private struct Panel {
        /// From one height to another at a moment, in bytes.
        typealias Band = (call: Int, from: Int, to: Int)
        /// Coordinates as the file has them.
        private typealias Point = (x: String, y: String)

        var top: Double
        var highest: Int
        var calls: Int

        var bytesPerPixel: Double { Double(max(highest, 1)) * 1.06 / MemoryChart.plotHeight }
        private var bottom: Double { top + MemoryChart.plotHeight }
        private var right: Double { MemoryChart.plotLeft + MemoryChart.plotWidth }

        private func y(_ bytes: Int) -> Double { bottom - Double(bytes) / bytesPerPixel }
        private func x(_ call: Double) -> Double {
            MemoryChart.plotLeft + call / Double(calls) * MemoryChart.plotWidth
        }

        /// The band between two heights at each moment; moments of a call share its width.
        func area(_ bands: [Band], class name: String) -> String {
            guard bands.contains(where: { $0.to > $0.from }) else { return "" }
            var upper: [Point] = []
            var lower: [Point] = []
            var start = bands.startIndex
            while start < bands.endIndex {
                let call = bands[start].call
                let end = bands[start...].firstIndex { $0.call != call } ?? bands.endIndex
                for index in start..<end {
                    let share = Double(end - start)
                    let left = number(x(Double(call) + Double(index - start) / share))
                    let right = number(x(Double(call) + Double(index - start + 1) / share))
                    upper.append((left, number(y(bands[index].to))))
                    upper.append((right, number(y(bands[index].to))))
                    lower.append((left, number(y(bands[index].from))))
                    lower.append((right, number(y(bands[index].from))))
                }
                start = end
            }
            let points = (corners(of: upper) + corners(of: lower).reversed())
                .map { "\($0.x),\($0.y)" }
            return #"<polygon class="\#(name)" points="\#(points.joined(separator: " "))"/>"#
        }

        /// The points of a staircase where it turns.
        private func corners(of points: [Point]) -> [Point] {
            points.indices.filter { index in
                guard index > 0, index < points.count - 1 else { return true }
                return points[index - 1].y != points[index].y
                    || points[index + 1].y != points[index].y
            }.map { points[$0] }
        }

        func line(at bytes: Int, _ text: String) -> String {
            let height = number(y(bytes))
            return """
                <line class="budget" x1="\(number(MemoryChart.plotLeft))" y1="\(height)" \
                x2="\(number(right))" y2="\(height)"/>
                <text class="budget-text" x="\(number(right))" y="\(number(y(bytes) - 5))" \
                text-anchor="end">\(text)</text>
                """
        }

        func axes(isLast: Bool) -> String {
            var parts: [String] = []
            let step = niceStep(Double(highest) / 1_048_576 / 4)
            var tick = 0.0
            while tick * 1_048_576 <= Double(highest) * 1.04 {
                let height = y(Int(tick * 1_048_576))
                let digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2
                parts.append(
                    """
                    <line class="grid" x1="\(number(MemoryChart.plotLeft))" \
                    y1="\(number(height))" x2="\(number(right))" y2="\(number(height))"/>
                    <text x="\(number(MemoryChart.plotLeft - 8))" y="\(number(height + 4))" \
                    text-anchor="end">\(fixedText(tick, digits: digits))</text>
                    """
                )
                tick += step
            }
            let sideStep = max(1, Int(niceStep(Double(calls) / 8)))
            for call in stride(from: 0, through: calls, by: sideStep) {
                parts.append(
                    """
                    <text x="\(number(x(Double(call))))" y="\(number(bottom + 17))" \
                    text-anchor="middle">\(call)</text>
                    """
                )
            }
            let middle = number((top + bottom) / 2)
            parts.append(
                """
                <line class="axis" x1="\(number(MemoryChart.plotLeft))" y1="\(number(bottom))" \
                x2="\(number(right))" y2="\(number(bottom))"/>
                <text transform="translate(22 \(middle)) rotate(-90)" \
                text-anchor="middle">MiB in use</text>
                """
            )
            if isLast {
                parts.append(
                    """
                    <text x="\(number((MemoryChart.plotLeft + right) / 2))" \
                    y="\(number(bottom + 38))" text-anchor="middle">\
                    kernel calls, in order of execution</text>
                    """
                )
            }
            return parts.joined(separator: "\n")
        }

        /// Squares of colour with their meaning, above the plot.
        func legend(_ entries: [(name: String, text: String)]) -> String {
            var left = MemoryChart.plotLeft
            return entries.map { entry in
                defer { left += 30 + 6.6 * Double(entry.text.count) }
                return """
                    <rect class="\(entry.name)" x="\(number(left))" y="\(number(top - 12))" \
                    width="11" height="11" rx="2"/>
                    <text x="\(number(left + 16))" y="\(number(top - 2))">\(entry.text)</text>
                    """
            }.joined(separator: "\n")
        }

        /// 1, 2 or 5 times a power of ten, at least `least`.
        private func niceStep(_ least: Double) -> Double {
            var power = 1.0
            while power < least { power *= 10 }
            while power > least, power > 1e-6 { power /= 10 }
            for factor in [1.0, 2, 5] where power * factor >= least { return power * factor }
            return power * 10
        }
    }
}

/// A coordinate with as many digits as a picture needs.
private func number(_ value: Double) -> String { fixedText(value, digits: 2) }

/// Text as XML has it.
private func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
        switch character {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        default: result.append(character)
        }
    }
    return result
}

/// Bytes in MiB, for readers.
private func mebibytes(_ bytes: Int) -> String {
    fixedText(Double(bytes) / 1_048_576, digits: 2) + " MiB"
}
