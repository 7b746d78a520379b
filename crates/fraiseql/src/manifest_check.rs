//! Compares what an artifact reads and writes with what a database has.

use fraiseql_model::catalog::{Catalog, QualifiedName, Relation};
use fraiseql_model::manifest::Manifest;

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
    for name in manifest.functions.keys() {
        let plain = name.split('(').next().unwrap_or(name);
        if !catalog.functions.iter().any(|function| function.name.to_string() == plain) {
            missing.push(format!("function {name} does not exist, or the role may not call it"));
        }
    }
    missing.dedup();
    missing
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
