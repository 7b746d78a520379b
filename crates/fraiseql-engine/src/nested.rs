//! Nested inserts: rows that give keys to each other, written by one statement.
//!
//! Each row that gives a column to another is a common table expression of its own with RETURNING, so
//! that "the key of that row" is a subquery over exactly one row. No order of rows is relied upon, and
//! whatever a default, an identity or a trigger made of the key is what arrives. Rows that give
//! nothing share one INSERT for each type and column list. Why it is done so: docs/design/0010-nested-writes.md.

use std::collections::BTreeSet;

use fraiseql_model::artifact::{ColumnPair, Nesting};
use fraiseql_model::names::quote_identifier;
use fraiseql_model::response::{Code, GraphqlError};

use crate::argument::{Input, Scope};
use crate::filter::operand;
use crate::ir::Operand;
use crate::query::unbound;
use crate::schema::{Object, column_sql};
use crate::sql::{KEYS_SETTING, Writer};
use crate::write::{PARAMETERS_MAX, list, presets, returning};

/// How deep rows may stand within rows.
const DEPTH_MAX: usize = 8;

/// Returns true when some input has rows inside.
pub(crate) fn has_nested(scope: Scope<'_>, object: &Object, inputs: &[Input<'_>]) -> bool {
    let Some(rules) = scope.schema.artifact.writes.get(&object.name) else { return false };
    let nests = |input: &Input<'_>| {
        input.fields().iter().any(|(field, value)| rules.nested.contains_key(field) && !value.is_null())
    };
    inputs.iter().any(nests)
}

/// Fails when a row lacks a column that its input leaves open because a nested row could give it.
pub(crate) fn check_required<'s>(
    scope: Scope<'s>,
    object: &Object,
    given: impl Fn(&str) -> bool,
) -> Result<(), GraphqlError> {
    let rules = scope.schema.artifact.writes.get(&object.name);
    match rules.and_then(|rules| rules.required.iter().find(|(column, _)| !given(column))) {
        Some((_, ways)) => Err(GraphqlError::new(Code::BadUserInput, missing(object, ways))),
        None => Ok(()),
    }
}

