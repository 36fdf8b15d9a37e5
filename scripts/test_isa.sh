#!/usr/bin/env bash
# Runs the tests of kernels, engine and allocation once for each instruction set, named by SL_ISA:
# those this CPU has, and `emulated512`, which has the vector width of AVX-512 on any machine.
set -euo pipefail
cd "$(dirname "$0")/.."

# True when every feature of the arguments is among the CPU's flags.
has() {
    local feature
    for feature in "$@"; do
        grep -m 1 '^flags' /proc/cpuinfo | grep -qw "$feature" || return 1
    done
}

sets=(generic emulated512)
if has avx2 fma; then sets+=(avx2); fi
if has avx512f avx512bw avx512vl avx512dq; then sets+=(avx512); fi

for isa in "${sets[@]}"; do
    echo "== SL_ISA=$isa"
    SL_ISA=$isa swift test -c release --disable-xctest --disable-testable-imports \
        --filter 'KernelTests|EngineTests|AllocationTests'
done
