import GraphIR
import TensorMemory

/// Why a constant of a model cannot be had.
package enum ConstantError: Error, Sendable {
    case file(FileError)
    case recipe(ShapeError)
}

/// Reads and computes constants of a model while a session opens, in bounded staging.
package final class ConstantReader {
    private let files: [WeightFile]
    /// Bytes of staging, reused; freed with the reader.
    private(set) var staging: UnsafeMutableRawBufferPointer
    /// Most bytes of staging there were.
    package private(set) var stagingPeak = 0

    /// Staging a reader keeps to unless a single run of weights is larger.
    package static let stagingLimit = 16 << 20

    package init(files: [WeightFile]) {
        self.files = files
        staging = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    deinit { staging.deallocate() }

    /// The whole constant in memory; for vectors, scalars and other small operands.
    package func evaluate(_ constant: Constant) throws(ConstantError) -> DenseTensor {
        switch constant.source {
        case .literal(var tensor):
            tensor.type = constant.type
            return tensor
        case .fill(let value):
            return .repeating(value, type: constant.type)
        case .file(let range):
            var bytes = [UInt8](repeating: 0, count: range.byteCount)
            try read(range, first: 0, count: range.byteCount, into: &bytes)
            return DenseTensor(type: constant.type, littleEndian: bytes)
        case .computed(let op, let inputs):
            var values: [DenseTensor?] = []
            for input in inputs {
                if let input { values.append(try evaluate(input)) } else { values.append(nil) }
            }
            do throws(ShapeError) {
                var result = try evaluateReference(op, inputs: values, outputCount: 1)[0]
                result.type.shape = constant.type.shape
                return result
            } catch {
                throw .recipe(error)
            }
        }
    }

    private func read(
        _ range: FileRange,
        first: Int,
        count: Int,
        into bytes: inout [UInt8]
    ) throws(ConstantError) {
        let start = range.offset + first
        let file = files[range.file]
        let failure: FileError? = bytes.withUnsafeMutableBytes { target in
            do throws(FileError) {
                try file.read(start..<start + count, into: target)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw .file(failure) }
    }

    private func reserve(_ byteCount: Int) {
        guard staging.count < byteCount else { return }
        staging.deallocate()
        staging = .allocate(byteCount: byteCount, alignment: 64)
        stagingPeak = max(stagingPeak, byteCount)
    }

    /// Elements [first, first + count) of a floating-point constant as float32 in staging; valid
    /// until the next call.
    func floats(
        of constant: Constant,
        first: Int,
        count: Int
    ) throws(ConstantError) -> UnsafePointer<Float> {
        reserve(count * 4)
        let target = staging.baseAddress?.assumingMemoryBound(to: Float.self)
        guard let target else { return UnsafePointer(bitPattern: 64).unsafelyUnwrapped }
        switch constant.source {
        case .file(let range) where constant.type.dtype == .float32:
            do throws(FileError) {
                let start = range.offset + first * 4
                try files[range.file].read(
                    start..<start + count * 4,
                    into: UnsafeMutableRawBufferPointer(start: target, count: count * 4)
                )
                files[range.file].dropCache(start..<start)
            } catch {
                throw .file(error)
            }
        case .file(let range):
            let size = constant.type.dtype.byteCount
            var bytes = [UInt8](repeating: 0, count: count * size)
            try read(range, first: first * size, count: count * size, into: &bytes)
            let tensor = DenseTensor(
                type: TensorType(constant.type.dtype, [count]),
                littleEndian: bytes
            )
            for (index, value) in tensor.floats.enumerated() { target[index] = value }
        case .fill(let value):
            target.update(repeating: Float(value), count: count)
        case .literal, .computed:
            let values = try evaluate(constant).floats
            for index in 0..<count { target[index] = values[first + index] }
        }
        return UnsafePointer(target)
    }
}
