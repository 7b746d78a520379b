//! Compares what an artifact reads and writes with what a database has.

use fraiseql_model::catalog::{Catalog, Function, QualifiedName, Relation};
use fraiseql_model::manifest::{CalledFunction, Manifest};

/// Returns what the database lacks, one sentence each; empty when the artifact can be served.
pub(crate) fn missing(manifest: &Manifest, catalog: &Catalog) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, read) in &manifest.reads {
        let Some(relation) = find(catalog, name) else {
            missing.push(format!("relation {name} does not exist, or the role may not read it"));
            continue;
        };
        for (column, used_by) in &read.columns {
            let Some(found) = relation.column(column) else {
                let users: Vec<&str> = used_by.iter().map(String::as_str).collect();
                missing.push(format!("column {name}.{column} is gone; {} read it", users.join(", ")));
                continue;
            };
            let sql_type = found.sql_type.sql();
            if let Some(expected) = read.column_types.get(column).filter(|expected| **expected != sql_type) {
                missing
                    .push(format!("column {name}.{column} is {sql_type}, the artifact expects {expected}"));
            }
        }
    }
    for (name, write) in &manifest.writes {
        let Some(relation) = find(catalog, name) else { continue };
        let columns = write.insert.iter().flat_map(|insert| insert.required.iter().chain(&insert.optional));
        for column in columns.chain(&write.update) {
            if relation.column(column).is_none() {
                missing.push(format!("column {name}.{column} is gone; mutations write it"));
            }
        }
    }
    missing.extend(manifest.functions.iter().filter_map(|(name, called)| uncallable(name, called, catalog)));
    missing.dedup();
    missing
}

/// Returns why a function cannot be called as the artifact calls it.
fn uncallable(name: &str, called: &CalledFunction, catalog: &Catalog) -> Option<String> {
    let plain = name.split('(').next().unwrap_or(name);
    let overloads: Vec<&Function> =
        catalog.functions.iter().filter(|function| function.name.to_string() == plain).collect();
    if overloads.is_empty() {
        return Some(format!("function {name} does not exist, or the role may not call it"));
    }
    let takes: Vec<&&Function> = overloads.iter().filter(|function| takes(function, called)).collect();
    if takes.is_empty() {
        let wanted: Vec<String> =
            called.arguments.iter().map(|(parameter, sql_type)| format!("{parameter} {sql_type}")).collect();
        let wanted = wanted.join(", ");
        return Some(format!(
            "function {plain} takes other arguments, the artifact calls it with ({wanted})"
        ));
    }
    let returns = |function: &&&Function| function.returns.sql() == called.returns;
    if takes.iter().any(returns) {
        return None;
    }
    let found = takes.first().map(|function| function.returns.sql()).unwrap_or_default();
    Some(format!("function {plain} returns {found}, the artifact expects {}", called.returns))
}

/// Returns true when a function takes what it is given, and needs nothing more. The first parameter
/// may be the row of a computed field, which is not given by name.
fn takes(function: &Function, called: &CalledFunction) -> bool {
    let mut given = 0;
    let fits = function.parameters.iter().enumerate().all(|(index, parameter)| {
        let number = format!("${}", index + 1);
        let name = if parameter.name.is_empty() { &number } else { &parameter.name };
        match called.arguments.get(name) {
            Some(sql_type) => {
                given += 1;
                *sql_type == parameter.sql_type.sql()
            }
            None => index == 0 || parameter.has_default || parameter.variadic,
        }
    });
    fits && given == called.arguments.len()
}

/// Returns the PostgreSQL schemas that an artifact uses.
pub(crate) fn schemas(manifest: &Manifest) -> Vec<String> {
    let names = manifest.reads.keys().chain(manifest.writes.keys()).chain(manifest.functions.keys());
    let mut schemas: Vec<String> =
        names.filter_map(|name| name.split_once('.')).map(|(schema, _)| schema.to_owned()).collect();
    schemas.sort();
    schemas.dedup();
    schemas
}

fn find<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c Relation> {
    let (schema, relation) = name.split_once('.')?;
    catalog.relation(&QualifiedName::new(schema, relation))
}
