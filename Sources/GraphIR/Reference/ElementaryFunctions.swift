/// Elementary functions in plain Swift, for the reference evaluator.
///
/// The standard library offers none of them, and this module imports nothing. Each is accurate to
/// a few units in the last place of `Double` and gives the same bits on every machine.
enum Elementary {
    /// ln 2 in two parts; the first has trailing zeros, so that small multiples of it are exact.
    private static let ln2High = 0x1.62e42feep-1
    private static let ln2Low = 0x1.a39ef35793c76p-33

    /// e to the power of x.
    static func exp(_ x: Double) -> Double { exp(x, plus: 0) }

    /// e to the power of x + tail, where the tail is far smaller than x.
    private static func exp(_ x: Double, plus tail: Double) -> Double {
        if x.isNaN { return x }
        if x > 710 { return .infinity }
        if x < -746 { return 0 }
        let k = (x / (ln2High + ln2Low)).rounded()
        let reduced = (x - k * ln2High) - k * ln2Low + tail
        // |reduced| <= 0.35: the first dropped term of the series is below 1e-17.
        return scale(1 + expSeries(reduced), by: Int(k))
    }

    /// The exponential series without its first term, for |x| <= 0.35.
    private static func expSeries(_ x: Double) -> Double {
        // Coefficients are the reciprocals of factorials, from 14! down.
        var sum = x / 87_178_291_200 + 1 / 6_227_020_800
        sum = x * sum + 1 / 479_001_600
        sum = x * sum + 1 / 39_916_800
        sum = x * sum + 1 / 3_628_800
        sum = x * sum + 1 / 362_880
        sum = x * sum + 1 / 40_320
        sum = x * sum + 1 / 5040
        sum = x * sum + 1 / 720
        sum = x * sum + 1 / 120
        sum = x * sum + 1 / 24
        sum = x * sum + 1 / 6
        sum = x * sum + 1 / 2
        return x + x * x * sum
    }

    /// x * 2^k, rounded once even when the result is subnormal.
    private static func scale(_ x: Double, by k: Int) -> Double {
        let half = k / 2
        return x * power(ofTwo: half) * power(ofTwo: k - half)
    }

    private static func power(ofTwo k: Int) -> Double {
        Double(sign: .plus, exponent: k, significand: 1)
    }

    /// e^x - 1, accurate near zero.
    static func expMinusOne(_ x: Double) -> Double {
        abs(x) <= 0.35 ? expSeries(x) : exp(x) - 1
    }

    /// The natural logarithm.
    static func log(_ x: Double) -> Double {
        if x.isNaN || x < 0 { return .nan }
        if x == 0 { return -.infinity }
        if x == .infinity { return x }
        let (high, low) = logParts(x)
        return high + low
    }

    /// log(1 + x), accurate near zero.
    static func logOnePlus(_ x: Double) -> Double {
        let sum = 1 + x
        guard sum > 0, sum < .infinity else { return log(sum) }
        // The quotient corrects for what the rounding of 1 + x lost.
        return sum == 1 ? x : log(sum) * (x / (sum - 1))
    }

    /// The logarithm of a positive finite number as an unevaluated sum, good to about 1e-19.
    private static func logParts(_ x: Double) -> (high: Double, low: Double) {
        var exponent = Double(x.exponent)
        var mantissa = x.significand
        if mantissa > 1.4142135623730951 {
            mantissa /= 2
            exponent += 1
        }
        // log m = 2 atanh(s) with s = (m - 1) / (m + 1), |s| < 0.172.
        let difference = mantissa - 1
        let sum = mantissa + 1
        let sumError = mantissa - (sum - 1)
        let s = difference / sum
        let sError = (difference.addingProduct(-s, sum) - s * sumError) / sum
        let square = s * s
        var series = 0.0
        for n in stride(from: 23.0, through: 3, by: -2) { series = 1 / n + square * series }
        let tail = 2 * (s * square * series + sError) + exponent * ln2Low
        let base = exponent * ln2High
        let high = base + 2 * s
        return (high, (base - high) + 2 * s + tail)
    }

    /// x to the power of y, with the special cases of IEEE 754.
    static func pow(_ x: Double, _ y: Double) -> Double {
        if y == 0 || x == 1 { return 1 }
        if x.isNaN || y.isNaN { return .nan }
        let isWhole = y.rounded(.towardZero) == y
        let isOdd = isWhole && abs(y) < 0x1p53 && !Int64(y).isMultiple(of: 2)
        if y.isInfinite {
            if x == -1 { return 1 }
            return (abs(x) > 1) == (y > 0) ? .infinity : 0
        }
        if x == 0 || x.isInfinite {
            let isLarge = x.isInfinite == (y > 0)
            let magnitude: Double = isLarge ? .infinity : 0
            return isOdd && x.sign == .minus ? -magnitude : magnitude
        }
        if x < 0, !isWhole { return .nan }
        if y == 0.5 { return x.squareRoot() }
        let (high, low) = logParts(abs(x))
        let product = y * high
        guard product.isFinite else {
            let result: Double = product > 0 ? .infinity : 0
            return isOdd && x < 0 ? -result : result
        }
        let error = (-product).addingProduct(y, high) + y * low
        let result = exp(product, plus: error)
        return isOdd && x < 0 ? -result : result
    }

    /// The hyperbolic tangent.
    static func tanh(_ x: Double) -> Double {
        let size = abs(x)
        if size.isNaN { return x }
        if size > 20 { return x < 0 ? -1 : 1 }
        let t = expMinusOne(2 * size)
        let result = t / (t + 2)
        return x < 0 ? -result : result
    }

    /// The error function.
    static func erf(_ x: Double) -> Double {
        let size = abs(x)
        if size.isNaN { return x }
        let result = size < 3 ? erfSeries(size) : 1 - erfcFraction(size)
        return x < 0 ? -result : result
    }

    private static let twoOverRootPi = 1.1283791670955126

    /// The error function for 0 <= x < 3 by a series of positive terms, in which nothing cancels.
    ///
    /// It is 2/sqrt(pi) e^(-x^2) times the sum over n of 2^n x^(2n+1) / (1 * 3 * 5 * (2n+1)), where
    /// the product runs over all odd numbers.
    private static func erfSeries(_ x: Double) -> Double {
        var term = x
        var sum = x
        var n = 1.0
        while term > sum * 1e-17 {
            term *= 2 * x * x / (2 * n + 1)
            sum += term
            n += 1
        }
        return twoOverRootPi * exp(-x * x) * sum
    }

    /// 1 - erf x for x >= 3 by the continued fraction x + (1/2)/(x + 1/(x + (3/2)/(x + ...))).
    private static func erfcFraction(_ x: Double) -> Double {
        if x > 27 { return 0 }
        var fraction = x
        for n in stride(from: 60.0, through: 1, by: -1) { fraction = x + n / 2 / fraction }
        return twoOverRootPi / 2 * exp(-x * x) / fraction
    }
}
