//! How many fields an operation has once each type of an interface or union has its own.
//!
//! The count is made before anything expands. A selection is counted once for each type and its count is
//! reused, so it takes as long as the text and the types are, whatever it comes to.

use std::collections::BTreeMap;

use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use fraiseql_model::response::{Code, GraphqlError};

use crate::argument::Scope;
use crate::collect::applies;
use crate::limits::Limits;

/// Fails when types multiply the fields of an operation past the limit.
pub(crate) fn check_expansion(
    scope: Scope<'_>,
    operation: &Operation,
    limits: &Limits,
) -> Result<(), GraphqlError> {
    if scope.schema.abstracts.is_empty() {
        return Ok(());
    }
    let mut counter = Counter { scope, known: BTreeMap::new() };
    let count = counter.fields(&operation.selection_set, operation.object_type());
    if count > limits.fields {
        let message = format!(
            "the document has more than {} fields once every type of its interfaces and unions is expanded",
            limits.fields
        );
        return Err(GraphqlError::new(Code::LimitExceeded, message));
    }
    Ok(())
}

struct Counter<'s> {
    scope: Scope<'s>,
    /// By the place of a selection set in memory, and the type.
    known: BTreeMap<(usize, &'s str), usize>,
}

impl<'s> Counter<'s> {
    fn fields(&mut self, set: &'s SelectionSet, type_name: &'s str) -> usize {
        let place = (std::ptr::from_ref(set).addr(), type_name);
        if let Some(count) = self.known.get(&place) {
            return *count;
        }
        let mut count: usize = 0;
        for selection in &set.selections {
            let more = match selection {
                Selection::Field(field) => self.below(&field.selection_set).saturating_add(1),
                Selection::InlineFragment(fragment) => match &fragment.type_condition {
                    Some(condition) if !applies(self.scope, condition, type_name) => 0,
                    _ => self.fields(&fragment.selection_set, type_name),
                },
                Selection::FragmentSpread(spread) => {
                    match spread.fragment_def(&self.scope.document.executable) {
                        Some(fragment) if applies(self.scope, fragment.type_condition(), type_name) => {
                            self.fields(&fragment.selection_set, type_name)
                        }
                        _ => 0,
                    }
                }
            };
            count = count.saturating_add(more);
        }
        self.known.insert(place, count);
        count
    }

    fn below(&mut self, set: &'s SelectionSet) -> usize {
        match self.scope.schema.abstract_type(&set.ty) {
            _ if set.selections.is_empty() => 0,
            None => match self.scope.schema.graphql.types.get(&set.ty) {
                // What a mutation's function returns.
                Some(ExtendedType::Union(union)) => {
                    let names = union.members.iter().map(|member| member.as_str());
                    names.fold(0, |count: usize, name| count.saturating_add(self.fields(set, name)))
                }
                _ => self.fields(set, &set.ty),
            },
            Some(found) => {
                let types = found.types.iter().map(|one| one.object.name.as_str());
                types.fold(0, |count: usize, name| count.saturating_add(self.fields(set, name)))
            }
        }
    }
}
