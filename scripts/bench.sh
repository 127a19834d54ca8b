#!/usr/bin/env bash
# Measures this program beside the limits of the machine and beside what people use instead, in one run:
# scripts/bench.sh [NAME...] [--rounds NUMBER] [--quick]. All rows and curves unless some are named, which keeps what
# was measured of the others; a name that is none lists them. Contenders are measured if they are installed; on Debian:
#     apt-get install --no-install-recommends ngircd inspircd mosquitto nats-server prosody
# Figures, tables and pictures go to tests/benches, the tables also between their marks in README.md; those of a quick
# run, which only shows that all of it works, go nowhere. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
places=(--folder tests/benches --readme README.md)
for argument in "$@"; do
    if [[ $argument == --quick ]]; then places=(); fi
done
echo "Building …" >&2
cargo build --quiet --locked --release --package registry --package peer --bins
cargo build --quiet --locked --release --package tests --bin bench
# Thousands of sessions are as many files.
ulimit -n "$(ulimit -Hn)"
exec "${CARGO_TARGET_DIR:-target}/release/bench" "$@" "${places[@]}"
