#!/usr/bin/env bash
# Plants known bugs, one at a time, into a copy of what is committed, and shows that the simulator finds each.
#   scripts/planted.sh [SEEDS [BUG]...]   each bug of tests/planted (or those named) against at most SEEDS worlds
# To make a patch anew after its file has changed: make the change by hand, `git diff -U2 >tests/planted/BUG.patch`, take
# the change back.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root="$PWD"
# A folder of its own: in a shared one cargo would take the copy and this for the same.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/planted"

seeds="${1:-3000}"
shift || true
bugs=("$@")
if [[ ${#bugs[@]} -eq 0 ]]; then
    for patch in tests/planted/*.patch; do bugs+=("$(basename "$patch" .patch)"); done
fi

copy="$(mktemp --directory)"
clean_up() { git -C "$root" worktree remove --force "$copy/tree" >/dev/null 2>&1 || true; rm -rf "$copy"; }
trap clean_up EXIT
git worktree add --quiet --detach "$copy/tree" HEAD
cd "$copy/tree"

missed=0
for bug in "${bugs[@]}"; do
    git checkout --quiet -- .
    if ! git apply -C1 "$root/tests/planted/$bug.patch"; then
        echo "$bug: the patch no longer fits, make it anew"
        missed=$((missed + 1))
        continue
    fi
    cargo build --quiet --locked --package tests --bin simulate
    # A node that panics says so on standard error; that is no news here.
    if told="$("$CARGO_TARGET_DIR/debug/simulate" --failures 1 "$seeds" 2>/dev/null)"; then
        echo "$bug: NOT FOUND in $seeds worlds"
        missed=$((missed + 1))
    else
        echo "$bug: $(grep -m1 '^seed ' <<<"$told")"
        grep -m1 ' failed$' <<<"$told" | sed 's/^/    /'
    fi
done
echo "${#bugs[@]} bugs planted, $missed not found"
[[ $missed -eq 0 ]]
