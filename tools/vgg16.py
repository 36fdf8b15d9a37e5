"""VGG-16 (Simonyan and Zisserman 2014, column D): 224 x 224 pixels, 1000 classes."""

from network_builder import NetworkBuilder

STAGES = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]
CLASSES = 1000


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    b = NetworkBuilder(weights)
    x = b.input("input", 3)
    for stage, (channels, repeats) in enumerate(STAGES):
        for repeat in range(repeats):
            x = b.convolution(x, f"conv{stage}_{repeat}", channels, 3, normalizes=False)
        x = b.max_pool(x, f"pool{stage}", 2, 2)
    x = b.add("Flatten", [x], "flatten", axis=1)
    features = 512 * 7 * 7
    for index in range(2):
        x = b.activation(b.linear(x, f"fc{index}", features, 4096), f"fc{index}", "relu")
        features = 4096
    return b.model("vgg16", "input", 224, b.linear(x, "logits", features, CLASSES), CLASSES)
