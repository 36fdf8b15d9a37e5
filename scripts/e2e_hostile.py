"""Files made to break the command: sizes, names and paths no exporter writes, and full disks.

Every case ends with a result or one error of the right exit code, soon, and in memory that the
file accounts for. What single bytes can break is tested in Swift, in the test suites of hostile
files, where a million of them take seconds.
"""

import os
import pathlib
import subprocess
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from e2e_import import refuse, two_layers
from sluice_cli import BAD_DATA, IMPOSSIBLE, INTERNAL, NO_FILE, ROOT, require

MIB = 1 << 20
# What the command takes without any model: code, tables of kernels, threads.
COMMAND_BYTES = 64 * MIB
LONGEST_MESSAGE = 64 << 10
EXTREMES = [
    0, -1, 40_000, (1 << 31) - 1, 1 << 31, 1 << 40, 1 << 62, (1 << 63) - 1, -(1 << 63)]


def model_of(nodes, inputs, outputs=("y",), constants=(), opset=18):
    """`inputs` and `constants` are pairs of a name and a shape, and of a name and an array."""
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def check(sluice, model, codes, words=(), command="plan", factor=40, seconds=60, options=()):
    """Calls the command on a model; its memory is bounded by `factor` times the file."""
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        path.write_bytes(data)
        run, peak, took = sluice.measured(command, path, *options, timeout=seconds)
    message = run.stderr.strip()
    require(run.code in codes, f"exit {run.code}, expected {codes}: {message[-300:]!r}")
    require(run.code == 0 or message, "no message on stderr")
    require(len(message) <= LONGEST_MESSAGE, f"a message of {len(message)} characters")
    for word in words:
        require(word in message, f"the message lacks {word!r}: {message[-500:]!r}")
    bound = COMMAND_BYTES + factor * len(data)
    require(peak <= bound, f"{peak} bytes of memory for a file of {len(data)}")
    return f"{took:.1f} s, {peak / MIB:.0f} MiB for {len(data) / MIB:.1f} MiB"


# ---- Models -----------------------------------------------------------------------------------


def chain(count):
    """A chain of Relu nodes, written by hand: a million messages take Python long enough so."""
    def field(number, data):
        size, length = len(data), b""
        while size > 0x7F:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data

    kind = field(4, b"Relu")
    nodes = [
        field(1, field(1, b"v%d" % i) + field(2, b"v%d" % (i + 1)) + kind) for i in range(count)]
    ends = model_of([], [("v0", [4])], [f"v{count}"]).graph
    rest = ends.SerializeToString()
    whole = onnx.ModelProto(ir_version=8, opset_import=[helper.make_opsetid("", 18)])
    return whole.SerializeToString() + field(7, b"".join(nodes) + rest)


def with_twin(field):
    """A model that lists the first of its inputs, outputs or weights twice."""
    model = two_layers()
    items = getattr(model.graph, field)
    items.append(items[0])
    return model


