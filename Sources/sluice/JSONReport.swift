import Sluice

/// The object `--json` prints.
///
/// Keys are stable: programs read them.
struct JSONReport: Encodable {
    struct Latency: Encodable {
        var min: Double
        var median: Double
        var p90: Double
        var all: [Double]

        init(_ all: [Double]) {
            let sorted = all.sorted()
            self.all = all
            min = sorted.first ?? 0
            let middle = sorted.count / 2
            median =
                sorted.isEmpty
                ? 0
                : sorted.count.isMultiple(of: 2)
                    ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
            p90 = sorted.isEmpty ? 0 : sorted[Swift.min(sorted.count - 1, sorted.count * 9 / 10)]
        }
    }

    struct Output: Encodable {
        var name: String
        var dtype: String
        var shape: [Int]
        /// Null when outputs are not written.
        var file: String?

        enum CodingKeys: String, CodingKey { case name, dtype, shape, file }

        func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: CodingKeys.self)
            try values.encode(name, forKey: .name)
            try values.encode(dtype, forKey: .dtype)
            try values.encode(shape, forKey: .shape)
            try values.encode(file, forKey: .file)
        }
    }

    /// What `detect` found in one picture.
    struct Picture: Encodable {
        var file: String
        var width: Int
        var height: Int
        var detections: [Found]
    }

    struct Found: Encodable {
        var `class`: String
        var score: Float
        /// Left, top, right, bottom in pixels of the picture.
        var box: [Float]
    }

    var plan: Plan
    var path: String
    var latency: Latency?
    var devicePeakBytes: Int?
    var hostPeakBytes: Int?
    var processPeakBytes: Int?
    /// Nil where it is a part of loading that was not measured by itself.
    var planMilliseconds: Double?
    var loadMilliseconds = 0.0
    var outputs: [Output]?
    var pictures: [Picture]?

    init(plan: Plan, path: String) {
        self.plan = plan
        self.path = path
    }

    enum CodingKeys: String, CodingKey {
        case model, threads, isa, outputs, warnings, pictures
        case latency = "latency_ms"
        case budget = "device_budget_bytes"
        case plannedPeak = "planned_device_peak_bytes"
        case devicePeak = "device_peak_bytes"
        case resident = "resident_device_bytes"
        case minimum = "minimum_device_bytes"
        case minimumStep = "minimum_step"
        case hostPeak = "host_peak_bytes"
        case uploaded = "uploaded_bytes"
        case streamed = "weight_bytes_streamed"
        case residentUpload = "resident_upload_bytes"
        case downloaded = "downloaded_bytes"
        case processPeak = "process_peak_bytes"
        case planTime = "plan_ms"
        case loadTime = "load_ms"
        case predicted = "predicted_latency_ms"
        case traffic = "kernel_traffic_bytes"
    }

    func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(path, forKey: .model)
        try values.encodeIfPresent(latency, forKey: .latency)
        try values.encode(plan.threads, forKey: .threads)
        try values.encode(plan.instructionSet, forKey: .isa)
        try values.encode(plan.deviceBudgetBytes, forKey: .budget)
        try values.encode(plan.plannedDevicePeakBytes, forKey: .plannedPeak)
        try values.encodeIfPresent(devicePeakBytes, forKey: .devicePeak)
        try values.encode(plan.residentDeviceBytes, forKey: .resident)
        try values.encode(plan.minimumDeviceBytes, forKey: .minimum)
        try values.encode(plan.minimumStep, forKey: .minimumStep)
        try values.encodeIfPresent(hostPeakBytes, forKey: .hostPeak)
        try values.encode(plan.uploadedBytes, forKey: .uploaded)
        try values.encode(plan.weightBytesStreamed, forKey: .streamed)
        try values.encode(plan.residentUploadBytes, forKey: .residentUpload)
        try values.encode(plan.downloadedBytes, forKey: .downloaded)
        try values.encodeIfPresent(processPeakBytes, forKey: .processPeak)
        try values.encodeIfPresent(planMilliseconds, forKey: .planTime)
        try values.encode(loadMilliseconds, forKey: .loadTime)
        try values.encode(plan.predictedSeconds * 1e3, forKey: .predicted)
        try values.encode(plan.kernelTrafficBytes, forKey: .traffic)
        try values.encode(plan.warnings, forKey: .warnings)
        try values.encodeIfPresent(pictures, forKey: .pictures)
        if let outputs {
            try values.encode(outputs, forKey: .outputs)
        } else {
            let declared = zip(plan.outputNames, plan.outputTypes).map {
                Output(name: $0, dtype: $1.elementType.rawValue, shape: $1.shape)
            }
            try values.encode(declared, forKey: .outputs)
        }
    }

    var text: String { jsonText(self) }
}
