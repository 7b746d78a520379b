//! Outcomes: unions that a mutation's function returns, a success or one of several errors for users.
//!
//! The members are object types without a relation: their fields read the one record that the
//! function returns. Finds them in the document and binds them to a function's result.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::Node;
use apollo_compiler::ast::{
    Definition, Document, FieldDefinition, ObjectTypeDefinition, UnionTypeDefinition,
};
use fraiseql_model::artifact::{Outcome, OutcomeChoice, OutcomeField, OutcomeMember};
use fraiseql_model::catalog::{Attribute, Function, FunctionResult, QualifiedName, SqlTypeKind, TypeRef};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::call::Caller;
use crate::casing::snake_case;
use crate::column::{Side, refuse_unknown, value_type};
use crate::database::Element;
use crate::directive::{Applied, Site};
use crate::findings::{Findings, listed};
use crate::scalar;
use crate::shape::Shape;

/// Names by which a record may say what it is.
const TAGS: &[&str] = &["__typename", "typename"];

/// Short names of fields for the columns of the record with `succeeded`.
const SHORT: &[(&str, &str)] =
    &[("code", "error_class"), ("status", "status_detail"), ("detail", "error_detail")];

/// The outcomes of a document.
#[derive(Debug, Default)]
pub(crate) struct Outcomes<'d> {
    pub(crate) unions: BTreeMap<&'d str, &'d Node<UnionTypeDefinition>>,
    pub(crate) members: BTreeMap<&'d str, &'d Node<ObjectTypeDefinition>>,
}

impl<'d> Outcomes<'d> {
    /// Finds the unions that fields of Mutation return, and their members that have no relation.
    pub(crate) fn find(document: &'d Document) -> Self {
        let returned: BTreeSet<&str> = document
            .definitions
            .iter()
            .flat_map(|definition| match definition {
                Definition::ObjectTypeDefinition(object) if object.name == "Mutation" => &object.fields[..],
                Definition::ObjectTypeExtension(object) if object.name == "Mutation" => &object.fields[..],
                _ => &[],
            })
            .map(|field| field.ty.inner_named_type().as_str())
            .collect();
        let mut outcomes = Self::default();
        for definition in &document.definitions {
            if let Definition::UnionTypeDefinition(union) = definition
                && returned.contains(union.name.as_str())
            {
                outcomes.unions.entry(&union.name).or_insert(union);
            }
        }
        let named: BTreeSet<&str> = outcomes
            .unions
            .values()
            .flat_map(|union| union.members.iter().map(|name| name.as_str()))
            .collect();
        for definition in &document.definitions {
            if let Definition::ObjectTypeDefinition(object) = definition
                && named.contains(object.name.as_str())
                && !object.directives.has("relation")
            {
                outcomes.members.entry(&object.name).or_insert(object);
            }
        }
        outcomes
    }

    /// Returns true when a definition is one of these.
    pub(crate) fn has(&self, definition: &Definition) -> bool {
        match definition {
            Definition::UnionTypeDefinition(union) => self.unions.contains_key(union.name.as_str()),
            Definition::ObjectTypeDefinition(object) => self.members.contains_key(object.name.as_str()),
            _ => false,
        }
    }
}

/// An outcome, with the types of what it decodes.
pub(crate) struct BoundOutcome {
    pub(crate) outcome: Outcome,
    pub(crate) decoded: Vec<(Element, String)>,
}

/// Binds a union to what a function returns, or adds why that cannot be.
pub(crate) fn bind(
    findings: &mut Findings,
    caller: &Caller<'_, '_>,
    function: &Function,
    shape: &Shape<'_>,
    union: &UnionTypeDefinition,
) -> Option<BoundOutcome> {
    let place = shape.name.location();
    let record = Record::of(caller, function);
    let choice = record.as_ref().and_then(Record::choice);
    let (Some(record), Some(choice), false) = (record, choice, shape.list) else {
        let message = format!(
            "{} is the union {}, but {} does not return an outcome",
            caller.owner, union.name, function.name
        );
        let error = Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message)
            .why("which member it is must be said by the function")
            .hint(format!(
                "let it return jsonb with \"__typename\", or one row with a column __typename or \
                 succeeded; and write {}",
                union.name
            ));
        findings.add(place, error);
        return None;
    };
    let mut binder = Binder { caller, record, choice: &choice, decoded: Vec::new() };
    let mut members = Vec::new();
    for (at, name) in union.members.iter().enumerate() {
        let Some(object) = caller.words.outcomes.members.get(name.as_str()) else {
            findings.add(name.location(), not_a_member(caller, name));
            continue;
        };
        let fields = binder.fields(findings, object, at == 0);
        members.push(OutcomeMember { name: name.to_string(), tags: tags(name), fields });
    }
    let (json, decoded) = (matches!(binder.record, Record::Json), binder.decoded);
    Some(BoundOutcome { outcome: Outcome { json, choice, members, non_null: shape.non_null }, decoded })
}

