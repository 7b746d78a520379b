//! Random tables, rows and schemas. Whatever comes out must compile without an error.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::model::{
    Binding, Cell, Column, Field, ForeignKey, Kind, Lookup, Model, Table, Way, graphql_string,
};
use super::values;

/// Names of tables and their types.
const TABLES: &[(&str, &str)] = &[
    ("order", "Order"),
    ("user", "User"),
    ("select", "Select"),
    ("group", "Group"),
    ("Mixed Case", "MixedCase"),
    ("naïve", "Naive"),
    ("a\"b", "Quoted"),
    ("semi;--", "Semi"),
    ("camelCase", "camelCase"),
    ("table", "Table"),
    ("t", "T"),
    ("where", "Where"),
    ("it's", "_It"),
    ("back\\slash", "Back"),
    ("0", "Zero"),
];
const LISTS: &[&str] = &[
    "orders", "where", "limit", "on", "query", "fragment", "type", "select", "true", "null", "_rows", "a",
    "B", "from",
];
/// Fields that read the column of their name in snake case.
const FIELDS: &[(&str, &str)] = &[
    ("id", "id"),
    ("firstName", "first_name"),
    ("userID", "user_id"),
    ("HTTPServer", "http_server"),
    ("address2Line", "address2_line"),
    ("orderBy", "order_by"),
    ("from", "from"),
    ("where", "where"),
    ("order", "order"),
    ("limit", "limit"),
    ("offset", "offset"),
    ("select", "select"),
    ("and", "and"),
    ("or", "or"),
    ("not", "not"),
    ("null", "null"),
    ("true", "true"),
    ("type", "type"),
    ("on", "on"),
    ("_x", "_x"),
    ("a", "a"),
    ("e", "e"),
    ("j", "j"),
    ("o", "o"),
    ("k", "k"),
    ("p", "p"),
    ("v", "v"),
    ("name", "name"),
    ("some", "some"),
    ("every", "every"),
    ("eq", "eq"),
    ("isnull", "isnull"),
    ("user", "user"),
    ("default", "default"),
    ("case", "case"),
    ("end", "end"),
    ("all", "all"),
];
/// Columns that no field is called after.
const COLUMNS: &[&str] = &[
    "Weird Name",
    "UPPER",
    "quo\"te",
    "back\\slash",
    "naïve",
    "%s",
    "$1",
    "0",
    "0r",
    "0j",
    "fieldName",
    "semi;",
    "it's",
    "#",
    "?",
    "a.b",
    "order by",
];
const TABLES_MAX: usize = 6;
const ROWS_MAX: usize = 30;
/// How many rows a made-up reference may lead to: deep operations multiply it.
const FAN_OUT_MAX: usize = 6;

/// Returns a random database.
pub(super) fn model(dice: &mut Dice) -> Model {
    let mut names = TABLES.to_vec();
    let mut lists = LISTS.to_vec();
    dice.shuffle(&mut names);
    dice.shuffle(&mut lists);
    let count = dice.count(2, TABLES_MAX);
    let mut drafts: Vec<Draft> =
        (0..count).map(|index| Draft::new(dice, names[index], lists[index])).collect();
    for index in 0..count {
        let keys = dice.count(0, 3);
        for _ in 0..keys {
            let target = dice.count(0, count - 1);
            add_foreign_key(dice, &mut drafts, index, target);
        }
    }
    let key_cells: Vec<Vec<Cell>> = drafts.iter().map(|draft| draft.key_cells.clone()).collect();
    for draft in &mut drafts {
        draft.fill(dice, &key_cells);
        draft.add_column_fields(dice);
    }
    add_reference_fields(dice, &mut drafts);
    add_made_up_references(dice, &mut drafts);
    for draft in &mut drafts {
        draft.finish(dice);
    }
    Model { tables: drafts.into_iter().map(|draft| draft.table).collect() }
}

/// A table in the making, with the names that are taken.
struct Draft {
    table: Table,
    key_cells: Vec<Cell>,
    taken_fields: BTreeSet<String>,
    taken_columns: BTreeSet<String>,
    /// The field that each column shall get, with its directive.
    wanted: Vec<(String, String)>,
}

impl Draft {
    fn new(dice: &mut Dice, (name, type_name): (&str, &str), list: &str) -> Self {
        let table = Table {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            list: list.to_owned(),
            lookups: Vec::new(),
            columns: Vec::new(),
            foreign_keys: Vec::new(),
            fields: Vec::new(),
            rows: Vec::new(),
            rules: String::new(),
        };
        let mut draft = Self {
            table,
            key_cells: Vec::new(),
            taken_fields: BTreeSet::new(),
            taken_columns: BTreeSet::new(),
            wanted: Vec::new(),
        };
        let key = *dice.pick(&[Kind::Int, Kind::Int, Kind::BigInt]);
        draft.add_column(dice, key, false, false);
        let kinds = [
            Kind::Int,
            Kind::BigInt,
            Kind::Text,
            Kind::Text,
            Kind::Boolean,
            Kind::Decimal,
            Kind::Float,
            Kind::Date,
            Kind::TextList,
        ];
        for _ in 0..dice.count(1, 6) {
            let kind = *dice.pick(&kinds);
            let unique = kind == Kind::Text && dice.chance(25);
            let nullable = !unique && dice.chance(60);
            draft.add_column(dice, kind, nullable, unique);
        }
        let rows = if dice.chance(8) { 0 } else { dice.count(1, ROWS_MAX) };
        let mut keys = BTreeSet::new();
        while keys.len() < rows {
            keys.insert(values::key(dice, key));
        }
        draft.key_cells = keys.into_iter().map(Cell::Int).collect();
        dice.shuffle(&mut draft.key_cells);
        draft
    }

