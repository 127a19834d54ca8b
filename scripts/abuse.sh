#!/usr/bin/env bash
# Plays attacks at full size against a real registry on loopback and prints the numbers: 10,000 wrong passwords from one
# source and from 200 (guesses), whether answers tell that an account exists (answers), 2,000 connections that never sign
# in against 100 people who work (crowd). Usage: scripts/abuse.sh [guesses] [answers] [crowd]. Ends with 1 if a limit did
# not hold.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ulimit -n "$(ulimit -Hn)"
exec cargo run --release --quiet --locked --package tests --bin abuse -- "$@"
