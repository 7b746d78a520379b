//! Reads what a database contains: a handful of queries, whatever the number of tables.
//!
//! Works from PostgreSQL 10 on. What the role cannot read is left out and named.

mod functions;
mod relations;
mod sql_types;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::catalog::{
    CATALOG_FORMAT, Catalog, LeftOut, QualifiedName, Relation, SqlType, SqlTypeKind, TypeRef,
};
use tokio_postgres::Client;

use crate::error::PostgresError;

/// Reads the relations, types and functions of `schemas`.
///
/// The result is sorted by name, so the same database gives the same value. Types are read
/// wherever they are, as far as a column, parameter or result uses them. Fails with
/// [`PostgresError::TooOld`] before PostgreSQL 10, or as a query fails.
pub async fn read_catalog(client: &Client, schemas: &[String]) -> Result<Catalog, PostgresError> {
    let row = client
        .query_one("SELECT current_setting('server_version_num')::int4, current_database()::text", &[])
        .await?;
    let server_version = u32::try_from(row.get::<_, i32>(0)).unwrap_or(0);
    if server_version < 100_000 {
        return Err(PostgresError::TooOld { found: server_version.to_string() });
    }
    let mut left_out = missing_schemas(client, schemas).await?;
    let types = sql_types::read(client).await?;
    let mut relations = relations::read(client, schemas, server_version, &types, &mut left_out).await?;
    views::trace(client, &mut relations).await?;
    let functions = functions::read(client, schemas, server_version, &types).await?;
    let mut relations: Vec<Relation> = relations.into_values().collect();
    relations.sort_by(|left, right| left.name.cmp(&right.name));
    let mut used = BTreeSet::new();
    for relation in &relations {
        used.extend(relation.columns.iter().map(|column| column.sql_type.clone()));
    }
    functions::note_types(&functions, &mut used);
    left_out.sort_by(|left, right| left.what.cmp(&right.what));
    Ok(Catalog {
        format: CATALOG_FORMAT,
        server_version,
        database: row.get(1),
        relations,
        types: types.closure(used),
        functions,
        left_out,
    })
}

async fn missing_schemas(client: &Client, schemas: &[String]) -> Result<Vec<LeftOut>, PostgresError> {
    let sql = "SELECT s.name, n.oid IS NOT NULL, coalesce(has_schema_privilege(n.oid, 'USAGE'), false) \
               FROM unnest($1::text[]) AS s(name) LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.name";
    let mut left_out = Vec::new();
    for row in client.query(sql, &[&schemas]).await? {
        let (name, exists, usable): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
        let why = match (exists, usable) {
            (false, _) => "it does not exist".to_owned(),
            (true, false) => "the role has no USAGE on it".to_owned(),
            (true, true) => continue,
        };
        left_out.push(LeftOut { what: format!("schema {name}"), why });
    }
    Ok(left_out)
}

/// Every type that is not a plain base type, by its oid.
pub(crate) struct Types {
    refs: BTreeMap<u32, TypeRef>,
    kinds: BTreeMap<QualifiedName, SqlType>,
    /// Row types of relations: type oid to relation oid.
    rows: BTreeMap<u32, u32>,
}

impl Types {
    /// Returns the reference for a type's oid.
    pub(crate) fn reference(&self, oid: u32) -> TypeRef {
        self.refs
            .get(&oid)
            .cloned()
            .unwrap_or_else(|| TypeRef { name: QualifiedName::new("pg_catalog", "unknown"), array: false })
    }

    /// Returns the relation whose row type this is.
    pub(crate) fn row_of(&self, oid: u32) -> Option<u32> {
        self.rows.get(&oid).copied()
    }

    /// Returns the kinds of the types used and of all that they are made of, sorted by name.
    fn closure(&self, used: BTreeSet<TypeRef>) -> Vec<SqlType> {
        let mut open: Vec<QualifiedName> = used.into_iter().map(|used| used.name).collect();
        let mut found = BTreeMap::new();
        while let Some(name) = open.pop() {
            let Some(kind) = self.kinds.get(&name) else { continue };
            if found.contains_key(&name) {
                continue;
            }
            match &kind.kind {
                SqlTypeKind::Enum { .. } => {}
                SqlTypeKind::Domain { base, .. } => open.push(base.name.clone()),
                SqlTypeKind::Range { subtype } => open.push(subtype.name.clone()),
                SqlTypeKind::Composite { attributes } => {
                    open.extend(attributes.iter().map(|attribute| attribute.sql_type.name.clone()));
                }
            }
            found.insert(name, kind.clone());
        }
        found.into_values().collect()
    }
}
