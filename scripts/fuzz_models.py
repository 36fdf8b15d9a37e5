#!/usr/bin/env python3
"""Tries random networks: `sluice` against onnxruntime, at several budgets and thread counts.

    scripts/fuzz_models.py --seeds 1000          seeds 0 to 999
    scripts/fuzz_models.py --seeds 17-17         one seed
    scripts/fuzz_models.py --seeds 17-17 --shrink --keep DIR

A failing seed fails again: the network, its inputs and its budgets depend on the seed alone.
With --shrink the smallest part of the network that fails on its own is searched and printed;
--keep stores it with its inputs. The part is cut at the first node whose value is wrong, then
grown backwards node by node until it fails.
"""

import argparse
import pathlib
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from channels_last import with_channels_last
from fuzz_networks import random_network
from fuzz_spaces import random_space_network
from sluice_cli import (
    ROOT, Failure, Report, Sluice, difference, reference_outputs, require, require_close,
    safe_name, seeded_input)

# Exact kernels: the same arithmetic whatever onnxruntime would fuse or re-lay out.
REFERENCE_LEVEL = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC


def inputs_of(model, seed):
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    return {
        name: seeded_input(shape, [seed, index])
        for index, (name, shape) in enumerate(shapes.items())}


def with_plain_sigmoids(model):
    """The model with 1 / (1 + exp(-x)) in the place of each Sigmoid.

    onnxruntime's own errs by 1e-7 whatever the result, which is a lot where all results are small.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    del plain.graph.node[:]
    one = numpy_helper.from_array(np.float32(1), "plain_sigmoid.one")
    plain.graph.initializer.append(one)
    for node in model.graph.node:
        if node.op_type != "Sigmoid":
            plain.graph.node.append(node)
            continue
        (x,), (y,) = node.input, node.output
        steps = [(x, f"{y}.minus"), (f"{y}.minus", f"{y}.exp"), (f"{y}.exp", f"{y}.sum")]
        for op, (before, after) in zip(("Neg", "Exp", "Add"), steps):
            inputs = [before, one.name] if op == "Add" else [before]
            plain.graph.node.append(helper.make_node(op, inputs, [after]))
        plain.graph.node.append(helper.make_node("Reciprocal", [f"{y}.sum"], [y]))
    return plain


def compare(sluice, model, inputs, seed, quick=False):
    """Runs one model at all settings. Throws at the first thing that is wrong."""
    plain = with_plain_sigmoids(model).SerializeToString()
    expected = reference_outputs(plain, inputs, REFERENCE_LEVEL)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        onnx.save(model, str(path))
        first = sluice.run(path, inputs, threads=1, timeout=60)
        require_close(first.outputs, expected, "unlimited/t1: ")
        percent = 5 + seed * 37 % 90
        settings = [("minimum", 1), ("minimum", 2), ("unlimited", 2), (f"{percent}%", 1 + seed % 2)]
        ends = {1: first}
        for budget, threads in settings[:1] if quick else settings:
            run = sluice.run(path, inputs, budget=budget, threads=threads, timeout=60)
            what = f"{budget}/t{threads}"
            require_close(run.outputs, expected, f"{what}: ")
            require(run.bits() == first.bits(), f"{what}: bits differ from unlimited/t1")
            other = ends.setdefault(threads, run)
            for key in ("minimum_device_bytes", "resident_device_bytes"):
                require(run[key] == other[key], f"{what}: {key} depends on the budget")
        if not quick and seed % 3 == 0:
            for options in (["--no-fusion"], ["--gemm", "openblas"]):
                run = sluice.run(path, inputs, *options, budget="minimum", threads=2, timeout=60)
                require_close(run.outputs, expected, f"{' '.join(options)}: ")
    return (
        f"{len(model.graph.node)} nodes, {first['device_peak_bytes']} / "
        f"{first['minimum_device_bytes']} bytes")


def model_of(seed):
    """Every fifth network is one of lines or volumes; every fifth has channels last."""
    model = random_space_network(seed) if seed % 5 == 4 else random_network(seed)
    return with_channels_last(model) if seed % 5 == 2 or seed % 25 == 4 else model


def check_seed(sluice, seed):
    model = model_of(seed)
    return compare(sluice, model, inputs_of(model, seed), seed)


def test_random_networks(report, sluice, seeds):
    for seed in seeds:
        report.case(f"random/{seed}", check_seed, sluice, seed)


# ---- Making a failure small -------------------------------------------------------------------


def value_infos(arrays, names):
    return [
        helper.make_tensor_value_info(
            n, helper.np_dtype_to_tensor_dtype(arrays[n].dtype), list(arrays[n].shape))
        for n in names]


def part(model, nodes, arrays, outputs):
    """The model of some of the nodes; what they read from outside becomes an input."""
    stored = {t.name: t for t in model.graph.initializer}
    made = {name for node in nodes for name in node.output}
    read = [n for node in nodes for n in node.input if n and n not in made]
    read = list(dict.fromkeys(read))
    graph = helper.make_graph(
        nodes, "part", value_infos(arrays, [n for n in read if n not in stored]),
        value_infos(arrays, outputs), [stored[n] for n in read if n in stored])
    return helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def ancestors(model, name):
    """The nodes that `name` depends on, in order."""
    wanted, chosen = {name}, []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            chosen.append(node)
            wanted.update(n for n in node.input if n)
    return chosen[::-1]


def all_values(model, inputs):
    """Every value of the network, by onnxruntime."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    for node in model.graph.node:
        for name in node.output:
            whole.graph.output.append(
                helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return {**inputs, **reference_outputs(whole.SerializeToString(), inputs, level)}


def fails(sluice, model, arrays, seed):
    inputs = {v.name: arrays[v.name] for v in model.graph.input}
    try:
        compare(sluice, model, inputs, seed)
    except Failure as failure:
        return str(failure)
    return None


def shrink(sluice, model, inputs, seed):
    """The smallest failing part that is found, its arrays and its message."""
    arrays = all_values(model, inputs)
    chain, outputs, message = list(model.graph.node), None, None
    for node in model.graph.node:
        candidate = ancestors(model, node.output[0])
        message = fails(sluice, part(model, candidate, arrays, node.output[:1]), arrays, seed)
        if message:
            chain, outputs = candidate, list(node.output[:1])
            break
    if outputs is None:  # Only the whole, with all its outputs, goes wrong.
        return model, arrays, fails(sluice, model, arrays, seed) or "no failure any more"
    for count in range(1, len(chain)):
        smaller = part(model, chain[-count:], arrays, outputs)
        smaller_message = fails(sluice, smaller, arrays, seed)
        if smaller_message:
            return smaller, arrays, smaller_message
    return part(model, chain, arrays, outputs), arrays, message


def report_small(sluice, seed, folder):
    """Shrinks a failing seed, prints the part, and stores it with its inputs."""
    model = model_of(seed)
    small, arrays, message = shrink(sluice, model, inputs_of(model, seed), seed)
    print(f"  smallest part of seed {seed} (opset {small.opset_import[0].version}): {message}")
    shapes = {n: a.shape for n, a in arrays.items()}
    shapes.update({t.name: tuple(t.dims) for t in small.graph.initializer})
    for node in small.graph.node:
        operands = ", ".join(f"{n} {list(shapes[n])}" if n else "-" for n in node.input)
        attributes = ", ".join(
            f"{a.name}={helper.get_attribute_value(a)}" for a in node.attribute)
        print(f"    {node.output[0]} {list(shapes.get(node.output[0], []))} = "
              f"{node.op_type}({operands}) {attributes}")
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"seed{seed}.onnx"
        onnx.save(small, str(path))
        given = []
        for value in small.graph.input:
            file = folder / f"seed{seed}-{safe_name(value.name)}.npy"
            np.save(file, arrays[value.name])
            given.append(f"--input {value.name}={file}")
        print(f"    {sluice.path} run {path} {' '.join(given)}")


# ---- Command ----------------------------------------------------------------------------------


def check_generator(seeds):
    """Runs onnxruntime alone, twice: a case must be valid, finite, and well conditioned."""
    bad = 0
    for seed in seeds:
        model = model_of(seed)
        inputs = inputs_of(model, seed)
        data = model.SerializeToString()
        try:
            onnx.checker.check_model(model, full_check=True)
            one = reference_outputs(data, inputs, REFERENCE_LEVEL)
            all_levels = reference_outputs(data, inputs)
        except Exception as error:
            bad += 1
            print(f"seed {seed}: {str(error)[:300]}")
            continue
        for name, array in one.items():
            problem = difference(all_levels[name], array)
            flat = array.size > 1 and np.ptp(array) == 0
            if problem or (flat and np.abs(array).max() > 0):
                bad += 1
                print(f"seed {seed} {name} {array.shape}: {problem or 'constant output'}")
    print(f"{len(seeds)} networks, {bad} doubtful outputs")
    return 0


def parse_seeds(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last) + 1) if last else range(int(first))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", default=ROOT / ".build/release/sluice")
    parser.add_argument("--seeds", type=parse_seeds, default=range(100), metavar="N|A-B")
    parser.add_argument("--shrink", action="store_true", help="find the part that fails")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="store failing parts")
    parser.add_argument("--check-generator", action="store_true", help="onnxruntime alone")
    arguments = parser.parse_args()
    if arguments.check_generator:
        return check_generator(arguments.seeds)
    sluice, report = Sluice(arguments.sluice), Report()
    for seed in arguments.seeds:
        before = len(report.failures)
        test_random_networks(report, sluice, [seed])
        if len(report.failures) > before and (arguments.shrink or arguments.keep):
            report_small(sluice, seed, arguments.keep)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
