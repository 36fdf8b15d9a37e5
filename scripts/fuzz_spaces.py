"""Random networks over lines [N, C, L] and volumes [N, C, D, H, W] for the fuzzer.

They grow as those of images do (`fuzz_networks.py`): each move reads values that exist and adds
one. The moves are those between which a compiler has to keep the layout of convolutions.
"""

from fuzz_networks import Network, finish

CHANNELS = [3, 8, 16, 20, 24, 32]


class SpaceNetwork(Network):
    def __init__(self, seed):
        super().__init__(seed)
        self.axes = self.pick([1, 3])
        self.spaces = []      # Names of values [N, C, ...], oldest first.

    def remember(self, name, shape):
        super().remember(name, shape)
        if len(self.shapes[name]) == self.axes + 2:
            self.spaces.append(name)

    def space(self):
        return self.spaces[-1] if self.chance(0.6) else self.pick(self.spaces)

    def convolution(self):
        x = self.space()
        n, c, *sides = self.shapes[x]
        kind = self.pick(["dense", "group", "transposed"], [6, 1, 1])
        group = 4 if kind == "group" and c % 4 == 0 else 1
        channels = self.pick(CHANNELS[1:])
        kernel = [min(self.between(1, 3), side) for side in sides]
        strides = [self.pick([1, 2], [2, 1]) for _ in sides]
        pads = [self.between(0, k - 1) for k in kernel]
        if kind == "transposed":
            size = [(d - 1) * s + k - 2 * p for d, s, k, p in zip(sides, strides, kernel, pads)]
            shape = [c, channels, *kernel]
        else:
            size = [(d + 2 * p - k) // s + 1 for d, s, k, p in zip(sides, strides, kernel, pads)]
            shape = [channels, c // group, *kernel]
        if min(size) < 1:
            return
        fan_in = c // group
        for k in kernel:
            fan_in *= k
        inputs = [x, self.weight(shape, fan_in)]
        if self.chance(0.6):
            inputs.append(self.uniform([channels], -0.3, 0.3))
        self.add("ConvTranspose" if kind == "transposed" else "Conv", inputs,
                 [n, channels, *size], strides=strides, pads=pads + pads, group=group)

    def activate(self):
        x = self.space()
        self.add(self.pick(["Relu", "Tanh", "Sigmoid"]), [x], self.shapes[x])

    def sum(self):
        x = self.space()
        others = [name for name in self.spaces if self.shapes[name] == self.shapes[x]]
        self.add(self.pick(["Add", "Mul"]), [x, self.pick(others)], self.shapes[x])

    def scale(self):
        """A constant of few axes or all, on either side."""
        x = self.space()
        n, c, *sides = self.shapes[x]
        ones = [1] * self.axes
        shape = self.pick([[c, *ones], [1, c, *ones], [1], sides[-1:], [n, c, *sides]])
        operands = [x, self.uniform(shape, 0.5, 1.5)]
        if self.chance(0.5):
            operands.reverse()
        self.add(self.pick(["Mul", "Add"]), operands, self.shapes[x])

    def gate(self):
        x = self.space()
        n, c, *_ = self.shapes[x]
        mean = self.add("GlobalAveragePool", [x], [n, c, *[1] * self.axes])
        self.add("Mul", [x, self.add("Sigmoid", [mean], self.shapes[mean])], self.shapes[x])

    def gate_of_slices(self):
        """A factor for each channel and slice, of fewer axes than what it multiplies."""
        x = self.space()
        n, c, *sides = self.shapes[x]
        if n > 1 or self.axes < 3:
            return
        pooled = self.add("MaxPool", [x], [n, c, sides[0], 1, 1],
                          kernel_shape=[1, *sides[1:]])
        shape = [c, sides[0], 1, 1]
        gate = self.add("Reshape", [pooled, self.integers(shape)], shape)
        self.add("Add", [gate, x], self.shapes[x])

    def concat(self):
        x = self.space()
        n, c, *sides = self.shapes[x]
        y = self.pick([name for name in self.spaces
                       if self.shapes[name][0] == n and list(self.shapes[name][2:]) == sides])
        self.add("Concat", [x, y], [n, c + self.shapes[y][1], *sides], axis=1)

    def pad(self):
        x = self.space()
        begin, end = ([0, 0] + [self.between(0, 2) for _ in range(self.axes)] for _ in range(2))
        size = [d + b + e for d, b, e in zip(self.shapes[x], begin, end)]
        self.add("Pad", [x, self.integers(begin + end)], size)

    def slice(self):
        x = self.space()
        size = list(self.shapes[x])
        axis = self.between(1, self.axes + 1)
        if size[axis] < 3:
            return
        first, end = self.between(0, 1), size[axis] - self.between(0, 1)
        size[axis] = end - first
        self.add("Slice", [x, *(self.integers([v]) for v in (first, end, axis))], size)

    def pool(self):
        x = self.space()
        n, c, *sides = self.shapes[x]
        kernel = [min(2, side) for side in sides]
        size = [(d - k) // 2 + 1 for d, k in zip(sides, kernel)]
        self.add(self.pick(["MaxPool", "AveragePool"]), [x], [n, c, *size],
                 kernel_shape=kernel, strides=[2] * self.axes)

    def normalize(self):
        x = self.space()
        c = self.shapes[x][1]
        statistics = [self.uniform([c], 0.5, 1.5) for _ in range(4)]
        self.add("BatchNormalization", [x, *statistics], self.shapes[x])


MOVES = [
    (SpaceNetwork.convolution, 6), (SpaceNetwork.activate, 2), (SpaceNetwork.sum, 2),
    (SpaceNetwork.scale, 1.5), (SpaceNetwork.gate, 0.7), (SpaceNetwork.gate_of_slices, 1),
    (SpaceNetwork.concat, 1.5), (SpaceNetwork.pad, 1), (SpaceNetwork.slice, 1),
    (SpaceNetwork.pool, 1), (SpaceNetwork.normalize, 1),
]


def random_space_network(seed):
    """The model of a seed."""
    net = SpaceNetwork(seed)
    net.inputs.append("input")
    sides = [net.between(3, 9) for _ in range(net.axes)]
    net.remember("input", [net.pick([1, 2], [2, 1]), net.pick(CHANNELS), *sides])
    moves, weights = zip(*MOVES)
    while len(net.nodes) < 4:
        for _ in range(net.between(3, 12)):
            net.pick(moves, weights)(net)
    return finish(net, seed)