    fn add_column(&mut self, dice: &mut Dice, kind: Kind, nullable: bool, unique: bool) -> usize {
        let (mut field, mut column) = self.field_name(dice);
        let mut directive = String::new();
        if dice.chance(25) || self.taken_columns.contains(&column) {
            column = (*dice.pick(COLUMNS)).to_owned();
            while self.taken_columns.contains(&column) {
                column.push('x');
            }
            directive = format!(" @column(name: {})", graphql_string(&column));
        }
        let long = format!("{field}_{}", "long".repeat(16));
        // Longer than an identifier of PostgreSQL.
        if dice.chance(5) && self.taken_fields.insert(long.clone()) {
            field = long;
            directive = format!(" @column(name: {})", graphql_string(&column));
        }
        self.taken_columns.insert(column.clone());
        self.wanted.push((field, directive));
        self.table.columns.push(Column { name: column, kind, nullable, unique });
        self.table.columns.len() - 1
    }

    /// Returns a field's name that is not taken, and the column it reads by default.
    fn field_name(&mut self, dice: &mut Dice) -> (String, String) {
        let (field, column) = *dice.pick(FIELDS);
        let (mut field, mut column) = (field.to_owned(), column.to_owned());
        while !self.taken_fields.insert(field.clone()) {
            field.push('2');
            column.push('2');
        }
        (field, column)
    }

    fn fill(&mut self, dice: &mut Dice, keys: &[Vec<Cell>]) {
        let pools: Vec<Vec<Cell>> = self
            .table
            .columns
            .iter()
            .map(|column| values::pool(dice, column.kind, column.nullable))
            .collect();
        for (number, key) in self.key_cells.iter().enumerate() {
            let mut row = vec![key.clone()];
            for (index, column) in self.table.columns.iter().enumerate().skip(1) {
                let targets = self
                    .table
                    .foreign_keys
                    .iter()
                    .find(|key| key.column == index)
                    .map(|key| &keys[key.target]);
                let cell = match targets {
                    Some(targets) if column.unique => targets.get(number).cloned().unwrap_or(Cell::Null),
                    Some(targets) if !targets.is_empty() => dice.pick(targets).clone(),
                    Some(_) => Cell::Null,
                    None if column.unique => values::numbered_text(dice, number),
                    None => dice.pick(&pools[index]).clone(),
                };
                let null = column.nullable && dice.chance(20);
                row.push(if null { Cell::Null } else { cell });
            }
            self.table.rows.push(row);
        }
    }

    fn add_column_fields(&mut self, dice: &mut Dice) {
        for (index, (name, directive)) in std::mem::take(&mut self.wanted).into_iter().enumerate() {
            let column = &self.table.columns[index];
            let is_foreign = self.table.foreign_keys.iter().any(|key| key.column == index);
            if is_foreign && dice.chance(30) {
                continue;
            }
            let can_be_id = matches!(column.kind, Kind::Int | Kind::BigInt | Kind::Text);
            let id = can_be_id && dice.chance(if index == 0 { 40 } else { 10 });
            let (mut non_null, mut directives) = (!column.nullable && dice.chance(80), directive);
            let shown_as_null = |cell: &Cell| match cell {
                Cell::Float(value) => !value.is_finite(),
                other => other.is_null(),
            };
            if column.nullable
                && dice.chance(30)
                && !self.table.rows.iter().any(|row| shown_as_null(&row[index]))
            {
                non_null = true;
                directives.push_str(" @neverNull");
            }
            let again = dice.chance(12).then(|| self.column_again(dice, index, id));
            let binding = Binding::Column { column: index, id };
            self.table.fields.push(Field { name, non_null, directives, binding });
            self.table.fields.extend(again);
        }
    }

    /// Returns a second field of the same column.
    fn column_again(&mut self, dice: &mut Dice, column: usize, id: bool) -> Field {
        let (name, _) = self.field_name(dice);
        let directives = format!(" @column(name: {})", graphql_string(&self.table.columns[column].name));
        Field { name, non_null: false, directives, binding: Binding::Column { column, id } }
    }

    fn finish(&mut self, dice: &mut Dice) {
        let table = &mut self.table;
        dice.shuffle(&mut table.fields);
        for (index, field) in table.fields.iter().enumerate() {
            let Binding::Column { column, .. } = field.binding else { continue };
            let is_key = column == 0 || (table.columns[column].unique && !table.columns[column].nullable);
            if is_key && dice.chance(85) {
                let name = format!("{}_by_{}", table.list, field.name);
                table.lookups.push(Lookup { name, field: index });
            }
        }
    }
}

