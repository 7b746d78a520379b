//! The reference's aggregates, groups and pages.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::answering::{Answerer, Row, compare, directed, items, json};
use super::conditions::{all, any, column_holds};
use super::document::{Asked, Term};
use super::model::{Binding, Cell, Kind, Table, decimal_text};

impl<'o> Answerer<'o> {
    /// Returns the value of the field that ends so, beside a list of these rows.
    pub(super) fn sibling(
        &self,
        suffix: &str,
        table: usize,
        mut rows: Vec<&'o Row>,
        group: &[&'o Asked],
    ) -> Value {
        self.filter(table, &mut rows, group[0]);
        match suffix {
            "Aggregate" => self.aggregate(table, &rows, None, group),
            "Groups" => self.groups(table, &rows, group),
            _ => self.connection(table, rows, group),
        }
    }

    fn below(&self, group: &[&'o Asked], value: impl Fn(&[&'o Asked]) -> Value) -> Value {
        let mut object = Map::new();
        for (key, group) in self.collect(group.iter().map(|field| field.selections.as_slice())) {
            object.insert(key.to_owned(), value(&group));
        }
        Value::Object(object)
    }

    fn aggregate(&self, table: usize, rows: &[&Row], by: Option<&[usize]>, group: &[&'o Asked]) -> Value {
        let found = &self.model.tables[table];
        self.below(group, |group| match group[0].name.as_str() {
            "__typename" => {
                let suffix = if by.is_some() { "Group" } else { "Aggregate" };
                Value::from(format!("{}{suffix}", found.type_name))
            }
            "count" => {
                let columns = self.argument(group[0], "distinct");
                let columns = columns.map_or(Vec::new(), |columns| named(found, &columns));
                Value::from(if columns.is_empty() { rows.len() } else { distinct(rows, &columns) })
            }
            "key" => self.below(group, |group| {
                let (column, id) = column_of(found, &group[0].name);
                match by {
                    Some(by) if by.contains(&column) => {
                        json(&rows[0][column], found.columns[column].kind.scalar(id))
                    }
                    _ => Value::Null,
                }
            }),
            function => self.below(group, |group| {
                let (column, id) = column_of(found, &group[0].name);
                shown(function, rows, column, found.columns[column].kind, id)
            }),
        })
    }

    fn groups(&self, table: usize, rows: &[&'o Row], group: &[&'o Asked]) -> Value {
        let found = &self.model.tables[table];
        let by = named(found, &self.argument(group[0], "by").expect("groups say by what"));
        let mut groups: Vec<Vec<&Row>> = Vec::new();
        for row in rows {
            match groups.iter_mut().find(|known| alike(known[0], row, &by)) {
                Some(known) => known.push(row),
                None => groups.push(vec![row]),
            }
        }
        if let Some(having) = self.argument(group[0], "having") {
            groups.retain(|rows| holds(found, rows, &having) == Some(true));
        }
        let order = self.argument(group[0], "orderBy");
        groups.sort_by(|left, right| {
            let asked = order.iter().flat_map(items);
            let asked = asked
                .fold(Ordering::Equal, |order, item| order.then_with(|| ordered(found, left, right, item)));
            by.iter().fold(asked, |order, column| {
                order.then_with(|| directed(&left[0][*column], &right[0][*column], "ASC"))
            })
        });
        let offset = self.number(group[0], "offset").unwrap_or(0);
        let limit = self.number(group[0], "limit").unwrap_or(usize::MAX);
        let page = groups.iter().skip(offset).take(limit);
        page.map(|rows| self.aggregate(table, rows, Some(&by), group)).collect()
    }

    fn connection(&self, table: usize, mut rows: Vec<&'o Row>, group: &[&'o Asked]) -> Value {
        let found = &self.model.tables[table];
        rows.sort_by(|left, right| compare(&left[0], &right[0]));
        self.sort(table, &mut rows, group[0]);
        let matching = rows.clone();
        let (first, last) = (self.number(group[0], "first"), self.number(group[0], "last"));
        rows.truncate(first.unwrap_or(usize::MAX));
        rows.drain(..rows.len().saturating_sub(last.unwrap_or(usize::MAX)));
        let more = matching.len() > rows.len();
        self.below(group, |group| match group[0].name.as_str() {
            "__typename" => Value::from(format!("{}Connection", found.type_name)),
            "totalCount" => Value::from(matching.len()),
            "aggregate" => self.aggregate(table, &matching, None, group),
            "nodes" => rows.iter().map(|row| self.object(table, row, group)).collect(),
            "edges" => {
                let edge = |row: &&'o Row| self.below(group, |group| self.object(table, row, group));
                rows.iter().map(edge).collect()
            }
            _ => self.below(group, |group| match group[0].name.as_str() {
                "hasNextPage" => Value::from(more && first.is_some()),
                "hasPreviousPage" => Value::from(more && last.is_some()),
                _ => Value::from("PageInfo"),
            }),
        })
    }
}

