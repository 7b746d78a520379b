//! The reference: answers an operation from the rows in memory, slowly and plainly.
//!
//! Shares nothing with the engine; follows section 6 of the specification and SQL's logic of nulls.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::conditions;
use super::document::{Asked, Directive, Operation, Selection, Term};
use super::model::{Binding, Cell, Model, Table, Way, decimal_text};
use super::summing::{alike, named};

/// Returns `data`.
pub(super) fn answer(model: &Model, operation: &Operation) -> Value {
    let answerer = Answerer::new(model, operation);
    let groups = answerer.collect([operation.selections.as_slice()]);
    let mut data = Map::new();
    for (key, group) in groups {
        data.insert(key.to_owned(), answerer.root(&group));
    }
    Value::Object(data)
}

pub(super) struct Answerer<'o> {
    pub(super) model: &'o Model,
    operation: &'o Operation,
    given: BTreeMap<&'o str, &'o Term>,
}

pub(super) type Row = Vec<Cell>;

impl<'o> Answerer<'o> {
    pub(super) fn new(model: &'o Model, operation: &'o Operation) -> Self {
        let given = operation.variables.iter().filter_map(|variable| {
            let value = variable.sent.as_ref().or(variable.default.as_ref())?;
            Some((variable.name.as_str(), value))
        });
        Self { model, operation, given: given.collect() }
    }

    /// CollectFields, where every type condition holds: each fragment is on the type it stands in.
    pub(super) fn collect(
        &self,
        sets: impl IntoIterator<Item = &'o [Selection]>,
    ) -> Vec<(&'o str, Vec<&'o Asked>)> {
        let mut groups = Vec::new();
        for set in sets {
            self.collect_into(set, &mut groups);
        }
        groups
    }

    fn collect_into(&self, set: &'o [Selection], groups: &mut Vec<(&'o str, Vec<&'o Asked>)>) {
        for selection in set {
            match selection {
                Selection::Field(field) if self.includes(&field.directives) => {
                    match groups.iter_mut().find(|(key, _)| *key == field.key()) {
                        Some((_, group)) => group.push(field),
                        None => groups.push((field.key(), vec![field])),
                    }
                }
                Selection::Inline { directives, selections, .. } if self.includes(directives) => {
                    self.collect_into(selections, groups);
                }
                Selection::Spread { name, directives } if self.includes(directives) => {
                    let fragment = self.operation.fragments.iter().find(|fragment| fragment.name == *name);
                    self.collect_into(&fragment.expect("the fragment is there").selections, groups);
                }
                _ => {}
            }
        }
    }

    fn includes(&self, directives: &[Directive]) -> bool {
        directives
            .iter()
            .all(|directive| self.resolved(&directive.condition) == Some(Term::Boolean(directive.include)))
    }

    /// Returns a value with its variables filled in; what was not given is left out.
    fn resolved(&self, term: &Term) -> Option<Term> {
        Some(match term {
            Term::Variable(name) => (*self.given.get(name.as_str())?).clone(),
            Term::List(items) => Term::List(items.iter().filter_map(|item| self.resolved(item)).collect()),
            Term::Object(fields) => {
                let fields =
                    fields.iter().filter_map(|(key, value)| Some((key.clone(), self.resolved(value)?)));
                Term::Object(fields.collect())
            }
            other => other.clone(),
        })
    }

    pub(super) fn argument(&self, field: &Asked, name: &str) -> Option<Term> {
        let (_, value) = field.arguments.iter().find(|(known, _)| known == name)?;
        self.resolved(value).filter(|value| *value != Term::Null)
    }

