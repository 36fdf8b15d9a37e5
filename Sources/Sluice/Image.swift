import CStb
import Glibc

/// A picture of 8-bit samples, as image files hold it.
public struct Image: Sendable, Hashable {
    /// Pixels in a row.
    public let width: Int
    /// Rows.
    public let height: Int
    /// 1 for gray, 3 for red, green, blue.
    public let channels: Int
    /// All samples: row by row, the channels of a pixel side by side.
    public internal(set) var samples: [UInt8]

    /// A picture of the given samples.
    ///
    /// - Precondition: both sides are positive, `channels` is 1 or 3, and `samples` fills them.
    public init(width: Int, height: Int, channels: Int, samples: [UInt8]) {
        precondition(width > 0 && height > 0, "an image has at least one pixel")
        precondition(channels == 1 || channels == 3, "an image is gray or has three colours")
        precondition(samples.count == width * height * channels, "samples do not fill the image")
        self.width = width
        self.height = height
        self.channels = channels
        self.samples = samples
    }

    /// Reads a PNG or JPEG file, converted to gray (1) or colour (3).
    ///
    /// Transparency is dropped.
    public init(reading path: String, channels: Int = 3) throws(SluiceError) {
        self = try readImage(path: path, channels: channels)
    }

    /// Writes a PNG file; it appears whole or not at all.
    public func writePNG(to path: String) throws(SluiceError) {
        var encoded: [UInt8] = []
        let isEncoded = withUnsafeMutablePointer(to: &encoded) { target in
            stbi_write_png_to_func(
                { target, bytes, count in
                    guard let target, let bytes else { return }
                    target.assumingMemoryBound(to: [UInt8].self).pointee.append(
                        contentsOf: UnsafeRawBufferPointer(start: bytes, count: Int(count))
                    )
                },
                target,
                Int32(width),
                Int32(height),
                Int32(channels),
                samples,
                Int32(width * channels)
            ) != 0
        }
        guard isEncoded else {
            throw SluiceError(.system, "no memory to write image '\(path)'")
        }
        try uninterrupted { () throws(NPYError) in
            try encoded.withUnsafeBufferPointer { (bytes) throws(NPYError) in
                try writeFile(UnsafeRawBufferPointer(bytes), to: path)
            }
        }
    }

    /// The picture at another size, sampled bilinearly.
    ///
    /// Where it shrinks, every sample is the mean of the area it stands for, so that thin strokes
    /// fade instead of vanishing.
    public func resized(width newWidth: Int, height newHeight: Int) -> Image {
        if newWidth == width, newHeight == height { return self }
        let columns = ResampleWeights(from: width, to: newWidth)
        let rows = ResampleWeights(from: height, to: newHeight)
        var middle = [Float](repeating: 0, count: newWidth * height * channels)
        for y in 0..<height {
            for x in 0..<newWidth {
                for (source, weight) in columns[x] {
                    for channel in 0..<channels {
                        middle[(y * newWidth + x) * channels + channel] +=
                            weight * Float(samples[(y * width + source) * channels + channel])
                    }
                }
            }
        }
        let line = newWidth * channels
        var result = [UInt8](repeating: 0, count: newHeight * line)
        var sums = [Float](repeating: 0, count: line)
        for y in 0..<newHeight {
            for x in sums.indices { sums[x] = 0.5 }
            for (source, weight) in rows[y] {
                for x in sums.indices { sums[x] += weight * middle[source * line + x] }
            }
            for x in sums.indices { result[y * line + x] = UInt8(max(0, min(255, sums[x]))) }
        }
        return Image(width: newWidth, height: newHeight, channels: channels, samples: result)
    }

    /// The picture in the upper left corner of a larger one, the rest filled with `gray`.
    ///
    /// - Precondition: the new size is not smaller.
    public func padded(width newWidth: Int, height newHeight: Int, gray: UInt8 = 128) -> Image {
        precondition(newWidth >= width && newHeight >= height, "padding cannot shrink an image")
        var result = [UInt8](repeating: gray, count: newWidth * newHeight * channels)
        for y in 0..<height {
            let source = y * width * channels
            let target = y * newWidth * channels
            result.replaceSubrange(
                target..<(target + width * channels),
                with: samples[source..<(source + width * channels)]
            )
        }
        return Image(width: newWidth, height: newHeight, channels: channels, samples: result)
    }

    /// The samples as a tensor of shape 1 x channels x height x width.
    ///
    /// Each element is `(sample / 255 - mean) / deviation`.
    public func tensor(mean: Float = 0, deviation: Float = 1) -> Tensor {
        let scale = 1 / (255 * deviation)
        let offset = -mean / deviation
        var elements: [Float] = []
        elements.reserveCapacity(samples.count)
        for channel in 0..<channels {
            for pixel in 0..<(width * height) {
                elements.append(Float(samples[pixel * channels + channel]) * scale + offset)
            }
        }
        return Tensor(shape: [1, channels, height, width], elements)
    }
}

/// Which samples of a line make each sample of a resized line.
private struct ResampleWeights {
    private var contributions: [[(Int, Float)]] = []

    init(from source: Int, to target: Int) {
        let ratio = Float(source) / Float(target)
        let reach = max(ratio, 1)
        for index in 0..<target {
            let centre = (Float(index) + 0.5) * ratio - 0.5
            let first = max(0, Int((centre - reach).rounded(.up)))
            let last = min(source - 1, Int((centre + reach).rounded(.down)))
            var weights: [(Int, Float)] = []
            var total: Float = 0
            for position in first...last {
                let weight = 1 - abs(Float(position) - centre) / reach
                if weight > 0 {
                    weights.append((position, weight))
                    total += weight
                }
            }
            contributions.append(weights.map { ($0.0, $0.1 / total) })
        }
    }

    subscript(index: Int) -> [(Int, Float)] { contributions[index] }
}
