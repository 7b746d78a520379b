#!/bin/sh
# Runs every check that this machine has the tool for, and says which were left out.
# `make lint` calls it. With --install it first installs cargo-deny with cargo.
set -eu
cd "$(dirname "$0")/.."

failed=

check() {
    printf 'lint: %s\n' "$*" >&2
    "$@" || failed="$failed $1-$2"
}

skip() {
    printf 'lint: left out: %s is not installed\n' "$1" >&2
}

if [ "${1:-}" = --install ] && ! cargo deny --version >/dev/null 2>&1; then
    cargo install --locked cargo-deny
fi

if cargo fmt --version >/dev/null 2>&1; then
    check cargo fmt --all --check
else
    skip rustfmt
fi

check cargo xtask tidy

if cargo clippy --version >/dev/null 2>&1; then
    check cargo clippy --workspace --all-targets --quiet -- -D warnings
else
    skip clippy
fi

if cargo deny --version >/dev/null 2>&1; then
    check cargo deny --log-level error check bans licenses sources
    check cargo deny --log-level error check advisories
else
    skip "cargo-deny (scripts/lint.sh --install installs it)"
fi

if command -v shellcheck >/dev/null 2>&1; then
    # Every script of ours, whatever its name.
    git ls-files -co --exclude-standard scripts bench .ci examples |
        while read -r file; do head -n 1 "$file" | grep -qE '^#!.*(ba)?sh$' && echo "$file"; done |
        { xargs -r shellcheck || false; } || failed="$failed shellcheck"
else
    skip shellcheck
fi

if [ -n "$failed" ]; then
    printf 'lint: failed:%s\n' "$failed" >&2
    exit 1
fi
