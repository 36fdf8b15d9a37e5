import GraphIR
import Testing

@Suite struct ResizeTests {
    private func resize(
        _ resize: Resize,
        _ x: [Float],
        scale: Float? = nil,
        size: Int64? = nil,
        region: [Float]? = nil
    ) throws -> [Float] {
        try evaluate(
            .resize(resize),
            floats([x.count], x),
            region.map { floats([$0.count], $0) },
            scale.map { floats([1], [$0]) },
            size.map { integers([$0]) }
        ).floats
    }

    @Test func sizesFromScalesAreRoundedDownInFloat() throws {
        let x = counting([10])
        let op = Operator.resize(Resize(mode: .nearest))
        #expect(try shape(op, x, nil, floats([1], [0.7])) == [7])
        #expect(try shape(op, x, nil, floats([1], [0.69])) == [6])
        #expect(try shape(op, x, nil, floats([1], [0.05])) == [0])
        for scale in [0, -1, .nan, .infinity, 1e30] as [Float] {
            #expect(throws: ShapeError.self) { try shape(op, x, nil, floats([1], [scale])) }
        }
        #expect(throws: ShapeError.self) { try shape(op, x) }
        #expect(throws: ShapeError.self) { try shape(op, x, nil, nil, integers([-1])) }
    }

    @Test func aspectPoliciesShareOneScale() throws {
        let x = counting([1, 4, 6])
        func size(_ policy: Resize.AspectPolicy) throws -> [Int] {
            let resize = Resize(mode: .nearest, aspectPolicy: policy, axes: [1, -1])
            return try shape(.resize(resize), x, nil, nil, integers([9, 8]))
        }
        #expect(try size(.stretch) == [1, 9, 8])
        #expect(try size(.notLarger) == [1, 5, 8])
        #expect(try size(.notSmaller) == [1, 9, 14])
    }

    @Test("nearest neighbours by every rounding of a tie")
    func nearestRounding() throws {
        // Coordinates of 2 elements out of 4, half pixel: 0.5 and 2.5.
        let expected: [(Resize.Rounding, [Float])] = [
            (.preferFloor, [0, 2]), (.preferCeil, [1, 3]), (.floor, [0, 2]), (.ceil, [1, 3]),
        ]
        for (rounding, result) in expected {
            let op = Resize(mode: .nearest, rounding: rounding)
            #expect(try resize(op, [0, 1, 2, 3], size: 2) == result)
        }
        let upsampled = Resize(mode: .nearest, coordinates: .asymmetric, rounding: .floor)
        #expect(try resize(upsampled, [5, 7], scale: 2) == [5, 5, 7, 7])
    }

    @Test func linearCoordinates() throws {
        let x: [Float] = [0, 4]
        func result(_ coordinates: Resize.Coordinates) throws -> [Float] {
            try resize(Resize(mode: .linear, coordinates: coordinates), x, scale: 2)
        }
        #expect(try result(.halfPixel) == [0, 1, 3, 4])
        #expect(try result(.pytorchHalfPixel) == [0, 1, 3, 4])
        #expect(try result(.halfPixelSymmetric) == [0, 1, 3, 4])
        #expect(try result(.asymmetric) == [0, 2, 4, 4])
        let corners = try result(.alignCorners)
        for (got, wanted) in zip(corners, [0, 4.0 / 3, 8.0 / 3, 4] as [Float]) {
            #expect(abs(got - wanted) < 1e-6)
        }
    }

    @Test("a cubic through a straight line is that line, away from the border")
    func cubicReproducesLines() throws {
        let x = (0..<8).map { Float($0) }
        let y = try resize(Resize(mode: .cubic, cubicCoefficient: -0.5), x, scale: 2)
        for (index, value) in y.enumerated().dropFirst(4).dropLast(4) {
            #expect(abs(value - (Float(index) + 0.5) / 2 + 0.5) < 1e-5)
        }
    }

    @Test func elementsOutsideTheRegionAreExtrapolated() throws {
        let crop = Resize(mode: .linear, coordinates: .cropAndResize, extrapolation: -1)
        #expect(try resize(crop, [0, 1, 2, 3, 4], size: 3, region: [0.5, 1.5]) == [2, 4, -1])
        #expect(throws: ShapeError.self) { try resize(crop, [0, 1], size: 3) }
        #expect(throws: ShapeError.self) {
            try resize(crop, [0, 1], size: 3, region: [0, .nan])
        }
    }

    @Test func antialiasingAveragesWhatItShrinks() throws {
        let op = Resize(mode: .linear, antialias: true)
        // The tent of width 4 around 0.5 and 2.5: weights 3, 3, 1 (clamped: 4, 3, 1) of 8.
        let y = try resize(op, [8, 0, 0, 8], size: 2)
        #expect(y == [4, 4])
        let spike = try resize(op, [0, 0, 8, 0, 0, 0], size: 3)
        #expect(spike == [1, 3, 0])
    }

    @Test func tablesHoldWeightsThatAddUpToOne() throws {
        for mode in [Resize.Mode.nearest, .linear, .cubic] {
            for (input, output) in [(1, 5), (7, 3), (3, 7), (16, 1)] {
                for antialias in [false, true] {
                    let op = Resize(mode: mode, excludesOutside: antialias, antialias: antialias)
                    let axis = try resizeAxes(
                        op,
                        input: [input],
                        output: [output],
                        literals: [nil, nil, nil, integers([Int64(output)])]
                    )[0]
                    #expect(axis.indices.count == output * axis.taps)
                    #expect(axis.indices.allSatisfy { 0..<Int32(input) ~= $0 })
                    for start in stride(from: 0, to: axis.weights.count, by: axis.taps) {
                        let sum = axis.weights[start..<start + axis.taps].reduce(0, +)
                        #expect(abs(sum - 1) < 1e-5)
                    }
                }
            }
        }
    }
}
