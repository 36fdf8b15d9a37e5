"""Networks of many kinds against onnxruntime, each at four budgets with the same bits.

The light networks of the onnx package, those that read text, exports of newer architectures, and
three that stand for other tasks: a U-Net, a tagger with an LSTM, a detector that ends in a
NonMaxSuppression. `tools/make_models.py --tests` makes them. Two of those whose file fixes the
batch run with another one, too, as the benchmark changes them, and three with channels last.
"""

import pathlib
import sys
import tempfile

import numpy as np
import onnx

from channels_last import with_channels_last
from sluice_cli import (
    ROOT, reference_outputs, reference_session, require, require_close, seeded_input)

sys.path.insert(0, str(ROOT / "benchmarks"))
import rebatch  # noqa: E402 (of benchmarks/)

SETTINGS = [("unlimited", 1), ("minimum", 2), ("25%", 1), ("50%", 2)]
# Shapes of the inputs whose files leave sizes open.
SHAPES = {
    "efficientnet_b0": (1, 3, 224, 224), "inception_v3": (1, 3, 299, 299),
    "lstm_tagger": (3, 24), "ppocr_cls": (1, 3, 48, 192), "ppocr_rec": (1, 3, 48, 320),
    "resnext50": (1, 3, 224, 224),
    "unet": (1, 3, 128, 160),
}
NETWORKS = [
    "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "shufflenet", "yolo_head",
    "zfnet512", *SHAPES]
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def run_at_budgets(sluice, path):
    """One network, one seeded input: onnxruntime's numbers, and the same bits at every setting.

    `sluice.run` compares planned and measured peaks.
    """
    inputs = {
        port.name: seeded_input(SHAPES.get(path.stem, port.shape), 1, TYPES[port.type])
        for port in reference_session(path).get_inputs()}
    expected = reference_outputs(path, inputs)
    bits, peaks = None, []
    for budget, threads in SETTINGS:
        run = sluice.run(path, inputs, budget=budget, threads=threads)
        bits = bits or run.bits()
        require(run.bits() == bits, f"{budget}/t{threads}: bits differ from the first run's")
        if len(peaks) == 0:
            require_close(run.outputs, expected)
        peaks.append(run["device_peak_bytes"] / (1 << 20))
    return "peaks " + ", ".join(f"{peak:.2f}" for peak in peaks) + " MiB"


def run_with_batch(sluice, source, batch):
    """As `run_at_budgets`, with the batch changed that the file fixes."""
    model = onnx.load(source)
    input_name = reference_session(source).get_inputs()[0].name
    require(rebatch.fixed_batch(model, input_name) == 1, "the file does not fix batch 1")
    rebatch.rebatch(model, input_name, batch)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, f"{source.stem}-{batch}.onnx")
        onnx.save(model, path)
        return run_at_budgets(sluice, path)


def run_with_channels_last(sluice, source):
    """As a framework with channels last exports it: the same plan, the same bits."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, source.name)
        model = with_channels_last(onnx.load(source))
        turns = sum(node.op_type == "Transpose" for node in model.graph.node)
        require(turns > 50, f"only {turns} transpositions")
        onnx.save(model, path)
        (port,) = reference_session(source).get_inputs()
        inputs = {port.name: seeded_input((1, 3, 224, 224), 1)}
        for budget in ("unlimited", "minimum"):
            one, other = (sluice.run(p, inputs, budget=budget, threads=2) for p in (source, path))
            require(one.bits() == other.bits(), f"{budget}: bits differ")
            require(
                one["device_peak_bytes"] == other["device_peak_bytes"], f"{budget}: peaks differ")
        return f"{turns} transpositions"


def test_more_networks(report, sluice, folder):
    for name in ("mobilenet_v2", "efficientnet_b0", "densenet121"):
        report.case(
            f"more/{name} with channels last", run_with_channels_last, sluice,
            folder / f"{name}.onnx")
    for name in NETWORKS:
        report.case(f"more/{name}", run_at_budgets, sluice, folder / f"{name}.onnx")
    for name in ("densenet121", "shufflenet"):
        report.case(
            f"more/{name} of batch 3", run_with_batch, sluice, folder / f"{name}.onnx", 3)
