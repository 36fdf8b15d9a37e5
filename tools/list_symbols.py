#!/usr/bin/env python3
"""Prints the declarations and comments of a Swift symbol graph as Markdown, in source order."""

import json
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        graph = json.load(file)
    print(f"# Module {graph['module']['name']}\n")
    located = [s for s in graph["symbols"] if "location" in s]
    located.sort(key=lambda s: (s["location"]["uri"], s["location"]["position"]["line"]))
    for symbol in located:
        depth = min(1 + len(symbol["pathComponents"]), 4)
        declaration = "".join(f["spelling"] for f in symbol["declarationFragments"])
        print(f"{'#' * depth} {'.'.join(symbol['pathComponents'])}\n")
        print(f"```swift\n{declaration}\n```\n")
        lines = [line["text"] for line in symbol.get("docComment", {}).get("lines", [])]
        if lines:
            print("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