fn add_foreign_key(dice: &mut Dice, drafts: &mut [Draft], from: usize, target: usize) {
    let kind = drafts[target].table.columns[0].kind;
    let unique = dice.chance(15);
    let empty = drafts[target].key_cells.is_empty();
    let nullable = unique || empty || dice.chance(50);
    let column = drafts[from].add_column(dice, kind, nullable, unique);
    drafts[from].table.foreign_keys.push(ForeignKey { column, target });
}

/// Adds the fields that follow foreign keys, in both directions.
fn add_reference_fields(dice: &mut Dice, drafts: &mut [Draft]) {
    let keys: Vec<(usize, ForeignKey)> = drafts
        .iter()
        .enumerate()
        .flat_map(|(from, draft)| draft.table.foreign_keys.iter().map(move |key| (from, key.clone())))
        .collect();
    for (from, key) in &keys {
        let pair = |from: usize, target: usize| (from.min(target), from.max(target));
        let same = |(other, other_key): &&(usize, ForeignKey)| {
            pair(*other, other_key.target) == pair(*from, key.target)
        };
        let only = keys.iter().filter(same).count() == 1;
        let unique = drafts[*from].table.columns[key.column].unique;
        let silent = only && !unique && dice.chance(60);
        if dice.chance(85) {
            let way = Way { target: key.target, local: key.column, remote: 0 };
            let proven = !drafts[*from].table.columns[key.column].nullable;
            add_to_one(dice, drafts, *from, way, silent, proven);
        }
        if dice.chance(85) {
            let way = Way { target: *from, local: 0, remote: key.column };
            if unique {
                add_to_one(dice, drafts, key.target, way, false, false);
            } else {
                add_to_many(dice, drafts, key.target, way, silent);
            }
        }
    }
}

fn add_to_one(dice: &mut Dice, drafts: &mut [Draft], from: usize, way: Way, silent: bool, proven: bool) {
    let (rows, targets) = (&drafts[from].table.rows, &drafts[way.target].table.rows);
    let found = |row: &Vec<Cell>| targets.iter().any(|target| target[way.remote] == row[way.local]);
    let trusted = !proven && rows.iter().all(found) && dice.chance(40);
    let non_null = trusted || (proven && dice.chance(60));
    let mut directives = reference_directive(drafts, from, &way, silent);
    directives.push_str(if trusted { " @neverNull" } else { "" });
    let (name, _) = drafts[from].field_name(dice);
    drafts[from].table.fields.push(Field { name, non_null, directives, binding: Binding::ToOne(way) });
}

fn add_to_many(dice: &mut Dice, drafts: &mut [Draft], from: usize, way: Way, silent: bool) {
    let directives = reference_directive(drafts, from, &way, silent);
    let (name, _) = drafts[from].field_name(dice);
    drafts[from].table.fields.push(Field { name, non_null: true, directives, binding: Binding::ToMany(way) });
}

fn reference_directive(drafts: &[Draft], from: usize, way: &Way, silent: bool) -> String {
    if silent {
        return String::new();
    }
    let name = |table: usize, column: usize| graphql_string(&drafts[table].table.columns[column].name);
    format!(" @reference(columns: [{}], target: [{}])", name(from, way.local), name(way.target, way.remote))
}

/// Adds fields that follow equal values where there is no foreign key; they may lead nowhere.
fn add_made_up_references(dice: &mut Dice, drafts: &mut [Draft]) {
    for _ in 0..dice.count(0, 4) {
        let (from, target) = (dice.count(0, drafts.len() - 1), dice.count(0, drafts.len() - 1));
        let local = dice.count(0, drafts[from].table.columns.len() - 1);
        let remote = if dice.chance(50) { 0 } else { dice.count(0, drafts[target].table.columns.len() - 1) };
        let kind = drafts[from].table.columns[local].kind;
        let fits = matches!(kind, Kind::Int | Kind::BigInt | Kind::Text | Kind::Date);
        let way = Way { target, local, remote };
        if !fits || kind != drafts[target].table.columns[remote].kind || (from == target && local == remote) {
            continue;
        }
        let is_foreign =
            drafts[from].table.foreign_keys.iter().any(|key| key.column == local && key.target == target);
        if remote == 0 && !is_foreign && dice.chance(70) {
            add_to_one(dice, drafts, from, way, false, false);
        } else if fan_out(drafts, from, &way) <= FAN_OUT_MAX {
            add_to_many(dice, drafts, from, way, false);
        }
    }
}

fn fan_out(drafts: &[Draft], from: usize, way: &Way) -> usize {
    let targets = &drafts[way.target].table.rows;
    let matches =
        |row: &Vec<Cell>| targets.iter().filter(|target| target[way.remote] == row[way.local]).count();
    drafts[from].table.rows.iter().map(matches).max().unwrap_or(0)
}
