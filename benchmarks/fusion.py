#!/usr/bin/env python3
"""What each fusion is worth: every network with all of them, without each one, and without any.

Rounds are interleaved, and how much slower a network gets is the median of what it is in each
round, so that a busy neighbour hits both alike. Prints a Markdown table: median latency, bytes that
the kernels read and write, and the peak of device memory with everything resident, each also as the
difference that the fusion makes. Fusions that change nothing in a network are left out.

    benchmarks/fusion.py
    benchmarks/fusion.py --models ppocr_det --threads 2
"""

import argparse
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import numpy as np

from peers import FIVE, INPUTS, MIB, ROOT, call_sluice, machine


def variants(sluice):
    """[(label, options)]: the names of fusions are those that the command says it knows."""
    text = subprocess.run(
        [sluice, "plan", "--help"], check=True, capture_output=True, text=True).stdout
    names = re.search(r"Leave out a fusion, for comparison:([\w\s,]+)\.", text)[1]
    return [
        ("all", []),
        *((f"without {name}", ["--skip-fusion", name]) for name in re.findall(r"\w+", names)),
        ("without any", ["--no-fusion"])]


def measure(arguments, name):
    """{variant: (median ms, times as slow, traffic, peak)} of one network."""
    model = arguments.model_dir / f"{name}.onnx"
    input_name, shape = INPUTS[name]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "input.npy"
        np.save(file, np.random.default_rng(1).standard_normal(shape, dtype=np.float32))
        shape_option = ["--shape", f"{input_name}={'x'.join(map(str, shape))}"]
        options = dict(variants(arguments.sluice))
        plans = {
            label: call_sluice(
                arguments.sluice, ["plan", model, *shape_option, *option], arguments.threads)
            for label, option in options.items()}
        full = plans["all"]["kernel_traffic_bytes"]
        labels = [
            label for label, plan in plans.items()
            if label == "all" or plan["kernel_traffic_bytes"] != full]
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append({})
            for label in labels:
                command = ["run", model, "--input", f"{input_name}={file}", "--warmup", 1,
                           "--repeat", arguments.repeat, *options[label]]
                report = call_sluice(arguments.sluice, command, arguments.threads)
                rounds[-1][label] = statistics.median(report["latency_ms"]["all"])
    return {
        label: (statistics.median(times[label] for times in rounds),
                statistics.median(times[label] / times["all"] for times in rounds),
                plans[label]["kernel_traffic_bytes"], plans[label]["planned_device_peak_bytes"])
        for label in labels}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", type=pathlib.Path, default=ROOT / ".build/release/sluice")
    parser.add_argument("--model-dir", type=pathlib.Path, default=ROOT / "models")
    parser.add_argument("--models", nargs="+", choices=INPUTS, default=FIVE)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
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
        for label, (latency, slowness, traffic, peak) in results.items():
            print(f"| {name} | {label} | {latency:.2f} | {slowness:.2f} "
                  f"| {traffic / MIB:.1f} | {(traffic - full[2]) / MIB:.1f} "
                  f"| {peak / MIB:.2f} | {(peak - full[3]) / MIB:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
