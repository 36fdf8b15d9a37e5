"""End-to-end tests of libsluice: its C interface from Python and from C, against onnxruntime."""

import concurrent.futures
import ctypes
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.parser

from sluice_cli import ROOT, Failure, reference_outputs, require, require_close, seeded_input

sys.path.insert(0, str(ROOT / "docs/examples/python"))
import sluice_ctypes  # noqa: E402 (needs the path above)

USAGE, BAD_DATA, MISSING_FILE, IMPOSSIBLE, DEADLINE = 1, 2, 3, 4, 7
NAME, SHAPE = "data_0", (1, 3, 224, 224)


def failure(code, words, body):
    """Requires that `body` fails with this code and a text that has these words."""
    try:
        body()
    except sluice_ctypes.SluiceError as error:
        require(error.code == code, f"code {error.code}, expected {code}: {error}")
        require(words in str(error), f"no '{words}' in the text: {error}")
        return
    raise Failure(f"no error, expected code {code}")


def same_as_reference(model, budget):
    image = seeded_input(SHAPE, 1)
    session = sluice_ctypes.Session(model, [f"device-memory={budget}", "threads=2"])
    outputs = session.run({NAME: image})
    require_close(outputs, reference_outputs(model, {NAME: image}))
    again = session.run({NAME: image})
    require(all(np.array_equal(outputs[name], again[name]) for name in outputs), "other bits")
    report = session.report()
    session.close()
    require(report["measured_device_peak"] == report["planned_device_peak"] > 0, f"{report}")
    require(report["threads"] == 2, f"{report}")
    if budget == "minimum":
        require(report["planned_device_peak"] == report["minimum_device_bytes"], f"{report}")
        require(report["streamed_weight_bytes"] > 0, f"{report}")


def several_sessions(model):
    """Sessions run from several threads at once give what each gives alone."""
    sessions = [
        sluice_ctypes.Session(model, [f"device-memory={budget}", "threads=2"])
        for budget in ("unlimited", "minimum")]
    image = seeded_input(SHAPE, 1)
    expected = [session.run({NAME: image}) for session in sessions]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = [
            (index, pool.submit(sessions[index].run, {NAME: image})) for index in (0, 1) * 4]
        for index, run in runs:
            for name, array in run.result(timeout=120).items():
                require(np.array_equal(array, expected[index][name]), "other bits")
    for session in sessions:
        session.close()


def deadlines(model):
    session = sluice_ctypes.Session(model, ["device-memory=minimum"])
    image = seeded_input(SHAPE, 1)
    before = session.run({NAME: image})
    failure(DEADLINE, "deadline", lambda: session.run({NAME: image}, timeout=1e-6))
    failure(USAGE, "timeout", lambda: session.run({NAME: image}, timeout=-1.0))
    after = session.run({NAME: image}, timeout=600)
    require(all(np.array_equal(before[name], after[name]) for name in before), "other bits")
    session.close()


def errors(model):
    opened = sluice_ctypes.Session
    failure(MISSING_FILE, "nowhere.onnx", lambda: opened("/nowhere.onnx"))
    failure(IMPOSSIBLE, "smallest that works", lambda: opened(model, ["device-memory=1000"]))
    failure(USAGE, "not a memory budget", lambda: opened(model, ["device-memory=much"]))
    failure(USAGE, "there is no option 'speed'", lambda: opened(model, ["speed=9"]))
    failure(USAGE, "KEY=VALUE", lambda: opened(model, ["threads"]))
    failure(USAGE, "number of threads", lambda: opened(model, ["threads=two"]))
    failure(USAGE, "NAME=1x3x224x224", lambda: opened(model, ["shape=1x3"]))
    failure(USAGE, "is not a size", lambda: opened(model, [f"shape={NAME}=1xx"]))
    failure(USAGE, "'-1' is not a size", lambda: opened(model, [f"shape={NAME}=-1x3"]))
    failure(USAGE, "given twice", lambda: opened(model, [f"shape={NAME}=1", f"shape={NAME}=1"]))
    with tempfile.NamedTemporaryFile(suffix=".onnx") as broken:
        broken.write(b"\x08\x07not a model")
        broken.flush()
        try:
            opened(broken.name)
        except sluice_ctypes.SluiceError as error:
            require(error.code == BAD_DATA, f"code {error.code}: {error}")
        else:
            raise Failure("a broken file opens")


