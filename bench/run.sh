#!/usr/bin/env bash
# Builds for release, installs what the measuring needs, and measures. `make bench` calls it.
# BENCH=row,row chooses rows; ROUNDS and SECONDS_EACH change the size; HOURS the load of the row `memory`.
# FRAISEQL_BIN names a binary to measure instead of building one.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

say() { printf 'bench: %s\n' "$*" >&2; }

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
for tool in wrk psql python3; do
    command -v "$tool" >/dev/null && continue
    package=$tool
    [ "$tool" = psql ] && package=postgresql-client
    say "installing $package with apt"
    $as_root apt-get install -y -q --no-install-recommends "$package" >/dev/null
done
pgbench=$(command -v pgbench || find /usr/lib/postgresql -name pgbench | sort -V | tail -n 1)
[ -n "$pgbench" ] || { say "pgbench is missing: apt-get install postgresql"; exit 1; }
if [ -z "${FRAISEQL_BIN:-}" ]; then
    say "building for release (minutes the first time)"
    cargo build --quiet --release --package fraiseql
    FRAISEQL_BIN=$target/release/fraiseql
    FRAISEQL_COLD=$(cargo bench --no-run --package fraiseql-engine --bench cold 2>&1 |
        sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
    export FRAISEQL_COLD
fi
export BENCH_CACHE=${BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fraiseql/bench}
mkdir -p "$BENCH_CACHE"
exec python3 -B bench/run.py "$FRAISEQL_BIN" "$pgbench"
