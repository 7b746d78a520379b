#!/usr/bin/env bash
# Walks a fresh host with systemd through the life of the package: install, deploy, query, upgrade, reboot, removal.
# Usage, as root: packaging/host-test.sh PACKAGE.deb; `make package-test` calls it. The host is a container of
# systemd-nspawn on an overlay of this machine, without a network but its own loopback.
set -euo pipefail
package=$(realpath "${1:?usage: packaging/host-test.sh PACKAGE.deb}")
cd "$(dirname "$0")/.."

# shellcheck source=packaging/host.sh
. packaging/host.sh
need_host bc curl
cp "$package" "$root/srv/package/fraiseql.deb"
cp -r examples/chinook "$root/srv/chinook"
start_host
answer() {
    inside curl -fsS -m 5 http://127.0.0.1:4000/graphql -H 'content-type: application/json' \
        -d '{"query":"{ artist(artistId: 1) { name } }"}'
}
serves() { [ "$(answer)" = '{"data":{"artist":{"name":"AC/DC"}}}' ]; }
as_service() { inside setpriv --reuid=fraiseql --regid=fraiseql --init-groups env HOME=/var/lib/fraiseql "$@"; }

inside dpkg --install /srv/package/fraiseql.deb >"$work/install.log" 2>&1 || { cat "$work/install.log" >&2; exit 1; }
say "installed $(inside fraiseql --version)"
inside systemd-analyze security fraiseql-agent.service --no-pager | tail -n 1 >&2
inside systemd-analyze security fraiseql.service --no-pager | tail -n 1 >&2

inside_database /srv/chinook/chinook.sql
inside install -o fraiseql -g fraiseql -m 640 /srv/chinook/schema.graphql /srv/chinook/fraiseql.toml \
    -t /var/lib/fraiseql/project
# The server's user comes in by the socket: there is no password.
inside sh -c 'echo "DATABASE_URL=postgres://fraiseql@/shop?host=/run/postgresql" >>/etc/default/fraiseql'
inside systemctl start fraiseql-agent
say "the agent is ready"
# What this host is not is waived, with a day on which that ends.
for check in cpus clock backup rate-limits approved tests; do
    as_service fraiseql preflight waive "$check" -C /var/lib/fraiseql/project --by host-test \
        --reason 'a host for a test' --until "$(date -u -d tomorrow +%F)" >/dev/null 2>>"$work/deploy.log"
done
as_service env DATABASE_URL='postgres://fraiseql@/shop?host=/run/postgresql' FRAISEQL_SERVER_PROFILE=production \
    fraiseql deploy /var/lib/fraiseql/project --yes --bake 0s >"$work/deploy.log" 2>&1 ||
    { cat "$work/deploy.log" >&2; exit 1; }
say "deployed"
until_true "a query goes through the proxy" serves

count=0
failed=0
load() {
    while [ ! -e "$work/stop" ]; do
        count=$((count + 1))
        serves || failed=$((failed + 1))
    done
    echo "$count $failed" >"$work/seen"
}
load &
loading=$!
before=$(inside systemctl show -P MainPID fraiseql-agent)
instances=$(inside pgrep -f 'program serve' | sort | tr '\n' ' ')
inside dpkg --install /srv/package/fraiseql.deb >/dev/null 2>&1
after=$(inside systemctl show -P MainPID fraiseql-agent)
[ "$before" != "$after" ] || { say "the upgrade did not replace the agent"; exit 1; }
[ "$instances" = "$(inside pgrep -f 'program serve' | sort | tr '\n' ' ')" ] || { say "the upgrade ended instances"; exit 1; }
inside kill -9 "$after"
until_true "an agent that was killed is back" inside systemctl is-active -q fraiseql-agent
touch "$work/stop"
wait "$loading"
read -r count failed <"$work/seen"
[ "$failed" = 0 ] || { say "$failed of $count requests failed during the upgrade"; exit 1; }
say "upgraded, and the agent killed, under load: $count requests, 0 failed"

inside systemctl --no-block reboot
until_true "the host is down" sh -c "! nsenter --target '$(leader)' --mount true"
until_true "the host is up again" up
until_true "it serves without a hand" serves

inside dpkg --remove fraiseql >/dev/null 2>&1
if inside pgrep -u fraiseql >/dev/null; then
    say "processes are left: $(inside pgrep -a -u fraiseql)"
    exit 1
fi
inside test -f /var/lib/fraiseql/project/fraiseql.toml
say "removed; nothing runs, the state stays"
