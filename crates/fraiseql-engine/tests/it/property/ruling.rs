//! Random row rules, as directives and as a naive reference evaluates them.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use fraiseql_model::identity::Identity;
use serde_json::{Map, Value};

use super::answering::compare;
use super::conditions::{all, any};
use super::dice::Dice;
use super::model::{Binding, Cell, Kind, Model, Table, Way, decimal_text, graphql_string};

const ROLES: [&str; 3] = ["reader", "clerk", "boss"];
const OPERATORS: [&str; 6] = ["eq", "neq", "lt", "lte", "gt", "gte"];

/// A condition on rows.
enum Rule {
    All(Vec<Rule>),
    Any(Vec<Rule>),
    Not(Box<Rule>),
    IsNull(Column, bool),
    Compare(Column, &'static str, Operand),
    Among(Column, bool, Operand),
    Exists(String, Way, Box<Rule>),
}

struct Column {
    index: usize,
    name: String,
}

/// What the author wrote, or the name of a claim with what the caller has.
enum Operand {
    Written(Vec<Cell>),
    Claim(String, Option<Vec<Cell>>),
}

/// A caller, and the database as that caller may see it.
pub(super) struct Ruled {
    pub(super) caller: Identity,
    pub(super) visible: Model,
    /// How many rows are hidden.
    pub(super) hidden: usize,
}

/// Puts rules on some tables of a model, and returns who asks and what is left for them.
pub(super) fn rule(dice: &mut Dice, model: &mut Model) -> Ruled {
    let mut author = Author { claims: Map::new() };
    let mut held: BTreeSet<&str> = ROLES.iter().copied().filter(|_| dice.chance(40)).collect();
    held.insert(*dice.pick::<&str>(&ROLES));
    let mut rules: Vec<Option<Vec<Rule>>> = Vec::with_capacity(model.tables.len());
    let mut directives: Vec<String> = Vec::with_capacity(model.tables.len());
    for table in 0..model.tables.len() {
        let mut text = String::new();
        let mut mine = Vec::new();
        for _ in 0..if dice.chance(70) { dice.count(1, 3) } else { 0 } {
            let role = *dice.pick(&ROLES);
            let rule = author.rule(dice, model, table, 3);
            text.push_str(&format!(" @auth(roles: [\"{role}\"], rows: {})", rule.text()));
            if held.contains(role) {
                mine.push(rule);
            }
        }
        if !text.is_empty() && mine.is_empty() {
            // Somebody who held none of them could not name the type.
            let role = held.first().expect("a role is held");
            let rule = author.rule(dice, model, table, 3);
            text.push_str(&format!(" @auth(roles: [\"{role}\"], rows: {})", rule.text()));
            mine.push(rule);
        }
        rules.push((!text.is_empty()).then_some(mine));
        directives.push(text);
    }
    let mut visible = model.clone();
    let mut hidden = 0;
    for (table, rules) in rules.iter().enumerate() {
        let Some(rules) = rules else { continue };
        let rows = &mut visible.tables[table].rows;
        let before = rows.len();
        rows.retain(|row| rules.iter().any(|rule| rule.holds(model, row) == Some(true)));
        hidden += before - rows.len();
    }
    for (table, directives) in directives.into_iter().enumerate() {
        for field in &mut visible.tables[table].fields {
            if let Binding::ToOne(way) = &field.binding
                && rules[way.target].is_some()
            {
                field.non_null = false;
            }
        }
        model.tables[table].rules = directives;
    }
    let roles = held.into_iter().map(str::to_owned).collect();
    let caller = Identity { roles, claims: author.claims, ..Identity::default() };
    Ruled { caller, visible, hidden }
}

struct Author {
    claims: Map<String, Value>,
}

impl Author {
    fn rule(&mut self, dice: &mut Dice, model: &Model, table: usize, levels: usize) -> Rule {
        let several = |author: &mut Self, dice: &mut Dice| {
            (0..dice.count(0, 3)).map(|_| author.rule(dice, model, table, levels - 1)).collect()
        };
        match if levels == 0 { 9 } else { dice.count(0, 9) } {
            0 => Rule::All(several(self, dice)),
            1 | 2 => Rule::Any(several(self, dice)),
            3 => Rule::Not(Box::new(self.rule(dice, model, table, levels - 1))),
            4..=6 => match way(dice, &model.tables[table]) {
                Some((field, way)) => {
                    let inner = self.rule(dice, model, way.target, levels - 1);
                    Rule::Exists(field, way, Box::new(inner))
                }
                None => self.condition(dice, &model.tables[table]),
            },
            _ => self.condition(dice, &model.tables[table]),
        }
    }

