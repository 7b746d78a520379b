//! Which tables lie behind relations: through views, row-level policies, partitions and children.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fraiseql_model::catalog::QualifiedName;

use crate::error::PostgresError;
use crate::session::{Query, Session};

/// What is read in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Tables, and whether their changes are in the write-ahead log.
    pub tables: BTreeMap<QualifiedName, bool>,
    /// What cannot be looked through: functions, materialized views, foreign tables.
    pub opaque: BTreeSet<String>,
}

/// `$1` are relations, `$2` functions, both as `schema.name`.
const TRACE: &str = "
WITH RECURSIVE seen AS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname || '.' || c.relname = ANY($1::pg_catalog.text[])
  UNION
  SELECT below.oid FROM seen, LATERAL (
    SELECT d.refobjid AS oid FROM pg_catalog.pg_rewrite r
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
    WHERE r.ev_class = seen.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
    UNION ALL
    SELECT d.refobjid FROM pg_catalog.pg_policy p
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
    WHERE p.polrelid = seen.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
    UNION ALL
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = seen.oid
  ) AS below
)
SELECT n.nspname, c.relname, c.relkind::text, (c.relpersistence = 'p')::text
FROM seen JOIN pg_catalog.pg_class c ON c.oid = seen.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm', 'f')
UNION
SELECT n.nspname, p.proname, 'function', 'false'
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.provolatile <> 'i' AND n.nspname <> 'pg_catalog' AND (n.nspname || '.' || p.proname = ANY($2::pg_catalog.text[])
  OR p.oid IN (
    SELECT d.refobjid FROM seen JOIN pg_catalog.pg_rewrite r ON r.ev_class = seen.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
    WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass
    UNION ALL
    SELECT d.refobjid FROM seen JOIN pg_catalog.pg_policy q ON q.polrelid = seen.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = q.oid
    WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass))";

/// Returns what relations and functions, given as `schema.name`, read in the end.
pub async fn trace(
    session: &mut Session,
    relations: &BTreeSet<String>,
    functions: &BTreeSet<String>,
) -> Result<Trace, PostgresError> {
    let params = [Some(array(relations)), Some(array(functions))];
    let batch = [Query { sql: TRACE, params: &params }];
    let mut rows = session.run(&batch).await?;
    let mut trace = Trace::default();
    while let Some(row) = rows.next().await? {
        let text = |column: usize| {
            let bytes = row.get(column).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let name = QualifiedName::new(text(0), text(1));
        let (kind, logged) = (text(2), text(3) == "true");
        match kind.as_str() {
            "r" | "p" => drop(trace.tables.insert(name, logged)),
            kind => {
                let kind = match kind {
                    "m" => "materialized view",
                    "f" => "foreign table",
                    other => other,
                };
                trace.opaque.insert(format!("{kind} {name}"));
            }
        }
    }
    if trace.tables.is_empty() && trace.opaque.is_empty() {
        // A view of nothing, or of PostgreSQL's own tables, whose changes nobody tells.
        trace.opaque.extend(relations.iter().map(|name| format!("relation {name}")));
    }
    Ok(trace)
}

/// Writes an array literal, every element quoted.
pub(super) fn array(names: &BTreeSet<String>) -> Bytes {
    let quoted = names.iter().map(|name| {
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    });
    Bytes::from(format!("{{{}}}", quoted.collect::<Vec<_>>().join(",")))
}