impl<'s> Writer<'s> {
    /// Returns the statement that inserts `inputs` with all that is nested in them, and leaves the keys
    /// of the rows of `object` in the session, in the order of `inputs`.
    pub(crate) fn insert_nested(
        &mut self,
        scope: Scope<'s>,
        rows_max: usize,
        object: &'s Object,
        inputs: &[Input<'s>],
        conflict: Option<&'s [String]>,
    ) -> Result<String, GraphqlError> {
        let mut tree = Tree { scope, rows_max, rows: Vec::new() };
        let mut roots = Vec::with_capacity(inputs.len());
        for input in inputs {
            roots.push(tree.add(object, input, Vec::new(), conflict, DEPTH_MAX)?);
        }
        for root in &roots {
            tree.rows[*root].returned.extend(object.key.iter().map(|key| key.column.as_str()));
        }
        let expressions = self.expressions(&tree.rows);
        if self.param_count() > PARAMETERS_MAX {
            let message = format!("one field must not give more than {PARAMETERS_MAX} values");
            return Err(GraphqlError::new(Code::LimitExceeded, message));
        }
        let key = |alias: &str| {
            let columns = object.key.iter().map(|key| column_sql(alias, &key.column));
            columns.collect::<Vec<_>>().join(", ")
        };
        let kept = roots.iter().enumerate().map(|(place, root)| {
            let alias = name(*root);
            format!("SELECT {place} AS \"#\", {} FROM {alias}", key(&alias))
        });
        Ok(format!(
            "WITH {} SELECT set_config('{KEYS_SETTING}', (SELECT coalesce(json_agg(\"0w\" ORDER BY \"0w\".\"#\"), \
             '[]'::json)::pg_catalog.text FROM ({}) AS \"0w\"), true)",
            expressions.join(", "),
            kept.collect::<Vec<_>>().join(" UNION ALL ")
        ))
    }

    fn expressions(&mut self, rows: &[NestedRow<'s>]) -> Vec<String> {
        let mut expressions = Vec::new();
        let mut leaves: Vec<Vec<usize>> = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            if !row.returned.is_empty() {
                let returned: Vec<&str> = row.returned.iter().copied().collect();
                let insert = self.insert_rows(&[row]);
                let returning = returning(&list(&returned), row.object, None);
                expressions.push(format!("{} AS ({insert} RETURNING {returning})", name(number)));
                continue;
            }
            match leaves.iter_mut().find(|group| rows[group[0]].is_like(row)) {
                Some(group) => group.push(number),
                None => leaves.push(vec![number]),
            }
        }
        for group in leaves {
            let together: Vec<&NestedRow<'s>> = group.iter().map(|number| &rows[*number]).collect();
            let insert = self.insert_rows(&together);
            let object = together[0].object;
            let check = object.written_check(&object.table());
            let check = check.map_or_else(String::new, |check| format!(" RETURNING {check}"));
            expressions.push(format!("{} AS ({insert}{check})", name(group[0])));
        }
        expressions
    }

    /// Returns one INSERT of rows that have the same columns.
    fn insert_rows(&mut self, rows: &[&NestedRow<'s>]) -> String {
        let first = rows[0];
        let relation = first.object.table();
        let columns: Vec<&str> = first.cells.iter().map(|(column, _)| *column).collect();
        if columns.is_empty() {
            return format!("INSERT INTO {relation} DEFAULT VALUES");
        }
        let mut values = Vec::with_capacity(rows.len());
        for row in rows {
            let cells: Vec<String> = row.cells.iter().map(|(_, cell)| self.cell(cell)).collect();
            values.push(format!("({})", cells.join(", ")));
        }
        let mut sql = format!("INSERT INTO {relation} ({}) VALUES {}", list(&columns), values.join(", "));
        if let Some(conflict) = first.conflict {
            sql.push_str(&self.on_conflict(first.object, conflict, &columns));
        }
        sql
    }

    fn cell(&mut self, cell: &Cell<'s>) -> String {
        match cell {
            Cell::Value(operand) => self.operand(operand),
            Cell::Of { row, column } => {
                format!("(SELECT {} FROM {})", quote_identifier(column), name(*row))
            }
        }
    }
}

fn name(row: usize) -> String {
    format!("\"{row}n\"")
}

/// All rows of one statement; a row stands behind those that it takes columns from.
struct Tree<'s> {
    scope: Scope<'s>,
    rows_max: usize,
    rows: Vec<NestedRow<'s>>,
}

struct NestedRow<'s> {
    object: &'s Object,
    /// Sorted by column.
    cells: Vec<(&'s str, Cell<'s>)>,
    conflict: Option<&'s [String]>,
    /// Columns that others take from it.
    returned: BTreeSet<&'s str>,
}

/// Where a column's value comes from.
enum Cell<'s> {
    Value(Operand),
    /// A column of another row.
    Of {
        row: usize,
        column: &'s str,
    },
}

impl NestedRow<'_> {
    /// True when both can stand in one INSERT.
    fn is_like(&self, other: &Self) -> bool {
        let same = |left: &[(&str, Cell<'_>)], right: &[(&str, Cell<'_>)]| {
            !left.is_empty()
                && left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| left.0 == right.0)
        };
        self.object.name == other.object.name
            && self.conflict == other.conflict
            && same(&self.cells, &other.cells)
    }
}

