#!/usr/bin/env bash
# Ten minutes with 10,000 idle sessions and 100 pairs of peers that talk: scripts/soak.sh [--minutes NUMBER]
# [--sessions NUMBER] [--pairs NUMBER]. Prints the registry's memory and how long messages take, with the sessions and
# without. Ends with 1 if memory grew, a session was dropped, or messages took longer than without the sessions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
echo "Building …" >&2
cargo build --quiet --locked --release --package registry --package peer --bins
cargo build --quiet --locked --release --package tests --bin soak
# Thousands of sessions are as many files.
ulimit -n "$(ulimit -Hn)"
target="${CARGO_TARGET_DIR:-target}/release"
exec "$target/soak" --programs "$target" "$@"
