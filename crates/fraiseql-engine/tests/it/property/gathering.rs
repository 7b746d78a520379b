//! Random aggregates, groups and pages: what stands beside a list.

use super::asking::{Asker, Need};
use super::document::{Asked, Selection, Term};
use super::filtering::{DIRECTIONS, ORDER};
use super::model::{Binding, Cell, Kind, Table};

/// A field that reads a column.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) column: usize,
    pub(super) kind: Kind,
    pub(super) id: bool,
}

/// Returns the fields by which rows can be grouped.
pub(super) fn keys(table: &Table) -> Vec<Shown> {
    // The values of an enum cannot be called so.
    let nameable = |shown: &Shown| !matches!(shown.name.as_str(), "true" | "false" | "null");
    shown(table).into_iter().filter(|shown| shown.kind != Kind::TextList && nameable(shown)).collect()
}

/// Returns the fields of which there is a sum, and the same sum whatever the order of the rows.
fn numbers(table: &Table) -> Vec<Shown> {
    let exact = |shown: &Shown| {
        let small = |row: &Vec<Cell>| match row[shown.column] {
            Cell::Float(value) => value.abs() <= 3.0 && value.abs() >= 0.125 || value == 0.0,
            _ => true,
        };
        shown.kind != Kind::Float || table.rows.iter().all(small)
    };
    let number = |kind| matches!(kind, Kind::Int | Kind::BigInt | Kind::Decimal | Kind::Float);
    shown(table).into_iter().filter(|shown| number(shown.kind) && !shown.id && exact(shown)).collect()
}

/// Returns the fields of which there is a least and a greatest value.
fn extremes(table: &Table) -> Vec<Shown> {
    let ordered = |shown: &Shown| !matches!(shown.kind, Kind::TextList | Kind::Boolean);
    shown(table).into_iter().filter(ordered).collect()
}

fn shown(table: &Table) -> Vec<Shown> {
    let column = |field: &super::model::Field| match field.binding {
        Binding::Column { column, id } => {
            Some(Shown { name: field.name.clone(), column, kind: table.columns[column].kind, id })
        }
        _ => None,
    };
    table.fields.iter().filter_map(column).collect()
}