def node_with(value):
    """One model for each place where an exporter writes small numbers and `value` stands."""
    node = helper.make_node
    def whole(number):
        return np.asarray(number, dtype=np.int64)

    x, image = [("x", [8])], [("x", [1, 4, 8, 8])]
    kernel = ("w", np.ones((4, 4, 3, 3), np.float32))
    point = ("w", np.ones((16, 16, 1, 1), np.float32))
    both, same = [value, value], {"dilations": [value, 1], "auto_pad": "SAME_UPPER"}
    gates = [("w", np.ones((1, 16, 8), np.float32)), ("r", np.ones((1, 16, 4), np.float32))]
    yield "conv-pads", [node("Conv", ["x", "w"], ["y"], pads=[value, 0, 0, 0])], image, [kernel]
    yield "conv-strides", [node("Conv", ["x", "w"], ["y"], strides=[1, value])], image, [kernel]
    yield "conv-dilations", [
        node("Conv", ["x", "w"], ["y"], dilations=[value, 1])], image, [kernel]
    yield "conv-strides/both", [
        node("Conv", ["x", "w"], ["y"], strides=both)], [("x", [1, 16, 8, 8])], [point]
    yield "conv-same", [node("Conv", ["x", "w"], ["y"], **same)], image, [kernel]
    yield "conv-all", [
        node("Conv", ["x", "w"], ["y"], strides=both, dilations=both, pads=both * 2)], image, [
        kernel]
    yield "conv-filter", [
        node("ConstantOfShape", ["n"], ["w"]), node("Conv", ["x", "w"], ["y"], pads=both * 2)], [
        ("x", [1, 1, 8, 8])], [("n", whole([1, 1, value, value]))]
    yield "conv-transposed", [
        node("ConvTranspose", ["x", "w"], ["y"], strides=both)], [("x", [1, 16, 2, 2])], [point]
    yield "conv-transposed/row", [
        node("ConvTranspose", ["x", "w"], ["y"], strides=[1, value])], image, [point]
    yield "conv-transposed/pixel", [
        node("ConvTranspose", ["x", "w"], ["y"], strides=both)], [("x", [1, 4, 1, 1])], [kernel]
    yield "conv-group", [node("Conv", ["x", "w"], ["y"], group=value)], image, [kernel]
    yield "pool-kernel", [node("MaxPool", ["x"], ["y"], kernel_shape=[value, 2])], image, []
    yield "pool-same", [
        node("MaxPool", ["x"], ["y"], kernel_shape=[5, 5], **same)], image, []
    yield "pool-dilated", [
        node("MaxPool", ["x"], ["y"], kernel_shape=[value, 1], dilations=[4, 1],
             auto_pad="SAME_UPPER")], image, []
    yield "lstm-hidden", [
        node("LSTM", ["x", "w", "r"], ["y"], hidden_size=value)], [("x", [4, 1, 8])], gates
    yield "blocksize", [node("DepthToSpace", ["x"], ["y"], blocksize=value)], image, []
    yield "tile", [node("Tile", ["x", "n"], ["y"])], x, [("n", whole([value]))]
    yield "expand", [node("Expand", ["x", "n"], ["y"])], [("x", [1])], [("n", whole([value]))]
    yield "pad", [node("Pad", ["x", "n"], ["y"])], x, [("n", whole([value, 0]))]
    for mode in ("wrap", "reflect", "edge"):
        for size in (1, 2):
            yield f"pad-{mode}/{size}", [
                node("Pad", ["x", "n"], ["y"], mode=mode)], [("x", [size, size])], [
                ("n", whole([value, value, 0, 0]))]
    yield "top-k", [node("TopK", ["x", "n"], ["y", ""])], x, [("n", whole([value]))]
    yield "split", [node("Split", ["x", "n"], ["y", "z"])], x, [("n", whole([value, 4]))]
    yield "fill", [
        node("ConstantOfShape", ["n"], ["c"]), node("Add", ["x", "c"], ["y"])], x, [
        ("n", whole([value]))]
    yield "resize", [
        node("Resize", ["x", "", "", "n"], ["y"])], image, [("n", whole([1, 4, value, 8]))]
    yield "slice", [
        node("Slice", ["x", "n", "n", "zero", "n"], ["y"])], x, [
        ("n", whole([value])), ("zero", whole([0]))]
    yield "slice-first", [
        node("Slice", ["x", "zero", "end", "axis", "n"], ["y"])], image, [
        ("n", whole([value])), ("zero", whole([0])), ("end", whole([8])), ("axis", whole([2]))]


def test_models(report, sluice):
    def case(name, model, codes, words=(), **limits):
        report.case(
            f"hostile/{name}", lambda: check(sluice, model, codes, words, **limits))

    relu = helper.make_node("Relu", ["x"], ["y"])
    for shape in ([1 << 32, 1 << 32], [1 << 62, 4, 0], [1 << 20] * 4):
        words = ["no memory can hold"]
        case(f"input-shape/{shape[0]}", model_of([relu], [("x", shape)]), [BAD_DATA], words)
    weight = two_layers()
    weight.graph.initializer[0].dims[0] = 1 << 60
    case("weight-shape", weight, [BAD_DATA], [weight.graph.initializer[0].name])
    large = model_of([relu], [("x", [1 << 21, 1 << 19])])
    for command in ("plan", "run"):
        case(f"terabytes/{command}", large, [BAD_DATA], ["2147483648 elements"], command=command)
    for field in ("input", "output", "initializer"):
        case(f"twice/{field}", with_twin(field), [BAD_DATA], ["twice"])
    for value in EXTREMES:
        for name, nodes, inputs, constants in node_with(value):
            case(
                f"number/{name}/{value}", model_of(nodes, inputs, constants=constants, opset=19),
                [0, BAD_DATA, IMPOSSIBLE], seconds=20)
    for name, ins, outs in (("in", 0, 16), ("out", 8, 0)):
        nodes = [helper.make_node("Conv", ["x", "w"], ["a"]),
                 helper.make_node("Conv", ["a", "d"], ["y"], group=max(outs, 1))]
        weights = [("w", np.ones((outs, ins, 1, 1), np.float32)),
                   ("d", np.ones((outs, 1, 1, 3), np.float32))]
        case(f"no-channels/{name}", model_of(nodes, [("x", [1, ins, 8, 8])], constants=weights),
             [0, BAD_DATA], options=("--shape", f"x=1x{ins}x8x8"))
    product = [helper.make_node("Gemm", ["x", "w", "b"], ["a"]),
               helper.make_node("MatMul", ["a", "w"], ["y"])]
    nothing = [("w", np.ones((0, 0), np.float32)), ("b", np.ones(0, np.float32))]
    case("no-channels/product", model_of(product, [("x", [4, 0])], constants=nothing),
         [0, BAD_DATA], options=("--shape", "x=4x0"))
    long_name = helper.make_node("Relu", ["x"], ["y"], name="n" * (16 * MIB))
    case("long-name/known", model_of([long_name], [("x", [4])]), [0])
    unknown = helper.make_node("Frobnicate" * MIB, ["x"], ["y"], name="n" * MIB)
    case("long-name/unknown", model_of([unknown], [("x", [4])]), [IMPOSSIBLE], ["Frobnicate"])
    many = [helper.make_node("Frobnicate", ["x"], [f"y{i}"]) for i in range(50_000)]
    case("many-unknown", model_of(many, [("x", [4])], ["y0"]), [IMPOSSIBLE], ["50000 nodes"])
    order = helper.make_node("Transpose", ["x"], ["y"], perm=list(range(200_000)))
    case("many-axes", model_of([order], [("x", [4])]), [BAD_DATA])
    # What is known of a node takes a kilobyte or so, where the file has 25 bytes for it.
    case("million-nodes", chain(1_000_000), [0], command="inspect", seconds=600, factor=70)
    case("many-nodes/plan", chain(50_000), [0], seconds=300, factor=70)


