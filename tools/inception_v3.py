"""Inception-v3 (Szegedy et al. 2015) without its training head: 299 x 299 pixels, 1000 classes."""

from network_builder import NetworkBuilder

CLASSES = 1000


def block_35(b, x, name, pooled):
    """Mixed block at 35 x 35 pixels."""
    one = b.convolution(x, f"{name}.1x1", 64, 1)
    five = b.convolution(x, f"{name}.5x5_1", 48, 1)
    five = b.convolution(five, f"{name}.5x5_2", 64, 5)
    three = b.convolution(x, f"{name}.3x3_1", 64, 1)
    three = b.convolution(three, f"{name}.3x3_2", 96, 3)
    three = b.convolution(three, f"{name}.3x3_3", 96, 3)
    pool = b.convolution(b.average_pool(x, f"{name}.average", 3, 1), f"{name}.pool", pooled, 1)
    return b.concat([one, five, three, pool], f"{name}.concat")


def reduce_35(b, x, name):
    """From 35 x 35 to 17 x 17 pixels."""
    three = b.convolution(x, f"{name}.3x3", 384, 3, 2, (0, 0))
    double = b.convolution(x, f"{name}.double_1", 64, 1)
    double = b.convolution(double, f"{name}.double_2", 96, 3)
    double = b.convolution(double, f"{name}.double_3", 96, 3, 2, (0, 0))
    return b.concat([three, double, b.max_pool(x, f"{name}.max", 3, 2)], f"{name}.concat")


def block_17(b, x, name, width):
    """Mixed block at 17 x 17 pixels, with 7x7 filters split in two."""
    one = b.convolution(x, f"{name}.1x1", 192, 1)
    seven = b.convolution(x, f"{name}.7x7_1", width, 1)
    seven = b.convolution(seven, f"{name}.7x7_2", width, (1, 7))
    seven = b.convolution(seven, f"{name}.7x7_3", 192, (7, 1))
    double = b.convolution(x, f"{name}.double_1", width, 1)
    for index, kernel in enumerate([(7, 1), (1, 7), (7, 1)]):
        double = b.convolution(double, f"{name}.double_{index + 2}", width, kernel)
    double = b.convolution(double, f"{name}.double_5", 192, (1, 7))
    pool = b.convolution(b.average_pool(x, f"{name}.average", 3, 1), f"{name}.pool", 192, 1)
    return b.concat([one, seven, double, pool], f"{name}.concat")


def reduce_17(b, x, name):
    """From 17 x 17 to 8 x 8 pixels."""
    three = b.convolution(x, f"{name}.3x3_1", 192, 1)
    three = b.convolution(three, f"{name}.3x3_2", 320, 3, 2, (0, 0))
    seven = b.convolution(x, f"{name}.7x7_1", 192, 1)
    seven = b.convolution(seven, f"{name}.7x7_2", 192, (1, 7))
    seven = b.convolution(seven, f"{name}.7x7_3", 192, (7, 1))
    seven = b.convolution(seven, f"{name}.7x7_4", 192, 3, 2, (0, 0))
    return b.concat([three, seven, b.max_pool(x, f"{name}.max", 3, 2)], f"{name}.concat")


def split(b, x, name):
    """1x3 and 3x1 filters beside each other."""
    return [b.convolution(x, f"{name}a", 384, (1, 3)), b.convolution(x, f"{name}b", 384, (3, 1))]


def block_8(b, x, name):
    """Mixed block at 8 x 8 pixels."""
    one = b.convolution(x, f"{name}.1x1", 320, 1)
    three = split(b, b.convolution(x, f"{name}.3x3_1", 384, 1), f"{name}.3x3_2")
    double = b.convolution(x, f"{name}.double_1", 448, 1)
    double = b.convolution(double, f"{name}.double_2", 384, 3)
    double = split(b, double, f"{name}.double_3")
    pool = b.convolution(b.average_pool(x, f"{name}.average", 3, 1), f"{name}.pool", 192, 1)
    return b.concat(
        [one, b.concat(three, f"{name}.3x3"), b.concat(double, f"{name}.double"), pool],
        f"{name}.concat")


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    b = NetworkBuilder(weights)
    x = b.convolution(b.input("input", 3), "stem1", 32, 3, 2, (0, 0))
    x = b.convolution(x, "stem2", 32, 3, 1, (0, 0))
    x = b.max_pool(b.convolution(x, "stem3", 64, 3), "stem_pool1", 3, 2)
    x = b.convolution(x, "stem4", 80, 1)
    x = b.max_pool(b.convolution(x, "stem5", 192, 3, 1, (0, 0)), "stem_pool2", 3, 2)
    for index, pooled in enumerate([32, 64, 64]):
        x = block_35(b, x, f"mixed5{index}", pooled)
    x = reduce_35(b, x, "mixed6")
    for index, width in enumerate([128, 160, 160, 192]):
        x = block_17(b, x, f"mixed6{index}", width)
    x = reduce_17(b, x, "mixed7")
    for index in range(2):
        x = block_8(b, x, f"mixed7{index}")
    return b.model("inception_v3", "input", 299, b.classifier(x, CLASSES), CLASSES)
