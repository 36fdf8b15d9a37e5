import GraphIR

/// Stable text of each stage: the same input gives the same bytes.
extension FusedGraph {
    /// Every kernel call with its epilogue, shapes and layouts.
    package func dump() -> String {
        var lines = ["fused graph \(name)"]
        for input in inputs { lines.append("input \(describe(input))") }
        for (index, node) in nodes.enumerated() {
            let operands = node.inputs.map { self[$0].name }.joined(separator: ", ")
            var line = "\(index): \(describe(node.output)) = \(node.kernel.summary)(\(operands))"
            if node.activation != .none { line += " then \(node.activation.summary)" }
            lines.append(line + "  # \(node.name)")
        }
        for output in outputs { lines.append("output \(describe(output))") }
        return lines.joined(separator: "\n") + "\n"
    }

    private func describe(_ id: ValueID) -> String {
        let value = self[id]
        let layout =
            switch value.layout {
            case .rowMajor: ""
            case .blocked: " blocked"
            case .packed: " packed"
            }
        return "\(value.name): \(value.type)\(layout)"
    }
}

extension ResultDepthwise {
    /// The function before it and its window.
    fileprivate var summary: String {
        (activation == .none ? "" : "+\(activation.summary)")
            + "+depthwise[\(kernelHeight)x\(kernelWidth) "
            + "stride \(strideHeight)x\(strideWidth)]"
    }
}

extension ResultProjection {
    /// The function before it and its channels.
    fileprivate var summary: String {
        (activation == .none ? "" : "+\(activation.summary)") + "+project[\(part.outputChannels)]"
    }
}

extension Kernel {
    /// The kernel family with what tells two calls apart.
    package var summary: String {
        switch self {
        case .convolution(let kernel):
            let residual =
                (kernel.inputAffine == nil ? "" : "+input")
                + (kernel.hasResidual ? "+residual" : "")
            switch kernel.algorithm {
            case .tile where kernel.isMatrixProduct:
                return "matrix\(residual)[\(kernel.channels)->\(kernel.outputChannels)]"
                    + (kernel.projection?.summary ?? "")
            default:
                return "conv.\(kernel.algorithm)\(residual)[\(kernel.kernelHeight)x"
                    + "\(kernel.kernelWidth) \(kernel.channels * kernel.group)->"
                    + "\(kernel.outputChannels) stride \(kernel.strideHeight)x"
                    + "\(kernel.strideWidth) group \(kernel.group) parts \(kernel.parts.count)]"
                    + (kernel.readsPixels ? "+from pixels" : "")
                    + (kernel.writesPixels ? "+to pixels" : "")
                    + (kernel.pool.map { "+" + Kernel.pool($0.kernel).summary } ?? "")
                    + (kernel.depthwise?.summary ?? "")
                    + (kernel.projection?.summary ?? "")
            }
        case .pool(let pool):
            return "\(pool.isAverage ? "average" : "max")pool[\(pool.kernel[0])x\(pool.kernel[1])]"
        case .globalPool(let isAverage): return isAverage ? "globalaverage" : "globalmax"
        case .softmax(let outer, let size, let inner): return "softmax[\(outer),\(size),\(inner)]"
        case .normalize(let rows, let size, _, let hasScale, let hasShift):
            return "normalize[\(rows),\(size)]" + (hasScale ? "+scale" : "")
                + (hasShift ? "+shift" : "")
        case .unary: return "map"
        case .binary(let function): return "\(function)"
        case .select: return "select"
        case .copy(let copy): return "copy[\(copy.boxes.count)]"
        case .reduce(let kind, let outer, let size, let inner):
            return "reduce.\(kind)[\(outer),\(size),\(inner)]"
        case .resize: return "resize"
        case .gather: return "gather"
        case .cast: return "cast"
        case .layout(let toBlocked, let channelsLast):
            return (toBlocked ? "block" : "unblock") + (channelsLast ? ".channelsLast" : "")
        case .channels(let sources): return "channels[\(sources.count)]"
        case .packMatrices(let packing): return packing.scale == 1 ? "pack" : "pack+scale"
        case .product(let product):
            return "product[\(product.m)x\(product.k)x\(product.n) x\(product.bIndex.count)]"
        case .localResponseNormalization: return "lrn"
        case .map(let function): return "map.\(function)"
        case .lineReduce(let kind, let lines):
            return "reduce.\(kind)[\(lines.outer),\(lines.axisSize),\(lines.inner)]"
        case .places(_, let count, let largest, _):
            return "\(largest ? "largest" : "smallest")[\(count)]"
        case .scan(_, let scan): return scan.isProduct ? "runningproduct" : "runningsum"
        case .scatterRows(let reduction): return "scatter.\(reduction)"
        case .suppress(let kernel):
            return "suppress[\(kernel.images)x\(kernel.classes),\(kernel.boxes)]"
        }
    }
}

