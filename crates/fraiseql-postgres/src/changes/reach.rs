//! How far a write reaches: through views, partitions and the actions of foreign keys, up to what
//! nobody can look into.

use std::collections::BTreeSet;

use crate::changes::trace::array;
use crate::error::PostgresError;
use crate::session::{Query, Session};

/// What a write may change in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Tables, as `schema.table`.
    pub tables: BTreeSet<String>,
    /// True where code runs that may write anywhere: triggers, rules, functions that are VOLATILE.
    pub anything: bool,
}

/// `$1` are relations that are written to, `$2` functions that are called, both as `schema.name`.
/// The trigger of the outbox writes to the outbox only.
const REACH: &str = "
WITH RECURSIVE reached AS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname || '.' || c.relname = ANY($1::pg_catalog.text[])
  UNION
  SELECT below.oid FROM reached, LATERAL (
    SELECT d.refobjid AS oid FROM pg_catalog.pg_rewrite r
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
    WHERE r.ev_class = reached.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
    UNION ALL
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = reached.oid
    UNION ALL
    SELECT k.conrelid FROM pg_catalog.pg_constraint k WHERE k.confrelid = reached.oid AND k.contype = 'f'
      AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
  ) AS below
)
SELECT n.nspname || '.' || c.relname, 'table'
FROM reached JOIN pg_catalog.pg_class c ON c.oid = reached.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
UNION
SELECT 'trigger ' || t.tgname, 'code' FROM reached JOIN pg_catalog.pg_trigger t ON t.tgrelid = reached.oid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
  AND t.tgfoid <> coalesce(pg_catalog.to_regproc('fraiseql.note_change')::oid, 0::oid)
UNION
SELECT 'rule ' || r.rulename, 'code' FROM reached JOIN pg_catalog.pg_rewrite r ON r.ev_class = reached.oid
WHERE r.ev_type <> '1'
UNION
SELECT 'function ' || p.proname, 'code'
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.provolatile = 'v' AND n.nspname || '.' || p.proname = ANY($2::pg_catalog.text[])";

/// Returns what a write to relations that calls functions, both given as `schema.name`, may change.
pub async fn reach(
    session: &mut Session,
    relations: &BTreeSet<String>,
    functions: &BTreeSet<String>,
) -> Result<Reach, PostgresError> {
    let params = [Some(array(relations)), Some(array(functions))];
    let batch = [Query { sql: REACH, params: &params }];
    let mut rows = session.run(&batch).await?;
    let mut reach = Reach::default();
    while let Some(row) = rows.next().await? {
        let text = |column: usize| {
            let bytes = row.get(column).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        match text(1).as_str() {
            "table" => drop(reach.tables.insert(text(0))),
            _ => reach.anything = true,
        }
    }
    Ok(reach)
}