    fn condition(&mut self, dice: &mut Dice, table: &Table) -> Rule {
        let columns = columns(table);
        if columns.is_empty() {
            return Rule::All(Vec::new());
        }
        let at = dice.count(0, columns.len() - 1);
        let column = columns.into_iter().nth(at).expect("it was counted");
        let kind = table.columns[column.index].kind;
        let cell = |dice: &mut Dice| {
            let rows = table.rows.iter().map(|row| &row[column.index]).filter(|cell| !cell.is_null());
            let cells: Vec<&Cell> = rows.collect();
            if cells.is_empty() || dice.chance(20) {
                super::values::cell(dice, kind)
            } else {
                (*dice.pick(&cells)).clone()
            }
        };
        match dice.count(0, 5) {
            0 => Rule::IsNull(column, dice.chance(50)),
            1 => {
                let cells = (0..dice.count(0, 4)).map(|_| cell(dice)).collect();
                let operand = self.operand(dice, cells, true);
                Rule::Among(column, dice.chance(40), operand)
            }
            _ => {
                let cells = vec![cell(dice)];
                let operand = self.operand(dice, cells, false);
                Rule::Compare(column, dice.pick::<&str>(&OPERATORS), operand)
            }
        }
    }

    fn operand(&mut self, dice: &mut Dice, cells: Vec<Cell>, list: bool) -> Operand {
        if dice.chance(40) {
            return Operand::Written(cells);
        }
        let name = format!("c{}", self.claims.len());
        let missing = dice.chance(15);
        let values: Vec<Value> = cells.iter().map(json).collect();
        let value = match (missing, list) {
            (true, _) => Value::Null,
            (false, true) => Value::Array(values),
            (false, false) => values.into_iter().next().expect("one value"),
        };
        self.claims.insert(name.clone(), value);
        Operand::Claim(name, (!missing).then_some(cells))
    }
}

impl Rule {
    fn text(&self) -> String {
        let list = |word: &str, parts: &[Rule]| {
            let parts: Vec<String> = parts.iter().map(Self::text).collect();
            format!("{{{word}: [{}]}}", parts.join(", "))
        };
        match self {
            Self::All(parts) => list("_and", parts),
            Self::Any(parts) => list("_or", parts),
            Self::Not(inner) => format!("{{_not: {}}}", inner.text()),
            Self::IsNull(column, null) => format!("{{{}: {{isnull: {null}}}}}", column.name),
            Self::Compare(column, operator, operand) => {
                format!("{{{}: {{{operator}: {}}}}}", column.name, operand.text(false))
            }
            Self::Among(column, none, operand) => {
                let operator = if *none { "nin" } else { "in" };
                format!("{{{}: {{{operator}: {}}}}}", column.name, operand.text(true))
            }
            Self::Exists(field, _, inner) => format!("{{{field}: {}}}", inner.text()),
        }
    }

