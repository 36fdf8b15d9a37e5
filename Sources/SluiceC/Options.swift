import Sluice

extension RunOptions {
    /// Options from a list of C texts, each "key=value", that NULL ends.
    init(_ texts: UnsafePointer<UnsafePointer<CChar>?>?) throws(SluiceError) {
        self.init()
        var next = texts
        while let text = next?.pointee {
            try set(String(cString: text))
            next = next?.successor()
        }
    }

    private mutating func set(_ text: String) throws(SluiceError) {
        guard let equals = text.firstIndex(of: "=") else {
            throw SluiceError(.usage, "option '\(text)': write KEY=VALUE")
        }
        let value = String(text[text.index(after: equals)...])
        switch text[..<equals] {
        case "device-memory": deviceMemory = try MemoryBudget(parsing: value)
        case "isa": instructionSet = value
        case "threads":
            guard let count = Int(value) else {
                throw SluiceError(.usage, "option '\(text)': give a number of threads")
            }
            threads = count
        case "exact":
            guard let flag = Bool(value) else {
                throw SluiceError(.usage, "option '\(text)': write true or false")
            }
            isExact = flag
        case "shape": try addShape(parsing: value)
        default:
            throw SluiceError(
                .usage,
                "there is no option '\(text[..<equals])'; there is: device-memory, exact, isa, "
                    + "shape, threads"
            )
        }
    }
}
