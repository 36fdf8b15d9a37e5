#!/usr/bin/env bash
# Writes the reference of the Swift library, as a website, into out/docs. DocC is part of the
# toolchain; a comment or a link that it warns about is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

# The flags of `make test-debug`, so that nothing is compiled twice.
swift package -Xcc -O2 dump-symbol-graph \
    --minimum-access-level public --skip-synthesized-members >/dev/null
graphs=$(mktemp -d)
trap 'rm -rf "$graphs"' EXIT
cp "$(find .build -name 'Sluice.symbols.json' -print -quit)" "$graphs"
rm -rf out/docs
mkdir -p out
docc=$(dirname "$(readlink -f "$(command -v swift)")")/docc
"$docc" convert Sources/Sluice/Sluice.docc --additional-symbol-graph-dir "$graphs" \
    --output-path out/docs --fallback-display-name Sluice --fallback-bundle-identifier Sluice \
    --analyze --warnings-as-errors
echo "out/docs: serve it over HTTP and open /documentation/sluice"
