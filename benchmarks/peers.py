#!/usr/bin/env python3
"""Memory and latency of Sluice beside its peers, on the same networks, inputs and threads.

Everything is interleaved: a round runs each peer and each budget once for about a second, and
rounds repeat, so that a busy neighbour hits all alike. With one thread every process is pinned
to one core; with more, none is. Budgets that come out as the same bytes are one row. Prints a
Markdown table, below it the geometric mean of Sluice's latency over that of the better peer where
everything is resident, and writes JSON.

    benchmarks/peers.py --readme README.md       measures and replaces the table of README.md
    benchmarks/peers.py --models resnet50 --threads 1 --peers onnxruntime openvino
    benchmarks/peers.py --models all --batch 1 8 --budgets 100% --peers onnxruntime openvino
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import onnx

import rebatch

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 1 << 20
BUDGETS = ["minimum", "10%", "30%", "100%"]
FIVE = ["resnet50", "vgg19", "squeezenet", "mobilenet_v2", "ppocr_det"]
INPUTS = {
    "resnet50": ("gpu_0/data_0", (1, 3, 224, 224)),
    "vgg19": ("data_0", (1, 3, 224, 224)),
    "squeezenet": ("data_0", (1, 3, 224, 224)),
    "mobilenet_v2": ("input", (1, 3, 224, 224)),
    "ppocr_det": ("x", (1, 3, 640, 640)),
    "resnet50_v1_5": ("input", (1, 3, 224, 224)),
    "resnext50": ("input", (1, 3, 224, 224)),
    "shufflenet": ("gpu_0/data_0", (1, 3, 224, 224)),
    "vgg16": ("input", (1, 3, 224, 224)),
    "inception_v3": ("input", (1, 3, 299, 299)),
    "densenet121": ("data_0", (1, 3, 224, 224)),
    "efficientnet_b0": ("input", (1, 3, 224, 224)),
    "digits": ("picture", (1, 1, 160, 160)),
}
# The detector is part of the repository; the others are made by tools/make_models.py.
DETECTOR = ROOT / "tools/detector/digits.onnx"


def pinned(command, threads):
    """`command` on one core for one thread: the last core, which interrupts visit least."""
    if threads > 1:
        return command
    return ["taskset", "-c", str(max(os.sched_getaffinity(0)))] + command


# ---- Peers: child processes that answer rounds ------------------------------------------------


def open_peer(engine, model, threads):
    """A function that runs `model` once on its input."""
    if engine == "onnxruntime":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        return lambda inputs: session.run(None, inputs), onnxruntime.__version__
    import openvino
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"})
    request = compiled.create_infer_request()
    return lambda inputs: request.infer(inputs), openvino.__version__.split("-")[0]


def serve_rounds(arguments):
    """The child: reads a number of runs per line, answers with their milliseconds."""
    import time
    engine, model, name, file, threads = arguments
    run, version = open_peer(engine, model, int(threads))
    inputs = {name: np.load(file)}
    print(json.dumps(version), flush=True)
    for line in sys.stdin:
        times = []
        for index in range(int(line) + 1):
            start = time.perf_counter()
            run(inputs)
            if index:  # The first run of a round warms caches and threads.
                times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(times), flush=True)


class Peer:
    def __init__(self, engine, model, name, file, threads):
        command = [
            sys.executable, __file__, "--child", engine, str(model), name, str(file), str(threads)]
        self.process = subprocess.Popen(
            pinned(command, threads), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("a peer ended unexpectedly")
        return json.loads(line)

    def round(self, runs):
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- Sluice -----------------------------------------------------------------------------------


def call_sluice(sluice, command, threads):
    process = subprocess.run(
        pinned([str(sluice), *map(str, command), "--threads", str(threads), "--json"], threads),
        stdout=subprocess.PIPE, text=True)
    if process.returncode != 0:
        sys.exit(f"sluice {' '.join(map(str, command))}: exit {process.returncode}")
    return json.loads(process.stdout)


def effective_budgets(sluice, model, shape, threads, budgets):
    """[(labels, bytes)] with budgets that mean the same bytes joined, smallest first."""
    labels = {}
    for budget in budgets:
        plan = call_sluice(
            sluice, ["plan", model, "--shape", shape, "--device-memory", budget], threads)
        labels.setdefault(plan["device_budget_bytes"], []).append(budget)
    return [(" = ".join(names), count) for count, names in sorted(labels.items())]


# ---- Measuring --------------------------------------------------------------------------------


def file_for_batch(arguments, name, batch, folder):
    """The network's file, which takes one image, or one in `folder` for the batch if need be."""
    path = DETECTOR if name == "digits" else arguments.model_dir / f"{name}.onnx"
    if batch == 1:
        return path
    model, input_name = onnx.load(path), INPUTS[name][0]
    if rebatch.fixed_batch(model, input_name) is None:
        return path
    rebatch.rebatch(model, input_name, batch)
    path = pathlib.Path(folder) / f"{name}.onnx"
    onnx.save(model, path)
    return path


