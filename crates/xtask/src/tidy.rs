//! The rules of the house, one file each. Every rule is a pure function from the repository to findings.

mod arrows;
mod attributes;
mod calls;
mod comments;
mod error_pages;
mod headers;
mod hosts;
mod integration;
mod length;
mod links;
mod names;
mod public_types;
mod purity;
mod root;
mod serde_shape;
mod surface;

use std::fmt;

use crate::workspace::Workspace;

/// A place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    message: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line, self.message, self.rule)
    }
}

type Rule = fn(&Workspace) -> Vec<Finding>;

const RULES: &[Rule] = &[
    arrows::check,
    attributes::check,
    calls::check,
    comments::check,
    error_pages::check,
    headers::check,
    hosts::check,
    integration::check,
    length::check,
    links::check,
    names::check,
    public_types::check,
    purity::check,
    root::check,
    serde_shape::check,
    surface::check,
];

/// Returns every broken rule, sorted by place.
pub fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = workspace.unparsed.clone();
    findings.extend(RULES.iter().flat_map(|rule| rule(workspace)));
    findings.sort();
    findings
}

/// Runs one rule over `files` and compares the findings, as `line: message`, with `expected`.
///
/// Each expectation needs only be contained in its finding.
#[cfg(test)]
#[track_caller]
fn check_rule(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
    let workspace = Workspace::sample(files);
    assert!(workspace.unparsed.is_empty(), "the sample does not parse: {:?}", workspace.unparsed);
    let found: Vec<String> = rule(&workspace).iter().map(|f| format!("{}: {}", f.line, f.message)).collect();
    let alike = found.iter().zip(expected).all(|(found, expected)| found.contains(expected));
    assert!(alike && found.len() == expected.len(), "found {found:#?}\nexpected {expected:#?}");
}
