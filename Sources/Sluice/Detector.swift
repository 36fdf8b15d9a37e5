/// One object a detector found.
public struct Detection: Sendable, Hashable {
    /// The number of its class.
    public var classIndex: Int
    /// The name of its class.
    public var label: String
    /// How sure the network is, from 0 to 1.
    public var score: Float
    /// Where it is.
    public var box: Box

    /// An object of a class, found at `box`.
    public init(classIndex: Int, label: String, score: Float, box: Box) {
        self.classIndex = classIndex
        self.label = label
        self.score = score
        self.box = box
    }

    /// A rectangle in pixels of the picture; the upper left corner is inside, the lower right not.
    public struct Box: Sendable, Hashable {
        /// Its left, upper, right and lower edge.
        public var left, top, right, bottom: Float

        /// The rectangle between four edges.
        public init(left: Float, top: Float, right: Float, bottom: Float) {
            self.left = left
            self.top = top
            self.right = right
            self.bottom = bottom
        }

        var area: Float { max(0, right - left) * max(0, bottom - top) }

        /// The area two boxes share over the area they cover together.
        public func overlap(with other: Box) -> Float {
            let width = min(right, other.right) - max(left, other.left)
            let height = min(bottom, other.bottom) - max(top, other.top)
            guard width > 0, height > 0 else { return 0 }
            let shared = width * height
            return shared / (area + other.area - shared)
        }
    }
}

/// A session that finds objects in pictures.
///
/// It takes networks of one picture input, 1 x channels x height x width with samples from 0 to 1,
/// and two outputs: `boxes` with four edges in pixels and `scores` with one number for each class,
/// both with one row for each candidate. The names of the classes are the model's metadata
/// `labels`, separated by commas.
public final class Detector: Sendable {
    /// The session that runs the network.
    public let session: InferenceSession
    /// Names of the classes, in the order of the scores.
    public let labels: [String]
    private let inputName: String
    private let channels: Int
    private let height: Int
    private let width: Int

    /// Opens a detector inside the budget of `options`.
    public init(model: Model, options: RunOptions = RunOptions()) throws(SluiceError) {
        let plan = try Plan(model: model, options: options)
        let inputs = plan.inputTypes
        guard inputs.count == 1, let input = inputs.first, input.shape.count == 4,
            input.elementType == .float32, input.shape[0] == 1,
            input.shape[1] == 1 || input.shape[1] == 3, input.shape[2] > 0, input.shape[3] > 0
        else {
            throw Detector.unsuited(model, "one float32 input of 1x1xHxW or 1x3xHxW")
        }
        let outputs = Dictionary(
            uniqueKeysWithValues: zip(plan.outputNames, plan.outputTypes.map(\.shape))
        )
        guard let boxes = outputs["boxes"], let scores = outputs["scores"],
            boxes.count == 3, scores.count == 3, boxes[0] == 1, scores[0] == 1,
            boxes[1] == scores[1], boxes[2] == 4, scores[2] > 0
        else {
            throw Detector.unsuited(model, "outputs 'boxes' of 1xNx4 and 'scores' of 1xNxCLASSES")
        }
        let names = model.metadata["labels"]?.split(separator: ",").map(String.init)
        labels = names ?? (0..<scores[2]).map(String.init)
        guard labels.count == scores[2] else {
            throw Detector.unsuited(
                model,
                "a label for each of its \(scores[2]) classes, not \(labels.count)"
            )
        }
        inputName = input.name
        channels = input.shape[1]
        height = input.shape[2]
        width = input.shape[3]
        session = try InferenceSession(plan: plan)
    }

    private static func unsuited(_ model: Model, _ need: String) -> SluiceError {
        SluiceError(
            .badData,
            "'\(model.path)' is not a detector Sluice can use: it needs \(need); "
                + "`sluice run` runs any model"
        )
    }

    /// Finds objects in a picture of any size.
    ///
    /// The picture is fitted into the network's input without changing its proportions. Of boxes
    /// of one class that overlap by more than `overlap`, the one with the best score stays, and
    /// so it does of boxes of any class that cover nearly the same place.
    ///
    /// - Returns: Objects with a score of at least `threshold`, best first.
    public func detect(
        _ image: Image,
        threshold: Float = 0.3,
        overlap: Float = 0.5
    ) throws(SluiceError) -> [Detection] {
        let (tensor, scale) = fitted(image)
        let outputs = try session.run([inputName: tensor])
        let boxes = outputs["boxes"]?.floats ?? []
        let scores = outputs["scores"]?.floats ?? []
        // Data may have decided how many there are.
        guard scores.count.isMultiple(of: labels.count),
            boxes.count == scores.count / labels.count * 4
        else {
            throw SluiceError(
                .badData,
                "the detector gave \(scores.count) scores of \(labels.count) labels and "
                    + "\(boxes.count) edges of boxes; each box has four edges and a score for each label"
            )
        }
        // Whatever a network gives, boxes are inside the picture and scores are numbers.
        func inside(_ edge: Float, _ side: Int) -> Float { max(0, min(Float(side), edge)) }
        var candidates: [Detection] = []
        for (row, rowScores) in rows(of: scores) {
            for (index, score) in zip(labels.indices, rowScores)
            where score >= threshold && score.isFinite {
                let edges = boxes[(4 * row)..<(4 * row + 4)].map { $0 / scale }
                candidates.append(
                    Detection(
                        classIndex: index,
                        label: labels[index],
                        score: score,
                        box: .init(
                            left: inside(edges[0], image.width),
                            top: inside(edges[1], image.height),
                            right: inside(edges[2], image.width),
                            bottom: inside(edges[3], image.height)
                        )
                    )
                )
            }
        }
        return suppressOverlaps(candidates, above: overlap)
    }

    private func rows(of scores: [Float]) -> [(Int, ArraySlice<Float>)] {
        stride(from: 0, to: scores.count, by: labels.count).map {
            ($0 / labels.count, scores[$0..<($0 + labels.count)])
        }
    }

    /// The picture as the network's input, and how much smaller it became.
    private func fitted(_ image: Image) -> (Tensor, Float) {
        let scale = min(
            Float(width) / Float(image.width),
            Float(height) / Float(image.height)
        )
        let fitted = image.converted(toChannels: channels).resized(
            width: max(1, min(width, Int((Float(image.width) * scale).rounded()))),
            height: max(1, min(height, Int((Float(image.height) * scale).rounded())))
        )
        return (fitted.padded(width: width, height: height).tensor(), scale)
    }
}

/// Keeps the best of the detections of one class that overlap by more than `limit`.
///
/// Boxes of different classes are taken for one object when they overlap by more than 0.7.
package func suppressOverlaps(_ candidates: [Detection], above limit: Float) -> [Detection] {
    var kept: [Detection] = []
    for candidate in candidates.sorted(by: { $0.score > $1.score }) {
        let isCovered = kept.contains {
            let isSameClass = $0.classIndex == candidate.classIndex
            return $0.box.overlap(with: candidate.box) > (isSameClass ? limit : max(limit, 0.7))
        }
        if !isCovered { kept.append(candidate) }
    }
    return kept
}
