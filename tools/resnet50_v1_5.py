"""ResNet-50 v1.5 (He et al. 2015, the stride in the 3x3 layer): 224 x 224 pixels, 1000 classes."""

from network_builder import NetworkBuilder

# Inner channels and blocks of each stage.
STAGES = [(64, 3), (128, 4), (256, 6), (512, 3)]
CLASSES = 1000


def residual_network(weights, model, stages, widening, groups):
    """Bottlenecks whose 3x3 layers have `groups` groups and whose results `widening` times as many
    channels as those."""
    b = NetworkBuilder(weights)
    x = b.convolution(b.input("input", 3), "stem", 64, 7, 2)
    x = b.max_pool(x, "stem_pool", 3, 2, 1)
    for stage, (inner, blocks) in enumerate(stages):
        for block in range(blocks):
            name = f"stage{stage}_{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            outer = widening * inner
            shortcut = x
            if block == 0:
                shortcut = b.convolution(
                    x, f"{name}.shortcut", outer, 1, stride, activation=None, gain=0.7)
            x = b.convolution(x, f"{name}.reduce", inner, 1)
            x = b.convolution(x, f"{name}.spatial", inner, 3, stride, group=groups)
            x = b.convolution(x, f"{name}.expand", outer, 1, activation=None, gain=0.7)
            x = b.activation(b.add("Add", [x, shortcut], f"{name}.add"), name, "relu")
    return b.model(model, "input", 224, b.classifier(x, CLASSES), CLASSES)


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    return residual_network(weights, "resnet50_v1_5", STAGES, widening=4, groups=1)
