/// Angles in plain Swift, for the reference evaluator.
extension Elementary {
    /// The angle less the nearest multiple of half pi, and the quarter it was in.
    ///
    /// Half pi is taken away in three parts of decreasing size, so that angles up to 1e8 keep
    /// their digits.
    private static func reduced(_ x: Double) -> (rest: Double, quarter: Int) {
        let k = (x / (Double.pi / 2)).rounded()
        guard abs(k) < 0x1p30 else { return (.nan, 0) }
        var rest = (-k).addingProductOf(1.5707963267341256, x)
        rest = (-k).addingProductOf(6.077100506303966e-11, rest)
        rest = (-k).addingProductOf(2.0222662487959506e-21, rest)
        return (rest, Int(k) & 3)
    }

    /// The sine series, for |x| <= pi / 4.
    private static func sineSeries(_ x: Double) -> Double {
        let square = x * x
        var sum = 1.0
        for n in stride(from: 21.0, through: 3, by: -2) {
            sum = 1 - square / (n * (n - 1)) * sum
        }
        return x * sum
    }

    /// The cosine series, for |x| <= pi / 4.
    private static func cosineSeries(_ x: Double) -> Double {
        let square = x * x
        var sum = 1.0
        for n in stride(from: 20.0, through: 2, by: -2) {
            sum = 1 - square / (n * (n - 1)) * sum
        }
        return sum
    }

    /// The sine.
    static func sin(_ x: Double) -> Double {
        guard x.isFinite else { return .nan }
        let (rest, quarter) = reduced(x)
        let value = quarter.isMultiple(of: 2) ? sineSeries(rest) : cosineSeries(rest)
        return quarter >= 2 ? -value : value
    }

    /// The cosine.
    static func cos(_ x: Double) -> Double {
        guard x.isFinite else { return .nan }
        let (rest, quarter) = reduced(x)
        let value = quarter.isMultiple(of: 2) ? cosineSeries(rest) : sineSeries(rest)
        return quarter == 1 || quarter == 2 ? -value : value
    }

    /// The arc tangent: halved three times by its own theorem, then a series.
    static func atan(_ x: Double) -> Double {
        if x.isNaN { return x }
        let size = abs(x)
        if size > 1 {
            let angle = Double.pi / 2 - atan(1 / size)
            return x < 0 ? -angle : angle
        }
        var t = size
        for _ in 0..<3 { t = t / (1 + (1 + t * t).squareRoot()) }
        let square = t * t
        var sum = 0.0
        for n in stride(from: 23.0, through: 1, by: -2) { sum = 1 / n - square * sum }
        return (x < 0 ? -8 : 8) * t * sum
    }

    /// The arc sine.
    static func asin(_ x: Double) -> Double {
        if abs(x) > 1 || x.isNaN { return .nan }
        return abs(x) == 1 ? x * Double.pi / 2 : atan(x / ((1 - x) * (1 + x)).squareRoot())
    }

    /// The hyperbolic sine.
    static func sinh(_ x: Double) -> Double {
        let t = expMinusOne(abs(x))
        let value = t.isInfinite ? t : (t + t / (t + 1)) / 2
        return x < 0 ? -value : value
    }

    /// The inverse of the hyperbolic sine.
    static func asinh(_ x: Double) -> Double {
        let size = abs(x)
        let value = logOnePlus(size + size * size / (1 + (1 + size * size).squareRoot()))
        return x < 0 ? -value : value
    }
}

extension Double {
    /// `other` + self * factor with one rounding.
    fileprivate func addingProductOf(_ factor: Double, _ other: Double) -> Double {
        other.addingProduct(self, factor)
    }
}