/// A member's name, and the same in snake case.
fn tags(name: &str) -> Vec<String> {
    let mut tags = vec![name.to_owned()];
    tags.extend(Some(snake_case(name)).filter(|snake| snake != name));
    tags
}

fn not_a_member(caller: &Caller<'_, '_>, name: &str) -> Diagnostic {
    if caller.drafts.get(name).is_none() {
        return Diagnostic::error(&errors::SDL_UNKNOWN_TYPE, format!("there is no type {name}"));
    }
    let message = format!("{name} has a relation and cannot be a member of an outcome itself");
    Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
        .hint(format!("make a type for the success with a field of type {name}"))
}

/// What a function returns, seen as keys with values.
enum Record {
    /// Anything may be in it.
    Json,
    Columns(Vec<Attribute>),
}

impl Record {
    fn of(caller: &Caller<'_, '_>, function: &Function) -> Option<Self> {
        let database = caller.words.database;
        match &function.returns {
            FunctionResult::Value { sql_type, set: false } if !sql_type.array => {
                if sql_type.name.schema == "pg_catalog" {
                    return matches!(sql_type.name.name.as_str(), "json" | "jsonb").then_some(Self::Json);
                }
                match &database.sql_type(&sql_type.name)?.kind {
                    SqlTypeKind::Composite { attributes } => Some(Self::Columns(attributes.clone())),
                    _ => None,
                }
            }
            FunctionResult::Table { columns, .. } => Some(Self::Columns(columns.clone())),
            FunctionResult::Row { relation, .. } => {
                let columns = database.relation(relation)?.columns.iter();
                let attribute = |column: &fraiseql_model::catalog::Column| Attribute {
                    name: column.name.clone(),
                    sql_type: column.sql_type.clone(),
                };
                Some(Self::Columns(columns.map(attribute).collect()))
            }
            _ => None,
        }
    }

    fn choice(&self) -> Option<OutcomeChoice> {
        let tag = TAGS.iter().find(|tag| matches!(self, Self::Json) || self.column(tag).is_some());
        match tag {
            Some(tag) => Some(OutcomeChoice::Tag((*tag).to_owned())),
            None => self.column("succeeded").map(|_| OutcomeChoice::Succeeded),
        }
    }

    fn column(&self, name: &str) -> Option<&Attribute> {
        match self {
            Self::Json => None,
            Self::Columns(columns) => columns.iter().find(|column| column.name == name),
        }
    }
}

struct Binder<'b, 'a, 'w> {
    caller: &'b Caller<'a, 'w>,
    record: Record,
    choice: &'b OutcomeChoice,
    decoded: Vec<(Element, String)>,
}

