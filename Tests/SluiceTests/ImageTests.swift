import Glibc
import HostileInput
import Sluice
import Testing

@Suite("Images and detections")
struct ImageTests {
    private func pattern(width: Int, height: Int, channels: Int) -> Image {
        let samples = (0..<(width * height * channels)).map { UInt8(truncatingIfNeeded: $0 * 37) }
        return Image(width: width, height: height, channels: channels, samples: samples)
    }

    @Test("what is written as PNG is read back sample by sample", arguments: [1, 3])
    func pngKeepsEverySample(channels: Int) throws {
        let image = pattern(width: 13, height: 7, channels: channels)
        let back = try withFile(named: "a.png") { path in
            try image.writePNG(to: path)
            return try Image(reading: path, channels: channels)
        }
        #expect(back == image)
    }

    @Test("a file that is no picture is bad data, a file that is not there is missing")
    func brokenFilesAreRefused() throws {
        try withFile(named: "a.png") { path in
            let missing = #expect(throws: SluiceError.self) { try Image(reading: path) }
            #expect(missing?.kind == .missingFile)
            let file = try #require(fopen(path, "w"))
            fputs("no picture", file)
            fclose(file)
            let broken = #expect(throws: SluiceError.self) { try Image(reading: path) }
            #expect(broken?.kind == .badData)
        }
    }

    @Test("a truncated PNG is refused")
    func truncatedPNGIsRefused() throws {
        try withFile(named: "a.png") { path in
            try pattern(width: 40, height: 30, channels: 3).writePNG(to: path)
            #expect(truncate(path, 60) == 0)
            #expect(throws: SluiceError.self) { try Image(reading: path) }
        }
    }

    @Test("what no file of this length can hold is refused before memory is taken for it")
    func impossibleSizesAreRefused() throws {
        // A gray PNG of 16 million pixels a side, and a JPEG of 65535 that ends at once.
        let claim: [UInt8] = [0, 0xff, 0xff, 0xff]
        let header = [0, 0, 0, 13] + Array("IHDR".utf8) + claim + claim + [8, 0, 0, 0, 0]
        let png = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] + header + [0, 0, 0, 0]
        let frame: [UInt8] = [0xff, 0xc0, 0, 11, 8, 0xff, 0xff, 0xff, 0xff, 1, 1, 0x11, 0]
        let jpeg = [0xff, 0xd8] + frame + [0xff, 0xda, 0, 2, 0xff, 0xd9]
        for bytes in [png, jpeg] {
            let error = #expect(throws: SluiceError.self) {
                _ = try withFile(of: bytes) { try Image(reading: $0) }
            }
            #expect(error?.kind == .badData)
            #expect(error?.message.contains("bytes cannot hold") ?? false)
        }
    }

    @Test("a JPEG file is refused whose scans need a table that is not there, or is too long")
    func brokenTablesAreRefused() throws {
        func read(_ bytes: [UInt8]) throws {
            _ = try withFile(of: bytes) { try Image(reading: $0) }
        }
        func message(_ bytes: [UInt8]) -> String {
            #expect(throws: SluiceError.self) { try read(bytes) }?.message ?? ""
        }
        func table(_ name: UInt8, codes: [UInt8]) -> [UInt8] {
            let values = codes.reduce(0) { $0 + Int($1) }
            let length = 19 + values
            return [0xff, 0xc4, UInt8(length >> 8), UInt8(length & 0xff), name] + codes
                + [UInt8](repeating: 0, count: values)
        }
        let frame: [UInt8] = [0xff, 0xc0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0]
        func picture(_ tables: [UInt8], scan: UInt8) -> [UInt8] {
            [0xff, 0xd8] + frame + tables + [0xff, 0xda, 0, 8, 1, 1, scan, 0, 63, 0, 0xff, 0xd9]
        }
        let one = [0, 1] + [UInt8](repeating: 0, count: 14)
        let both = table(0, codes: one) + table(0x10, codes: one)
        try read(picture(both, scan: 0))
        #expect(message(picture(both, scan: 0x10)).contains("not there"))
        #expect(message(picture(both, scan: 0x01)).contains("not there"))
        #expect(message(picture(table(0, codes: one), scan: 0)).contains("not there"))
        let long = [UInt8](repeating: 0, count: 14) + [128, 129]
        #expect(message(picture(both + table(1, codes: long), scan: 0)).contains("broken"))
    }

    @Test("resizing keeps a flat picture flat", arguments: [(1, 1), (5, 90), (64, 3), (31, 31)])
    func flatStaysFlat(size: (Int, Int)) {
        let flat = Image(
            width: 31,
            height: 17,
            channels: 3,
            samples: Array(repeating: 201, count: 31 * 17 * 3)
        )
        let resized = flat.resized(width: size.0, height: size.1)
        #expect(resized.width == size.0 && resized.height == size.1)
        #expect(resized.samples.allSatisfy { $0 == 201 })
    }

    @Test("shrinking to one pixel gives the mean, not one of the samples")
    func shrinkingAverages() {
        let stripes = Image(
            width: 64,
            height: 64,
            channels: 1,
            samples: (0..<4096).map { $0.isMultiple(of: 2) ? 0 : 200 }
        )
        #expect(abs(Int(stripes.resized(width: 1, height: 1).samples[0]) - 100) <= 1)
    }

    @Test("a tensor holds channel after channel, normalised")
    func tensorIsPlanar() {
        let image = Image(width: 2, height: 1, channels: 3, samples: [0, 51, 255, 102, 153, 204])
        let tensor = image.tensor(mean: 0.5, deviation: 0.5)
        #expect(tensor.shape == [1, 3, 1, 2])
        for (found, wanted) in zip(tensor.floats, [-1, -0.2, -0.6, 0.2, 1, 0.6] as [Float]) {
            #expect(abs(found - wanted) < 1e-6)
        }
    }

    private func detection(_ index: Int, _ score: Float, _ left: Float) -> Detection {
        Detection(
            classIndex: index,
            label: "\(index)",
            score: score,
            box: .init(left: left, top: 0, right: left + 10, bottom: 10)
        )
    }

    @Test("of overlapping boxes of a class the best stays, whatever their order")
    func bestOfOverlapping() {
        // Overlaps with the first: 9/11, 6/14 and none.
        let found = [detection(0, 0.6, 1), detection(0, 0.9, 0), detection(0, 0.5, 4)]
        #expect(suppressOverlaps(found, above: 0.5).map(\.score) == [0.9, 0.5])
        #expect(suppressOverlaps(found, above: 0.4).map(\.score) == [0.9])
        #expect(suppressOverlaps(found.reversed(), above: 0.5).map(\.score) == [0.9, 0.5])
    }

    @Test("boxes of two classes stay unless they cover nearly the same place")
    func classesShareAPlace() {
        let apart = [detection(0, 0.9, 0), detection(1, 0.8, 2.5)]  // 7.5/12.5
        #expect(suppressOverlaps(apart, above: 0.5).count == 2)
        let same = [detection(0, 0.9, 0), detection(1, 0.8, 1)]  // 9/11
        #expect(suppressOverlaps(same, above: 0.5).map(\.classIndex) == [0])
    }

    @Test("annotations stay inside the picture")
    func annotationsAreClipped() {
        var outside = detection(3, 0.5, 100)
        outside.box = .init(left: -20, top: -5, right: 900, bottom: 700)
        let image = pattern(width: 32, height: 20, channels: 1)
        let drawn = image.annotated(with: [outside, detection(1, 1, 28)])
        #expect(drawn.channels == 3)
        #expect(drawn.width == 128 && drawn.height == 80)
    }
}
