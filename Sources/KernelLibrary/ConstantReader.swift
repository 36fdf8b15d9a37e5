import GraphIR
import TensorMemory

/// Why a constant of a model cannot be had.
package enum ConstantError: Error, Sendable {
    case file(FileError)
    case recipe(ShapeError)
}

/// Reads and computes constants of a model while a session opens, in bounded staging.
///
/// Elements of a file are converted a piece at a time, whatever their type. A recipe other than a
/// conversion is evaluated as a whole; its operands and results are counted like staging.
package final class ConstantReader {
    private let files: [WeightFile]
    /// Bytes of staging, reused; freed with the reader.
    private var staging: UnsafeMutableRawBufferPointer
    /// Bytes the reader holds now: staging, results of recipes, pieces being converted.
    private var heldByteCount = 0
    /// Most bytes the reader has held at a time.
    package private(set) var peakByteCount = 0

    /// Staging a reader keeps to unless a single run of weights is larger.
    package static let stagingLimit = 16 << 20
    /// Elements that are converted at a time.
    private static let pieceElementCount = 1 << 16

    package init(files: [WeightFile]) {
        self.files = files
        staging = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    deinit { staging.deallocate() }

    private func hold(_ byteCount: Int) {
        heldByteCount += byteCount
        peakByteCount = max(peakByteCount, heldByteCount)
    }

    private func release(_ byteCount: Int) { heldByteCount -= byteCount }

    /// The whole constant in memory; for vectors, scalars and other small operands.
    package func evaluate(_ constant: Constant) throws(ConstantError) -> DenseTensor {
        let tensor = try held(constant)
        release(tensor.heldByteCount)
        return tensor
    }

    /// The whole constant, counted as held until the caller releases it.
    private func held(_ constant: Constant) throws(ConstantError) -> DenseTensor {
        var result: DenseTensor
        var operands: [DenseTensor?] = []
        switch constant.source {
        case .literal(let tensor):
            result = tensor
            result.type = constant.type
        case .fill(let value): result = .repeating(value, type: constant.type)
        case .file(let range): return try held(range, type: constant.type)
        case .computed(let op, let inputs):
            for input in inputs {
                if let input { operands.append(try held(input)) } else { operands.append(nil) }
            }
            do throws(ShapeError) {
                result = try evaluateReference(op, inputs: operands, outputCount: 1)[0]
            } catch {
                throw .recipe(error)
            }
        }
        result.type.shape = constant.type.shape
        hold(result.heldByteCount)
        release(operands.reduce(0) { $0 + ($1?.heldByteCount ?? 0) })
        return result
    }

    private func held(_ range: FileRange, type: TensorType) throws(ConstantError) -> DenseTensor {
        var floats: [Float] = []
        var doubles: [Double] = []
        var integers: [Int64] = []
        let count = type.elementCount
        let byteCount: Int
        if type.dtype == .float64 {
            doubles.reserveCapacity(count)
            byteCount = count * 8
        } else if type.dtype.isFloatingPoint {
            floats.reserveCapacity(count)
            byteCount = count * 4
        } else {
            integers.reserveCapacity(count)
            byteCount = count * 8
        }
        hold(byteCount)
        try forEachPiece(of: range, dtype: type.dtype, first: 0, count: count) { _, piece in
            switch piece.storage {
            case .floats(let elements): floats += elements
            case .doubles(let elements): doubles += elements
            case .integers(let elements): integers += elements
            }
        }
        if type.dtype == .float64 { return DenseTensor(type: type, storage: .doubles(doubles)) }
        return DenseTensor(
            type: type,
            storage: type.dtype.isFloatingPoint ? .floats(floats) : .integers(integers)
        )
    }

    /// Decodes elements [first, first + count) of a file's range, a bounded number at a time.
    ///
    /// `body` gets the number of elements before the piece, and the piece.
    private func forEachPiece(
        of range: FileRange,
        dtype: DType,
        first: Int,
        count: Int,
        _ body: (Int, DenseTensor) -> Void
    ) throws(ConstantError) {
        let size = dtype.byteCount
        var done = 0
        while done < count {
            let length = min(Self.pieceElementCount, count - done)
            var bytes = [UInt8](repeating: 0, count: length * size)
            let start = range.offset + (first + done) * size
            let failure: FileError? = bytes.withUnsafeMutableBytes { target in
                do throws(FileError) {
                    try files[range.file].read(start..<start + length * size, into: target)
                    return nil
                } catch {
                    return error
                }
            }
            if let failure { throw .file(failure) }
            let piece = DenseTensor(type: TensorType(dtype, [length]), littleEndian: bytes)
            let held = bytes.count + piece.heldByteCount
            hold(held)
            body(done, piece)
            release(held)
            done += length
        }
    }

    /// Copies the bytes of a constant as they are in a file; false when it is not such a constant.
    func copy(
        _ constant: Constant,
        into target: UnsafeMutableRawBufferPointer
    ) throws(ConstantError) -> Bool {
        guard case .file(let range) = constant.source else { return false }
        do throws(FileError) {
            try files[range.file].read(range.offset..<range.offset + range.byteCount, into: target)
        } catch {
            throw .file(error)
        }
        return true
    }

    /// Floating-point elements that can be read piece by piece.
    enum Elements {
        case file(FileRange, DType)
        case fill(Float)
        case memory([Float])
    }

    /// Calls `body` with the elements of a constant; a recipe is evaluated once, before.
    func withElements(
        of constant: Constant,
        _ body: (Elements) throws(ConstantError) -> Void
    ) throws(ConstantError) {
        switch constant.source {
        case .file(let range) where constant.type.dtype.isFloatingPoint:
            try body(.file(range, constant.type.dtype))
        case .fill(let value):
            try body(.fill(Float(value)))
        case .computed(.cast(to: .float32), let inputs)
        where inputs.first??.type.dtype.isFloatingPoint == true:
            // Reading converts anyway.
            for case let input? in inputs { try withElements(of: input, body) }
        case .file, .literal, .computed:
            let elements = try heldFloats(constant)
            defer { release(elements.count * 4) }
            try body(.memory(elements))
        }
    }

    private func heldFloats(_ constant: Constant) throws(ConstantError) -> [Float] {
        let tensor = try held(constant)
        if case .floats(let elements) = tensor.storage { return elements }
        let elements = tensor.floats
        hold(elements.count * 4)
        release(tensor.heldByteCount)
        return elements
    }

    /// Elements [first, first + count) as float32 in staging; valid until the next call.
    func floats(
        of elements: Elements,
        first: Int,
        count: Int
    ) throws(ConstantError) -> UnsafePointer<Float> {
        reserve(count * 4)
        let target = staging.baseAddress?.assumingMemoryBound(to: Float.self)
        guard let target else { return UnsafePointer(bitPattern: 64).unsafelyUnwrapped }
        switch elements {
        case .file(let range, .float32):
            do throws(FileError) {
                let start = range.offset + first * 4
                try files[range.file].read(
                    start..<start + count * 4,
                    into: UnsafeMutableRawBufferPointer(start: target, count: count * 4)
                )
            } catch {
                throw .file(error)
            }
        case .file(let range, let dtype):
            try forEachPiece(of: range, dtype: dtype, first: first, count: count) { done, piece in
                for (index, value) in piece.floats.enumerated() { target[done + index] = value }
            }
        case .fill(let value):
            target.update(repeating: value, count: count)
        case .memory(let values):
            for index in 0..<count { target[index] = values[first + index] }
        }
        return UnsafePointer(target)
    }

    private func reserve(_ byteCount: Int) {
        guard staging.count < byteCount else { return }
        release(staging.count)
        staging.deallocate()
        staging = .allocate(byteCount: byteCount, alignment: 64)
        hold(byteCount)
    }
}

extension DenseTensor {
    /// Bytes its elements take in memory.
    fileprivate var heldByteCount: Int {
        switch storage {
        case .floats(let elements): elements.count * 4
        case .doubles(let elements): elements.count * 8
        case .integers(let elements): elements.count * 8
        }
    }
}