# ---- Pictures and outputs ---------------------------------------------------------------------


def refuse_picture(sluice, data, words):
    """`data`: the bytes of a file, or what to put in its place."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "picture"
        if isinstance(data, bytes):
            path.write_bytes(data)
        else:
            data(path)
        detector = ROOT / "tools/detector/example.png"
        model = next((ROOT / "tools/detector").glob("*.onnx"))
        require(detector.exists(), "the committed example is missing")
        run, peak, _ = sluice.measured("detect", path, "--model", model, timeout=60)
        code = BAD_DATA if isinstance(data, bytes) else NO_FILE
        require(run.code == code, f"exit {run.code}, expected {code}: {run.stderr.strip()!r}")
        for word in words:
            require(word in run.stderr, f"no {word!r} in the message: {run.stderr.strip()!r}")
        require(peak <= COMMAND_BYTES, f"{peak} bytes of memory for a file of no size")


def refuse_unwritable(sluice, target):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        onnx.save(two_layers(), str(folder / "model.onnx"))
        (folder / "file").write_bytes(b"")
        refuse(
            sluice, [IMPOSSIBLE], [], "run", folder / "model.onnx", "--random-inputs", 1,
            "--output-dir", str(target).replace("FOLDER", str(folder)))


def plan_on_small_stack(sluice, kilobytes):
    """A stack that runs out is a crash like any other: one line, and the code for it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        onnx.save(two_layers(), str(path))
        done = subprocess.run(
            ["bash", "-c", f'ulimit -s {kilobytes}; exec "$@"', "bash", sluice.path, "plan",
             str(path)], capture_output=True, text=True, timeout=60)
        require(done.returncode in (0, INTERNAL), f"exit {done.returncode}")
        require(done.returncode == 0 or "internal error" in done.stderr, done.stderr)


def refuse_full_disk(sluice, kilobytes):
    """No file may pass a limit, which is what a full disk looks like; nothing is left behind."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        relu = helper.make_node("Relu", ["x"], ["y"])
        onnx.save(model_of([relu], [("x", [4096])]), str(folder / "model.onnx"))
        done = subprocess.run(
            ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "bash", sluice.path, "run",
             str(folder / "model.onnx"), "--random-inputs", "1", "--output-dir",
             str(folder / "out")], capture_output=True, text=True, timeout=60)
        require(done.returncode == IMPOSSIBLE, f"exit {done.returncode}: {done.stderr.strip()!r}")
        require("cannot be" in done.stderr, f"unclear: {done.stderr.strip()!r}")
        left = [path.name for path in folder.rglob("*.npy")] + [
            path.name for path in folder.rglob("*.tmp")]
        require(not left, f"left behind: {left}")


def test_files(report, sluice):
    corpus = ROOT / "Tests/Fuzz/corpus/images"
    jpeg, png = (corpus / "colour.jpg").read_bytes(), (corpus / "colour.png").read_bytes()
    for name, data, words in (
        ("empty", b"", ["picture"]), ("other-format", b"GIF89a" + bytes(40), ["picture"]),
        ("cut-jpeg", jpeg[:-40], ["its end is missing"]), ("cut-png", png[:-40], ["picture"]),
        ("huge", (corpus / "huge.png").read_bytes(), ["20000 x 20000"]),
        ("directory", lambda path: path.mkdir(), ["directory"]),
        ("pipe", lambda path: os.mkfifo(path), ["regular"]),
        ("missing", lambda path: None, ["No such file"]),
    ):
        report.case(f"hostile/picture/{name}", refuse_picture, sluice, data, words)
    for name, target in (
        ("below-a-file", "FOLDER/file/out"), ("is-a-file", "FOLDER/file"),
        ("system", "/proc/nowhere"),
    ):
        report.case(f"hostile/output/{name}", refuse_unwritable, sluice, target)
    for kilobytes in (0, 8):
        report.case(f"hostile/full-disk/{kilobytes}", refuse_full_disk, sluice, kilobytes)
    for kilobytes in (28, 48):
        report.case(f"hostile/stack/{kilobytes}", plan_on_small_stack, sluice, kilobytes)


def test_hostile(report, sluice):
    test_models(report, sluice)
    test_files(report, sluice)