def wrong_calls(model):
    """NULL and wrong sizes are errors, never a crash, and leave the session usable."""
    session = sluice_ctypes.Session(model)
    library, call = session.library, session._call
    handle, place = session.handle, ctypes.c_void_p(1)
    failure(USAGE, "NULL", lambda: call("model_open", None, ctypes.byref(place)))
    require(place.value is None, "a failed open leaves its result")
    failure(USAGE, "NULL", lambda: call("model_open", b"x", None))
    failure(USAGE, "model is NULL", lambda: call("plan_open", None, None, ctypes.byref(place)))
    failure(USAGE, "plan is NULL", lambda: call("session_open", None, ctypes.byref(place)))
    failure(USAGE, "plan is NULL", lambda: call("plan_input", None, 0, sluice_ctypes.Port()))
    failure(USAGE, "NULL", lambda: call("session_report", handle, None, 80))
    failure(USAGE, "NULL", lambda: call("session_run", None, None, 0, None, 0, 0.0))
    require(library.sluice_plan_input_count(None) == 0, "ports of no plan")
    for name in ("model", "plan", "session"):
        getattr(library, f"sluice_{name}_free")(None)

    source = seeded_input(SHAPE, 1)
    targets = [np.empty(shape, dtype=dtype) for _, dtype, shape in session.outputs]
    right, results, count = session._buffers([source]), session._buffers(targets), len(targets)
    short = session._buffers([source[:, :1]])
    absent = (sluice_ctypes.Buffer * 1)(sluice_ctypes.Buffer(None, source.nbytes))
    for code, words, arguments in (
        (USAGE, "0 inputs", (None, 0, results, count)),
        (USAGE, "list of inputs is NULL", (None, 1, results, count)),
        (USAGE, f"{count + 1} outputs", (right, 1, results, count + 1)),
        (BAD_DATA, f"the buffer has {source.nbytes // 3}", (short, 1, results, count)),
        (USAGE, f"'{NAME}' is NULL", (absent, 1, results, count)),
    ):
        failure(code, words, lambda: call("session_run", handle, *arguments, 0.0))
    call("session_run", handle, right, 1, results, count, 0.0)
    require_close(
        dict(zip([name for name, _, _ in session.outputs], targets)),
        reference_outputs(model, {NAME: source}))
    # A caller compiled against a shorter report gets no byte more than it has room for.
    room = (ctypes.c_int64 * 3)(-1, -1, -1)
    call("session_report", handle, ctypes.cast(room, ctypes.POINTER(sluice_ctypes.Report)), 16)
    require(room[0] == room[1] > 0 and room[2] == -1, f"{list(room)}")
    session.close()


def sizes_of_results(folder):
    """What data decides is told beside the result."""
    model = f"{folder}/places.onnx"
    onnx.save(onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 13]>
        g (float[2,3] x) => (int64[2,n] places, float[m] chosen)
        { places = NonZero(x)  t = Transpose(places)  chosen = GatherND(x, t) }"""), model)
    session = sluice_ctypes.Session(model)
    names = [name for name, _, _ in session.outputs]
    require(names == ["places", "chosen", "places.size1", "chosen.size0"], f"{names}")
    for count in (6, 2, 0):
        x = np.where(np.arange(6) < count, np.arange(6) - 2.5, 0).astype(np.float32).reshape(2, 3)
        outputs = session.run({"x": x})
        require(np.array_equal(outputs["places"], np.nonzero(x)), f"{outputs}")
        require(np.array_equal(outputs["chosen"], x[np.nonzero(x)]), f"{outputs}")
    session.close()


def example_in_c(model):
    compiler = shutil.which("cc") or shutil.which("clang") or shutil.which("gcc")
    require(compiler, "no C compiler on PATH")
    library = ROOT / "out/lib"
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/run_model"
        subprocess.run(
            [compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
             f"-I{ROOT / 'out/include'}", ROOT / "docs/examples/c/run_model.c", f"-L{library}",
             "-lsluice", "-shared-libgcc", f"-Wl,-rpath,{library}",
             "-Wl,--allow-shlib-undefined", "-o", program],
            check=True, timeout=120)
        done = subprocess.run(
            [program, model], capture_output=True, text=True, timeout=300, check=False)
        require(done.returncode == 0, done.stderr)
        require("device peak " in done.stdout, done.stdout)
        done = subprocess.run(
            [program, "/nowhere.onnx"], capture_output=True, text=True, timeout=60, check=False)
        require(done.returncode == 1 and "error 3" in done.stderr, done.stderr)


def example_in_python(model):
    done = subprocess.run(
        [sys.executable, ROOT / "docs/examples/python/sluice_ctypes.py", model, "--device-memory",
         "60%"], capture_output=True, text=True, timeout=300, check=False)
    require(done.returncode == 0, done.stderr)
    require("measured_device_peak" in done.stdout, done.stdout)


def test_c(report, folder):
    model = folder / "squeezenet.onnx"
    for budget in ("unlimited", "50%", "minimum"):
        report.case(f"library/{budget}", same_as_reference, model, budget)
    report.case("library/several-sessions", several_sessions, model)
    report.case("library/deadlines", deadlines, model)
    report.case("library/errors", errors, model)
    report.case("library/wrong-calls", wrong_calls, model)
    with tempfile.TemporaryDirectory() as place:
        report.case("library/sizes", sizes_of_results, place)
    report.case("library/example-c", example_in_c, model)
    report.case("library/example-python", example_in_python, model)