impl Asker<'_> {
    /// Returns a field beside the list of this name, under a key that nothing else has.
    pub(super) fn sibling(&mut self, list: &str, table: usize, levels: usize) -> Asked {
        let no_keys = keys(&self.model.tables[table]).is_empty();
        let (suffix, arguments, selections) = match self.dice.count(0, 2) {
            0 => ("Aggregate", self.filter_argument(table), self.aggregate(table)),
            1 if !no_keys => self.groups(table),
            _ => self.connection(table, levels),
        };
        let mut asked = self.bare(&format!("{list}{suffix}"), arguments, selections);
        asked.alias = Some(self.new_name("g"));
        asked
    }

    /// Returns columns to tell rows apart by, as a list of an enum.
    pub(super) fn columns(&mut self, table: usize) -> Option<Term> {
        let mut keys = keys(&self.model.tables[table]);
        self.dice.shuffle(&mut keys);
        let wanted = 1 + usize::from(self.dice.chance(40));
        let mut columns: Vec<Shown> = Vec::new();
        for key in keys {
            if columns.len() < wanted && columns.iter().all(|known| known.column != key.column) {
                columns.push(key);
            }
        }
        (!columns.is_empty())
            .then(|| Term::List(columns.into_iter().map(|column| Term::Enum(column.name)).collect()))
    }

    fn bare(&mut self, name: &str, arguments: Vec<(String, Term)>, selections: Vec<Selection>) -> Asked {
        self.fields += 1;
        let alias = self.dice.chance(15).then(|| self.new_name("m"));
        Asked { alias, name: name.to_owned(), arguments, directives: self.directives(), selections }
    }

    fn field(&mut self, name: &str, selections: Vec<Selection>) -> Selection {
        Selection::Field(self.bare(name, Vec::new(), selections))
    }

    fn filter_argument(&mut self, table: usize) -> Vec<(String, Term)> {
        if self.dice.chance(50) {
            return Vec::new();
        }
        let filter = self.filter(table, 1);
        let of = format!("{}Filter", self.model.tables[table].type_name);
        vec![("where".to_owned(), self.lift(filter, &of, Need::Optional))]
    }

    fn aggregate(&mut self, table: usize) -> Vec<Selection> {
        let mut selections = Vec::new();
        for _ in 0..self.dice.count(1, 4) {
            let found = &self.model.tables[table];
            let (name, members) = match self.dice.count(0, 6) {
                0 => ("count", Vec::new()),
                1 => {
                    selections.push(self.count_distinct(table));
                    continue;
                }
                2 => ("sum", numbers(found)),
                3 => ("avg", numbers(found)),
                4 => ("min", extremes(found)),
                5 => ("max", extremes(found)),
                _ => ("__typename", Vec::new()),
            };
            if members.is_empty() && !matches!(name, "count" | "__typename") {
                continue;
            }
            let below = self.some_of(&members);
            selections.push(self.renamed(name, below));
        }
        if selections.is_empty() {
            selections.push(self.field("count", Vec::new()));
        }
        selections
    }

    /// Returns a field under a key of its own: the same field may be there with other selections.
    fn renamed(&mut self, name: &str, selections: Vec<Selection>) -> Selection {
        let mut asked = self.bare(name, Vec::new(), selections);
        asked.alias = Some(self.new_name("m"));
        Selection::Field(asked)
    }

    fn count_distinct(&mut self, table: usize) -> Selection {
        let columns = self.columns(table);
        let mut asked = self.bare("count", Vec::new(), Vec::new());
        asked.alias = Some(self.new_name("m"));
        if let Some(columns) = columns {
            let of = format!("[{}Column!]", self.model.tables[table].type_name);
            asked.arguments.push(("distinct".to_owned(), self.lift(columns, &of, Need::Given)));
        }
        Selection::Field(asked)
    }

    fn some_of(&mut self, members: &[Shown]) -> Vec<Selection> {
        let mut selections = Vec::new();
        for _ in 0..members.len().min(self.dice.count(1, 3)) {
            let name = self.dice.pick(members).name.clone();
            selections.push(self.renamed(&name, Vec::new()));
        }
        selections
    }

    fn groups(&mut self, table: usize) -> (&'static str, Vec<(String, Term)>, Vec<Selection>) {
        let mut arguments = self.filter_argument(table);
        let type_name = self.model.tables[table].type_name.clone();
        let by = self.columns(table).expect("there are keys");
        let Term::List(names) = &by else { unreachable!("columns are a list") };
        let names = names.clone();
        arguments.push(("by".to_owned(), self.lift(by, &format!("[{type_name}Column!]"), Need::NonNull)));
        if self.dice.chance(40) {
            let having = self.having(table, 1);
            arguments.push((
                "having".to_owned(),
                self.lift(having, &format!("{type_name}Having"), Need::Optional),
            ));
        }
        if self.dice.chance(50) {
            let order = (0..self.dice.count(1, 2)).map(|_| self.group_order(table, &names)).collect();
            let of = format!("[{type_name}GroupOrderBy!]");
            arguments.push(("orderBy".to_owned(), self.lift(Term::List(order), &of, Need::Given)));
        }
        for (name, most) in [("limit", 4), ("offset", 2)] {
            if self.dice.chance(25) {
                let count = Term::Number(self.dice.between(0, most).to_string());
                arguments.push((name.to_owned(), self.lift(count, "Int", Need::Particular)));
            }
        }
        self.dice.shuffle(&mut arguments);
        let mut selections = self.aggregate(table);
        let below = self.some_of(&keys(&self.model.tables[table]));
        selections.push(self.renamed("key", below));
        ("Groups", arguments, selections)
    }

    fn having(&mut self, table: usize, levels: usize) -> Term {
        let found = &self.model.tables[table];
        let (numbers, extremes) = (numbers(found), extremes(found));
        let (name, value) = match self.dice.count(0, 5) {
            0 if levels > 0 => ("_not", self.having(table, levels - 1)),
            1 if levels > 0 => {
                let parts = (0..self.dice.count(0, 3)).map(|_| self.having(table, levels - 1)).collect();
                (*self.dice.pick(&["_and", "_or"]), Term::List(parts))
            }
            2 | 3 if !extremes.is_empty() => {
                let shown = self.dice.pick(&extremes).clone();
                let operator = *self.dice.pick(ORDER);
                let operand = self.condition(table, shown.column, shown.id, operator);
                let condition = Term::Object(vec![(operator.to_owned(), operand)]);
                let name = *self.dice.pick(&["min", "max"]);
                (name, Term::Object(vec![(shown.name, condition)]))
            }
            4 if !numbers.is_empty() => {
                let shown = self.dice.pick(&numbers).clone();
                let operand = Term::Number(self.dice.between(-9, 30).to_string());
                ("sum", Term::Object(vec![(shown.name, Term::Object(vec![(self.comparison(), operand)]))]))
            }
            _ => {
                let operand = Term::Number(self.dice.between(0, 4).to_string());
                let operand = self.lift(operand, "Int", Need::Optional);
                ("count", Term::Object(vec![(self.comparison(), operand)]))
            }
        };
        Term::Object(vec![(name.to_owned(), value)])
    }

    fn comparison(&mut self) -> String {
        (*self.dice.pick(&["eq", "neq", "gt", "gte", "lt", "lte"])).to_owned()
    }

    fn group_order(&mut self, table: usize, by: &[Term]) -> Term {
        let direction = Term::Enum((*self.dice.pick(DIRECTIONS)).to_owned());
        let found = &self.model.tables[table];
        let (name, members) = match self.dice.count(0, 4) {
            0 => ("sum", numbers(found)),
            1 => ("min", extremes(found)),
            2 => ("max", extremes(found)),
            3 => {
                let Term::Enum(name) = self.dice.pick(by).clone() else { unreachable!("columns are named") };
                let key = Term::Object(vec![(name, direction)]);
                return Term::Object(vec![("key".to_owned(), key)]);
            }
            _ => ("count", Vec::new()),
        };
        if members.is_empty() {
            return Term::Object(vec![("count".to_owned(), direction)]);
        }
        let field = self.dice.pick(&members).name.clone();
        Term::Object(vec![(name.to_owned(), Term::Object(vec![(field, direction)]))])
    }

    fn connection(
        &mut self,
        table: usize,
        levels: usize,
    ) -> (&'static str, Vec<(String, Term)>, Vec<Selection>) {
        let mut arguments = self.filter_argument(table);
        if self.dice.chance(60) {
            let order = self.loose_order(table);
            let of = format!("[{}OrderBy!]", self.model.tables[table].type_name);
            arguments.push(("orderBy".to_owned(), self.lift(order, &of, Need::Given)));
        }
        if self.dice.chance(70) {
            let size = Term::Number(self.dice.between(0, 6).to_string());
            let name = *self.dice.pick(&["first", "last"]);
            arguments.push((name.to_owned(), self.lift(size, "Int", Need::Given)));
        }
        let mut selections = Vec::new();
        for _ in 0..self.dice.count(1, 3) {
            let (name, below) = match self.dice.count(0, 5) {
                0 => ("totalCount", Vec::new()),
                1 => ("aggregate", self.aggregate(table)),
                2 => {
                    let names = ["hasNextPage", "hasPreviousPage", "__typename"];
                    ("pageInfo", names.map(|name| self.field(name, Vec::new())).into())
                }
                3 => ("nodes", self.node(table, levels)),
                4 => {
                    let node = self.node(table, levels);
                    ("edges", vec![self.field("node", node)])
                }
                _ => ("__typename", Vec::new()),
            };
            selections.push(self.renamed(name, below));
        }
        ("Connection", arguments, selections)
    }

    fn node(&mut self, table: usize, levels: usize) -> Vec<Selection> {
        self.selections(table, levels.saturating_sub(1).max(1), &mut super::asking::Merged::default())
    }
}
