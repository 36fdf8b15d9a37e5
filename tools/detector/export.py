#!/usr/bin/env python3
"""Writes weights.npz as digits.onnx, with the decoding of boxes inside the graph.

The input is `picture` (1x1x160x160, gray, 0 to 1); the outputs are `scores` (1x400x10) and `boxes`
(1x400x4: left, top, right, bottom in pixels), one row for each cell. Overlapping boxes remain.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import model

FOLDER = pathlib.Path(__file__).resolve().parent
SIDE = 160


def build(weights):
    nodes, initializers = [], []

    def constant(name, array):
        initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    x = node("Sub", ["picture", constant("middle", np.float32(0.5))], "centred")
    x = node("Mul", [x, constant("gain", np.float32(4))], "normalised")
    for name, window, stride, _, _, adds in model.LAYERS:
        filters = weights[f"{name}.weight"].transpose(3, 2, 0, 1)
        y = node(
            "Conv",
            [x, constant(f"{name}.weight", filters), constant(f"{name}.bias",
                                                              weights[f"{name}.bias"])],
            f"{name}.conv", kernel_shape=[window] * 2, strides=[stride] * 2,
            pads=[window // 2] * 4)
        if adds:
            y = node("Add", [y, x], f"{name}.sum")
        x = y if name == "head" else node("Relu", [y], f"{name}.out")

    cells = SIDE // model.STRIDE
    flat = constant("flat", np.array([1, 16, cells * cells], np.int64))
    x = node("Transpose", [node("Reshape", [x, flat], "columns")], "rows", perm=[0, 2, 1])
    axis = constant("axis", np.array([2], np.int64))
    starts = [constant(f"at{n}", np.array([n], np.int64)) for n in (0, 10, 14)]
    logits = node("Slice", [x, starts[0], starts[1], axis], "logits")
    node("Sigmoid", [logits], "scores")
    limits = [constant("low", np.float32(-4)), constant("high", np.float32(4))]
    reach = node("Slice", [x, starts[1], starts[2], axis], "reach")
    distances = node("Exp", [node("Clip", [reach, *limits], "limited")], "distances")
    outwards = constant("outwards", np.float32([-1, -1, 1, 1]) * model.STRIDE)
    centres = (np.arange(cells, dtype=np.float32) + 0.5) * model.STRIDE
    column, row = np.tile(centres, cells), np.repeat(centres, cells)
    grid = constant("centres", np.stack([column, row, column, row], axis=1)[None])
    node("Add", [node("Mul", [distances, outwards], "offsets"), grid], "boxes")

    def port(name, *dimensions):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dimensions)

    graph = helper.make_graph(
        nodes, "digit_detector", [port("picture", 1, 1, SIDE, SIDE)],
        [port("boxes", 1, cells * cells, 4), port("scores", 1, cells * cells, model.CLASSES)],
        initializers)
    result = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8,
        producer_name="sluice tools/detector")
    helper.set_model_props(result, {
        "labels": ",".join(map(str, range(model.CLASSES))),
        "licence": "Apache-2.0; trained on the digits of scikit-learn (see README.md)",
    })
    onnx.checker.check_model(result, full_check=True)
    return result


def main():
    result = build(np.load(FOLDER / "weights.npz"))
    path = FOLDER / "digits.onnx"
    onnx.save(result, str(path))
    print(f"{path.name}: {path.stat().st_size} bytes, {model.parameter_count()} parameters, "
          f"{model.operations(SIDE) / 1e6:.1f} MFLOP")


if __name__ == "__main__":
    main()
