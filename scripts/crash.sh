#!/usr/bin/env bash
# Kills real programs while they talk, and checks that nothing they promised is lost: a registry and four people, 50
# cycles of kill -9, or as many as are named; with --only wires connections are cut and slowed instead. Ends with 1,
# the seed and the folder of evidence when a promise was broken.
set -euo pipefail

usage() {
    echo "usage: scripts/crash.sh [CYCLES] [--only sender|receiver|wires|middle] [--seed NUMBER]" >&2
    exit 2
}

arguments=()
while (($#)); do
    case "$1" in
    --only | --seed)
        (($# > 1)) || usage
        arguments+=("$1" "$2")
        shift 2
        ;;
    *[!0-9]* | '') usage ;;
    *)
        arguments+=("$1")
        shift
        ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
echo "Building …" >&2
cargo build --quiet --locked --release --package tests --bin crash
folder="$(mktemp -d "${TMPDIR:-/tmp}/p2p-chat-crash.XXXXXX")"
harness=

# shellcheck disable=SC2317,SC2329 # called by the trap
clean_up() {
    local status=$?
    trap - EXIT INT TERM HUP
    # It leads a process group of its own, and all the programs it started are in that.
    if [[ -n $harness ]]; then kill -KILL -- "-$harness" 2>/dev/null || true; fi
    ((status == 1)) || rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

set -m
"${CARGO_TARGET_DIR:-target}/release/crash" "${arguments[@]}" --folder "$folder" </dev/null &
harness=$!
set +m
status=0
wait "$harness" || status=$?
exit "$status"
