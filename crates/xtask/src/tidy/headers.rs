//! Rule: the first line of a Rust file says what the file is for.

use super::Finding;
use crate::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let rust = workspace.files.iter().filter(|file| file.path.ends_with(".rs"));
    rust.filter(|file| !file.text.lines().next().is_some_and(has_words))
        .map(|file| {
            Finding::new(
                &file.path,
                1,
                "headers",
                "begin the file with `//!`: what it is for, what it must not do",
            )
        })
        .collect()
}

fn has_words(line: &str) -> bool {
    line.strip_prefix("//!").is_some_and(|words| words.trim().len() > 3)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    #[test]
    fn a_file_without_a_purpose_is_found() {
        check_rule(check, &[("crates/a/src/lib.rs", "//! Does this and not that.\n")], &[]);
        check_rule(check, &[("crates/a/src/lib.rs", "use a::b;\n")], &["1: begin the file"]);
        check_rule(check, &[("crates/a/src/lib.rs", "//!\n//! Late.\n")], &["1: begin the file"]);
        check_rule(check, &[("crates/a/src/lib.rs", "")], &["1: begin the file"]);
    }
}
