#!/usr/bin/env python3
"""The demo of real text: finds lines with the PP-OCRv4 detector inside a device-memory budget.

Runs `sluice run` on the page, draws the boxes it finds, and prints what the run used.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageDraw

import text_detection

ROOT = pathlib.Path(__file__).resolve().parent.parent


def mebibytes(count):
    return f"{count / (1 << 20):8.2f} MiB  ({count} bytes)"


def detect(arguments, pixels):
    """The probability map and the report of one run of the detector."""
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "page.npy"
        np.save(page, pixels)
        process = subprocess.run(
            [str(arguments.sluice), "run", str(arguments.model), "--input", f"x={page}",
             "--output-dir", folder, "--device-memory", arguments.device_memory,
             "--threads", str(arguments.threads), "--warmup", "1", "--repeat", "5", "--json"],
            stdout=subprocess.PIPE)
        if process.returncode != 0:
            sys.exit(process.returncode)
        report = json.loads(process.stdout)
        return np.load(pathlib.Path(folder) / report["outputs"][0]["file"])[0, 0], report


def draw(image, found, path):
    """Saves the image, enlarged, with the boxes on it."""
    factor = 2
    canvas = image.convert("RGB").resize([side * factor for side in image.size])
    pen = ImageDraw.Draw(canvas)
    for quad, _ in found:
        corners = [tuple(point) for point in (quad * factor).tolist()]
        pen.line(corners + corners[:1], fill=(220, 30, 30), width=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", type=pathlib.Path, default=ROOT / ".build/release/sluice")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/ppocr_det.onnx")
    parser.add_argument("--image", type=pathlib.Path, default=ROOT / "models/page.png")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "out/demo-ocr.png")
    parser.add_argument("--device-memory", default="25%", help="as of `sluice run`")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    image = Image.open(arguments.image)
    pixels = text_detection.prepare(image)
    probability, report = detect(arguments, pixels)
    found = text_detection.boxes(probability, image.size)
    draw(image, found, arguments.output)

    shape = "x".join(map(str, pixels.shape))
    budget = report["device_budget_bytes"]
    print(f"PP-OCRv4 text detection, {arguments.image.name}, input {shape}")
    print(f"  device budget       {'unlimited' if budget is None else mebibytes(budget)}"
          f"  [--device-memory {arguments.device_memory}]")
    print(f"  planned peak        {mebibytes(report['planned_device_peak_bytes'])}")
    print(f"  measured peak       {mebibytes(report['device_peak_bytes'])}")
    print(f"  unlimited would use {mebibytes(report['resident_device_bytes'])}")
    print(f"  weights streamed    {mebibytes(report['weight_bytes_streamed'])}")
    print(f"  latency             {report['latency_ms']['median']:8.2f} ms   "
          f"(median of {len(report['latency_ms']['all'])}, {report['threads']} thread(s))")
    print(f"  text boxes          {len(found):8d}       drawn into {arguments.output}")


if __name__ == "__main__":
    main()