/// Returns the columns that the elements of an enum name.
pub(super) fn named(table: &Table, columns: &Term) -> Vec<usize> {
    let column = |item: &Term| match item {
        Term::Enum(name) => column_of(table, name).0,
        other => unreachable!("{other:?} is no column"),
    };
    items(columns).iter().map(column).collect()
}

fn column_of(table: &Table, field: &str) -> (usize, bool) {
    match table.field(field).binding {
        Binding::Column { column, id } => (column, id),
        _ => unreachable!("{field} is no column"),
    }
}

/// Returns whether two rows have the same values; nulls are alike.
pub(super) fn alike(left: &[Cell], right: &[Cell], columns: &[usize]) -> bool {
    columns.iter().all(|column| directed(&left[*column], &right[*column], "ASC").is_eq())
}

/// Counts the combinations that there are. A single null is none, as in SQL.
fn distinct(rows: &[&Row], columns: &[usize]) -> usize {
    let mut known: Vec<&Row> = Vec::new();
    for row in rows {
        let none = columns.len() == 1 && row[columns[0]].is_null();
        if !none && !known.iter().any(|other| alike(other, row, columns)) {
            known.push(row);
        }
    }
    known.len()
}

/// Returns a sum in millionths, and of how many values.
fn total(values: &[&Cell]) -> i128 {
    let value = |cell: &&Cell| match cell {
        Cell::Int(value) => i128::from(*value) * 1_000_000,
        Cell::Decimal(value) => *value,
        other => unreachable!("{other:?} has no sum"),
    };
    values.iter().map(value).sum()
}

fn float_total(values: &[&Cell]) -> f64 {
    let value = |cell: &&Cell| match cell {
        Cell::Float(value) => *value,
        other => unreachable!("{other:?} is no float"),
    };
    values.iter().map(value).sum()
}

fn shown(function: &str, rows: &[&Row], column: usize, kind: Kind, id: bool) -> Value {
    let values = values(rows, column);
    let places = if kind == Kind::Decimal { 3 } else { 0 };
    match function {
        _ if values.is_empty() => Value::Null,
        "min" | "max" => json(&computed(function, rows, column), kind.scalar(id)),
        "sum" if kind == Kind::Float => Value::from(float_total(&values)),
        "sum" => Value::from(decimal_text(total(&values), places)),
        #[expect(clippy::cast_precision_loss, reason = "there are few rows")]
        "avg" if kind == Kind::Float => Value::from(float_total(&values) / values.len() as f64),
        "avg" => {
            let sum = total(&values) / 10_i128.pow(6 - places);
            Value::from(average(sum, places, i128::try_from(values.len()).expect("few rows")))
        }
        other => unreachable!("{other} is no function"),
    }
}

fn values<'r>(rows: &[&'r Row], column: usize) -> Vec<&'r Cell> {
    rows.iter().map(|row| &row[column]).filter(|cell| !cell.is_null()).collect()
}

