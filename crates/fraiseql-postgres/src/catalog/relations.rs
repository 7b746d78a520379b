//! Tables and views with their columns, keys, foreign keys, indexes and privileges.

use std::collections::BTreeMap;

use fraiseql_model::catalog::{
    Column, ForeignKey, Generated, Key, LeftOut, Nullability, Privileges, QualifiedName, Relation,
    RelationKind, SqlTypeKind, TypeRef,
};
use tokio_postgres::Client;

use crate::catalog::Types;
use crate::error::PostgresError;

/// Relations by oid.
pub(crate) type Relations = BTreeMap<u32, Relation>;

const RELATIONS: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, obj_description(c.oid, 'pg_class'),
       coalesce(has_any_column_privilege(c.oid, 'INSERT'), false),
       coalesce(has_any_column_privilege(c.oid, 'UPDATE'), false),
       coalesce(has_table_privilege(c.oid, 'DELETE'), false),
       CASE WHEN c.relkind IN ('v', 'f') THEN pg_relation_is_updatable(c.oid, true) & 28 = 28
            ELSE c.relkind IN ('r', 'p') END,
       c.relispartition,
       EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
               WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = ANY($1::text[])
  AND has_schema_privilege(n.oid, 'USAGE')
ORDER BY 2, 3";

const KEYS: &str = "
SELECT i.indrelid, ic.relname::text, i.indisprimary,
       i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
         AND NOT (0 = ANY(i.indkey::int2[])) AND (con.contype IS NULL OR con.contype IN ('p', 'u')),
       i.indisvalid AND i.indpred IS NULL AND am.amname = 'btree',
       (SELECT array_agg(a.attname::text ORDER BY k.n)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.n <= KEY_COUNT)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
JOIN pg_catalog.pg_am am ON am.oid = ic.relam
LEFT JOIN pg_catalog.pg_constraint con ON con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x')
WHERE i.indrelid = ANY($1::oid[]) ORDER BY ic.relname::text COLLATE \"C\"";

const FOREIGN_KEYS: &str = "
SELECT con.conrelid, con.conname::text, con.confrelid, con.convalidated,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(con.conkey) WITH ORDINALITY AS k(attnum, n)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(con.confkey) WITH ORDINALITY AS k(attnum, n)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.attnum)
FROM pg_catalog.pg_constraint con
WHERE con.contype = 'f' AND con.conrelid = ANY($1::oid[]) ORDER BY con.conname::text COLLATE \"C\"";

/// Reads the relations of `schemas`; what cannot be used goes into `left_out`.
pub(crate) async fn read(
    client: &Client,
    schemas: &[String],
    server_version: u32,
    types: &Types,
    left_out: &mut Vec<LeftOut>,
) -> Result<Relations, PostgresError> {
    let mut relations = Relations::new();
    let mut partitions = 0;
    for row in client.query(RELATIONS, &[&schemas]).await? {
        let name = QualifiedName::new(row.get::<_, String>(1), row.get::<_, String>(2));
        if row.get::<_, bool>(9) {
            partitions += 1;
            continue;
        }
        if row.get::<_, bool>(10) {
            left_out.push(LeftOut {
                what: format!("relation {name}"),
                why: "it belongs to an extension".to_owned(),
            });
            continue;
        }
        let relation = Relation {
            name,
            kind: kind(&row.get::<_, String>(3)),
            comment: row.get(4),
            columns: Vec::new(),
            primary_key: None,
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            privileges: Privileges { insert: row.get(5), update: row.get(6), delete: row.get(7) },
            updatable: row.get(8),
        };
        relations.insert(row.get(0), relation);
    }
    if partitions > 0 {
        let why = "they are read through the tables that they are partitions of".to_owned();
        left_out.push(LeftOut { what: format!("{partitions} partitions"), why });
    }
    read_columns(client, server_version, types, &mut relations, left_out).await?;
    read_keys(client, server_version, &mut relations).await?;
    read_foreign_keys(client, &mut relations).await?;
    Ok(relations)
}

fn kind(relkind: &str) -> RelationKind {
    match relkind {
        "p" => RelationKind::PartitionedTable,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::ForeignTable,
        _ => RelationKind::Table,
    }
}

fn columns_sql(server_version: u32) -> String {
    let generated = if server_version >= 120_000 { "a.attgenerated::text" } else { "''::text" };
    format!(
        "SELECT a.attrelid, a.attname::text, a.atttypid, a.attnotnull, a.atthasdef, a.attidentity::text, {generated},
                col_description(a.attrelid, a.attnum),
                coalesce(has_column_privilege(a.attrelid, a.attnum, 'SELECT'), false)
         FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY a.attrelid, a.attnum"
    )
}

