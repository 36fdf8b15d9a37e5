import Sluice
import Testing

@Suite("Tensors")
struct TensorTests {
    @Test("arrays go in and come out as they are")
    func arrays() throws {
        let numbers: [Int64] = [.min, -1, 0, .max]
        let tensor = Tensor(shape: [2, 2], numbers)
        #expect(tensor.elementType == .int64)
        #expect(try tensor.elements() == numbers)
        #expect(try tensor.withUnsafeElements(of: Int64.self) { $0[3] } == .max)
        #expect(tensor.withUnsafeBytes { $0.count } == 32)
        #expect(
            try Tensor(shape: [3], [true, false, true]).elements(of: Bool.self) == [
                true, false, true,
            ]
        )
        #expect(try Tensor(shape: [], [2.5 as Double]).elements() == [2.5])
        #expect(Tensor(shape: [2], [1, 2]).elementType == .float32)
        #expect(Tensor(shape: [2], [0.5, 2]).elementType == .float32)
        #expect(Tensor(shape: [2], Array(repeating: 0.5, count: 2)).elementType == .float32)
        #expect(Tensor(shape: [2], [0.5, 2] as [Double]).elementType == .float64)
    }

    @Test("elements of another type are refused")
    func wrongType() {
        let tensor = Tensor(shape: [1], [1])
        let error = #expect(throws: SluiceError.self) { try tensor.elements(of: Int32.self) }
        #expect(error?.kind == .usage)
        #expect(error?.message == "the tensor holds float32, not int32")
    }

    @Test("what is read is where the tensor holds it")
    func noCopy() throws {
        let tensor = Tensor(shape: [1024], [Float](repeating: 1, count: 1024))
        let bytes = tensor.withUnsafeBytes { $0.baseAddress }
        #expect(
            try tensor.withUnsafeElements(of: Float.self) { UnsafeRawPointer($0.baseAddress) }
                == bytes
        )
    }
}