def measure(arguments, name, threads, batch):
    """One row per effective budget of one network."""
    input_name, shape = INPUTS[name]
    shape = (batch, *shape[1:])
    shape_option = f"{input_name}={'x'.join(map(str, shape))}"
    with tempfile.TemporaryDirectory() as folder:
        model = file_for_batch(arguments, name, batch, folder)
        file = pathlib.Path(folder) / "input.npy"
        np.save(file, np.random.default_rng(1).standard_normal(shape, dtype=np.float32))
        budgets = effective_budgets(
            arguments.sluice, model, shape_option, threads, arguments.budgets)
        peers = {e: Peer(e, model, input_name, file, threads) for e in arguments.peers}
        times = {key: [] for key in [*peers, *(b for _, b in budgets)]}
        reports, runs = {}, 3
        for index in range(arguments.rounds + 1):
            samples = {engine: peer.round(runs) for engine, peer in peers.items()}
            for _, budget in budgets:
                command = [
                    "run", model, "--input", f"{input_name}={file}", "--output-dir", folder,
                    "--device-memory", budget, "--warmup", 1, "--repeat", runs]
                reports[budget] = call_sluice(arguments.sluice, command, threads)
                samples[budget] = reports[budget]["latency_ms"]["all"]
            if index == 0:  # This round only tells how many runs fill a second.
                slowest = max(statistics.median(s) for s in samples.values())
                runs = max(3, min(200, round(arguments.seconds * 1e3 / slowest)))
                continue
            for key, values in samples.items():
                times[key] += values
        for peer in peers.values():
            peer.close()

    full = statistics.median(times[budgets[-1][1]])
    for label, budget in budgets:
        report, latency = reports[budget], statistics.median(times[budget])
        row = {
            "model": name, "threads": threads, "batch": batch, "budget": label,
            "latency_ms": latency, "latency_min_ms": min(times[budget]),
            "ratio_to_full": latency / full, "samples": len(times[budget]),
        }
        for key in ("device_budget_bytes", "device_peak_bytes", "planned_device_peak_bytes",
                    "resident_device_bytes", "minimum_device_bytes", "weight_bytes_streamed",
                    "uploaded_bytes", "host_peak_bytes", "process_peak_bytes", "isa"):
            row[key] = report[key]
        for engine, peer in peers.items():
            median = statistics.median(times[engine])
            row[engine] = {
                "version": peer.version, "latency_ms": median, "ratio": latency / median}
        yield row


# ---- Report -----------------------------------------------------------------------------------


def machine():
    """What the figures depend on, read from this machine."""
    model = platform.processor() or platform.machine()
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return {
        "cpu": model, "cores": len(os.sched_getaffinity(0)), "system": platform.platform(),
        "date": datetime.date.today().isoformat(), "commit": commit.stdout.strip()}


# What the columns of sizes show, in MiB.
SIZES = {
    "resident": "resident_device_bytes", "minimum": "minimum_device_bytes",
    "effective": "device_budget_bytes", "peak": "device_peak_bytes",
    "streamed": "weight_bytes_streamed"}


