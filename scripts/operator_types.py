#!/usr/bin/env python3
"""Finds out which types of tensors each operator takes: writes operator_types.txt.

    scripts/operator_types.py               all operators
    scripts/operator_types.py --only Conv   one, printed

Nothing is taken from a list. For each operator one node test that passes is planned again and
again by the command, with the tensors of one type constraint (the schema's name for tensors that
have the same type) declared as each type the standard allows there, alone and together with the
constraints of the same types. What is refused is not listed.
The operator sets are those at which the standard gave the operator another form.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import re
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, defs, numpy_helper

from conformance import EXPECTED, is_array, load_cases, operator_of
from sluice_cli import ROOT, Sluice

TARGET = ROOT / "scripts" / "operator_types.txt"
OLDEST = 7
TYPES = {
    "float32": "float", "float16": "float16", "bfloat16": "bfloat16", "float64": "double",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64", "uint8": "uint8",
    "uint16": "uint16", "uint32": "uint32", "uint64": "uint64", "bool": "bool"}
# The most tests tried until one gives an answer.
ATTEMPTS = 6


def samples():
    """For each operator, models of one node whose test passes, smallest first."""
    failing = set(re.findall(r"^(\S+) \[", EXPECTED.read_text(), re.M))
    found = collections.defaultdict(list)
    for case in load_cases():
        if case["name"] in failing or "_expanded" in case["name"]:
            continue
        model = onnx.load_model_from_string(case["model"])
        if len(model.graph.node) != 1 or model.graph.node[0].domain not in ("", "ai.onnx"):
            continue
        given = case["data"][0][0]
        # What follows the first input may be a shape: small tensors become constants.
        for port, value in list(zip(model.graph.input, given))[1:]:
            if is_array(value) and np.asarray(value).size <= 64 \
                    and not str(np.asarray(value).dtype).startswith("<U"):
                model.graph.initializer.append(
                    numpy_helper.from_array(np.asarray(value), port.name))
        found[operator_of(case)].append(model)
    return {name: sorted(models, key=lambda m: m.ByteSize()) for name, models in found.items()}


def constraints(schema, node):
    """The values of each type constraint of a node."""
    values = collections.defaultdict(list)
    for names, ports in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for index, name in enumerate(names):
            port = ports[min(index, len(ports) - 1)]
            if name:
                values[port.type_str].append(name)
    return values


def retyped(model, names, type_name):
    """The model with other types of the tensors `names`."""
    code = TensorProto.DataType.Value(TYPES[type_name].upper())
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for port in [*copy.graph.input, *copy.graph.output]:
        if port.name in names:
            port.type.tensor_type.elem_type = code
    for tensor in copy.graph.initializer:
        if tensor.name in names:
            # Zeros and ones are numbers of every type.
            array = numpy_helper.to_array(tensor).astype(np.float64) != 0
            tensor.CopyFrom(onnx.helper.make_tensor(
                tensor.name, code, list(tensor.dims), array.flatten().astype(int).tolist()))
    return copy


class Prober:
    def __init__(self, sluice):
        self.sluice = sluice
        self.folder = tempfile.TemporaryDirectory()

    def plans(self, model, tag):
        path = pathlib.Path(self.folder.name) / f"{tag}.onnx"
        path.write_bytes(model.SerializeToString())
        try:
            return self.sluice.call("plan", path, timeout=60).code == 0
        finally:
            path.unlink()

    def types_of(self, models, name):
        """Accepted types by constraint."""
        for model in models[:ATTEMPTS]:
            if not self.plans(model, name):
                continue
            version = max(
                (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)
            schema = defs.get_schema(name, min(version, defs.onnx_opset_version()), "")
            allowed = {
                c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
            found, groups = {}, constraints(schema, model.graph.node[0])
            for constraint, values in groups.items():
                types = allowed.get(constraint, ())
                # Constraints of the same types mostly go together: a state and what it meets.
                together = [
                    value for other, values in groups.items() if allowed.get(other) == types
                    for value in values]
                found[constraint] = [
                    t for t in TYPES if f"tensor({TYPES[t]})" in types and (
                        self.plans(retyped(model, values, t), f"{name}-{t}")
                        or self.plans(retyped(model, together, t), f"{name}-{t}"))]
            found = {constraint: types for constraint, types in found.items() if types}
            return found
        return {}


def versions(name):
    """The operator sets at which the standard gave the operator the forms that are read."""
    since = sorted(s.since_version for s in defs.get_all_schemas_with_history()
                   if s.name == name and s.domain == "" and not s.deprecated)
    old = [v for v in since if v <= OLDEST]
    return ([OLDEST] if old else []) + [v for v in since if v > OLDEST]


def line(name, prober, models):
    found = prober.types_of(models, name)
    types = "; ".join(f"{key}: {' '.join(value)}" for key, value in found.items())
    return f"{name} | {' '.join(map(str, versions(name)))} | {types}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", default=ROOT / ".build/release/sluice")
    parser.add_argument("--only", help="one operator")
    arguments = parser.parse_args()
    prober, models = Prober(Sluice(arguments.sluice)), samples()
    if arguments.only:
        print(line(arguments.only, prober, models.get(arguments.only, [])))
        return
    import operators
    names = sorted(operators.cases())
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        lines = list(pool.map(lambda name: line(name, prober, models.get(name, [])), names))
    TARGET.write_text(
        "# Operator, operator sets of its forms, and the types of each type constraint.\n"
        "# Written by scripts/operator_types.py.\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
