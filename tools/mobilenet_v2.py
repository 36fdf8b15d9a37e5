"""MobileNet-v2 (Sandler et al. 2018, table 2): width 1.0, 224 x 224 pixels, 1000 classes.

The graph is what a training framework would export before any simplification: batch
normalisations are nodes of their own and ReLU6 is a Clip, so that Sluice has to fuse them.
"""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

OPSET = 17
# Expansion, output channels, repeats, stride of the first repeat.
BLOCKS = [
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
]
CLASSES = 1000


class Builder:
    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.initializers = []

    def store(self, name, array):
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def convolution(self, x, name, channels_in, channels, kernel, stride, group, clips):
        """Convolution, batch normalisation and, if `clips`, ReLU6."""
        dims = [channels, channels_in // group, kernel, kernel]
        fan_in = dims[1] * kernel * kernel
        # A linear bottleneck has no ReLU behind it that halves the variance, and the residual
        # sum doubles it: a gain below one keeps the depth in range.
        weight = self.weights.he(f"{name}.weight", dims, fan_in, 1.0 if clips else 0.5)
        x = self.add(
            "Conv", [x, self.store(f"{name}.weight", weight)], f"{name}.conv",
            kernel_shape=[kernel, kernel], strides=[stride, stride], group=group,
            pads=[kernel // 2] * 4)
        parameters = []
        for position, part in enumerate(["scale", "bias", "mean", "variance"], start=1):
            values = self.weights.batch_normalization(f"{name}.{part}", [channels], position)
            parameters.append(self.store(f"{name}.{part}", values))
        x = self.add("BatchNormalization", [x] + parameters, f"{name}.bn", epsilon=1e-5)
        return self.add("Clip", [x, "zero", "six"], f"{name}.relu6") if clips else x


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    b = Builder(weights)
    b.store("zero", np.array(0, dtype=np.float32))
    b.store("six", np.array(6, dtype=np.float32))
    x = b.convolution("input", "stem", 3, 32, 3, 2, 1, True)
    channels_in = 32
    for stage, (expansion, channels, repeats, first_stride) in enumerate(BLOCKS):
        for repeat in range(repeats):
            name = f"block{stage}_{repeat}"
            stride = first_stride if repeat == 0 else 1
            shortcut, hidden = x, channels_in * expansion
            if expansion != 1:
                x = b.convolution(x, f"{name}.expand", channels_in, hidden, 1, 1, 1, True)
            x = b.convolution(x, f"{name}.depthwise", hidden, hidden, 3, stride, hidden, True)
            x = b.convolution(x, f"{name}.project", hidden, channels, 1, 1, 1, False)
            if stride == 1 and channels_in == channels:
                x = b.add("Add", [shortcut, x], f"{name}.add")
            channels_in = channels
    x = b.convolution(x, "head", channels_in, 1280, 1, 1, 1, True)
    x = b.add("GlobalAveragePool", [x], "pool")
    x = b.add("Flatten", [x], "flatten", axis=1)
    classifier = weights.he("classifier.weight", [CLASSES, 1280], 1280)
    bias = weights.uniform("classifier.bias", [CLASSES], -0.1, 0.1)
    x = b.add(
        "Gemm",
        [x, b.store("classifier.weight", classifier), b.store("classifier.bias", bias)],
        "logits", transB=1)

    graph = helper.make_graph(
        b.nodes, "mobilenet_v2",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, CLASSES])], b.initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8,
        producer_name="sluice-tools")
    checker.check_model(model)
    return model
