#!/usr/bin/env bash
# Fuzzes the readers of files and the planner with libFuzzer and AddressSanitizer.
#
#     scripts/fuzz.sh [--short] [SECONDS_EACH] [TARGET...]
#
# --short is for every `make test`: 20,000 inputs a target from one seed, in a build that takes a
# third of the time: without AddressSanitizer and optimization.
#
# Inputs that it finds are kept in out/fuzz-corpus and start the next run; one that breaks a target
# is left in out/fuzz-failures. Made small (-minimize_crash=1) and added to Tests/Fuzz/corpus, it is
# replayed by every `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=.build-fuzz
build=(--sanitize=address -Xcc -O1)
limits=()
kept=out/fuzz-corpus
if [ "${1:-}" = --short ]; then
    shift
    folder=.build-fuzz-short
    build=(-Xcc -O0 -Xswiftc -Onone)
    limits=(-runs=20000 -seed=1)
    export SWIFT_DETERMINISTIC_HASHING=1
    kept=out/fuzz-corpus-short
    rm -rf "$kept"
fi
seconds=${1:-15}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(model array image plan)

# The linker of the sanitizers is lld: gold fails on what the fuzzer's library holds.
SLUICE_FUZZER=1 swift build -c release --scratch-path "$folder" --product sluice-fuzz \
    "${build[@]}" -Xswiftc -sanitize=fuzzer -Xswiftc -use-ld=lld

# Inputs pass through a file: one in memory, where there is such a place.
[ -w /dev/shm ] && export TMPDIR=/dev/shm
declare -A corpora=([model]=models [plan]=models [array]=arrays [image]=images)
mkdir -p out/fuzz-failures
status=0
for target in "${targets[@]}"; do
    mkdir -p "$kept/$target"
    # Leaks are left out: the readers keep tables for the life of the process.
    "$folder/release/sluice-fuzz" "${limits[@]}" -max_total_time="$seconds" -timeout=20 \
        -rss_limit_mb=3000 -detect_leaks=0 -print_final_stats=1 \
        -artifact_prefix="out/fuzz-failures/$target-" \
        "$kept/$target" "Tests/Fuzz/corpus/${corpora[$target]}" -ignore_remaining_args=1 "$target" \
        2>&1 | grep -E 'ERROR|Fatal|SUMMARY|Test unit|DONE|number_of|peak_rss' &&
        [ "${PIPESTATUS[0]}" -eq 0 ] || { echo "FAIL  fuzz/$target"; status=1; continue; }
    echo "ok    fuzz/$target"
done
exit "$status"
