//! Rule: exceptions are `#[expect(..., reason = "...")]`, and no test is switched off.

use super::Finding;
use crate::rust_file::RustFile;
use crate::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    workspace.rust.iter().flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, name) in attribute_words(file) {
        let message = match name {
            "allow" => "write `#[expect(..., reason = \"...\")]`: it goes away when it is no longer needed",
            "ignore" => "a test that is switched off proves nothing: mend it or delete it",
            "expect" if !has_reason(file, index) => "give the `reason`",
            _ => continue,
        };
        findings.push(Finding::new(&file.path, file.tokens[index].line, "attributes", message));
    }
    findings
}

/// Returns the index and the word of each attribute's name, those inside `cfg_attr` included.
fn attribute_words(file: &RustFile) -> impl Iterator<Item = (usize, &str)> {
    let outer = file.find_anywhere(&["#", "["]).map(|at| at + 2);
    let inner = file.find_anywhere(&["#", "!", "["]).map(|at| at + 3);
    let starts: Vec<usize> = outer.chain(inner).collect();
    starts.into_iter().flat_map(|start| {
        let conditional = file.token(Some(start)) == "cfg_attr";
        let end = if conditional { end_of_group(file, start + 1) } else { start + 1 };
        (start..end).map(|index| (index, file.token(Some(index))))
    })
}

fn has_reason(file: &RustFile, expect: usize) -> bool {
    (expect + 1..end_of_group(file, expect + 1)).any(|index| file.token(Some(index)) == "reason")
}

/// Returns the index behind the bracket that closes the one at `open`, or `open` when there is none.
fn end_of_group(file: &RustFile, open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in file.tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return if index == open { open } else { index + 1 };
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    #[track_caller]
    fn check_text(text: &str, expected: &[&str]) {
        check_rule(check, &[("crates/a/src/lib.rs", text)], expected);
    }

    #[test]
    fn exceptions_without_an_end_are_found() {
        check_text("#[allow(dead_code)]\nfn a() {}", &["1: write `#[expect"]);
        check_text("#![allow(dead_code)]", &["1: write `#[expect"]);
        check_text("#[cfg_attr(test, allow(dead_code))]\nfn a() {}", &["1: write `#[expect"]);
        check_text("#[expect(dead_code)]\nfn a() {}", &["1: give the `reason`"]);
        check_text("#[expect(dead_code, reason = \"why\")]\nfn a() {}", &[]);
    }

    #[test]
    fn tests_that_are_switched_off_are_found() {
        check_text("#[cfg(test)]\nmod tests {\n#[test]\n#[ignore]\nfn a() {}\n}", &["4: a test that is"]);
        check_text("#[test]\n#[ignore = \"slow\"]\nfn a() {}", &["2: a test that is"]);
        check_text("//! `#[ignore]` in words.\nconst A: &str = \"#[allow(x)]\";", &[]);
    }
}
