#!/usr/bin/env bash
# Checks the Ansible role with ansible-lint, then runs it against a fresh host with systemd, over ssh.
# Usage, as root: packaging/ansible-test.sh PACKAGE.deb; `make ansible-test` calls it.
set -euo pipefail
package=$(realpath "${1:?usage: packaging/ansible-test.sh PACKAGE.deb}")
cd "$(dirname "$0")/.."
# shellcheck source=packaging/host.sh
. packaging/host.sh
need_host bc curl haproxy sshd rsyslogd
/usr/bin/python3 -c 'import apt' 2>/dev/null || apt-get install -y -q --no-install-recommends python3-apt >/dev/null ||
    left_out "there is no python3-apt"

ansible=${XDG_CACHE_HOME:-$HOME/.cache}/fraiseql/ansible-2.19
if ! [ -d "$ansible" ]; then
    say "fetching ansible-core and ansible-lint with pip into $ansible"
    rm -rf "$ansible.part"
    python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$ansible.part" \
        ansible-core==2.19.14 ansible-lint==26.10.1 || left_out "pip cannot fetch Ansible"
    mv "$ansible.part" "$ansible"
fi
mkdir "$work/home"
with_ansible() {
    (cd packaging/ansible && HOME=$work/home PYTHONPATH=$ansible PATH=$ansible/bin:$PATH ANSIBLE_CONFIG=ansible.cfg \
        NO_COLOR=1 "$@")
}
with_ansible ansible-lint --offline --strict >"$work/lint.log" 2>&1 || { cat "$work/lint.log" >&2; exit 1; }
say "$(grep -m 1 Passed "$work/lint.log")"

# A key for this host and this run; its own host key is known beforehand.
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
install -d -m 700 "$root/root/.ssh"
install -m 600 "$work/key.pub" "$root/root/.ssh/authorized_keys"
rm -f "$root"/etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f "$root/etc/ssh/ssh_host_ed25519_key"
echo "127.0.0.1 $(cut -d ' ' -f 1,2 "$root/etc/ssh/ssh_host_ed25519_key.pub")" >"$work/known_hosts"
cp -r examples/chinook "$root/srv/chinook"
start_host
inside systemctl start ssh
inside_database /srv/chinook/chinook.sql

mkdir "$work/project"
cp examples/chinook/schema.graphql examples/chinook/fraiseql.toml "$work/project"
cat >"$work/inventory.yml" <<INVENTORY
fraiseql:
  hosts:
    127.0.0.1:
  vars:
    ansible_user: root
    ansible_ssh_private_key_file: $work/key
    ansible_ssh_common_args: -F none -o UserKnownHostsFile=$work/known_hosts -o StrictHostKeyChecking=yes
    fraiseql_package: $package
    fraiseql_project: $work/project
    fraiseql_environment:
      DATABASE_URL: postgres://fraiseql@/shop?host=/run/postgresql
    fraiseql_deploy_arguments: [--strategy, rolling, --bake, 0s]
    fraiseql_memory_max: 1G
    fraiseql_logs_target: 127.0.0.1:5140
INVENTORY
# Whoever collects the log.
inside python3 -c '
import socket, sys
server = socket.create_server(("127.0.0.1", 5140))
while True:
    lines = server.accept()[0].makefile("rb")
    for line in lines:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
' >"$work/collected" &
collector=$!

# In the host's network, and nothing else of it.
play() {
    local end
    with_ansible nsenter --target "$(leader)" --net -- ansible-playbook --inventory "$work/inventory.yml" playbook.yml "$@" \
        >"$work/play.log" 2>&1 || { cat "$work/play.log" >&2; exit 1; }
    changed=$(sed -n 's/^127.0.0.1 .*changed=\([0-9]*\) .*/\1/p' "$work/play.log")
    end=$(grep -A 1 '^PLAY RECAP' "$work/play.log" | tail -n 1)
    say "played${*:+ ($*)}: ${end#*: }"
}
unchanged() {
    [ "$changed" = 0 ] && return
    grep -B 3 '^changed:' "$work/play.log" >&2 || true
    say "$changed tasks have changed something, and none should have"
    exit 1
}
answer() {
    inside curl -fsS -m 5 http://127.0.0.1/graphql -H 'content-type: application/json' \
        -d '{"query":"{ artist(artistId: 1) { name } }"}'
}
serves() { [ "$(answer)" = '{"data":{"artist":{"name":"AC/DC"}}}' ]; }

play
[ "$changed" -gt 0 ] || { say "the first run changed nothing"; exit 1; }
until_true "a query goes through HAProxy" serves
play
unchanged
play --check
unchanged
[ "$(inside systemctl show -P MemoryMax fraiseql-agent)" = 1073741824 ] || { say "no memory limit"; exit 1; }
[ "$(inside curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/metrics)" = 403 ] || { say "/metrics is open"; exit 1; }

# Another setting and another project: asked all the while, by a client that comes through HAProxy.
load() {
    local count=0 failed=0
    while [ ! -e "$work/stop" ]; do
        count=$((count + 1))
        serves || failed=$((failed + 1))
    done
    echo "$count $failed" >"$work/seen"
}
load &
loading=$!
sed -i 's/^type Artist /"Who plays."\ntype Artist /' "$work/project/schema.graphql"
before=$(inside fraiseql status -C /var/lib/fraiseql/project --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["service"]["stable"])')
play --extra-vars '{"fraiseql_memory_max": "900M"}'
after=$(inside fraiseql status -C /var/lib/fraiseql/project --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["service"]["stable"])')
[ "$before" != "$after" ] || { say "the other project does not serve"; exit 1; }
play --extra-vars '{"fraiseql_memory_max": "900M"}'
unchanged
touch "$work/stop"
wait "$loading"
read -r count failed <"$work/seen"
[ "$failed" = 0 ] || { say "$failed of $count requests failed meanwhile"; exit 1; }
say "another setting and another release, under load through HAProxy: $count requests, 0 failed"

collected() { grep -q '"url.path":"/graphql"' "$work/collected" && grep -q "looks after" "$work/collected"; }
until_true "lines of instances and agent are collected" collected
python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$work/collected"
kill "$collector"
say "$(wc -l <"$work/collected") lines of JSON are collected"
