/// Reads the text of pictures with three networks of the PP-OCR family.
///
/// One finds the lines, one tells whether a line is upside down, one reads it. They run one after
/// another in one device budget: a session is closed before the next one opens.
public struct TextReader: Sendable {
    /// A line of text.
    public struct Line: Sendable, Hashable {
        /// What it says.
        public var text: String
        /// The mean probability of its characters.
        public var score: Float
        /// Where it is.
        public var box: TextBox
    }

    /// What one network used while a picture was read.
    public struct Usage: Sendable {
        /// What the network does: detection, direction or recognition.
        public var network: String
        /// How many times it ran.
        public var runs = 0
        /// The highest measured device peak of its sessions, in bytes.
        public var devicePeakBytes = 0
        /// What the same sessions would use without a budget, in bytes.
        public var residentDeviceBytes = 0
        /// Weights uploaded in all its runs, in bytes.
        public var weightBytesStreamed = 0
        /// The budget was a percentage below the minimum of a session, which then took its minimum.
        public var wasRaisedToMinimum = false
        /// Steps that run on kernels which are correct but not tuned.
        public var warnings: [String] = []

        init(_ network: String) { self.network = network }

        mutating func add(_ session: InferenceSession, runs count: Int) {
            runs += count
            devicePeakBytes = max(devicePeakBytes, session.devicePeakBytes)
            residentDeviceBytes = max(residentDeviceBytes, session.plan.residentDeviceBytes)
            weightBytesStreamed += count * session.plan.weightBytesStreamed
            wasRaisedToMinimum = wasRaisedToMinimum || session.plan.wasRaisedToMinimum
            warnings += session.plan.warnings.filter { !warnings.contains($0) }
        }
    }

    private let detection: Model
    private let direction: Model
    private let recognition: Model
    private let options: RunOptions
    private let characters: [String]

    /// A reader that runs each network inside the budget of `options`.
    ///
    /// The recognition model carries its characters as metadata `character`, one a line.
    public init(
        detection: Model,
        direction: Model,
        recognition: Model,
        options: RunOptions = RunOptions()
    ) throws(SluiceError) {
        guard let dictionary = recognition.metadata["character"] else {
            throw SluiceError(
                .badData,
                "'\(recognition.path)' carries no metadata 'character' with the letters it reads"
            )
        }
        for model in [detection, direction, recognition] where model.inputs.count != 1 {
            throw SluiceError(.badData, "'\(model.path)' has not one input: it reads no pictures")
        }
        self.detection = detection
        self.direction = direction
        self.recognition = recognition
        self.options = options
        // Class 0 means no character; a space comes after those of the dictionary.
        let letters = dictionary.split(separator: "\n", omittingEmptySubsequences: false)
        characters = [""] + letters.map(String.init) + [" "]
    }

    /// Reads a picture; lines come in reading order, with what each network used.
    ///
    /// Lines with a mean probability below `threshold` are left out.
    public func read(
        _ picture: Image,
        threshold: Float = 0.5
    ) throws(SluiceError) -> (lines: [Line], usage: [Usage]) {
        let picture = picture.converted(toChannels: 3)
        var usage = [Usage("detection"), Usage("direction"), Usage("recognition")]
        let boxes = inReadingOrder(try findBoxes(picture, &usage[0]))
        guard !boxes.isEmpty else { return ([], usage) }
        let crops = try upright(boxes.map(picture.cropped), &usage[1])
        let texts = try recognize(crops, &usage[2])
        let lines = zip(boxes, texts).map { Line(text: $1.text, score: $1.score, box: $0) }
        let isReadable: (Line) -> Bool = {
            $0.score >= threshold && $0.score.isFinite && !$0.text.isEmpty
        }
        return (lines.filter(isReadable), usage)
    }

    private func open(_ model: Model, _ shape: [Int]) throws(SluiceError) -> InferenceSession {
        var options = options
        options.shapes = [model.inputs[0].name: shape]
        return try InferenceSession(model: model, options: options)
    }

    /// The only output of a run on one picture.
    private func run(
        _ session: InferenceSession,
        _ tensor: Tensor
    ) throws(SluiceError) -> Tensor {
        let outputs = try session.run([session.plan.model.inputs[0].name: tensor])
        guard let first = outputs[session.plan.outputNames[0]] else {
            throw SluiceError(.badData, "'\(session.plan.model.path)' has no output")
        }
        return first
    }

