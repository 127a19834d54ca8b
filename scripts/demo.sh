#!/usr/bin/env bash
# A registry, two people who answer, and you in a room with them: one command on a fresh clone.
# Without a terminal, or with --headless, it plays a fixed story through JSON instead, checks it, and prints it.
# Leaves nothing running and nothing behind.
set -euo pipefail

headless=no
case "${1:-}" in
"") ;;
--headless) headless=yes ;;
*)
    echo "usage: scripts/demo.sh [--headless]" >&2
    exit 2
    ;;
esac
[[ -t 0 && -t 1 ]] || headless=yes

cd "$(dirname "${BASH_SOURCE[0]}")/.."
programs="${CARGO_TARGET_DIR:-target}/debug"
folder="$(mktemp -d "${TMPDIR:-/tmp}/p2p-chat-demo.XXXXXX")"
pids=()

# shellcheck disable=SC2317,SC2329 # called by the trap
clean_up() {
    local status=$?
    trap - EXIT INT TERM HUP
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() {
    echo "The demo went wrong: $*" >&2
    for log in "$folder"/*.out; do
        echo "--- $(basename "$log" .out) was told, last:" >&2
        tail -n 5 "$log" >&2
    done
    exit 1
}

# Waits until a line of a log matches a pattern of bash, and prints the line.
wait_for() {
    local log="$folder/$1.out" pattern="$2" line deadline=$((SECONDS + 30))
    while ((SECONDS < deadline)); do
        while IFS= read -r line; do
            # shellcheck disable=SC2053 # it is a pattern
            if [[ $line == $pattern ]]; then
                printf '%s\n' "$line"
                return 0
            fi
        done <"$log"
        read -r -t 0.05 <>"$folder/never" || true
    done
    fail "$1 was not told $pattern within 30 s"
}

# A field of a JSON line; good enough for names, texts and addresses without quotes in them.
field() {
    local rest="${2#*"\"$1\":\""}"
    printf '%s' "${rest%%\"*}"
}

# Starts somebody who is driven through JSON: say NAME LINE reaches them.
start_person() {
    local name="$1"
    shift
    mkfifo "$folder/$name.in"
    : >"$folder/$name.out"
    "$programs/peer" "$registry" --json --user "$name" --password-file "$folder/password" \
        --data-dir "$folder/$name" --listen 127.0.0.1:0 "$@" \
        <"$folder/$name.in" >"$folder/$name.out" 2>"$folder/$name.log" &
    pids+=($!)
    exec {descriptor}>"$folder/$name.in"
    inputs[$name]=$descriptor
    wait_for "$name" '*"type":"signed_in"*' >/dev/null
}

say() {
    printf '%s\n' "$2" >&"${inputs[$1]}"
}

leave() {
    local descriptor="${inputs[$1]}"
    say "$1" /quit
    wait_for "$1" '*"type":"bye"*' >/dev/null
    exec {descriptor}>&-
    rm "$folder/$1.in"
}

# Checks that somebody was told a text, and prints it as a line of the transcript.
heard() {
    local line
    line="$(wait_for "$1" "*\"type\":\"message\"*\"text\":\"$2\"*")"
    printf '%-7s hears  %-9s <%s> %s\n' "$1" "$(field conversation "$line")" "$(field from "$line")" "$2"
}

declare -A inputs=()
echo "Building …" >&2
cargo build --quiet --locked --package registry --package peer

mkfifo "$folder/never"
printf 'demo-%s%s%s\n' "$RANDOM" "$RANDOM" "$RANDOM" >"$folder/password"
: >"$folder/registry.out"
"$programs/registry" --json --listen 127.0.0.1:0 --data-dir "$folder/registry" --set passwords.bcrypt_cost=6 \
    >"$folder/registry.out" 2>"$folder/registry.log" &
pids+=($!)
ready="$(wait_for registry '*"type":"ready"*')"
registry="$(field listen "$ready")#$(field realm "$ready")"

start_person bob --register
start_person carol --register

if [[ $headless == yes ]]; then
    start_person alice --register
    echo "A registry and three people: alice, bob and carol."
    say alice '/create #demo --topic Everything works'
    wait_for alice '*"type":"joined"*"#demo"*' >/dev/null
    for name in bob carol; do
        say "$name" '/join #demo'
        wait_for "$name" "*\"type\":\"joined\"*\"user\":\"$name\"*" >/dev/null
    done
    say alice 'hello, both of you'
    heard bob 'hello, both of you'
    heard carol 'hello, both of you'
    say bob '/msg alice just between us'
    heard alice 'just between us'
    say alice '/create #secret --private'
    wait_for alice '*"type":"created"*"#secret"*' >/dev/null
    say alice '/invite carol'
    wait_for carol '*"type":"invited"*"#secret"*' >/dev/null
    say carol '/accept #secret'
    wait_for carol '*"type":"joined"*"#secret"*"user":"carol"*' >/dev/null
    say carol 'only members read this'
    heard alice 'only members read this'
    say bob '/join #secret'
    wait_for bob '*"type":"error"*"code":"not_invited"*' >/dev/null
    echo "bob     was not let into #secret"
    leave bob
    wait_for alice '*"type":"presence"*"user":"bob"*"online":false*' >/dev/null
    say carol '#demo bob will read this later'
    heard alice 'bob will read this later'
    wait_for carol '*"type":"delivery"*"state":"queued"*"to":"bob"*' >/dev/null
    start_person bob
    heard bob 'bob will read this later'
    wait_for carol '*"type":"delivery"*"state":"delivered"*"to":"bob"*"done":2*' >/dev/null
    echo "carol   sees that both others have it"
    if grep -q 'only members read this' "$folder/bob.out"; then
        fail "bob read what was said in #secret"
    fi
    for name in alice bob carol; do leave "$name"; done
    echo "Everything went as it should."
    exit 0
fi

say bob '/create #lobby --topic Say hello'
wait_for bob '*"type":"joined"*"#lobby"*' >/dev/null
say carol '/join #lobby'
wait_for carol '*"type":"joined"*"user":"carol"*' >/dev/null

# Somebody who answers whatever is said to them, until the demo ends.
answer() {
    local name="$1" line text answers=("$2" "$3" "$4") count=0
    while true; do
        if ! IFS= read -r line; then
            read -r -t 0.1 <>"$folder/never" || true
            continue
        fi
        [[ $line == *'"own":false'* && $line == *'"from":"guest"'* ]] || continue
        text="${answers[count++ % 3]}"
        if [[ $line == *'"conversation":"@guest"'* ]]; then
            say "$name" "/msg guest (privately) $text"
        else
            say "$name" "#lobby $text"
        fi
    done <"$folder/$name.out"
}
answer bob 'hello, guest! /who shows who is here' 'you can write to me alone: @bob psst' 'try /create #mine --private' &
pids+=($!)
answer carol 'nice to see you' 'every ✓ means: on the disk of whoever has it' 'Ctrl-D or /quit leaves' &
pids+=($!)

echo "You are guest, in #lobby with bob and carol. Type something; /help helps, /quit leaves." >&2
status=0
"$programs/peer" "$registry" --user guest --register --password-file "$folder/password" \
    --data-dir "$folder/guest" --listen 127.0.0.1:0 --set join=#lobby || status=$?
exit "$status"