/// Returns the result of a function as a cell; a sum of whole numbers is a decimal number.
fn computed(function: &str, rows: &[&Row], column: usize) -> Cell {
    let values = values(rows, column);
    let best = |left: &&Cell, right: &&Cell| compare(left, right);
    match (function, values.first()) {
        (_, None) => Cell::Null,
        ("min", _) => (*values.iter().copied().min_by(best).expect("a value")).clone(),
        ("max", _) => (*values.iter().copied().max_by(best).expect("a value")).clone(),
        (_, Some(Cell::Float(_))) => Cell::Float(float_total(&values)),
        _ => Cell::Decimal(total(&values)),
    }
}

/// Returns a quotient with as many places as PostgreSQL gives it: at least sixteen digits that count,
/// in groups of four. `sum` has so many `places`.
fn average(sum: i128, places: u32, count: i128) -> String {
    let leading = |number: i128, fraction: i32| {
        let (mut number, mut weight) = (number.abs(), -fraction);
        while number >= 10_000 {
            number /= 10_000;
            weight += 1;
        }
        (if number == 0 { 0 } else { weight }, number)
    };
    let (sum_weight, sum_digit) = if places == 3 { leading(sum * 10, 1) } else { leading(sum, 0) };
    let (count_weight, count_digit) = leading(count, 0);
    let weight = sum_weight - count_weight - i32::from(sum_digit <= count_digit);
    let scale = (16 - 4 * weight).max(i32::try_from(places).expect("three or none"));
    let scale = u32::try_from(scale.max(0)).expect("not negative");
    let (dividend, divisor) = (sum.abs() * 10_i128.pow(scale), count * 10_i128.pow(places));
    let digits = (2 * dividend + divisor) / (2 * divisor);
    let sign = if sum < 0 && digits != 0 { "-" } else { "" };
    let one = 10_i128.pow(scale);
    match scale {
        0 => format!("{sign}{digits}"),
        _ => format!("{sign}{}.{:0width$}", digits / one, digits % one, width = scale as usize),
    }
}

fn holds(table: &Table, rows: &[&Row], having: &Term) -> Option<bool> {
    let each = |list: &Term| -> Vec<Option<bool>> {
        items(list).iter().map(|item| holds(table, rows, item)).collect()
    };
    all(fields(having).iter().map(|(name, value)| match name.as_str() {
        "_and" => all(each(value)),
        "_or" => any(each(value)),
        "_not" => holds(table, rows, value).map(|held| !held),
        "count" => column_holds(&count(rows), Kind::Int, value),
        function => all(fields(value).iter().map(|(field, conditions)| {
            let (column, _) = column_of(table, field);
            let kind = table.columns[column].kind;
            let summed = function == "sum" && kind != Kind::Float;
            let kind = if summed { Kind::Decimal } else { kind };
            column_holds(&computed(function, rows, column), kind, conditions)
        })),
    }))
}

fn count(rows: &[&Row]) -> Cell {
    Cell::Int(i64::try_from(rows.len()).expect("few rows"))
}

fn fields(term: &Term) -> &[(String, Term)] {
    match term {
        Term::Object(fields) => fields,
        other => unreachable!("{other:?} has no fields"),
    }
}

fn ordered(table: &Table, left: &[&Row], right: &[&Row], item: &Term) -> Ordering {
    let mut order = Ordering::Equal;
    for (name, value) in fields(item) {
        if let Term::Enum(direction) = value {
            order = order.then_with(|| directed(&count(left), &count(right), direction));
            continue;
        }
        for (field, direction) in fields(value) {
            let Term::Enum(direction) = direction else { unreachable!("{direction:?} is no direction") };
            let (column, _) = column_of(table, field);
            let cell = |rows: &[&Row]| match name.as_str() {
                "key" => rows[0][column].clone(),
                function => computed(function, rows, column),
            };
            order = order.then_with(|| directed(&cell(left), &cell(right), direction));
        }
    }
    order
}
