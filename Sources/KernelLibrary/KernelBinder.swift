import CSluiceKernels
import GraphIR
import TensorMemory

/// Which part of a node's work a call does.
package enum KernelWork: Hashable, Sendable {
    case whole
    /// The fill before the boxes of a copy.
    case fill
    case boxes(skipping: Set<Int>)
    /// Units (panels or vectors of channels) of one part of a convolution.
    case units(part: Int, range: Range<Int>)
}

/// The bytes a call works on: regions of the device arena, and what it copies there itself.
package struct KernelOperands: Sendable {
    package var inputs: [Region<DeviceSpace>]
    package var output: Region<DeviceSpace>
    package var weights: Region<DeviceSpace>?
    package var workspace: Region<DeviceSpace>?
    /// Weights on the host that the call copies through its workspace chunk by chunk.
    package var chunkedWeights: Region<HostSpace>?

    package init(
        inputs: [Region<DeviceSpace>],
        output: Region<DeviceSpace>,
        weights: Region<DeviceSpace>? = nil,
        workspace: Region<DeviceSpace>? = nil
    ) {
        self.inputs = inputs
        self.output = output
        self.weights = weights
        self.workspace = workspace
    }
}

/// Turns nodes of the fused graph into calls with bound addresses.
package struct KernelBinder {
    let isa: UnsafePointer<sl_isa>
    let catalog: NativeCatalog
    let graph: FusedGraph
    /// How many threads the work of a call is cut for.
    let workers: Int
    /// How many threads run tasks, each with its own share of a workspace.
    let threads: Int
    let store: ArgumentStore

    /// With fewer `workers` than `threads`, a call is cut as if only so many of them ran it.
    package init(
        catalog: NativeCatalog,
        graph: FusedGraph,
        workers: Int,
        threads: Int? = nil,
        store: ArgumentStore
    ) {
        isa = catalog.set.table
        self.catalog = catalog
        self.graph = graph
        self.workers = workers
        self.threads = threads ?? workers
        self.store = store
    }

    var lanes: Int { catalog.lanes }

    /// The calls that do `work` of `node`; they may run in any order and at the same time.
    package func bind(
        _ node: FusedNode,
        _ work: KernelWork,
        _ operands: KernelOperands
    ) -> [KernelCall] {
        switch node.kernel {
        case .convolution(let kernel):
            guard case .units(let part, let range) = work else {
                preconditionFailure("a convolution runs by units")
            }
            return bindConvolution(node, kernel, part: part, units: range, operands)
        case .copy(let copy):
            return bindCopy(node, copy, work, operands)
        case .pool(let pool):
            return bindPool(node, pool, operands)
        case .globalPool(let isAverage):
            return bindGlobalPool(node, isAverage: isAverage, operands)
        case .unary:
            return bindUnary(node, operands)
        case .binary(let function):
            return bindBinary(node, function, operands)
        case .select:
            return bindSelect(node, operands)
        case .layout(let toBlocked, let channelsLast):
            return bindLayout(node, toBlocked: toBlocked, channelsLast: channelsLast, operands)
        case .channels(let sources):
            return bindChannels(node, sources, operands)
        case .packMatrices(let packing):
            return bindPacking(packing, operands)
        case .product(let product):
            return bindProduct(node, product, operands)
        case .softmax, .normalize, .reduce, .gather, .cast, .resize,
            .localResponseNormalization:
            return bindRows(node, operands)
        case .map, .lineReduce, .places, .scan, .scatterRows, .suppress:
            return [bindPlain(node, operands)]
        }
    }

    func shape(_ id: ValueID) -> [Int] { graph[id].type.shape }

    func floats(_ region: Region<DeviceSpace>) -> UnsafeMutablePointer<Float> {
        region.pointer.assumingMemoryBound(to: Float.self)
    }

    /// A divisor of work so that each thread gets a few tasks.
    func share(_ total: Int, minimum: Int = 1) -> Int {
        max(minimum, (total + workers * 4 - 1) / (workers * 4), 1)
    }

    func blocks(_ channels: Int) -> Int { (channels + lanes - 1) / lanes }
}

extension Activation {
    var code: sl_activation {
        switch self {
        case .none: sl_activation(kind: SL_ACTIVATION_NONE, p0: 0, p1: 0)
        case .clamp(let lower, let upper):
            sl_activation(kind: SL_ACTIVATION_CLAMP, p0: lower, p1: upper)
        case .silu: sl_activation(kind: SL_ACTIVATION_SILU, p0: 0, p1: 0)
        case .function(let function): function.code
        }
    }
}

extension UnaryFunction {
    fileprivate var code: sl_activation {
        let plain = { (kind: sl_activation_kind) in sl_activation(kind: kind, p0: 0, p1: 0) }
        switch self {
        case .relu: return sl_activation(kind: SL_ACTIVATION_CLAMP, p0: 0, p1: .infinity)
        case .leakyRelu(let alpha):
            return sl_activation(kind: SL_ACTIVATION_LEAKY, p0: alpha, p1: 0)
        case .sigmoid: return plain(SL_ACTIVATION_SIGMOID)
        case .hardSigmoid(let alpha, let beta):
            return sl_activation(kind: SL_ACTIVATION_HARD_SIGMOID, p0: alpha, p1: beta)
        case .hardSwish: return plain(SL_ACTIVATION_HARD_SWISH)
        case .tanh: return plain(SL_ACTIVATION_TANH)
        case .elu(let alpha): return sl_activation(kind: SL_ACTIVATION_ELU, p0: alpha, p1: 0)
        case .softplus: return plain(SL_ACTIVATION_SOFTPLUS)
        case .erf: return plain(SL_ACTIVATION_ERF)
        case .gelu(let approximate):
            return plain(approximate ? SL_ACTIVATION_GELU_TANH : SL_ACTIVATION_GELU)
        case .sqrt: return plain(SL_ACTIVATION_SQRT)
        case .reciprocal: return plain(SL_ACTIVATION_RECIPROCAL)
        case .exp: return plain(SL_ACTIVATION_EXP)
        case .log: return plain(SL_ACTIVATION_LOG)
        case .negate: return plain(SL_ACTIVATION_NEGATE)
        case .absolute: return plain(SL_ACTIVATION_ABSOLUTE)
        case .floor: return plain(SL_ACTIVATION_FLOOR)
        case .ceil: return plain(SL_ACTIVATION_CEIL)
        case .round: return plain(SL_ACTIVATION_ROUND)
        default: preconditionFailure("\(self) is no activation")
        }
    }
}
