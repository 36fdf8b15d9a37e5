"""End-to-end tests of the command line as people meet it: help, messages, inspection, pictures."""

import os
import pathlib
import pty
import re
import shutil
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import onnx
import onnx.parser

from sluice_cli import (
    BAD_DATA, IMPOSSIBLE, NO_FILE, ROOT, USAGE, require, seeded_input)

DETECTOR = ROOT / "tools/detector/digits.onnx"
COMMANDS = ["run", "plan", "inspect", "detect", "ocr", "doctor", "kernels"]
SVG = "{http://www.w3.org/2000/svg}"


# ---- Help, completions, manual ----------------------------------------------------------------


def help_has_examples(sluice, command):
    text = sluice.succeed("help", command).stdout
    require(f"  sluice {command}" in text, "no example")
    for option in ("--quiet", "--verbose"):
        require(option in text, f"no {option}")


def completions_load(sluice, shell):
    script = sluice.succeed("--generate-completion-script", shell).stdout
    for word in [*COMMANDS, "device-memory", "chart"]:
        require(word in script, f"'{word}' is not completed")
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
        require(done.returncode == 0, f"{shell} refuses the script: {done.stderr}")


def bash_completes(sluice):
    """What bash offers after `sluice run --isa ` and `sluice plan --emit `."""
    script = sluice.succeed("--generate-completion-script", "bash").stdout
    folder = str(pathlib.Path(sluice.path).parent)
    for words, expected in (
            (["run", "--isa", ""], "generic"), (["plan", "--emit", ""], "schedule"),
            (["run", "--gemm", ""], "openblas"), (["detect", "--device-memory", ""], "minimum")):
        line = " ".join(["sluice", *words])
        asked = (
            f"{script}\nCOMP_WORDS=(sluice {' '.join(words[:-1])} ''); "
            f"COMP_CWORD={len(words)}; COMP_LINE='{line}'; COMP_POINT={len(line)}; "
            f"_sluice sluice '' '{words[-2]}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        done = subprocess.run(
            ["bash", "-c", asked], capture_output=True, text=True,
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
        offered = done.stdout.split()
        require(expected in offered, f"after '{line}': {offered} {done.stderr}")


def manual_is_complete(sluice):
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "sluice.1"
        subprocess.run(
            ["python3", str(ROOT / "scripts/manual.py"), sluice.path, str(page)], check=True,
            capture_output=True)
        text = page.read_text(encoding="utf-8")
        for command in COMMANDS:
            require(f".SH SLUICE {command.upper()}\n" in text, f"no section for {command}")
            for option in re.findall(r"--[a-z-]+", sluice.succeed("help", command).stdout):
                require(option.replace("-", "\\-") in text, f"no {option}")
        if shutil.which("groff"):
            done = subprocess.run(
                ["groff", "-man", "-ww", "-Tutf8", str(page)], capture_output=True, text=True)
            require(not done.stderr, f"groff: {done.stderr}")


# ---- Messages ---------------------------------------------------------------------------------


def messages_have_levels(sluice):
    """The same result at every level; --quiet says nothing beside it, --verbose says more."""
    call = ["plan", DETECTOR, "--device-memory", "1%"]
    results = {
        level: sluice.succeed(*call, *([f"--{level}"] if level else []))
        for level in ("quiet", "", "verbose")}
    require(len({run.stdout for run in results.values()}) == 1, "the result depends on the level")
    quiet, usual, verbose = (results[level].stderr for level in ("quiet", "", "verbose"))
    require(not quiet, f"--quiet says {quiet!r}")
    require("planned" in verbose and len(verbose) > len(usual), f"--verbose says {verbose!r}")
    require(sluice.call(*call, "-q", "-v").code == USAGE, "--quiet with --verbose is not refused")


def on_terminal(command, until=None, **environment):
    """What a command writes to standard error when that is a terminal, at least up to `until`."""
    master, slave = pty.openpty()
    variables = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=slave,
        env={**variables, "TERM": "xterm", **environment})
    os.close(slave)
    text = b""
    try:
        while piece := os.read(master, 4096):
            text += piece
            if until and until.encode() in text:
                process.kill()
    except OSError:
        pass  # The other side is closed: the end.
    process.wait()
    os.close(master)
    return text.decode()


