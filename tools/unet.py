"""A U-Net (Ronneberger et al. 2015) of three levels: classes of pixels, 128 x 128 and larger.

The way up doubles sides by transposed convolutions and joins what the way down left at its level.
"""

from network_builder import NetworkBuilder

CHANNELS = [16, 32, 64]
BOTTOM = 128
CLASSES = 4


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    b = NetworkBuilder(weights)

    def twice(x, name, channels):
        x = b.convolution(x, f"{name}.first", channels, 3)
        return b.convolution(x, f"{name}.second", channels, 3)

    x, skips = b.input("image", 3), []
    for level, channels in enumerate(CHANNELS):
        x = twice(x, f"down{level}", channels)
        skips.append(x)
        x = b.max_pool(x, f"down{level}.pool", 2, 2)
    x = twice(x, "bottom", BOTTOM)
    for level, channels in reversed(list(enumerate(CHANNELS))):
        x = b.transposed_convolution(x, f"up{level}.grow", channels, 2, 2)
        x = twice(b.concat([skips[level], x], f"up{level}.join"), f"up{level}", channels)
    x = b.convolution(x, "classes", CLASSES, 1, activation=None, normalizes=False, gain=0.5)
    sides = ["height", "width"]
    return b.graph("unet", {"image": ["N", 3, *sides]}, {x: ["N", CLASSES, *sides]})
