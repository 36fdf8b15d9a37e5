#!/usr/bin/env python3
"""Checks the direction of dependencies and the manners of each module.

ALLOWED is the table of docs/ARCHITECTURE.md. Standard modules are free except where a module has
to be pure.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Directory -> our modules and packages that it may import.
ALLOWED = {
    "GraphIR": set(),
    "TensorMemory": set(),
    "ModelImport": {"GraphIR", "TensorMemory", "SwiftProtobuf"},
    "GraphCompiler": {"GraphIR"},
    "KernelLibrary": {"GraphIR", "TensorMemory", "CSluiceKernels"},
    "Execution": {"GraphIR", "GraphCompiler", "KernelLibrary", "TensorMemory", "CSluicePlatform"},
    "Sluice": {
        "GraphIR", "TensorMemory", "ModelImport", "GraphCompiler", "KernelLibrary", "Execution",
        "CStb", "CZip", "Logging"},
    "SluiceC": {"Sluice", "CSluice"},
    "sluice": {"Sluice", "ArgumentParser", "Logging"},
}
# Modules that do no input or output, and know neither threads nor clocks.
PURE = {"GraphIR", "GraphCompiler"}
STANDARD = {"Swift", "Glibc", "Foundation", "FoundationEssentials", "Synchronization", "Dispatch"}
# What a kernel must not do, by what it would call.
FORBIDDEN_IN_KERNELS = re.compile(
    r"\b(malloc|calloc|realloc|free|printf|fprintf|abort|exit|pthread_\w+|cblas_\w+)\s*\(")
IMPORT = re.compile(
    r"^\s*(?:@\w+\s+)*(?:(?:package|public|internal|private|fileprivate)\s+)?import\s+"
    r"(?:(?:struct|class|enum|func|protocol|typealias|var|let)\s+)?(\w+)")


def swift_problems():
    for directory in sorted((ROOT / "Sources").iterdir()):
        if not directory.is_dir():
            continue
        if directory.name not in ALLOWED:
            yield f"{directory.name}: a module without a row in the table"
            continue
        free = set() if directory.name in PURE else STANDARD
        for path in sorted(directory.rglob("*.swift")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                match = IMPORT.match(line)
                if match and match[1] not in ALLOWED[directory.name] | free:
                    yield f"{path.relative_to(ROOT)}:{number}: may not import {match[1]}"


def without_comments(text):
    """C with comments blanked out, so that line numbers stay."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])
    return re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.DOTALL)


def kernel_problems():
    for path in sorted((ROOT / "CSources/CSluiceKernels").rglob("*.[ch]")):
        lines = without_comments(path.read_text(encoding="utf-8")).splitlines()
        for number, line in enumerate(lines, 1):
            match = FORBIDDEN_IN_KERNELS.search(line)
            if match:
                yield f"{path.relative_to(ROOT)}:{number}: a kernel may not call {match[1]}"


def text_problems():
    """Long lines and trailing blanks in what no formatter looks at."""
    for folder, suffixes in (
        ("scripts", (".py", ".sh")), ("tools", (".py",)), ("benchmarks", (".py", ".swift", ".c")),
    ):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in suffixes:
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if len(line) > 100 or line != line.rstrip():
                    yield f"{path.relative_to(ROOT)}:{number}: over 100 columns or trailing blank"


def main():
    problems = [*swift_problems(), *kernel_problems(), *text_problems()]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
