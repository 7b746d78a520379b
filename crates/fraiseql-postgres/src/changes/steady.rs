//! What of a relation changes without a write: views and policies that look at the clock, at chance, or
//! at PostgreSQL's own tables.

use std::collections::BTreeSet;

use crate::changes::trace::array;
use crate::error::PostgresError;
use crate::session::{Query, Session};

/// PostgreSQL notes no dependency on what is its own, so the parsed queries themselves are searched: for
/// calls, for `CURRENT_DATE` and its like (the first nine of SQLVALUEFUNCTION), and for tables below
/// the first number that a user's table can have.
const UNSTEADY: &str = r"
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
  ) AS below
), trees AS (
  SELECT seen.oid, r.ev_action::text AS tree FROM seen JOIN pg_catalog.pg_rewrite r ON r.ev_class = seen.oid
  UNION ALL
  SELECT seen.oid, p.polqual::text FROM seen JOIN pg_catalog.pg_policy p ON p.polrelid = seen.oid
), called AS (
  SELECT DISTINCT trees.oid, call.found[1]::oid AS function
  FROM trees, LATERAL regexp_matches(trees.tree, ':(?:funcid|opfuncid) (\d+)', 'g') AS call(found)
)
SELECT DISTINCT n.nspname || '.' || c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (
  SELECT called.oid FROM called JOIN pg_catalog.pg_proc p ON p.oid = called.function
  WHERE p.provolatile = 'v' OR (p.provolatile = 's' AND p.oid < 16384 AND (
    p.proname IN ('now', 'transaction_timestamp', 'statement_timestamp', 'age') OR p.proname ~ '^(pg|txid|inet)_'))
  UNION ALL
  SELECT trees.oid FROM trees WHERE trees.tree ~ '\{SQLVALUEFUNCTION :op [0-8] '
  UNION ALL
  SELECT trees.oid FROM trees, LATERAL regexp_matches(trees.tree, ':relid (\d+)', 'g') AS named(found)
  WHERE named.found[1]::oid BETWEEN 1 AND 16383
)";

/// Returns which of the relations behind these, all as `schema.name`, may show something else although
/// nobody wrote to a table.
pub async fn unsteady(
    session: &mut Session,
    relations: &BTreeSet<String>,
) -> Result<BTreeSet<String>, PostgresError> {
    let params = [Some(array(relations))];
    let batch = [Query { sql: UNSTEADY, params: &params }];
    let mut rows = session.run(&batch).await?;
    let mut found = BTreeSet::new();
    while let Some(row) = rows.next().await? {
        found.insert(String::from_utf8_lossy(&row.get(0).unwrap_or_default()).into_owned());
    }
    Ok(found)
}
