//! Rule: no file, folder or module has a name that says nothing.

use syn::visit::Visit;

use super::Finding;
use crate::workspace::Workspace;

const BANNED: &[&str] = &[
    "core", "common", "utils", "util", "helpers", "helper", "types", "misc", "manager", "imp", "shared",
    "stuff",
];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &workspace.rust {
        let parts = file.path.trim_end_matches(".rs").split('/').flat_map(|part| part.split('-'));
        let mut names: Vec<(String, usize)> = parts.map(|part| (part.to_owned(), 1)).collect();
        let mut modules = Modules(Vec::new());
        modules.visit_file(&file.syntax.0);
        names.extend(modules.0);
        for (name, line) in names.into_iter().filter(|(name, _)| BANNED.contains(&name.as_str())) {
            let message = format!("`{name}` is a name for anything: say what is in it");
            findings.push(Finding::new(&file.path, line, "names", message));
        }
    }
    findings
}

/// Modules with a body; one in a file of its own is seen by the file's name.
struct Modules(Vec<(String, usize)>);

impl<'ast> Visit<'ast> for Modules {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_some() {
            self.0.push((item.ident.to_string(), item.ident.span().start().line));
        }
        syn::visit::visit_item_mod(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::check_rule;

    #[test]
    fn names_that_say_nothing_are_found() {
        check_rule(check, &[("crates/a/src/plan.rs", "//! A.\nmod filter {}")], &[]);
        check_rule(check, &[("crates/a/src/utils.rs", "")], &["1: `utils`"]);
        check_rule(check, &[("crates/a/src/types/row.rs", "")], &["1: `types`"]);
        check_rule(check, &[("crates/a-core/src/lib.rs", "")], &["1: `core`"]);
        check_rule(check, &[("crates/a/src/lib.rs", "\n\nmod helpers {}")], &["3: `helpers`"]);
    }
}
