#!/usr/bin/env bash
# Prints what a test or benchmark result depends on: CPU, toolchain, OpenBLAS.
cd "$(dirname "$0")/.." || exit 1

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
wanted=$(grep -m 1 '^flags' /proc/cpuinfo | tr ' ' '\n' |
    grep -xE 'sse4_2|avx|avx2|fma|f16c|avx512(f|bw|vl|dq|_vnni|_bf16|_fp16)|amx_(tile|int8|bf16)')
echo "cpu: ${cpu:-$(uname -m)}, $(nproc) usable cores;" $wanted
echo "system: $(uname -sr), $(. /etc/os-release 2>/dev/null && echo "$PRETTY_NAME")"
echo "swift: $(swift --version 2>/dev/null | head -n 1)"
echo "openblas: $(pkg-config --modversion openblas 2>/dev/null || echo 'not found')"
echo "python: $(python3 --version 2>/dev/null | cut -d ' ' -f 2)"
