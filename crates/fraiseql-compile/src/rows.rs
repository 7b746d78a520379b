//! Object types without a relation whose rows functions return: RETURNS TABLE, OUT parameters, and
//! free-standing composite types. Their columns are those of the function.

use std::collections::BTreeMap;

use apollo_compiler::ast::FieldDefinition;
use fraiseql_model::catalog::{
    Attribute, Column, Function, FunctionResult, Generated, Nullability, Privileges, Relation, RelationKind,
    SqlTypeKind,
};

use crate::casing::snake_case;
use crate::database::{Database, Found};
use crate::document::Authored;

/// Returns what stands for a relation, for each type that has none and that a function returns.
pub(crate) fn relations<'d>(authored: &Authored<'d>, database: &Database<'_>) -> BTreeMap<&'d str, Relation> {
    let mut found = BTreeMap::new();
    let roots = authored.query.iter().chain(&authored.mutation);
    for field in roots.flat_map(|root| &root.fields) {
        let name = field.ty.inner_named_type().as_str();
        let object = authored.objects.iter().find(|object| object.name == name);
        let free = object.filter(|object| !object.directives.iter().any(|found| found.name == "relation"));
        if let Some(object) = free
            && let Some((function, columns)) = called(field, database)
        {
            found.entry(object.name).or_insert_with(|| relation(function, columns));
        }
    }
    found
}

/// Returns the columns of the rows that a function returns, when they belong to no relation.
pub(crate) fn columns<'c>(function: &'c Function, database: &Database<'c>) -> Option<&'c [Attribute]> {
    match &function.returns {
        FunctionResult::Table { columns, .. } => Some(columns),
        FunctionResult::Value { sql_type, .. } if !sql_type.array => {
            match &database.sql_type(&sql_type.name)?.kind {
                SqlTypeKind::Composite { attributes } => Some(attributes),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Returns true when a function's columns are those of the relation that stands for its rows.
pub(crate) fn fits(relation: &Relation, columns: &[Attribute]) -> bool {
    relation.columns.len() == columns.len()
        && relation
            .columns
            .iter()
            .zip(columns)
            .all(|(column, found)| column.name == found.name && column.sql_type == found.sql_type)
}

fn called<'c>(field: &FieldDefinition, database: &Database<'c>) -> Option<(&'c Function, &'c [Attribute])> {
    let directive = field.directives.get("function")?;
    let text = |name: &str| directive.specified_argument_by_name(name).and_then(|value| value.as_str());
    let name = text("name").map_or_else(|| snake_case(&field.name), str::to_owned);
    let Found::One(overloads) = database.find_functions(&name, text("schema")) else { return None };
    overloads.into_iter().find_map(|function| Some((function, columns(function, database)?)))
}

fn relation(function: &Function, columns: &[Attribute]) -> Relation {
    let column = |attribute: &Attribute| Column {
        name: attribute.name.clone(),
        sql_type: attribute.sql_type.clone(),
        nullability: Nullability::Nullable,
        has_default: false,
        generated: Generated::No,
        comment: None,
        origin: None,
    };
    Relation {
        name: function.name.clone(),
        kind: RelationKind::View,
        comment: None,
        columns: columns.iter().map(column).collect(),
        primary_key: None,
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        indexes: Vec::new(),
        privileges: Privileges::default(),
        updatable: false,
    }
}
