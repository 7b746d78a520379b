//! Variables: section 5.8. Unique, of input types, defined, used, and allowed where they stand.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::ast::{
    DirectiveLocation, FragmentDefinition, OperationDefinition, Type, VariableDefinition,
};
use apollo_compiler::{Name, Node};

use super::fragments::reach;
use super::{Checks, Found, Usage};

impl<'d> Checks<'d> {
    /// Checks the definitions themselves.
    pub(super) fn variable_definitions(&mut self, operation: &'d OperationDefinition) {
        let mut seen: BTreeMap<&str, &'d Name> = BTreeMap::new();
        for definition in &operation.variables {
            let name = &definition.name;
            match seen.get(name.as_str()) {
                Some(first) => {
                    let message = format!("there are several variables \"${name}\"");
                    self.error([first.location(), name.location()], message);
                }
                None => {
                    seen.insert(name, name);
                }
            }
            self.variable_type(definition);
            if let Some(default) = &definition.default_value {
                self.note_constant(default);
                if self.type_named(definition.ty.inner_named_type()).is_some() {
                    self.literal(default, &definition.ty);
                }
            }
            let place = DirectiveLocation::VariableDefinition;
            self.directives(&definition.directives, place, &mut Found::default());
        }
    }

    fn variable_type(&mut self, definition: &'d VariableDefinition) {
        let named = definition.ty.inner_named_type();
        match self.type_named(named) {
            None => self.error([named.location()], format!("there is no type \"{named}\"")),
            Some(ty) if !ty.is_input_type() => {
                let message = format!("the variable \"${}\" cannot be of type \"{named}\"", definition.name);
                self.error([definition.ty.location()], message);
            }
            Some(_) => {}
        }
    }

    /// Checks each operation's variables against their usages, those in fragments included.
    pub(super) fn variables(
        &mut self,
        operations: &[(&'d Node<OperationDefinition>, Found<'d>)],
        fragments: &[(&'d Node<FragmentDefinition>, Found<'d>)],
    ) {
        let mut spreads = BTreeMap::new();
        let mut usages: BTreeMap<&str, &[Usage<'d>]> = BTreeMap::new();
        for (fragment, found) in fragments {
            spreads.entry(fragment.name.as_str()).or_insert(found.spreads.as_slice());
            usages.entry(&fragment.name).or_insert(&found.usages);
        }
        for (operation, found) in operations {
            let mut reached = BTreeSet::new();
            reach(&found.spreads, &spreads, &mut reached);
            let below = reached.iter().filter_map(|name| usages.get(name)).flat_map(|usages| usages.iter());
            let all: Vec<&Usage<'d>> = found.usages.iter().chain(below).collect();
            self.operation_variables(operation, &all);
        }
    }

    fn operation_variables(&mut self, operation: &'d Node<OperationDefinition>, usages: &[&Usage<'d>]) {
        let mut definitions: BTreeMap<&str, &'d Node<VariableDefinition>> = BTreeMap::new();
        for definition in &operation.variables {
            definitions.insert(&definition.name, definition);
        }
        let mut used = BTreeSet::new();
        for usage in usages {
            used.insert(usage.name.as_str());
            match definitions.get(usage.name.as_str()) {
                None => {
                    let message = format!("the operation does not define the variable \"${}\"", usage.name);
                    self.error([usage.span, operation.location()], message);
                }
                Some(definition) => self.position(definition, usage),
            }
        }
        for definition in &operation.variables {
            if !used.contains(definition.name.as_str()) {
                let message = format!("the variable \"${}\" is not used", definition.name);
                self.error([definition.location()], message);
            }
        }
    }

    fn position(&mut self, definition: &'d Node<VariableDefinition>, usage: &Usage<'d>) {
        let Some(expected) = &usage.ty else { return };
        if self.type_named(definition.ty.inner_named_type()).is_none() {
            return;
        }
        let name = usage.name;
        if !allowed(definition, expected, usage) {
            let hint = usage.one_of.map_or_else(String::new, |object| {
                format!(
                    ": the only field of \"{object}\" must not be null, so make it \"{}!\"",
                    definition.ty
                )
            });
            let message = format!(
                "the variable \"${name}\" of type \"{}\" cannot stand where \"{expected}\" is expected{hint}",
                definition.ty
            );
            self.error([definition.location(), usage.span], message);
        }
    }
}

/// `IsVariableUsageAllowed` of section 5.8.5. The field of a `@oneOf` type is a non-null position.
fn allowed(definition: &VariableDefinition, expected: &Type, usage: &Usage<'_>) -> bool {
    let non_null = expected.is_non_null() || usage.one_of.is_some();
    if non_null && !definition.ty.is_non_null() {
        let default_here = definition.default_value.as_ref().is_some_and(|value| !value.is_null());
        return (default_here || usage.default)
            && definition.ty.is_assignable_to(&expected.clone().nullable());
    }
    definition.ty.is_assignable_to(expected)
}
