//! The walk over selections: fields, arguments and fragments (sections 5.3, 5.4 and 5.5).

use std::collections::BTreeMap;

use apollo_compiler::ast::{
    Argument, DirectiveLocation, Field, FragmentDefinition, FragmentSpread, InlineFragment,
    InputValueDefinition, OperationDefinition, Selection,
};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};

use super::{Checks, Found, is_composite};
use crate::tokens::location;

impl<'d> Checks<'d> {
    /// Walks over an operation.
    pub(super) fn operation(&mut self, operation: &'d OperationDefinition) -> Found<'d> {
        let mut found = Found::default();
        self.directives(&operation.directives, operation.operation_type.into(), &mut found);
        self.variable_definitions(operation);
        let root = self.schema.graphql.root_operation(operation.operation_type);
        let root = root.and_then(|name| self.type_named(name));
        self.selections(root, &operation.selection_set, &mut found);
        found
    }

    /// Walks over a fragment.
    pub(super) fn fragment(&mut self, fragment: &'d FragmentDefinition) -> Found<'d> {
        let mut found = Found::default();
        self.directives(&fragment.directives, DirectiveLocation::FragmentDefinition, &mut found);
        let condition = self.condition(&fragment.type_condition);
        self.selections(condition, &fragment.selection_set, &mut found);
        found
    }

    /// `parent` is `None` where the type is not known, and nothing can be said of fields.
    fn selections(&mut self, parent: Option<&'d ExtendedType>, set: &'d [Selection], found: &mut Found<'d>) {
        for selection in set {
            match selection {
                Selection::Field(field) => self.field(parent, field, found),
                Selection::InlineFragment(fragment) => self.inline_fragment(parent, fragment, found),
                Selection::FragmentSpread(spread) => self.spread(parent, spread, found),
            }
        }
    }

    fn field(&mut self, parent: Option<&'d ExtendedType>, field: &'d Node<Field>, found: &mut Found<'d>) {
        let graphql = &self.schema.graphql;
        let definition = parent.and_then(|parent| graphql.type_field(parent.name(), &field.name).ok());
        if let (Some(parent), None) = (parent, definition) {
            let message = format!("there is no field \"{}\" on type \"{}\"", field.name, parent.name());
            self.error([field.location()], message);
        }
        self.directives(&field.directives, DirectiveLocation::Field, found);
        let arguments = definition.map(|definition| definition.arguments.as_slice());
        let owner = || format!("the field \"{}\"", field.name);
        self.arguments(&field.arguments, arguments, field.location(), owner, found);
        let ty = definition.and_then(|definition| self.type_named(definition.ty.inner_named_type()));
        match (ty, field.selection_set.first()) {
            (Some(ty), None) if is_composite(ty) => {
                let message = format!(
                    "the field \"{0}\" of type \"{1}\" needs fields: write \"{0} {{ ... }}\"",
                    field.name,
                    ty.name()
                );
                self.error([field.location()], message);
            }
            (Some(ty), Some(first)) if ty.is_leaf() => {
                let message =
                    format!("the field \"{}\" has no fields: its type is \"{}\"", field.name, ty.name());
                self.error_at_brace(first, message);
            }
            _ => {}
        }
        self.selections(ty.filter(|ty| is_composite(ty)), &field.selection_set, found);
    }

    /// The brace before a selection has no place of its own in the tree.
    pub(super) fn error_at_brace(&mut self, first: &Selection, message: String) {
        let start = first.location().map_or(0, |span| span.offset());
        let brace = self.text.get(..start).and_then(|before| before.rfind('{')).unwrap_or(start);
        self.error_at(vec![location(self.text, brace)], message);
    }

    /// Checks arguments against their definitions; `None` when those are not known.
    pub(super) fn arguments(
        &mut self,
        arguments: &'d [Node<Argument>],
        definitions: Option<&'d [Node<InputValueDefinition>]>,
        span: Option<SourceSpan>,
        owner: impl Fn() -> String,
        found: &mut Found<'d>,
    ) {
        let mut seen: BTreeMap<&str, &'d Name> = BTreeMap::new();
        for argument in arguments {
            let name = &argument.name;
            match seen.get(name.as_str()) {
                Some(first) => {
                    let message = format!("the argument \"{name}\" stands twice");
                    self.error([first.location(), name.location()], message);
                }
                None => {
                    seen.insert(name, name);
                }
            }
            let definition = definitions.and_then(|all| all.iter().find(|one| one.name == *name));
            if definitions.is_some() && definition.is_none() {
                let message = format!("{} has no argument \"{name}\"", owner());
                self.error([argument.location()], message);
            }
            self.argument_value(&argument.value, definition, found);
        }
        for definition in definitions.unwrap_or_default() {
            if definition.is_required() && !seen.contains_key(definition.name.as_str()) {
                let message =
                    format!("{} needs the argument \"{}: {}\"", owner(), definition.name, definition.ty);
                self.error([span], message);
            }
        }
    }

    fn inline_fragment(
        &mut self,
        parent: Option<&'d ExtendedType>,
        fragment: &'d Node<InlineFragment>,
        found: &mut Found<'d>,
    ) {
        self.directives(&fragment.directives, DirectiveLocation::InlineFragment, found);
        let inner = match &fragment.type_condition {
            None => parent,
            Some(condition) => {
                let inner = self.condition(condition);
                self.possible(parent, inner, fragment.location());
                inner
            }
        };
        self.selections(inner, &fragment.selection_set, found);
    }

    fn spread(
        &mut self,
        parent: Option<&'d ExtendedType>,
        spread: &'d Node<FragmentSpread>,
        found: &mut Found<'d>,
    ) {
        self.directives(&spread.directives, DirectiveLocation::FragmentSpread, found);
        match self.fragments.get(spread.fragment_name.as_str()) {
            None => {
                let message = format!("there is no fragment \"{}\"", spread.fragment_name);
                self.error([spread.fragment_name.location()], message);
            }
            Some(fragment) => {
                let inner = self.type_named(&fragment.type_condition).filter(|ty| is_composite(ty));
                self.possible(parent, inner, spread.location());
            }
        }
        found.spreads.push(spread);
    }

    /// Returns the type of a condition; reports one that is missing or has no fields.
    fn condition(&mut self, name: &'d Name) -> Option<&'d ExtendedType> {
        match self.type_named(name) {
            None => {
                self.error([name.location()], format!("there is no type \"{name}\""));
                None
            }
            Some(ty) if !is_composite(ty) => {
                let message = format!("a fragment cannot be on \"{name}\": it has no fields");
                self.error([name.location()], message);
                None
            }
            composite => composite,
        }
    }

    fn possible(
        &mut self,
        parent: Option<&'d ExtendedType>,
        inner: Option<&'d ExtendedType>,
        span: Option<SourceSpan>,
    ) {
        let (Some(parent), Some(inner)) = (parent, inner) else { return };
        if parent.name() == inner.name() {
            return;
        }
        let there = self.possible_types(parent);
        if !self.possible_types(inner).iter().any(|name| there.contains(name)) {
            let message =
                format!("a value of type \"{}\" can never be of type \"{}\"", parent.name(), inner.name());
            self.error([span], message);
        }
    }
}
