#!/usr/bin/env bash
# Measures a point query and a nested query of 50 KB, served by fraiseql, against pgbench running the
# very SQL that fraiseql sends. Interleaved rounds on one machine; prints medians, spread and ratios.
# ROUNDS, SECONDS_EACH and CONNECTIONS change the size; the defaults take about two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-5} connections=${CONNECTIONS:-8}
port=4100
target=${CARGO_TARGET_DIR:-target}

say() { printf 'bench: %s\n' "$*" >&2; }

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
command -v wrk >/dev/null || {
    say "installing wrk with apt"
    $as_root apt-get install -y -q --no-install-recommends wrk >/dev/null
}
pgbench=$(command -v pgbench || find /usr/lib/postgresql -name pgbench | sort -V | tail -n 1)
say "building for release"
cargo build --quiet --release --package fraiseql

# A folder of its own, outside of the clone and reachable by the server's user.
work=$(mktemp -d "${TMPDIR:-/tmp}/fraiseql-bench-XXXXXX")
chmod 755 "$work"
cp -r bench/blog "$work/blog"
"$target/release/fraiseql" up "$work/blog" >"$work/up.log" 2>&1 &
up=$!
stop() {
    kill "$up" 2>/dev/null || true
    wait "$up" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
for _ in $(seq 300); do
    curl -sf "localhost:$port/health/ready" >/dev/null && break
    kill -0 "$up" 2>/dev/null || { cat "$work/up.log" >&2; exit 1; }
    sleep 0.1
done
socket=$(sed -n 's/.*host=\([^&]*\)&.*/\1/p' "$work/blog/.fraiseql/embedded.json" | sed 's/%2F/\//g')
database() { psql -h "$socket" -U postgres -d app -X -A -t "$@"; }

# The statement that fraiseql runs for a query, with its parameters as pgbench variables.
statement() {
    local body
    body=$(printf '{"query":"%s","variables":{"id":77}}' "$1")
    curl -sf "localhost:$port/graphql" -H 'content-type: application/json' -d "$body" >"$work/answer.json"
    database -c "SELECT query FROM pg_stat_activity WHERE application_name = 'fraiseql' AND query LIKE 'SELECT row_to_json%' ORDER BY query_start DESC LIMIT 1" |
        sed -e "s/[\$]1/:id/g" -e "s/[\$]2/20/g"
}

query_of() { sed -n 's/^local query = "\(.*\)"$/\1/p' "bench/$1.lua"; }

fraiseql_rate() {
    wrk -t 1 -c "$connections" -d "${seconds}s" -s "bench/$1.lua" "http://localhost:$port" |
        awk '/Non-2xx/ { bad = 1 } /^Requests\/sec/ { rate = $2 } END { if (bad) exit 1; print rate }'
}
pgbench_rate() {
    "$pgbench" -h "$socket" -U postgres -n -M prepared -c "$connections" -j 1 -T "$seconds" -f "$work/$1.sql" app 2>/dev/null |
        awk '/^tps/ { print $3 }'
}
# Reads numbers; prints median, lowest and highest.
summary() { sort -n | awk '{ v[NR] = $1 } END { printf "%.0f %.0f %.0f\n", v[int((NR + 1) / 2)], v[1], v[NR] }'; }

server_cpu() { awk '{ print ($14 + $15) * 10 }' "/proc/$(pgrep -P "$up" -x fraiseql || echo "$up")/stat"; }

printf '%s, %s connections, %s rounds of %s s\n' "$(nproc) cores" "$connections" "$rounds" "$seconds"
printf '%-8s %10s %22s %22s %7s %s\n' query bytes 'fraiseql/s (range)' 'pgbench/s (range)' ratio 'server CPU us/request'
for kind in point nested; do
    sql=$(statement "$(query_of "$kind")")
    [ -n "$sql" ] || { say "no statement found for $kind"; exit 1; }
    top=10000
    [ "$kind" = point ] || top=9900
    printf '\\set id random(1, %s)\n%s;\n' "$top" "$sql" >"$work/$kind.sql"
    bytes=$(wc -c <"$work/answer.json")
    : >"$work/ours" && : >"$work/theirs"
    cpu=0
    requests=0
    for _ in $(seq "$rounds"); do
        before=$(server_cpu)
        rate=$(fraiseql_rate "$kind")
        cpu=$((cpu + $(server_cpu) - before))
        requests=$(awk -v r="$requests" -v n="$rate" -v s="$seconds" 'BEGIN { print r + n * s }')
        echo "$rate" >>"$work/ours"
        pgbench_rate "$kind" >>"$work/theirs"
    done
    read -r ours ours_low ours_high < <(summary <"$work/ours")
    read -r theirs theirs_low theirs_high < <(summary <"$work/theirs")
    awk -v k="$kind" -v b="$bytes" -v o="$ours" -v ol="$ours_low" -v oh="$ours_high" -v t="$theirs" \
        -v tl="$theirs_low" -v th="$theirs_high" -v c="$cpu" -v n="$requests" 'BEGIN {
            printf "%-8s %10d %22s %22s %7.2f %.0f\n", k, b, o " (" ol "-" oh ")", t " (" tl "-" th ")", o / t, c * 1000 / n
        }'
done
printf 'resident memory after the load: %s MiB\n' "$(awk '/VmRSS/ { printf "%.0f", $2 / 1024 }' "/proc/$up/status")"
