#!/usr/bin/env python3
"""Makes the networks that tests, demo and benchmarks run, into ./models.

* resnet50, vgg19, squeezenet (with --tests the other `light` networks too): the graphs of the
  `onnx` package with seeded random weights. The package ships constant weights, which hide
  errors: any permutation of channels gives the same result.
* mobilenet_v2 (with --benchmarks vgg16, resnet50_v1_5, resnext50, inception_v3 and
  efficientnet_b0 too; with --tests the latter three, unet, yolo_head and lstm_tagger): the real
  topology with seeded weights, built by the script of that name.
* ppocr_det, ppocr_cls, ppocr_rec and page.png: the trained networks of PP-OCRv4 that find lines of
  text, tell whether one is upside down and read it, and a scanned page; taken from two wheels of
  PyPI that are pinned by hash.

The same bytes come out every time: weights are exact arithmetic on the integers of PCG64, seeded
by the name of the tensor. Nothing is made twice, and no half-written file keeps its final name.
"""

import argparse
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib

import numpy as np
import onnx
from onnx import helper, numpy_helper

import efficientnet_b0
import inception_v3
import lstm_tagger
import mobilenet_v2
import resnet50_v1_5
import resnext50
import unet
import vgg16
import yolo_head

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Gains that keep activations in a sane range through the whole depth: of every convolution, and
# of the layer that makes the logits (a softmax of logits near 100 would hide all but one class).
GAINS = {
    "bvlc_alexnet": (1.0, 0.5),
    "densenet121": (1.0, 0.2),
    "inception_v1": (1.0, 0.4),
    "inception_v2": (0.9, 0.4),
    "resnet50": (0.7, 0.3),
    "shufflenet": (0.7, 0.1),
    "squeezenet": (1.0, 1.0),
    "vgg19": (1.0, 0.5),
    "zfnet512": (1.0, 1.0),
}
BUILT = {
    "efficientnet_b0": efficientnet_b0, "inception_v3": inception_v3,
    "lstm_tagger": lstm_tagger, "mobilenet_v2": mobilenet_v2, "resnet50_v1_5": resnet50_v1_5,
    "resnext50": resnext50, "unet": unet, "vgg16": vgg16, "yolo_head": yolo_head,
}
FIVE = ["resnet50", "vgg19", "squeezenet", "mobilenet_v2", "ppocr_det"]
READING = ["ppocr_cls", "ppocr_rec", "page.png"]
# What the end-to-end tests run besides, with the light networks that are not among the five.
TESTED = ["efficientnet_b0", "inception_v3", "lstm_tagger", "resnext50", "unet", "yolo_head"]
# What only benchmarks run.
BENCHMARKED = [
    "densenet121", "efficientnet_b0", "inception_v3", "resnet50_v1_5", "resnext50", "shufflenet",
    "vgg16"]

