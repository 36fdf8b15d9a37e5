// The functions of sluice.h, in its order; comments on what they do are there.

import CSluice
import Glibc
import Sluice

/// Made once, never freed and never changed.
nonisolated(unsafe) private let versionText = UnsafePointer(strdup(sluiceVersion))

/// `sluice_version` of sluice.h.
@_cdecl("sluice_version")
public func version() -> UnsafePointer<CChar>? { versionText }

/// `sluice_model_open` of sluice.h.
@_cdecl("sluice_model_open")
public func sluiceModelOpen(
    _ path: UnsafePointer<CChar>?,
    _ model: UnsafeMutablePointer<OpaquePointer?>?
) -> sluice_status {
    open(model, "model") { () throws(SluiceError) in
        guard let path else { throw SluiceError(.usage, "path is NULL") }
        return Handle(try Model(path: String(cString: path))).handedOut()
    }
}

/// `sluice_model_free` of sluice.h.
@_cdecl("sluice_model_free")
public func sluiceModelFree(_ model: OpaquePointer?) { Handle<Model>.free(model) }

/// `sluice_plan_open` of sluice.h.
@_cdecl("sluice_plan_open")
public func sluicePlanOpen(
    _ model: OpaquePointer?,
    _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ plan: UnsafeMutablePointer<OpaquePointer?>?
) -> sluice_status {
    open(plan, "plan") { () throws(SluiceError) in
        let model = try content(of: model, as: Model.self, "model")
        let made = try Plan(model: model, options: RunOptions(options))
        return Handle(PlanContent(made)).handedOut()
    }
}

/// `sluice_plan_free` of sluice.h.
@_cdecl("sluice_plan_free")
public func sluicePlanFree(_ plan: OpaquePointer?) { Handle<PlanContent>.free(plan) }

/// `sluice_plan_input_count` of sluice.h.
@_cdecl("sluice_plan_input_count")
public func sluicePlanInputCount(_ plan: OpaquePointer?) -> Int {
    (try? content(of: plan, as: PlanContent.self, "plan"))?.inputs.count ?? 0
}

/// `sluice_plan_output_count` of sluice.h.
@_cdecl("sluice_plan_output_count")
public func sluicePlanOutputCount(_ plan: OpaquePointer?) -> Int {
    (try? content(of: plan, as: PlanContent.self, "plan"))?.outputs.count ?? 0
}

/// `sluice_plan_input` of sluice.h.
@_cdecl("sluice_plan_input")
public func sluicePlanInput(
    _ plan: OpaquePointer?,
    _ index: Int,
    _ port: UnsafeMutablePointer<sluice_port>?
) -> sluice_status {
    status { () throws(SluiceError) in
        let plan = try content(of: plan, as: PlanContent.self, "plan")
        try describe(plan.inputs, index, port)
    }
}

/// `sluice_plan_output` of sluice.h.
@_cdecl("sluice_plan_output")
public func sluicePlanOutput(
    _ plan: OpaquePointer?,
    _ index: Int,
    _ port: UnsafeMutablePointer<sluice_port>?
) -> sluice_status {
    status { () throws(SluiceError) in
        let plan = try content(of: plan, as: PlanContent.self, "plan")
        try describe(plan.outputs, index, port)
    }
}

/// `sluice_plan_report` of sluice.h.
@_cdecl("sluice_plan_report")
public func sluicePlanReport(
    _ plan: OpaquePointer?,
    _ report: UnsafeMutableRawPointer?,
    _ size: Int
) -> sluice_status {
    status { () throws(SluiceError) in
        let plan = try content(of: plan, as: PlanContent.self, "plan")
        try fill(report, size, sluice_report(plan.plan))
    }
}

/// `sluice_session_open` of sluice.h.
@_cdecl("sluice_session_open")
public func sluiceSessionOpen(
    _ plan: OpaquePointer?,
    _ session: UnsafeMutablePointer<OpaquePointer?>?
) -> sluice_status {
    open(session, "session") { () throws(SluiceError) in
        let plan = try content(of: plan, as: PlanContent.self, "plan")
        return Handle(try InferenceSession(plan: plan.plan)).handedOut()
    }
}

/// `sluice_session_free` of sluice.h.
@_cdecl("sluice_session_free")
public func sluiceSessionFree(_ session: OpaquePointer?) { Handle<InferenceSession>.free(session) }

