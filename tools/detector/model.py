"""The network: plain convolutions down to one cell for 8x8 pixels, and a head without anchors.

Each cell predicts ten class scores and the distances from its centre to the four sides of the
box. Everything is a 3x3 or 1x1 convolution with ReLU, so that any engine runs it fast.
"""

import jax
import jax.numpy as jnp
import numpy as np

STRIDE = 8
CLASSES = 10
# name, window, stride, inputs, outputs, whether the input is added to the result.
LAYERS = [
    ("stem", 3, 2, 1, 16, False),
    ("down2", 3, 2, 16, 32, False),
    ("down3", 3, 2, 32, 48, False),
    ("body1", 3, 1, 48, 48, True),
    ("body2", 3, 1, 48, 48, True),
    ("body3", 3, 1, 48, 48, True),
    ("neck", 1, 1, 48, 96, False),
    ("head", 1, 1, 96, 16, False),  # 10 classes, 4 distances, and 2 spare to fill a vector.
]


def initial_parameters(seed):
    rng = np.random.default_rng(seed)
    parameters = {}
    for name, window, _, inputs, outputs, adds in LAYERS:
        gain = 0.1 if name == "head" else 0.5 if adds else 1.0
        deviation = gain * np.sqrt(2 / (window * window * inputs))
        weight = deviation * rng.standard_normal((window, window, inputs, outputs))
        bias = np.zeros(outputs)
        if name == "head":
            bias[:CLASSES] = -4.6  # Objects are rare: start near a probability of one per cent.
            bias[CLASSES:CLASSES + 4] = 0.5
        parameters[name] = (jnp.asarray(weight, jnp.float32), jnp.asarray(bias, jnp.float32))
    return parameters


def forward(parameters, pictures):
    """Class logits and logarithms of distances, in cells, for pictures [n, side, side, 1]."""
    x = (pictures - 0.5) * 4
    for name, window, stride, _, _, adds in LAYERS:
        weight, bias = parameters[name]
        pad = window // 2
        y = jax.lax.conv_general_dilated(
            x, weight, (stride, stride), [(pad, pad)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias
        if adds:
            y = y + x
        x = y if name == "head" else jax.nn.relu(y)
    return x[..., :CLASSES], x[..., CLASSES:CLASSES + 4]


def parameter_count():
    return sum(w * w * i * o + o for _, w, _, i, o, _ in LAYERS)


def operations(side):
    """Floating-point operations of all convolutions for one picture, an addition and a product
    each counted."""
    total = 0
    for _, window, stride, inputs, outputs, _ in LAYERS:
        side //= stride
        total += 2 * side * side * window * window * inputs * outputs
    return total