impl Binder<'_, '_, '_> {
    fn fields(
        &mut self,
        findings: &mut Findings,
        object: &ObjectTypeDefinition,
        success: bool,
    ) -> BTreeMap<String, OutcomeField> {
        let mut fields = BTreeMap::new();
        for field in &object.fields {
            if let Some(bound) = self.field(findings, object, field, success) {
                fields.insert(field.name.to_string(), bound);
            }
        }
        fields
    }

    fn field(
        &mut self,
        findings: &mut Findings,
        object: &ObjectTypeDefinition,
        field: &FieldDefinition,
        success: bool,
    ) -> Option<OutcomeField> {
        let owner = format!("{}.{}", object.name, field.name);
        let place = field.name.location();
        let applied = Applied::read(findings, Site::Field, &field.directives.0);
        if let Some((directive, place)) = applied.any_of(&["reference", "neverNull", "version", "function"]) {
            let message = format!("@{directive} says nothing on {owner}, which reads the function's result");
            findings.add(place, Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
        }
        if let Some(argument) = field.arguments.first() {
            let message = format!("{owner} reads the function's result and takes no arguments");
            findings.add(argument.location(), Diagnostic::error(&errors::SDL_ARGUMENT, message));
        }
        let Some(shape) = Shape::of(&field.ty) else {
            let message = format!("{owner} is a list of lists");
            findings.add(place, Diagnostic::error(&errors::SDL_UNSUPPORTED, message));
            return None;
        };
        let given = applied.get("column").and_then(|usage| usage.text("name"));
        let key = given.map_or_else(|| snake_case(&field.name), str::to_owned);
        match self.caller.drafts.get(shape.name) {
            Some(target) => {
                let refusal = if target.restricted {
                    Some("its rows are told from others of a relation by a discriminator")
                } else if shape.list {
                    Some("a list of rows cannot be read from a result: give the rows in a JSON field")
                } else if target.relation.is_some() && target.key.is_empty() {
                    Some("its rows have no key to be found by: say @relation(key: [...])")
                } else {
                    None
                };
                if let Some(why) = refusal {
                    let message = format!("{owner} cannot be {}", field.ty);
                    findings.add(place, Diagnostic::error(&errors::SDL_UNSUPPORTED, message).why(why));
                    return None;
                }
                self.row(findings, &owner, field, &shape, &key)
            }
            None => self.value(findings, &owner, field, &shape, &key, success),
        }
    }

    fn row(
        &self,
        findings: &mut Findings,
        owner: &str,
        field: &FieldDefinition,
        shape: &Shape<'_>,
        key: &str,
    ) -> Option<OutcomeField> {
        let known = matches!(self.record, Record::Json) || self.record.column(key).is_some();
        let succeeded = *self.choice == OutcomeChoice::Succeeded;
        let entity = !known && succeeded && self.record.column("entity").is_some();
        if !known && !entity {
            findings.add(field.name.location(), self.missing(owner, key));
            return None;
        }
        let id = self.record.column("entity_id").filter(|_| entity).map(|column| column.name.clone());
        let path = vec![if entity { "entity".to_owned() } else { key.to_owned() }];
        Some(OutcomeField::Row { path, id, target: shape.name.to_string(), non_null: shape.non_null })
    }

    fn value(
        &mut self,
        findings: &mut Findings,
        owner: &str,
        field: &FieldDefinition,
        shape: &Shape<'_>,
        key: &str,
        success: bool,
    ) -> Option<OutcomeField> {
        let scalar = scalar::names().any(|known| shape.name == known);
        if !scalar && !self.caller.words.enums.contains_key(shape.name.as_str()) {
            refuse_unknown(findings, self.caller.words, shape.name);
            return None;
        }
        let short = SHORT.iter().find(|(short, _)| *short == key && *self.choice == OutcomeChoice::Succeeded);
        let column = self.record.column(key).or_else(|| self.record.column(short?.1));
        // What the record has no column for stands in its JSON.
        let more = if success { "metadata" } else { "error_detail" };
        let more = self.record.column(more).filter(|_| *self.choice == OutcomeChoice::Succeeded);
        let (path, sql_type) = match (&self.record, column, more) {
            (_, Some(column), _) => (vec![column.name.clone()], column.sql_type.clone()),
            (Record::Json, None, _) => (vec![key.to_owned()], self.sql_type(shape)?),
            (Record::Columns(_), None, Some(more)) => {
                (vec![more.name.clone(), key.to_owned()], self.sql_type(shape)?)
            }
            (Record::Columns(_), None, None) => {
                findings.add(field.name.location(), self.missing(owner, key));
                return None;
            }
        };
        let source = format!("\"{}\" of its result", path.join("."));
        let side = Side { owner, source: &source, sql_type: &sql_type, input: false };
        let (value, element) = value_type(findings, self.caller.words, shape, &side)?;
        self.decoded.push((element, value.graphql.clone()));
        Some(OutcomeField::Value { path, value, non_null: shape.non_null })
    }

    /// Returns the type as which a value of JSON is read.
    fn sql_type(&self, shape: &Shape<'_>) -> Option<TypeRef> {
        let built_in = match shape.name.as_str() {
            "Int" => "int4",
            "Float" => "float8",
            "Boolean" => "bool",
            "BigInt" => "int8",
            "Decimal" => "numeric",
            "UUID" => "uuid",
            "DateTime" => "timestamptz",
            "LocalDateTime" => "timestamp",
            "Date" => "date",
            "Time" => "time",
            "JSON" => "json",
            "Bytes" => "bytea",
            name => match self.caller.words.enums.get(name) {
                Some(bound) => {
                    let name = bound.binding.as_ref()?.sql_type.clone();
                    return Some(TypeRef { name, array: shape.list });
                }
                None => "text",
            },
        };
        Some(TypeRef { name: QualifiedName::new("pg_catalog", built_in), array: shape.list })
    }

    fn missing(&self, owner: &str, key: &str) -> Diagnostic {
        let message = format!("{owner} reads \"{key}\", which the function does not return");
        let error = Diagnostic::error(&errors::SDL_UNKNOWN_COLUMN, message);
        match &self.record {
            Record::Json => error,
            Record::Columns(columns) => {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                error.hint(format!("there are {}; say which with @column(name: ...)", listed(&names)))
            }
        }
    }
}