extension Activation {
    var summary: String {
        switch self {
        case .none: "none"
        case .clamp(let lower, let upper): "clamp(\(lower), \(upper))"
        case .function(let function): "\(function)"
        case .silu: "silu"
        }
    }
}

extension Program {
    /// Where everything stands in the device arena.
    package func memoryDump() -> String {
        var lines = [
            "device arena \(summary.plannedPeak) bytes, residents \(residentByteCount), isa "
                + "\(isaName), threads \(threads)"
        ]
        for (index, item) in items.enumerated() {
            let resident = streaming.residentUnits[index]
            let bytes = item.byteCount(of: 0..<resident)
            if resident > 0 {
                lines.append(
                    "resident \(range(residentOffset[index], bytes)) units 0..<\(resident) of "
                        + "\(item.unitCount)  # \(item.name)"
                )
            }
            if resident < item.unitCount {
                let pieces =
                    item.comesInChunks(workspaces: streaming.workspaces)
                    ? "chunks" : "blocks of \(streaming.unitsPerBlock[index]) units"
                lines.append(
                    "streamed \(item.byteCount - bytes) bytes in \(pieces)  # \(item.name)"
                )
            }
        }
        for id in graph.values.indices.map({ ValueID($0) }) {
            guard let storage = storage.storage[id.index], let bytes = deviceBytes(of: id),
                !bytes.isEmpty
            else {
                continue
            }
            let live = plan.buffers[storage].live
            lines.append(
                "value \(range(bytes.lowerBound, bytes.count)) live \(live.lowerBound)...\(live.upperBound) "
                    + "storage \(storage)  # \(graph[id].name)"
            )
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Every step with its moment, its lane and what it waits for.
    package func scheduleDump() -> String {
        let schedule = schedule()
        var lines = ["schedule of \(steps.count) steps in \(momentCount) moments"]
        for (index, step) in schedule.steps.enumerated() {
            // Of the dependencies, those that no other of them implies by its moment.
            let latest = step.dependencies.map { schedule.steps[$0].moment }.max()
            let direct = step.dependencies.filter { schedule.steps[$0].moment == latest }
            let after =
                direct.isEmpty
                ? "" : " after " + direct.map(String.init).joined(separator: ",")
            lines.append("\(index): moment \(step.moment) \(step.lane) \(step.name)\(after)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// One step in words.
    package func describe(_ step: TimelineStep) -> String {
        switch step.action {
        case .uploadInput(let number):
            return "upload input \(graph[graph.inputs[number]].name)"
                + (step.isCarried ? ", carried" : "")
        case .downloadOutput(let number):
            return "download output \(graph[graph.outputs[number]].name)"
        case .uploadWeights(let item, let units):
            let offset = step.slot.map { plan.offsets[$0] } ?? 0
            return "upload \(range(offset, items[item].byteCount(of: units))) units "
                + "\(units.lowerBound)..<\(units.upperBound) of \(items[item].name)"
                + (step.isCarried ? ", carried" : "")
        case .compute(let node, let work):
            var text = "\(graph.nodes[node].kernel.summary) \(graph.nodes[node].name)"
            let parts = work.units
            if parts.count > 1, let first = parts.first, let last = parts.last {
                text += " parts \(first.part)...\(last.part)"
            } else if let units = parts.first {
                text +=
                    " part \(units.part) units "
                    + "\(units.range.lowerBound)..<\(units.range.upperBound)"
            }
            if case .chunks = work {
                text += ", uploaded in chunks"
                if let slot = step.slot {
                    let byteCount = plan.buffers[slot].byteCount
                    text += " through \(range(plan.offsets[slot], byteCount))"
                }
            }
            return text
        }
    }

    private func range(_ offset: Int, _ byteCount: Int) -> String {
        "[\(offset), \(offset + byteCount))"
    }
}
