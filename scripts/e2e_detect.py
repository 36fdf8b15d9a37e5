"""End-to-end tests of `sluice detect`: the committed detector against onnxruntime and numpy."""

import pathlib
import shutil
import tempfile

import numpy as np
from PIL import Image

from sluice_cli import (
    BAD_DATA, IMPOSSIBLE, NO_FILE, ROOT, USAGE, Sluice, check_memory, reference_outputs, require)

MODEL = ROOT / "tools/detector/digits.onnx"
PICTURE = ROOT / "tools/detector/example.png"
THRESHOLD = 0.3


def overlap(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return width * height / (sum(areas) - width * height)


def expected_detections(path):
    """What the command should find in a picture of the size of the network's input."""
    pixels = np.asarray(Image.open(path).convert("L"), dtype=np.float32) / 255
    outputs = reference_outputs(MODEL, {"picture": pixels[None, None]})
    boxes = np.clip(outputs["boxes"][0], 0, pixels.shape[0])
    rows, classes = np.nonzero(outputs["scores"][0] >= THRESHOLD)
    candidates = [(float(outputs["scores"][0][r, c]), int(c), boxes[r]) for r, c in
                  zip(rows, classes)]
    kept = []
    for candidate in sorted(candidates, key=lambda item: -item[0]):
        if not any(overlap(candidate[2], other[2]) > (0.5 if candidate[1] == other[1] else 0.7)
                   for other in kept):
            kept.append(candidate)
    return kept


def detect(sluice, *arguments):
    run = sluice.succeed("detect", "--model", MODEL, "--json", *arguments)
    check_memory(run)
    require(run["load_ms"] > 0, "loading took no time")
    require("plan_ms" not in run.report, "planning, a part of loading, was reported by itself")
    return run


def require_same(found, expected):
    require(len(found) == len(expected), f"{len(found)} found, expected {len(expected)}")
    for item, (score, label, box) in zip(found, expected):
        require(item["class"] == str(label), f"class {item['class']}, expected {label}")
        require(abs(item["score"] - score) < 1e-3, f"score {item['score']}, expected {score}")
        require(np.abs(np.array(item["box"]) - box).max() < 0.05, f"box {item['box']}, not {box}")


def same_as_reference(sluice, budget):
    run = detect(sluice, PICTURE, "--device-memory", budget, "--threshold", THRESHOLD)
    expected = expected_detections(PICTURE)
    require(expected, "the reference finds nothing: the picture is no test")
    require_same(run["pictures"][0]["detections"], expected)
    return f"{len(expected)} objects, peak {run['device_peak_bytes']} bytes"


def other_formats(sluice):
    """An enlarged colour JPEG has the same objects at scaled places."""
    with tempfile.TemporaryDirectory() as folder:
        large = pathlib.Path(folder) / "large.jpg"
        Image.open(PICTURE).convert("RGB").resize((480, 480), Image.Resampling.BICUBIC).save(
            large, quality=95)
        run = detect(sluice, PICTURE, large, "--threshold", 0.5)
    small, big = run["pictures"]
    require((big["width"], big["height"]) == (480, 480), "the size of the JPEG is wrong")
    require(len(run["latency_ms"]["all"]) == 2, "not one latency for each picture")
    for item in small["detections"]:
        box = np.array(item["box"]) * 3
        require(
            any(other["class"] == item["class"] and overlap(other["box"], box) > 0.8
                for other in big["detections"]),
            f"the enlarged picture lacks the {item['class']} at {box}")
    return f"{len(small['detections'])} objects"


def annotated(sluice):
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "found.png"
        run = sluice.succeed("detect", PICTURE, "--model", MODEL, "-o", target)
        require("found" in run.stdout and "measured device peak" in run.stdout, "no report")
        drawn = np.asarray(Image.open(target))
        require([p.name for p in pathlib.Path(folder).iterdir()] == ["found.png"], "files remain")
    require(drawn.shape == (640, 640, 3), f"the picture has shape {drawn.shape}")
    coloured = np.ptp(drawn.astype(int), axis=2) > 60
    require(coloured.sum() > 300, "nothing coloured was drawn on a gray picture")


def found_beside_the_command(sluice):
    """Without --model: from the checkout it was built in, else from where it is installed."""
    run = sluice.succeed("detect", PICTURE, "--json")
    require(run["pictures"][0]["detections"], "the detector of the checkout finds nothing")
    with tempfile.TemporaryDirectory() as folder:
        prefix = pathlib.Path(folder)
        (prefix / "bin").mkdir()
        alone = Sluice(shutil.copy(sluice.path, prefix / "bin/sluice"))
        run = alone.call("detect", PICTURE)
        require(run.code == NO_FILE and "--model" in run.stderr, f"{run.code}: {run.stderr}")
        (prefix / "share/sluice").mkdir(parents=True)
        shutil.copy(MODEL, prefix / "share/sluice")
        run = alone.succeed("detect", PICTURE, "--json")
    require(run["model"].startswith(str(prefix)), f"the model is {run['model']}")


def refusals(sluice):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "text.png").write_text("no picture")
        (folder / "cut.png").write_bytes(PICTURE.read_bytes()[:200])
        for code, *arguments in (
            (NO_FILE, folder / "nothing.png"),
            (BAD_DATA, folder / "text.png"),
            (BAD_DATA, folder / "cut.png"),
            (USAGE, PICTURE, "--threshold", "2"),
            (USAGE, PICTURE, PICTURE, "-o", folder / "x.png"),
            (IMPOSSIBLE, PICTURE, "--device-memory", "1KiB"),
            (IMPOSSIBLE, PICTURE, "-o", folder / "none" / "x.png"),
        ):
            run = sluice.call("detect", "--model", MODEL, *arguments)
            require(run.code == code, f"exit {run.code} instead of {code}: {arguments}")
            require(run.stderr.startswith("sluice: error: "), f"no message: {arguments}")


def test_detect(report, sluice):
    for budget in ("unlimited", "minimum", "80%"):
        report.case(f"detect/reference/{budget}", same_as_reference, sluice, budget)
    report.case("detect/formats", other_formats, sluice)
    report.case("detect/annotated", annotated, sluice)
    report.case("detect/default", found_beside_the_command, sluice)
    report.case("detect/refusals", refusals, sluice)