async fn read_columns(
    client: &Client,
    server_version: u32,
    types: &Types,
    relations: &mut Relations,
    left_out: &mut Vec<LeftOut>,
) -> Result<(), PostgresError> {
    let oids: Vec<u32> = relations.keys().copied().collect();
    for row in client.query(&columns_sql(server_version), &[&oids]).await? {
        let Some(relation) = relations.get_mut(&row.get::<_, u32>(0)) else { continue };
        let name: String = row.get(1);
        if !row.get::<_, bool>(8) {
            let what = format!("column {}.{name}", relation.name);
            left_out.push(LeftOut { what, why: "the role may not SELECT it".to_owned() });
            continue;
        }
        let sql_type = types.reference(row.get(2));
        // Behind an outer join even a NOT NULL domain gives NULL.
        let is_view = matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView);
        let not_null = row.get::<_, bool>(3) || (!is_view && domain_not_null(types, &sql_type));
        let generated = match (row.get::<_, String>(5).as_str(), row.get::<_, String>(6).as_str()) {
            ("a", _) => Generated::IdentityAlways,
            ("d", _) => Generated::IdentityByDefault,
            (_, "s" | "v") => Generated::Expression,
            _ => Generated::No,
        };
        relation.columns.push(Column {
            name,
            sql_type,
            nullability: if not_null { Nullability::NotNull } else { Nullability::Nullable },
            has_default: row.get::<_, bool>(4) || generated != Generated::No,
            generated,
            comment: row.get(7),
            origin: None,
        });
    }
    relations.retain(|_, relation| {
        let readable = !relation.columns.is_empty();
        if !readable {
            let why = "it has no column that the role may SELECT".to_owned();
            left_out.push(LeftOut { what: format!("relation {}", relation.name), why });
        }
        readable
    });
    Ok(())
}

fn domain_not_null(types: &Types, sql_type: &TypeRef) -> bool {
    match types.kinds.get(&sql_type.name).map(|found| &found.kind) {
        Some(SqlTypeKind::Domain { base, not_null }) if !sql_type.array => {
            *not_null || domain_not_null(types, base)
        }
        _ => false,
    }
}

async fn read_keys(
    client: &Client,
    server_version: u32,
    relations: &mut Relations,
) -> Result<(), PostgresError> {
    let count = if server_version >= 110_000 { "i.indnkeyatts" } else { "i.indnatts" };
    let oids: Vec<u32> = relations.keys().copied().collect();
    for row in client.query(&KEYS.replace("KEY_COUNT", count), &[&oids]).await? {
        let Some(relation) = relations.get_mut(&row.get::<_, u32>(0)) else { continue };
        let name: String = row.get(1);
        let columns: Vec<Option<String>> = row.get::<_, Option<_>>(5).unwrap_or_default();
        let leading: Vec<String> = columns.iter().map_while(Clone::clone).collect();
        let whole = leading.len() == columns.len();
        let readable = leading.iter().all(|column| relation.column(column).is_some());
        if row.get::<_, bool>(4) && !leading.is_empty() {
            relation.indexes.push(leading.clone());
        }
        if row.get::<_, bool>(3) && whole && readable {
            let key = Key { name, columns: leading };
            if row.get::<_, bool>(2) {
                relation.primary_key = Some(key);
            } else {
                relation.unique_keys.push(key);
            }
        }
    }
    for relation in relations.values_mut() {
        relation.indexes.sort();
        relation.indexes.dedup();
    }
    Ok(())
}

async fn read_foreign_keys(client: &Client, relations: &mut Relations) -> Result<(), PostgresError> {
    let oids: Vec<u32> = relations.keys().copied().collect();
    for row in client.query(FOREIGN_KEYS, &[&oids]).await? {
        let Some(target) = relations.get(&row.get::<_, u32>(2)) else { continue };
        let key = ForeignKey {
            name: row.get(1),
            columns: row.get(4),
            target: target.name.clone(),
            target_columns: row.get(5),
            validated: row.get(3),
        };
        let target_readable = key.target_columns.iter().all(|column| target.column(column).is_some());
        let Some(relation) = relations.get_mut(&row.get::<_, u32>(0)) else { continue };
        if target_readable && key.columns.iter().all(|column| relation.column(column).is_some()) {
            relation.foreign_keys.push(key);
        }
    }
    Ok(())
}
