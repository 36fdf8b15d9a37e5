#!/usr/bin/env python3
"""End-to-end tests: the `sluice` command against onnxruntime.

The five networks run at several budgets and thread counts and must give onnxruntime's numbers,
the same bits every time, and exactly the planned memory. Small models then cover the import
(e2e_import.py), hostile ones its limits (e2e_hostile.py), more networks what else people have
(e2e_networks.py), libsluice in C and Python (e2e_c.py), the committed detector the command `detect`
(e2e_detect.py), a scanned page the command `ocr` (e2e_ocr.py), and random networks everything else
(fuzz_models.py).
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

import e2e_c
import e2e_commands
import e2e_detect
import e2e_hostile
import e2e_import
import e2e_networks
import e2e_ocr
import fuzz_models
from sluice_cli import (
    IMPOSSIBLE, ROOT, Report, Sluice, reference_outputs, require, require_close, safe_name,
    seeded_input)

BUDGETS = ["unlimited", "minimum", "25%", "50%"]
THREADS = [1, 2]
IMAGE = (1, 3, 224, 224)
INPUTS = {
    "resnet50": ("gpu_0/data_0", IMAGE),
    "vgg19": ("data_0", IMAGE),
    "squeezenet": ("data_0", IMAGE),
    "mobilenet_v2": ("input", IMAGE),
    "ppocr_det": ("x", (1, 3, 320, 320)),
}
CURVE_NETWORK = "resnet50"
CURVE_POINTS = 50
MIB = 1 << 20
# What a process may need beside its arenas: code, graph, plan, staging of one upload.
PROCESS_ALLOWANCE = 128 * MIB


class Network:
    """A network, one input for it, and onnxruntime's answer (made when first asked for)."""

    def __init__(self, folder, name, shape=None):
        self.name = name
        self.path = folder / f"{name}.onnx"
        self.input_name, usual_shape = INPUTS[name]
        self.shape = shape or usual_shape
        self._inputs = self._expected = None

    @property
    def inputs(self):
        if self._inputs is None:
            array = seeded_input(self.shape, seed=1)
            if self.name == "ppocr_det":
                array = page_image(self.path.parent / "page.png", self.shape)
            self._inputs = {self.input_name: array}
        return self._inputs

    @property
    def expected(self):
        if self._expected is None:
            self._expected = reference_outputs(self.path, self.inputs)
        return self._expected

    @property
    def shape_option(self):
        return ["--shape", f"{self.input_name}={'x'.join(map(str, self.shape))}"]


def page_image(path, shape):
    """The scanned page: noise has no text, and a detector answers zero everywhere."""
    height, width = shape[2:]
    gray = Image.open(path).convert("L").resize((width, height), Image.Resampling.BILINEAR)
    pixels = (np.asarray(gray, dtype=np.float32) / 255 - 0.45) / 0.225
    return np.ascontiguousarray(np.broadcast_to(pixels, shape))


def mebibytes(count):
    return f"{count / MIB:.2f} MiB"


# ---- The five networks ------------------------------------------------------------------------


