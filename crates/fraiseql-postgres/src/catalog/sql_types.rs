//! Enums, domains, composite types and ranges.

use std::collections::BTreeMap;

use fraiseql_model::catalog::{Attribute, QualifiedName, SqlType, SqlTypeKind, TypeRef};
use tokio_postgres::Client;

use crate::catalog::Types;
use crate::error::PostgresError;

const TYPES: &str = "
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typelem, t.typbasetype, t.typnotnull,
       t.typrelid, coalesce(c.relkind::text, ''), obj_description(t.oid, 'pg_type'),
       t.typtype = 'b' AND t.typcategory = 'A' AND t.typelem <> 0 AND t.typlen = -1, coalesce(r.rngsubtype, 0)
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid";

const LABELS: &str = "
SELECT enumtypid, array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_catalog.pg_enum GROUP BY 1";

const ATTRIBUTES: &str = "
SELECT a.attrelid, a.attname::text, a.atttypid FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind = 'c'
WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum";

/// Reads all types of the database.
pub(crate) async fn read(client: &Client) -> Result<Types, PostgresError> {
    let rows = client.query(TYPES, &[]).await?;
    let mut labels: BTreeMap<u32, Vec<String>> =
        client.query(LABELS, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let names: BTreeMap<u32, QualifiedName> = rows
        .iter()
        .map(|row| (row.get(0), QualifiedName::new(row.get::<_, String>(1), row.get::<_, String>(2))))
        .collect();
    let mut refs = BTreeMap::new();
    let mut row_types = BTreeMap::new();
    for row in &rows {
        let (oid, element, array): (u32, u32, bool) = (row.get(0), row.get(4), row.get(10));
        let name = if array { names.get(&element) } else { names.get(&oid) };
        if let Some(name) = name {
            refs.insert(oid, TypeRef { name: name.clone(), array });
        }
        let (relation, kind): (u32, String) = (row.get(7), row.get(8));
        if relation != 0 && kind != "c" {
            row_types.insert(oid, relation);
        }
    }
    let mut types = Types { refs, kinds: BTreeMap::new(), rows: row_types };
    let mut attributes: BTreeMap<u32, Vec<Attribute>> = BTreeMap::new();
    for row in client.query(ATTRIBUTES, &[]).await? {
        let sql_type = types.reference(row.get(2));
        attributes.entry(row.get(0)).or_default().push(Attribute { name: row.get(1), sql_type });
    }
    for row in &rows {
        let oid: u32 = row.get(0);
        let kind = match (row.get::<_, String>(3).as_str(), row.get::<_, String>(8).as_str()) {
            ("e", _) => SqlTypeKind::Enum { labels: labels.remove(&oid).unwrap_or_default() },
            ("d", _) => SqlTypeKind::Domain { base: types.reference(row.get(5)), not_null: row.get(6) },
            ("c", "c") => {
                let attributes = attributes.remove(&row.get::<_, u32>(7)).unwrap_or_default();
                SqlTypeKind::Composite { attributes }
            }
            ("r", _) => SqlTypeKind::Range { subtype: types.reference(row.get(11)) },
            _ => continue,
        };
        if let Some(name) = names.get(&oid) {
            types.kinds.insert(name.clone(), SqlType { name: name.clone(), comment: row.get(9), kind });
        }
    }
    Ok(types)
}
