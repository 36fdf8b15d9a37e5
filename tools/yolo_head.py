"""A detector in the style of YOLO: two scales, boxes decoded in the graph, the best ones chosen.

The last node is a NonMaxSuppression, so how many boxes come out depends on the picture.
"""

import numpy as np
from onnx import TensorProto

from network_builder import NetworkBuilder

SIDE, CLASSES = 160, 6
MOST_BOXES = 20


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    b = NetworkBuilder(weights)
    x = b.input("image", 3)
    features = {}
    for stage, channels in enumerate([16, 32, 48, 64, 96]):
        x = b.convolution(x, f"stage{stage}", channels, 3, 2, activation="silu")
        side = SIDE >> stage + 1
        features[side] = x
    boxes, scores = zip(*(scale(b, features[side], side) for side in (SIDE >> 4, SIDE >> 5)))
    boxes = b.add("Concat", list(boxes), "boxes", axis=1)
    scores = b.add("Concat", list(scores), "scores", axis=2)
    limits = [
        b.store(name, np.array(value)) for name, value in (
            ("most_boxes", [MOST_BOXES]), ("overlap", np.float32([0.5])),
            ("threshold", np.float32([0.55])))]
    chosen = b.add(
        "NonMaxSuppression", [boxes, scores, *limits], "chosen", center_point_box=1)
    count = (SIDE >> 4) ** 2 + (SIDE >> 5) ** 2
    return b.graph(
        "yolo_head", {"image": [1, 3, SIDE, SIDE]},
        {boxes: [1, count, 4], scores: [1, CLASSES, count], chosen: ["boxes", 3]},
        types={chosen: TensorProto.INT64})


def scale(b, x, side):
    """Boxes [1, cells, 4] (centre and size, in pixels) and scores [1, classes, cells]."""
    name, step = f"scale{side}", SIDE // side
    x = b.convolution(x, f"{name}.mix", 64, 1, activation="silu")
    x = b.convolution(
        x, f"{name}.raw", 4 + CLASSES, 1, activation=None, normalizes=False, gain=0.7)
    shape = b.store(f"{name}.shape", np.array([1, 4 + CLASSES, side * side], dtype=np.int64))
    cells = b.activation(b.add("Reshape", [x, shape], f"{name}.cells"), name, "sigmoid")
    sizes = b.store(f"{name}.sizes", np.array([2, 2, CLASSES], dtype=np.int64))
    parts = [f"{name}.{part}" for part in ("centres", "sides", "scores")]
    b.split(cells, sizes, parts, axis=1)
    rows, columns = np.mgrid[:side, :side].reshape(2, 1, -1).astype(np.float32)
    corner = b.store(f"{name}.corners", np.stack([columns, rows], axis=1))
    pixels = b.store(f"{name}.step", np.float32(step))
    centres = b.add("Add", [parts[0], corner], f"{name}.moved")
    reach = b.store(f"{name}.reach", np.float32(4))
    sides = b.add("Mul", [parts[1], reach], f"{name}.grown")
    box = b.add("Concat", [centres, sides], f"{name}.box", axis=1)
    box = b.add("Mul", [box, pixels], f"{name}.scaled")
    return b.add("Transpose", [box], f"{name}.boxes", perm=[0, 2, 1]), parts[2]
