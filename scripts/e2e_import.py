"""Small models for every form an operator has had, and for files that are wrong.

Models are written in the text form of `onnx.parser`. A case runs at full residency with one
thread and at the minimum with two, and must match onnxruntime. Weights named in `weights` are
random initializers of the given shape.
"""

import pathlib
import tempfile
import warnings

import numpy as np
import onnx
import onnx.parser
from onnx import TensorProto, helper, numpy_helper

from e2e_import_models import MODELS
from sluice_cli import (
    BAD_DATA, IMPOSSIBLE, NO_FILE, USAGE, reference_outputs, require, require_close, seeded_input)

TYPES = {TensorProto.FLOAT: np.float32, TensorProto.INT64: np.int64, TensorProto.INT32: np.int32,
         TensorProto.BOOL: np.bool_}


def parse(text, opset, weights=None, ir=8):
    """A model from its text, with random initializers added."""
    model = onnx.parser.parse_model(
        f'<ir_version: {ir}, opset_import: ["" : {opset}, "custom" : 1]> {text}')
    for index, (name, shape) in enumerate((weights or {}).items()):
        array = seeded_input(shape, seed=100 + index)
        if name.startswith("positive"):
            array = np.abs(array) + np.float32(0.5)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def inputs_for(model, dims):
    """Seeded arrays for the inputs; `dims` gives the sizes of named or unset dimensions."""
    stored = {t.name for t in model.graph.initializer}
    arrays = {}
    for index, value in enumerate(v for v in model.graph.input if v.name not in stored):
        tensor = value.type.tensor_type
        shape = [
            d.dim_value if d.HasField("dim_value") and d.dim_value > 0
            else dims.get(d.dim_param, dims.get("?", 2)) for d in tensor.shape.dim]
        arrays[value.name] = seeded_input(shape, index, TYPES[tensor.elem_type])
    return arrays


def run_model(sluice, model, dims=None, path=None):
    """Runs a model both ways; equal bits at both settings."""
    dims = dims or {}
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            path = pathlib.Path(folder) / "model.onnx"
            onnx.save(model, str(path))
        inputs = inputs_for(model, dims)
        expected = reference_outputs(path, inputs)
        first = sluice.run(path, inputs, threads=1)
        require_close(first.outputs, expected)
        second = sluice.run(path, inputs, budget="minimum", threads=2)
        require(first.bits() == second.bits(), "bits at the minimum differ")
        return f"{first['device_peak_bytes']} / {second['device_peak_bytes']} bytes"


def run_text(sluice, text, opset, weights, dims):
    return run_model(sluice, parse(text, opset, weights), dims)


# ---- Where weights can stand ------------------------------------------------------------------

TWO_LAYERS = """g (float[1,8,6,6] x) => (float[] y) {
    a = Conv <pads=[1,1,1,1]> (x, w)
    b = Add(a, bias)
    y = Conv(b, v)
}"""
TWO_LAYER_WEIGHTS = {"w": (16, 8, 3, 3), "bias": (16, 1, 1), "v": (5, 16, 1, 1)}


def two_layers(ir=8):
    return parse(TWO_LAYERS, 13, TWO_LAYER_WEIGHTS, ir)


def run_typed_data(sluice):
    """Weights in `float_data` instead of raw bytes."""
    model = two_layers()
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        tensor.ClearField("raw_data")
        tensor.float_data.extend(values.ravel())
    return run_model(sluice, model)


def run_constant_nodes(sluice):
    model = two_layers()
    nodes = [
        helper.make_node("Constant", [], [t.name], value=t) for t in model.graph.initializer]
    del model.graph.initializer[:]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    return run_model(sluice, model)


def run_listed_initializers(sluice):
    """IR version 3: every initializer is among the inputs too."""
    model = two_layers(ir=3)
    for tensor in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    return run_model(sluice, model)


def external_model(folder, location="weights.bin", lead=3):
    """A model with its weights in one file, unaligned, each with its own offset."""
    model, data = two_layers(), bytearray(b"#" * lead)
    for tensor in model.graph.initializer:
        raw = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", len(data)), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(value))
        data += raw + b"#"
    path = pathlib.Path(folder) / "model" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(model.SerializeToString())
    return model, path, bytes(data)


def run_external_data(sluice):
    with tempfile.TemporaryDirectory() as folder:
        # onnxruntime wants aligned offsets; the numbers come from the same weights inside.
        _, path, data = external_model(folder)
        (path.parent / "weights.bin").write_bytes(data)
        model = two_layers()
        inputs = inputs_for(model, {})
        expected = reference_outputs(model.SerializeToString(), inputs)
        for budget in ("unlimited", "minimum"):
            require_close(sluice.run(path, inputs, budget=budget).outputs, expected)