def colors_are_for_terminals(sluice):
    call = [sluice.path, "plan", "missing.onnx"]
    require("\x1b[" in on_terminal(call), "no colour on a terminal")
    for variable in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        require("\x1b" not in on_terminal(call, **variable), f"colour in spite of {variable}")
    require("\x1b" not in sluice.call("plan", "missing.onnx").stderr, "colour in a pipe")


def progress_is_for_terminals(sluice):
    def call(repeats):
        return ["run", DETECTOR, "--random-inputs", "1", "--repeat", str(repeats)]

    # Progress is for what takes long, which a count of runs cannot say of every machine.
    long = call(1_000_000)
    require("/1000000" in on_terminal([sluice.path, *long], until="/1000000"),
            "no progress on a terminal")
    started = time.monotonic()
    sluice.succeed(*call(100))
    short = call(int(100 * max(1, 2 / (time.monotonic() - started))))
    require("\r" not in on_terminal([sluice.path, *short, "--quiet"]).replace("\r\n", ""),
            "progress in spite of --quiet")
    require("\r" not in sluice.succeed(*short).stderr, "progress in a pipe")


# ---- Inspection and pictures ------------------------------------------------------------------


def reference_operations(path):
    """Twice the multiply-adds of Conv and Gemm by the shapes that the onnx package infers."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    shapes = {i.name: list(i.dims) for i in model.graph.initializer}
    for value in [*model.graph.value_info, *model.graph.output, *model.graph.input]:
        shapes.setdefault(
            value.name, [d.dim_value for d in value.type.tensor_type.shape.dim])
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += 2 * int(np.prod(shapes[node.output[0]])) * int(
                np.prod(shapes[node.input[1]][1:]))
        require(node.op_type not in ("Gemm", "MatMul"), "the reference does not count these")
    parameters = sum(
        int(np.prod(i.dims)) for i in model.graph.initializer if i.data_type == 1)
    return total, parameters


def inspect_counts(sluice, path):
    report = sluice.succeed("inspect", path, "--threads", 1, "--json")
    operations, parameters = reference_operations(path)
    require(report["flop"] == operations, f"{report['flop']} operations, expected {operations}")
    require(
        report["parameters"] == parameters, f"{report['parameters']} parameters, not {parameters}")
    require(report["weight_bytes"] == sum(report["weight_bytes_by_dtype"].values()), "bytes")
    require(report["weight_bytes_by_dtype"]["float32"] == 4 * parameters, "bytes of float32")
    require(sum(report["operators"].values()) == report["operator_count"], "operators")
    plan = sluice.plan(path)
    for key in ("resident_device_bytes", "minimum_device_bytes", "minimum_step", "outputs"):
        wanted = plan[key]
        if key == "outputs":
            wanted = [{k: o[k] for k in ("name", "dtype", "shape")} for o in wanted]
        require(report[key] == wanted, f"{key} is {report[key]}, but {wanted} when planned")
    require(report["missing"] is None, "something is missing")
    text = sluice.succeed("inspect", path).stdout
    for word in ("operators", "parameters", "GFLOP", "float32", "smallest that works"):
        require(word in text, f"the text lacks '{word}'")


def inspect_open_model(sluice, path):
    """Open dimensions are named, with the option that would give them; giving it answers."""
    report = sluice.succeed("inspect", path, "--json")
    for key in ("flop", "resident_device_bytes", "minimum_device_bytes"):
        require(report[key] is None, f"{key} without shapes")
    require("--shape x=" in report["missing"], f"no option in {report['missing']!r}")
    require(any(isinstance(size, str) for size in report["inputs"][0]["shape"]), "no open size")
    require("--shape x=" in sluice.succeed("inspect", path).stdout, "the text lacks the option")
    known = sluice.succeed("inspect", path, "--shape", "x=1x3x64x96", "--json")
    require(known["flop"] > 0 and known["resident_device_bytes"] > 0, "nothing with shapes")
    require(known["inputs"][0]["shape"] == [1, 3, 64, 96], "the shape is not that given")


def chart_shows_the_plan(sluice, budget):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "memory.svg"
        plan = sluice.plan(DETECTOR, "--chart", file, budget=budget)
        root = ElementTree.parse(file).getroot()
        left = [path.name for path in pathlib.Path(folder).iterdir()]
        require(left == ["memory.svg"], f"files beside the chart: {left}")
    expected = {"composition": plan["planned_device_peak_bytes"]}
    if budget != "unlimited":
        expected["comparison"] = plan["resident_device_bytes"]
    panels = {group.get("class"): group for group in root.iter(f"{SVG}g")}
    require(set(panels) == set(expected), f"panels {sorted(panels)}")
    for name, peak in expected.items():
        group = panels[name]
        scale = float(group.get("data-bytes-per-pixel"))
        heights = [
            float(point.split(",")[1]) for polygon in group.iter(f"{SVG}polygon")
            for point in polygon.get("points").split()]
        drawn = (max(heights) - min(heights)) * scale
        # Coordinates have two digits.
        require(abs(drawn - peak) <= 0.011 * scale, f"{name} is {drawn:.0f} high, peak {peak}")
    if budget != "unlimited":
        line = next(panels["composition"].iter(f"{SVG}line"))
        require(line is not None, "no budget line")
        text = "".join(root.itertext())
        require("budget" in text and "MiB in use" in text and "kernel calls" in text, "no labels")


# ---- Errors -----------------------------------------------------------------------------------


def names_stay_apart(sluice, folder):
    """Names that come out the same as files are told apart by a number."""
    model = folder / "names.onnx"
    onnx.save(onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 13]>
        g (float[2,3] x) => (float[2,3] "a:0", float[2,3] a_0)
        { "a:0" = Relu(x)  a_0 = Neg(x) }"""), model)
    sluice.succeed("run", model, "--random-inputs", 1, "--output-dir", folder / "names")
    arrays = [np.load(folder / "names" / f"{name}.npy") for name in ("x", "a_0", "a_0.2")]
    require(np.array_equal(arrays[1], np.maximum(arrays[0], 0)), "a_0.npy is not a:0")
    require(np.array_equal(arrays[2], -arrays[0]), "a_0.2.npy is not a_0")


