//! Rule: one integration-test binary for each crate, `tests/it/main.rs`. Each further one links everything again.

use super::Finding;
use crate::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in workspace.files.iter().filter(|file| file.path.starts_with("crates/")) {
        let parts: Vec<&str> = file.path.split('/').collect();
        let is_binary = match parts.as_slice() {
            ["crates", _, "tests", name] => name.ends_with(".rs"),
            ["crates", _, "tests", "it", "main.rs"] => false,
            ["crates", _, "tests", _, "main.rs"] => true,
            ["crates", _, "Cargo.toml"] => file.text.lines().any(|line| line.trim() == "[[test]]"),
            _ => false,
        };
        if is_binary {
            findings.push(Finding::new(
                &file.path,
                1,
                "integration",
                "make it a module of `tests/it/main.rs`",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    #[test]
    fn a_second_test_binary_is_found() {
        check_rule(check, &[("crates/a/tests/it/main.rs", ""), ("crates/a/tests/it/filters.rs", "")], &[]);
        check_rule(check, &[("crates/a/tests/filters.rs", "")], &["1: make it a module"]);
        check_rule(check, &[("crates/a/tests/more/main.rs", "")], &["1: make it a module"]);
        check_rule(
            check,
            &[("crates/a/Cargo.toml", "[package]\n[[test]]\nname = \"b\"")],
            &["1: make it a module"],
        );
    }
}
