"""Builds ONNX graphs as a training framework exports them, before any simplification.

Batch normalisations are nodes of their own and activations are separate operators, so that Sluice
has to fuse them. The batch is an open dimension, "N".
"""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

OPSET = 17


class NetworkBuilder:
    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.initializers = []
        # Channels of each value.
        self.channels = {}

    def store(self, name, array):
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.channels[name] = self.channels.get(inputs[0])
        return name

    def input(self, name, channels):
        self.channels[name] = channels
        return name

    def activation(self, x, name, kind):
        """`kind` is None, "relu", "relu6", "silu" or "sigmoid"."""
        if kind is None:
            return x
        if kind == "relu6":
            for bound, value in (("zero", 0), ("six", 6)):
                if all(t.name != bound for t in self.initializers):
                    self.store(bound, np.array(value, dtype=np.float32))
            return self.add("Clip", [x, "zero", "six"], f"{name}.relu6")
        if kind == "silu":
            gate = self.add("Sigmoid", [x], f"{name}.sigmoid")
            return self.add("Mul", [x, gate], f"{name}.silu")
        return self.add(kind.capitalize(), [x], f"{name}.{kind}")

    def convolution(self, x, name, channels, kernel, stride=1, pads=None, group=1,
                    activation="relu", gain=1.0, normalizes=True):
        """Convolution, batch normalisation (or a bias) and activation.

        `kernel` is a size or (height, width); `pads` is (vertical, horizontal), by default what
        keeps the size at stride 1.
        """
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        pads = pads if pads is not None else (kernel[0] // 2, kernel[1] // 2)
        dims = [channels, self.channels[x] // group, *kernel]
        weight = self.weights.he(f"{name}.weight", dims, dims[1] * kernel[0] * kernel[1], gain)
        inputs = [x, self.store(f"{name}.weight", weight)]
        if not normalizes:
            bias = self.weights.uniform(f"{name}.bias", [channels], -0.1, 0.1)
            inputs.append(self.store(f"{name}.bias", bias))
        x = self.add(
            "Conv", inputs, f"{name}.conv", kernel_shape=list(kernel), strides=[stride, stride],
            group=group, pads=list(pads) * 2)
        self.channels[x] = channels
        if normalizes:
            parameters = []
            for position, part in enumerate(["scale", "bias", "mean", "variance"], start=1):
                values = self.weights.batch_normalization(f"{name}.{part}", [channels], position)
                parameters.append(self.store(f"{name}.{part}", values))
            x = self.add("BatchNormalization", [x] + parameters, f"{name}.bn", epsilon=1e-5)
        return self.activation(x, name, activation)

    def transposed_convolution(self, x, name, channels, kernel, stride):
        """Grows the sides `stride` times, with a bias and nothing behind it."""
        dims = [self.channels[x], channels, kernel, kernel]
        weight = self.weights.he(f"{name}.weight", dims, dims[0])
        bias = self.weights.uniform(f"{name}.bias", [channels], -0.1, 0.1)
        x = self.add(
            "ConvTranspose",
            [x, self.store(f"{name}.weight", weight), self.store(f"{name}.bias", bias)], name,
            kernel_shape=[kernel] * 2, strides=[stride] * 2)
        self.channels[x] = channels
        return x

    def split(self, x, sizes, names, axis):
        """Cuts along `axis`; `sizes` is the name of what each part gets."""
        self.nodes.append(
            helper.make_node("Split", [x, sizes], names, name=names[0], axis=axis))

    def max_pool(self, x, name, kernel, stride, pad=0):
        return self.add("MaxPool", [x], name, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                        pads=[pad] * 4)

    def average_pool(self, x, name, kernel, pad):
        return self.add("AveragePool", [x], name, kernel_shape=[kernel] * 2, strides=[1, 1],
                        pads=[pad] * 4, count_include_pad=1)

    def concat(self, parts, name):
        result = self.add("Concat", parts, name, axis=1)
        self.channels[result] = sum(self.channels[part] for part in parts)
        return result

    def linear(self, x, name, features_in, features, gain=1.0):
        weight = self.weights.he(f"{name}.weight", [features, features_in], features_in, gain)
        bias = self.weights.uniform(f"{name}.bias", [features], -0.1, 0.1)
        return self.add(
            "Gemm",
            [x, self.store(f"{name}.weight", weight), self.store(f"{name}.bias", bias)],
            name, transB=1)

    def classifier(self, x, classes):
        """Global average, then class scores."""
        channels = self.channels[x]
        x = self.add("GlobalAveragePool", [x], "pool")
        x = self.add("Flatten", [x], "flatten", axis=1)
        return self.linear(x, "logits", channels, classes)

    def model(self, name, input_name, size, output, classes, batch="N"):
        return self.graph(
            name, {input_name: [batch, 3, size, size]}, {output: [batch, classes]})

    def graph(self, name, inputs, outputs, types=None):
        """The model with these inputs and outputs: names and dimensions, float unless in `types`.
        """
        def declarations(values):
            return [
                helper.make_tensor_value_info(
                    value, (types or {}).get(value, TensorProto.FLOAT), dims)
                for value, dims in values.items()]

        graph = helper.make_graph(
            self.nodes, name, declarations(inputs), declarations(outputs), self.initializers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8,
            producer_name="sluice-tools")
        checker.check_model(model)
        return model
