#!/usr/bin/env bash
# Puts a man in the middle of every link, between people and to their registry: he flips, drops, repeats, reorders and
# splices frames while real programs talk, one fault a connection, 1000 schedules from seed 0 on or as named. Ends with
# 1 and the seeds in play when something altered was shown, a broken link stayed open, or something did not arrive.
#   scripts/mitm.sh [SCHEDULES] [FROM]      scripts/mitm.sh 1 SEED plays one of them again
set -euo pipefail
schedules="${1:-1000}" from="${2:-0}"
if [[ $# -gt 2 || ! $schedules$from =~ ^[0-9]+$ ]]; then
    echo "usage: scripts/mitm.sh [SCHEDULES] [FROM]" >&2
    exit 2
fi
exec "$(dirname "${BASH_SOURCE[0]}")/crash.sh" "$schedules" --only middle --seed "$from"
