#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: Debian packages, and a Python
# virtual environment in .venv with pinned packages. Takes no time when all is there.
#
#   scripts/setup.sh            everything
#   scripts/setup.sh python     only the virtual environment
#   scripts/setup.sh simde      only what simulates AVX-512, for `make test-avx512`
#   scripts/setup.sh format     only what formats C, for `make lint` and `make format`
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $*" >&2
    exit 1
}

# Runs apt-get as root or through sudo without a password; else says what to run, and stops.
install_packages() {
    local command="apt-get install -y --no-install-recommends $*"
    if ! command -v apt-get >/dev/null; then
        fail "these Debian packages (or what they are called here) are missing: $*"
    fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || fail "please run: sudo apt-get update && sudo $command"
        as_root=(sudo -n)
    fi
    echo "setup: $command" >&2
    "${as_root[@]}" apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" $command >&2
}

# Names the packages of the arguments that dpkg does not know as installed.
missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            echo "$package"
    done
}

set_up_libraries() {
    command -v swift >/dev/null ||
        fail "no swift on PATH; Sluice needs a Swift 6.2 toolchain: https://www.swift.org/install"
    local missing=""
    if command -v dpkg-query >/dev/null; then
        missing=$(missing_packages libopenblas-dev liblapacke-dev libstb-dev libzip-dev)
    elif ! pkg-config --exists openblas lapacke stb libzip; then
        missing="libopenblas-dev liblapacke-dev libstb-dev libzip-dev"
    fi
    # shellcheck disable=SC2086 # one word per package
    [ -z "$missing" ] || install_packages $missing
}

set_up_python() {
    local python=${PYTHON3:-python3} stamp=.venv/requirements.sum
    command -v "$python" >/dev/null || install_packages python3 python3-venv
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "Python 3.10 or newer is needed; name one: PYTHON3=/path/to/python3 make ..."
    cksum <scripts/requirements.txt | cmp -s - "$stamp" && return
    "$python" -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --requirement scripts/requirements.txt
    cksum <scripts/requirements.txt >"$stamp"
}

set_up_simde() {
    [ -e /usr/include/simde/x86/avx512.h ] || install_packages libsimde-dev
}

set_up_format() {
    command -v clang-format-19 >/dev/null || install_packages clang-format-19
}

case "${1:-all}" in
format) set_up_format ;;
simde) set_up_simde ;;
python) set_up_python ;;
*)
    set_up_libraries
    set_up_python
    ;;
esac
