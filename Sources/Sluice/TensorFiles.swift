import GraphIR

extension Tensor {
    /// Reads a NumPy `.npy` file.
    public init(readingNPY path: String) throws(SluiceError) {
        do throws(NPYError) {
            self.init(try Sluice.readNPY(path: path))
        } catch {
            throw SluiceError(error)
        }
    }

    /// Writes a NumPy `.npy` file; the file appears whole or not at all, also when the process is
    /// interrupted meanwhile.
    public func writeNPY(to path: String) throws(SluiceError) {
        try uninterrupted { () throws(NPYError) in
            try Sluice.writeNPY(
                NPYArray(dtype: elementType.dtype, shape: shape, bytes: bytes),
                to: path
            )
        }
    }
}
