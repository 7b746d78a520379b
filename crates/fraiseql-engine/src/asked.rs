//! Which fields the operations of a document ask for, for counts of usage.

use std::collections::BTreeSet;

use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;

use crate::document::Document;
use crate::schema::Schema;

/// Returns the fields that each operation asks for, as `Type.field`, with the operation's name.
///
/// `@skip` and `@include` are not looked at: a client that can ask for a field counts as one that does.
/// A field of an interface counts for every type that implements it; introspection is left out.
pub fn asked_fields(schema: &Schema, document: &Document) -> Vec<(Option<String>, BTreeSet<String>)> {
    let operations = document.executable.operations.iter();
    let asked = operations.map(|operation| {
        let mut walk = Walk { schema, document, fields: BTreeSet::new(), fragments: BTreeSet::new() };
        walk.set(&operation.selection_set);
        (operation.name.as_ref().map(ToString::to_string), walk.fields)
    });
    asked.collect()
}

struct Walk<'d> {
    schema: &'d Schema,
    document: &'d Document,
    fields: BTreeSet<String>,
    /// Fragments that were walked: once is enough, however often they are spread.
    fragments: BTreeSet<&'d str>,
}

impl<'d> Walk<'d> {
    fn set(&mut self, set: &'d SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    if !field.name.starts_with("__") {
                        self.field(set.ty.as_str(), field.name.as_str());
                        self.set(&field.selection_set);
                    }
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.selection_set),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = spread.fragment_def(&self.document.executable)
                        && self.fragments.insert(spread.fragment_name.as_str())
                    {
                        self.set(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn field(&mut self, owner: &str, field: &str) {
        match self.schema.graphql.types.get(owner) {
            Some(ExtendedType::Interface(_)) => {
                let implementers = self.schema.implementers.get(owner);
                let objects = implementers.into_iter().flat_map(|found| &found.objects);
                self.fields.extend(objects.map(|object| format!("{object}.{field}")));
            }
            _ => {
                self.fields.insert(format!("{owner}.{field}"));
            }
        }
    }
}
