import CSluice
import Glibc
import Sluice

/// What a C handle points to: one object, retained until it is freed.
final class Handle<Content: Sendable>: Sendable {
    let content: Content

    init(_ content: Content) { self.content = content }

    /// Gives the handle to C.
    func handedOut() -> OpaquePointer {
        OpaquePointer(Unmanaged.passRetained(self).toOpaque())
    }

    /// Ends the life of a handle that C gives back.
    static func free(_ pointer: OpaquePointer?) {
        guard let pointer else { return }
        Unmanaged<Handle<Content>>.fromOpaque(UnsafeRawPointer(pointer)).release()
    }
}

/// What is behind a handle of C; an error that names the function when there is none.
func content<Content: Sendable>(
    of pointer: OpaquePointer?,
    as type: Content.Type,
    _ what: String
) throws(SluiceError) -> Content {
    guard let pointer else { throw SluiceError(.usage, "\(what) is NULL") }
    return Unmanaged<Handle<Content>>.fromOpaque(UnsafeRawPointer(pointer))
        .takeUnretainedValue().content
}

/// A plan, with its ports in the form that C reads.
final class PlanContent: @unchecked Sendable {
    let plan: Plan
    let inputs: [sluice_port]
    let outputs: [sluice_port]

    init(_ plan: Plan) {
        self.plan = plan
        inputs = plan.inputTypes.map { makePort($0.name, $0.elementType, $0.shape) }
        outputs = plan.runOutputs.map { makePort($0.name, $0.elementType, $0.shape) }
    }

    deinit {
        for port in inputs + outputs {
            free(UnsafeMutablePointer(mutating: port.name))
            UnsafeMutablePointer(mutating: port.shape)?.deallocate()
        }
    }
}

/// A port whose name and shape are allocated; `PlanContent` frees them.
private func makePort(_ name: String, _ type: ElementType, _ shape: [Int]) -> sluice_port {
    let sizes = UnsafeMutablePointer<Int64>.allocate(capacity: max(shape.count, 1))
    for (axis, size) in shape.enumerated() { (sizes + axis).initialize(to: Int64(size)) }
    return sluice_port(
        name: UnsafePointer(strdup(name)),
        // The codes of sluice.h are those of ONNX.
        type: type.dtype.rawValue,
        rank: shape.count,
        shape: UnsafePointer(sizes),
        byte_count: shape.reduce(type.byteCount, *)
    )
}

/// Runs `body` and turns its error into a code and the text of the thread.
func status(_ body: () throws(SluiceError) -> Void) -> sluice_status {
    do throws(SluiceError) {
        try body()
        return sluice_status(SLUICE_OK)
    } catch {
        sluice_set_error_text(error.message)
        return error.kind.status
    }
}

extension SluiceError.Kind {
    fileprivate var status: sluice_status {
        let code =
            switch self {
            case .usage: SLUICE_USAGE
            case .badData: SLUICE_BAD_DATA
            case .missingFile: SLUICE_MISSING_FILE
            case .impossible: SLUICE_IMPOSSIBLE
            case .system: SLUICE_SYSTEM
            case .cancelled: SLUICE_CANCELLED
            case .deadlineExceeded: SLUICE_DEADLINE
            }
        return sluice_status(code)
    }
}
