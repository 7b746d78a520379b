//! Rule: a ratchet on length. No function over 70 lines, no file over 600, tests apart.
//!
//! `crates/xtask/ratchet.txt` lists what was longer once: `PATH LINES` or `PATH FUNCTION LINES`.
//! An entry must say exactly what is there, so the list can only shrink without somebody seeing it grow.

use std::collections::BTreeMap;

use syn::spanned::Spanned;
use syn::visit::Visit;

use super::Finding;
use crate::rust_file::RustFile;
use crate::workspace::Workspace;

const RATCHET: &str = "crates/xtask/ratchet.txt";
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 600;

/// A thing that is too long: path, and name for a function.
type Place = (String, Option<String>);

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let (known, mut findings) = ratchet(workspace.text(RATCHET).unwrap_or(""));
    let long = measure(workspace);
    for ((path, function), (lines, at)) in &long {
        let what = function.as_ref().map_or("the file".to_owned(), |name| format!("`{name}`"));
        let message = match known.get(&(path.clone(), function.clone())) {
            Some((recorded, _)) if recorded == lines => continue,
            Some((recorded, _)) if recorded > lines => {
                format!("{what} has {lines} lines now: say so in {RATCHET}")
            }
            Some((recorded, _)) => format!("{what} grew from {recorded} to {lines} lines"),
            None => format!("{what} has {lines} lines: split it"),
        };
        findings.push(Finding::new(path, *at, "length", message));
    }
    for (place, (_, at)) in known.iter().filter(|(place, _)| !long.contains_key(*place)) {
        let message = format!("{} is short enough now: take the entry out", place.0);
        findings.push(Finding::new(RATCHET, *at, "length", message));
    }
    findings
}

/// Returns what is too long, with its number of lines and its first line.
fn measure(workspace: &Workspace) -> BTreeMap<Place, (usize, usize)> {
    let mut long = BTreeMap::new();
    for file in &workspace.rust {
        let lines = file.production_lines();
        if lines > FILE_LINES_MAX {
            long.insert((file.path.clone(), None), (lines, 1));
        }
        let mut functions = Functions { file, found: Vec::new() };
        functions.visit_file(&file.syntax.0);
        for (name, lines, at) in
            functions.found.into_iter().filter(|(_, lines, _)| *lines > FUNCTION_LINES_MAX)
        {
            let entry = long.entry((file.path.clone(), Some(name))).or_insert((lines, at));
            *entry = (*entry).max((lines, at));
        }
    }
    long
}

fn ratchet(text: &str) -> (BTreeMap<Place, (usize, usize)>, Vec<Finding>) {
    let (mut known, mut findings) = (BTreeMap::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (place, lines) = match words.as_slice() {
            [] => continue,
            [first, ..] if first.starts_with('#') => continue,
            [path, lines] => (((*path).to_owned(), None), *lines),
            [path, name, lines] => (((*path).to_owned(), Some((*name).to_owned())), *lines),
            _ => ((line.to_owned(), None), ""),
        };
        match lines.parse::<usize>() {
            Ok(lines) => {
                known.insert(place, (lines, index + 1));
            }
            Err(_) => {
                findings.push(Finding::new(RATCHET, index + 1, "length", "write `PATH [FUNCTION] LINES`"))
            }
        }
    }
    (known, findings)
}

struct Functions<'a> {
    file: &'a RustFile,
    found: Vec<(String, usize, usize)>,
}

impl Functions<'_> {
    fn note(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let (first, last) = (signature.span().start().line, body.span().end().line);
        if !self.file.is_test(first) {
            self.found.push((signature.ident.to_string(), last - first + 1, first));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.note(&item.sig, body);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_rule;

    const FILE: &str = "crates/a/src/lib.rs";

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "b();\n".repeat(lines - 2))
    }

    #[test]
    fn what_is_too_long_is_found() {
        check_rule(check, &[(FILE, &function(70))], &[]);
        check_rule(check, &[(FILE, &function(71))], &["1: `long` has 71 lines"]);
        check_rule(check, &[(FILE, &"const A: u8 = 1;\n".repeat(601))], &["1: the file has 601 lines"]);
    }

    #[test]
    fn tests_do_not_count() {
        let text = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}\n}}\n", function(700));
        check_rule(check, &[(FILE, &text)], &[]);
        check_rule(check, &[("crates/a/tests/it/main.rs", &function(700))], &[]);
    }

    #[test]
    fn the_ratchet_turns_one_way() {
        let entry = "# why\ncrates/a/src/lib.rs long 80\n";
        check_rule(check, &[(FILE, &function(80)), (RATCHET, entry)], &[]);
        check_rule(check, &[(FILE, &function(81)), (RATCHET, entry)], &["1: `long` grew from 80 to 81"]);
        check_rule(check, &[(FILE, &function(79)), (RATCHET, entry)], &["1: `long` has 79 lines now"]);
        check_rule(
            check,
            &[(FILE, &function(9)), (RATCHET, entry)],
            &["2: crates/a/src/lib.rs is short enough"],
        );
        check_rule(check, &[(FILE, ""), (RATCHET, "crates/a/src/lib.rs many")], &["1: write `PATH"]);
    }
}
