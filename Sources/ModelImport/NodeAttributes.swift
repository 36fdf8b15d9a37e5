import GraphIR

/// Typed access to the attributes of a node. A value of another kind than asked for is an error,
/// and so is an absent one where no default exists.
extension NodeForm {
    mutating func int(_ name: String) throws(ImportError) -> Int64? {
        switch attribute(name) {
        case nil: return nil
        case .int(let value)?: return value
        case let other?: throw mismatch(name, other, "an integer")
        }
    }

    /// A whole number within `range`.
    mutating func int(
        _ name: String,
        default standard: Int,
        in range: ClosedRange<Int>
    ) throws(ImportError) -> Int {
        guard let value = try int(name) else { return standard }
        guard let value = Int(exactly: value), range.contains(value) else {
            throw outOfRange(name, value)
        }
        return value
    }

    /// An integer that means yes (not 0) or no.
    mutating func flag(_ name: String, default standard: Bool = false) throws(ImportError) -> Bool {
        try int(name).map { $0 != 0 } ?? standard
    }

    /// An axis; negative ones count from the end.
    mutating func axis(
        _ name: String = "axis",
        default standard: Int? = nil
    ) throws(ImportError) -> Int {
        guard let value = try int(name) else {
            guard let standard else { throw absent(name) }
            return standard
        }
        guard axes.contains(value) else { throw outOfRange(name, value) }
        return Int(value)
    }

    mutating func ints(_ name: String) throws(ImportError) -> [Int64]? {
        switch attribute(name) {
        case nil: return nil
        case .ints(let values)?: return values
        // Files without types of attributes cannot tell an empty list from anything else.
        case .floats([])?: return []
        case let other?: throw mismatch(name, other, "a list of integers")
        }
    }

    /// A list of axes; nil when absent.
    mutating func axisList(_ name: String = "axes") throws(ImportError) -> [Int64]? {
        guard let values = try ints(name) else { return nil }
        for value in values where !axes.contains(value) { throw outOfRange(name, value) }
        return values
    }

    /// A list of sizes, each within `range`; empty when absent.
    mutating func sizes(
        _ name: String,
        in range: ClosedRange<Int>
    ) throws(ImportError) -> [Int] {
        var sizes: [Int] = []
        for value in try ints(name) ?? [] {
            guard let size = Int(exactly: value), range.contains(size) else {
                throw outOfRange(name, value)
            }
            sizes.append(size)
        }
        return sizes
    }

    mutating func float(_ name: String) throws(ImportError) -> Float? {
        switch attribute(name) {
        case nil: return nil
        case .float(let value)?: return value
        case let other?: throw mismatch(name, other, "a float")
        }
    }

    mutating func float(_ name: String, default standard: Float) throws(ImportError) -> Float {
        try float(name) ?? standard
    }

    mutating func floats(_ name: String) throws(ImportError) -> [Float]? {
        switch attribute(name) {
        case nil: return nil
        case .floats(let values)?: return values
        case .ints([])?: return []
        case let other?: throw mismatch(name, other, "a list of floats")
        }
    }

    mutating func string(_ name: String, default standard: String) throws(ImportError) -> String {
        switch attribute(name) {
        case nil: return standard
        case .string(let value)?: return value
        case let other?: throw mismatch(name, other, "a string")
        }
    }

    /// One of a few words.
    ///
    /// A word that is not among them belongs to a form we do not have.
    mutating func choice<Choice>(
        _ name: String,
        default standard: String,
        _ choices: KeyValuePairs<String, Choice>
    ) throws(ImportError) -> Choice {
        let word = try string(name, default: standard)
        guard let choice = choices.first(where: { $0.key == word }) else {
            throw unsupported("with \(name) \(quoted(word))")
        }
        return choice.value
    }

    func absent(_ name: String) -> ImportError { invalid("has no attribute \(quoted(name))") }

    private func mismatch(_ name: String, _ value: AttributeValue, _ kind: String) -> ImportError {
        invalid("has \(value.kind) as its attribute \(quoted(name)), not \(kind)")
    }

    private func outOfRange(_ name: String, _ value: Int64) -> ImportError {
        invalid("has \(value) in its attribute \(quoted(name)), which is out of range")
    }
}

/// No tensor has more axes than this, so that arithmetic on them cannot overflow.
private let axes: ClosedRange<Int64> = -64...63

/// What a stride, a kernel size or a number of groups may be.
let positiveSizes = 1...Int(Int32.max)
/// What a padding may be.
let sizesFromZero = 0...Int(Int32.max)
