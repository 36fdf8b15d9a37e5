#!/usr/bin/env python3
"""Checks that no kernel takes more stack than docs/ARCHITECTURE.md allows, on any instruction set.

    scripts/check_stack.py CLANG

Compiles each kernel source as the release build does, also for instruction sets this machine
lacks, and adds up the frames along the deepest chain of calls. A function may call whatever it
names and whatever stands in a table that it names.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "CSources/CSluiceKernels"
LIMIT = 4096
# Not counted: the portable stand-in for AVX-512 keeps its vectors on the stack.
EXEMPT = {"emulated512"}
RETURN_ADDRESS = 8


def compile_source(clang, source, folder):
    """The assembly of one source, and the frame of each of its functions."""
    assembly = pathlib.Path(folder) / (source.stem + ".s")
    subprocess.run(
        [clang, "-O2", "-std=gnu17", "-w", "-fstack-usage", "-S", "-I", SOURCES / "include",
         "-o", assembly, source], check=True)
    frames = {}
    for line in assembly.with_suffix(".su").read_text(encoding="utf-8").splitlines():
        place, size, kind = line.split("\t")
        if kind != "static":
            raise SystemExit(f"{place}: its frame has no fixed size")
        frames[place.rsplit(":", 1)[1]] = int(size)
    return assembly.read_text(encoding="utf-8"), frames


def pointer_tables(assembly, frames):
    """The functions whose addresses each data symbol holds."""
    tables, current = {}, None
    for line in assembly.splitlines():
        label = re.match(r"([\w.]+):", line)
        if label:
            current = label[1]
        pointer = re.match(r"\s+\.quad\s+(\w+)", line)
        if pointer and pointer[1] in frames:
            tables.setdefault(current, set()).add(pointer[1])
    return tables


def called_functions(assembly, frames):
    """What each function calls: by name, and by the pointers it or a table it names holds."""
    tables = pointer_tables(assembly, frames)
    calls, current = {name: set() for name in frames}, None
    for line in assembly.splitlines():
        label = re.match(r"(\w+):", line)
        if label:
            current = label[1] if label[1] in frames else None
        if current is None or not line.startswith("\t") or line.startswith("\t."):
            continue
        for symbol in re.findall(r"[A-Za-z_][\w.]*", line.split("#")[0]):
            calls[current] |= {symbol} & set(frames) | tables.get(symbol, set())
        calls[current].discard(current)
    return calls


def deepest_chains(assembly, frames):
    """The deepest chain of frames of every function: {name: (bytes, names)}."""
    calls, found = called_functions(assembly, frames), {}

    def depth(name, above=()):
        if name in above:
            raise SystemExit(f"{name} calls itself")
        if name not in found:
            below = [depth(callee, (*above, name)) for callee in calls[name]]
            size, names = max(below, default=(0, ()))
            found[name] = (frames[name] + RETURN_ADDRESS + size, (name, *names))
        return found[name]

    return {name: depth(name) for name in frames}


def main():
    clang = sys.argv[1] if len(sys.argv) > 1 else "clang"
    too_deep = False
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(SOURCES.glob("kernels_*.c")):
            if source.stem.removeprefix("kernels_") in EXEMPT:
                continue
            chains = deepest_chains(*compile_source(clang, source, folder))
            size, names = max(chains.values())
            verdict = "" if size <= LIMIT else f", more than {LIMIT}"
            print(f"{source.name}: {size} bytes of stack at most{verdict}: {' > '.join(names)}")
            too_deep |= size > LIMIT
    return 1 if too_deep else 0


if __name__ == "__main__":
    sys.exit(main())