def table(rows, peers):
    """The rows as Markdown; sizes in MiB, latencies in ms. One budget needs fewer columns."""
    sizes = list(SIZES) if len({row["budget"] for row in rows}) > 1 else ["resident"]
    head = ["model", "threads", "batch", *sizes, "Sluice ms"]
    if len(sizes) > 1:
        head.insert(head.index("effective"), "budget")
        head.append("vs 100 %")
    columns = list(head)
    for engine in peers:
        head += [f"{engine} ms", "ratio"]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for row in rows:
        shown = {name: f"{row[key] / MIB:.2f}" for name, key in SIZES.items()}
        shown |= {"model": row["model"], "threads": str(row["threads"]),
                  "batch": str(row["batch"]), "budget": row["budget"].replace("%", " %"),
                  "Sluice ms": f"{row['latency_ms']:.2f}",
                  "vs 100 %": f"{row['ratio_to_full']:.2f}"}
        cells = [shown[name] for name in columns]
        for engine in peers:
            cells += [f"{row[engine]['latency_ms']:.2f}", f"{row[engine]['ratio']:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def means(rows, peers):
    """A line for each thread count and batch: how Sluice stands to the better of its peers."""
    for key in sorted({(row["threads"], row["batch"]) for row in rows}):
        ratios = {
            row["model"]: max(row[engine]["ratio"] for engine in peers) for row in rows
            if (row["threads"], row["batch"]) == key and "100%" in row["budget"]}
        if not ratios:
            continue
        mean = statistics.geometric_mean(ratios.values())
        worst = max(ratios, key=ratios.get)
        yield (f"{key[0]} thread(s), batch {key[1]}: {mean:.2f} of the better peer's latency "
               f"({1 / mean:.2f} times as fast), worst {worst} at {ratios[worst]:.2f}.")


def write_whole(path, text):
    """The file appears complete or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def replace_between_markers(text, name, body):
    """`text` with `body` between the comments `<!-- name:begin -->` and `<!-- name:end -->`."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->\n"
    for marker in (begin, end):
        if text.count(marker) != 1:
            raise SystemExit(f"peers.py: '{marker.strip()}' must stand in the file exactly once")
    head, rest = text.split(begin)
    if end not in rest:
        raise SystemExit(f"peers.py: '{end.strip()}' stands before '{begin.strip()}'")
    return head + begin + body.rstrip("\n") + "\n" + end + rest.split(end)[1]


def main():
    if sys.argv[1:2] == ["--child"]:
        return serve_rounds(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", type=pathlib.Path, default=ROOT / ".build/release/sluice")
    parser.add_argument("--model-dir", type=pathlib.Path, default=ROOT / "models")
    parser.add_argument("--models", nargs="+", choices=[*INPUTS, "all"], default=FIVE)
    parser.add_argument("--batch", nargs="+", type=int, default=[1],
                        help="a network whose file fixes another batch runs from a changed copy")
    parser.add_argument("--budgets", nargs="+", default=BUDGETS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--peers", nargs="+", default=["onnxruntime"],
                        choices=["onnxruntime", "openvino", "none"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of the slowest in a round")
    parser.add_argument("--json", type=pathlib.Path, default=ROOT / "out/peers.json")
    parser.add_argument("--readme", type=pathlib.Path, metavar="FILE",
                        help="also put the table between the markers of a Markdown file")
    parser.add_argument("--marker", default="peers", help="which markers (default: peers)")
    arguments = parser.parse_args()
    if arguments.readme:  # Find out before hours of measuring, not after.
        readme = arguments.readme.read_text(encoding="utf-8")
        replace_between_markers(readme, arguments.marker, "")
    arguments.peers = [engine for engine in arguments.peers if engine != "none"]
    if "all" in arguments.models:
        arguments.models = list(INPUTS)

    about, rows = machine(), []
    for threads in arguments.threads:
        for batch in arguments.batch:
            for name in arguments.models:
                print(f"measuring {name}, {threads} thread(s), batch {batch}", file=sys.stderr)
                rows += measure(arguments, name, threads, batch)
    versions = {e: rows[0][e]["version"] for e in arguments.peers}
    text = (
        f"{about['cpu']}, {about['cores']} cores, {about['date']}; {rows[0]['isa']}; "
        + "; ".join(f"{engine} {version}" for engine, version in versions.items())
        + "\nSizes in MiB; latencies are medians, interleaved; one thread is pinned to one core."
        + "\n\n"
        + table(rows, arguments.peers) + "\n")
    if arguments.peers:
        text += "\n" + "\n".join(means(rows, arguments.peers)) + "\n"
    print(text, end="")
    if arguments.readme:
        readme = arguments.readme.read_text(encoding="utf-8")
        write_whole(arguments.readme, replace_between_markers(readme, arguments.marker, text))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.json, json.dumps({"machine": about, "rows": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
