//! What the live catalog knows of views, functions and keys, for the guard.

use std::collections::BTreeMap;

use fraiseql_locks::{LiveDependents, LiveFunction, LiveRelation};
use fraiseql_postgres::{ControlClient, PostgresError};

/// Relations with their columns: name, is a view, column, type, NOT NULL, has a default.
const COLUMNS: &str = "
    SELECT n.nspname || '.' || c.relname, c.relkind IN ('v', 'm'), a.attname::text,
           format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef OR a.attidentity <> ''
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// Views and what they read: view, relation, column if one is named, takes whole rows.
const VIEWS: &str = "
    SELECT DISTINCT vn.nspname || '.' || v.relname, tn.nspname || '.' || t.relname, a.attname::text,
           r.ev_action::text ~ ':varattno 0 '
    FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace vn ON vn.oid = v.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
    JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid AND d.refobjsubid > 0
    WHERE vn.nspname !~ '^pg_' AND vn.nspname <> 'information_schema'";

/// Partitions, children and their parents.
const PARTS: &str = "
    SELECT cn.nspname || '.' || c.relname, pn.nspname || '.' || p.relname
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
    JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f')";

/// Functions that run with a relation: of triggers, queries, defaults, constraints, policies and indexes.
const CALLS: &str = "
    SELECT DISTINCT n.nspname || '.' || c.relname, fn.nspname || '.' || f.proname
    FROM (SELECT tgrelid AS relation, tgfoid AS function FROM pg_trigger WHERE NOT tgisinternal
          UNION SELECT r.ev_class, d.refobjid FROM pg_rewrite r JOIN pg_depend d
                ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
          UNION SELECT x.adrelid, d.refobjid FROM pg_attrdef x JOIN pg_depend d
                ON d.classid = 'pg_attrdef'::regclass AND d.objid = x.oid AND d.refclassid = 'pg_proc'::regclass
          UNION SELECT x.conrelid, d.refobjid FROM pg_constraint x JOIN pg_depend d
                ON d.classid = 'pg_constraint'::regclass AND d.objid = x.oid AND d.refclassid = 'pg_proc'::regclass
          UNION SELECT x.polrelid, d.refobjid FROM pg_policy x JOIN pg_depend d
                ON d.classid = 'pg_policy'::regclass AND d.objid = x.oid AND d.refclassid = 'pg_proc'::regclass
          UNION SELECT x.indrelid, d.refobjid FROM pg_index x JOIN pg_depend d
                ON d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid AND d.refclassid = 'pg_proc'::regclass
         ) AS used
    JOIN pg_class c ON c.oid = used.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_proc f ON f.oid = used.function JOIN pg_namespace fn ON fn.oid = f.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND fn.nspname !~ '^pg_'";

/// Functions that no extension owns: name, body, nobody can read its language. The body of an aggregate
/// is the name of the function that it runs for each row.
const FUNCTIONS: &str = "
    SELECT n.nspname || '.' || p.proname,
           CASE WHEN g.aggfnoid IS NOT NULL THEN g.aggtransfn::text || ' ' || g.aggfinalfn::text
                WHEN p.prosrc = '' THEN pg_get_functiondef(p.oid) ELSE p.prosrc END,
           g.aggfnoid IS NULL AND l.lanname NOT IN ('sql', 'plpgsql', 'internal')
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid
                      AND e.deptype = 'e')";

/// Unique indexes: name, table, columns.
const KEYS: &str = "
    SELECT i.relname::text, n.nspname || '.' || t.relname,
           ARRAY(SELECT a.attname::text FROM pg_attribute a
                 WHERE a.attrelid = t.oid AND a.attnum = ANY (x.indkey::int2[]) AND a.attnum > 0 ORDER BY a.attnum)
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE x.indisunique AND n.nspname !~ '^pg_'";

/// Reads what the guard has to know of a database. It only reads, and takes no lock on a table.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn live_dependents(client: &ControlClient) -> Result<LiveDependents, PostgresError> {
    let path = client.query_one("SELECT current_schemas(false)::text[]", &[]).await?;
    let mut live = LiveDependents { search_path: path.get(0), ..LiveDependents::default() };
    for row in client.query(COLUMNS, &[]).await? {
        let relation = live.relations.entry(row.get(0)).or_default();
        relation.is_view = row.get(1);
        let Some(column) = row.get::<_, Option<String>>(2) else { continue };
        if row.get(4) {
            relation.not_null.insert(column.clone());
        }
        if row.get(5) {
            relation.defaults.insert(column.clone());
        }
        relation.columns.insert(column, row.get(3));
    }
    for row in client.query(VIEWS, &[]).await? {
        let view = live.relations.entry(row.get(0)).or_default();
        let columns = view.reads.entry(row.get(1)).or_default();
        columns.extend(row.get::<_, Option<String>>(2));
        if row.get(3) {
            view.whole_rows.insert(row.get(1));
        }
    }
    for row in client.query(PARTS, &[]).await? {
        let (part, parent): (String, String) = (row.get(0), row.get(1));
        connect(&mut live.relations, &part, &parent);
        connect(&mut live.relations, &parent, &part);
    }
    for row in client.query(CALLS, &[]).await? {
        live.relations.entry(row.get(0)).or_default().calls.insert(row.get(1));
    }
    for row in client.query(FUNCTIONS, &[]).await? {
        let function: &mut LiveFunction = live.functions.entry(row.get(0)).or_default();
        function.bodies.push(row.get(1));
        function.opaque_language |= row.get::<_, bool>(2);
    }
    for row in client.query(KEYS, &[]).await? {
        live.keys.insert(row.get(0), (row.get(1), row.get(2)));
    }
    Ok(live)
}

fn connect(relations: &mut BTreeMap<String, LiveRelation>, from: &str, to: &str) {
    relations.entry(from.to_owned()).or_default().reads.entry(to.to_owned()).or_default();
}
