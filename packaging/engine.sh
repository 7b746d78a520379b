# shellcheck shell=bash
# For tests: a container engine of our own, in a network namespace of its own, that leaves nothing behind.
# To be sourced; start_engine FOLDER sets DOCKER_HOST and $engine (its process), stop_engine ends both.

# Says why there can be none, or nothing.
engine_lacks() {
    [ "$(id -u)" = 0 ] || { echo "a container engine needs root"; return; }
    if ! command -v dockerd >/dev/null; then
        apt-get install -y -q --no-install-recommends docker.io >/dev/null 2>&1 || { echo "there is no dockerd"; return; }
    fi
    local tool
    for tool in docker iptables ip nsenter unshare; do
        command -v "$tool" >/dev/null || { echo "there is no $tool"; return; }
    done
}

start_engine() {
    local folder=$1 end=$((SECONDS + 60))
    export DOCKER_HOST=unix://$folder/docker.sock DOCKER_CONFIG=$folder/config
    mkdir -p "$DOCKER_CONFIG"
    # shellcheck disable=SC2016
    unshare --net sh -c 'ip link set lo up && exec dockerd --host "$0" --data-root "$1/data" --exec-root "$1/exec" \
        --pidfile "$1/pid" --storage-driver overlay2' "$DOCKER_HOST" "$folder" >"$folder/engine.log" 2>&1 &
    engine=$!
    until docker version >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ] || ! kill -0 "$engine" 2>/dev/null; then
            tail -n 5 "$folder/engine.log" >&2
            return 1
        fi
        sleep 0.1
    done
}

stop_engine() {
    kill -TERM "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
}
