#!/usr/bin/env python3
"""What each fusion is worth: every network with all of them, without each one, and without any.

Rounds are interleaved, so that a busy neighbour hits all alike. Prints a Markdown table: median
latency, bytes that the kernels read and write, and the peak of device memory with everything
resident, each also as the difference that the fusion makes. Fusions that change nothing in a
network are left out.

    benchmarks/fusion.py
    benchmarks/fusion.py --models ppocr_det --threads 2
"""

import argparse
import pathlib
import statistics
import sys
import tempfile

import numpy as np

from peers import FIVE, INPUTS, MIB, ROOT, call_sluice, machine

FUSIONS = ["image", "pad", "view", "affine", "silu", "pixel", "residual", "activation", "pool",
           "depthwise", "projection", "input", "channel"]


def variants():
    yield "all", []
    for name in FUSIONS:
        yield f"without {name}", ["--skip-fusion", name]
    yield "without any", ["--no-fusion"]


def measure(arguments, name):
    """{variant: (median ms, traffic, peak)} of one network."""
    model = arguments.model_dir / f"{name}.onnx"
    input_name, shape = INPUTS[name]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "input.npy"
        np.save(file, np.random.default_rng(1).standard_normal(shape, dtype=np.float32))
        shape_option = ["--shape", f"{input_name}={'x'.join(map(str, shape))}"]
        plans = {
            label: call_sluice(
                arguments.sluice, ["plan", model, *shape_option, *options], arguments.threads)
            for label, options in variants()}
        full = plans["all"]["kernel_traffic_bytes"]
        times = {
            label: [] for label, plan in plans.items()
            if label == "all" or plan["kernel_traffic_bytes"] != full}
        for _ in range(arguments.rounds):
            for label, options in variants():
                if label not in times:
                    continue
                command = ["run", model, "--input", f"{input_name}={file}", "--warmup", 1,
                           "--repeat", arguments.repeat, *options]
                report = call_sluice(arguments.sluice, command, arguments.threads)
                times[label] += report["latency_ms"]["all"]
    return {
        label: (statistics.median(values), plans[label]["kernel_traffic_bytes"],
                plans[label]["planned_device_peak_bytes"])
        for label, values in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", type=pathlib.Path, default=ROOT / ".build/release/sluice")
    parser.add_argument("--model-dir", type=pathlib.Path, default=ROOT / "models")
    parser.add_argument("--models", nargs="+", choices=INPUTS, default=FIVE)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['date']}; "
          f"{arguments.threads} thread(s); latencies are medians, interleaved; sizes in MiB.\n")
    print("| model | fusions | ms | times as slow | traffic | saved | peak | saved |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for name in arguments.models:
        print(f"measuring {name}", file=sys.stderr)
        results = measure(arguments, name)
        full = results["all"]
        for label, (latency, traffic, peak) in results.items():
            print(f"| {name} | {label} | {latency:.2f} | {latency / full[0]:.2f} "
                  f"| {traffic / MIB:.1f} | {(traffic - full[1]) / MIB:.1f} "
                  f"| {peak / MIB:.2f} | {(peak - full[2]) / MIB:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
