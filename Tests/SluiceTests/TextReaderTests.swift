import Sluice
import Testing

@Suite("Reading text")
struct TextReaderTests {
    /// A map with probability 0.9 where `isText` says so.
    private func map(
        _ width: Int,
        _ height: Int,
        _ isText: (Float, Float) -> Bool
    ) -> [Float] {
        (0..<(width * height)).map {
            isText(Float($0 % width) + 0.5, Float($0 / width) + 0.5) ? 0.9 : 0.1
        }
    }

    @Test("an upright area becomes its rectangle, grown by what training shrinks")
    func uprightBox() throws {
        let probability = map(100, 60) { x, y in (20..<60).contains(x) && (30..<40).contains(y) }
        let boxes = textBoxes(in: probability, width: 100, height: 60)
        let box = try #require(boxes.first)
        #expect(boxes.count == 1)
        #expect(abs(box.centre.x - 40) < 1e-3 && abs(box.centre.y - 35) < 1e-3)
        // 40 x 10: area over perimeter is 4, times 1.6, on each side.
        #expect(abs(box.width - 52.8) < 1e-3 && abs(box.height - 22.8) < 1e-3)
        #expect(abs(box.direction.x - 1) < 1e-6 && abs(box.direction.y) < 1e-6)
    }

    @Test("a slanted area gives a slanted box")
    func slantedBox() throws {
        let slope: Float = 0.2
        let probability = map(200, 120) { x, y in
            (30..<170).contains(x) && abs(y - 60 - slope * (x - 100)) < 8
        }
        let box = try #require(textBoxes(in: probability, width: 200, height: 120).first)
        #expect(abs(box.direction.y / box.direction.x - slope) < 0.03)
        #expect(abs(box.centre.x - 100) < 2 && abs(box.centre.y - 60) < 2)
    }

    @Test("faint and tiny areas are no text, touching corners join")
    func components() {
        let faint = map(40, 40) { _, _ in false }.map { $0 * 4 }
        #expect(textBoxes(in: faint, width: 40, height: 40).isEmpty)
        let tiny = map(40, 40) { x, y in (10..<12).contains(x) && (10..<30).contains(y) }
        #expect(textBoxes(in: tiny, width: 40, height: 40).isEmpty)
        let steps = map(40, 40) { x, y in Int(x) / 10 == Int(y) / 10 }
        #expect(textBoxes(in: steps, width: 40, height: 40).count == 1)
        let apart = map(40, 40) { x, _ in !(18..<22).contains(x) }
        #expect(textBoxes(in: apart, width: 40, height: 40).count == 2)
    }

    @Test("a crop holds the pixels of its box, also when the text runs downwards")
    func crops() {
        let image = Image(
            width: 40,
            height: 30,
            channels: 1,
            samples: (0..<1200).map { UInt8($0 % 251) }
        )
        let flat = TextBox(
            centre: .init(x: 15, y: 10),
            axis: .init(x: 1, y: 0),
            halfSides: (5, 3)
        )
        let crop = image.cropped(to: flat)
        #expect(crop.width == 10 && crop.height == 6)
        let wanted = (7..<13).flatMap { y in (10..<20).map { image.samples[y * 40 + $0] } }
        #expect(crop.samples == wanted)
        #expect(crop.turnedAround().samples == wanted.reversed())

        let tall = TextBox(centre: .init(x: 15, y: 10), axis: .init(x: 1, y: 0), halfSides: (3, 6))
        let turned = image.cropped(to: tall)
        #expect(turned.width == 12 && turned.height == 6)
        // Its upper left corner is the upper right one of the box: text runs down.
        #expect(turned.samples[0] == image.samples[4 * 40 + 17])
    }

    @Test("lines are read from top to bottom, those side by side from left to right")
    func readingOrder() {
        func box(_ x: Float, _ y: Float) -> TextBox {
            TextBox(centre: .init(x: x, y: y), axis: .init(x: 1, y: 0), halfSides: (20, 8))
        }
        let order = inReadingOrder([box(100, 51), box(30, 90), box(30, 53), box(30, 10)])
        #expect(order.map(\.centre.x) == [30, 30, 100, 30])
        #expect(order.map(\.centre.y) == [10, 53, 51, 90])
    }

    @Test("repeated classes are one character unless a blank stands between them")
    func collapsesRepeats() {
        let characters = ["", "a", "b"]
        func steps(_ classes: [Int]) -> [Float] {
            classes.flatMap { best in (0..<3).map { $0 == best ? 0.8 : 0.1 } }
        }
        let read = decodeCTC(steps([0, 1, 1, 0, 1, 2, 2, 0]), characters: characters)
        #expect(read.text == "aab")
        #expect(abs(read.score - 0.8) < 1e-6)
        #expect(decodeCTC(steps([0, 0]), characters: characters).text.isEmpty)
    }
}
