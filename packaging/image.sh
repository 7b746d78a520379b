#!/usr/bin/env bash
# Makes the container image, and beside it the list of what is in it (SBOM).
# Usage: packaging/image.sh BINARY FOLDER [NAME]; `make image` calls it. DOCKER_HOST names the engine.
set -euo pipefail
binary=$(realpath "${1:?usage: packaging/image.sh BINARY FOLDER [NAME]}")
mkdir -p "${2:?usage: packaging/image.sh BINARY FOLDER [NAME]}"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
version=$("$binary" --version | cut -d ' ' -f 2)
name=${3:-fraiseql:$version}
docker version >/dev/null 2>&1 || { echo "image: no engine answers docker; start one, or set DOCKER_HOST" >&2; exit 1; }
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

install -D -m 755 "$binary" "$root/usr/bin/fraiseql"
strip "$root/usr/bin/fraiseql"
libraries=$(ldd "$binary" | grep -o '/[^ ]*')
packages=
for library in $libraries; do
    # The loader looks for itself and for the others where they are found here.
    install -D -m 755 "$(realpath "$library")" "$root$library"
    # Packages name their files with and without /usr.
    package=$(for path in "$library" "$(realpath "$library")"; do
        dpkg-query --search "$path" 2>/dev/null || true
    done | head -n 1 | cut -d : -f 1)
    packages="$packages ${package:?"$library belongs to no package"}"
done
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$root/run/fraiseql" "$root/srv/project" "$root/tmp" "$root/usr/share/doc/fraiseql"
chmod 1777 "$root/tmp"
echo 'fraiseql:x:65532:65532:FraiseQL:/nonexistent:/sbin/nologin' >"$root/etc/passwd"
echo 'fraiseql:x:65532:' >"$root/etc/group"
# Names are asked for in /etc/hosts first.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp LICENSE-* "$root/usr/share/doc/fraiseql/"
# shellcheck disable=SC2086
python3 packaging/sbom.py Cargo.lock "$version" "$root/usr/bin/fraiseql" $packages ca-certificates \
    >"$root/usr/share/doc/fraiseql/fraiseql.cdx.json"
find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
cp packaging/image/Dockerfile "$work/Dockerfile"

# One layer more or less is no matter here; the builder that needs no plugin is.
DOCKER_BUILDKIT=0 docker build --quiet --tag "$name" --label "org.opencontainers.image.version=$version" \
    --label org.opencontainers.image.title=fraiseql --label org.opencontainers.image.licenses='MIT OR Apache-2.0' \
    "$work" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
cp "$root/usr/share/doc/fraiseql/fraiseql.cdx.json" "$out/fraiseql-image_$version.cdx.json"
printf 'image: %s, %d MB\n' "$name" "$(($(docker image inspect --format '{{.Size}}' "$name") / 1000000))"
