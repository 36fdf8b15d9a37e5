"""Shared by the end-to-end tests: runs the `sluice` command and onnxruntime, compares, reports."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import numpy as np
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Exit codes of the command.
USAGE, BAD_DATA, NO_FILE, IMPOSSIBLE, INTERNAL = 64, 65, 66, 69, 70


# Runs a command and writes the most memory it held, in KiB, to a file. The process that starts the
# command must be small: a process begins with the peak of the one it was made from.
MEASURING = """
import os, sys
process = os.spawnvp(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(process, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
"""


class Failure(Exception):
    """What a test case throws when Sluice did something wrong."""


def require(condition, message):
    if not condition:
        raise Failure(message)


class Run:
    """One finished call of the command: exit code, texts, report, and output arrays by name."""

    def __init__(self, process, arguments):
        self.arguments = arguments
        self.code = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.report = None
        self.outputs = {}

    def __getitem__(self, key):
        require(key in self.report, f"the report lacks `{key}`")
        return self.report[key]

    def bits(self):
        """The outputs as bytes, to compare runs exactly."""
        return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in self.outputs.items()}


class Sluice:
    def __init__(self, path):
        self.path = str(pathlib.Path(path).resolve())
        # What the command writes without being told where lands here.
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-test-")

    def call(self, *arguments, timeout=300):
        """Runs the command and returns whatever came of it."""
        arguments = [self.path, *map(str, arguments)]
        try:
            process = subprocess.run(
                arguments, capture_output=True, text=True, errors="replace", timeout=timeout,
                cwd=self.folder.name)
        except subprocess.TimeoutExpired:
            raise Failure(f"no end within {timeout} s: {' '.join(arguments)}") from None
        return Run(process, arguments)

    def measured(self, *arguments, timeout=300):
        """Like `call`; also how many bytes the process held at most, and how long it took."""
        with tempfile.NamedTemporaryFile("r", prefix="sluice-test-") as file:
            command = [sys.executable, "-S", "-c", MEASURING, file.name, self.path]
            started = time.monotonic()
            process = subprocess.Popen(
                [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, errors="replace", cwd=self.folder.name, start_new_session=True)
            try:
                texts = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # The command, not only what measures it.
                raise Failure(f"no end within {timeout} s: {arguments}") from None
            run = Run(subprocess.CompletedProcess(command, process.returncode, *texts), arguments)
            seconds = time.monotonic() - started
            return run, int(file.read()) << 10, seconds

    def succeed(self, *arguments, timeout=300):
        run = self.call(*arguments, timeout=timeout)
        if run.code != 0:
            lines = run.stderr.strip().splitlines()
            text = "\n    ".join(lines[-12:])
            raise Failure(f"exit {run.code}: {' '.join(run.arguments)}\n    {text}")
        if "--json" in run.arguments:
            try:
                run.report = json.loads(run.stdout)
            except ValueError:
                raise Failure(f"--json printed no JSON object: {run.stdout[:200]!r}") from None
        return run

    def plan(self, model, *options, budget="unlimited", threads=1):
        return self.succeed(
            "plan", model, "--device-memory", budget, "--threads", threads, "--json", *options)

    def run(self, model, inputs, *options, budget="unlimited", threads=1, timeout=300):
        """Runs `model` on arrays and reads the outputs back; checks the laws of memory."""
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            folder = pathlib.Path(folder)
            given = []
            for index, (name, array) in enumerate(inputs.items()):
                path = folder / f"input{index}.npy"
                np.save(path, array)
                given += ["--input", f"{name}={path}"]
            run = self.succeed(
                "run", model, *given, "--output-dir", folder / "out", "--device-memory", budget,
                "--threads", threads, "--json", *options, timeout=timeout)
            for output in run["outputs"]:
                path = folder / "out" / (safe_name(output["name"]) + ".npy")
                require(path.exists(), f"output file {path.name} is missing")
                array = np.load(path)
                require(list(array.shape) == output["shape"], "shape in the report is wrong")
                run.outputs[output["name"]] = array
        check_memory(run)
        return run


def safe_name(name):
    """The file name of a tensor: anything outside A-Za-z0-9._- becomes _."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def check_memory(run):
    """Planned and measured peak are the same number, and stay inside the budget."""
    peak, planned = run["device_peak_bytes"], run["planned_device_peak_bytes"]
    require(peak == planned, f"measured peak {peak} is not the planned peak {planned}")
    budget = run["device_budget_bytes"]
    if budget is not None:
        require(peak <= budget, f"peak {peak} is over the budget {budget}")
    require(
        run["minimum_device_bytes"] <= run["resident_device_bytes"],
        "the minimum is above what full residency needs")


# ---- onnxruntime ------------------------------------------------------------------------------


def reference_session(model, threads=1, level=None):
    """A session on a path or on serialized bytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if level is not None:
        options.graph_optimization_level = level
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def reference_outputs(model, inputs, level=None):
    session = reference_session(model, level=level)
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs)))


def seeded_input(shape, seed, dtype=np.float32):
    generator = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape, dtype=np.float32).astype(dtype)
    return generator.integers(0, 5, shape).astype(dtype)


# ---- Comparison -------------------------------------------------------------------------------


def difference(actual, expected):
    """Why two arrays are not close, or None.

    Both are divided by max|expected|; then rtol 1e-3, atol 1e-5, everything finite.
    """
    if actual.shape != expected.shape:
        return f"shape {actual.shape}, expected {expected.shape}"
    if actual.dtype != expected.dtype:
        return f"type {actual.dtype}, expected {expected.dtype}"
    if not np.issubdtype(expected.dtype, np.floating):
        return None if np.array_equal(actual, expected) else "integers differ"
    if expected.size == 0:
        return None
    if not np.isfinite(actual).all():
        count = int(actual.size - np.isfinite(actual).sum())
        return f"{count} of {actual.size} elements are not finite"
    scale = float(np.abs(expected).max()) or 1.0
    actual, expected = actual.astype(np.float64) / scale, expected.astype(np.float64) / scale
    error = np.abs(actual - expected)
    wrong = error > 1e-5 + 1e-3 * np.abs(expected)
    if not wrong.any():
        return None
    where = np.unravel_index(int(error.argmax()), error.shape)
    return (
        f"{int(wrong.sum())} of {wrong.size} elements differ; worst at {tuple(map(int, where))}: "
        f"{actual[where] * scale:.9g}, expected {expected[where] * scale:.9g} "
        f"(error {error[where]:.2e} of the maximum)")


def require_close(outputs, expected, what=""):
    require(
        set(outputs) == set(expected), f"outputs {sorted(outputs)}, expected {sorted(expected)}")
    for name, array in expected.items():
        problem = difference(outputs[name], array)
        require(problem is None, f"{what}output {name}: {problem}")


# ---- Report -----------------------------------------------------------------------------------


class Report:
    """One line per case, counts at the end."""

    def __init__(self, pattern=""):
        self.pattern = pattern
        self.passed = 0
        self.failures = []

    def case(self, name, function, *arguments):
        """Runs one case; what the function returns is printed behind the name."""
        if self.pattern not in name:
            return
        try:
            note = function(*arguments) or ""
        except Failure as failure:
            self.failures.append(name)
            print(f"FAIL  {name}\n  {failure}", flush=True)
        except Exception:  # A broken case must not hide the ones behind it.
            self.failures.append(name)
            print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
        else:
            self.passed += 1
            print(f"ok    {name}  {note}".rstrip(), flush=True)

    def finish(self):
        """Prints the summary and returns the exit code."""
        for name in self.failures:
            print(f"failed: {name}")
        print(f"{self.passed} passed, {len(self.failures)} failed")
        return 1 if self.failures or not self.passed else 0
