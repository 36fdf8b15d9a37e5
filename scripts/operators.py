"""Writes docs/OPERATORS.md from the importer's sources, the results of the node tests, and the
types that scripts/operator_types.py found to work. `make operators` runs both.

    scripts/operators.py            writes the file
    scripts/operators.py --check    fails when the file is not what would be written
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "OPERATORS.md"
IMPORTER = ROOT / "Sources" / "ModelImport"
EXPECTED = ROOT / "scripts" / "conformance_expected.txt"
TYPES = ROOT / "scripts" / "operator_types.txt"

# Operators of the graph that run on kernels without tuning, by how the importer names them.
GENERIC = re.compile(
    r"\.(sin|cos|tan|asin|acos|atan|sinh|cosh|asinh|acosh|atanh|sign|bitwise\w+|shift\w+|isNaN|"
    r"isInfinite|argument|scan)\b|argument\(|scan\(")
COMPOSED = re.compile(r"\.composite\(|-> Composite")

HEAD = """\
# Operators

Written by `make operators` from the importer, from scripts/conformance_expected.txt, which
`make conformance` checks, and from what the command plans; not edited by hand.

All forms of operator sets 7 to 28 are read and brought to the newest one; *forms* lists the sets
at which the standard changed an operator (7 stands for all older ones). *Types* are those a plan
was made for, by the name that the standard gives to tensors of one type; *floats* are float16,
bfloat16, float32 and float64, all computed in float32, *integers* the eight signed and unsigned
ones. *Tuned* operators have kernels for each instruction set, *generic* ones a kernel that is the
same everywhere, and *composed* ones are written out as others when a plan is made. An input that
decides a shape must be a constant or be known when the plan is made. Operators that select as much
as the data says (Compress, NonMaxSuppression, NonZero, TopK, Unique) are planned at the most they
can give. What follows them may treat the selected elements each for itself, join them (Concat),
reduce them (Reduce*, ArgMax, ArgMin), normalize them (Softmax, LogSoftmax) and select from them
again (Slice from the front, Gather, GatherElements, TopK, NonMaxSuppression); the rest is refused.

Many node tests give shapes, axes and counts as inputs of the model. Their cases pass because the
plan is made for the value given; with those values unknown until the run they would be refused.

| operator | forms | types | computed | refused in the node tests |
|---|---|---|---|---|
"""
FLOATS = ["float32", "float16", "bfloat16", "float64"]
INTEGERS = [f"{sign}int{width}" for sign in ("", "u") for width in (8, 16, 32, 64)]


def cases():
    """The text of each case of the importer's switches over operator names."""
    found = {"Constant": ("tuned", ""), "If": ("composed", ""), "Loop": ("composed", ""),
             "Scan": ("composed", "")}
    for path in sorted(IMPORTER.glob("NodeImport+*.swift")):
        text = path.read_text()
        for function in re.split(r"\n    (?=(?:private )?(?:mutating )?(?:func|var) )", text):
            switch = re.search(r"switch node\.type \{(.*)", function, re.S)
            if not switch:
                continue
            signature = function.splitlines()[0]
            for block in re.split(r"\n        (?=case |default)", switch.group(1)):
                label = re.match(r'case ((?:"\w+"(?:, )?)+):', block)
                if not label:
                    continue
                body = block[label.end():]
                how = "tuned"
                if COMPOSED.search(body) or "-> Composite" in signature \
                        or "Composite?" in signature:
                    how = "composed"
                elif GENERIC.search(body):
                    how = "generic"
                for name in re.findall(r'"(\w+)"', label.group(1)):
                    # A pool is composed only for what its kernels lack.
                    mixed = name in ("MaxPool", "Dropout", "BatchNormalization")
                    found[name] = ("tuned" if mixed else how, path.name)
    return found


def refusals():
    """For each operator, the reasons why node tests of it are refused."""
    reasons = {}
    for line in EXPECTED.read_text().splitlines():
        match = re.match(r"\S+ \[(\w+)\] refuses: (.*)", line)
        if not match:
            continue
        name, reason = match.groups()
        reason = re.sub(r".*does not have: ", "", reason)
        reason = re.sub(r"\(\d+ nodes?\): .*", "", reason)
        reason = re.sub(r".*what Sluice cannot run: - ", "", reason)
        reason = re.sub(r"node '[^']*': ", "", reason).replace("|", "/").strip()
        reasons.setdefault(name, set()).add(reason[:100])
    return reasons


def forms():
    """For each operator, the sets of its forms and its types, as operator_types.py wrote them."""
    found = {}
    for line in TYPES.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, versions, types = (part.strip() for part in line.split(" |"))
        shown = []
        for constraint in filter(None, types.split("; ")):
            key, _, listed = constraint.partition(":")
            shown.append(f"{key}: {summary(listed.split())}")
        found[name] = (versions.replace(" ", ", "), "; ".join(shown))
    return found


def summary(types):
    """Types with those of a whole family under its name."""
    words = []
    for family, members in (("floats", FLOATS), ("integers", INTEGERS)):
        if set(members) <= set(types):
            words.append(family)
            types = [t for t in types if t not in members]
    return ", ".join(words + types) or "none"


def text():
    known, refused, described = cases(), refusals(), forms()
    lines = []
    for name in sorted(known):
        limits = "; ".join(sorted(refused.get(name, ())))
        versions, types = described.get(name, ("?", "?"))
        lines.append(f"| {name} | {versions} | {types} | {known[name][0]} | {limits} |")
    missing = sorted(set(refused) - set(known))
    rest = "\n## Not there\n\nStandard operators with node tests that are refused: "
    return HEAD + "\n".join(lines) + "\n" + rest + ", ".join(missing) + ".\n"


def main():
    made = text()
    if lacking := sorted(set(cases()) ^ set(forms())):
        print(f"{TYPES.name} is stale ({', '.join(lacking)}): run make operators")
        return 1
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != made:
            print("docs/OPERATORS.md is stale: run make operators")
            return 1
        return 0
    TARGET.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
