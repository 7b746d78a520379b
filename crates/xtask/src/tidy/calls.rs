//! Rule: outside of tests no error is dropped and no decoding falls back to a default; nothing remembers where
//! it was built.

use super::Finding;
use crate::rust_file::RustFile;
use crate::workspace::Workspace;

/// Calls that read what somebody else wrote.
const DECODERS: &[&str] = &[
    "parse",
    "from_str",
    "from_slice",
    "from_reader",
    "from_str_radix",
    "parse_from_str",
    "decode",
    "deserialize",
    "from_value",
];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    workspace.rust.iter().flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |index: usize, message: &str| {
        findings.push(Finding::new(&file.path, file.tokens[index].line, "calls", message));
    };
    for index in file.find(&[".", "unwrap", "(", ")"]) {
        report(index, "`unwrap`: return the error, or `expect(\"why it cannot fail\")`");
    }
    let dropped = |index: &usize| follows_decoder(file, *index) && !is_expected(file, *index);
    for index in file.find(&[".", "ok", "(", ")"]).filter(dropped) {
        report(index, "`.ok()` on a parse drops the reason: return it");
    }
    for index in
        file.find(&[".", "unwrap_or_default", "(", ")"]).filter(|index| follows_decoder(file, *index))
    {
        report(index, "`unwrap_or_default` on a parse makes a value up: return the error");
    }
    for index in file.find_anywhere(&["env", "!", "(", "\"CARGO_MANIFEST_DIR\""]) {
        report(index, "the place of the checkout when it was built: use `fraiseql_testkit::checkout()`");
    }
    for index in file.find(&["_", "="]).filter(|index| drops_result(file, *index)) {
        report(index, "`_ =` drops the result of a call: handle it");
    }
    findings
}

/// Returns true when the expression that ends before `dot` is a call of a decoder.
fn follows_decoder(file: &RustFile, dot: usize) -> bool {
    let Some(close) = dot.checked_sub(1).filter(|close| file.token(Some(*close)) == ")") else {
        return false;
    };
    let Some(open) = opening(file, close, "(", ")") else { return false };
    let mut name = open.checked_sub(1);
    if file.token(name) == ">" {
        // A turbofish: `parse::<u16>()`.
        let angle = name.and_then(|close| opening(file, close, "<", ">"));
        name = angle.and_then(|angle| angle.checked_sub(2));
    }
    DECODERS.contains(&file.token(name))
}

/// Returns true for `.and_then(|text| text.parse().ok()).expect("why")`: nothing is dropped in silence.
fn is_expected(file: &RustFile, dot: usize) -> bool {
    let behind: Vec<&str> = (dot + 4..dot + 7).map(|index| file.token(Some(index))).collect();
    behind == [")", ".", "expect"]
}

fn opening(file: &RustFile, close: usize, open: &str, shut: &str) -> Option<usize> {
    let mut depth = 0_usize;
    (0..=close).rev().find(|index| {
        let text = file.token(Some(*index));
        if text == shut {
            depth += 1;
        } else if text == open {
            depth = depth.saturating_sub(1);
        }
        depth == 0
    })
}

/// Returns true when `_ =` at `index` is a statement whose right side calls something.
///
/// `_ = future => ...` is an arm of `select!`: its value is the arm's business.
fn drops_result(file: &RustFile, index: usize) -> bool {
    let before = file.token(index.checked_sub(1));
    if !matches!(before, "let" | ";" | "{" | "}") {
        return false;
    }
    let (mut depth, mut calls) = (0_usize, false);
    for at in index + 2..file.tokens.len() {
        match file.token(Some(at)) {
            "=>" if depth == 0 => return false,
            ";" if depth == 0 => break,
            "(" => {
                calls |= is_callee(file.token(Some(at - 1)));
                depth += 1;
            }
            "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => break,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
    }
    calls
}

fn is_callee(token: &str) -> bool {
    matches!(token, "!" | ">" | ")") || token.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    #[track_caller]
    fn check_body(body: &str, expected: &[&str]) {
        check_rule(check, &[("crates/a/src/lib.rs", &format!("fn a() {{\n{body}\n}}"))], expected);
    }

    #[test]
    fn unwrap_is_found_even_in_macros() {
        check_body("b().unwrap();", &["2: `unwrap`"]);
        check_body("println!(\"{}\", b().unwrap());", &["2: `unwrap`"]);
        check_body("b().expect(\"why\"); b().unwrap_or(1); \".unwrap()\";", &[]);
    }

    #[test]
    fn dropped_parse_errors_are_found() {
        check_body("b.parse::<Vec<u8>>().ok();", &["2: `.ok()`"]);
        check_body("serde_json::from_slice(&b(1)).ok()?;", &["2: `.ok()`"]);
        check_body("b.parse().unwrap_or_default();", &["2: `unwrap_or_default`"]);
        check_body("b.and_then(|c| c.parse().ok()).expect(\"checked\");", &[]);
        check_body("b.get(1).ok(); map.remove(1).unwrap_or_default();", &[]);
    }

    #[test]
    fn dropped_results_are_found() {
        check_body("let _ = b();", &["2: `_ =`"]);
        check_body("let _ = b.c().await;", &["2: `_ =`"]);
        check_body("_ = write!(b, \"c\");", &["2: `_ =`"]);
        check_body("b();\n_ = c::<d>();", &["3: `_ =`"]);
        check_body("let _ = b; let _guard = c();", &[]);
        check_body("select! { _ = b() => {} c = d() => {} }", &[]);
        check_body("match b { _ => c() }", &[]);
    }

    #[test]
    fn the_place_of_a_build_is_found_in_tests_too() {
        let text = "fn a() { b(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/c\")); env!(\"CARGO_PKG_NAME\"); }";
        check_rule(check, &[("crates/a/tests/it/main.rs", text)], &["1: the place of the checkout"]);
    }

    #[test]
    fn tests_may_unwrap() {
        let text = "#[cfg(test)]\nmod tests {\nfn a() { b().unwrap(); let _ = c(); }\n}";
        check_rule(check, &[("crates/a/src/lib.rs", text)], &[]);
        check_rule(check, &[("crates/a/tests/it/main.rs", "fn a() { b().unwrap(); }")], &[]);
    }
}
