"""EfficientNet-b0 (Tan and Le 2019, table 1): 224 x 224 pixels, 1000 classes."""

from network_builder import NetworkBuilder

# Expansion, output channels, repeats, stride of the first repeat, kernel.
BLOCKS = [
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
]
CLASSES = 1000


def squeeze_and_excite(b, x, name, squeezed):
    """Scales each channel by what the whole image says."""
    channels = b.channels[x]
    gate = b.add("GlobalAveragePool", [x], f"{name}.average")
    gate = b.convolution(
        gate, f"{name}.reduce", squeezed, 1, activation="silu", normalizes=False)
    gate = b.convolution(
        gate, f"{name}.expand", channels, 1, activation="sigmoid", normalizes=False)
    return b.add("Mul", [x, gate], f"{name}.scale")


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    b = NetworkBuilder(weights)
    x = b.convolution(b.input("input", 3), "stem", 32, 3, 2, activation="silu")
    for stage, (expansion, channels, repeats, first_stride, kernel) in enumerate(BLOCKS):
        for repeat in range(repeats):
            name = f"block{stage}_{repeat}"
            stride = first_stride if repeat == 0 else 1
            shortcut, hidden = x, b.channels[x] * expansion
            if expansion != 1:
                x = b.convolution(x, f"{name}.expand", hidden, 1, activation="silu")
            x = b.convolution(
                x, f"{name}.depthwise", hidden, kernel, stride, group=hidden, activation="silu")
            x = squeeze_and_excite(b, x, f"{name}.se", b.channels[shortcut] // 4)
            x = b.convolution(x, f"{name}.project", channels, 1, activation=None, gain=0.7)
            if stride == 1 and b.channels[shortcut] == channels:
                x = b.add("Add", [shortcut, x], f"{name}.add")
    x = b.convolution(x, "head", 1280, 1, activation="silu")
    return b.model("efficientnet_b0", "input", 224, b.classifier(x, CLASSES), CLASSES)
