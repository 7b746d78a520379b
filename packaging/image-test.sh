#!/usr/bin/env bash
# Makes the image, runs it in a real engine as a cautious operator would, and prints its size, the time from start to
# ready, and its memory at idle. Usage, as root: packaging/image-test.sh BINARY; `make image-test` calls it.
set -euo pipefail
binary=$(realpath "${1:?usage: packaging/image-test.sh BINARY}")
cd "$(dirname "$0")/.."
# shellcheck source=packaging/engine.sh
. packaging/engine.sh

say() { printf 'image: %s\n' "$*" >&2; }
fail() {
    say "FAILED: $*"
    docker logs fraiseql 2>&1 | tail -n 20 >&2 || true
    exit 1
}
left_out() {
    say "LEFT OUT: $*"
    exit 0
}
lacks=$(engine_lacks)
[ -z "$lacks" ] || left_out "$lacks"
bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || left_out "there is no PostgreSQL"

size_mb_max=60
engine=
work=$(mktemp -d /var/tmp/fraiseql-image.XXXXXX)
chmod 755 "$work"
as_postgres() { runuser -u postgres -- "$@"; }
finish() {
    [ -z "$engine" ] || docker rm -f fraiseql >/dev/null 2>&1 || true
    as_postgres "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
    [ -z "$engine" ] || stop_engine
    rm -rf "$work"
}
trap finish EXIT

mkdir "$work/engine" "$work/run" "$work/project"
start_engine "$work/engine" || left_out "dockerd does not start here"
packaging/image.sh "$binary" "$work" fraiseql:test >/dev/null
size_mb=$(($(docker image inspect --format '{{.Size}}' fraiseql:test) / 1000000))
packed_mb=$(($(docker save fraiseql:test | gzip | wc -c) / 1000000))
[ "$size_mb" -lt "$size_mb_max" ] || fail "$size_mb MB are more than $size_mb_max"
crates=$(python3 -c 'import json, sys; print(len(json.load(sys.stdin)["components"]))' <"$work"/fraiseql-image_*.cdx.json)
say "size: $size_mb MB, $packed_mb MB packed; its SBOM lists $crates libraries"

# A database beside the engine, reached by its socket.
chown postgres "$work/run"
install -d -o postgres "$work/data"
as_postgres "$bin/initdb" -D "$work/data" -A trust -U postgres --no-sync >/dev/null
as_postgres "$bin/pg_ctl" -D "$work/data" -w -l "$work/run/log" \
    -o "-c listen_addresses='' -c unix_socket_directories=$work/run -c fsync=off" start >/dev/null
sql() { as_postgres "$bin/psql" -q -X -h "$work/run" -v ON_ERROR_STOP=1 "$@"; }
sql -c 'CREATE ROLE fraiseql LOGIN' -c 'CREATE DATABASE shop'
sql -d shop <examples/chinook/chinook.sql >/dev/null
sql -d shop -c 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO fraiseql'
cp examples/chinook/schema.graphql examples/chinook/fraiseql.toml "$work/project"
DATABASE_URL="postgres://fraiseql@/shop?host=$work/run" "$binary" compile "$work/project" >/dev/null 2>&1

# How a cautious operator runs it: nothing may be written but /run/fraiseql, and nobody becomes anybody else.
run() {
    docker run --name fraiseql --detach --read-only --tmpfs /run/fraiseql:uid=65532,mode=0700,size=1m \
        --cap-drop ALL --security-opt no-new-privileges --pids-limit 64 --memory 96m --memory-swap 96m --cpus 1 \
        --health-interval 1s --volume "$work/project:/srv/project:ro" --volume "$work/run:/run/postgresql" \
        --env DATABASE_URL='postgres://fraiseql@/shop?host=/run/postgresql' "$@" fraiseql:test >/dev/null
}
in_network() { nsenter --target "$engine" --net -- "$@"; }
state() { docker inspect --format "{{$1}}" fraiseql; }
until_true() {
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "not within 60 s: $what"
        sleep 0.02
    done
}
ask() {
    in_network curl -fsS -m 30 "http://$address:4000/graphql" -H 'content-type: application/json' \
        -d '{"query":"{ artist(artistId: 1) { name } }"}'
}
serves() { [ "$(ask)" = '{"data":{"artist":{"name":"AC/DC"}}}' ]; }
ready() { in_network curl -fsS -m 2 "http://$address:4000/health/ready"; }
healthy() { [ "$(state .State.Health.Status)" = healthy ]; }
of_process() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$pid/status"; }

