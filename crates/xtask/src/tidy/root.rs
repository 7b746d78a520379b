//! Rule: a newcomer reads the root on one screen. Plans, audits and scratch files never enter it.

use std::collections::BTreeSet;

use super::Finding;
use crate::workspace::Workspace;

const NAMES: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "bench",
    "conformance",
    "clippy.toml",
    "conformance",
    "crates",
    "deny.toml",
    "docs",
    "examples",
    "rustfmt.toml",
    "packaging",
    "scripts",
];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let names: BTreeSet<&str> =
        workspace.files.iter().filter_map(|file| file.path.split('/').next()).collect();
    let strangers = names.into_iter().filter(|name| !NAMES.contains(name));
    strangers.map(|name| Finding::new(name, 1, "root", "not a name of the root's allow-list")).collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    #[test]
    fn a_stranger_in_the_root_is_found() {
        check_rule(check, &[("README.md", ""), ("crates/a/NOTES.md", "")], &[]);
        check_rule(
            check,
            &[("PLAN.md", ""), ("scratch/a.txt", ""), ("scratch/b.txt", "")],
            &["1: not a", "1: not a"],
        );
    }
}
