#!/usr/bin/env bash
# Writes the public interface of the Swift library, with its comments, as a symbol graph and as a
# readable list into out/docs. Needs nothing beyond the toolchain.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p out/docs
swift package dump-symbol-graph --minimum-access-level public --skip-synthesized-members >/dev/null
graph=$(find .build -name 'Sluice.symbols.json' | head -n 1)
cp "$graph" out/docs/
.venv/bin/python tools/list_symbols.py "$graph" >out/docs/Sluice.md
echo "out/docs/Sluice.md"
