#!/usr/bin/env python3
"""Runs what README.md prints: its shell commands in order in one shell, then its Swift example.

The shell stands in the checkout, as a reader's does, and every command must succeed; afterwards no
tracked file may have changed. Blocks whose fence says `sh long` (tests, benchmarks) are left out
and named. The Swift example is compiled against the modules that the release build left behind.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text):
    """Language, words after it, first line number and body of each fenced block."""
    for match in FENCE.finditer(text):
        yield match[1], match[2].split(), text.count("\n", 0, match.start()) + 2, match[3]


def run_shell(commands):
    """Runs the blocks in one shell, which stops at the first command that fails."""
    script = "set -eo pipefail\n"
    for line, body in commands:
        script += f"echo 'README.md:{line}' >&3\n{body}"
    with tempfile.TemporaryFile("w+") as log, tempfile.NamedTemporaryFile("r") as where:
        started = time.monotonic()
        process = subprocess.run(
            ["bash", "-c", f"exec 3>{where.name}\n{script}"], cwd=ROOT, stdout=log,
            stderr=subprocess.STDOUT, check=False)
        reached = where.read().split()
        log.seek(0)
        output = log.read()
    if process.returncode != 0:
        print(output[-3000:])
        print(f"FAIL  the block at {reached[-1]} ended with exit {process.returncode}")
        return False
    print(f"ok    {len(reached)} blocks of shell commands, {time.monotonic() - started:.0f} s")
    return True


def run_swift(body):
    """Compiles and runs the example in the checkout, with the library that is built."""
    build = ROOT / ".build/release"
    maps = [f"-fmodule-map-file={path}" for path in build.glob("C*.build/module.modulemap")]
    maps += [f"-I{path}" for path in ROOT.glob("CSources/*/include")]
    maps += [f"-I{path.parent}" for path in ROOT.glob("CSources/*/module.modulemap")]
    listed = (build / "sluice.product/Objects.LinkFileList").read_text(encoding="utf-8").split()
    command = re.compile(r"/(SluiceCommand|ArgumentParser\w*)\.build/")
    objects = [path for path in listed if not command.search(path)]
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "main.swift"
        source.write_text(body, encoding="utf-8")
        program = pathlib.Path(folder) / "example"
        command = ["swiftc", "-swift-version", "6", "-I", str(build / "Modules")]
        for option in maps:
            command += ["-Xcc", option]
        command += [str(source), "-o", str(program), *objects]
        command += ["-lm", "-lpthread", "-ldl"]
        for what in (command, [str(program)]):
            done = subprocess.run(what, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                print((done.stdout + done.stderr)[-3000:])
                print(f"FAIL  {pathlib.Path(what[0]).name} ended with exit {done.returncode}")
                return False
    if not done.stdout.strip():
        print("FAIL  the Swift example prints nothing")
        return False
    print(f"ok    the Swift example printed {len(done.stdout.splitlines())} lines")
    return True


def tracked_state():
    return subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"], cwd=ROOT, capture_output=True,
        text=True, check=False).stdout


def main():
    shell, swift = [], []
    for language, words, line, body in blocks((ROOT / "README.md").read_text(encoding="utf-8")):
        if language == "sh" and "long" in words:
            print(f"skip  README.md:{line}, marked as long")
        elif language == "sh":
            shell.append((line, body))
        elif language == "swift":
            swift.append(body)
        else:
            print(f"FAIL  README.md:{line}: a block in '{language}' that nothing runs")
            return 1
    (ROOT / "out").mkdir(exist_ok=True)
    before = tracked_state()
    fine = bool(shell) and run_shell(shell)
    for body in swift:
        fine = run_swift(body) and fine
    if tracked_state() != before:
        print("FAIL  the commands of README.md changed tracked files")
        fine = False
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
