//! Rule: what a user writes is read strictly: no unknown keys, no guessing between shapes.

use syn::visit::Visit;

use super::Finding;
use crate::rust_file::RustFile;
use crate::workspace::Workspace;

/// Readers that must let unknown keys pass: path, type, why.
const LENIENT: &[(&str, &str, &str)] = &[
    (
        "crates/fraiseql-backup/src/base.rs",
        "ServerManifest",
        "PostgreSQL's manual, Backup Manifest Format: versions add keys",
    ),
    ("crates/fraiseql-backup/src/base.rs", "ServerFile", "a part of it"),
    ("crates/fraiseql-backup/src/base.rs", "WalRange", "a part of it"),
    (
        "crates/fraiseql-serve/src/params.rs",
        "Parameters",
        "GraphQL over HTTP lets a client send keys for others",
    ),
    (
        "crates/fraiseql-serve/src/identity/issuer.rs",
        "Description",
        "OpenID Connect Discovery 1.0, section 3: what is not understood is passed over",
    ),
    (
        "crates/fraiseql-serve/src/identity/key_set.rs",
        "Jwk",
        "RFC 7517, section 4: members that are not understood are passed over",
    ),
    (
        "crates/fraiseql-serve/src/identity/token.rs",
        "Head",
        "RFC 7515, section 4: parameters that are not understood are passed over; `crit` is read",
    ),
];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    workspace.rust.iter().flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let mut shapes = Shapes { path: &file.path, found: Vec::new() };
    shapes.visit_file(&file.syntax.0);
    let production = shapes.found.into_iter().filter(|(line, _)| !file.is_test(*line));
    production.map(|(line, message)| Finding::new(&file.path, line, "serde-shape", message)).collect()
}

struct Shapes<'a> {
    path: &'a str,
    found: Vec<(usize, String)>,
}

impl Shapes<'_> {
    fn note(&mut self, name: &syn::Ident, words: &[String], fields: &syn::Fields) {
        let line = name.span().start().line;
        if words.iter().any(|word| word == "untagged") {
            self.found
                .push((line, format!("`{name}` is untagged: a reader would guess which shape was meant")));
        }
        for field in fields {
            if serde_words(&field.attrs).iter().any(|word| word == "flatten") {
                self.found.push((line, format!("`{name}` flattens a field: unknown keys would pass unseen")));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Shapes<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if !derives_deserialize(&item.attrs) {
            return;
        }
        let words = serde_words(&item.attrs);
        self.note(&item.ident, &words, &item.fields);
        let strict = words.iter().any(|word| word == "deny_unknown_fields" || word == "transparent");
        let lenient = LENIENT.iter().any(|(path, name, _)| *path == self.path && item.ident == name);
        if matches!(item.fields, syn::Fields::Named(_)) && !strict && !lenient {
            let message = format!("`{}` reads unknown keys: add `deny_unknown_fields`", item.ident);
            self.found.push((item.ident.span().start().line, message));
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        if derives_deserialize(&item.attrs) {
            let words = serde_words(&item.attrs);
            self.note(&item.ident, &words, &syn::Fields::Unit);
            for variant in &item.variants {
                self.note(&variant.ident, &serde_words(&variant.attrs), &variant.fields);
            }
        }
    }
}

fn derives_deserialize(attributes: &[syn::Attribute]) -> bool {
    let mut found = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let parsed = attribute.parse_nested_meta(|meta| {
            found |= meta.path.segments.last().is_some_and(|segment| segment.ident == "Deserialize");
            Ok(())
        });
        found &= parsed.is_ok();
    }
    found
}

/// Returns the words of `#[serde(...)]`, those in the values of words left out.
fn serde_words(attributes: &[syn::Attribute]) -> Vec<String> {
    let serde = attributes.iter().filter(|attribute| attribute.path().is_ident("serde"));
    let tokens =
        serde.filter_map(|attribute| attribute.meta.require_list().ok()).flat_map(|list| list.tokens.clone());
    tokens
        .filter_map(|token| match token {
            proc_macro2::TokenTree::Ident(word) => Some(word.to_string()),
            _ => None,
        })
        .collect()
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
    fn lenient_readers_are_found() {
        check_text("#[derive(Debug, Deserialize)]\nstruct A { b: u8 }", &["2: `A` reads unknown keys"]);
        check_text(
            "#[derive(serde::Deserialize)]\n#[serde(untagged)]\nenum A { B }",
            &["3: `A` is untagged"],
        );
        check_text(
            "#[derive(Deserialize)]\n#[serde(deny_unknown_fields)]\nstruct A { #[serde(flatten)] b: C }",
            &["3: `A` flattens"],
        );
        check_text("#[derive(Deserialize)]\nenum A { B { #[serde(flatten)] c: D } }", &["2: `B` flattens"]);
    }

    #[test]
    fn a_reader_with_a_reason_may_be_lenient() {
        let text = "#[derive(Deserialize)]\nstruct Parameters { b: u8 }";
        check_rule(check, &[("crates/fraiseql-serve/src/params.rs", text)], &[]);
        check_text(text, &["2: `Parameters` reads unknown keys"]);
    }

    #[test]
    fn strict_readers_and_writers_pass() {
        check_text("#[derive(Deserialize)]\n#[serde(deny_unknown_fields)]\nstruct A { b: u8 }", &[]);
        check_text("#[derive(Deserialize)]\nstruct A(u8);", &[]);
        check_text("#[derive(Serialize)]\n#[serde(untagged)]\nenum A { B(u8) }", &[]);
        check_text("#[cfg(test)]\nmod tests {\n#[derive(Deserialize)]\nstruct A { b: u8 }\n}", &[]);
    }
}
