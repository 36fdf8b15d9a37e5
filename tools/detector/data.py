"""Synthetic pictures: the digits of scikit-learn at random places on textured backgrounds.

The 1797 handwritten digits (8x8 pixels) are split once, by a fixed permutation, into those that
training may see and those that only the evaluation sees. Textures come from separate seeds too.
"""

import numpy as np
from sklearn.datasets import load_digits

TEST_DIGITS = 360
CANVAS = 12  # An 8x8 digit with a margin of two, so that its strokes fade out inside it.


def split_digits(test):
    """The images, from 0 to 1 with a margin, and the classes of one side of the split."""
    digits = load_digits()
    order = np.random.default_rng(2024).permutation(len(digits.target))
    chosen = order[:TEST_DIGITS] if test else order[TEST_DIGITS:]
    images = np.zeros((len(chosen), CANVAS, CANVAS), np.float32)
    images[:, 2:10, 2:10] = digits.images[chosen] / 16
    return images, digits.target[chosen]


def enlarge(grid, side):
    """A square grid, sampled bilinearly at `side` x `side` points."""
    position = np.linspace(0, len(grid) - 1, side)
    low = np.minimum(position.astype(int), len(grid) - 2)
    part = (position - low).astype(np.float32)
    rows = grid[low] * (1 - part)[:, None] + grid[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


def texture(rng, side=320):
    """A background with mean 0 and deviation 1: noise of several scales, sometimes stripes."""
    total = np.zeros((side, side), np.float32)
    for cells, weight in ((3, 1.0), (9, 0.6), (27, 0.35), (80, 0.25), (side, 0.12)):
        noise = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
        total += weight * rng.random() * enlarge(noise, side)
    if rng.random() < 0.4:
        angle, period = rng.random() * np.pi, rng.uniform(6, 40)
        y, x = np.mgrid[:side, :side]
        phase = (np.cos(angle) * x + np.sin(angle) * y) * (2 * np.pi / period)
        total += 0.35 * rng.random() * np.sin(phase).astype(np.float32)
    return (total - total.mean()) / (total.std() + 1e-6)


class Composer:
    """Makes pictures and their boxes; the same seed gives the same pictures."""

    def __init__(self, seed, test=False):
        self.rng = np.random.default_rng([int(test), seed])
        self.images, self.classes = split_digits(test)
        self.textures = [texture(self.rng) for _ in range(48)]

    def picture(self, side, most):
        """A float picture in [0, 1], its boxes (x0, y0, x1, y1) and their classes."""
        rng = self.rng
        base = self.textures[rng.integers(len(self.textures))]
        y, x = rng.integers(0, len(base) - side, 2)
        background = base[y:y + side, x:x + side]
        picture = rng.uniform(0.25, 0.75) + rng.uniform(0.01, 0.09) * background
        boxes, classes = [], []
        for _ in range(rng.integers(1, most + 1)):
            number = rng.integers(len(self.images))
            placed = self.place(picture, self.images[number], boxes)
            if placed is not None:
                boxes.append(placed)
                classes.append(self.classes[number])
        picture = picture + rng.uniform(0, 0.02) * rng.standard_normal((side, side))
        return (
            np.clip(picture, 0, 1).astype(np.float32),
            np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64))

    def place(self, picture, digit, taken):
        """Paints one digit where it overlaps no other; its box, or None when there is no room."""
        rng, side = self.rng, len(picture)
        ink = self.render(digit)
        height, width = ink.shape
        for _ in range(12):
            x0, y0 = rng.integers(1, side - width), rng.integers(1, side - height)
            box = (x0, y0, x0 + width, y0 + height)
            if any(touches(box, other) for other in taken):
                continue
            patch = picture[y0:y0 + height, x0:x0 + width]
            sign = 1 if patch.mean() < rng.uniform(0.3, 0.7) else -1
            patch += sign * rng.uniform(0.22, 0.6) * ink
            return box
        return None

    def render(self, digit):
        """The ink of one digit at a random scale and rotation, cut to where there is some."""
        rng = self.rng
        height = rng.uniform(18, 50)
        angle = rng.uniform(-0.3, 0.3)
        # From a pixel to a point of the 8x8 digit: rotation, then a scale for each axis.
        down = 8 / height
        across = down / rng.uniform(0.8, 1.25)
        reach = int(np.ceil(0.8 * height)) + 2
        line = np.arange(-reach, reach, dtype=np.float32)
        dx, dy = line[None, :] + rng.random(), line[:, None] + rng.random()
        middle = (CANVAS - 1) / 2
        u = (np.cos(angle) * dx + np.sin(angle) * dy) * across + middle
        v = (np.cos(angle) * dy - np.sin(angle) * dx) * down + middle
        ink = sample(digit, u, v)
        rows, columns = np.nonzero(ink > 0.3)
        return ink[rows.min():rows.max() + 1, columns.min():columns.max() + 1]


def sample(image, u, v):
    """Bilinear samples of an image at columns u and rows v; zero outside."""
    inside = (u >= 0) & (v >= 0) & (u < CANVAS - 1) & (v < CANVAS - 1)
    u, v = np.where(inside, u, 0), np.where(inside, v, 0)
    column, row = u.astype(int), v.astype(int)
    fu, fv = u - column, v - row
    upper = image[row, column] * (1 - fu) + image[row, column + 1] * fu
    lower = image[row + 1, column] * (1 - fu) + image[row + 1, column + 1] * fu
    return (upper * (1 - fv) + lower * fv) * inside


def touches(one, other):
    return (one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])
