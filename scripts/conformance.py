"""The node tests of the ONNX standard, through Sluice and onnxruntime.

Each case is one model with inputs and the outputs the standard expects. Sluice either passes,
refuses (with its reason), gives wrong numbers, or crashes; which of these is compared with
scripts/conformance_expected.txt, so that no case changes unnoticed.

    scripts/conformance.py                 all cases; fails when one differs from the file
    scripts/conformance.py --update        writes the file anew
    scripts/conformance.py --filter pool   only cases with this in their name
"""

import argparse
import collections
import json
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import warnings

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

from sluice_cli import ROOT, reference_session, safe_name

EXPECTED = ROOT / "scripts" / "conformance_expected.txt"
# What the command says with these exit codes is a refusal; any other code is a crash.
REFUSALS = {64, 65, 66, 69}


def load_cases():
    """All node tests: dictionaries of name, model, inputs, outputs and tolerances.

    Generating them takes onnx most of a minute, so they are kept in out/ for one version of it.
    """
    store = ROOT / "out" / "conformance" / f"cases-{onnx.__version__}.pickle"
    if store.exists():
        return pickle.loads(store.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases
        collected = collect_testcases(None)
    cases = [
        {"name": case.name, "model": case.model.SerializeToString(),
         "data": [([portable(a) for a in given], [portable(a) for a in wanted])
                  for given, wanted in case.data_sets],
         "rtol": case.rtol, "atol": case.atol} for case in collected]
    store.parent.mkdir(parents=True, exist_ok=True)
    store.write_bytes(pickle.dumps(cases))
    return cases


def portable(value):
    """Tensors as arrays; sequences and absent values as they are."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return value


def operator_of(case):
    """The operator a case is about: `test_` names lead to it, expanded ones through their base."""
    model = onnx.load_model_from_string(case["model"])
    names = [node.op_type for node in model.graph.node]
    return names[0] if len(set(names)) == 1 else "(expanded)"


def is_array(value):
    return isinstance(value, (np.ndarray, np.generic))


def difference(actual, expected, case):
    """Why an output is not what the standard expects, or None."""
    expected = np.asarray(expected)
    if actual.shape != expected.shape:
        return f"shape {list(actual.shape)}, expected {list(expected.shape)}"
    if actual.dtype != expected.dtype:
        return f"type {actual.dtype}, expected {expected.dtype}"
    kind = expected.dtype.kind
    if kind in "biu":
        return None if np.array_equal(actual, expected) else "elements differ"
    # The tolerances of the standard's own runner, which allows bfloat16 two units more.
    rtol = case["rtol"]
    if expected.dtype.name == "bfloat16":
        rtol = max(rtol, 2.0 ** -6)
    wide = [np.asarray(a).astype(np.float64) for a in (actual, expected)]
    if np.allclose(*wide, rtol=rtol, atol=case["atol"], equal_nan=True):
        return None
    finite = np.isfinite(wide[0]) & np.isfinite(wide[1])
    error = np.abs(wide[0] - wide[1])[finite]
    return f"elements differ, by {error.max():.3g} at most" if error.size else "elements differ"


class Outcome:
    """What became of a case: "passes", "refuses", "wrong" or "crashes", and the reason."""

    def __init__(self, state, reason=""):
        self.state = state
        self.reason = reason

    def __str__(self):
        return f"{self.state}: {self.reason}" if self.reason else self.state


def reason_of(text):
    """The message of the command as one stable line, without paths and places in the file."""
    lines = [line.strip() for line in text.strip().splitlines()]
    lines = [line for line in lines if line and not line.startswith("sluice: warning")]
    text = " ".join(lines)
    text = re.sub(r"^sluice: (error: )?", "", text)
    text = re.sub(r"\S*/model\.onnx:? ?", "", text)
    text = re.sub(r"\(?(at )?byte \d+\)?", "", text)
    return re.sub(r"\s+", " ", text)[:200].strip()


def run_sluice(path, case, folder):
    model = onnx.load_model_from_string(case["model"])
    file = folder / "model.onnx"
    file.write_bytes(case["model"])
    for given, wanted in case["data"]:
        arguments = [path, "run", str(file), "--output-dir", str(folder / "out"), "--threads", "1",
                     "--random-inputs", "1", "--json"]
        for index, (info, value) in enumerate(zip(model.graph.input, given)):
            if is_array(value) and np.asarray(value).dtype.kind != "O":
                value = np.asarray(value)
                np.save(folder / f"input{index}.npy", value)
                arguments += ["--input", f"{info.name}={folder}/input{index}.npy"]
        try:
            process = subprocess.run(
                arguments, capture_output=True, text=True, errors="replace", timeout=60)
        except subprocess.TimeoutExpired:
            return Outcome("crashes", "no end within 60 s")
        if process.returncode in REFUSALS:
            return Outcome("refuses", reason_of(process.stderr))
        if process.returncode != 0:
            return Outcome("crashes", f"exit {process.returncode}")
        report = json.loads(process.stdout)
        planned, measured = report["planned_device_peak_bytes"], report["device_peak_bytes"]
        if planned != measured:
            return Outcome("wrong", f"planned peak {planned}, measured {measured}")
        for info, value in zip(model.graph.output, wanted):
            if not is_array(value):
                return Outcome("wrong", f"output {info.name} is no tensor")
            made = np.load(folder / "out" / (safe_name(info.name) + ".npy"))
            if made.dtype.str.endswith("V2"):
                made = made.view(ml_dtypes.bfloat16)
            problem = difference(made, value, case)
            if problem:
                return Outcome("wrong", f"output {info.name}: {problem}")
    return Outcome("passes")


def run_reference(case):
    """Whether onnxruntime passes the case."""
    model = onnx.load_model_from_string(case["model"])
    try:
        session = reference_session(case["model"])
        for given, wanted in case["data"]:
            names = [info.name for info in model.graph.input]
            results = session.run(None, dict(zip(names, given)))
            for value, result in zip(wanted, results):
                if not is_array(value):
                    if not isinstance(value, type(result)):
                        return False
                elif np.asarray(value).dtype.kind in "OSU":
                    if not np.array_equal(np.asarray(result).astype(str),
                                          np.asarray(value).astype(str)):
                        return False
                elif difference(np.asarray(result), value, case):
                    return False
    except Exception:  # Whatever it throws, it does not run the model.
        return False
    return True


def read_expected():
    if not EXPECTED.exists():
        return {}
    lines = EXPECTED.read_text().splitlines()
    pairs = (line.split("] ", 1) for line in lines if line and not line.startswith("#"))
    return {label.split(" ", 1)[0]: outcome for label, outcome in pairs}


def write_expected(outcomes, operators):
    lines = ["# What becomes of the node tests of ONNX; those not listed pass.",
             "# Written by scripts/conformance.py --update."]
    for name in sorted(outcomes):
        if outcomes[name].state != "passes":
            lines.append(f"{name} [{operators[name]}] {outcomes[name]}")
    EXPECTED.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", default=str(ROOT / ".build/release/sluice"))
    parser.add_argument("--filter", default="")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--no-peer", action="store_true", help="leave onnxruntime out")
    options = parser.parse_args()
    cases = [case for case in load_cases() if options.filter in case["name"]]
    outcomes, operators, peer = {}, {}, 0
    by_operator = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as root:
        for number, case in enumerate(cases):
            folder = pathlib.Path(root) / str(number)
            folder.mkdir()
            outcome = run_sluice(options.sluice, case, folder)
            outcomes[case["name"]] = outcome
            operators[case["name"]] = operator_of(case)
            by_operator[operators[case["name"]]][outcome.state] += 1
            if not options.no_peer:
                peer += run_reference(case)
    for operator, states in sorted(by_operator.items()):
        total = sum(states.values())
        rest = ", ".join(f"{n} {s}" for s, n in sorted(states.items()) if s != "passes")
        print(f"{operator:28} {states['passes']:4} of {total:4}  {rest}".rstrip())
    counts = collections.Counter(outcome.state for outcome in outcomes.values())
    print(f"\n{len(cases)} cases: {counts['passes']} pass, {counts['refuses']} are refused, "
          f"{counts['wrong']} wrong, {counts['crashes']} crash")
    if not options.no_peer:
        print(f"onnxruntime passes {peer}")
    if options.update:
        write_expected(outcomes, operators)
        return 0
    expected = read_expected()
    changed = 0
    for name, outcome in sorted(outcomes.items()):
        if expected.get(name, "passes") != str(outcome):
            changed += 1
            print(f"changed: {name}\n  was {expected.get(name, 'passes')}\n  is  {outcome}")
    stale = [] if options.filter else sorted(set(expected) - set(outcomes))
    for name in stale:
        print(f"gone: {name}")
    return 1 if changed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
