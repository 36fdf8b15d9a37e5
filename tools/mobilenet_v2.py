"""MobileNet-v2 (Sandler et al. 2018, table 2): width 1.0, 224 x 224 pixels, 1000 classes."""

from network_builder import NetworkBuilder

# Expansion, output channels, repeats, stride of the first repeat.
BLOCKS = [
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
]
CLASSES = 1000


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    b = NetworkBuilder(weights)
    x = b.convolution(b.input("input", 3), "stem", 32, 3, 2, activation="relu6")
    for stage, (expansion, channels, repeats, first_stride) in enumerate(BLOCKS):
        for repeat in range(repeats):
            name = f"block{stage}_{repeat}"
            stride = first_stride if repeat == 0 else 1
            shortcut, hidden = x, b.channels[x] * expansion
            if expansion != 1:
                x = b.convolution(x, f"{name}.expand", hidden, 1, activation="relu6")
            x = b.convolution(
                x, f"{name}.depthwise", hidden, 3, stride, group=hidden, activation="relu6")
            # A linear bottleneck has no ReLU behind it that halves the variance, and the residual
            # sum doubles it: a gain below one keeps the depth in range.
            x = b.convolution(x, f"{name}.project", channels, 1, activation=None, gain=0.5)
            if stride == 1 and b.channels[shortcut] == channels:
                x = b.add("Add", [shortcut, x], f"{name}.add")
    x = b.convolution(x, "head", 1280, 1, activation="relu6")
    return b.model("mobilenet_v2", "input", 224, b.classifier(x, CLASSES), CLASSES)
