#!/usr/bin/env bash
# Makes the Debian package and the offline tarball, with their checksums and a list of what is in them (SBOM).
# Usage: packaging/deb.sh BINARY FOLDER; `make package` calls it.
set -euo pipefail
binary=${1:?usage: packaging/deb.sh BINARY FOLDER}
mkdir -p "${2:?usage: packaging/deb.sh BINARY FOLDER}"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
version=$("$binary" --version | cut -d ' ' -f 2)
arch=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
tree=$work/fraiseql_${version}_$arch
name=$(basename "$tree")

install -D -m 755 "$binary" "$tree/usr/bin/fraiseql"
strip "$tree/usr/bin/fraiseql"
# The deployment guide's commands, for the project of this machine.
for script in declare-incident page-oncall create-postmortem rollback-to-previous; do
    install -D -m 755 "packaging/debian/bin/$script" "$tree/usr/bin/$script"
done
mkdir -p "$tree/usr/share/man/man1" "$tree/usr/share/bash-completion/completions" \
    "$tree/usr/share/zsh/vendor-completions" "$tree/usr/share/fish/vendor_completions.d"
"$binary" man "$tree/usr/share/man/man1" >/dev/null 2>&1
gzip -9n "$tree"/usr/share/man/man1/*.1
"$binary" completions bash >"$tree/usr/share/bash-completion/completions/fraiseql"
"$binary" completions zsh >"$tree/usr/share/zsh/vendor-completions/_fraiseql"
"$binary" completions fish >"$tree/usr/share/fish/vendor_completions.d/fraiseql.fish"
for unit in packaging/systemd/*; do
    install -D -m 644 "$unit" "$tree/lib/systemd/system/$(basename "$unit")"
done
install -D -m 644 packaging/debian/sysusers.conf "$tree/usr/lib/sysusers.d/fraiseql.conf"
install -D -m 644 packaging/debian/default "$tree/etc/default/fraiseql"
mkdir -p "$tree/usr/share/doc/fraiseql"
cp LICENSE-* README.md "$tree/usr/share/doc/fraiseql/"
python3 packaging/sbom.py Cargo.lock "$version" "$tree/usr/bin/fraiseql" >"$tree/usr/share/doc/fraiseql/fraiseql.cdx.json"
cat >"$tree/usr/share/doc/fraiseql/copyright" <<COPYRIGHT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: fraiseql

Files: *
Copyright: the authors of FraiseQL
License: MIT or Apache-2.0
 The texts are beside this file. The libraries in the program and their licences are in fraiseql.cdx.json.
COPYRIGHT
printf 'fraiseql (%s) stable; urgency=medium\n\n  * Release %s.\n\n -- FraiseQL <packages@fraiseql.invalid>  %s\n' \
    "$version" "$version" "$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}")" |
    gzip -9n >"$tree/usr/share/doc/fraiseql/changelog.gz"
find "$tree" -type d -exec chmod 755 {} +
find "$tree" -type f ! -path '*/usr/bin/*' -exec chmod 644 {} +

# The tarball has the same files and no scripts of dpkg.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
tar --create --gzip --file "$out/$name.tar.gz" --directory "$work" --owner 0 --group 0 --numeric-owner \
    --sort name --mtime "@$SOURCE_DATE_EPOCH" "$name"

mkdir -p "$tree/DEBIAN" "$work/debian"
# What the program is linked against, in the words of this system's packages.
printf 'Source: fraiseql\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O --warnings=0 "$tree/usr/bin/fraiseql" | sed -n 's/^shlibs:Depends=//p')
cat >"$tree/DEBIAN/control" <<CONTROL
Package: fraiseql
Version: $version
Architecture: $arch
Maintainer: FraiseQL <packages@fraiseql.invalid>
Section: net
Priority: optional
Installed-Size: $(du -sk "$tree" | cut -f 1)
Depends: $depends, ca-certificates, systemd (>= 250)
Recommends: postgresql-client
Suggests: postgresql, haproxy, redis-server, prometheus
Description: GraphQL on PostgreSQL, compiled to SQL
 Compiles a GraphQL schema to SQL, serves it, and carries the service's
 production life: rollouts that undo themselves, migrations without
 downtime, backups and restore to a point in time, secrets, alerts.
CONTROL
echo /etc/default/fraiseql >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "packaging/debian/$script" "$tree/DEBIAN/$script"
done
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/$name.deb" >/dev/null
cp "$tree/usr/share/doc/fraiseql/fraiseql.cdx.json" "$out/$name.cdx.json"
(cd "$out" && sha256sum "$name.deb" "$name.tar.gz" "$name.cdx.json" >SHA256SUMS)
(cd "$out" && ls -sh "$name.deb" "$name.tar.gz" && cat SHA256SUMS)
