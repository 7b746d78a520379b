//! Fields that share a response key can be merged: section 5.3.2.
//!
//! Fields of one parent type, name and arguments form a class, whose selections are merged before they
//! are looked at. Two classes are compared once for each place where they meet. What the specification
//! leaves quadratic has a budget: past it the document is refused.

use apollo_compiler::Node;
use apollo_compiler::ast::{Argument, Field, OperationDefinition, Selection, Type, Value};
use apollo_compiler::schema::ExtendedType;
use fraiseql_model::response::{Code, GraphqlError};
use indexmap::IndexMap;

use super::{Checks, Found, is_composite};
use crate::document::ERRORS_MAX;

/// Fields collected and classes compared, over all operations of a document.
const BUDGET: usize = 250_000;

/// Fields of one place that can be merged without a look.
struct Class<'d> {
    parent: Option<&'d ExtendedType>,
    field: &'d Node<Field>,
    ty: Option<&'d Type>,
    /// Selections of all of them, each with the type that it is on.
    sets: Vec<Set<'d>>,
}

type Set<'d> = (Option<&'d ExtendedType>, &'d [Selection]);
/// By response key, the classes.
type Classes<'d> = IndexMap<&'d str, Vec<Class<'d>>>;

impl<'d> Checks<'d> {
    /// Checks every operation.
    pub(super) fn overlapping(&mut self, operations: &[(&'d Node<OperationDefinition>, Found<'d>)]) {
        let mut budget = BUDGET;
        for (operation, _) in operations {
            let root = self.schema.graphql.root_operation(operation.operation_type);
            let root = root.and_then(|name| self.type_named(name));
            self.within(vec![(root, operation.selection_set.as_slice())], &mut budget);
        }
        if budget == 0 && self.errors.len() < ERRORS_MAX {
            let message = "too many fields share their response keys: write each selection once";
            self.errors.push(GraphqlError::new(Code::LimitExceeded, message));
        }
    }

    fn within(&mut self, sets: Vec<Set<'d>>, budget: &mut usize) {
        let classes = self.classes(&sets, budget);
        for same_key in classes.values() {
            for (index, first) in same_key.iter().enumerate() {
                for second in &same_key[index + 1..] {
                    self.compare(first, second, false, budget);
                }
            }
        }
        for class in classes.into_values().flatten().filter(|class| !class.sets.is_empty()) {
            if *budget == 0 {
                return;
            }
            self.within(class.sets, budget);
        }
    }

    fn compare(&mut self, first: &Class<'d>, second: &Class<'d>, exclusive: bool, budget: &mut usize) {
        if !spend(budget) {
            return;
        }
        let exclusive = exclusive || exclude_each_other(first.parent, second.parent);
        let key = first.field.response_name();
        let reason = if !exclusive && first.field.name != second.field.name {
            Some("they are different fields")
        } else if !exclusive && !same_arguments(&first.field.arguments, &second.field.arguments) {
            Some("their arguments differ")
        } else if let (Some(one), Some(other)) = (first.ty, second.ty)
            && !self.same_shape(one, other)
        {
            Some("their types differ")
        } else {
            None
        };
        if let Some(reason) = reason {
            let message = format!("the fields \"{key}\" cannot be merged: {reason}; give them aliases");
            return self.error([first.field.location(), second.field.location()], message);
        }
        if first.sets.is_empty() || second.sets.is_empty() {
            return;
        }
        let (ones, others) = (self.classes(&first.sets, budget), self.classes(&second.sets, budget));
        for (key, ones) in &ones {
            for other in others.get(key).into_iter().flatten() {
                for one in ones {
                    self.compare(one, other, exclusive, budget);
                }
            }
        }
    }

