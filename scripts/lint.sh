#!/usr/bin/env bash
# Checks what a compiler of the normal build does not: format, strict C warnings, the direction
# of dependencies. `--fix` formats in place instead.
set -uo pipefail
cd "$(dirname "$0")/.."

mapfile -t swift_files < <(
    find Package.swift Sources Tests benchmarks -name '*.swift' -not -path '*/Generated/*' | sort)
mapfile -t c_files < <(find CSources benchmarks -name '*.[ch]' | sort)
mapfile -t c_units < <(find CSources benchmarks -name '*.c' | sort)
clang_format=$(command -v clang-format-19 || true)
# The compiler that comes with Swift, which builds the C targets.
clang=$(dirname "$(readlink -f "$(command -v swift)")")/clang
[ -x "$clang" ] || clang=clang

if [ "${1:-}" = --fix ]; then
    swift format format --in-place "${swift_files[@]}"
    [ -z "$clang_format" ] || "$clang_format" -i "${c_files[@]}"
    exit
fi

status=0
# Runs one check and remembers whether it failed.
check() {
    local name=$1
    shift
    if "$@"; then
        echo "ok    lint/$name"
    else
        echo "FAIL  lint/$name"
        status=1
    fi
}

# Compiles units without output: strict_c UNIT... -- OPTION...
# Nullability is how a C header speaks to Swift, so that one extension is welcome.
strict_c() {
    local units=() unit result=0
    while [ "$1" != -- ]; do
        units+=("$1")
        shift
    done
    shift
    for unit in "${units[@]}"; do
        "$clang" "$@" -fsyntax-only -std=gnu17 -D_GNU_SOURCE -I "$(dirname "$unit")/include" \
            -Wall -Wextra -Wconversion -Wpedantic -Werror \
            -Wno-nullability-extension -Wno-nullability-completeness "$unit" || result=1
    done
    return "$result"
}

# The kernels for a CPU without hand-written ones. Headers of a cross compiler (Debian:
# libc6-dev-arm64-cross) when there are some; else those of this machine, which serve for the few
# the kernels include once the one file that they lack is there.
generic_aarch64() {
    local kernels headers=/usr/aarch64-linux-gnu/include substitute result=0
    mapfile -t kernels < <(printf '%s\n' "${c_units[@]}" | grep CSluiceKernels)
    substitute=$(mktemp -d)
    mkdir "$substitute/gnu"
    touch "$substitute/gnu/stubs-32.h"
    [ -d "$headers" ] || headers=/usr/include/$(uname -m)-linux-gnu
    strict_c "${kernels[@]}" -- --target=aarch64-linux-gnu \
        -isystem "$substitute" -isystem "$headers" || result=1
    rm -r "$substitute"
    return "$result"
}

check swift-format swift format lint --strict "${swift_files[@]}"
if [ -n "$clang_format" ]; then
    check clang-format "$clang_format" --dry-run -Werror "${c_files[@]}"
else
    echo "skip  lint/clang-format (no clang-format-19)"
fi
check c-warnings strict_c "${c_units[@]}" --
check c-aarch64 generic_aarch64
check modules python3 scripts/check_modules.py
check operators python3 scripts/operators.py --check
exit "$status"