began=$(date +%s%N)
run
address=$(state .NetworkSettings.IPAddress)
until_true "ready" ready
ended=$(date +%s%N)
process=$(date -d "$(state .State.StartedAt)" +%s%N)
say "start to ready: $(((ended - process) / 1000000)) ms, with the engine's own work $(((ended - began) / 1000000)) ms"
serves || fail "another answer than expected: $(ask)"
until_true "the engine finds it healthy" healthy
say "serves; its health check passes"

pid=$(state .State.Pid)
sleep 3
say "memory at idle: $(of_process VmRSS) kB, $(of_process RssAnon) kB of them its own"
[ "$(of_process Uid)" = 65532 ] || fail "it runs as user $(of_process Uid)"
[ "$(of_process CapEff)" = 0000000000000000 ] || fail "it has capabilities: $(of_process CapEff)"
[ "$(of_process NoNewPrivs)" = 1 ] || fail "it can gain privileges"
for options in --read-only --read-only=false; do
    if docker run --rm "$options" fraiseql:test man /usr/share/doc >"$work/written" 2>&1; then
        fail "something was written into the image, with $options"
    fi
    grep -q FQ-IO "$work/written" || fail "it does not say that it cannot write: $(cat "$work/written")"
done
docker exec fraiseql /usr/bin/fraiseql mode show >"$work/mode" 2>&1 || fail "no word of its control socket: $(cat "$work/mode")"
say "user 65532, no capabilities, nothing can be written; fraiseql mode reaches it"

# The limit is the kernel's, and work under it is done.
limit=$(cat "/sys/fs/cgroup/memory/docker/$(state .Id)/memory.limit_in_bytes" 2>/dev/null ||
    cat "/sys/fs/cgroup/system.slice/docker-$(state .Id).scope/memory.max" 2>/dev/null || echo unknown)
for _ in 1 2 3 4; do
    (for _ in $(seq 100); do serves || echo failed; done) >>"$work/failed" &
    loads="${loads:-} $!"
done
# shellcheck disable=SC2086
wait $loads
[ ! -s "$work/failed" ] || fail "$(wc -l <"$work/failed") of 400 requests failed under a memory limit"
[ "$(state .State.OOMKilled)" = false ] || fail "it was killed for its memory"
say "memory limit: 96 MB asked for, $limit bytes in the kernel; 400 requests, 0 failed, at most $(of_process VmHWM) kB"

# A request that waits for a lock when the stop comes is answered; then the end is a good one.
sql -d shop -c 'BEGIN' -c 'LOCK TABLE artist' -c 'SELECT pg_sleep(3)' -c 'COMMIT' >/dev/null &
locker=$!
until_true "the table is locked" sh -c "[ \"\$(runuser -u postgres -- '$bin/psql' -XAt -h '$work/run' -d shop \
    -c \"SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'artist'::regclass\")\" = 1 ]"
ask >"$work/answer" &
asker=$!
until_true "a request waits" sh -c "[ \"\$(runuser -u postgres -- '$bin/psql' -XAt -h '$work/run' -d shop \
    -c 'SELECT count(*) FROM pg_locks WHERE NOT granted')\" = 1 ]"
began=$(date +%s%N)
docker stop --time 30 fraiseql >/dev/null
stopped=$((($(date +%s%N) - began) / 1000000))
wait "$asker" || fail "the request that ran when the stop came was not answered"
wait "$locker"
[ "$(cat "$work/answer")" = '{"data":{"artist":{"name":"AC/DC"}}}' ] || fail "it was answered with $(cat "$work/answer")"
[ "$(state .State.ExitCode)" = 0 ] || fail "it ended with $(state .State.ExitCode)"
say "drain: stopped in $stopped ms while a request waited 3 s for a lock; it was answered, the exit code is 0"

# Told apart: a server that does not answer is unhealthy.
docker rm -f fraiseql >/dev/null
run --health-retries 1 --health-start-period 1s --env FRAISEQL_SERVER_PORT=4001
unhealthy() { [ "$(state .State.Health.Status)" = unhealthy ]; }
until_true "the engine finds a server that does not answer there unhealthy" unhealthy
say "the health check fails where nobody answers"
