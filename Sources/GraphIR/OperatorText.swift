/// The name of an operator and its attributes, as dumps and messages show them. Attributes at
/// their defaults are left out.
extension Operator: CustomStringConvertible {
    package var description: String {
        switch self {
        case .convolution(let convolution): "\(convolution)"
        case .pool(let pool): "\(pool)"
        case .globalPool(let kind): "globalPool(\(kind))"
        case .batchNormalization(let epsilon): "batchNormalization(epsilon: \(epsilon))"
        case .localResponseNormalization(let size, let alpha, let beta, let bias):
            "localResponseNormalization(size: \(size), alpha: \(alpha), beta: \(beta), "
                + "bias: \(bias))"
        case .gemm(let gemm): "\(gemm)"
        case .matmul: "matmul"
        case .unary(let function): "\(function)"
        case .binary(let function): "\(function)"
        case .variadic(let function): "variadic(\(function))"
        case .clip: "clip"
        case .softmax(let axis, let flattened):
            call("softmax", ["axis: \(axis)", flag("flattened", flattened)])
        case .concat(let axis): "concat(axis: \(axis))"
        case .split(let axis): "split(axis: \(axis))"
        case .reshape(let allowZero): call("reshape", [flag("allowZero", allowZero)])
        case .flatten(let axis): "flatten(axis: \(axis))"
        case .transpose(let permutation):
            call("transpose", [permutation.map { "\($0)" }])
        case .unsqueeze: "unsqueeze"
        case .squeeze: "squeeze"
        case .reduce(let reduction): "\(reduction)"
        case .resize(let resize): "\(resize)"
        case .identity: "identity"
        case .constantOfShape(let value, let dtype): "constantOfShape(\(dtype) \(value))"
        case .shape(let start, let end):
            call(
                "shape",
                [start == 0 ? nil : "start: \(start)", end.map { "end: \($0)" }]
            )
        case .size: "size"
        case .gather(let axis): "gather(axis: \(axis))"
        case .cast(let dtype): "cast(to: \(dtype))"
        case .bitCast(let dtype): "bitCast(to: \(dtype))"
        case .slice: "slice"
        case .pad(let mode): "pad(\(mode))"
        case .expand: "expand"
        case .tile: "tile"
        case .select: "select"
        case .range: "range"
        case .argument(let search):
            call(
                search.findsMinimum ? "argMin" : "argMax",
                [
                    "axis: \(search.axis)", flag("keepsDimension", search.keepsDimension),
                    flag("takesLast", search.takesLast),
                ]
            )
        case .scan(let scan):
            call(
                scan.isProduct ? "runningProduct" : "runningSum",
                [flag("exclusive", scan.isExclusive), flag("reversed", scan.isReversed)]
            )
        case .scatterRows(let reduction): "scatterRows(\(reduction))"
        case .topPlaces(let axis, let largest):
            call("topPlaces", ["axis: \(axis)", flag("largest", largest)])
        case .suppress(let limit, let areCentred):
            call("suppress", ["limit: \(limit)", flag("boxesAreCentred", areCentred)])
        case .conditional(let yes, let no): "if(then: \(yes), else: \(no))"
        case .loop(let body, let states): "loop(body: \(body), states: \(states))"
        case .iterate(let iteration):
            "iterate(body: \(iteration.body), states: \(iteration.states))"
        case .composite(let composite): "\(composite)"
        }
    }
}

/// `name(a, b)`, or only the name without arguments.
private func call(_ name: String, _ arguments: [String?]) -> String {
    let given = arguments.compactMap { $0 }
    return given.isEmpty ? name : "\(name)(\(given.joined(separator: ", ")))"
}

private func flag(_ name: String, _ isSet: Bool) -> String? { isSet ? name : nil }

private func list(_ name: String, _ values: [Int]) -> String? {
    values.isEmpty ? nil : "\(name): \(values)"
}

extension Padding: CustomStringConvertible {
    package var description: String {
        switch self {
        case .explicit(let pads): "\(pads)"
        case .sameUpper: "sameUpper"
        case .sameLower: "sameLower"
        case .valid: "valid"
        }
    }

    fileprivate var argument: String? { self == .explicit([]) ? nil : "padding: \(self)" }
}

extension PoolKind: CustomStringConvertible {
    package var description: String {
        switch self {
        case .maximum: "maximum"
        case .average: "average"
        case .lp(let order): "lp\(order)"
        }
    }
}

extension Convolution: CustomStringConvertible {
    package var description: String {
        call(
            isTransposed ? "transposedConvolution" : "convolution",
            [
                group == 1 ? nil : "group: \(group)", list("kernel", kernel),
                list("strides", strides), list("dilations", dilations), padding.argument,
                list("outputPadding", outputPadding), list("outputShape", outputShape),
            ]
        )
    }
}

extension Pool: CustomStringConvertible {
    package var description: String {
        call(
            "pool",
            [
                "\(kind)", list("kernel", kernel), list("strides", strides),
                list("dilations", dilations), padding.argument, flag("ceilMode", ceilMode),
                flag("countIncludesPadding", countIncludesPadding),
            ]
        )
    }
}

extension Gemm: CustomStringConvertible {
    package var description: String {
        call(
            "gemm",
            [
                alpha == 1 ? nil : "alpha: \(alpha)", beta == 1 ? nil : "beta: \(beta)",
                flag("transposeA", transposeA), flag("transposeB", transposeB),
            ]
        )
    }
}

extension Reduction: CustomStringConvertible {
    package var description: String {
        call(
            "reduce",
            [
                "\(kind)", flag("keepsDimensions", keepsDimensions),
                flag("ignoresEmptyAxes", ignoresEmptyAxes),
            ]
        )
    }
}

extension Resize: CustomStringConvertible {
    package var description: String {
        call(
            "resize",
            [
                "\(mode)", "\(coordinates)", mode == .nearest ? "\(rounding)" : nil,
                mode == .cubic ? "cubicCoefficient: \(cubicCoefficient)" : nil,
                flag("excludesOutside", excludesOutside),
                coordinates == .cropAndResize ? "extrapolation: \(extrapolation)" : nil,
                flag("antialias", antialias),
                aspectPolicy == .stretch ? nil : "\(aspectPolicy)", list("axes", axes),
            ]
        )
    }
}