WHEEL_FILES = {
    "ppocr_det.onnx": (
        "rapidocr_onnxruntime", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx"),
    "ppocr_cls.onnx": (
        "rapidocr_onnxruntime",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx"),
    "ppocr_rec.onnx": (
        "rapidocr_onnxruntime", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"),
    "page.png": ("scikit_image", "skimage/data/page.png"),
}


class SeededWeights:
    """Random parameters that depend only on the names of the model and of the tensor."""

    def __init__(self, model):
        self.model = model

    def uniform(self, name, dims, low, high):
        seed = [zlib.crc32(self.model.encode()), zlib.crc32(name.encode())]
        unit = np.random.Generator(np.random.PCG64(seed)).random(dims, dtype=np.float32)
        return unit * np.float32(high - low) + np.float32(low)

    def he(self, name, dims, fan_in, gain=1.0):
        """Uniform with the variance of He et al.: what a ReLU halves, the next layer doubles."""
        limit = gain * math.sqrt(6.0 / fan_in)
        return self.uniform(name, dims, -limit, limit)

    def batch_normalization(self, name, dims, position):
        """`position` is the operator's input: 1 scale, 2 bias, 3 mean, 4 variance."""
        low, high = {1: (0.5, 1.5), 2: (-0.2, 0.2), 3: (-0.2, 0.2), 4: (0.5, 1.5)}[position]
        return self.uniform(name, dims, low, high)


def write_atomically(path, write):
    """Calls `write(temporary path)`, then gives the file its name in one step."""
    temporary = path.with_name(path.name + f".{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save(model, path):
    write_atomically(path, lambda temporary: onnx.save(model, str(temporary)))


# ---- The `light` networks ---------------------------------------------------------------------


def parameter_of(weights, gains, name, dims, node, position, is_last):
    """The new value of a parameter, from the node that reads it; None keeps the old value."""
    if node.op_type == "Conv" and position == 1:
        return weights.he(name, dims, math.prod(dims[1:]), gains[1] if is_last else gains[0])
    if node.op_type == "Gemm" and position == 1:
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return weights.he(
            name, dims, dims[1] if transposed else dims[0], gains[1] if is_last else 1.0)
    if node.op_type in ("Conv", "Gemm") and position == 2:
        return weights.uniform(name, dims, -0.1, 0.1)
    if node.op_type == "BatchNormalization":
        return weights.batch_normalization(name, dims, position)
    # A BatchNormalization of Caffe is followed by a scale and a shift, each through Unsqueeze.
    if node.op_type == "Mul":
        return weights.uniform(name, dims, 0.5, 1.5)
    if node.op_type == "Add":
        return weights.uniform(name, dims, -0.2, 0.2)
    return None


def randomize(model, name):
    """Replaces each float parameter, initializer or ConstantOfShape, by a seeded initializer."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    generated = {n.output[0]: n for n in graph.node if n.op_type == "ConstantOfShape"}
    readers = {}
    for node in graph.node:
        for position, value in enumerate(node.input):
            readers.setdefault(value, []).append((node, position))
    last = [n for n in graph.node if n.op_type in ("Conv", "Gemm")][-1]
    weights = SeededWeights(name)

    replaced, dropped_shapes = {}, set()
    for value in list(stored) + list(generated):
        if value not in readers:
            continue
        node, position = readers[value][0]
        if value in generated:
            shape_name = generated[value].input[0]
            dims = [int(d) for d in numpy_helper.to_array(stored[shape_name])]
        elif stored[value].data_type == onnx.TensorProto.FLOAT:
            dims = list(stored[value].dims)
        else:
            continue
        target_dims = dims
        if node.op_type in ("Unsqueeze", "Reshape"):
            if node.op_type == "Reshape":
                target_dims = [int(d) for d in numpy_helper.to_array(stored[node.input[1]])]
            node, position = readers[node.output[0]][0]
        array = parameter_of(
            weights, GAINS[name], value, target_dims, node, position, node is last)
        if array is None:
            continue
        replaced[value] = numpy_helper.from_array(array.reshape(dims), value)
        if value in generated:
            dropped_shapes.add(shape_name)

    kept_nodes = [n for n in graph.node if n.output[0] not in replaced]
    used = {value for node in kept_nodes for value in node.input}
    gone = {s for s in dropped_shapes if s not in used}
    kept_initializers = [
        t for t in graph.initializer if t.name not in replaced and t.name not in gone]
    # IR version 3 wants every initializer listed among the inputs as well.
    kept_inputs = [i for i in graph.input if i.name not in replaced and i.name not in gone]
    parameters = [
        helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
        for t in replaced.values()]
    for field, items in (
        (graph.node, kept_nodes),
        (graph.initializer, kept_initializers + list(replaced.values())),
        (graph.input, kept_inputs + parameters),
    ):
        items = list(items)
        del field[:]
        field.extend(items)


def expose_logits(model):
    """Makes the tensor before a final Softmax a second output."""
    final = model.graph.node[-1]
    if final.op_type == "Softmax":
        dims = [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim]
        model.graph.output.append(
            helper.make_tensor_value_info(final.input[0], onnx.TensorProto.FLOAT, dims))


def make_light(name, path):
    folder = pathlib.Path(onnx.__file__).parent / "backend/test/data/light"
    model = onnx.load(folder / f"light_{name}.onnx")
    randomize(model, name)
    expose_logits(model)
    save(model, path)


# ---- Files out of wheels ----------------------------------------------------------------------


def unpack_wheel_file(name, path):
    """Downloads the pinned wheels once and takes one file out."""
    project, member = WHEEL_FILES[name]
    store = path.parent / ".wheels"
    if not list(store.glob(f"{project}-*.whl")):
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=store) as folder:
            # Fixed tags, so that any Python on any machine gets the file whose hash is pinned.
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                 "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:",
                 "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
                 "--abi", "none", "--platform", "manylinux_2_28_x86_64", "--platform", "any",
                 "--dest", folder,
                 "--requirement", str(ROOT / "scripts/requirements-models.txt")],
                check=True)
            for wheel in pathlib.Path(folder).glob("*.whl"):
                os.replace(wheel, store / wheel.name)
    wheel = next(store.glob(f"{project}-*.whl"))
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
        def write(temporary):
            with open(temporary, "wb") as target:
                shutil.copyfileobj(source, target)
        write_atomically(path, write)


# ---- Command ----------------------------------------------------------------------------------


def make(name, folder):
    """Makes one file of `folder` unless it is there."""
    path = folder / (name if name.endswith(".png") else f"{name}.onnx")
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    print(f"making {path.name}", file=sys.stderr)
    if path.name in WHEEL_FILES:
        unpack_wheel_file(path.name, path)
    elif name in BUILT:
        save(BUILT[name].build(SeededWeights(name)), path)
    else:
        make_light(name, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"what to make (default: {' '.join(FIVE + READING)})")
    parser.add_argument("--tests", action="store_true",
                        help="the other networks of the end-to-end tests as well")
    parser.add_argument("--benchmarks", action="store_true",
                        help="the other networks of benchmarks/peers.py as well")
    parser.add_argument("--output-dir", type=pathlib.Path, default=ROOT / "models")
    arguments = parser.parse_args()
    known = set(GAINS) | set(FIVE) | set(BUILT) | set(READING)
    names = arguments.names or FIVE + READING
    if arguments.tests:
        names = names + [name for name in [*sorted(GAINS), *TESTED] if name not in names]
    if arguments.benchmarks:
        names = names + [name for name in BENCHMARKED if name not in names]
    for name in names:
        if name not in known:
            parser.error(f"unknown name {name}; known are {', '.join(sorted(known))}")
        make(name, arguments.output_dir)


if __name__ == "__main__":
    main()
