#!/usr/bin/env python3
"""Measures the mean average precision of a detector through `sluice detect`.

The pictures hold only digits that training never saw, on textures of their own. Average precision
is the area under the precision-recall curve, precision made falling, of each class; a detection
counts when it overlaps an object of its class that no better one took by at least 0.5.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from data import Composer

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent


def overlap(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return width * height / (sum(areas) - width * height)


def average_precision(found, truth):
    """`found` is (score, picture, box); `truth` maps a picture to its boxes, all of one class."""
    total = sum(len(boxes) for boxes in truth.values())
    taken, hits = set(), []
    for _, picture, box in sorted(found, key=lambda item: -item[0]):
        overlaps = [
            0.0 if (picture, index) in taken else overlap(box, other)
            for index, other in enumerate(truth.get(picture, []))]
        best = int(np.argmax(overlaps)) if overlaps else -1
        hit = best >= 0 and overlaps[best] >= 0.5
        hits.append(hit)
        if hit:
            taken.add((picture, best))
    if not hits:
        return 0.0
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(precision * np.array(hits)) / total)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", default=ROOT / ".build/release/sluice")
    parser.add_argument("--model", default=FOLDER / "digits.onnx")
    parser.add_argument("--device-memory", default="unlimited")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--least", type=float, default=0.90, help="fails below this mean")
    parser.add_argument("--save-example", metavar="FILE.png", help="keeps the first picture")
    arguments = parser.parse_args()

    composer = Composer(arguments.seed, test=True)
    truth = [{} for _ in range(10)]
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(arguments.pictures):
            picture, boxes, classes = composer.picture(160, 6)
            for box, label in zip(boxes.tolist(), classes):
                truth[label].setdefault(number, []).append(box)
            paths.append(pathlib.Path(folder) / f"{number}.png")
            Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(paths[-1])
        if arguments.save_example:
            pathlib.Path(arguments.save_example).write_bytes(paths[0].read_bytes())
        process = subprocess.run(
            [arguments.sluice, "detect", *paths, "--model", arguments.model, "--json",
             "--threshold", "0.02", "--threads", "1", "--device-memory", arguments.device_memory],
            stdout=subprocess.PIPE, check=True)
    report = json.loads(process.stdout)
    found = [[] for _ in range(10)]
    for number, picture in enumerate(report["pictures"]):
        for item in picture["detections"]:
            found[int(item["class"])].append((item["score"], number, item["box"]))

    scores = [average_precision(found[label], truth[label]) for label in range(10)]
    for label, score in enumerate(scores):
        count = sum(len(boxes) for boxes in truth[label].values())
        print(f"digit {label}  {count:5d} objects  AP@0.5 {score:.4f}")
    mean = float(np.mean(scores))
    print(f"mAP@0.5 {mean:.4f} on {arguments.pictures} held-out pictures")
    print(f"device peak {report['device_peak_bytes']} bytes, median "
          f"{report['latency_ms']['median']:.2f} ms a picture, resizing included")
    sys.exit(0 if mean >= arguments.least else 1)


if __name__ == "__main__":
    main()
