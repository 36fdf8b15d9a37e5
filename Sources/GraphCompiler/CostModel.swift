import GraphIR

/// Predicts how long steps take, from the work they do and the rates of a profile.
package struct CostModel: Sendable {
    /// How much longer a kernel takes that gets the least scratch it works with; Winograd's algorithm
    /// then transforms its filters for four tiles at a time.
    package static let frugalSlowdown = (winograd: 2.0, other: 1.25)

    /// Part of the seconds of an upload that show when a kernel copies in chunks: its reads take the
    /// place of those it would have made anyway.
    package static let chunkShare = 0.1

    /// Part of the seconds of an upload that show when a kernel copies it line by line between its
    /// multiplications: layers of 7x7 pixels took 13 to 17 % longer, and 71 to 74 % longer where the
    /// copy came before.
    package static let carriedShare = 0.2

    package var profile: CostProfile
    package var threads: Int
    package var lanes: Int

    package init(profile: CostProfile, threads: Int, lanes: Int) {
        self.profile = profile
        self.threads = threads
        self.lanes = lanes
    }

    /// Seconds one thread needs for a node's work, weights included.
    package func seconds(of node: FusedNode, in graph: FusedGraph) -> Double {
        let output = Double(graph[node.output].byteCount(lanes: lanes))
        let inputs = node.inputs.reduce(0.0) { $0 + Double(graph[$1].byteCount(lanes: lanes)) }
        switch node.kernel {
        case .convolution(let kernel):
            let rate =
                switch kernel.algorithm {
                case .grouped: profile.operationsPerSecond * 2 / 3
                case .depthwise: profile.operationsPerSecond / 4
                case .winograd: profile.operationsPerSecond * 2
                case .tile, .planar: profile.operationsPerSecond
                }
            let contents = kernel.parts.indices.flatMap { kernel.packedWeights(of: $0) }
            // Depthwise rows run at a fourth of the rate, whatever they follow.
            let arithmetic = contents.reduce(0.0) { sum, weights in
                let isAfter = weights.order == .depthwise && kernel.depthwise != nil
                return sum + Double(kernel.images) * weights.floatingPointOperationsPerImage
                    * (isAfter ? 4 : 1) / rate
            }
            let weights = contents.reduce(0.0) { $0 + 4 * Double($1.count) }
            let traffic = (output + inputs + weights) / profile.streamBytesPerSecond
            return max(arithmetic, traffic)
        case .product(let product):
            return max(
                product.floatingPointOperations / profile.operationsPerSecond,
                (output + inputs) / profile.streamBytesPerSecond
            )
        default:
            return (output + inputs) / profile.streamBytesPerSecond
        }
    }

    /// Seconds of one thread for what a node does again for each block of its weights: Winograd's
    /// algorithm transforms all patches of the input, an affine map all its pixels.
    package func repeatedSeconds(of node: FusedNode) -> Double {
        guard case .convolution(let kernel) = node.kernel else { return 0 }
        if kernel.inputAffine != nil {
            let pixels = kernel.images * kernel.inputHeight * kernel.inputWidth
            return 8 * Double(pixels * kernel.channels) / profile.streamBytesPerSecond
        }
        guard kernel.algorithm == .winograd else { return 0 }
        if kernel.kernelHeight != kernel.kernelWidth {
            // About 8 operations for each of at most 9 points of a patch of 3 pixels.
            let pixels = kernel.images * kernel.outputHeight * kernel.outputWidth
            return Double(pixels * kernel.channels * 24) / profile.operationsPerSecond
        }
        // About 24 operations for each of the 36 points of a patch.
        let size = kernel.kernelHeight == 3 ? 4 : 2
        let tiles = { (pixels: Int) in (pixels + size - 1) / size }
        let patches =
            kernel.images * tiles(kernel.outputHeight) * tiles(kernel.outputWidth)
        return Double(patches * kernel.channels * 36 * 24) / profile.operationsPerSecond
    }

    /// How many times as long a node takes with `byteCount` bytes of scratch as with the best.
    ///
    /// What is done again for each piece goes with the number of pieces, which goes with one over the
    /// scratch.
    package func slowdown(
        of node: FusedNode,
        needing need: WorkspaceNeed,
        with byteCount: Int
    ) -> Double {
        guard byteCount < need.best else { return 1 }
        var most = Self.frugalSlowdown.other
        if case .convolution(let kernel) = node.kernel, kernel.algorithm == .winograd {
            most = Self.frugalSlowdown.winograd
        }
        let pieces = { (bytes: Int) in 1 / Double(max(bytes, need.best / 64)) }
        let best = pieces(need.best), least = pieces(need.least)
        return 1 + (most - 1) * (pieces(byteCount) - best) / (least - best)
    }

    package func uploadSeconds(_ byteCount: Int) -> Double {
        Double(byteCount) / profile.uploadBytesPerSecond
    }

    /// Seconds of one thread for an upload beside a computation that carries up to `capacity` bytes.
    package func uploadSeconds(_ byteCount: Int, carrying capacity: Int) -> Double {
        let carried = min(byteCount, capacity)
        return uploadSeconds(carried) * Self.carriedShare + uploadSeconds(byteCount - carried)
    }

    /// Seconds that copying weights chunk by chunk adds to reading them in place.
    package func chunkSeconds(_ byteCount: Int) -> Double {
        uploadSeconds(byteCount) * Self.chunkShare / Double(threads)
    }

    /// Seconds a phase takes when its work is spread over all threads.
    package func phaseSeconds(work: Double) -> Double {
        work / Double(threads) + profile.phaseSeconds
    }
}