def run_network(sluice, network, budget, threads, seen_bits):
    run = sluice.run(network.path, network.inputs, budget=budget, threads=threads)
    require_close(run.outputs, network.expected)
    first = seen_bits.setdefault(network.name, run.bits())
    require(run.bits() == first, "the bits differ from those of the first run")

    minimum, resident = run["minimum_device_bytes"], run["resident_device_bytes"]
    peak = run["device_peak_bytes"]
    if budget == "unlimited":
        require(run["device_budget_bytes"] is None, "an unlimited run reports a budget")
        require(peak == resident, f"unlimited peak {peak} is not resident_device_bytes {resident}")
        require(run["weight_bytes_streamed"] == 0, "weights streamed without need")
    else:
        wanted = minimum
        if budget.endswith("%"):
            wanted = max(minimum, resident * int(budget[:-1]) // 100)
        require(
            run["device_budget_bytes"] == wanted,
            f"budget {run['device_budget_bytes']}, expected {wanted}")
    return (
        f"peak {mebibytes(peak)} of {mebibytes(resident)}, "
        f"streamed {mebibytes(run['weight_bytes_streamed'])}, "
        f"{run['latency_ms']['median']:.1f} ms")


def refuse_below_minimum(sluice, network, threads):
    """One byte below the minimum fails before the run and says what would work."""
    plan = sluice.plan(network.path, *network.shape_option, threads=threads)
    minimum = plan["minimum_device_bytes"]
    exact = sluice.plan(network.path, *network.shape_option, budget=minimum, threads=threads)
    require(exact["planned_device_peak_bytes"] <= minimum, "the minimum itself does not plan")
    for command in (["plan"], ["run", "--random-inputs", "1"]):
        run = sluice.call(
            command[0], network.path, *command[1:], *network.shape_option,
            "--device-memory", minimum - 1, "--threads", threads)
        require(run.code == IMPOSSIBLE, f"`{command[0]}` gave exit {run.code}, expected 69")
        digits = run.stderr.replace(",", "").replace("_", "").replace("'", "")
        require(str(minimum) in digits, f"the message lacks {minimum}: {run.stderr.strip()!r}")
        require("step" in run.stderr.lower(), f"no step is named: {run.stderr.strip()!r}")
    return f"minimum {minimum}"


def refuse_impossible_memory(sluice, large, small):
    """Memory that the process may not have is refused at open; planning it is fine."""
    mebibyte = 1 << 20
    limit = sluice.plan(large.path)["resident_device_bytes"] + 8 * mebibyte
    # The program itself takes address space too, so the large model cannot fit.
    limited = ["bash", "-c", f"ulimit -v {limit // 1024}; exec \"$@\"", "bash", sluice.path]

    def call(*arguments):
        return subprocess.run(
            [*limited, *map(str, arguments)], capture_output=True, text=True, timeout=300)

    refused = call("run", large.path, "--random-inputs", 1)
    require(refused.returncode == IMPOSSIBLE, f"exit {refused.returncode}, expected 69")
    for word in ("memory", "left", "budget"):
        require(word in refused.stderr, f"no '{word}' in the message: {refused.stderr.strip()!r}")
    for run in (call("plan", large.path), call("run", small.path, "--random-inputs", 1)):
        require(run.returncode == 0, f"exit {run.returncode}: {run.stderr.strip()!r}")


def check_curve(sluice, network, threads):
    """Every budget from the minimum up plans, and more memory is never predicted slower."""
    ends = sluice.plan(network.path, *network.shape_option, threads=threads)
    low, high = ends["minimum_device_bytes"], ends["resident_device_bytes"]
    # Denser near the minimum, where plans differ most.
    points = sorted({
        low + round((high - low) * (i / (CURVE_POINTS - 1)) ** 2) for i in range(CURVE_POINTS)})
    previous = None
    for budget in points:
        plan = sluice.plan(network.path, *network.shape_option, budget=budget, threads=threads)
        require(plan["planned_device_peak_bytes"] <= budget, f"plan exceeds budget {budget}")
        require(plan["minimum_device_bytes"] == low, f"the minimum moved at budget {budget}")
        require(plan["resident_device_bytes"] == high, f"resident bytes moved at {budget}")
        latency = plan["predicted_latency_ms"]
        if previous is not None:
            require(
                latency <= previous[1],
                f"{previous[1]} ms at {previous[0]} bytes, but {latency} ms at {budget}")
        else:
            first = latency
        previous = (budget, latency)
    return f"{len(points)} budgets, predicted {first:.1f} to {previous[1]:.1f} ms"


def check_process_peak(sluice, network, budget):
    """Opening a model holds its weights once: in one of the arenas, never beside them."""
    run = sluice.run(network.path, network.inputs, budget=budget, threads=1)
    arenas = run["device_peak_bytes"] + run["host_peak_bytes"]
    peak = run["process_peak_bytes"]
    require(
        peak <= arenas + PROCESS_ALLOWANCE,
        f"process peak {mebibytes(peak)}, arenas {mebibytes(arenas)}")
    require(peak >= run["device_peak_bytes"], "process peak is below the device peak")
    return f"process {mebibytes(peak)}, arenas {mebibytes(arenas)}"


def test_networks(report, sluice, folder):
    seen_bits = {}
    for name in INPUTS:
        network = Network(folder, name)
        for budget in BUDGETS:
            for threads in THREADS:
                report.case(
                    f"network/{name}/{budget}/t{threads}", run_network, sluice, network, budget,
                    threads, seen_bits)
        for threads in THREADS:
            report.case(
                f"refuse/{name}/t{threads}", refuse_below_minimum, sluice, network, threads)
    for shape in ((1, 3, 96, 160), (1, 3, 640, 640), (2, 3, 64, 96)):
        network = Network(folder, "ppocr_det", shape)
        seen_bits = {}
        for budget, threads in (("unlimited", 1), ("minimum", 2)):
            report.case(
                f"shape/ppocr_det/{'x'.join(map(str, shape))}/{budget}/t{threads}", run_network,
                sluice, network, budget, threads, seen_bits)
    report.case(
        f"curve/{CURVE_NETWORK}", check_curve, sluice, Network(folder, CURVE_NETWORK), 1)
    for budget in ("unlimited", "minimum"):
        report.case(
            f"process_peak/vgg19/{budget}", check_process_peak, sluice, Network(folder, "vgg19"),
            budget)


# ---- Options and commands ---------------------------------------------------------------------


def run_with_option(sluice, network, *options):
    """Options that change arithmetic or lanes give close numbers, not the same bits."""
    run = sluice.run(network.path, network.inputs, *options, budget="50%", threads=2)
    require_close(run.outputs, network.expected)


def run_random_inputs(sluice, network):
    """The inputs that `--random-inputs` wrote, given to onnxruntime, explain the outputs."""
    with tempfile.TemporaryDirectory() as folder:
        for directory in ("a", "b"):
            run = sluice.succeed(
                "run", network.path, *network.shape_option, "--random-inputs", 7,
                "--output-dir", pathlib.Path(folder) / directory, "--json")
        files = {p.name: p for p in pathlib.Path(folder, "a").glob("*.npy")}
        for name, path in files.items():
            twin = pathlib.Path(folder, "b", name)
            require(path.read_bytes() == twin.read_bytes(), f"{name} differs for the same seed")
        made = [p for n, p in files.items() if n.endswith(safe_name(network.input_name) + ".npy")]
        require(len(made) == 1, f"no file of the input among {sorted(files)}")
        expected = reference_outputs(network.path, {network.input_name: np.load(made[0])})
        outputs = {
            o["name"]: np.load(files[safe_name(o["name"]) + ".npy"]) for o in run["outputs"]}
        require_close(outputs, expected)


def run_repeated(sluice, network):
    run = sluice.run(network.path, network.inputs, "--repeat", 5, "--warmup", 2)
    latency = run["latency_ms"]
    require(len(latency["all"]) == 5, f"{len(latency['all'])} latencies for --repeat 5")
    require(
        latency["min"] <= latency["median"] <= latency["p90"] <= max(latency["all"]),
        f"latencies are out of order: {latency}")


def print_something(sluice, *arguments):
    run = sluice.succeed(*arguments)
    require(run.stdout.strip(), "nothing on stdout")


def interrupt(sluice, network):
    """An interrupt ends the run soon and leaves whole files or none."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sluice.path, "run", str(network.path), *network.shape_option, "--random-inputs", "1",
             "--repeat", "1000000", "--output-dir", folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            # A shell starts what it runs in the background with the signal ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        time.sleep(1.5)
        require(process.poll() is None, "the run ended before it was interrupted")
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            require(False, "still running 20 s after an interrupt")
        require(code != 0, "an interrupted run reports success")
        for path in pathlib.Path(folder).rglob("*"):
            if path.is_file():
                require(path.suffix == ".npy", f"left {path.name} behind")
                np.load(path)


def refuse_lost_output(sluice, network):
    """Results that cannot be written are an error, not half a success."""
    with tempfile.TemporaryDirectory() as folder:
        run = [str(sluice.path), "run", str(network.path), "--random-inputs", "1"]
        for command, words in (
            (["bash", "-c", 'exec "$@" >/dev/full', "bash", *run], "standard output"),
            (["bash", "-c", 'ulimit -f 1; exec "$@"', "bash", *run, "--output-dir", folder],
             "cannot be written"),
        ):
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            require(done.returncode == IMPOSSIBLE, f"exit {done.returncode}, expected 69")
            require(words in done.stderr, f"no '{words}' in the message: {done.stderr.strip()!r}")
        left = [path.name for path in pathlib.Path(folder).iterdir()]
        require(not left, f"left behind: {left}")


def test_commands(report, sluice, folder):
    network = Network(folder, "squeezenet")
    for options in (["--no-fusion"], ["--gemm", "openblas"], ["--gemm", "native"]):
        for name in ("squeezenet", "mobilenet_v2", "ppocr_det"):
            report.case(
                f"option/{'='.join(options)[2:]}/{name}", run_with_option, sluice,
                Network(folder, name), *options)
    report.case("option/random-inputs", run_random_inputs, sluice, network)
    report.case("option/repeat", run_repeated, sluice, network)
    report.case("option/interrupt", interrupt, sluice, network)
    report.case("option/lost-output", refuse_lost_output, sluice, network)
    report.case(
        "memory/impossible", refuse_impossible_memory, sluice, Network(folder, "vgg19"), network)
    random_run = ["run", network.path, "--random-inputs", 3]
    report.case("option/profile", print_something, sluice, *random_run, "--profile")
    report.case("option/check", print_something, sluice, *random_run, "--check")
    report.case("option/check/minimum", print_something, sluice, *random_run, "--check",
                "--device-memory", "minimum")
    for stage in ("graph", "fused", "plan", "schedule", "summary"):
        report.case(
            f"emit/{stage}", print_something, sluice, "plan", network.path, "--emit", stage)
    report.case("command/inspect", print_something, sluice, "inspect", network.path)
    report.case("command/doctor", print_something, sluice, "doctor")
    report.case("command/kernels", print_something, sluice, "kernels")
    report.case("command/version", print_something, sluice, "--version")


# ---- Command ----------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", default=ROOT / ".build/release/sluice")
    parser.add_argument("--models", type=pathlib.Path, default=ROOT / "models")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with TEXT in their name")
    parser.add_argument("--seeds", type=int, default=60, help="random networks to try")
    arguments = parser.parse_args()
    sluice, report = Sluice(arguments.sluice), Report(arguments.only)
    models = arguments.models.resolve()
    started = time.monotonic()
    e2e_import.test_import(report, sluice)
    e2e_hostile.test_hostile(report, sluice)
    e2e_c.test_c(report, models)
    e2e_detect.test_detect(report, sluice)
    e2e_commands.test_commands(report, sluice, models)
    fuzz_models.test_random_networks(report, sluice, range(arguments.seeds))
    e2e_ocr.test_ocr(report, sluice, models)
    test_commands(report, sluice, models)
    test_networks(report, sluice, models)
    e2e_networks.test_more_networks(report, sluice, models)
    print(f"{time.monotonic() - started:.0f} s")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
