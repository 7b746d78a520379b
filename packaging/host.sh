# shellcheck shell=bash
# For tests: a fresh host with systemd, a container of systemd-nspawn on an overlay of this machine, without a network but
# its own loopback. To be sourced by a script that runs as root: need_host TOOL..., put files below $root, start_host.

began=$(date +%s.%N)
say() { printf 'host: %6.1f s  %s\n' "$(echo "$(date +%s.%N) - $began" | bc)" "$*" >&2; }
left_out() {
    printf 'host: LEFT OUT: %s\n' "$*" >&2
    exit 0
}

# Prepares $root; says what is left out, and ends, where the machine lacks something.
need_host() {
    [ "$(id -u)" = 0 ] || left_out "a container with systemd needs root"
    local tool
    for tool in systemd-nspawn "$@"; do
        command -v "$tool" >/dev/null && continue
        case $tool in
        systemd-nspawn) name=systemd-container ;;
        sshd) name=openssh-server ;;
        rsyslogd) name=rsyslog ;;
        *) name=$tool ;;
        esac
        apt-get install -y -q --no-install-recommends "$name" >/dev/null || left_out "there is no $tool"
    done
    cluster=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -V | tail -n 1)
    [ -n "$cluster" ] || left_out "there is no PostgreSQL"
    nspawn=
    work=$(mktemp -d /var/tmp/fraiseql-host.XXXXXX)
    root=$work/root
    trap finish_host EXIT
    # Of its own: an overlay cannot lie on what it shows.
    mount -t tmpfs -o size=2g,mode=755 fraiseql-host "$work"
    mkdir "$work/upper" "$work/work" "$root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
    # What this machine runs is not what a fresh host runs.
    rm -rf "$root"/etc/systemd/system/multi-user.target.wants/* "$root"/var/lib/fraiseql "$root"/etc/machine-id
    rm -rf "$root"/etc/postgresql/* "$root"/var/lib/postgresql/*
    # It has no network to wait for.
    ln -s /dev/null "$root/etc/systemd/system/systemd-networkd-wait-online.service"
    mkdir -p "$root/srv/package"
}

finish_host() {
    [ -z "$nspawn" ] || kill -TERM "$nspawn" 2>/dev/null || true
    [ -z "$nspawn" ] || wait "$nspawn" 2>/dev/null || true
    ! mountpoint -q "$root" || umount -l "$root"
    ! mountpoint -q "$work" || umount -l "$work"
    rm -rf "$work"
}

start_host() {
    SYSTEMD_LOG_LEVEL=err systemd-nspawn --quiet --boot --directory="$root" --machine="fraiseql-$$" --register=no \
        --keep-unit --private-network --console=passive >"$work/console.log" 2>&1 &
    nspawn=$!
    until_true "the host is up" up
}

leader() { pgrep -P "$nspawn" | head -n 1; }
inside() { nsenter --target "$(leader)" --mount --uts --ipc --net --pid --cgroup -- "$@"; }
up() { inside systemctl is-active -q basic.target; }
# Not runuser: its modules wait for a login manager that a container may not have.
as_postgres() { inside setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
until_true() {
    local what=$1 end=$((SECONDS + 90))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            say "NOT within 90 s: $what"
            tail -n 5 "$work/console.log" >&2
            inside journalctl --no-pager -n 40 -u fraiseql-agent >&2 || true
            exit 1
        fi
        sleep 0.2
    done
    say "$what"
}

# PostgreSQL with a database `shop` that holds the SQL file, and a role for the service, which comes in by the socket.
inside_database() {
    inside pg_createcluster "$cluster" shop --port 5432 >/dev/null
    inside systemctl enable -q --now "postgresql@$cluster-shop" 2>/dev/null
    until_true "PostgreSQL $cluster answers" as_postgres psql -c 'SELECT 1'
    as_postgres psql -q -c 'CREATE ROLE fraiseql LOGIN' -c 'CREATE DATABASE shop'
    as_postgres psql -q -1 -d shop -f "$1" >/dev/null
    as_postgres psql -q -d shop \
        -c 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO fraiseql' \
        -c 'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO fraiseql'
}
