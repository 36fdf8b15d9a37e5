"""A network with channels first as frameworks that keep them last export it.

Convolutions, pools and whatever else has no form for channels last stand between two
transpositions; all else works on images or volumes with channels last.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

ELEMENTWISE = {
    "Add", "Clip", "Div", "Dropout", "Elu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
    "Max", "Mul", "PRelu", "Relu", "Selu", "Sigmoid", "Softsign", "Sub", "Sum", "Tanh"}


def to_first(rank):
    return [0, rank - 1, *range(1, rank - 1)]


def to_last(rank):
    return [0, *range(2, rank), 1]


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

    def turn(self, name, source, result, order):
        """From or to channels last, with as many axes as the value `name` has."""
        permutation = order(self.ranks[name])
        self.nodes.append(helper.make_node("Transpose", [source], [result], perm=permutation))
        return result

    def store(self, array):
        tensor = numpy_helper.from_array(array, f"last.{len(self.graph.initializer)}")
        self.graph.initializer.append(tensor)
        return tensor.name

    def is_image(self, name):
        return self.ranks.get(name) in (4, 5)

    def operand(self, name, rank):
        """An operand of element-wise work with channels last; None if it has no such form."""
        if not name:
            return name
        if name in self.stored:
            array = numpy_helper.to_array(self.stored[name])
            if array.size == 1:
                return name
            array = array.reshape((1,) * (rank - array.ndim) + array.shape)
            array = array.transpose(to_last(rank))
            if array.shape[-1] == array.size:
                array = array.reshape(-1)
            return self.store(np.ascontiguousarray(array))
        return f"{name}.last" if self.ranks.get(name) == rank else None

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
        rank = self.ranks[node.output[0]]
        places = to_first(rank)  # Where each axis is with channels last.
        new = onnx.NodeProto()
        new.CopyFrom(node)
        if node.op_type in ELEMENTWISE:
            operands = [self.operand(name, rank) for name in node.input]
            if None in operands:
                return None
            new.input[:] = operands
        elif node.op_type in ("Concat", "Split"):
            for a in new.attribute:
                if a.name == "axis":
                    a.i = places[a.i % rank]
            if not new.attribute:
                return None
            count = len(node.input) if node.op_type == "Concat" else 1
            operands = [self.operand(name, rank) for name in node.input[:count]]
            new.input[:count] = operands
        elif node.op_type in ("ReduceMean", "Slice"):
            position = 1 if node.op_type == "ReduceMean" else 3
            axes = self.integers(node, position, "axes")
            if axes is None:
                return None
            self.put(new, position, "axes", [places[axis % rank] for axis in axes])
            new.input[0] = self.operand(node.input[0], rank)
        elif node.op_type == "Pad":
            pads = self.integers(node, 1, "pads")
            if pads is None or len(pads) != 2 * rank:
                return None
            order = to_last(rank) + [axis + rank for axis in to_last(rank)]
            self.put(new, 1, "pads", [pads[axis] for axis in order])
            new.input[0] = self.operand(node.input[0], rank)
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
                    name, f"{name}.last", f"{name}.first.{count}.{position}", to_first)
        images = [name for name in node.output if self.is_image(name)]
        new.output[:] = [f"{n}.first" if n in images else n for n in node.output]
        self.nodes.append(new)
        for name in images:
            self.turn(name, f"{name}.first", f"{name}.last", to_last)

    def run(self):
        for value in self.graph.input:
            if self.is_image(value.name):
                self.turn(value.name, value.name, f"{value.name}.last", to_last)
        for node in self.graph.node:
            self.add(node)
        for value in self.graph.output:
            if self.is_image(value.name):
                self.turn(value.name, f"{value.name}.last", value.name, to_first)
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        return self.model


def with_channels_last(model):
    return _Rewriting(model).run()
