//! Traces columns of views to the columns of tables that they pass through.
//!
//! PostgreSQL keeps in each target entry of a view's parse tree which column of which relation it
//! is (`resorigtbl`, `resorigcol`). Whether a NULL can come in on the way is only claimed not to be
//! when the view has inner joins alone and no set operations, grouping sets or subqueries in FROM.

use std::collections::BTreeMap;

use fraiseql_model::catalog::{ColumnOrigin, Nullability, RelationKind};
use tokio_postgres::Client;

use crate::catalog::relations::Relations;
use crate::error::PostgresError;

const RULES: &str = "
SELECT r.ev_class, r.ev_action::text FROM pg_catalog.pg_rewrite r
WHERE r.ev_type = '1' AND r.rulename = '_RETURN' AND r.ev_class = ANY($1::oid[])";

/// A view may stand on views; each round resolves one storey.
const STOREYS_MAX: usize = 16;

/// What a column of a view passes through: relation oid and attribute number.
type Passed = (u32, i16);

struct View {
    /// By column index.
    passed: Vec<Option<Passed>>,
    keeps_not_null: bool,
}

/// Fills `origin` and [`Nullability::Traced`] for the columns of views.
pub(crate) async fn trace(client: &Client, relations: &mut Relations) -> Result<(), PostgresError> {
    let is_view = |kind| matches!(kind, RelationKind::View | RelationKind::MaterializedView);
    let oids: Vec<u32> =
        relations.iter().filter(|(_, relation)| is_view(relation.kind)).map(|(oid, _)| *oid).collect();
    if oids.is_empty() {
        return Ok(());
    }
    let mut views = BTreeMap::new();
    for row in client.query(RULES, &[&oids]).await? {
        views.insert(row.get::<_, u32>(0), parse_rule(row.get::<_, &str>(1)));
    }
    let numbers = attribute_numbers(client, relations).await?;
    for _ in 0..STOREYS_MAX {
        if !resolve(relations, &views, &numbers) {
            break;
        }
    }
    Ok(())
}

/// Names of columns by relation oid and attribute number.
type Numbers = BTreeMap<(u32, i16), String>;

async fn attribute_numbers(client: &Client, relations: &Relations) -> Result<Numbers, PostgresError> {
    let oids: Vec<u32> = relations.keys().copied().collect();
    let sql = "SELECT attrelid, attnum, attname::text FROM pg_catalog.pg_attribute \
               WHERE attrelid = ANY($1::oid[]) AND attnum > 0 AND NOT attisdropped";
    let rows = client.query(sql, &[&oids]).await?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}

/// Returns true when something new was found.
fn resolve(relations: &mut Relations, views: &BTreeMap<u32, View>, numbers: &Numbers) -> bool {
    let mut changes = Vec::new();
    for (oid, view) in views {
        for (index, passed) in view.passed.iter().enumerate() {
            let Some((base_oid, number)) = *passed else { continue };
            let attribute = i16::try_from(index + 1).unwrap_or(i16::MAX);
            let names = (numbers.get(&(*oid, attribute)), numbers.get(&(base_oid, number)));
            let (Some(name), Some(base_name)) = names else { continue };
            let Some(base) = relations.get(&base_oid) else { continue };
            let Some(base_column) = base.column(base_name) else { continue };
            let not_null = view.keeps_not_null && base_column.nullability != Nullability::Nullable;
            let origin = base_column
                .origin
                .clone()
                .unwrap_or_else(|| ColumnOrigin { relation: base.name.clone(), column: base_name.clone() });
            changes.push((*oid, name.clone(), origin, not_null));
        }
    }
    let mut changed = false;
    for (oid, name, origin, not_null) in changes {
        let column = relations
            .get_mut(&oid)
            .and_then(|relation| relation.columns.iter_mut().find(|column| column.name == name));
        let Some(column) = column else { continue };
        if column.origin.as_ref() != Some(&origin) {
            column.origin = Some(origin);
            changed = true;
        }
        if not_null && column.nullability == Nullability::Nullable {
            column.nullability = Nullability::Traced;
            changed = true;
        }
    }
    changed
}

/// Reads the outermost query's target list out of a rule's action.
fn parse_rule(action: &str) -> View {
    let outer_join = ["1", "2", "3"].iter().any(|kind| action.contains(&format!(":jointype {kind} ")));
    let queries = action.matches("{QUERY ").count();
    if action.matches(":setOperations <>").count() != queries {
        // The target list of a UNION names the columns of its first branch only.
        return View { passed: Vec::new(), keeps_not_null: false };
    }
    let inner_only = !outer_join && action.contains(":groupingSets <>") && queries == 1;
    let mut passed = Vec::new();
    // Target entries of the outermost query stand in its own :targetList, one level below it.
    let list = action.find(":targetList (").map(|start| &action[start..]).unwrap_or("");
    for entry in outermost_entries(list) {
        let number = |key: &str| value_after(entry, key).and_then(|text| text.parse::<u32>().ok());
        if value_after(entry, ":resjunk ") == Some("true") {
            continue;
        }
        passed.push(match (number(":resorigtbl "), number(":resorigcol ")) {
            (Some(table), Some(column)) if table != 0 && column != 0 => {
                i16::try_from(column).ok().map(|column| (table, column))
            }
            _ => None,
        });
    }
    View { passed, keeps_not_null: inner_only }
}

/// Returns the `{TARGETENTRY ...}` nodes of a list, without those nested in their expressions.
fn outermost_entries(list: &str) -> Vec<&str> {
    let mut entries = Vec::new();
    let (mut depth, mut start, mut escaped) = (0_usize, 0, false);
    for (index, byte) in list.bytes().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' => escaped = true,
            b'{' => {
                if depth == 0 {
                    start = index;
                }
                depth += 1;
            }
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    entries.push(&list[start..=index]);
                }
            }
            b')' if depth == 0 => break,
            _ => {}
        }
    }
    entries
}

/// Returns the word behind the last `key` of a node: the node's own fields follow its expression.
fn value_after<'e>(entry: &'e str, key: &str) -> Option<&'e str> {
    let start = entry.rfind(key)? + key.len();
    entry[start..].split([' ', '}']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_split_at_their_own_level() {
        let list = r":targetList ({TARGETENTRY :expr {VAR :x 1} :resorigtbl 5 :resorigcol 2 :resjunk false} {TARGETENTRY :expr {CONST} :resname a\}b :resorigtbl 0 :resorigcol 0 :resjunk false}) :override 0 {NOT}";
        let entries = outermost_entries(list);
        assert_eq!(entries.len(), 2);
        assert_eq!(value_after(entries[0], ":resorigtbl "), Some("5"));
        assert_eq!(value_after(entries[1], ":resjunk "), Some("false"));
    }
}
