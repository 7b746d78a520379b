//! Which indexes a plan misses, and what to type for them.

use fraiseql_model::names::quote_identifier;
use serde::Deserialize;

use super::PlanNode;
use super::condition::{Comparison, columns};

/// Tables of fewer rows are read as a whole faster than by an index.
const BIG_ROWS: f64 = 1_000.0;
/// A scan that keeps at most this part of a table is worth an index.
const SELECTIVE: f64 = 0.1;

/// What the database knows of a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFacts {
    /// How many rows it has, as far as PostgreSQL knows; 0 before the first ANALYZE.
    pub rows: f64,
    /// The columns of each complete index that is valid, in order.
    pub indexes: Vec<Vec<String>>,
    /// The columns of each foreign key.
    pub foreign_keys: Vec<Vec<String>>,
}

/// An index that would help.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Advice {
    /// Why.
    pub why: String,
    /// What to type.
    pub sql: String,
}

/// Returns the indexes that a plan misses, each once. `facts` tells of a table by schema and name.
pub fn advice(plan: &PlanNode, facts: impl Fn(&str, &str) -> Option<TableFacts>) -> Vec<Advice> {
    let mut advice: Vec<Advice> = plan
        .nodes()
        .filter(|node| node.kind == "Seq Scan")
        .filter_map(|node| {
            let (schema, name) = node.table.as_ref()?;
            of_scan(node, schema, name, &facts(schema, name)?)
        })
        .collect();
    advice.sort();
    advice.dedup_by(|left, right| left.sql == right.sql);
    advice
}

fn of_scan(node: &PlanNode, schema: &str, name: &str, facts: &TableFacts) -> Option<Advice> {
    let (_, filter) = node.conditions.iter().find(|(kind, _)| *kind == "filter")?;
    let mut compared = columns(filter, node.alias.as_deref()?);
    compared.retain(|(_, comparison)| *comparison != Comparison::Other);
    compared.sort_by_key(|(_, comparison)| *comparison);
    let best = compared.first()?.1;
    let wanted: Vec<String> = match best {
        // Columns behind a stretch or a pattern help no more.
        Comparison::Range | Comparison::Pattern => vec![compared[0].0.clone()],
        _ => compared
            .iter()
            .filter(|(_, comparison)| *comparison == Comparison::Equal)
            .map(|(column, _)| column.clone())
            .collect(),
    };
    let starts = |index: &Vec<String>| index.first().is_some_and(|first| wanted.contains(first));
    if best != Comparison::Pattern && facts.indexes.iter().any(starts) {
        return None;
    }
    let foreign = facts.foreign_keys.iter().find(|key| key.iter().all(|column| wanted.contains(column)));
    let big = facts.rows >= BIG_ROWS;
    let selective = node.rows <= facts.rows * SELECTIVE;
    let why = match (big, node.repeated, foreign) {
        (true, true, _) => format!("{name} ({} rows) is read as a whole again and again", facts.rows),
        (true, false, _) if selective => {
            format!("{name} ({} rows) is read as a whole to keep about {}", facts.rows, node.rows)
        }
        (false, _, Some(_)) => {
            format!("{name} has a foreign key without an index: reading it slows down as it grows")
        }
        _ => return None,
    };
    let columns = foreign.filter(|_| best == Comparison::Equal).unwrap_or(&wanted);
    Some(Advice { why, sql: create_index(schema, name, columns, best) })
}

fn create_index(schema: &str, name: &str, columns: &[String], comparison: Comparison) -> String {
    let table = format!("{}.{}", quote_identifier(schema), quote_identifier(name));
    let columns: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    let columns = columns.join(", ");
    if comparison == Comparison::Pattern {
        return format!(
            "CREATE EXTENSION IF NOT EXISTS pg_trgm; \
             CREATE INDEX CONCURRENTLY ON {table} USING gin ({columns} gin_trgm_ops);"
        );
    }
    format!("CREATE INDEX CONCURRENTLY ON {table} ({columns});")
}

#[cfg(test)]
mod tests {
    use super::super::read_plan;
    use super::*;

    #[track_caller]
    fn check(filter: &str, rows: f64, in_loop: bool, facts: &TableFacts, expected: Option<&str>) {
        let scan = serde_json::json!({
            "Node Type": "Seq Scan", "Schema": "public", "Relation Name": "album", "Alias": "1",
            "Filter": filter, "Plan Rows": rows, "Total Cost": 9.0, "Parent Relationship": "Inner",
        });
        let kind = if in_loop { "Nested Loop" } else { "Hash Join" };
        let plan =
            serde_json::json!([{ "Plan": { "Node Type": kind, "Total Cost": 10.0, "Plans": [scan] } }]);
        let plan = read_plan(plan.to_string().as_bytes()).unwrap();
        let found = advice(&plan, |_, _| Some(facts.clone()));
        let shown = found.first().map(|one| format!("{}: {}", one.why, one.sql));
        assert_eq!(shown.as_deref(), expected);
    }

    #[test]
    fn an_index_is_advised_where_it_helps() {
        let bare = |rows| TableFacts { rows, indexes: Vec::new(), foreign_keys: Vec::new() };
        let by_artist = r#"("1".artist_id = "0".artist_id)"#;
        check(
            by_artist,
            5.0,
            true,
            &bare(5_000.0),
            Some(
                "album (5000 rows) is read as a whole again and again: CREATE INDEX CONCURRENTLY ON \"public\".\"album\" (\"artist_id\");",
            ),
        );
        check(
            r#"("1".title ~~* $1)"#,
            10.0,
            false,
            &bare(5_000.0),
            Some(
                "album (5000 rows) is read as a whole to keep about 10: CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX CONCURRENTLY ON \"public\".\"album\" USING gin (\"title\" gin_trgm_ops);",
            ),
        );
        check(by_artist, 4_000.0, false, &bare(5_000.0), None);
        check(by_artist, 5.0, true, &bare(50.0), None);
        let keyed = TableFacts { foreign_keys: vec![vec!["artist_id".to_owned()]], ..bare(50.0) };
        check(
            by_artist,
            5.0,
            true,
            &keyed,
            Some(
                "album has a foreign key without an index: reading it slows down as it grows: CREATE INDEX CONCURRENTLY ON \"public\".\"album\" (\"artist_id\");",
            ),
        );
        let indexed = TableFacts { indexes: vec![vec!["artist_id".to_owned()]], ..keyed };
        check(by_artist, 5.0, true, &indexed, None);
    }
}
