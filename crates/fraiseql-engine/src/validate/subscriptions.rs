//! A subscription has one root field: section 5.2.4.1.

use std::collections::BTreeSet;

use apollo_compiler::Node;
use apollo_compiler::ast::{DirectiveList, Field, OperationDefinition, OperationType, Selection};
use apollo_compiler::parser::SourceSpan;
use indexmap::IndexMap;

use super::Checks;

#[derive(Default)]
struct Roots<'d> {
    fields: IndexMap<&'d str, Vec<&'d Node<Field>>>,
    /// Places of `@skip` and `@include`.
    conditions: Vec<Option<SourceSpan>>,
    visited: BTreeSet<&'d str>,
}

impl<'d> Checks<'d> {
    /// Checks that a subscription has one root field, always, which is not a meta-field.
    pub(super) fn subscription(&mut self, operation: &'d OperationDefinition) {
        if operation.operation_type != OperationType::Subscription {
            return;
        }
        let mut roots = Roots::default();
        let root = self.schema.graphql.root_operation(OperationType::Subscription);
        let Some(root) = root else { return };
        self.roots(root, &operation.selection_set, &mut roots);
        if !roots.conditions.is_empty() {
            let message = "the root field of a subscription must not depend on @skip or @include";
            return self.error(roots.conditions, message.to_owned());
        }
        let spans = |fields: &[&'d Node<Field>]| -> Vec<Option<SourceSpan>> {
            fields.iter().map(|field| field.location()).collect()
        };
        if let (true, Some(first)) = (roots.fields.is_empty(), operation.selection_set.first()) {
            self.error_at_brace(first, "a subscription must have exactly one root field".to_owned());
        }
        let extra: Vec<_> = roots.fields.values().skip(1).flat_map(|fields| spans(fields)).collect();
        if !extra.is_empty() {
            self.error(extra, "a subscription must have exactly one root field".to_owned());
        }
        for fields in roots.fields.values().filter(|fields| fields[0].name.starts_with("__")) {
            let message = format!("\"{}\" must not be the root field of a subscription", fields[0].name);
            self.error(spans(fields), message);
        }
    }

    fn roots(&self, root: &str, selections: &'d [Selection], roots: &mut Roots<'d>) {
        let applies = |condition: &str| {
            let possible = self.type_named(condition).map(|ty| self.possible_types(ty));
            possible.is_some_and(|types| types.contains(&root))
        };
        for selection in selections {
            let directives = match selection {
                Selection::Field(field) => &field.directives,
                Selection::InlineFragment(fragment) => &fragment.directives,
                Selection::FragmentSpread(spread) => &spread.directives,
            };
            roots.conditions.extend(conditions(directives));
            match selection {
                Selection::Field(field) => {
                    roots.fields.entry(field.response_name()).or_default().push(field);
                }
                Selection::InlineFragment(fragment) => {
                    if fragment.type_condition.as_deref().is_none_or(applies) {
                        self.roots(root, &fragment.selection_set, roots);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.fragments.get(spread.fragment_name.as_str());
                    if roots.visited.insert(&spread.fragment_name)
                        && let Some(fragment) = fragment
                        && applies(&fragment.type_condition)
                    {
                        self.roots(root, &fragment.selection_set, roots);
                    }
                }
            }
        }
    }
}

fn conditions(directives: &DirectiveList) -> impl Iterator<Item = Option<SourceSpan>> {
    let conditional = directives.iter().filter(|directive| matches!(&*directive.name, "skip" | "include"));
    conditional.map(|directive| directive.location())
}
