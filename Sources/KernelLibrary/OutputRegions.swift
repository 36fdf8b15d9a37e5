import CSluiceKernels
import GraphIR

/// A rectangle of the output of a part of a convolution, all of whose pixels have the same taps inside
/// the image.
struct OutputRegion {
    var rows: Range<Int>
    var columns: Range<Int>
    /// Indices of the taps, ascending.
    var taps: [Int]

    /// Products of a pixel and a tap.
    var products: Int { rows.count * columns.count * taps.count }
}

extension NativeCatalog {
    /// The regions of the output of a part, the one with most products first, where computing each with
    /// its own taps is worth it: nil where few products are with zeros outside the image, or regions
    /// would be small.
    ///
    /// A filter that is dilated by half the image has two thirds of its rows outside of it. The cut
    /// depends on the shape alone, and so do the bits.
    func outputRegions(of kernel: ConvolutionKernel, part number: Int) -> [OutputRegion]? {
        let part = kernel.parts[number]
        guard gemm == .native, kernel.algorithm == .tile, part.taps.count > 1,
            part.taps.count <= Int(SL_STRIDED_TAPS)
        else { return nil }
        return part.outputRegions(of: kernel)
    }
}

extension ConvolutionPart {
    fileprivate func outputRegions(of kernel: ConvolutionKernel) -> [OutputRegion]? {
        let rows = runs(
            taps.map(\.dy),
            outputs: outputHeight,
            stride: kernel.strideHeight,
            inputs: kernel.inputHeight
        )
        let columns = runs(
            taps.map(\.dx),
            outputs: outputWidth,
            stride: kernel.strideWidth,
            inputs: kernel.inputWidth
        )
        let regions = rows.flatMap { row in
            columns.map { column in
                OutputRegion(
                    rows: row.outputs,
                    columns: column.outputs,
                    taps: taps.indices.filter { row.isInside[$0] && column.isInside[$0] }
                )
            }
        }
        let products = regions.reduce(0) { $0 + $1.products }
        let pixels = outputHeight * outputWidth
        let isWorthIt = 5 * products <= 4 * pixels * taps.count && 16 * regions.count <= pixels
        guard isWorthIt, regions.count > 1 else { return nil }
        return regions.sorted { $0.products > $1.products }
    }

    /// Runs of outputs along one axis under which the same taps are inside the image.
    private func runs(
        _ taps: [Int],
        outputs: Int,
        stride: Int,
        inputs: Int
    ) -> [(outputs: Range<Int>, isInside: [Bool])] {
        var runs: [(outputs: Range<Int>, isInside: [Bool])] = []
        for output in 0..<outputs {
            let isInside = taps.map { (0..<inputs).contains(output * stride + $0) }
            if runs.last?.isInside == isInside {
                runs[runs.count - 1].outputs = runs[runs.count - 1].outputs.lowerBound..<output + 1
            } else {
                runs.append((output..<output + 1, isInside))
            }
        }
        return runs
    }
}
