import GraphIR
import Testing

@Suite struct WindowShapeTests {
    @Test("a strided, dilated, padded convolution has floor((in + pads - extent) / stride) + 1")
    func convolutionSizes() throws {
        let convolution = Convolution(
            strides: [2, 1],
            dilations: [1, 2],
            padding: .explicit([1, 0, 1, 3])
        )
        let window = try resolveWindow(
            convolution: convolution,
            input: [1, 3, 7, 9],
            weights: [8, 3, 3, 3]
        )
        #expect(window.outputSizes == [4, 8])
        #expect(window.extent(along: 1) == 5)
    }

    @Test func samePaddingPutsTheOddElementWhereItsNameSays() throws {
        for (padding, begin, end) in [(Padding.sameUpper, 1, 2), (.sameLower, 2, 1)] {
            let window = try resolveWindow(
                convolution: Convolution(padding: padding),
                input: [1, 1, 6],
                weights: [1, 1, 4]
            )
            #expect(window.outputSizes == [6])
            #expect(window.padBegin == [begin])
            #expect(window.padEnd == [end])
        }
    }

    @Test func samePaddingCountsDilatedWindowsInFull() throws {
        let window = try resolveWindow(
            convolution: Convolution(strides: [2], dilations: [2], padding: .sameUpper),
            input: [1, 1, 5],
            weights: [1, 1, 3]
        )
        #expect(window.outputSizes == [3])
        #expect(window.padBegin == [2])
    }

    @Test("rounding up drops a window that would start in the padding after the input")
    func ceilModeDropsWindowsBeyondTheInput() throws {
        func size(_ input: Int, kernel: Int, stride: Int, pad: Int) throws -> Int {
            let pool = Pool(
                kind: .maximum,
                kernel: [kernel],
                strides: [stride],
                padding: .explicit([pad, pad]),
                ceilMode: true
            )
            return try resolveWindow(pool: pool, input: [1, 1, input]).outputSizes[0]
        }
        #expect(try size(6, kernel: 3, stride: 2, pad: 0) == 3)
        #expect(try size(5, kernel: 3, stride: 3, pad: 1) == 2)
        #expect(try size(2, kernel: 2, stride: 2, pad: 1) == 2)
        #expect(try size(2, kernel: 3, stride: 2, pad: 0) == 1)
    }

    @Test("an image with its padding, and a stride on it, are no larger than a tensor")
    func windowsAreBounded() throws {
        let most = 1 << 31 - 1
        var convolution = Convolution(dilations: [most, 1], padding: .sameUpper)
        #expect(throws: ShapeError.self) {
            try resolveWindow(
                convolution: convolution,
                input: [1, 3, 8, 8],
                weights: [8, 3, 5, 5]
            )
        }
        let pool = Pool(
            kind: .maximum,
            kernel: [5, 5],
            dilations: [most, 1],
            padding: .sameLower
        )
        #expect(throws: ShapeError.self) { try resolveWindow(pool: pool, input: [1, 8, 8, 8]) }
        convolution = Convolution(strides: [most, most])
        let far = try resolveWindow(
            convolution: convolution,
            input: [1, 16, 8, 9],
            weights: [16, 16, 2, 3]
        )
        #expect(far.outputSizes == [1, 1])
        #expect(far.strides == [8, 9])
        // A transposed one ends with the result before it is cut.
        convolution = Convolution(
            isTransposed: true,
            strides: [most, 2],
            padding: .explicit([1, 0, 0, 0])
        )
        let single = try resolveWindow(
            convolution: convolution,
            input: [1, 4, 1, 3],
            weights: [4, 2, 5, 2]
        )
        #expect(single.outputSizes == [4, 6])
        #expect(single.strides == [5, 2])
    }

    @Test func transposedSizesFollowTheStandard() throws {
        func sizes(_ convolution: Convolution) throws -> WindowGeometry {
            try resolveWindow(convolution: convolution, input: [1, 1, 3], weights: [1, 1, 3])
        }
        var convolution = Convolution(isTransposed: true, strides: [2])
        #expect(try sizes(convolution).outputSizes == [7])
        convolution.outputPadding = [1]
        convolution.padding = .explicit([1, 1])
        #expect(try sizes(convolution).outputSizes == [6])
        convolution.outputPadding = []
        convolution.padding = .sameLower
        let same = try sizes(convolution)
        #expect(same.outputSizes == [6])
        #expect(same.padBegin == [1] && same.padEnd == [0])
        convolution.padding = .sameUpper
        convolution.outputShape = [4]
        let given = try sizes(convolution)
        #expect(given.outputSizes == [4])
        #expect(given.padBegin == [1] && given.padEnd == [2])
        convolution.outputShape = [8]
        #expect(try sizes(convolution).padEnd == [-1])
        convolution.outputShape = [9]
        #expect(throws: ShapeError.self) { try sizes(convolution) }
    }

    @Test(
        "hostile window attributes are refused",
        arguments: [
            Convolution(strides: [0]), Convolution(dilations: [0]), Convolution(dilations: [.max]),
            Convolution(strides: [1, 1]), Convolution(padding: .explicit([1])),
            Convolution(padding: .explicit([-1, 0])),
            Convolution(padding: .explicit([.max, .max])),
            Convolution(kernel: [2]), Convolution(group: 0), Convolution(group: 2),
            Convolution(group: -1), Convolution(dilations: [3]),
            Convolution(isTransposed: true, strides: [1 << 40]),
            Convolution(isTransposed: true, outputPadding: [-1]),
            Convolution(isTransposed: true, outputShape: [1, 2, 3, 4]),
            Convolution(isTransposed: true, outputShape: [.min]),
            Convolution(isTransposed: true, padding: .explicit([4, 3])),
        ]
    )
    func hostileConvolutions(convolution: Convolution) {
        #expect(throws: ShapeError.self) {
            try shape(.convolution(convolution), counting([1, 3, 5]), counting([3, 3, 3]))
        }
    }

    @Test func hostilePoolsAreRefused() {
        let x = counting([1, 1, 4, 4])
        for pool in [
            Pool(kind: .maximum, kernel: [5, 1]), Pool(kind: .maximum, kernel: []),
            Pool(kind: .maximum, kernel: [0, 1]), Pool(kind: .lp(0), kernel: [1, 1]),
            Pool(kind: .average, kernel: [2, 2], padding: .explicit([2, 0, 0, 0])),
            Pool(kind: .average, kernel: [1 << 31, 1 << 31], ceilMode: true),
        ] {
            #expect(throws: ShapeError.self) { try shape(.pool(pool), x) }
        }
    }
}
