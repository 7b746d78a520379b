//! The filter of an object type: what of it can be compared, and by which generated types.

use fraiseql_model::artifact::{FunctionReturn, ValueType};

use crate::database::Element;
use crate::input::{Model, Shared, column_filter, input, value_filter};
use crate::object::{Binding, BoundObject};

impl Model<'_, '_> {
    /// Returns the filter of an object type.
    pub(crate) fn filter(&self, object: &BoundObject<'_>) -> String {
        let name = object.name;
        let mut fields: Vec<String> = Vec::new();
        for field in &object.fields {
            let one = |filter: String| format!("{}: {filter}", field.name);
            match &field.binding {
                Binding::Column(column) => fields.push(one(column_filter(column).0)),
                Binding::ToOne(reference) => fields.push(one(format!("{}Filter", reference.target))),
                Binding::ToMany(reference) => {
                    fields.push(one(format!("{}ListFilter", reference.target)));
                    let target = self.aggregated(field);
                    fields.extend(
                        target.map(|target| format!("{}Aggregate: {target}AggregateFilter", field.name)),
                    );
                }
                Binding::Computed(_) => {
                    fields.extend(computed_filter(object, &field.binding).map(|(filter, _)| one(filter)));
                }
                Binding::Polymorphic(_) | Binding::GlobalId | Binding::Document(_) => {}
            }
        }
        fields.push(format!("_and: [{name}Filter!]"));
        fields.push(format!("_or: [{name}Filter!]"));
        fields.push(format!("_not: {name}Filter"));
        input(&format!("{name}Filter"), &fields)
    }
}

/// Returns what a computed field gives, when it can be asked of a row without more.
pub(crate) fn comparable<'b>(
    object: &BoundObject<'_>,
    binding: &'b Binding<'_>,
) -> Option<(&'b ValueType, &'b Element)> {
    // The row of a type of several in one relation is a subquery's, which no function takes.
    let Binding::Computed(call) = binding else { return None };
    let whole = !object.draft.restricted && !object.draft.rows && call.bare;
    match &call.call.returns {
        FunctionReturn::Value { value, set: false, .. } if whole => Some((value, call.result.as_ref()?)),
        _ => None,
    }
}

/// Returns the filter of a computed field, when there is one.
pub(crate) fn computed_filter(object: &BoundObject<'_>, binding: &Binding<'_>) -> Option<(String, Shared)> {
    comparable(object, binding).map(|(value, element)| value_filter(value, element))
}