    /// `SameResponseShape` of section 5.3.2, but for what lies below.
    fn same_shape(&self, one: &Type, other: &Type) -> bool {
        if one.is_non_null() != other.is_non_null() || one.is_list() != other.is_list() {
            return false;
        }
        if one.is_list() {
            return self.same_shape(one.item_type(), other.item_type());
        }
        let (one, other) = (one.inner_named_type(), other.inner_named_type());
        let leaf = |name| self.type_named(name).is_some_and(ExtendedType::is_leaf);
        one == other || !(leaf(one) || leaf(other))
    }

    fn classes(&self, sets: &[Set<'d>], budget: &mut usize) -> Classes<'d> {
        let mut classes = Classes::new();
        for (parent, set) in sets {
            let mut spread = Vec::new();
            self.collect(*parent, set, &mut spread, &mut classes, budget);
        }
        classes
    }

    fn collect(
        &self,
        parent: Option<&'d ExtendedType>,
        set: &'d [Selection],
        spread: &mut Vec<&'d str>,
        classes: &mut Classes<'d>,
        budget: &mut usize,
    ) {
        for selection in set {
            if !spend(budget) {
                return;
            }
            match selection {
                Selection::Field(field) => self.classify(parent, field, classes, budget),
                Selection::InlineFragment(fragment) => {
                    let inner = fragment.type_condition.as_ref().map_or(parent, |name| self.composite(name));
                    self.collect(inner, &fragment.selection_set, spread, classes, budget);
                }
                Selection::FragmentSpread(named) => {
                    let name = named.fragment_name.as_str();
                    if let Some(fragment) = self.fragments.get(name)
                        && !spread.contains(&name)
                    {
                        spread.push(name);
                        let inner = self.composite(&fragment.type_condition);
                        self.collect(inner, &fragment.selection_set, spread, classes, budget);
                    }
                }
            }
        }
    }

    fn classify(
        &self,
        parent: Option<&'d ExtendedType>,
        field: &'d Node<Field>,
        classes: &mut Classes<'d>,
        budget: &mut usize,
    ) {
        let graphql = &self.schema.graphql;
        let ty = parent.and_then(|parent| graphql.type_field(parent.name(), &field.name).ok());
        let ty = ty.map(|definition| &definition.ty);
        let below = ty.and_then(|ty| self.composite(ty.inner_named_type()));
        let same_key = classes.entry(field.response_name()).or_default();
        let known = same_key.iter_mut().find(|class| {
            spend(budget);
            class.parent.map(ExtendedType::name) == parent.map(ExtendedType::name)
                && class.field.name == field.name
                && same_arguments(&class.field.arguments, &field.arguments)
        });
        let set = (!field.selection_set.is_empty()).then_some((below, field.selection_set.as_slice()));
        match known {
            Some(class) => class.sets.extend(set),
            None => same_key.push(Class { parent, field, ty, sets: set.into_iter().collect() }),
        }
    }

    fn composite(&self, name: &str) -> Option<&'d ExtendedType> {
        self.type_named(name).filter(|ty| is_composite(ty))
    }
}

/// Returns false when nothing is left.
fn spend(budget: &mut usize) -> bool {
    *budget = budget.saturating_sub(1);
    *budget > 0
}

fn exclude_each_other(one: Option<&ExtendedType>, other: Option<&ExtendedType>) -> bool {
    matches!((one, other), (Some(ExtendedType::Object(one)), Some(ExtendedType::Object(other))) if one.name != other.name)
}

fn same_arguments(ones: &[Node<Argument>], others: &[Node<Argument>]) -> bool {
    ones.len() == others.len()
        && ones.iter().all(|one| {
            let other = others.iter().find(|other| other.name == one.name);
            other.is_some_and(|other| same_value(&one.value, &other.value))
        })
}

/// Equal but for the order of an object's fields, which means nothing.
fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::List(ones), Value::List(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| same_value(one, other))
        }
        (Value::Object(ones), Value::Object(others)) => {
            ones.len() == others.len()
                && ones.iter().all(|(name, one)| {
                    let found = others.iter().find(|(other, _)| other == name);
                    found.is_some_and(|(_, other)| same_value(one, other))
                })
        }
        (one, other) => one == other,
    }
}
