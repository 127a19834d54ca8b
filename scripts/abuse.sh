#!/usr/bin/env bash
# Plays attacks at full size against a real registry on loopback and prints the numbers: 10,000 wrong passwords from one
# source and from 200 (guesses), whether answers tell that an account exists (answers), 2,000 connections that never sign
# in against 100 people who work (crowd); and whether anybody's latency moves beside slow-readers, slow-writers,
# tiny-frames, invitations and passwords, which keep a core of their own. Usage: scripts/abuse.sh [PART...]; all of them
# unless some are named. Ends with 1 if a limit did not hold.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ulimit -n "$(ulimit -Hn)"
exec cargo run --release --quiet --locked --package tests --bin abuse -- "$@"