/// `sluice_session_run` of sluice.h.
@_cdecl("sluice_session_run")
public func sluiceSessionRun(
    _ session: OpaquePointer?,
    _ inputs: UnsafePointer<sluice_buffer>?,
    _ inputCount: Int,
    _ outputs: UnsafePointer<sluice_buffer>?,
    _ outputCount: Int,
    _ timeout: Double
) -> sluice_status {
    status { () throws(SluiceError) in
        let session = try content(of: session, as: InferenceSession.self, "session")
        guard timeout >= 0 else {
            throw SluiceError(.usage, "a timeout of \(timeout) seconds; 0 means no limit")
        }
        let sources = try buffers(
            inputs,
            inputCount,
            "input",
            session.plan.inputTypes
        )
        let targets = try buffers(
            outputs,
            outputCount,
            "output",
            session.plan.runOutputs
        )
        try session.run(
            reading: sources.map { UnsafeRawBufferPointer($0) },
            writing: targets,
            deadline: timeout == 0 || timeout > 1e9 ? nil : .now + .seconds(timeout)
        )
    }
}

/// `sluice_session_report` of sluice.h.
@_cdecl("sluice_session_report")
public func sluiceSessionReport(
    _ session: OpaquePointer?,
    _ report: UnsafeMutableRawPointer?,
    _ size: Int
) -> sluice_status {
    status { () throws(SluiceError) in
        let session = try content(of: session, as: InferenceSession.self, "session")
        var filled = sluice_report(session.plan)
        filled.measured_device_peak = Int64(session.devicePeakBytes)
        filled.host_bytes = Int64(session.hostPeakBytes)
        try fill(report, size, filled)
    }
}

/// Writes what `body` makes to `result`, or NULL when it fails.
private func open(
    _ result: UnsafeMutablePointer<OpaquePointer?>?,
    _ what: String,
    _ body: () throws(SluiceError) -> OpaquePointer
) -> sluice_status {
    status { () throws(SluiceError) in
        guard let result else {
            throw SluiceError(.usage, "the place for the \(what) is NULL")
        }
        result.pointee = nil
        result.pointee = try body()
    }
}

private func describe(
    _ ports: [sluice_port],
    _ index: Int,
    _ port: UnsafeMutablePointer<sluice_port>?
) throws(SluiceError) {
    guard let port else { throw SluiceError(.usage, "the place for the port is NULL") }
    guard ports.indices.contains(index) else {
        throw SluiceError(.usage, "there is no port \(index); there are \(ports.count)")
    }
    port.pointee = ports[index]
}

private func fill(
    _ target: UnsafeMutableRawPointer?,
    _ size: Int,
    _ report: sluice_report
) throws(SluiceError) {
    guard let target else { throw SluiceError(.usage, "the place for the report is NULL") }
    guard size >= 0 else { throw SluiceError(.usage, "a report has no negative size") }
    withUnsafeBytes(of: report) { source in
        let count = min(size, source.count)
        UnsafeMutableRawBufferPointer(start: target, count: count)
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
    }
}

/// The buffers of a run, checked against the ports of the plan.
private func buffers(
    _ list: UnsafePointer<sluice_buffer>?,
    _ count: Int,
    _ what: String,
    _ ports: [(name: String, elementType: ElementType, shape: [Int])]
) throws(SluiceError) -> [UnsafeMutableRawBufferPointer] {
    guard count == ports.count else {
        throw SluiceError(.usage, "\(count) \(what)s are given; the model has \(ports.count)")
    }
    guard let list else {
        guard count == 0 else { throw SluiceError(.usage, "the list of \(what)s is NULL") }
        return []
    }
    var buffers: [UnsafeMutableRawBufferPointer] = []
    for (index, port) in ports.enumerated() {
        let buffer = list[index]
        let needed = port.shape.reduce(port.elementType.byteCount, *)
        guard buffer.byte_count == needed else {
            throw SluiceError(
                .badData,
                "\(what) '\(port.name)' is \(port.elementType)\(port.shape) of \(needed) bytes; "
                    + "the buffer has \(buffer.byte_count)"
            )
        }
        guard buffer.data != nil || needed == 0 else {
            throw SluiceError(.usage, "the data of \(what) '\(port.name)' is NULL")
        }
        buffers.append(UnsafeMutableRawBufferPointer(start: buffer.data, count: needed))
    }
    return buffers
}

extension sluice_report {
    /// What a plan knows by itself.
    fileprivate init(_ plan: Plan) {
        self.init()
        planned_device_peak = Int64(plan.plannedDevicePeakBytes)
        resident_device_bytes = Int64(plan.residentDeviceBytes)
        minimum_device_bytes = Int64(plan.minimumDeviceBytes)
        streamed_weight_bytes = Int64(plan.weightBytesStreamed)
        uploaded_bytes = Int64(plan.uploadedBytes)
        downloaded_bytes = Int64(plan.downloadedBytes)
        host_bytes = Int64(plan.hostArenaBytes)
        predicted_seconds = plan.predictedSeconds
        threads = Int64(plan.threads)
    }
}
