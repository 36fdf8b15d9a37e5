/// A Swift type whose values are elements of tensors, as they stand in memory.
public protocol TensorElement: BitwiseCopyable, Sendable {
    /// What tensors of such elements say of them.
    static var elementType: ElementType { get }
}

extension Float: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .float32 }
}

extension Double: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .float64 }
}

extension Int8: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .int8 }
}

extension Int16: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .int16 }
}

extension Int32: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .int32 }
}

extension Int64: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .int64 }
}

extension UInt8: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .uint8 }
}

extension UInt16: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .uint16 }
}

extension UInt32: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .uint32 }
}

extension UInt64: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .uint64 }
}

extension Bool: TensorElement {
    /// What tensors of such elements say of them.
    public static var elementType: ElementType { .bool }
}

extension Tensor {
    /// A tensor of the elements of an array, in row-major order.
    ///
    /// Literals such as `0.5` alone make a tensor of float32, as networks take.
    ///
    /// - Precondition: `elements` holds as many elements as `shape` says.
    @_disfavoredOverload
    public init<Element: TensorElement>(shape: [Int], _ elements: [Element]) {
        precondition(elements.count == shape.reduce(1, *), "elements do not fill the shape")
        self.init(
            elementType: Element.elementType,
            shape: shape,
            bytes: elements.withUnsafeBytes { Array($0) }
        )
    }

    /// A copy of the elements, in row-major order.
    ///
    /// - Throws: `SluiceError` when the tensor has elements of another type.
    public func elements<Element: TensorElement>(
        of type: Element.Type = Element.self
    ) throws(SluiceError) -> [Element] {
        try withUnsafeElements(of: type) { Array($0) }
    }

    /// Calls `body` with the elements where they are; nothing is copied.
    ///
    /// The pointer is valid only inside `body`.
    ///
    /// - Throws: `SluiceError` when the tensor has elements of another type.
    public func withUnsafeElements<Element: TensorElement, Result>(
        of type: Element.Type = Element.self,
        _ body: (UnsafeBufferPointer<Element>) -> Result
    ) throws(SluiceError) -> Result {
        guard elementType == Element.elementType else {
            throw SluiceError(
                .usage,
                "the tensor holds \(elementType), not \(Element.elementType)"
            )
        }
        return bytes.withUnsafeBytes { $0.withMemoryRebound(to: Element.self, body) }
    }

    /// Calls `body` with the bytes where they are; nothing is copied.
    ///
    /// The pointer is valid only inside `body`.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes(body)
    }
}
