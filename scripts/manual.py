#!/usr/bin/env python3
"""Writes the manual page of the command from what it says about itself: manual.py SLUICE FILE"""

import json
import os
import pathlib
import subprocess
import sys


def roff(text):
    """Text as roff prints it: no requests, no escapes."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in text.split("\n"))


def name_of(argument):
    """`-o, --output file.png` or `<image> ...`, in roff."""
    value = argument.get("valueName", "value")
    dots = " ..." if argument.get("isRepeating") else ""
    if argument["kind"] == "positional":
        return f"\\fI{roff(value)}\\fR{dots}"
    names = ", ".join(
        ("--" if name["kind"] == "long" else "-") + name["name"] for name in argument["names"])
    if argument["kind"] == "flag":
        return f"\\fB{roff(names)}\\fR"
    return f"\\fB{roff(names)}\\fR \\fI{roff(value)}\\fR{dots}"


def paragraphs(text):
    """A discussion: filled paragraphs, with indented lines (examples) as they stand."""
    out, literal = [], False
    for line in text.split("\n"):
        is_literal = line.startswith("  ")
        if is_literal != literal:
            out.append(".nf\n.RS" if is_literal else ".RE\n.fi")
            literal = is_literal
        out.append(roff(line.strip()) if line.strip() else ".PP")
    if literal:
        out.append(".RE\n.fi")
    return "\n".join(out)


def arguments_of(command, without=()):
    """The arguments of a command, positional ones first, but for those of some names."""
    shown = [
        argument for argument in command.get("arguments", [])
        if argument.get("shouldDisplay", True)
        and not any(name["name"] in without for name in argument.get("names", []))]
    for argument in sorted(shown, key=lambda a: a["kind"] != "positional"):
        text = argument.get("abstract", "")
        if "defaultValue" in argument and "default" not in text:
            text += f" The default is {argument['defaultValue']}."
        yield f".TP\n{name_of(argument)}\n{roff(text) or '.PP'}"


def page(tool):
    root = tool["command"]
    name = root["commandName"]
    out = [
        f".TH {name.upper()} 1", ".SH NAME", f"{name} \\- {roff(root['abstract'])}",
        ".SH SYNOPSIS",
        f"\\fB{name}\\fR \\fIcommand\\fR [\\fIoption\\fR ...] [\\fIargument\\fR ...]",
        ".SH DESCRIPTION", paragraphs(root.get("discussion", ""))]
    out += arguments_of(root)
    for command in root["subcommands"]:
        if command["commandName"] == "help":
            continue
        out += [f".SH {name.upper()} {command['commandName'].upper()}", roff(command["abstract"])]
        out += arguments_of(command, without=("help", "version"))
        if command.get("discussion"):
            out += [".PP", paragraphs(command["discussion"])]
    return "\n".join(out) + "\n"


def main():
    sluice, target = sys.argv[1], pathlib.Path(sys.argv[2])
    dump = subprocess.run(
        [sluice, "--experimental-dump-help"], capture_output=True, text=True, check=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(page(json.loads(dump.stdout)), encoding="utf-8")
    os.replace(temporary, target)
    print(target)


if __name__ == "__main__":
    main()
