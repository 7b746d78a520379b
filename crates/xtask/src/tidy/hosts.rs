//! Rule: no registry's host name and no path of one machine stands in the tree.
//!
//! A registry is chosen by the user's own configuration of cargo, apt, npm or pip. Lock files name
//! their registry as an identity, not as a place to fetch from.

use super::Finding;
use crate::workspace::Workspace;

/// Written in halves so that this file passes its own rule.
const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("deb.", "debian.org"),
    concat!("proxy.", "golang.org"),
    concat!("static.", "rust-lang.org"),
    concat!("hub.", "docker.com"),
    concat!("ghcr", ".io"),
    concat!("quay", ".io"),
];

const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in workspace.files.iter().filter(|file| !is_lock(&file.path)) {
        for (index, line) in file.text.lines().enumerate() {
            let host = HOSTS.iter().find(|host| line.contains(**host));
            let place = MACHINE_PATHS.iter().find(|path| begins_somewhere(line, path));
            let message = match (host, place) {
                (Some(host), _) => format!("the registry `{host}`: name the package, not the host"),
                (None, Some(path)) => format!("`{path}` is a path of one machine"),
                (None, None) => continue,
            };
            findings.push(Finding::new(&file.path, index + 1, "hosts", message));
        }
    }
    findings
}

fn is_lock(path: &str) -> bool {
    path.ends_with("Cargo.lock") || path.ends_with("package-lock.json")
}

/// Returns true when `path` stands in `line` as an absolute path, not as the middle of another one.
fn begins_somewhere(line: &str, path: &str) -> bool {
    line.match_indices(path)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || ".-_*}".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_rule;

    #[test]
    fn hosts_and_machine_paths_are_found() {
        let host = format!("fetch it from {}", HOSTS[0]);
        check_rule(check, &[("README.md", &host)], &["1: the registry"]);
        check_rule(check, &[("Cargo.lock", &host)], &[]);
        let path = format!("ok\nls \"{}main\"", MACHINE_PATHS[0]);
        check_rule(check, &[("scripts/setup.sh", &path)], &["2: `"]);
        check_rule(check, &[("docs/a.md", &format!("see net{}main", MACHINE_PATHS[0]))], &[]);
    }
}