def refuse_external_data(sluice, location, data_length, codes):
    """A path out of the model's folder, a missing file, a file too short."""
    with tempfile.TemporaryDirectory() as folder:
        location = location.replace("FOLDER", folder)
        _, path, data = external_model(folder, location)
        if data_length is not None:
            (path.parent / location).write_bytes(data[:data_length])
        return refuse(sluice, codes, [], "run", path, "--random-inputs", 1)


def refuse_escaping_link(sluice):
    """A link inside the model's folder that points outside of it."""
    with tempfile.TemporaryDirectory() as folder:
        _, path, data = external_model(folder, "link.bin")
        (pathlib.Path(folder) / "secret.bin").write_bytes(data)
        (path.parent / "link.bin").symlink_to("../secret.bin")
        return refuse(sluice, [BAD_DATA], [], "run", path, "--random-inputs", 1)


# ---- Wrong use --------------------------------------------------------------------------------


def refuse(sluice, codes, words, *arguments):
    """The command fails with one of `codes`, a message with all `words`, and no output."""
    run = sluice.call(*arguments)
    message = run.stderr.strip()
    require(run.code in codes, f"exit {run.code}, expected {codes}: {message[-300:]!r}")
    require(message, "no message on stderr")
    for word in words:
        require(word in message, f"the message lacks {word!r}: {message[-500:]!r}")
    return message.splitlines()[0][:90]


