#!/usr/bin/env python3
"""Trains the detector on pictures made on the way; writes weights.npz and training.log.

    python train.py --minutes 15
"""

import argparse
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

import model
from data import Composer

FOLDER = pathlib.Path(__file__).resolve().parent


def targets(boxes, classes, cells):
    """What the cells should say: classes, distances and a mask of the cells near a centre."""
    wanted = np.zeros((cells, cells, model.CLASSES), np.float32)
    sides = np.zeros((cells, cells, 4), np.float32)
    mask = np.zeros((cells, cells), np.float32)
    centres = (np.arange(cells) + 0.5) * model.STRIDE
    for (x0, y0, x1, y1), label in zip(boxes, classes):
        near_x = np.abs(centres - (x0 + x1) / 2) <= 0.85 * model.STRIDE
        near_y = np.abs(centres - (y0 + y1) / 2) <= 0.85 * model.STRIDE
        for row in np.nonzero(near_y)[0]:
            for column in np.nonzero(near_x)[0]:
                x, y = centres[column], centres[row]
                wanted[row, column] = 0
                wanted[row, column, label] = 1
                sides[row, column] = (x - x0, y - y0, x1 - x, y1 - y)
                mask[row, column] = 1
    return wanted, np.maximum(sides / model.STRIDE, 0.05), mask


def batch(composer, count, side, most):
    pictures, parts = [], []
    for _ in range(count):
        picture, boxes, classes = composer.picture(side, most)
        pictures.append(picture[..., None])
        parts.append(targets(boxes, classes, side // model.STRIDE))
    return (np.stack(pictures), *(np.stack(part) for part in zip(*parts)))


def loss(parameters, pictures, wanted, sides, mask):
    """Focal loss of the classes and 1 - generalized IoU of the boxes, for each positive cell."""
    logits, logarithms = model.forward(parameters, pictures)
    probability = jax.nn.sigmoid(logits)
    focal = -(
        wanted * 0.5 * (1 - probability) ** 2 * jax.nn.log_sigmoid(logits)
        + (1 - wanted) * 0.5 * probability ** 2 * jax.nn.log_sigmoid(-logits))
    guess = jnp.exp(jnp.clip(logarithms, -4, 4))
    low, high = jnp.minimum(guess, sides), jnp.maximum(guess, sides)
    shared = (low[..., 0] + low[..., 2]) * (low[..., 1] + low[..., 3])
    hull = (high[..., 0] + high[..., 2]) * (high[..., 1] + high[..., 3])
    union = (
        (guess[..., 0] + guess[..., 2]) * (guess[..., 1] + guess[..., 3])
        + (sides[..., 0] + sides[..., 2]) * (sides[..., 1] + sides[..., 3]) - shared)
    boxes = 1 - shared / union + (hull - union) / hull
    positive = jnp.maximum(mask.sum(), 1)
    return (4 * focal.sum() + (boxes * mask).sum()) / positive


@jax.jit
def step(parameters, moments, rate, number, examples):
    """One step of Adam with decoupled weight decay, and the average that will be exported."""
    value, slopes = jax.value_and_grad(loss)(parameters, *examples)
    size = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(slopes)))
    slopes = jax.tree.map(lambda g: g * jnp.minimum(1, 10 / (size + 1e-9)), slopes)
    first, second, average = moments
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slopes)
    second = jax.tree.map(lambda v, g: 0.99 * v + 0.01 * g * g, second, slopes)
    parameters = jax.tree.map(
        lambda p, m, v: p * (1 - 1e-2 * rate * (p.ndim > 1)) - rate * (m / (1 - 0.9 ** number))
        / (jnp.sqrt(v / (1 - 0.99 ** number)) + 1e-8), parameters, first, second)
    keep = jnp.minimum(0.995, number / (number + 10))
    average = jax.tree.map(lambda a, p: keep * a + (1 - keep) * p, average, parameters)
    return parameters, (first, second, average), value


def save(parameters):
    arrays = {}
    for name, (weight, bias) in parameters.items():
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = np.asarray(weight), np.asarray(bias)
    np.savez(FOLDER / "weights.npz", **arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30, help="wall-clock time of training")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=96, help="side of the training pictures")
    parser.add_argument("--rate", type=float, default=2.5e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    composer = Composer(arguments.seed)
    parameters = model.initial_parameters(arguments.seed)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    moments = (zeros, zeros, parameters)
    log = open(FOLDER / "training.log", "w", encoding="utf-8")

    def say(text):
        print(text, flush=True)
        print(text, file=log, flush=True)

    say(f"{vars(arguments)}")
    say(f"{model.parameter_count()} parameters, {model.operations(160)} operations at 160x160")
    start, number, recent, last_report = time.monotonic(), 0, [], 0.0
    while (share := (time.monotonic() - start) / (60 * arguments.minutes)) < 1:
        number += 1
        # Rises over the first 100 steps, then falls along half a cosine with the time that is left.
        fall = 0.01 + 0.99 * (1 + np.cos(np.pi * share)) / 2
        rate = arguments.rate * min(1, number / 100) * fall
        examples = batch(composer, arguments.batch, arguments.side, 6)
        parameters, moments, value = step(
            parameters, moments, jnp.float32(rate), jnp.float32(number), examples)
        recent.append(float(value))
        if share - last_report >= 0.02:
            last_report = share
            say(f"{100 * share:5.1f} %  step {number:6d}  rate {rate:.5f}  "
                f"loss {np.mean(recent):.4f}")
            recent = []
            save(moments[2])
    save(moments[2])
    say(f"done: {number} steps, {number * arguments.batch} pictures, "
        f"{time.monotonic() - start:.0f} s, loss {np.mean(recent or [0]):.4f}")


if __name__ == "__main__":
    main()
