//! Literals: sections 5.6.1 to 5.6.4, and 3.10.1 for `@oneOf`.

use std::collections::BTreeMap;

use apollo_compiler::ast::{InputValueDefinition, Type, Value};
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{Name, Node};

use super::{Checks, Found, Usage};
use crate::spec::is_one_of;

/// What is known of the place of a value.
struct Place<'d> {
    ty: Option<Type>,
    default: bool,
    one_of: Option<&'d Name>,
}

impl<'d> Checks<'d> {
    /// Checks the value of an argument, and notes the variables in it.
    pub(super) fn argument_value(
        &mut self,
        value: &'d Node<Value>,
        definition: Option<&'d Node<InputValueDefinition>>,
        found: &mut Found<'d>,
    ) {
        let ty = definition.map(|definition| (*definition.ty).clone());
        let default = definition.is_some_and(|definition| definition.default_value.is_some());
        self.note(value, Place { ty, default, one_of: None }, found);
        if let Some(definition) = definition {
            self.literal(value, &definition.ty);
        }
    }

    /// Notes variables, and reports fields of input objects that stand twice.
    pub(super) fn note_constant(&mut self, value: &'d Node<Value>) {
        self.note(value, Place { ty: None, default: false, one_of: None }, &mut Found::default());
    }

    fn note(&mut self, value: &'d Node<Value>, place: Place<'d>, found: &mut Found<'d>) {
        match &**value {
            Value::Variable(name) => {
                let Place { ty, default, one_of } = place;
                found.usages.push(Usage { name, span: value.location(), ty, default, one_of });
            }
            Value::List(items) => {
                // Inside of a scalar nothing is known.
                let ty = place.ty.filter(Type::is_list).map(|ty| ty.item_type().clone());
                for item in items {
                    self.note(item, Place { ty: ty.clone(), default: false, one_of: None }, found);
                }
            }
            Value::Object(fields) => {
                let object = place.ty.as_ref().and_then(|ty| match self.type_named(ty.inner_named_type()) {
                    Some(ExtendedType::InputObject(object)) => Some(&**object),
                    _ => None,
                });
                let mut seen: BTreeMap<&str, &'d Name> = BTreeMap::new();
                for (name, value) in fields {
                    if let Some(first) = seen.insert(name, name) {
                        let message = format!("the input field \"{name}\" stands twice");
                        self.error([first.location(), name.location()], message);
                    }
                    let field = object.and_then(|object| object.fields.get(name));
                    let place = Place {
                        ty: field.map(|field| (*field.ty).clone()),
                        default: field.is_some_and(|field| field.default_value.is_some()),
                        one_of: object.filter(|object| is_one_of(object)).map(|object| &object.name),
                    };
                    self.note(value, place, found);
                }
            }
            _ => {}
        }
    }

    /// Checks a literal against its type; variables in it are the business of another rule.
    pub(super) fn literal(&mut self, value: &'d Node<Value>, ty: &Type) {
        match &**value {
            Value::Variable(_) => return,
            Value::Null => {
                if ty.is_non_null() {
                    self.error([value.location()], format!("null is not a value of type \"{ty}\""));
                }
                return;
            }
            _ => {}
        }
        if ty.is_list() {
            match &**value {
                Value::List(items) => items.iter().for_each(|item| self.literal(item, ty.item_type())),
                _ => self.literal(value, ty.item_type()),
            }
            return;
        }
        let name = ty.inner_named_type();
        match self.type_named(name) {
            Some(ExtendedType::InputObject(object)) => self.object(value, object),
            Some(ExtendedType::Enum(definition)) => {
                let known = matches!(&**value, Value::Enum(name) if definition.values.contains_key(name));
                if !known {
                    let message = format!("the value must be one of those of the enum \"{name}\"");
                    self.error([value.location()], message);
                }
            }
            Some(ExtendedType::Scalar(_)) => {
                if let Err(expected) = scalar(name, value) {
                    self.error([value.location()], format!("the value must be {expected}"));
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, value: &'d Node<Value>, object: &'d InputObjectType) {
        let Value::Object(given) = &**value else {
            let message = format!("the value must be an object of type \"{}\"", object.name);
            return self.error([value.location()], message);
        };
        for (name, field) in &object.fields {
            match given.iter().find(|(given, _)| given == name) {
                Some((_, value)) => self.literal(value, &field.ty),
                None if field.is_required() => {
                    let message = format!("the field \"{}.{name}: {}\" is required", object.name, field.ty);
                    self.error([value.location()], message);
                }
                None => {}
            }
        }
        for (name, _) in given.iter().filter(|(name, _)| !object.fields.contains_key(name)) {
            self.error(
                [name.location()],
                format!("there is no field \"{name}\" on type \"{}\"", object.name),
            );
        }
        let mut known = given.iter().filter(|(name, _)| object.fields.contains_key(name));
        let exactly_one = matches!((known.next(), known.next()), (Some((_, only)), None) if !only.is_null());
        if is_one_of(object) && !exactly_one {
            let message = format!("exactly one field of \"{}\" must be given, and not be null", object.name);
            self.error([value.location()], message);
        }
    }
}

/// Input coercion of literals: section 3.5. A custom scalar takes anything here.
fn scalar(name: &str, value: &Value) -> Result<(), &'static str> {
    let (fits, expected) = match name {
        "Int" => (matches!(value, Value::Int(int) if int.try_to_i32().is_ok()), "a whole number of 32 bits"),
        "Float" => {
            let fits = match value {
                Value::Int(int) => int.try_to_f64().is_ok(),
                Value::Float(float) => float.try_to_f64().is_ok(),
                _ => false,
            };
            (fits, "a number")
        }
        "String" => (matches!(value, Value::String(_)), "a string"),
        "Boolean" => (matches!(value, Value::Boolean(_)), "true or false"),
        "ID" => (matches!(value, Value::String(_) | Value::Int(_)), "a string or a whole number"),
        _ => (true, ""),
    };
    if fits { Ok(()) } else { Err(expected) }
}
