"""End-to-end tests of `sluice ocr`: three networks read scikit-image's scanned page."""

import difflib
import tempfile

from sluice_cli import IMPOSSIBLE, NO_FILE, require

# What stands on the page, as a person reads it.
LINES = [
    "Region-based segmentation",
    "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label",
    "unambiguously as either object or background. Here,",
    "the markers are found at the two extreme parts of the",
    "histogram of grey values:",
    ">>> markers = np.zeros_like(coins)",
]
LEAST_LIKENESS = 0.8


def letters(text):
    """The text without blanks: recognizers for Chinese often leave them out."""
    return "".join(text.split())


def likeness(found, wanted):
    return difflib.SequenceMatcher(None, letters(found), letters(wanted)).ratio()


def read_page(sluice, models, budget, seen):
    run = sluice.succeed(
        "ocr", models / "page.png", "--models", models, "--device-memory", budget, "--json")
    found = [line["text"] for line in run["lines"]]
    position = 0
    worst = 1.0
    for wanted in LINES:
        best = max(
            range(position, len(found)), key=lambda n: likeness(found[n], wanted), default=None)
        require(best is not None, f"the line {wanted!r} is missing in {found}")
        ratio = likeness(found[best], wanted)
        require(ratio >= LEAST_LIKENESS, f"{wanted!r} was read as {found[best]!r} ({ratio:.2f})")
        worst, position = min(worst, ratio), best + 1
    require(seen.setdefault("lines", run["lines"]) == run["lines"], "another budget, another text")

    networks = {network["network"]: network for network in run["networks"]}
    require(list(networks) == ["detection", "direction", "recognition"], "networks are missing")
    require(networks["detection"]["runs"] == 1, "the detector ran more than once")
    require(networks["recognition"]["runs"] >= len(LINES), "not every line was recognized")
    peaks = [network["device_peak_bytes"] for network in networks.values()]
    require(run["device_peak_bytes"] == max(peaks), "the peak is not that of one network")
    if budget == "minimum":
        require(
            all(n["weight_bytes_streamed"] > 0 for n in networks.values()), "nothing was streamed")
    elif budget != "unlimited":
        require(run["device_peak_bytes"] <= int(budget), "the budget was passed")
    seen["peaks"] = peaks
    return f"{len(found)} lines, likeness {worst:.2f} or more, peak {max(peaks)} bytes"


def one_budget(sluice, models, seen):
    """A number of bytes in which all three networks fit, one after another but not together."""
    peaks = seen["peaks"]
    budget = max(peaks) + 1
    require(sum(peaks) > budget, "all networks fit at once: the case shows nothing")
    return read_page(sluice, models, str(budget), seen)


def refusals(sluice, models):
    page = models / "page.png"
    run = sluice.call("ocr", page, "--models", models, "--device-memory", "64KiB")
    require(run.code == IMPOSSIBLE, f"exit {run.code} for 64 KiB")
    with tempfile.TemporaryDirectory() as folder:
        run = sluice.call("ocr", page, "--models", folder)
        require(run.code == NO_FILE, f"exit {run.code} without models")
        require("make models" in run.stderr, f"no way out is named: {run.stderr}")
    run = sluice.call("ocr", models / "no.png", "--models", models)
    require(run.code == NO_FILE, f"exit {run.code} without a picture")


def test_ocr(report, sluice, models):
    seen = {}
    for budget in ("unlimited", "minimum"):
        report.case(f"ocr/page/{budget}", read_page, sluice, models, budget, seen)
    report.case("ocr/page/one-budget", one_budget, sluice, models, seen)
    report.case("ocr/refusals", refusals, sluice, models)
