#!/usr/bin/env bash
# Fuzzes one target with libFuzzer, on the stable compiler. Ends with the count of executions, and not with 0 if there
# was a finding: its input is then in target/fuzz/findings, and `scripts/fuzz.sh TARGET FILE` runs it again.
#   scripts/fuzz.sh                            the targets
#   scripts/fuzz.sh TARGET SECONDS [FLAG]...   from the corpus in the repository; FLAGs are libFuzzer's
#   scripts/fuzz.sh TARGET FILE                one input
#   scripts/fuzz.sh --keep TARGET              adds to the repository's corpus what covers more, as few as it takes
#   scripts/fuzz.sh --seeds                    makes the seeds of messages anew, after the wire has changed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

targets() { for file in tests/fuzz/fuzz_targets/*.rs; do basename "$file" .rs; done; }

# The compiler's part of libFuzzer; with a target named, build scripts and macros go without.
instrument='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1'

build() {
    if ! command -v c++ >/dev/null; then
        local as_root=()
        if [[ $(id -u) -ne 0 ]]; then as_root=(sudo --non-interactive); fi
        "${as_root[@]}" apt-get update --quiet
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install --yes --quiet --no-install-recommends g++
    fi
    RUSTFLAGS=${instrument//$'\n'/ } cargo build --quiet --locked --release --manifest-path tests/fuzz/Cargo.toml \
        --target "$host" --target-dir "$folder" --bin "$1"
}

host=$(rustc -vV | sed -n 's/^host: //p')
folder=${CARGO_TARGET_DIR:-target}/fuzz

case ${1:-} in
'')
    targets
    exit
    ;;
--seeds)
    rm -f tests/fuzz/corpus/messages/seed-*
    mkdir -p tests/fuzz/corpus/messages
    FUZZ_SEEDS=$PWD/tests/fuzz/corpus/messages cargo test --quiet --locked --package common --test wire
    exit
    ;;
--keep)
    keep=1
    shift
    ;;
esac

target=$1
if [[ $target == */* || ! -f tests/fuzz/fuzz_targets/$target.rs ]]; then
    echo "There is no target '$target'. There are: $(targets | tr '\n' ' ')" >&2
    exit 2
fi
build "$target"
program=$folder/$host/release/$target
kept=tests/fuzz/corpus/$target
found=$folder/corpus/$target
mkdir -p "$kept" "$found" "$folder/findings"

if [[ -n ${keep:-} ]]; then
    exec "$program" -merge=1 "$kept" "$found"
elif [[ -f ${2:-} ]]; then
    exec "$program" "$2"
fi
# Longer inputs find nothing more and take their time: all keys of a configuration fit into these bytes, all that a
# story of a room reads, and a text of twenty rows.
case $target in
*_config | rooms) bytes_max=1024 ;;
sanitizer) bytes_max=512 ;;
*) bytes_max=4096 ;;
esac
# No input takes long or much memory: what does is a finding too.
log=$folder/$target.log
status=0
"$program" -max_total_time="${2:?say for how many seconds}" -print_final_stats=1 -timeout=10 -rss_limit_mb=1024 \
    -max_len=$bytes_max -artifact_prefix="$folder/findings/$target-" "${@:3}" "$found" "$kept" 2>"$log" || status=$?
if [[ $status -ne 0 ]]; then
    tail -n 40 "$log" >&2
fi
number() { sed -n "s/^stat::$1: *//p" "$log"; }
echo "$target: $(number number_of_executed_units) executions, $(number average_exec_per_sec) a second"
exit "$status"
