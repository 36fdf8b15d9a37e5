"""Random convolutional networks for the fuzzer: `random_network(seed)` gives an ONNX model.

A network grows by moves. Each move takes values that exist, picks an operator with random
attributes, and adds its results. Sizes are those that break loops: odd channel counts, one-pixel
images, windows larger than the image. Weights are He-scaled, so that values stay in a range where
one tolerance fits all. Nothing here is discontinuous in its inputs, or rounding would decide.
"""

import math

import numpy as np
from onnx import TensorProto, helper, numpy_helper

CHANNELS = [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 40, 48, 64, 65, 96, 100, 130]
SIDES = [1, 2, 3, 5, 7, 8, 9, 12, 14, 16, 19, 23, 28, 33]
OPSETS = [11, 12, 13, 14, 16, 18, 20, 21]
# Above this many elements a value is not grown further, so that a case stays quick.
LARGE = 150_000


class Network:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.opset = int(self.pick(OPSETS))
        self.nodes, self.initializers, self.inputs = [], [], []
        self.shapes = {}
        self.weights = {}     # Names of weights, by shape.
        self.images = []      # Names of values [N, C, H, W], oldest first.
        self.matrices = []    # Names of values [N, K].
        self.count = 0

    # ---- Chance -------------------------------------------------------------------------------

    def pick(self, options, weights=None):
        if weights is not None:
            weights = np.array(weights, dtype=float) / sum(weights)
        return options[int(self.random.choice(len(options), p=weights))]

    def chance(self, probability):
        return self.random.random() < probability

    def between(self, low, high):
        """A whole number, both ends included."""
        return int(self.random.integers(low, high + 1))

    # ---- Building -----------------------------------------------------------------------------

    def fresh(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def store(self, array, prefix="c"):
        name = self.fresh(prefix)
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def integers(self, values):
        return self.store(np.array(values, dtype=np.int64), "i")

    def scalar(self, value):
        return self.store(np.array(value, dtype=np.float32), "f")

    def weight(self, shape, fan_in):
        # Layers may share weights, as the heads of a detector do.
        known = self.weights.setdefault(tuple(shape), [])
        if known and self.chance(0.3):
            return self.pick(known)
        scale = math.sqrt(2.0 / max(fan_in, 1))
        known.append(self.store(
            self.random.standard_normal(shape, dtype=np.float32) * np.float32(scale), "w"))
        return known[-1]

    def uniform(self, shape, low, high):
        return self.store(self.random.uniform(low, high, shape).astype(np.float32), "u")

    def add(self, op, inputs, shape, **attributes):
        """A node with one output; the value joins the images or matrices."""
        name = self.fresh(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"n_{name}", **attributes))
        self.remember(name, shape)
        return name

    def remember(self, name, shape):
        shape = tuple(int(d) for d in shape)
        assert all(d > 0 for d in shape), (name, shape)
        self.shapes[name] = shape
        if len(shape) == 4:
            self.images.append(name)
        elif len(shape) == 2:
            self.matrices.append(name)

    def image(self):
        """An image to go on from: mostly the newest, so that networks get deep."""
        if self.chance(0.65):
            return self.images[-1]
        return self.pick(self.images)

    # ---- Moves on images ----------------------------------------------------------------------

    def window(self, height, width, kernels):
        """Random kernel, strides, dilations and padding that fit; and the output's size."""
        kernel = list(self.pick(kernels))
        strides = self.pick([[1, 1], [2, 2], [1, 2], [3, 2], [3, 3]], [6, 3, 1, 1, 0.5])
        dilations = self.pick([[1, 1], [2, 2], [1, 3], [3, 2]], [8, 1, 0.5, 0.5])
        sides, extents = (height, width), []
        for i in range(2):
            if (kernel[i] - 1) * dilations[i] + 1 > sides[i] + 2 * (kernel[i] // 2):
                kernel[i], dilations[i] = 1, 1
            extents.append((kernel[i] - 1) * dilations[i] + 1)
        attributes = dict(kernel_shape=kernel, strides=strides, dilations=dilations)
        mode = self.pick(["explicit", "same", "valid"], [7, 2, 1])
        if mode == "same":
            attributes["auto_pad"] = self.pick(["SAME_UPPER", "SAME_LOWER"])
            # onnxruntime refuses dilations and, in pooling, padding that would be negative.
            dilations[:] = [1, 1]
            strides[:] = [min(s, k) for s, k in zip(strides, kernel)]
            return attributes, [-(-sides[i] // strides[i]) for i in range(2)], (0, 0, 0, 0)
        pads = [0, 0, 0, 0]
        if mode == "explicit":
            # At most one short of the kernel: a pooling window must see something.
            limits = [min(extents[i % 2] - 1, 4) for i in range(4)]
            if self.chance(0.6):
                pads = [min(extents[i % 2] // 2, limits[i]) for i in range(4)]
            else:
                pads = [self.between(0, limit) for limit in limits]
        for i in range(2):  # The padded image holds one window at least.
            while sides[i] + pads[i] + pads[i + 2] < extents[i]:
                pads[i] += 1
        if mode == "valid" and not any(pads):
            attributes["auto_pad"] = "VALID"
        else:
            attributes["pads"] = pads
        size = [
            (sides[i] + pads[i] + pads[i + 2] - extents[i]) // strides[i] + 1 for i in range(2)]
        return attributes, size, pads

    def convolution(self, x=None, channels=None, simple=False):
        x = x or self.image()
        n, c, h, w = self.shapes[x]
        channels = channels or self.pick(CHANNELS)
        kernels = [(1, 1), (3, 3), (5, 5), (2, 2), (1, 3), (3, 1), (7, 7), (4, 4), (1, 7)]
        kind = "dense" if simple else self.pick(["dense", "depthwise", "group"], [6, 3, 2])
        group = 1
        if kind == "depthwise":
            group, channels = c, c * self.pick([1, 2], [5, 1])
        elif kind == "group":
            group = self.pick([g for g in range(1, c + 1) if c % g == 0])
            channels = group * self.between(1, max(1, 64 // group))
        if simple:
            attributes, size = dict(kernel_shape=[1, 1]), [h, w]
            kernel = [1, 1]
        else:
            if c * h * w > LARGE:
                kernels = [(1, 1), (3, 3)]
            attributes, size, _ = self.window(h, w, kernels)
            kernel = attributes["kernel_shape"]
        fan_in = c // group * kernel[0] * kernel[1]
        inputs = [x, self.weight([channels, c // group, *kernel], fan_in)]
        if self.chance(0.6):
            inputs.append(self.uniform([channels], -0.3, 0.3))
        if group > 1 or self.chance(0.5):
            attributes["group"] = group
        return self.add("Conv", inputs, [n, channels, *size], **attributes)

    def convolution_block(self):
        """Convolution, perhaps normalised, scaled, activated: what fusion is for."""
        x = self.convolution()
        if self.chance(0.5):
            x = self.batch_normalization(x)
        elif self.chance(0.3):
            x = self.affine(x)
        if self.chance(0.8):
            x = self.activation(x)
        return x

    def feed_forward(self):
        """Two pointwise convolutions, mostly with a wider result between them."""
        x = self.image()
        n, c, h, w = self.shapes[x]
        wide = self.pick([c, 2 * c, 3 * c, 4 * c, self.between(1, 64)])
        if n * wide * h * w > LARGE:
            return self.convolution_block()
        y = self.add("Conv", [x, self.weight([wide, c, 1, 1], c)], [n, wide, h, w])
        if self.chance(0.8):
            self.images.pop()
            y = self.activation(y)
        if self.chance(0.9):
            self.images.pop()
        outputs = self.pick([c, c, self.between(1, 40)])
        inputs = [y, self.weight([outputs, wide, 1, 1], wide), self.uniform([outputs], -1, 1)]
        y = self.add("Conv", inputs, [n, outputs, h, w])
        if outputs == c and self.chance(0.6):
            y = self.add("Add", [x, y], [n, c, h, w])
        return self.activation(y) if self.chance(0.3) else y

    def branches(self):
        """A sum of convolutions of one image, and perhaps of the image, as RepVGG has it."""
        x = self.image()
        n, c, h, w = self.shapes[x]
        if c * h * w > LARGE // 2:
            return self.convolution_block()
        group = self.pick([g for g in (1, 1, 2, c) if c % g == 0])
        channels = c if self.chance(0.6) else group * self.between(1, max(1, 48 // group))
        stride = self.pick([1, 2], [3, 1])
        size = [-(-h // stride), -(-w // stride)]
        terms = []
        for _ in range(self.between(1, 3)):
            kernel = list(self.pick([(1, 1), (3, 3), (5, 5), (1, 3)], [4, 5, 1, 1]))
            inputs = [x, self.weight([channels, c // group, *kernel],
                                     c // group * kernel[0] * kernel[1])]
            if self.chance(0.5):
                inputs.append(self.uniform([channels], -0.3, 0.3))
            term = self.add(
                "Conv", inputs, [n, channels, *size], kernel_shape=kernel, group=group,
                strides=[stride, stride], pads=[k // 2 for k in kernel] * 2)
            terms.append(self.batch_normalization(term) if self.chance(0.5) else term)
        if channels == c and self.chance(0.3):
            terms.append(self.add(
                "Conv", [x, self.weight([c, 1, 3, 3], 9)], [n, c, *size], kernel_shape=[3, 3],
                group=c, strides=[stride, stride], pads=[1] * 4))
        if self.shapes[x] == self.shapes[terms[0]] and self.chance(0.7):
            terms.append(self.batch_normalization(x) if self.chance(0.6) else x)
        self.random.shuffle(terms)
        total = terms[0]
        for term in terms[1:]:
            total = self.add("Add", [total, term], self.shapes[total])
        return self.activation(total) if self.chance(0.6) else total

    def strided_readers(self):
        """The end of a stage, which pointwise convolutions with strides read, mostly alone."""
        known = len(self.images)
        y = self.convolution()
        for _ in range(self.between(0, 3)):
            others = self.same_shape(y)
            if others and self.chance(0.5):
                y = self.add("Add", [y, self.pick(others)], self.shapes[y])
            elif self.chance(0.1):
                y = self.add("Add", [y, self.uniform(self.shapes[y], -1, 1)], self.shapes[y])
            else:
                y = self.batch_normalization(y) if self.chance(0.3) else self.activation(y)
        n, c, h, w = self.shapes[y]
        if self.chance(0.8):
            del self.images[known:]
        strides = self.pick([[2, 2], [3, 2], [1, 2]], [4, 1, 1])
        size = [(h - 1) // strides[0] + 1, (w - 1) // strides[1] + 1]
        for _ in range(self.between(1, 2)):
            channels = self.between(1, 48)
            z = self.add("Conv", [y, self.weight([channels, c, 1, 1], c)], [n, channels, *size],
                         strides=strides)
        return z

    def preactivation(self):
        """A map of channels right before a pointwise convolution, as DenseNet has it."""
        x = self.image()
        y = self.squeeze_excitation(x) if self.chance(0.4) else self.batch_normalization(x)
        if self.chance(0.6):
            y = self.add("Relu", [y], self.shapes[y])
        return self.convolution(y, simple=True)

    def transposed(self):
        x = self.image()
        n, c, h, w = self.shapes[x]
        if c * h * w > LARGE // 4:
            return self.convolution_block()
        group = self.pick([g for g in (1, 1, 1, 2, 3, c) if c % g == 0])
        per_group = self.pick([1, 2, 3, 8, 17]) if group == 1 else self.between(1, 3)
        kernel = list(self.pick([(2, 2), (3, 3), (4, 4), (3, 2), (1, 1)]))
        strides = list(self.pick([(2, 2), (1, 1), (3, 2), (2, 1)]))
        dilations = list(self.pick([(1, 1), (2, 1)], [6, 1]))
        pads = [self.between(0, kernel[i % 2] - 1) for i in range(4)]
        extra = [self.between(0, strides[i] - 1) for i in range(2)]
        size = []
        for i, side in enumerate((h, w)):
            extent = (kernel[i] - 1) * dilations[i] + 1
            whole = (side - 1) * strides[i] + extra[i] + extent
            if whole - pads[i] - pads[i + 2] < 1:
                pads[i] = pads[i + 2] = 0
            size.append(whole - pads[i] - pads[i + 2])
        attributes = dict(
            kernel_shape=kernel, strides=strides, pads=pads, dilations=dilations, group=group,
            output_padding=extra)
        fan_in = max(1, c // group * kernel[0] * kernel[1] // (strides[0] * strides[1]))
        inputs = [x, self.weight([c, per_group, *kernel], fan_in)]
        if self.chance(0.5):
            inputs.append(self.uniform([per_group * group], -0.3, 0.3))
        return self.add("ConvTranspose", inputs, [n, per_group * group, *size], **attributes)

    def pool(self):
        x = self.image()
        n, c, h, w = self.shapes[x]
        op = self.pick(["MaxPool", "AveragePool"])
        attributes, size, pads = self.window(h, w, [(2, 2), (3, 3), (3, 2), (5, 5), (1, 2)])
        if op == "AveragePool":
            if attributes["dilations"] != [1, 1]:
                return self.convolution_block()
            del attributes["dilations"]
            if self.chance(0.5):
                attributes["count_include_pad"] = 1
        if "pads" in attributes:
            # A window whose elements all lie in the padding has no maximum and no average.
            kernel, dilations = attributes["kernel_shape"], attributes.get("dilations", [1, 1])
            if any(pads[i] >= kernel[i % 2] for i in range(4)):
                return self.convolution_block()
            if any(d > 1 and (k - 1) * d >= s for d, k, s in zip(dilations, kernel, (h, w))):
                return self.convolution_block()
            if self.chance(0.3) and dilations == [1, 1]:
                ceiled = self.ceiled_size((h, w), attributes)
                if ceiled:
                    attributes["ceil_mode"], size = 1, ceiled
        return self.add(op, [x], [n, c, *size], **attributes)

    @staticmethod
    def ceiled_size(sides, attributes):
        """The output's size under ceil_mode, or None where runtimes disagree about it."""
        size = []
        for i, side in enumerate(sides):
            kernel, stride = attributes["kernel_shape"][i], attributes["strides"][i]
            begin, end = attributes["pads"][i], attributes["pads"][i + 2]
            count = -(-(side + begin + end - kernel) // stride) + 1
            # The last window has to begin inside the image or its leading padding.
            if (count - 1) * stride >= side + begin:
                return None
            size.append(count)
        return size

    def global_pool(self):
        x = self.image()
        n, c, _, _ = self.shapes[x]
        op = self.pick(["GlobalAveragePool", "GlobalMaxPool"], [5, 1])
        return self.add(op, [x], [n, c, 1, 1])

    def batch_normalization(self, x=None):
        x = x or self.image()
        c = self.shapes[x][1]
        inputs = [x, self.uniform([c], 0.5, 1.5), self.uniform([c], -0.3, 0.3),
                  self.uniform([c], -0.3, 0.3), self.uniform([c], 0.5, 1.5)]
        return self.add("BatchNormalization", inputs, self.shapes[x], epsilon=1e-4)

    def affine(self, x=None):
        """Scale and shift by constants of one of the usual shapes."""
        x = x or self.image()
        c, h, w = self.shapes[x][1:]
        for op in self.pick([["Mul", "Add"], ["Add"], ["Div", "Sub"], ["Sub", "Mul"]]):
            shape = self.pick([[c, 1, 1], [1, c, 1, 1], [1], [], [w], [h, 1], [c, h, w]],
                              [5, 5, 2, 2, 1, 1, 1])
            operands = [x, self.uniform(shape, 0.5, 1.5)]
            if self.chance(0.2) and op != "Div":
                operands.reverse()
            x = self.add(op, operands, self.shapes[x])
        return x

    def activation(self, x=None):
        x = x or self.image()
        shape = self.shapes[x]
        op = self.pick(
            ["Relu", "Clip", "HardSigmoid", "HardSwish", "Sigmoid", "LeakyRelu", "Tanh", "Elu",
             "SiLU", "HardSwishParts", "PRelu"], [8, 4, 2, 2, 2, 1, 1, 1, 1, 2, 1])
        if op == "Clip":
            limits = self.pick([(0.0, 6.0), (-0.5, 0.7), (None, 1.0), (0.1, None)])
            inputs = [x] + ["" if v is None else self.scalar(v) for v in limits]
            while inputs[-1] == "":
                inputs.pop()
            return self.add("Clip", inputs, shape)
        if op == "SiLU":
            return self.add("Mul", [x, self.add("Sigmoid", [x], shape)], shape)
        if op == "HardSwishParts" or (op == "HardSwish" and self.opset < 14):
            # As exporters spell it: x * clip(x + 3, 0, 6) / 6.
            y = self.add("Add", [x, self.scalar(3.0)], shape)
            y = self.add("Clip", [y, self.scalar(0.0), self.scalar(6.0)], shape)
            y = self.add("Mul", [x, y], shape)
            return self.add("Div", [y, self.scalar(6.0)], shape)
        if op == "PRelu":
            return self.add("PRelu", [x, self.uniform([shape[1], 1, 1], 0.0, 0.5)], shape)
        attributes = {}
        if op == "HardSigmoid" and self.chance(0.5):
            attributes = dict(alpha=1 / 6, beta=0.5)
        if op == "LeakyRelu":
            attributes = dict(alpha=0.1)
        return self.add(op, [x], shape, **attributes)

    def squeeze_excitation(self, x=None):
        x = x or self.image()
        n, c, h, w = self.shapes[x]
        hidden = max(1, c // 4)
        if self.chance(0.3):
            y = self.reduce_mean(x)
        else:
            y = self.add("GlobalAveragePool", [x], [n, c, 1, 1])
        y = self.convolution(y, hidden, simple=True)
        y = self.add("Relu", [y], self.shapes[y])
        y = self.convolution(y, c, simple=True)
        y = self.add(self.pick(["HardSigmoid", "Sigmoid"]), [y], self.shapes[y])
        operands = [x, y] if self.chance(0.7) else [y, x]
        return self.add("Mul", operands, [n, c, h, w])

    def reduce_mean(self, x=None, axes=(2, 3)):
        x = x or self.image()
        shape = [1 if i in axes else d for i, d in enumerate(self.shapes[x])]
        if self.opset >= 18:
            return self.add("ReduceMean", [x, self.integers(axes)], shape, keepdims=1)
        return self.add("ReduceMean", [x], shape, axes=list(axes), keepdims=1)

    def same_shape(self, x):
        return [v for v in self.images if v != x and self.shapes[v] == self.shapes[x]]

    def combine(self):
        """Joins two or three values of one shape, making a second one where there is none."""
        x = self.image()
        others = self.same_shape(x)
        if others and self.chance(0.8):
            y = self.pick(others)
        else:
            y = self.convolution(x, self.shapes[x][1], simple=True)
            if self.chance(0.5):
                y = self.batch_normalization(y)
        op = self.pick(["Add", "Sum", "Mul", "Sub", "Max"], [8, 2, 1, 1, 0.5])
        operands = [x, y] if self.chance(0.5) else [y, x]
        if op == "Sum" and self.chance(0.5):
            operands.append(self.pick(self.same_shape(x)))
        if op in ("Mul", "Sub"):
            # Bounded, and not x - x: the noise of a difference is not noise of its result.
            operands[1] = self.add("Sigmoid", [operands[1]], self.shapes[x])
        y = self.add(op, operands, self.shapes[x])
        return self.activation(y) if self.chance(0.5) else y

    def concat(self):
        x = self.image()
        axis = self.pick([1, 1, 1, 1, 2, 3])
        shape = self.shapes[x]
        fitting = [
            v for v in self.images
            if all(a == b for i, (a, b) in enumerate(zip(self.shapes[v], shape)) if i != axis)]
        if len(fitting) < 2 and axis == 1:
            fitting.append(self.convolution(x, simple=True))
        parts = [self.pick(fitting) for _ in range(self.between(2, 4))]
        total = sum(self.shapes[v][axis] for v in parts)
        if math.prod(shape) // shape[axis] * total > LARGE:
            parts, total = parts[:1], self.shapes[parts[0]][axis]
        result = list(shape)
        result[axis] = total
        return self.add("Concat", parts, result, axis=axis)

    def split(self):
        x = self.image()
        shape = self.shapes[x]
        if shape[1] < 2:
            return self.activation(x)
        cut = self.between(1, shape[1] - 1)
        sizes = [cut, shape[1] - cut]
        names = [self.fresh("split"), self.fresh("split")]
        if self.opset >= 13:
            node = helper.make_node("Split", [x, self.integers(sizes)], names, axis=1)
        else:
            node = helper.make_node("Split", [x], names, axis=1, split=sizes)
        node.name = f"n_{names[0]}"
        self.nodes.append(node)
        for name, size in zip(names, sizes):
            self.remember(name, [shape[0], size, *shape[2:]])
        return names[1]

    def slice(self):
        x = self.image()
        shape = list(self.shapes[x])
        axis = self.pick([1, 2, 3])
        step = self.pick([1, 2], [3, 1])
        start = self.between(0, shape[axis] - 1)
        end = self.between(start + 1, shape[axis])
        if self.chance(0.3):
            end = (1 << 31) - 1
        shape[axis] = -(-(min(end, shape[axis]) - start) // step)
        inputs = [x] + [self.integers([v]) for v in (start, end, axis, step)]
        return self.add("Slice", inputs, shape)

    def pad(self):
        x = self.image()
        n, c, h, w = self.shapes[x]
        mode = self.pick(["constant", "reflect", "edge"], [4, 1, 1])
        pads = [self.between(0, 3) for _ in range(4)]
        if mode == "reflect":
            pads = [min(p, (h, w)[i % 2] - 1) for i, p in enumerate(pads)]
        inputs = [x, self.integers([0, 0, *pads[:2], 0, 0, *pads[2:]])]
        if mode == "constant" and self.chance(0.7):
            inputs.append(self.scalar(self.pick([0.0, 0.5])))
        size = [h + pads[0] + pads[2], w + pads[1] + pads[3]]
        y = self.add("Pad", inputs, [n, c, *size], mode=mode)
        return self.convolution(y) if self.chance(0.6) else y

    def resize(self):
        x = self.image()
        n, c, h, w = self.shapes[x]
        if c * h * w > LARGE // 4:
            return self.pool()
        mode = self.pick(["nearest", "linear"])
        coordinates = self.pick(["half_pixel", "asymmetric", "align_corners"])
        # Whole factors: others put samples on the edge between two pixels, where runtimes differ.
        sizes = [h * self.between(1, 3), w * self.between(1, 3)]
        attributes = dict(mode=mode, coordinate_transformation_mode=coordinates)
        if mode == "nearest":
            if coordinates == "align_corners":
                attributes["coordinate_transformation_mode"] = "asymmetric"
            attributes["nearest_mode"] = self.pick(["floor", "round_prefer_floor"])
        if self.chance(0.5):
            inputs = [x, "", "", self.integers([n, c, *sizes])]
        else:
            scales = np.array([1, 1, sizes[0] / h, sizes[1] / w], dtype=np.float32)
            inputs = [x, "", self.store(scales)]
        if self.opset < 13:
            inputs[1] = self.store(np.zeros(0, dtype=np.float32))
            if len(inputs) == 4:
                inputs[2] = self.store(np.zeros(0, dtype=np.float32))
        return self.add("Resize", inputs, [n, c, *sizes], **attributes)

    def shuffle(self):
        """Channel shuffle by Reshape, Transpose, Reshape; or a trip through NHWC, or tokens."""
        x = self.image()
        n, c, h, w = self.shapes[x]
        groups = [g for g in range(2, c) if c % g == 0]
        if groups and self.chance(0.6):
            g = self.pick(groups)
            y = self.add("Reshape", [x, self.integers([n, g, c // g, h, w])], [n, g, c // g, h, w])
            y = self.add("Transpose", [y], [n, c // g, g, h, w], perm=[0, 2, 1, 3, 4])
            return self.add("Reshape", [y, self.integers([0, -1, h, w])], [n, c, h, w])
        if self.chance(0.4):
            return self.tokens(x)
        y = self.add("Transpose", [x], [n, h, w, c], perm=[0, 2, 3, 1])
        self.images.pop()
        if self.chance(0.5):
            y = self.add("Mul", [y, self.uniform([c], 0.5, 1.5)], [n, h, w, c])
            self.images.pop()
        return self.add("Transpose", [y], [n, c, h, w], perm=[0, 3, 1, 2])

    def tokens(self, x=None):
        """Through [N, H * W, C], as attention sees images; normalized or multiplied there."""
        x = x or self.image()
        n, c, h, w = self.shapes[x]
        y = self.add("Reshape", [x, self.integers([0, c, -1])], [n, c, h * w])
        y = self.add("Transpose", [y], [n, h * w, c], perm=[0, 2, 1])
        if self.opset >= 17 and c >= 4 and self.chance(0.7):
            scale, bias = self.uniform([c], 0.5, 1.5), self.uniform([c], -1, 1)
            y = self.add("LayerNormalization", [y, scale, bias], [n, h * w, c], epsilon=0.01)
        elif self.chance(0.5):
            y = self.add("Mul", [y, self.uniform([c], 0.5, 1.5)], [n, h * w, c])
        for _ in range(self.between(0, 2)):
            if h * w <= 256 and self.opset >= 13 and self.chance(0.5):
                y = self.attention(y)
            k, c = c, self.between(2, 40)
            if self.chance(0.4):
                y = self.add(self.pick(["Relu", "Sigmoid"]), [y], [n, h * w, k])
            bound = k ** -0.5
            y = self.add("MatMul", [y, self.uniform([k, c], -bound, bound)], [n, h * w, c])
            if self.chance(0.5):
                y = self.add("Add", [self.uniform([c], -1, 1), y], [n, h * w, c])
        y = self.add("Transpose", [y], [n, c, h * w], perm=[0, 2, 1])
        return self.add("Reshape", [y, self.integers([n, c, h, w])], [n, c, h, w])

    def attention(self, x):
        """Heads of attention in the ways exporters write them, and what they see in the rows."""
        n, t, c = self.shapes[x]
        heads = self.pick([h for h in range(1, c + 1) if c % h == 0])
        d = c // heads
        scaled = self.pick(["q", "qk", "scores", "quotient", "none"])
        factor = d ** (-0.25 if scaled == "qk" else -0.5)
        if self.chance(0.5):
            y = self.add("MatMul", [x, self.weight([c, 3 * c], c)], [n, t, 3 * c])
            y = self.add("Reshape", [y, self.integers([n, t, 3, heads, d])], [n, t, 3, heads, d])
            y = self.add("Transpose", [y], [3, n, heads, t, d], perm=[2, 0, 3, 1, 4])
            parts = [
                self.add("Gather", [y, self.store(np.array(i, np.int64), "i")],
                         [n, heads, t, d], axis=0) for i in range(3)]
        else:
            parts = []
            for _ in range(3):
                y = self.add("MatMul", [x, self.weight([c, c], c)], [n, t, c])
                y = self.add("Reshape", [y, self.integers([0, 0, heads, d])], [n, t, heads, d])
                parts.append(
                    self.add("Transpose", [y], [n, heads, t, d], perm=[0, 2, 1, 3]))
        q, k, v = parts
        if scaled in ("q", "qk"):
            q = self.add("Mul", [q, self.scalar(factor)], [n, heads, t, d])
        k = self.add("Transpose", [k], [n, heads, d, t], perm=[0, 1, 3, 2])
        if scaled == "qk":
            k = self.add("Mul", [self.scalar(factor), k], [n, heads, d, t])
        y = self.add("MatMul", [q, k], [n, heads, t, t])
        if scaled == "scores":
            y = self.add("Mul", [y, self.scalar(factor)], [n, heads, t, t])
        elif scaled == "quotient":
            y = self.add("Div", [y, self.scalar(1 / factor)], [n, heads, t, t])
        if self.chance(0.3):
            y = self.add("Add", [y, self.uniform([t, t], -1, 1)], [n, heads, t, t])
        y = self.add("Softmax", [y], [n, heads, t, t], axis=-1)
        y = self.add("MatMul", [y, v], [n, heads, t, d])
        if self.chance(0.8):
            # What is between is for attention alone, or other moves read it, too.
            self.images = [i for i in self.images if self.shapes[i][2:] not in ((t, t), (t, d))]
        y = self.add("Transpose", [y], [n, t, heads, d], perm=[0, 2, 1, 3])
        return self.add("Reshape", [y, self.integers([n, t, c])], [n, t, c])

    def softmax(self):
        x = self.image()
        axis = self.pick([1, 3, -1, 2]) if self.opset >= 13 else 1
        return self.add("Softmax", [x], self.shapes[x], axis=axis)

    def normalization(self):
        x = self.image()
        size = self.pick([3, 5])
        if self.chance(0.3):
            return self.local_response(x, self.pick([2, 3, 5]))
        return self.add("LRN", [x], self.shapes[x], size=size, alpha=0.01, beta=0.75, bias=1.0)

    def local_response(self, x, size):
        """LRN as PyTorch writes it: squares are pooled along channels, in images or in volumes."""
        shape = self.shapes[x]
        n, c, h, w = shape
        behind = self.pick([[h, w], [h * w]])
        y = self.add("Mul", [x, x], shape)
        y = self.add("Reshape", [y, self.integers([n, 1, c, *behind])], [n, 1, c, *behind])
        zeros = [0] * len(behind)
        before, after = size // 2, (size - 1) // 2
        pads = [0, 0, before, *zeros, 0, 0, after, *zeros]
        padded = [n, 1, c + size - 1, *behind]
        if self.opset < 11:
            y = self.add("Pad", [y], padded, pads=pads)
        else:
            y = self.add("Pad", [y, self.integers(pads)], padded)
        kernel = [size] + [1] * len(behind)
        y = self.add("AveragePool", [y], [n, 1, c, *behind], kernel_shape=kernel)
        y = self.add("Reshape", [y, self.integers(shape)], shape)
        y = self.add("Mul", [y, self.scalar(0.01)], shape)
        y = self.add("Add", [y, self.scalar(1.0)], shape)
        y = self.add("Pow", [y, self.scalar(0.75)], shape)
        return self.add("Div", [x, y], shape)

    def channel_normalization(self, x):
        """Spelled out over axis 1, as ConvNeXt has it or as TensorFlow does."""
        shape = self.shapes[x]
        n, c, h, w = shape
        factors, offsets = self.uniform([c, 1, 1], 0.5, 1.5), self.uniform([c, 1, 1], -1, 1)
        mean = self.reduce_mean(x, axes=(1,))
        centred = self.add("Sub", [x, mean], shape)
        variance = self.reduce_mean(self.add("Mul", [centred, centred], shape), axes=(1,))
        y = self.add("Add", [variance, self.scalar(0.01)], [n, 1, h, w])
        y = self.add("Sqrt", [y], [n, 1, h, w])
        if self.chance(0.5):
            y = self.add("Div", [centred, y], shape)
            return self.add("Add", [self.add("Mul", [factors, y], shape), offsets], shape)
        y = self.add("Mul", [self.add("Reciprocal", [y], [n, 1, h, w]), factors], shape)
        shift = self.add("Mul", [mean, y], shape)
        y = self.add("Mul", [x, y], shape)
        return self.add("Add", [y, self.add("Sub", [offsets, shift], shape)], shape)

    def composed(self):
        """Operators that are written out as others."""
        x = self.image()
        n, c, h, w = self.shapes[x]
        op = self.pick(
            ["InstanceNormalization", "LayerNormalization", "Softsign", "Selu", "Celu", "Sin",
             "DepthToSpace", "SpaceToDepth", "LpPool", "LogSoftmax", "CumSum",
             "ChannelNormalization"])
        if op == "ChannelNormalization":
            return self.channel_normalization(x) if c >= 4 else self.nothing()
        if op == "InstanceNormalization":
            # One pixel has no deviation to divide by.
            if h * w < 4:
                return self.nothing()
            scale, bias = self.uniform([c], 0.5, 1.5), self.uniform([c], -1, 1)
            return self.add(op, [x, scale, bias], self.shapes[x], epsilon=0.01)
        if op == "LayerNormalization":
            if self.opset < 17 or c * h * w < 4:
                return self.nothing()
            inputs = [x, self.uniform([c, h, w], 0.5, 1.5), self.uniform([c, h, w], -1, 1)]
            return self.add(op, inputs, self.shapes[x], axis=1, epsilon=0.01)
        if op == "DepthToSpace":
            if c % 4:
                return self.nothing()
            mode = self.pick(["DCR", "CRD"])
            return self.add(op, [x], [n, c // 4, h * 2, w * 2], blocksize=2, mode=mode)
        if op == "SpaceToDepth":
            if h % 2 or w % 2:
                return self.nothing()
            return self.add(op, [x], [n, c * 4, h // 2, w // 2], blocksize=2)
        if op == "LpPool":
            if min(h, w) < 2:
                return self.nothing()
            return self.add(
                op, [x], [n, c, h - 1, w - 1], kernel_shape=[2, 2], strides=[1, 1], p=2)
        if op == "LogSoftmax":
            # Before operator set 13 it works on all axes from one on.
            return self.add(op, [x], self.shapes[x], axis=1)
        if op == "CumSum":
            axis = self.store(np.array(self.between(1, 3), dtype=np.int64), "i")
            y = self.add(op, [x, axis], self.shapes[x], reverse=int(self.chance(0.5)))
            return self.add("Tanh", [y], self.shapes[x])
        if op == "Celu" and self.opset < 12:
            op = "Selu"
        return self.add(op, [x], self.shapes[x])

    def nothing(self):
        """Operators that mean nothing at inference."""
        x = self.image()
        return self.add(self.pick(["Identity", "Dropout"]), [x], self.shapes[x])

    # ---- Moves on matrices --------------------------------------------------------------------

    def to_matrix(self):
        x = self.image()
        n, c, h, w = self.shapes[x]
        if c * h * w > 4000:
            x = self.add("GlobalAveragePool", [x], [n, c, 1, 1])
            h = w = 1
        if self.chance(0.5):
            return self.add("Flatten", [x], [n, c * h * w], axis=1)
        return self.add("Reshape", [x, self.integers([n, -1])], [n, c * h * w])

    def dense(self, x):
        """A layer of a perceptron: Gemm in its forms, or MatMul and Add."""
        n, k = self.shapes[x]
        units = self.pick([1, 2, 3, 10, 16, 17, 33, 64, 100, 257, k])
        if self.chance(0.6):
            attributes = {}
            transposed = self.chance(0.6)
            if transposed:
                attributes["transB"] = 1
            if self.chance(0.2):
                attributes.update(alpha=0.5, beta=2.0)
            shape = [units, k] if transposed else [k, units]
            inputs = [x, self.weight(shape, k)]
            if self.chance(0.8):
                inputs.append(self.uniform(self.pick([[units], [1, units], [1], [n, 1]]), -1, 1))
            y = self.add("Gemm", inputs, [n, units], **attributes)
            if units == k and self.chance(0.5):
                y = self.add("Add", [y, x], [n, units])
        else:
            y = self.add("MatMul", [x, self.weight([k, units], k)], [n, units])
            if self.chance(0.7):
                y = self.add("Add", [y, self.uniform([units], -1, 1)], [n, units])
        if self.chance(0.6):
            op = self.pick(["Relu", "Sigmoid", "Tanh"])
            y = self.add(op, [y], [n, units])
        return y

    def rearranged(self):
        """Copies of copies: transpositions, slices and rolls in a row, some read by others too."""
        x = self.image()
        n = self.shapes[x][0]
        made = [x]
        for _ in range(self.between(2, 5)):
            y = self.pick([made[-1], self.pick(made)], [4, 1])
            shape = self.shapes[y]
            move = self.pick(["turn", "cut", "roll", "regroup"], [4, 3, 2, 3])
            if move == "turn":
                order = [int(axis) for axis in self.random.permutation(len(shape))]
                y = self.add("Transpose", [y], [shape[axis] for axis in order], perm=order)
            elif move == "cut":
                y = self.cut(y, self.between(0, len(shape) - 1), self.pick([1, 1, 2, -1]))
            elif move == "roll":
                axis = self.between(0, len(shape) - 1)
                if shape[axis] == 1:
                    continue
                at = self.between(1, shape[axis] - 1)
                halves = [self.part(y, axis, at, shape[axis], 1), self.part(y, axis, 0, at, 1)]
                y = self.add("Concat", halves, shape, axis=axis)
            else:
                axis = self.between(0, len(shape) - 2)
                wide = shape[axis] * shape[axis + 1]
                size = self.pick([d for d in range(1, wide + 1) if wide % d == 0])
                shape = [*shape[:axis], size, wide // size, *shape[axis + 2:]]
                y = self.add("Reshape", [y, self.integers(shape)], shape)
            made.append(y)
        count = math.prod(self.shapes[made[-1]])
        n = n if count % n == 0 else 1
        c = self.pick([d for d in range(1, min(count // n, 40) + 1) if count // n % d == 0])
        shape = [n, c, count // n // c, 1]
        return self.add("Reshape", [made[-1], self.integers(shape)], shape)

    def cut(self, x, axis, step):
        size = self.shapes[x][axis]
        if step < 0:
            return self.part(x, axis, size - 1, -size - 1, step)
        start = self.between(0, size - 1)
        return self.part(x, axis, start, self.between(start + 1, size), step)

    def part(self, x, axis, start, end, step):
        shape = list(self.shapes[x])
        shape[axis] = shape[axis] if step < 0 else -(-(end - start) // step)
        bounds = [self.integers([value]) for value in (start, end, axis, step)]
        return self.add("Slice", [x, *bounds], shape)

    def views(self):
        """An image in another shape, that in a third, and what may be written over both."""
        x = self.image()
        n, c, h, w = self.shapes[x]
        if self.chance(0.5):
            x = f"input{len(self.inputs)}"
            self.inputs.append(x)
            self.shapes[x] = (n, c, h, w)
        rows = self.add("Reshape", [x, self.integers([n, c, h * w])], [n, c, h * w])
        self.add("Reshape", [rows, self.integers([n * c, h, w])], [n * c, h, w])
        if self.chance(0.7):
            self.add("Relu", [rows], [n, c, h * w])

    def head(self):
        """Ends the network in a classifier."""
        x = self.to_matrix()
        for _ in range(self.between(1, 3)):
            x = self.dense(x)
        if self.chance(0.5):
            x = self.add("Softmax", [x], self.shapes[x], axis=1)
        return x


MOVES = [
    (Network.convolution_block, 12), (Network.combine, 6), (Network.pool, 3),
    (Network.concat, 3), (Network.squeeze_excitation, 2), (Network.activation, 2),
    (Network.affine, 2), (Network.batch_normalization, 1), (Network.preactivation, 1.5),
    (Network.branches, 2), (Network.feed_forward, 1.5), (Network.strided_readers, 1.5),
    (Network.transposed, 1.5), (Network.resize, 1.5), (Network.pad, 1), (Network.slice, 1),
    (Network.split, 1), (Network.rearranged, 1.5),
    (Network.shuffle, 1), (Network.tokens, 1), (Network.softmax, 0.5), (Network.normalization, 0.4),
    (Network.nothing, 0.7), (Network.composed, 2), (Network.global_pool, 0.3),
    (Network.reduce_mean, 0.4), (Network.views, 0.7),
]


def random_network(seed):
    """The model of a seed. Values nobody reads are outputs, or are left dead."""
    net = Network(seed)
    batch = net.pick([1, 3], [3, 1])
    for index in range(net.pick([1, 2], [6, 1])):
        shape = [batch, net.pick([1, 3, 3, 4, 16, 20]), net.pick(SIDES), net.pick(SIDES)]
        net.inputs.append(f"input{index}")
        net.remember(f"input{index}", shape)
    moves, weights = zip(*MOVES)
    for _ in range(net.between(2, 16)):
        net.pick(moves, weights)(net)
    if net.chance(0.5):
        net.head()
    return finish(net, seed)


def finish(net, seed):
    """The model that a network has grown to."""
    produced = [name for node in net.nodes for name in node.output]
    read = {name for node in net.nodes for name in node.input}
    outputs = [n for n in produced if n not in read and (n == produced[-1] or net.chance(0.7))]
    # A value that is an output and is read as well must survive fusion and reuse of its bytes.
    if net.chance(0.4):
        outputs += [n for n in produced if n in read and net.chance(2 / len(produced))]
    used = {name for node in net.nodes for name in node.input}
    graph = helper.make_graph(
        net.nodes, f"random_{seed}",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, net.shapes[n])
         for n in net.inputs if n in used],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, net.shapes[n]) for n in outputs],
        [t for t in net.initializers if t.name in used])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", net.opset)], ir_version=8)
