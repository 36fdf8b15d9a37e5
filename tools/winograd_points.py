#!/usr/bin/env python3
"""Points for Winograd convolution along one axis, and how much they round.

    tools/winograd_points.py [M,R ...]

F(M, R): M outputs of a filter with R taps, from M + R - 1 products. For each: the points among
multiples of 1/16 whose amplification of rounding in the worst output is least (infinity, pairs
+-p, and 0 where their number is odd), the largest error of float32 in standard deviations of the
results, over some numbers of channels and data with and without ReLU, and that of direct sums.
Formulas: CSources/CSluiceKernels/winograd_line_body.h.
"""

import itertools
import sys

import numpy as np

FORMS = [(5, 3), (3, 5), (5, 5), (3, 7), (4, 7)]
CHUNK = 64  # channels in one chain of sums, as in the kernels


def matrices(pairs, outputs, taps):
    """A^T, G and B^T for the points +-p, 0 if one more is needed, and infinity."""
    points = [sign * p for p in pairs for sign in (1, -1)]
    points += [0.0] * (outputs + taps - 2 - len(points))
    back = np.array([[p**i for p in points] + [i == outputs - 1] for i in range(outputs)])
    weights, inputs = [], []
    for number, p in enumerate(points):
        others = points[:number] + points[number + 1 :]
        norm = np.prod([p - q for q in others])
        weights.append([p**t / norm for t in range(taps)])
        inputs.append([*np.poly(others)[::-1], 0.0])
    weights.append([0.0] * (taps - 1) + [1.0])
    inputs.append(np.poly(points)[::-1])
    return back, np.array(weights), np.array(inputs)


def amplification(pairs, outputs, taps):
    back, weights, inputs = matrices(pairs, outputs, taps)
    product = (weights**2).mean(axis=1) * (inputs**2).sum(axis=1)
    return np.sqrt((back**2 @ product).max())


def best_pairs(outputs, taps):
    grid = [i / 16 for i in range(2, 40)]
    choices = itertools.combinations(grid, (outputs + taps - 2) // 2)
    return min(choices, key=lambda pairs: amplification(pairs, outputs, taps))


def chained(products):
    """The sum over channels, as chains of at most CHUNK that are added up."""
    total = np.zeros_like(products[0])
    for first in range(0, len(products), CHUNK):
        chain = np.zeros_like(total)
        for product in products[first : first + CHUNK]:
            chain = chain + product
        total = total + chain
    return total


def errors(pairs, outputs, taps, channels, has_relu, seed, count=6000):
    """The largest errors of this algorithm and of direct sums."""
    back, weights, inputs = (m.astype(np.float32) for m in matrices(pairs, outputs, taps))
    random = np.random.default_rng(seed)
    data = random.standard_normal((channels, outputs + taps - 1, count)).astype(np.float32)
    if has_relu:
        data = np.maximum(data, 0)
    filters = random.standard_normal((channels, taps)) / np.sqrt(channels * taps)
    filters = filters.astype(np.float32)
    windows = np.stack([data[:, t : t + outputs] for t in range(taps)], axis=1)
    exact = np.einsum("ct,ctoi->oi", filters.astype(float), windows.astype(float))
    patches = np.einsum("pk,cki->cpi", inputs, data)
    result = back @ chained((filters @ weights.T)[:, :, None] * patches)
    direct = np.zeros_like(exact, dtype=np.float32)
    for channel, window in zip(filters, windows):
        for weight, values in zip(channel, window):
            direct = direct + weight * values
    return [np.abs(sums - exact).max() / exact.std() for sums in (result, direct)]


def main():
    forms = [tuple(map(int, text.split(","))) for text in sys.argv[1:]] or FORMS
    print("form     points                           amplified  channels: error (direct sums)")
    for outputs, taps in forms:
        pairs = best_pairs(outputs, taps)
        cases = [(64, True), (160, False), (192, True), (512, False)]
        measured = [
            errors(pairs, outputs, taps, channels, has_relu, seed)
            for seed, (channels, has_relu) in enumerate(cases)
        ]
        texts = [f"{c}: {own:.1e} ({direct:.1e})" for (c, _), (own, direct) in zip(cases, measured)]
        points = ", ".join(f"{p:g}" for p in pairs)
        amplified = amplification(pairs, outputs, taps)
        print(f"F({outputs}, {taps})  {points:32} {amplified:9.2f}  {'  '.join(texts)}", flush=True)


if __name__ == "__main__":
    main()
