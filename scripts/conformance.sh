#!/bin/sh
# Compares FraiseQL with graphql-js and with graphql-http's audit. `make conformance` calls it.
#
#   conformance.sh BINARY          fails where what is committed, or what is served, differs
#   conformance.sh BINARY --write  writes the corpora anew, then does the same
set -eu
cd "$(dirname "$0")/.."
binary=${1:?usage: conformance.sh BINARY [--write]}
mode=${2:---check}

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    echo "conformance: installing with apt: nodejs npm" >&2
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -q >&2
    $root apt-get install -y -q --no-install-recommends nodejs npm >&2
fi

work=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

failed=
(cd conformance && npm ci --silent --no-audit --no-fund)
for corpus in corpus introspection variables; do
    (cd conformance && node "$corpus.mjs" "$mode") || failed=yes
done

# Serves a copy of the project $1 on the port $2 and compares; $3 may be --audit.
check_served() {
    cp -R "examples/$1" "$work/$1"
    "$binary" up "$work/$1" --port "$2" >"$work/$1.log" 2>&1 &
    server=$!
    tries=0
    until curl -fs "http://127.0.0.1:$2/health/ready" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ] || ! kill -0 "$server" 2>/dev/null; then
            cat "$work/$1.log" >&2
            echo "conformance: $1 does not start" >&2
            exit 1
        fi
        sleep 0.2
    done
    "$binary" schema print "$work/$1" >"$work/$1.graphql"
    (cd conformance && node live.mjs "http://127.0.0.1:$2/graphql" "$work/$1.graphql" ${3:+"$3"}) || failed=yes
    kill "$server"
    wait "$server" || true
    server=
}

check_served chinook 4611 --audit
check_served guide 4612

if [ -n "$failed" ]; then
    echo "conformance: failed" >&2
    exit 1
fi