impl<'s> Tree<'s> {
    /// Adds a row and all that is nested in it; `taken` are columns that an outer row gives.
    fn add(
        &mut self,
        object: &'s Object,
        input: &Input<'s>,
        taken: Vec<(&'s str, Cell<'s>)>,
        conflict: Option<&'s [String]>,
        depth: usize,
    ) -> Result<usize, GraphqlError> {
        if depth == 0 {
            let message = format!("rows must not be nested more than {DEPTH_MAX} deep");
            return Err(GraphqlError::new(Code::LimitExceeded, message));
        }
        let scope = self.scope;
        let rules = scope.schema.artifact.writes.get(&object.name);
        let mut cells = Cells { object, list: taken };
        let mut after = Vec::new();
        for (field, value) in input.fields() {
            if let Some(column) = object.column(&field) {
                let operand = operand(scope.schema, &column.value, &value)?;
                cells.give(&field, &column.column, Cell::Value(operand))?;
                continue;
            }
            if value.is_null() {
                continue;
            }
            let nesting = rules.and_then(|rules| rules.nested.get(&field)).ok_or_else(|| unbound(&field))?;
            if !nesting.first {
                after.push((nesting, value));
                continue;
            }
            for (target, data, conflict) in self.nested_rows(nesting, &value)? {
                let row = self.add(target, &data, Vec::new(), conflict, depth - 1)?;
                for pair in &nesting.on {
                    self.rows[row].returned.insert(&pair.remote);
                    cells.give(&field, &pair.local, Cell::Of { row, column: &pair.remote })?;
                }
            }
        }
        for (column, operand) in presets(scope, object, false) {
            cells.give(column, column, Cell::Value(operand))?;
        }
        check_required(scope, object, |column| cells.list.iter().any(|(given, _)| *given == column))?;
        cells.list.sort_by_key(|(column, _)| *column);
        if self.rows.len() >= self.rows_max {
            let message = format!("one field must not insert more than {} rows", self.rows_max);
            return Err(GraphqlError::new(Code::LimitExceeded, message));
        }
        let row = self.rows.len();
        self.rows.push(NestedRow { object, cells: cells.list, conflict, returned: BTreeSet::new() });
        for (nesting, value) in after {
            for (target, data, conflict) in self.nested_rows(nesting, &value)? {
                let give = |pair: &'s ColumnPair| {
                    (pair.remote.as_str(), Cell::Of { row, column: pair.local.as_str() })
                };
                self.rows[row].returned.extend(nesting.on.iter().map(|pair| pair.local.as_str()));
                self.add(target, &data, nesting.on.iter().map(give).collect(), conflict, depth - 1)?;
            }
        }
        Ok(row)
    }

    /// Returns the rows of one nested field, with the unique key of their ON CONFLICT.
    fn nested_rows(
        &self,
        nesting: &'s Nesting,
        value: &Input<'s>,
    ) -> Result<Vec<NestedInput<'s>>, GraphqlError> {
        let target: &'s Object = self.scope.schema.object(&nesting.target);
        let fields = value.fields();
        let find = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
        let data = find("data").ok_or_else(|| unbound("data"))?;
        let conflict = match find("onConflict").and_then(|value| value.text()) {
            Some(name) => {
                let rules = self.scope.schema.artifact.writes.get(&target.name);
                let columns = rules.and_then(|rules| rules.conflicts.get(name));
                Some(columns.ok_or_else(|| unbound("onConflict"))?.as_slice())
            }
            None => None,
        };
        let items = if nesting.many { data.items() } else { vec![data.clone()] };
        Ok(items.into_iter().map(|item| (target, item, conflict)).collect())
    }
}

type NestedInput<'s> = (&'s Object, Input<'s>, Option<&'s [String]>);

struct Cells<'s> {
    object: &'s Object,
    list: Vec<(&'s str, Cell<'s>)>,
}

impl<'s> Cells<'s> {
    fn give(&mut self, field: &str, column: &'s str, cell: Cell<'s>) -> Result<(), GraphqlError> {
        if self.list.iter().any(|(given, _)| *given == column) {
            let message = format!(
                "\"{field}\" of {} gives what another field or the row around it gives already: leave one of them out",
                self.object.name
            );
            return Err(GraphqlError::new(Code::BadUserInput, message));
        }
        self.list.push((column, cell));
        Ok(())
    }
}

fn missing(object: &Object, ways: &[String]) -> String {
    let ways: Vec<String> = ways.iter().map(|way| format!("\"{way}\"")).collect();
    format!("an insert of {} must give {}", object.name, ways.join(" or "))
}
