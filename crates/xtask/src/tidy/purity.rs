//! Rule: pure crates have no clock, no randomness, no I/O, and no map whose order changes from run to run.

use syn::visit::Visit;

use super::Finding;
use crate::rust_file::RustFile;
use crate::workspace::Workspace;

/// Crates that decide and never act.
pub(super) const PURE: &[&str] = &["fraiseql-model", "fraiseql-engine", "fraiseql-locks", "fraiseql-compile"];

const BANNED: &[(&str, &str)] = &[
    ("std::env", "take the value as an argument"),
    ("std::fs", "take the content as an argument"),
    ("std::io::stdin", "take the content as an argument"),
    ("std::net", "let the caller talk to the network"),
    ("std::process", "let the caller run programs"),
    ("std::thread", "let the caller decide where it runs"),
    ("std::time::Instant", "take `now` as an argument"),
    ("std::time::SystemTime", "take `now` as an argument"),
    ("std::hash::RandomState", "it is random"),
];

/// Maps and sets that are walked in another order by each process, whoever they come from.
const UNORDERED: &[(&str, &str)] =
    &[("HashMap", "BTreeMap or IndexMap"), ("HashSet", "BTreeSet or IndexSet")];

/// Uses that are known to be harmless: path, what, why.
const KNOWN: &[(&str, &str, &str)] = &[(
    "crates/fraiseql-engine/src/schema.rs",
    "HashMap",
    "the parser's own map of interfaces: asked, never walked",
)];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let pure = workspace.rust.iter().filter(|file| PURE.contains(&file.krate()));
    pure.flat_map(|file| check_file(file, KNOWN)).collect()
}

fn check_file(file: &RustFile, known: &[(&str, &str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, line) in paths(file).into_iter().filter(|(_, line)| !file.is_test(*line)) {
        let banned =
            BANNED.iter().find(|(banned, _)| path == *banned || path.starts_with(&format!("{banned}::")));
        if let Some((banned, instead)) = banned
            && !known.iter().any(|(place, what, _)| *place == file.path && what == banned)
        {
            findings.push(Finding::new(
                &file.path,
                line,
                "purity",
                format!("`{banned}` in a pure crate: {instead}"),
            ));
        }
    }
    for (name, instead) in UNORDERED {
        if known.iter().any(|(place, what, _)| *place == file.path && what == name) {
            continue;
        }
        findings.extend(file.find(&[name]).map(|index| {
            let message = format!("`{name}` has a random order: use {instead}");
            Finding::new(&file.path, file.tokens[index].line, "purity", message)
        }));
    }
    findings
}

/// Returns every path that begins with `std`: those of `use`, groups taken apart, and those in the code.
fn paths(file: &RustFile) -> Vec<(String, usize)> {
    let mut uses = Uses(Vec::new());
    uses.visit_file(&file.syntax.0);
    for start in file.find_anywhere(&["std", "::"]) {
        let pairs = file.tokens[start + 1..].chunks_exact(2).take_while(|pair| pair[0].text == "::");
        let rest: Vec<&str> = pairs.map(|pair| pair[1].text.as_str()).collect();
        uses.0.push((format!("std::{}", rest.join("::")), file.tokens[start].line));
    }
    uses.0.sort();
    uses.0.dedup();
    uses.0
}

struct Uses(Vec<(String, usize)>);

impl Uses {
    fn walk(&mut self, prefix: &str, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => self.walk(&format!("{prefix}{}::", path.ident), &path.tree),
            syn::UseTree::Name(name) => self.note(prefix, &name.ident),
            syn::UseTree::Rename(rename) => self.note(prefix, &rename.ident),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.walk(prefix, tree)),
            syn::UseTree::Glob(_) => {}
        }
    }

    fn note(&mut self, prefix: &str, name: &syn::Ident) {
        self.0.push((format!("{prefix}{name}"), name.span().start().line));
    }
}

impl<'ast> Visit<'ast> for Uses {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.walk("", &item.tree);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_rule;

    const FILE: &str = "crates/fraiseql-engine/src/lib.rs";

    #[test]
    fn clocks_files_and_random_orders_are_found() {
        check_rule(check, &[(FILE, "use std::{fmt, fs};")], &["1: `std::fs`"]);
        check_rule(
            check,
            &[(FILE, "use std::time::{Duration, Instant as Now};")],
            &["1: `std::time::Instant`"],
        );
        check_rule(
            check,
            &[(FILE, "fn a() {\nlet b = std::time::SystemTime::now();\n}")],
            &["2: `std::time::SystemTime`"],
        );
        check_rule(check, &[(FILE, "fn a() { c!(std::env::var(\"B\")) }")], &["1: `std::env`"]);
        check_rule(
            check,
            &[(FILE, "use std::collections::{BTreeMap, HashMap};")],
            &["1: `HashMap` has a random order"],
        );
    }

    #[test]
    fn other_crates_and_tests_are_free() {
        check_rule(check, &[("crates/fraiseql-serve/src/lib.rs", "use std::fs;")], &[]);
        check_rule(check, &[(FILE, "#[cfg(test)]\nmod tests {\nuse std::collections::HashSet;\n}")], &[]);
        check_rule(check, &[(FILE, "use std::time::Duration; use std::collections::BTreeMap;")], &[]);
    }

    #[test]
    fn a_known_use_passes() {
        let file = RustFile::parse(FILE, "use std::collections::HashSet;").unwrap();
        let known = [(FILE, "HashSet", "asked, never walked")];
        assert!(check_file(&file, &known).is_empty());
    }
}