def refuse_model(sluice, model, codes, words, *options):
    """`model` is a ModelProto or the bytes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return refuse(sluice, codes, words, "run", path, "--random-inputs", 1, *options)


def refuse_unsupported(sluice):
    """One error lists every operator, with the names of its nodes."""
    model = parse("""g (float[1,4,4,4] x) => (float[] y) {
        [first] a = custom.Frobnicate(x)
        [second] b = Relu(a)
        [third] c = custom.Whirl(b)
        [fourth] d = custom.Frobnicate(c)
        [fifth] y = Multinomial(d)
    }""", 13)
    words = ["Frobnicate", "Whirl", "Multinomial", "first", "third", "fourth", "fifth"]
    return refuse_model(sluice, model, [IMPOSSIBLE], words)


def refuse_run_time_shape(sluice):
    model = parse("""g (float[2,6] x, int64[2] s) => (float[] y) {
        [guilty] r = Reshape(x, s)
        y = Relu(r)
    }""", 13)
    return refuse_model(sluice, model, [IMPOSSIBLE], ["guilty"])


def test_broken_models(report, sluice):
    whole = two_layers().SerializeToString()
    noise = seeded_input((4096,), 5).tobytes()
    for name, data in (
        ("empty", b""), ("noise", noise), ("half", whole[: len(whole) // 2]),
        ("one-byte-short", whole[:-1]), ("trailing-noise", whole + b"\xff\xff\xff"),
    ):
        report.case(f"broken/{name}", refuse_model, sluice, data, [BAD_DATA], [])
    missing = parse("g (float[2] x) => (float[] y) { y = Add(x, nowhere) }", 13)
    report.case("broken/undefined-value", refuse_model, sluice, missing, [BAD_DATA], ["nowhere"])
    cycle = parse("g (float[2] x) => (float[] y) { y = Add(x, z)  z = Relu(y) }", 13)
    report.case("broken/cycle", refuse_model, sluice, cycle, [BAD_DATA], [])
    twice = parse("g (float[2] x) => (float[] y) { y = Relu(x)  y = Sqrt(x) }", 13)
    report.case("broken/two-writers", refuse_model, sluice, twice, [BAD_DATA], ["y"])
    shapes = parse("g (float[2,3] x) => (float[] y) { [bad] y = MatMul(x, x) }", 13)
    report.case("broken/shapes", refuse_model, sluice, shapes, [BAD_DATA, IMPOSSIBLE], ["bad"])
    short = two_layers()
    short.graph.initializer[0].raw_data = short.graph.initializer[0].raw_data[:-4]
    report.case("broken/short-weight", refuse_model, sluice, short, [BAD_DATA], ["w"])
    old = parse("g (float[2] x) => (float[] y) { y = Relu(x) }", 6)
    report.case("broken/opset-6", refuse_model, sluice, old, [BAD_DATA, IMPOSSIBLE], ["6"])
    report.case("broken/unsupported", refuse_unsupported, sluice)
    report.case("broken/run-time-shape", refuse_run_time_shape, sluice)
    outside = [BAD_DATA]
    for name, location, length, codes in (
        ("parent", "../weights.bin", 10_000, outside),
        ("inner-parent", "a/../../weights.bin", None, outside),
        ("absolute", "FOLDER/weights.bin", 10_000, outside),
        ("missing", "weights.bin", None, [NO_FILE, BAD_DATA]),
        ("short", "weights.bin", 100, [BAD_DATA]),
    ):
        report.case(f"external/{name}", refuse_external_data, sluice, location, length, codes)
    report.case("external/link", refuse_escaping_link, sluice)


def wrong_input(sluice, array, codes):
    with tempfile.TemporaryDirectory() as folder:
        path, file = pathlib.Path(folder) / "model.onnx", pathlib.Path(folder) / "x.npy"
        onnx.save(two_layers(), str(path))
        if isinstance(array, bytes):
            file.write_bytes(array)
        else:
            np.save(file, array)
        return refuse(sluice, codes, ["x"], "run", path, "--input", f"x={file}")


def accept(sluice, *arguments):
    sluice.succeed(*arguments)


def test_wrong_use(report, sluice):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        onnx.save(two_layers(), str(path))
        run = ["run", path, "--random-inputs", 1]
        for name, codes, arguments in (
            ("unknown-command", [USAGE], ["frobnicate"]),
            ("unknown-option", [USAGE], [*run, "--frobnicate"]),
            ("no-model", [USAGE], ["run"]),
            ("missing-model", [NO_FILE], ["run", path / "nowhere.onnx", "--random-inputs", 1]),
            ("missing-input-file", [NO_FILE], ["run", path, "--input", f"x={folder}/nowhere.npy"]),
            ("unknown-input", [USAGE, BAD_DATA], [*run, "--input", f"nobody={path}"]),
            ("no-input", [USAGE, BAD_DATA], ["run", path]),
            ("bad-budget", [USAGE], [*run, "--device-memory", "12 parsecs"]),
            ("negative-budget", [USAGE], [*run, "--device-memory=-5"]),
            ("bad-percentage", [USAGE], [*run, "--device-memory", "x%"]),
            ("tiny-budget", [IMPOSSIBLE], [*run, "--device-memory", "16"]),
            ("zero-threads", [USAGE], [*run, "--threads", 0]),
            ("bad-shape", [USAGE], [*run, "--shape", "x=1xQx3"]),
            ("contradicting-shape", [USAGE, BAD_DATA], [*run, "--shape", "x=1x9x6x6"]),
            ("bad-gemm", [USAGE], [*run, "--gemm", "abacus"]),
            ("zero-repeat", [USAGE], [*run, "--repeat", 0]),
        ):
            report.case(f"use/{name}", refuse, sluice, codes, [], *arguments)
        for text in ("64MiB", "64mib", "64MB", "1GB", "100000000", "100%", "1%"):
            report.case(
                f"use/budget/{text}", accept, sluice, *run, "--device-memory", text)
    x = seeded_input((1, 8, 6, 6), 0)
    for name, array in (
        ("shape", x[:, :7]), ("rank", x[0]), ("type", x.astype(np.float64)),
        ("noise", b"\x93NUMPY\x01\x00\xff"), ("empty", b""),
    ):
        report.case(f"use/input-{name}", wrong_input, sluice, array, [USAGE, BAD_DATA])
    report.case("use/input-fortran-order", run_fortran_order, sluice)


def run_fortran_order(sluice):
    """A file in column order is either read as what it means, or refused; never misread."""
    with tempfile.TemporaryDirectory() as folder:
        path, file = pathlib.Path(folder) / "model.onnx", pathlib.Path(folder) / "x.npy"
        model = two_layers()
        onnx.save(model, str(path))
        x = seeded_input((1, 8, 6, 6), 0)
        np.save(file, np.asfortranarray(x))
        run = sluice.call(
            "run", path, "--input", f"x={file}", "--output-dir", folder, "--json")
        if run.code == BAD_DATA:
            return "refused"
        require(run.code == 0, f"exit {run.code}")
        output = np.load(pathlib.Path(folder) / "y.npy")
        require_close({"y": output}, reference_outputs(path, {"x": x}))
        return "read"


# ---- All --------------------------------------------------------------------------------------


def test_import(report, sluice):
    warnings.filterwarnings("ignore", module="onnx")
    for name, opset, text, weights, dims in MODELS:
        report.case(f"import/{name}/opset{opset}", run_text, sluice, text, opset, weights, dims)
    report.case("import/typed-data", run_typed_data, sluice)
    report.case("import/constant-nodes", run_constant_nodes, sluice)
    report.case("import/listed-initializers", run_listed_initializers, sluice)
    report.case("import/external-data", run_external_data, sluice)
    test_broken_models(report, sluice)
    test_wrong_use(report, sluice)
