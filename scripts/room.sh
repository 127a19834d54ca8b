#!/usr/bin/env bash
# Measures one large room of real peers on this machine: scripts/room.sh [PEERS]
# (50 unless another number is named; each takes some 15 MiB, and 64 MiB for a moment at its start).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec cargo run --release --quiet --locked --package tests --bin room -- "$@"