    /// Returns whether a row fulfils it; `None` where that is unknown.
    fn holds(&self, model: &Model, row: &[Cell]) -> Option<bool> {
        match self {
            Self::All(parts) => all(parts.iter().map(|part| part.holds(model, row))),
            Self::Any(parts) => any(parts.iter().map(|part| part.holds(model, row))),
            Self::Not(inner) => {
                let known = inner.existence_is_known().then_some(true).or(Some(false));
                all([inner.holds(model, row).map(|holds| !holds), known])
            }
            Self::IsNull(column, null) => Some(row[column.index].is_null() == *null),
            Self::Compare(column, operator, operand) => {
                let right = operand.cells()?.first()?;
                let left = &row[column.index];
                (!left.is_null()).then(|| {
                    let order = compare(left, right);
                    match *operator {
                        "eq" => order == Ordering::Equal,
                        "neq" => order != Ordering::Equal,
                        "lt" => order == Ordering::Less,
                        "lte" => order != Ordering::Greater,
                        "gt" => order == Ordering::Greater,
                        _ => order != Ordering::Less,
                    }
                })
            }
            Self::Among(column, none, operand) => {
                let cells = operand.cells()?;
                let left = &row[column.index];
                if cells.is_empty() {
                    return Some(*none);
                }
                let found = || cells.iter().any(|cell| compare(left, cell) == Ordering::Equal);
                (!left.is_null()).then(|| found() != *none)
            }
            Self::Exists(_, way, inner) => {
                let local = &row[way.local];
                let related = |other: &&Vec<Cell>| {
                    let remote = &other[way.remote];
                    !local.is_null() && !remote.is_null() && compare(local, remote) == Ordering::Equal
                };
                let mut rows = model.tables[way.target].rows.iter().filter(related);
                Some(rows.any(|other| inner.holds(model, other) == Some(true)))
            }
        }
    }

    /// False when another row is looked for by a claim that the caller does not have.
    fn existence_is_known(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::existence_is_known),
            Self::Not(inner) => inner.existence_is_known(),
            Self::Exists(_, _, inner) => inner.claims_are_known(),
            Self::IsNull(..) | Self::Compare(..) | Self::Among(..) => true,
        }
    }

    fn claims_are_known(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::claims_are_known),
            Self::Not(inner) | Self::Exists(_, _, inner) => inner.claims_are_known(),
            Self::Compare(_, _, operand) | Self::Among(_, _, operand) => operand.cells().is_some(),
            Self::IsNull(..) => true,
        }
    }
}

impl Operand {
    /// What a column is compared with; `None` where the caller has no such claim.
    fn cells(&self) -> Option<&[Cell]> {
        match self {
            Self::Written(cells) => Some(cells),
            Self::Claim(_, cells) => cells.as_deref(),
        }
    }

    fn text(&self, list: bool) -> String {
        let written = |cell: &Cell| match json(cell) {
            Value::String(text) => graphql_string(&text),
            other => other.to_string(),
        };
        match self {
            Self::Written(cells) if list => {
                format!("[{}]", cells.iter().map(written).collect::<Vec<_>>().join(", "))
            }
            Self::Written(cells) => written(&cells[0]),
            Self::Claim(name, _) => format!("{{claim: \"{name}\"}}"),
        }
    }
}

/// Returns the columns that a rule can name: by their own names, or by those of their fields.
fn columns(table: &Table) -> Vec<Column> {
    let named = |index: usize, name: &str| Column { index, name: name.to_owned() };
    let fits = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    let compared = |kind: Kind| !matches!(kind, Kind::Float | Kind::TextList);
    let all = table.columns.iter().enumerate().filter(|(_, column)| compared(column.kind));
    all.filter_map(|(index, column)| {
        if fits(&column.name) {
            return Some(named(index, &column.name));
        }
        let shows = |field: &&super::model::Field| {
            matches!(field.binding, Binding::Column { column, .. } if column == index)
                && !table.columns.iter().any(|other| other.name == field.name)
        };
        table.fields.iter().find(shows).map(|field| named(index, &field.name))
    })
    .collect()
}

/// Returns a field that leads to other rows.
fn way(dice: &mut Dice, table: &Table) -> Option<(String, Way)> {
    let ways: Vec<(String, Way)> = table
        .fields
        .iter()
        .filter(|field| !table.columns.iter().any(|column| column.name == field.name))
        .filter_map(|field| match &field.binding {
            Binding::ToOne(way) | Binding::ToMany(way) => Some((field.name.clone(), way.clone())),
            Binding::Column { .. } => None,
        })
        .collect();
    if ways.is_empty() { None } else { Some(dice.pick(&ways).clone()) }
}

fn json(cell: &Cell) -> Value {
    match cell {
        Cell::Int(value) => Value::from(*value),
        Cell::Text(text) | Cell::Date(text) => Value::from(text.as_str()),
        Cell::Boolean(value) => Value::from(*value),
        Cell::Decimal(value) => Value::from(decimal_text(*value, 6)),
        Cell::Null | Cell::Float(_) | Cell::List(_) => Value::Null,
    }
}