    fn root(&self, group: &[&'o Asked]) -> Value {
        let asked = group[0];
        if asked.name == "__typename" {
            return Value::from("Query");
        }
        for (index, table) in self.model.tables.iter().enumerate() {
            if table.list == asked.name {
                return self.list(index, table.rows.iter().collect(), group);
            }
            if let Some(suffix) = suffix(&asked.name, &table.list) {
                return self.sibling(suffix, index, table.rows.iter().collect(), group);
            }
            if let Some(lookup) = table.lookups.iter().find(|lookup| lookup.name == asked.name) {
                let field = &table.fields[lookup.field];
                let Binding::Column { column, .. } = field.binding else {
                    unreachable!("lookups are by columns")
                };
                let value = self.argument(asked, &field.name).expect("the argument is required");
                let wanted = conditions::operand(table.columns[column].kind, &value);
                let found = table.rows.iter().find(|row| row[column] == wanted);
                return found.map_or(Value::Null, |row| self.object(index, row, group));
            }
        }
        unreachable!("{} is no root field", asked.name)
    }

    pub(super) fn object(&self, table: usize, row: &Row, group: &[&'o Asked]) -> Value {
        let mut object = Map::new();
        for (key, group) in self.collect(group.iter().map(|field| field.selections.as_slice())) {
            object.insert(key.to_owned(), self.value(table, row, &group));
        }
        Value::Object(object)
    }

    fn value(&self, table: usize, row: &Row, group: &[&'o Asked]) -> Value {
        let found = &self.model.tables[table];
        if group[0].name == "__typename" {
            return Value::from(found.type_name.clone());
        }
        for field in &found.fields {
            if let (Binding::ToMany(way), Some(suffix)) =
                (&field.binding, suffix(&group[0].name, &field.name))
            {
                return self.sibling(suffix, way.target, related(self.model, row, way).collect(), group);
            }
        }
        match &found.field(&group[0].name).binding {
            Binding::Column { column, id } => json(&row[*column], found.columns[*column].kind.scalar(*id)),
            Binding::ToOne(way) => {
                let one = related(self.model, row, way).next();
                one.map_or(Value::Null, |one| self.object(way.target, one, group))
            }
            Binding::ToMany(way) => self.list(way.target, related(self.model, row, way).collect(), group),
        }
    }

    fn list(&self, table: usize, mut rows: Vec<&'o Row>, group: &[&'o Asked]) -> Value {
        self.filter(table, &mut rows, group[0]);
        let (limit, offset) = (self.number(group[0], "limit"), self.number(group[0], "offset"));
        if limit.is_some() || offset.is_some() {
            rows.sort_by(|left, right| compare(&left[0], &right[0]));
        }
        self.sort(table, &mut rows, group[0]);
        if let Some(columns) = self.argument(group[0], "distinctOn") {
            let columns = named(&self.model.tables[table], &columns);
            let mut kept: Vec<&Row> = Vec::new();
            rows.retain(|row| {
                let new = !kept.iter().any(|known| alike(known, row, &columns));
                if new {
                    kept.push(row);
                }
                new
            });
        }
        let page = rows.into_iter().skip(offset.unwrap_or(0)).take(limit.unwrap_or(usize::MAX));
        page.map(|row| self.object(table, row, group)).collect()
    }

    pub(super) fn filter(&self, table: usize, rows: &mut Vec<&'o Row>, asked: &Asked) {
        if let Some(filter) = self.argument(asked, "where") {
            let found = &self.model.tables[table];
            rows.retain(|row| conditions::holds(self.model, found, row, &filter) == Some(true));
        }
    }

    /// Sorts by `orderBy`; rows that are alike stay in their order.
    pub(super) fn sort(&self, table: usize, rows: &mut [&'o Row], asked: &Asked) {
        let found = &self.model.tables[table];
        let order = self.argument(asked, "orderBy").map_or(Vec::new(), |order| items(&order).to_vec());
        rows.sort_by(|left, right| {
            order.iter().fold(Ordering::Equal, |order, item| {
                order.then_with(|| ordered(self.model, found, Some(left), Some(right), item))
            })
        });
    }

    pub(super) fn number(&self, field: &Asked, name: &str) -> Option<usize> {
        match self.argument(field, name)? {
            Term::Number(digits) => Some(digits.parse().expect("a count")),
            other => unreachable!("{other:?} is no count"),
        }
    }
}

/// Returns what a field's name has behind the name of a list, when it stands beside that list.
fn suffix<'n>(name: &'n str, list: &str) -> Option<&'n str> {
    name.strip_prefix(list).filter(|rest| matches!(*rest, "Aggregate" | "Groups" | "Connection"))
}

/// Returns the rows that a reference leads to. Null equals nothing.
pub(super) fn related<'m>(
    model: &'m Model,
    row: &[Cell],
    way: &Way,
) -> impl Iterator<Item = &'m Row> + use<'m> {
    let local = row[way.local].clone();
    let remote = way.remote;
    model.tables[way.target].rows.iter().filter(move |target| !local.is_null() && target[remote] == local)
}

/// Returns the elements of a list; a single value is a list of one.
pub(super) fn items(term: &Term) -> &[Term] {
    match term {
        Term::List(items) => items,
        single => std::slice::from_ref(single),
    }
}

/// Returns how two values of one kind are ordered. NaN is the greatest number.
pub(super) fn compare(left: &Cell, right: &Cell) -> Ordering {
    match (left, right) {
        (Cell::Int(left), Cell::Int(right)) => left.cmp(right),
        (Cell::Decimal(left), Cell::Decimal(right)) => left.cmp(right),
        (Cell::Boolean(left), Cell::Boolean(right)) => left.cmp(right),
        (Cell::Text(left), Cell::Text(right)) | (Cell::Date(left), Cell::Date(right)) => {
            left.as_bytes().cmp(right.as_bytes())
        }
        (Cell::Float(left), Cell::Float(right)) => {
            left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
        }
        _ => unreachable!("{left:?} and {right:?} are not of one kind that has an order"),
    }
}

/// Compares two rows by an element of `orderBy`; a row that is not there has nulls only.
fn ordered(model: &Model, table: &Table, left: Option<&Row>, right: Option<&Row>, item: &Term) -> Ordering {
    let Term::Object(fields) = item else { unreachable!("{item:?} is no order") };
    let mut order = Ordering::Equal;
    for (name, value) in fields {
        order = order.then_with(|| match (&table.field(name).binding, value) {
            (Binding::Column { column, .. }, Term::Enum(direction)) => {
                let cell = |row: Option<&Row>| row.map_or(Cell::Null, |row| row[*column].clone());
                directed(&cell(left), &cell(right), direction)
            }
            (Binding::ToOne(way), item) => {
                let one = |row: Option<&Row>| row.and_then(|row| related(model, row, way).next());
                ordered(model, &model.tables[way.target], one(left), one(right), item)
            }
            _ => unreachable!("{name} has no order"),
        });
    }
    order
}

pub(super) fn directed(left: &Cell, right: &Cell, direction: &str) -> Ordering {
    let descending = direction.starts_with("DESC");
    let nulls_first = if direction.contains("NULLS") { direction.ends_with("FIRST") } else { descending };
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if nulls_first => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) if descending => compare(right, left),
        (false, false) => compare(left, right),
    }
}

pub(super) fn json(cell: &Cell, scalar: &str) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(value) if scalar == "Int" => Value::from(*value),
        Cell::Int(value) => Value::from(value.to_string()),
        Cell::Text(text) | Cell::Date(text) => Value::from(text.clone()),
        Cell::Boolean(value) => Value::from(*value),
        Cell::Decimal(value) => Value::from(decimal_text(*value, 3)),
        // JSON has neither NaN nor infinities.
        Cell::Float(value) => serde_json::Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Cell::List(items) => items.iter().cloned().map(Value::from).collect(),
    }
}
