import GraphIR
import KernelLibrary
import TensorMemory
import Testing

@Suite("Reading weights")
struct ConstantReaderTests {
    private let catalog = NativeCatalog(set: supportedSets[0], gemm: .native)

    /// A constant of whole numbers in a file, and what each element is.
    private func withConstant(
        _ dtype: DType,
        count: Int,
        _ body: (Constant, WeightFile) throws -> Void
    ) throws {
        let values = (0..<count).map { Float($0 % 1000) }
        let type = TensorType(dtype, [count])
        let tensor: DenseTensor =
            switch dtype {
            case .float64: DenseTensor(type: type, storage: .doubles(values.map { Double($0) }))
            case .int64: DenseTensor(type: type, storage: .integers(values.map { Int64($0) }))
            default: DenseTensor(type: type, storage: .floats(values))
            }
        let bytes = tensor.littleEndianBytes
        try TemporaryDirectory.with { directory in
            // An odd offset: weights in a file are not aligned.
            let file = try WeightFile(path: try directory.write("w", [0, 0, 0] + bytes))
            let range = FileRange(file: 0, offset: 3, byteCount: bytes.count)
            try body(Constant(type: type, source: .file(range)), file)
        }
    }

    /// Stores a constant as `type`, and returns its bytes and the host memory that it took.
    private func store(
        _ constant: Constant,
        as type: TensorType,
        from file: WeightFile
    ) throws -> (bytes: [UInt8], peak: Int) {
        let reader = ConstantReader(files: [file])
        let packer = WeightPacker(catalog: catalog, reader: reader)
        let capacity = (type.byteCount + 63) / 64 * 64
        let arena = try Arena<DeviceSpace>(capacity: capacity)
        let region = arena.region(0..<capacity)
        try packer.store(constant, as: type, to: region)
        let bytes = UnsafeRawBufferPointer(start: region.pointer, count: type.byteCount)
        return (Array(bytes), reader.peakByteCount)
    }

    private static let count = 5_000_000

    @Test(
        "floats of any width are converted in bounded memory",
        arguments: [DType.float16, .float32, .float64]
    )
    func conversions(dtype: DType) throws {
        try withConstant(dtype, count: Self.count) { constant, file in
            let type = TensorType(.float32, [Self.count])
            let cast = Constant(type: type, source: .computed(.cast(to: .float32), [constant]))
            for source in [constant, cast] {
                let (bytes, peak) = try store(source, as: type, from: file)
                let values = floats(bytes)
                #expect(values.indices.allSatisfy { values[$0] == Float($0 % 1000) })
                #expect(peak >= ConstantReader.stagingLimit)
                #expect(peak <= ConstantReader.stagingLimit + (2 << 20))
            }
        }
    }

    @Test("elements that are not converted need no memory on the way")
    func integers() throws {
        try withConstant(.int64, count: 100_000) { constant, file in
            let (bytes, peak) = try store(constant, as: constant.type, from: file)
            let tensor = DenseTensor(type: constant.type, littleEndian: bytes)
            #expect(tensor.integers == (0..<100_000).map { Int64($0 % 1000) })
            #expect(peak == 0)
        }
    }

    @Test("a recipe counts its operands and its result")
    func recipes() throws {
        try withConstant(.float32, count: Self.count) { constant, file in
            let sum = Constant(
                type: constant.type,
                source: .computed(.binary(.add), [constant, constant])
            )
            let (bytes, peak) = try store(sum, as: sum.type, from: file)
            let values = floats(bytes)
            #expect(values.indices.allSatisfy { values[$0] == 2 * Float($0 % 1000) })
            #expect(peak == 3 * 4 * Self.count)
            #expect(peak > 4 * Self.count + ConstantReader.stagingLimit)
        }
    }
}
