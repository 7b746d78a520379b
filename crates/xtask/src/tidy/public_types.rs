//! Rule: a public type name exists once in the workspace, so that a name means one thing.

use std::collections::BTreeMap;

use syn::visit::Visit;

use super::Finding;
use crate::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut homes: BTreeMap<String, (String, usize)> = BTreeMap::new();
    let mut findings = Vec::new();
    for file in workspace.rust.iter().filter(|file| !file.krate().is_empty()) {
        let mut types = PublicTypes(Vec::new());
        types.visit_file(&file.syntax.0);
        for (name, line) in types.0.into_iter().filter(|(_, line)| !file.is_test(*line)) {
            if let Some((path, first)) = homes.get(&name) {
                let message =
                    format!("`{name}` is a public type of {path}:{first} already: one name, one thing");
                findings.push(Finding::new(&file.path, line, "public-types", message));
            } else {
                homes.insert(name, (file.path.clone(), line));
            }
        }
    }
    findings
}

struct PublicTypes(Vec<(String, usize)>);

impl PublicTypes {
    fn note(&mut self, visibility: &syn::Visibility, name: &syn::Ident) {
        if matches!(visibility, syn::Visibility::Public(_)) {
            self.0.push((name.to_string(), name.span().start().line));
        }
    }
}

impl<'ast> Visit<'ast> for PublicTypes {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.note(&item.vis, &item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.note(&item.vis, &item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.note(&item.vis, &item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.note(&item.vis, &item.ident);
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.note(&item.vis, &item.ident);
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    #[test]
    fn two_homes_for_one_name_are_found() {
        let (a, b) = ("crates/a/src/lib.rs", "crates/b/src/lib.rs");
        check_rule(
            check,
            &[(a, "pub struct Row;"), (b, "\npub enum Row {}")],
            &["2: `Row` is a public type of crates/a"],
        );
        check_rule(check, &[(a, "pub struct Row; mod m { pub trait Row {} }")], &["1: `Row`"]);
        check_rule(check, &[(a, "pub struct Row;"), (b, "pub(crate) struct Row; struct Row2;")], &[]);
        check_rule(check, &[(a, "pub struct Row;"), (b, "#[cfg(test)]\nmod tests { pub struct Row; }")], &[]);
    }
}
