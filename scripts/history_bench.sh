#!/usr/bin/env bash
# Measures starting, searching and reading with a long history: scripts/history_bench.sh [MESSAGES...]
# (0, 100000 and 1000000 messages unless others are named).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "$#" -eq 0 ]; then
    set -- 0 100000 1000000
fi
exec cargo run --release --quiet --locked --package tests --bin history_bench -- "$@"
