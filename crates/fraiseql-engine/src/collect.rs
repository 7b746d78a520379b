//! CollectFields: section 6.3.2 of the specification. Fields of one response key are merged.

use apollo_compiler::Node;
use apollo_compiler::ast::{DirectiveList, Value as AstValue};
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use indexmap::IndexMap;
use serde_json::Value;

use crate::argument::Scope;

/// The fields that share a response key; never empty, all alike but for their selections.
pub(crate) type Group<'a> = Vec<&'a Node<Field>>;

/// Returns the fields of selection sets on the object type `type_name`, in response order.
pub(crate) fn collect<'a>(
    scope: Scope<'a>,
    type_name: &str,
    sets: impl IntoIterator<Item = &'a SelectionSet>,
) -> IndexMap<&'a str, Group<'a>> {
    let mut groups = IndexMap::new();
    for set in sets {
        collect_into(scope, type_name, set, &mut groups);
    }
    groups
}

/// Returns the merged selections below the fields of a group.
pub(crate) fn collect_below<'a>(
    scope: Scope<'a>,
    type_name: &str,
    group: &Group<'a>,
) -> IndexMap<&'a str, Group<'a>> {
    collect(scope, type_name, group.iter().map(|field| &field.selection_set))
}

fn collect_into<'a>(
    scope: Scope<'a>,
    type_name: &str,
    set: &'a SelectionSet,
    groups: &mut IndexMap<&'a str, Group<'a>>,
) {
    for selection in &set.selections {
        if !included(scope, selection.directives()) {
            continue;
        }
        match selection {
            Selection::Field(field) => {
                groups.entry(field.response_key().as_str()).or_default().push(field);
            }
            Selection::InlineFragment(fragment) => {
                if fragment
                    .type_condition
                    .as_ref()
                    .is_none_or(|condition| applies(scope, condition, type_name))
                {
                    collect_into(scope, type_name, &fragment.selection_set, groups);
                }
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = spread.fragment_def(&scope.document.executable)
                    && applies(scope, fragment.type_condition(), type_name)
                {
                    collect_into(scope, type_name, &fragment.selection_set, groups);
                }
            }
        }
    }
}

/// True when an object of the type is one that the condition means: DoesFragmentTypeApply.
pub(crate) fn applies(scope: Scope<'_>, condition: &str, type_name: &str) -> bool {
    condition == type_name || scope.schema.graphql.is_subtype(condition, type_name)
}

fn included(scope: Scope<'_>, directives: &DirectiveList) -> bool {
    let says = |name: &str| {
        let condition = directives.get(name)?.specified_argument_by_name("if")?;
        match &**condition {
            AstValue::Boolean(value) => Some(*value),
            AstValue::Variable(name) => scope.variables.values.get(name.as_str()).and_then(Value::as_bool),
            _ => None,
        }
    };
    says("skip") != Some(true) && says("include") != Some(false)
}
