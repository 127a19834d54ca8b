#!/usr/bin/env bash
# Plays many simulated worlds on all cores, and names the seeds of those that break a promise.
#   scripts/simulate.sh [--failures COUNT] [SEEDS [FROM]]   1000 worlds from seed 0, until 10 have failed
#   scripts/simulate.sh --replay SEED                       one of them again, with everything that happened
#   scripts/simulate.sh --rooms [MEMBERS]...                large rooms: steps, copies and bytes of what is said, and how
#                                                           long it takes to do without a fifth; 10 to 500 MEMBERS unless
#                                                           told otherwise. Kept in tests/benches/rooms.json and rooms.svg
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo run --quiet --locked --profile simulate --package tests --bin simulate -- "$@"
