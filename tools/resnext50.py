"""ResNeXt-50 32x4d (Xie et al. 2016): 224 x 224 pixels, 1000 classes."""

from network_builder import NetworkBuilder

# Inner channels and blocks of each stage.
STAGES = [(128, 3), (256, 4), (512, 6), (1024, 3)]
GROUPS = 32
CLASSES = 1000


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    b = NetworkBuilder(weights)
    x = b.convolution(b.input("input", 3), "stem", 64, 7, 2)
    x = b.max_pool(x, "stem_pool", 3, 2, 1)
    for stage, (inner, blocks) in enumerate(STAGES):
        for block in range(blocks):
            name = f"stage{stage}_{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            shortcut = x
            if block == 0:
                shortcut = b.convolution(
                    x, f"{name}.shortcut", 2 * inner, 1, stride, activation=None, gain=0.7)
            x = b.convolution(x, f"{name}.reduce", inner, 1)
            x = b.convolution(x, f"{name}.spatial", inner, 3, stride, group=GROUPS)
            x = b.convolution(x, f"{name}.expand", 2 * inner, 1, activation=None, gain=0.7)
            x = b.activation(b.add("Add", [x, shortcut], f"{name}.add"), name, "relu")
    return b.model("resnext50", "input", 224, b.classifier(x, CLASSES), CLASSES)
