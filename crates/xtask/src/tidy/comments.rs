//! Rule: comments say what is true now. Who did it, when, and for which ticket is in git.

use super::Finding;
use crate::workspace::Workspace;

/// Words for work that is not done, written in two halves so that this file passes its own rule.
const UNDONE: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

const AUTHORS: &[&str] = &["@author", "author:", "co-authored", "copyright (c)"];

const PLANS: &[&str] = &["phase ", "milestone ", "sprint ", "issue ", "ticket ", "pr "];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &workspace.rust {
        for comment in &file.comments {
            if let Some(message) = complaint(&comment.text) {
                findings.push(Finding::new(&file.path, comment.line, "comments", message));
            }
        }
    }
    findings
}

fn complaint(comment: &str) -> Option<String> {
    let words = without_code(comment);
    if let Some(word) = UNDONE.iter().find(|word| words.contains(**word)) {
        return Some(format!("{word} on main: do it, or write an issue"));
    }
    if numbers_after(&words, "#").any(|digits| (1..=5).contains(&digits)) {
        return Some("an issue number: write the reason itself".to_owned());
    }
    if words.split(|c: char| !c.is_ascii_digit() && c != '-').any(is_date) {
        return Some("a date: git knows when".to_owned());
    }
    let folded = words.to_lowercase();
    if let Some(author) = AUTHORS.iter().find(|author| folded.contains(**author)) {
        return Some(format!("`{author}`: git knows who"));
    }
    let plan = PLANS.iter().find(|plan| numbers_after(&folded, plan).next().is_some())?;
    Some(format!("`{}` and a number: a plan has no place in the code", plan.trim()))
}

/// Returns the comment without what stands in backticks: an example may hold a date.
fn without_code(comment: &str) -> String {
    comment.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Returns the number of digits that follow each `mark` at the beginning of a word.
fn numbers_after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(mark)
        .filter(|(at, _)| !text[..*at].ends_with(char::is_alphanumeric))
        .map(|(at, _)| text[at + mark.len()..].chars().take_while(char::is_ascii_digit).count())
        .filter(|digits| *digits > 0)
}

fn is_date(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [4, 2, 2] && (parts[0].starts_with("19") || parts[0].starts_with("20"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_rule;

    #[track_caller]
    fn check_comment(comment: &str, expected: &[&str]) {
        let text = format!("//! A.\n// {comment}\nfn a() {{}}\n");
        check_rule(check, &[("crates/a/src/lib.rs", &text)], expected);
    }

    #[test]
    fn history_and_plans_are_found() {
        check_comment(concat!("TO", "DO: later"), &["2: "]);
        check_comment(concat!("FIX", "ME"), &["2: "]);
        check_comment("see #123", &["2: an issue number"]);
        check_comment("added on 2024-02-29", &["2: a date"]);
        check_comment("Author: somebody", &["2: `author:`"]);
        check_comment("Phase 2 makes this fast", &["2: `phase`"]);
        check_comment("as in PR 77", &["2: `pr`"]);
    }

    #[test]
    fn true_sentences_pass() {
        check_comment("dates look like `2024-02-29`, colours like `#123`", &[]);
        check_comment("section 7.1.2 of the specification of September 2025", &[]);
        check_comment("two-phase commit; r#\"raw\"#; a phase 1 apart", &["2: `phase`"]);
        check_rule(check, &[("crates/a/src/lib.rs", "//! A.\nconst A: &str = \"// #123\";")], &[]);
    }
}
