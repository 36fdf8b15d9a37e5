import Sluice

/// Files that were cut off or changed, made from a good one.
///
/// Small files are treated byte by byte. Of larger ones the places are taken where fields meet,
/// with those beside them, and others at random, always the same.
package struct Damage {
    private let bytes: [UInt8]
    private let places: [Int]
    private let seed: UInt64

    /// Damage to a file of these bytes; `boundaries` are where the fields of a large one meet.
    package init(of bytes: [UInt8], boundaries: [Int] = [], seed: UInt64 = 1) {
        self.bytes = bytes
        self.seed = seed
        guard bytes.count > 8 << 10 else {
            places = Array(bytes.indices)
            return
        }
        var generator = SplitMix64(seed: seed)
        var chosen = Set(boundaries.flatMap { [$0 - 1, $0, $0 + 1] })
        for _ in 0..<2000 { chosen.insert(Int(generator.next() % UInt64(bytes.count))) }
        places = chosen.filter(bytes.indices.contains).sorted()
    }

    /// The file, ending before each of the places.
    package var cutOff: some Sequence<[UInt8]> {
        places.lazy.map { Array(bytes[..<$0]) }
    }

    /// The file, with another byte at each of the places.
    package var changed: some Sequence<[UInt8]> {
        places.lazy.map { place in
            var generator = SplitMix64(seed: seed &+ UInt64(place))
            var damaged = bytes
            damaged[place] ^= UInt8(1 + generator.next() % 255)
            return damaged
        }
    }

    /// Copies of the file with one to six bytes replaced at random.
    package func scattered(_ count: Int) -> some Sequence<[UInt8]> {
        (0..<count).lazy.map { number in
            var generator = SplitMix64(seed: seed &* 1_000_003 &+ UInt64(number))
            var damaged = bytes
            guard !damaged.isEmpty else { return damaged }
            for _ in 0...(generator.next() % 6) {
                let place = Int(generator.next() % UInt64(damaged.count))
                // Half of them zero, all ones or one off: sizes and counts break on those.
                damaged[place] =
                    switch generator.next() % 8 {
                    case 0: 0
                    case 1: 0xff
                    case 2: 0x7f
                    case 3: damaged[place] &+ 1
                    default: UInt8(generator.next() & 0xff)
                    }
            }
            return damaged
        }
    }
}
