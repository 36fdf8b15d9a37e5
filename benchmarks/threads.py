#!/usr/bin/env python3
"""What a second thread is worth: the latency of networks with one and with all threads.

Beside it what it is worth to loops of multiply-adds that touch no memory, on the same worker pool:
no network can do better. Everything is interleaved. Medians say what a user gets; where neighbours
of the machine take one core or the other, the fastest runs say what the program is able to.

    benchmarks/threads.py
    benchmarks/threads.py --models mobilenet_v2 --rounds 20
"""

import argparse
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import numpy as np

from peers import FIVE, INPUTS, ROOT, call_sluice, machine


def multiply_adds(sluice):
    """How many times the multiply-adds of one thread all do, as `doctor` measures it."""
    text = subprocess.run(
        [sluice, "doctor"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"threads at once +([0-9.]+) times .*, ([0-9]+) threads", text)
    if found is None:
        sys.exit("this machine gives Sluice one processor: there is nothing to compare")
    return float(found[1]), int(found[2])


def latencies(arguments, folder, name, threads):
    """Milliseconds of the runs of one round."""
    input_name, shape = INPUTS[name]
    file = pathlib.Path(folder) / f"{name}.npy"
    if not file.exists():
        np.save(file, np.random.default_rng(1).standard_normal(shape, dtype=np.float32))
    command = ["run", arguments.model_dir / f"{name}.onnx", "--input", f"{input_name}={file}",
               "--warmup", 1, "--repeat", arguments.repeat]
    return call_sluice(arguments.sluice, command, threads)["latency_ms"]["all"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", type=pathlib.Path, default=ROOT / ".build/release/sluice")
    parser.add_argument("--model-dir", type=pathlib.Path, default=ROOT / "models")
    parser.add_argument("--models", nargs="+", choices=INPUTS, default=FIVE)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()

    times = {name: ([], []) for name in arguments.models}
    loops, threads = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            for name, (one, all_threads) in times.items():
                speed_up, threads = multiply_adds(arguments.sluice)
                loops.append(speed_up)
                one += latencies(arguments, folder, name, 1)
                all_threads += latencies(arguments, folder, name, threads)
    bound = statistics.median(loops)
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['date']}; interleaved.\n"
          f"Loops of multiply-adds: {bound:.2f} times as many with {threads} threads.\n\n"
          f"| model | runs | 1 thread ms | {threads} threads ms | speed-up | of the loops' |\n"
          "|---|---|---:|---:|---:|---:|")
    for name, (one, all_threads) in times.items():
        for label, typical in (("median", statistics.median), ("fastest", min)):
            alone, together = typical(one), typical(all_threads)
            print(f"| {name} | {label} | {alone:.2f} | {together:.2f} | {alone / together:.2f} | "
                  f"{alone / together / bound:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
