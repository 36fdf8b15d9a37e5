"""A network with channels first as frameworks that keep them last export it.

Convolutions, pools and whatever else has no form for channels last stand between two
transpositions; all else works on images with channels last.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]
PLACES = {0: 0, 1: 3, 2: 1, 3: 2}
ELEMENTWISE = {
    "Add", "Clip", "Div", "Dropout", "Elu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
    "Max", "Mul", "PRelu", "Relu", "Selu", "Sigmoid", "Softsign", "Sub", "Sum", "Tanh"}


class _Rewriting:
    def __init__(self, model):
        self.model = onnx.ModelProto()
        self.model.CopyFrom(onnx.shape_inference.infer_shapes(model, strict_mode=True))
        self.graph = self.model.graph
        self.stored = {t.name: t for t in self.graph.initializer}
        infos = [*self.graph.value_info, *self.graph.input, *self.graph.output]
        self.ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in infos}
        self.ranks.update({name: len(t.dims) for name, t in self.stored.items()})
        self.nodes = []

    def turn(self, source, result, permutation):
        self.nodes.append(helper.make_node("Transpose", [source], [result], perm=permutation))
        return result

    def store(self, array):
        tensor = numpy_helper.from_array(array, f"last.{len(self.graph.initializer)}")
        self.graph.initializer.append(tensor)
        return tensor.name

    def is_image(self, name):
        return self.ranks.get(name) == 4

    def operand(self, name):
        """An operand of element-wise work with channels last; None if it has no such form."""
        if not name:
            return name
        if name in self.stored:
            array = numpy_helper.to_array(self.stored[name])
            if array.size == 1:
                return name
            array = array.reshape((1,) * (4 - array.ndim) + array.shape).transpose(LAST)
            if array.shape[:3] == (1, 1, 1):
                array = array.reshape(-1)
            return self.store(np.ascontiguousarray(array))
        return f"{name}.last" if self.is_image(name) else None

    def integers(self, node, position, attribute):
        for a in node.attribute:
            if a.name == attribute:
                return list(a.ints)
        if len(node.input) > position and node.input[position] in self.stored:
            return numpy_helper.to_array(self.stored[node.input[position]]).tolist()
        return None

    def put(self, node, position, attribute, values):
        """The same attribute or constant input with other values."""
        for a in node.attribute:
            if a.name == attribute:
                a.ints[:] = values
                return
        node.input[position] = self.store(np.array(values, np.int64))

    def with_channels_last(self, node):
        """The node on images with channels last; None if it has no such form."""
        if not all(self.is_image(name) for name in node.output):
            return None
        new = onnx.NodeProto()
        new.CopyFrom(node)
        if node.op_type in ELEMENTWISE:
            operands = [self.operand(name) for name in node.input]
            if None in operands:
                return None
            new.input[:] = operands
        elif node.op_type in ("Concat", "Split"):
            for a in new.attribute:
                if a.name == "axis":
                    a.i = PLACES[a.i % 4]
            if not new.attribute:
                return None
            count = len(node.input) if node.op_type == "Concat" else 1
            operands = [self.operand(name) for name in node.input[:count]]
            new.input[:count] = operands
        elif node.op_type in ("ReduceMean", "Slice"):
            position = 1 if node.op_type == "ReduceMean" else 3
            axes = self.integers(node, position, "axes")
            if axes is None:
                return None
            self.put(new, position, "axes", [PLACES[axis % 4] for axis in axes])
            new.input[0] = self.operand(node.input[0])
        elif node.op_type == "Pad":
            pads = self.integers(node, 1, "pads")
            if pads is None or len(pads) != 8:
                return None
            order = LAST + [axis + 4 for axis in LAST]
            self.put(new, 1, "pads", [pads[axis] for axis in order])
            new.input[0] = self.operand(node.input[0])
        else:
            return None
        new.output[:] = [f"{name}.last" for name in node.output]
        return new

    def add(self, node):
        new = self.with_channels_last(node)
        if new:
            self.nodes.append(new)
            return
        new = onnx.NodeProto()
        new.CopyFrom(node)
        count = len(self.nodes)
        for position, name in enumerate(node.input):
            if self.is_image(name) and name not in self.stored:
                new.input[position] = self.turn(
                    f"{name}.last", f"{name}.first.{count}.{position}", FIRST)
        images = [name for name in node.output if self.is_image(name)]
        new.output[:] = [f"{n}.first" if n in images else n for n in node.output]
        self.nodes.append(new)
        for name in images:
            self.turn(f"{name}.first", f"{name}.last", LAST)

    def run(self):
        for value in self.graph.input:
            if self.is_image(value.name):
                self.turn(value.name, f"{value.name}.last", LAST)
        for node in self.graph.node:
            self.add(node)
        for value in self.graph.output:
            if self.is_image(value.name):
                self.turn(f"{value.name}.last", value.name, FIRST)
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        return self.model


def with_channels_last(model):
    return _Rewriting(model).run()
