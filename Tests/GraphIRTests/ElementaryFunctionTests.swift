import GraphIR
import Testing

/// The functions are reached through operators on float64, which do not round their results.
@Suite struct ElementaryFunctionTests {
    private func value(_ function: UnaryFunction, _ x: Double) throws -> Double {
        let tensor = DenseTensor(type: TensorType(.float64, []), storage: .doubles([x]))
        return try evaluate(.unary(function), tensor).doubles[0]
    }

    private func power(_ x: Double, _ y: Double) throws -> Double {
        let scalars = [x, y].map {
            DenseTensor(type: TensorType(.float64, []), storage: .doubles([$0]))
        }
        return try evaluate(.binary(.power), scalars[0], scalars[1]).doubles[0]
    }

    private func isClose(_ got: Double, _ wanted: Double) -> Bool {
        abs(got - wanted) <= 1e-15 * abs(wanted)
    }

    @Test(
        "known values",
        arguments: [
            (UnaryFunction.exp, 1, 2.718281828459045), (.exp, -1, 0.36787944117144233),
            (.exp, 0.1, 1.1051709180756477), (.exp, 700, 1.0142320547350045e304),
            (.exp, -700, 9.859676543759770e-305), (.exp, 1e-10, 1.0000000001),
            (.log, 2, 0.6931471805599453), (.log, 10, 2.302585092994046),
            (.log, 1.0000001, 9.999999505838704e-8), (.log, 0.5, -0.6931471805599453),
            (.log, 1e-300, -690.7755278982137), (.log, 1e300, 690.7755278982137),
            (.tanh, 0.5, 0.46211715726000974), (.tanh, 1e-9, 1e-9),
            (.tanh, -3, -0.9950547536867305),
            (.tanh, 30, 1), (.erf, 0.5, 0.5204998778130465), (.erf, 1, 0.8427007929497149),
            (.erf, -2, -0.9953222650189527), (.erf, 3.5, 0.9999992569016276),
            (.erf, 1e-8, 1.1283791670955126e-8), (.erf, 10, 1),
            (.softplus, -40, 4.248354255291589e-18), (.softplus, 1, 1.3132616875182228),
            (.sigmoid, -20, 2.0611536181902037e-9), (.elu(alpha: 1), -1e-9, -9.999999995e-10),
        ] as [(UnaryFunction, Double, Double)]
    )
    func knownValues(function: UnaryFunction, x: Double, wanted: Double) throws {
        let got = try value(function, x)
        #expect(isClose(got, wanted), "\(function)(\(x)) is \(got), not \(wanted)")
    }

    @Test func limits() throws {
        #expect(try value(.exp, 800) == .infinity)
        #expect(try value(.exp, -800) == 0)
        #expect(try value(.exp, -745) == .leastNonzeroMagnitude)
        #expect(try value(.log, 0) == -.infinity)
        #expect(try value(.log, -1).isNaN)
        #expect(try value(.log, .infinity) == .infinity)
        #expect(try value(.sigmoid, -1000) == 0)
        #expect(try value(.gelu(tanhApproximation: false), -.infinity) == 0)
        for function in [UnaryFunction.exp, .log, .tanh, .erf, .sigmoid, .softplus] {
            #expect(try value(function, .nan).isNaN)
        }
    }

    @Test func powers() throws {
        #expect(isClose(try power(2, 0.3), 1.2311444133449163))
        #expect(isClose(try power(1.0001, 1e6), 2.6747109931126854e43))
        #expect(isClose(try power(1e-200, 1.5), 1e-300))
        #expect(try power(3, 5) == 243)
        #expect(try power(-2, 3) == -8)
        #expect(try power(-2, 0.5).isNaN)
        #expect(try power(0, -1) == .infinity)
        #expect(try power(-0.0, -3) == -.infinity)
        #expect(try power(.nan, 0) == 1)
        #expect(try power(2, 5000) == .infinity)
        #expect(try power(2, -1074) == .leastNonzeroMagnitude)
        #expect(try power(0.5, .infinity) == 0)
        #expect(try power(-.infinity, 3) == -.infinity)
        #expect(try power(-1, .infinity) == 1)
    }
}