def refuses(sluice, code, words, *arguments):
    run = sluice.call(*arguments)
    require(run.code == code, f"exit {run.code}, expected {code}: {run.stderr.strip()!r}")
    require(not run.stdout, f"a failure prints a result: {run.stdout[:100]!r}")
    for word in words:
        require(word in run.stderr, f"no '{word}' in {run.stderr.strip()!r}")


def error_cases(folder):
    """Exit code, words of the message, and the arguments that should cause them."""
    float_input = folder / "wrong.npy"
    np.save(float_input, seeded_input((1, 1, 8, 8), 1))
    integers = folder / "integers.npy"
    np.save(integers, np.zeros((1, 1, 160, 160), dtype=np.int32))
    broken = folder / "broken.npy"
    broken.write_bytes(b"\x93NUMPY\x01\x00")
    text = folder / "text.onnx"
    text.write_text("not a model")
    run = ("run", DETECTOR)
    random = (*run, "--random-inputs", 1)
    return {
        "no-command": (USAGE, ["sluice"], ("frobnicate",)),
        "unknown-option": (USAGE, ["--frob", "help"], (*run, "--frob")),
        "no-model": (USAGE, ["model"], ("run",)),
        "no-inputs": (USAGE, ["picture", "--input", "--random-inputs"], run),
        "bad-budget": (USAGE, ["24MiB", "30%"], (*random, "--device-memory", "lots")),
        "zero-percent": (USAGE, ["30%"], (*random, "--device-memory", "0%")),
        "negative-budget": (USAGE, ["24MiB"], (*random, "--device-memory=-1")),
        "no-threads": (USAGE, ["1 to 1024"], (*random, "--threads", 0)),
        "no-runs": (USAGE, ["--repeat"], (*random, "--repeat", 0)),
        "bad-shape": (USAGE, ["NAME=1x3x224x224"], (*random, "--shape", "picture=1xa")),
        "shape-twice": (USAGE, ["twice"], (
            *random, "--shape", "picture=1x1", "--shape", "picture=1x2")),
        "unknown-shape": (USAGE, ["picture"], (*random, "--shape", "x=1")),
        "unknown-input": (USAGE, ["picture"], (*run, "--input", f"x={float_input}")),
        "bad-isa": (USAGE, ["there is"], (*random, "--isa", "mmx")),
        "bad-core": (USAGE, ["native"], (*random, "--gemm", "mkl")),
        "bad-stage": (USAGE, ["schedule"], ("plan", DETECTOR, "--emit", "soup")),
        "wrong-rank": (BAD_DATA, ["picture", "4"], (*random, "--shape", "picture=1x1")),
        "wrong-shape": (BAD_DATA, ["picture", "160"], (*run, "--input", f"picture={float_input}")),
        "wrong-type": (BAD_DATA, ["picture", "float32"], (*run, "--input", f"picture={integers}")),
        "broken-array": (BAD_DATA, ["broken.npy"], (*run, "--input", f"picture={broken}")),
        "not-a-model": (BAD_DATA, ["text.onnx"], ("inspect", text)),
        "no-model-file": (NO_FILE, ["none.onnx"], ("plan", folder / "none.onnx")),
        "model-is-folder": (NO_FILE, [folder.name], ("plan", folder)),
        "no-input-file": (NO_FILE, ["none.npy"], (*run, "--input", "picture=none.npy")),
        "input-is-folder": (NO_FILE, [folder.name], (*run, "--input", f"picture={folder}")),
        "no-picture": (NO_FILE, ["none.png"], ("detect", "none.png", "--model", DETECTOR)),
        "no-networks": (NO_FILE, ["ppocr_det.onnx"], (
            "ocr", ROOT / "tools/detector/example.png", "--models", folder)),
        "tiny-budget": (IMPOSSIBLE, ["smallest", "step"], (*random, "--device-memory", "1KiB")),
        "no-directory": (IMPOSSIBLE, [], (*random, "--output-dir", "/proc/none")),
        "no-chart": (IMPOSSIBLE, ["memory.svg"], (
            "plan", DETECTOR, "--chart", "/proc/none/memory.svg")),
    }


def test_commands(report, sluice, models):
    for command in COMMANDS:
        report.case(f"cli/help/{command}", help_has_examples, sluice, command)
    for shell in ("bash", "zsh", "fish"):
        report.case(f"cli/completion/{shell}", completions_load, sluice, shell)
    report.case("cli/completion/words", bash_completes, sluice)
    report.case("cli/manual", manual_is_complete, sluice)
    report.case("cli/messages", messages_have_levels, sluice)
    report.case("cli/colors", colors_are_for_terminals, sluice)
    report.case("cli/progress", progress_is_for_terminals, sluice)
    report.case("cli/inspect/counts", inspect_counts, sluice, models / "squeezenet.onnx")
    report.case("cli/inspect/open", inspect_open_model, sluice, models / "ppocr_det.onnx")
    for budget in ("minimum", "70%", "unlimited"):
        report.case(f"cli/chart/{budget}", chart_shows_the_plan, sluice, budget)
    with tempfile.TemporaryDirectory() as folder:
        report.case("cli/names", names_stay_apart, sluice, pathlib.Path(folder))
        for name, (code, words, arguments) in error_cases(pathlib.Path(folder)).items():
            report.case(f"cli/error/{name}", refuses, sluice, code, words, *arguments)
