//! Random filters and orders.

use super::asking::{Asker, Need};
use super::document::Term;
use super::model::{Binding, Cell, Field, Kind};
use super::values;

pub(super) const DIRECTIONS: &[&str] =
    &["ASC", "DESC", "ASC_NULLS_FIRST", "ASC_NULLS_LAST", "DESC_NULLS_FIRST", "DESC_NULLS_LAST"];
const EQUALITY: &[&str] = &["eq", "neq", "in", "nin", "isnull"];
pub(super) const ORDER: &[&str] = &["eq", "neq", "in", "nin", "isnull", "gt", "gte", "lt", "lte"];
const PATTERNS: &[&str] = &[
    "contains",
    "icontains",
    "startswith",
    "istartswith",
    "endswith",
    "iendswith",
    "like",
    "ilike",
    "nlike",
    "nilike",
    "regex",
    "iregex",
    "nregex",
    "niregex",
];
const LIST: &[&str] = &["eq", "neq", "isnull", "array_contains", "array_contained_by", "array_overlaps"];

impl Asker<'_> {
    /// Returns a filter for rows of a table, with at most so many levels below it.
    pub(super) fn filter(&mut self, table: usize, levels: usize) -> Term {
        let mut fields: Vec<(String, Term)> = Vec::new();
        let most = if levels > 1 { 3 } else { 2 };
        let least = usize::from(!self.dice.chance(4));
        for _ in 0..self.dice.count(least, most) {
            let (name, value) = match self.dice.count(0, 9) {
                0 | 1 if levels > 0 => self.junction(table, levels - 1),
                2 if levels > 0 => {
                    let inner = self.lifted_filter(table, levels - 1, Need::Optional);
                    ("_not".to_owned(), inner)
                }
                3..=5 if levels > 0 => self.reference_filter(table, levels - 1),
                _ => self.column_filter(table),
            };
            if fields.iter().all(|(known, _)| *known != name) {
                fields.push((name, value));
            }
        }
        Term::Object(fields)
    }

    fn lifted_filter(&mut self, table: usize, levels: usize, need: Need) -> Term {
        let filter = self.filter(table, levels);
        let of = format!("{}Filter", self.model.tables[table].type_name);
        self.lift(filter, &of, need)
    }

    fn junction(&mut self, table: usize, levels: usize) -> (String, Term) {
        let name = (*self.dice.pick(&["_and", "_or", "_or"])).to_owned();
        let of = format!("[{}Filter!]", self.model.tables[table].type_name);
        let list = if self.dice.chance(10) {
            // One object stands for a list of one.
            self.filter(table, levels)
        } else {
            let count = if self.dice.chance(8) { 0 } else { self.dice.count(1, 3) };
            Term::List((0..count).map(|_| self.lifted_filter(table, levels, Need::NonNull)).collect())
        };
        (name, self.lift(list, &of, Need::Optional))
    }

    fn reference_filter(&mut self, table: usize, levels: usize) -> (String, Term) {
        let is_reference = |field: &&Field| !matches!(field.binding, Binding::Column { .. });
        let fields: Vec<&Field> = self.model.tables[table].fields.iter().filter(is_reference).collect();
        if fields.is_empty() {
            return self.column_filter(table);
        }
        let field = *self.dice.pick(&fields);
        let value = match &field.binding {
            Binding::ToMany(way) => {
                let mut quantifiers = Vec::new();
                for quantifier in ["some", "none", "every"] {
                    if self.dice.chance(40) {
                        let inner = self.lifted_filter(way.target, levels, Need::Optional);
                        quantifiers.push((quantifier.to_owned(), inner));
                    }
                }
                self.dice.shuffle(&mut quantifiers);
                let of = format!("{}ListFilter", self.model.tables[way.target].type_name);
                self.lift(Term::Object(quantifiers), &of, Need::Optional)
            }
            Binding::ToOne(way) => self.lifted_filter(way.target, levels, Need::Optional),
            Binding::Column { .. } => unreachable!("columns were left out"),
        };
        (field.name.clone(), value)
    }

    fn column_filter(&mut self, table: usize) -> (String, Term) {
        let is_column = |field: &&Field| matches!(field.binding, Binding::Column { .. });
        let fields: Vec<&Field> = self.model.tables[table].fields.iter().filter(is_column).collect();
        let Some(field) = (!fields.is_empty()).then(|| *self.dice.pick(&fields)) else {
            return ("_and".to_owned(), Term::List(Vec::new()));
        };
        let Binding::Column { column, id } = field.binding else { unreachable!("only columns were kept") };
        let kind = self.model.tables[table].columns[column].kind;
        let operators = match kind {
            Kind::Text if self.dice.chance(70) => PATTERNS,
            Kind::TextList => LIST,
            Kind::Boolean => EQUALITY,
            _ => ORDER,
        };
        let mut conditions: Vec<(String, Term)> = Vec::new();
        let count = if self.dice.chance(4) { 0 } else { 1 + usize::from(self.dice.chance(20)) };
        for _ in 0..count {
            let operator = *self.dice.pick(operators);
            if conditions.iter().all(|(known, _)| known != operator) {
                conditions.push((operator.to_owned(), self.condition(table, column, id, operator)));
            }
        }
        let value = self.lift(Term::Object(conditions), &kind.filter(id), Need::Optional);
        (field.name.clone(), value)
    }

    pub(super) fn condition(&mut self, table: usize, column: usize, id: bool, operator: &str) -> Term {
        let kind = self.model.tables[table].columns[column].kind;
        let scalar = kind.scalar(id);
        match operator {
            "isnull" => {
                let value = Term::Boolean(self.dice.chance(50));
                self.lift(value, "Boolean", Need::Optional)
            }
            _ if kind == Kind::TextList => {
                let Cell::List(items) = self.cell_of(table, column) else { unreachable!("a list has lists") };
                let mut items: Vec<Term> = items.into_iter().flatten().map(Term::Text).collect();
                if self.dice.chance(40) {
                    items.push(Term::Text(values::short_text(self.dice)));
                }
                if self.dice.chance(30) {
                    items.pop();
                }
                self.list_operand(items, scalar)
            }
            "in" | "nin" => {
                let count = if self.dice.chance(8) { 0 } else { self.dice.count(1, 4) };
                let items = (0..count).map(|_| self.operand(table, column, id)).collect();
                self.list_operand(items, scalar)
            }
            "eq" | "neq" | "gt" | "gte" | "lt" | "lte" => {
                let value = self.operand(table, column, id);
                self.lift(value, scalar, Need::Optional)
            }
            pattern => {
                let Cell::Text(of) = self.cell_of(table, column) else { unreachable!("a text has texts") };
                let text = if pattern.ends_with("regex") {
                    values::regex_pattern(self.dice)
                } else if pattern.ends_with("like") {
                    values::like_pattern(self.dice, &of)
                } else {
                    values::part(self.dice, &of, pattern)
                };
                self.lift(Term::Text(text), "String", Need::Particular)
            }
        }
    }

    fn list_operand(&mut self, mut items: Vec<Term>, scalar: &str) -> Term {
        let of = format!("[{scalar}!]");
        let list = if items.len() == 1 && self.dice.chance(20) {
            items.remove(0)
        } else {
            Term::List(items.into_iter().map(|item| self.lift(item, scalar, Need::NonNull)).collect())
        };
        self.lift(list, &of, Need::Optional)
    }

    /// Returns a value of a column, or another of its kind.
    pub(super) fn cell_of(&mut self, table: usize, column: usize) -> Cell {
        let found = &self.model.tables[table];
        let usable = |cell: &Cell| match cell {
            Cell::Float(value) => value.is_finite(),
            other => !other.is_null(),
        };
        if !found.rows.is_empty() && self.dice.chance(70) {
            let cell = &self.dice.pick(&found.rows)[column];
            if usable(cell) {
                return cell.clone();
            }
        }
        let cell = values::cell(self.dice, found.columns[column].kind);
        if usable(&cell) { cell } else { Cell::Float(1.5) }
    }

    /// Returns an order that ends with the key, where the key is shown, and so leaves no ties.
    pub(super) fn order(&mut self, table: usize) -> Term {
        let mut items: Vec<Term> = Vec::new();
        for _ in 0..self.dice.count(0, 2) {
            let item = self.order_item(table, 2);
            let of = format!("{}OrderBy", self.model.tables[table].type_name);
            items.push(self.lift(item, &of, Need::NonNull));
        }
        let is_key = |field: &&Field| matches!(field.binding, Binding::Column { column: 0, .. });
        let key = self.model.tables[table].fields.iter().find(is_key).expect("the key is always shown");
        let direction = Term::Enum((*self.dice.pick(DIRECTIONS)).to_owned());
        let direction = self.lift(direction, "OrderDirection", Need::Given);
        let last = (key.name.clone(), direction);
        if let Some(Term::Object(fields)) = items.last_mut()
            && fields.iter().all(|(name, _)| *name != key.name)
            && self.dice.chance(50)
        {
            fields.push(last);
        } else {
            items.push(Term::Object(vec![last]));
        }
        let single = items.len() == 1 && self.dice.chance(40);
        if single { items.remove(0) } else { Term::List(items) }
    }

    /// Returns an order that may leave ties.
    pub(super) fn loose_order(&mut self, table: usize) -> Term {
        Term::List((0..self.dice.count(0, 2)).map(|_| self.order_item(table, 2)).collect())
    }

    fn order_item(&mut self, table: usize, levels: usize) -> Term {
        let mut fields: Vec<(String, Term)> = Vec::new();
        let least = usize::from(!self.dice.chance(5));
        for _ in 0..self.dice.count(least, 2) {
            let found = &self.model.tables[table];
            let field = self.dice.pick(&found.fields);
            if fields.iter().any(|(known, _)| *known == field.name) {
                continue;
            }
            let value = match &field.binding {
                Binding::Column { column, .. } if found.columns[*column].kind != Kind::TextList => {
                    let direction = Term::Enum((*self.dice.pick(DIRECTIONS)).to_owned());
                    self.lift(direction, "OrderDirection", Need::Optional)
                }
                Binding::ToOne(way) if levels > 0 => {
                    let item = self.order_item(way.target, levels - 1);
                    let of = format!("{}OrderBy", self.model.tables[way.target].type_name);
                    self.lift(item, &of, Need::Optional)
                }
                _ => continue,
            };
            fields.push((field.name.clone(), value));
        }
        Term::Object(fields)
    }
}
