//! Traces columns of views to the columns of tables that they pass through.
//!
//! PostgreSQL keeps in each target entry of a view's parse tree which column of which relation it
//! is (`resorigtbl`, `resorigcol`). Whether a NULL can come in on the way is only claimed not to be
//! when the view has inner joins alone and no set operations, grouping sets or subqueries in FROM.

use std::collections::BTreeMap;

use fraiseql_model::catalog::{ColumnOrigin, Nullability, QualifiedName, RelationKind};
use tokio_postgres::Client;

use crate::catalog::relations::Relations;
use crate::error::PostgresError;

const RULES: &str = "
SELECT r.ev_class, r.ev_action::text FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE r.ev_type = '1' AND r.rulename = '_RETURN' AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

const COLUMNS: &str = "
SELECT a.attrelid, a.attnum, a.attname::text, n.nspname::text, c.relname::text, a.attnotnull
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped";

/// A view may stand on views, so many storeys high.
const STOREYS_MAX: usize = 16;

/// A column, by its relation's oid and its number.
type Place = (u32, i16);

struct View {
    /// By column index: what the column passes through.
    passed: Vec<Option<Place>>,
    keeps_not_null: bool,
}

/// A column of any relation, also of one that the role cannot read.
struct Base {
    name: String,
    relation: QualifiedName,
    not_null: bool,
}

/// Fills `origin` and [`Nullability::Traced`] for the columns of views.
pub(crate) async fn trace(client: &Client, relations: &mut Relations) -> Result<(), PostgresError> {
    let is_view = |kind| matches!(kind, RelationKind::View | RelationKind::MaterializedView);
    if !relations.values().any(|relation| is_view(relation.kind)) {
        return Ok(());
    }
    let rules = client.query(RULES, &[]).await?;
    let views: BTreeMap<u32, View> =
        rules.iter().map(|row| (row.get(0), parse_rule(row.get::<_, &str>(1)))).collect();
    let mut oids: Vec<u32> = views.keys().copied().collect();
    oids.extend(views.values().flat_map(|view| view.passed.iter().flatten().map(|(oid, _)| *oid)));
    let bases: BTreeMap<Place, Base> = client
        .query(COLUMNS, &[&oids])
        .await?
        .iter()
        .map(|row| {
            let relation = QualifiedName::new(row.get::<_, String>(3), row.get::<_, String>(4));
            ((row.get(0), row.get(1)), Base { name: row.get(2), relation, not_null: row.get(5) })
        })
        .collect();
    for (oid, view) in &views {
        let Some(relation) = relations.get_mut(oid) else { continue };
        for number in (1_i16..).take(view.passed.len()) {
            let Some((place, not_null)) = descend(&views, (*oid, number)) else { continue };
            let (Some(own), Some(base)) = (bases.get(&(*oid, number)), bases.get(&place)) else { continue };
            let column = relation.columns.iter_mut().find(|column| column.name == own.name);
            let Some(column) = column else { continue };
            column.origin = Some(ColumnOrigin { relation: base.relation.clone(), column: base.name.clone() });
            if not_null && base.not_null && column.nullability == Nullability::Nullable {
                column.nullability = Nullability::Traced;
            }
        }
    }
    Ok(())
}

/// Follows a view's column down to a table's; the flag says whether no NULL can come in on the way.
fn descend(views: &BTreeMap<u32, View>, from: Place) -> Option<(Place, bool)> {
    let (mut place, mut not_null) = (from, true);
    for _ in 0..STOREYS_MAX {
        let Some(view) = views.get(&place.0) else { return (place != from).then_some((place, not_null)) };
        let index = usize::try_from(place.1).map_or(0, |number| number.saturating_sub(1));
        place = (*view.passed.get(index)?)?;
        not_null &= view.keeps_not_null;
    }
    None
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
    for entry in outermost_entries(target_list(action)) {
        let number = |key: &str| match value_after(entry, key).map(str::parse::<u32>) {
            Some(Ok(number)) => Some(number),
            Some(Err(_)) | None => None,
        };
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

/// Returns the text from the outermost query's own target list on.
fn target_list(action: &str) -> &str {
    const KEY: &str = ":targetList (";
    let (mut depth, mut escaped) = (0_usize, false);
    for (index, byte) in action.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 1 && action[index..].starts_with(KEY) => return &action[index..],
            _ => {}
        }
    }
    ""
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
