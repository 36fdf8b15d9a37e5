import CStb

extension Image {
    /// The picture with another number of channels: the luma of colours, or equal colours.
    public func converted(toChannels target: Int) -> Image {
        precondition(target == 1 || target == 3, "an image is gray or has three colours")
        if target == channels { return self }
        var result: [UInt8] = []
        result.reserveCapacity(width * height * target)
        for pixel in 0..<(width * height) {
            if target == 3 {
                for _ in 0..<3 { result.append(samples[pixel]) }
            } else {
                // Weights of ITU-R BT.601 in 1/256.
                let red = 77 * Int(samples[3 * pixel])
                let green = 150 * Int(samples[3 * pixel + 1])
                let blue = 29 * Int(samples[3 * pixel + 2])
                result.append(UInt8((red + green + blue + 128) / 256))
            }
        }
        return Image(width: width, height: height, channels: target, samples: result)
    }

    /// The picture in colour, enlarged where it is small, with a frame and a label around each
    /// detection.
    public func annotated(with detections: [Detection]) -> Image {
        let factor = max(1, min(4, 640 / max(width, height)))
        var canvas = converted(toChannels: 3).resized(
            width: width * factor,
            height: height * factor
        )
        for detection in detections.sorted(by: { $0.score < $1.score }) {
            let colour = palette[detection.classIndex % palette.count]
            let box = detection.box
            func pixel(_ edge: Float) -> Int { Int((edge * Float(factor)).rounded()) }
            let (left, right) = (pixel(box.left), pixel(box.right))
            let (top, bottom) = (pixel(box.top), pixel(box.bottom))
            canvas.fill(left, top, right, top + 2, colour)
            canvas.fill(left, bottom - 2, right, bottom, colour)
            canvas.fill(left, top, left + 2, bottom, colour)
            canvas.fill(right - 2, top, right, bottom, colour)
            let percent = Int((min(1, detection.score) * 100).rounded())
            // Names come from the model's file; longer ones than this leave any picture.
            let label = "\(detection.label.prefix(80)) \(percent)%"
            canvas.write(label, x: left, y: max(0, top - 12), colour)
        }
        return canvas
    }

    /// Fills a rectangle, as far as it is inside.
    private mutating func fill(
        _ left: Int,
        _ top: Int,
        _ right: Int,
        _ bottom: Int,
        _ colour: Colour
    ) {
        let columns = max(0, left)..<max(0, left, min(width, right))
        for y in max(0, top)..<max(0, top, min(height, bottom)) {
            for x in columns {
                let start = (y * width + x) * 3
                samples[start] = colour.red
                samples[start + 1] = colour.green
                samples[start + 2] = colour.blue
            }
        }
    }

    /// Writes a line of ASCII text on a patch of `ground`, its upper left corner at (x, y).
    private mutating func write(_ text: String, x: Int, y: Int, _ ground: Colour) {
        var characters = text.utf8CString.map { $0 < 0 ? CChar(63) : $0 }
        fill(x, y, x + Int(stb_easy_font_width(&characters)) + 4, y + 12, ground)
        // Four corners a rectangle, each three floats and four bytes of colour.
        var corners = [Float](repeating: 0, count: 16 * 64 * max(text.utf8.count, 1))
        let quads = stb_easy_font_print(
            Float(x + 2),
            Float(y + 2),
            &characters,
            nil,
            &corners,
            Int32(corners.count * 4)
        )
        for quad in 0..<Int(quads) {
            let first = 16 * quad
            fill(
                Int(corners[first]),
                Int(corners[first + 1]),
                Int(corners[first + 8]),
                Int(corners[first + 9]),
                Colour(red: 0, green: 0, blue: 0)
            )
        }
    }
}

private struct Colour {
    var red, green, blue: UInt8
}

/// Colours that are told apart on light and dark pictures, and carry black text.
private let palette: [Colour] = [
    Colour(red: 255, green: 110, blue: 90), Colour(red: 90, green: 200, blue: 90),
    Colour(red: 110, green: 160, blue: 255), Colour(red: 250, green: 200, blue: 60),
    Colour(red: 220, green: 120, blue: 240), Colour(red: 80, green: 215, blue: 215),
    Colour(red: 255, green: 150, blue: 40), Colour(red: 170, green: 220, blue: 80),
    Colour(red: 240, green: 130, blue: 170), Colour(red: 170, green: 170, blue: 250),
]
