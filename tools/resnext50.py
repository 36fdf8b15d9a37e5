"""ResNeXt-50 32x4d (Xie et al. 2016): 224 x 224 pixels, 1000 classes."""

from resnet50_v1_5 import residual_network

# Inner channels and blocks of each stage.
STAGES = [(128, 3), (256, 4), (512, 6), (1024, 3)]


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    return residual_network(weights, "resnext50", STAGES, widening=2, groups=32)
