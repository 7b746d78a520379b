//! Rule: a link in a Markdown page to a file of this repository leads somewhere.

use super::Finding;
use crate::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in workspace.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (index, line) in page.text.lines().enumerate() {
            for target in targets(line).filter(|target| !leads_somewhere(workspace, &page.path, target)) {
                findings.push(Finding::new(
                    &page.path,
                    index + 1,
                    "links",
                    format!("`{target}` does not exist"),
                ));
            }
        }
    }
    findings
}

/// Returns the targets of links and pictures that are files, without their anchors.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let behind = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = behind.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    files.filter_map(|target| target.split('#').next()).filter(|target| !target.is_empty())
}

fn leads_somewhere(workspace: &Workspace, page: &str, target: &str) -> bool {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." if parts.pop().is_none() => return false,
            ".." => {}
            name => parts.push(name),
        }
    }
    let path = parts.join("/");
    let folder = format!("{path}/");
    workspace.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    #[test]
    fn a_link_into_the_void_is_found() {
        let files = |text| [("README.md", text), ("docs/errors/a.md", "[up](../../README.md#try-it)")];
        check_rule(
            check,
            &files("[a](docs/errors/a.md), [b](docs/errors), [c](https://example.com), [d](#e)"),
            &[],
        );
        check_rule(check, &files("\n[a](docs/b.md) ![c](c.svg)"), &["2: `docs/b.md`", "2: `c.svg`"]);
        check_rule(check, &files("[a](../a.md)"), &["1: `../a.md`"]);
    }
}