    private func findBoxes(
        _ picture: Image,
        _ usage: inout Usage
    ) throws(SluiceError) -> [TextBox] {
        // Small letters need pixels: the shorter side gets at least 736.
        let scale = max(1, 736 / Float(min(picture.width, picture.height)))
        func side(_ length: Int) -> Int {
            max(32, Int((Float(length) * scale / 32).rounded()) * 32)
        }
        let (width, height) = (side(picture.width), side(picture.height))
        // Refuses sizes that do not fit before anything of that size is made.
        let session = try open(detection, [1, 3, height, width])
        let fitted = picture.resized(width: width, height: height)
        let map = try run(
            session,
            planarBGR(fitted, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
        )
        usage.add(session, runs: 1)
        guard map.shape == [1, 1, fitted.height, fitted.width] else {
            throw SluiceError(.badData, "'\(detection.path)' gives no map of text: \(map.shape)")
        }
        let ratioX = Float(picture.width) / Float(fitted.width)
        let ratioY = Float(picture.height) / Float(fitted.height)
        return textBoxes(in: map.floats, width: fitted.width, height: fitted.height).map { box in
            var box = box
            // The ratios differ by the rounding to multiples of 32 alone, so the angle stays.
            let (across, down) = (box.direction.x, box.direction.y)
            func length(_ x: Float, _ y: Float) -> Float { (x * x + y * y).squareRoot() }
            box.centre = .init(x: box.centre.x * ratioX, y: box.centre.y * ratioY)
            box.width *= length(across * ratioX, down * ratioY)
            box.height *= length(across * ratioY, down * ratioX)
            return box
        }
    }

    /// Turns crops around that stand upside down.
    ///
    /// The network sees pieces four times as wide as high. A long line squeezed into one piece
    /// misleads it, so the line is shown piece by piece, and their mean decides.
    private func upright(_ crops: [Image], _ usage: inout Usage) throws(SluiceError) -> [Image] {
        let session = try open(direction, [1, 3, 48, 192])
        var result: [Image] = []
        for crop in crops {
            let line = crop.resized(width: lineWidth(crop), height: 48)
            let starts = Array(stride(from: 0, through: max(0, line.width - 192), by: 192))
            var turned: Float = 0
            for start in starts {
                let piece = line.columns(start..<min(line.width, start + 192))
                let scores = try run(session, planarBGR(piece.padded(width: 192, height: 48)))
                guard scores.shape == [1, 2] else {
                    throw SluiceError(
                        .badData,
                        "'\(direction.path)' gives \(scores.shape), not upright and turned"
                    )
                }
                turned += scores.floats[1]
            }
            usage.add(session, runs: starts.count)
            result.append(turned / Float(starts.count) > 0.6 ? crop.turnedAround() : crop)
        }
        return result
    }

    /// The text of each crop with its mean probability.
    ///
    /// Crops of similar length share a session; one session is open at a time.
    private func recognize(
        _ crops: [Image],
        _ usage: inout Usage
    ) throws(SluiceError) -> [(text: String, score: Float)] {
        var groups: [Int: [Int]] = [:]
        for (index, crop) in crops.enumerated() {
            groups[max(320, (lineWidth(crop) + 63) / 64 * 64), default: []].append(index)
        }
        var texts = Array(repeating: (text: "", score: Float(0)), count: crops.count)
        for (width, members) in groups.sorted(by: { $0.key < $1.key }) {
            let session = try open(recognition, [1, 3, 48, width])
            for index in members {
                let fitted = crops[index].resized(width: lineWidth(crops[index]), height: 48)
                let output = try run(session, planarBGR(fitted.padded(width: width, height: 48)))
                guard output.shape.count == 3, output.shape[2] == characters.count else {
                    throw SluiceError(
                        .badData,
                        "'\(recognition.path)' gives \(output.shape), which does not fit its "
                            + "\(characters.count - 2) characters"
                    )
                }
                texts[index] = decodeCTC(output.floats, characters: characters)
            }
            usage.add(session, runs: members.count)
        }
        return texts
    }

    /// The width of a crop that is 48 high.
    private func lineWidth(_ crop: Image) -> Int {
        max(1, min(4096, (48 * crop.width + crop.height - 1) / crop.height))
    }
}

/// Lines from top to bottom; those side by side from left to right.
package func inReadingOrder(_ boxes: [TextBox]) -> [TextBox] {
    var rows: [[TextBox]] = []
    for box in boxes.sorted(by: { $0.centre.y < $1.centre.y }) {
        if let row = rows.last?.first,
            abs(row.centre.y - box.centre.y) < min(row.height, box.height) / 2
        {
            rows[rows.count - 1].append(box)
        } else {
            rows.append([box])
        }
    }
    return rows.flatMap { $0.sorted { $0.centre.x < $1.centre.x } }
}

/// The likeliest text of a recognizer trained with connectionist temporal classification.
///
/// Of each step the best class counts; repeats are one character, class 0 is none.
package func decodeCTC(
    _ probabilities: [Float],
    characters: [String]
) -> (text: String, score: Float) {
    var text = ""
    var total: Float = 0
    var count = 0
    var previous = 0
    for start in stride(from: 0, to: probabilities.count, by: characters.count) {
        let step = probabilities[start..<(start + characters.count)]
        guard let best = step.indices.max(by: { step[$0] < step[$1] }) else { break }
        let index = best - start
        if index != 0, index != previous {
            text += characters[index]
            total += step[best]
            count += 1
        }
        previous = index
    }
    return (text, count > 0 ? total / Float(count) : 0)
}

/// The picture as the networks were trained to see it: blue, green, red, each normalised.
private func planarBGR(
    _ image: Image,
    mean: [Float] = [0.5, 0.5, 0.5],
    deviation: [Float] = [0.5, 0.5, 0.5]
) -> Tensor {
    var elements: [Float] = []
    elements.reserveCapacity(image.samples.count)
    for plane in 0..<3 {
        for pixel in 0..<(image.width * image.height) {
            let sample = Float(image.samples[3 * pixel + 2 - plane]) / 255
            elements.append((sample - mean[plane]) / deviation[plane])
        }
    }
    return Tensor(shape: [1, 3, image.height, image.width], elements)
}
