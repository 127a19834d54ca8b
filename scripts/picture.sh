#!/usr/bin/env bash
# Makes the README's picture, scripts/session.svg, from a real session: a registry and three peers, one of them at a
# terminal.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
drawn="$(cargo run --quiet --locked --package tests --bin picture)"
printf '%s\n' "$drawn" >scripts/session.svg
echo "scripts/session.svg is drawn anew." >&2
