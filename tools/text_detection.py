"""What surrounds a PP-OCR text detector: an image becomes its input, its output becomes boxes.

The detector follows "Real-time Scene Text Detection with Differentiable Binarization" (Liao et
al. 2020): the network draws a probability map of shrunken text areas; connected components above
a threshold, grown back, are the text boxes.
"""

import numpy as np
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)

PIXEL_THRESHOLD = 0.3
BOX_THRESHOLD = 0.5
UNCLIP_RATIO = 1.6
SMALLEST_SIDE = 3


def prepare(image, shorter_side=736):
    """The network's input [1, 3, H, W]: the shorter side at least `shorter_side`, both sides a
    multiple of 32, normalised as ImageNet."""
    width, height = image.size
    ratio = max(1.0, shorter_side / min(width, height))
    size = [max(32, round(side * ratio / 32) * 32) for side in (width, height)]
    pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))
    normal = (pixels.astype(np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[np.newaxis])


def components(mask):
    """Labels of the 8-connected components of a boolean image; 0 is the background.

    Runs of set pixels are joined row by row in a union-find forest.
    """
    parent = [0]

    def root(label):
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    labels = np.zeros(mask.shape, dtype=np.int32)
    above = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], row.view(np.int8), [0]))))
        runs = []
        for begin, end in zip(edges[0::2].tolist(), edges[1::2].tolist()):
            label = 0
            for other_begin, other_end, other in above:
                if other_begin <= end and begin <= other_end:
                    if label:
                        parent[root(other)] = root(label)
                    else:
                        label = root(other)
            if not label:
                label = len(parent)
                parent.append(label)
            labels[y, begin:end] = label
            runs.append((begin, end, label))
        above = runs
    return np.array([root(label) for label in range(len(parent))], dtype=np.int32)[labels]


def smallest_rectangle(points):
    """Centre, half sides and unit axes of the smallest rectangle of any angle around points.

    One side of it lies on an edge of the convex hull, so the directions of the hull's edges are
    all that has to be tried.
    """
    hull = convex_hull(points)
    edges = np.roll(hull, -1, axis=0) - hull
    lengths = np.hypot(edges[:, 0], edges[:, 1])
    best = None
    for edge, length in zip(edges, lengths):
        if length == 0:
            continue
        axes = np.array([edge, [-edge[1], edge[0]]]) / length
        along = hull @ axes.T
        low, high = along.min(axis=0), along.max(axis=0)
        area = float(np.prod(high - low))
        if best is None or area < best[0]:
            best = (area, (low + high) / 2 @ axes, (high - low) / 2, axes)
    return best[1:] if best else (hull[0], np.zeros(2), np.eye(2))


def convex_hull(points):
    """The corners of the convex hull in order (Andrew's monotone chain)."""
    ordered = sorted(set(map(tuple, points.tolist())))
    if len(ordered) < 3:
        return np.array(ordered, dtype=float)

    def half(sequence):
        chain = []
        for x, y in sequence:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                chain.pop()
            chain.append((x, y))
        return chain[:-1]

    return np.array(half(ordered) + half(ordered[::-1]), dtype=float)


def boxes(probability, image_size):
    """Four corners (x, y) in image pixels of each text box, with its score; top to bottom."""
    height, width = probability.shape
    scale = np.array([image_size[0] / width, image_size[1] / height])
    labels = components(probability > PIXEL_THRESHOLD)
    found = []
    for label in np.unique(labels)[1:]:
        ys, xs = np.nonzero(labels == label)
        score = float(probability[ys, xs].mean())
        # Corners of the pixels, not their centres, bound the area.
        corners = np.concatenate([
            np.stack([xs + dx, ys + dy], axis=1) for dx in (0, 1) for dy in (0, 1)])
        centre, half, axes = smallest_rectangle(corners)
        if score < BOX_THRESHOLD or 2 * half.min() < SMALLEST_SIDE:
            continue
        # The distance by which the paper grows a shrunken polygon: area * ratio / perimeter.
        grown = half + UNCLIP_RATIO * half.prod() / half.sum()
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        quad = (centre + (signs * grown) @ axes) * scale
        found.append((np.clip(quad, 0, np.array(image_size) - 1), score))
    return sorted(found, key=lambda item: item[0][:, 1].min())
