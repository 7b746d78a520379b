//! Random operations that are valid for a model.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::document::{Asked, Directive, Fragment, Operation, Selection, Term, Variable};
use super::model::{Binding, Cell, Field, Lookup, Model};
use super::values;

const DEPTH_MAX: usize = 4;
/// Fields of an operation, fragments counted once.
const FIELDS_MAX: usize = 60;
const ALIASES: &[&str] =
    &["a", "b", "id", "name", "j", "o", "k", "v", "from", "select", "_", "x0", "X", "type", "null"];

/// Returns a random operation.
pub(super) fn operation(model: &Model, dice: &mut Dice) -> Operation {
    let mut asker = Asker::new(model, dice);
    let selections = asker.root();
    let Asker { variables, fragments, .. } = asker;
    let mut operation = Operation { variables, fragments, selections };
    operation.prune();
    operation
}

/// An operation in the making.
pub(super) struct Asker<'m> {
    pub(super) model: &'m Model,
    pub(super) dice: &'m mut Dice,
    pub(super) variables: Vec<Variable>,
    fragments: Vec<Fragment>,
    /// Fragments that may be spread anywhere: their response keys are nobody else's.
    shared: Vec<(String, usize)>,
    pub(super) fields: usize,
    aliases: usize,
    /// True where no variable may take the place of a value.
    pub(super) literal: bool,
}

/// What is asked of one object, all its selection sets merged: fields of one key must be alike.
#[derive(Default)]
pub(super) struct Merged {
    keys: BTreeMap<String, (Asked, Option<usize>, Merged)>,
    /// Set where every key must be new.
    prefix: Option<String>,
}

/// Whether a position takes null, and so a variable that may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// May be left out.
    Optional,
    /// May be left out, but not every value of the type will do.
    Particular,
    /// May be null for the schema, but the answer would not be determined.
    Given,
    /// Not null.
    NonNull,
}

impl<'m> Asker<'m> {
    pub(super) fn new(model: &'m Model, dice: &'m mut Dice) -> Self {
        let (variables, fragments, shared) = (Vec::new(), Vec::new(), Vec::new());
        Self { model, dice, variables, fragments, shared, fields: 0, aliases: 0, literal: false }
    }
}

impl Asker<'_> {
    fn root(&mut self) -> Vec<Selection> {
        let mut merged = Merged::default();
        let mut selections = Vec::new();
        for _ in 0..self.dice.count(1, 3) {
            let selection = match self.dice.count(0, 19) {
                0 => Selection::Field(self.typename(&mut merged)),
                1 => {
                    let on = self.dice.chance(50).then(|| "Query".to_owned());
                    let field = self.root_field(&mut merged);
                    Selection::Inline {
                        on,
                        directives: self.directives(),
                        selections: vec![Selection::Field(field)],
                    }
                }
                2 => {
                    let field = self.root_field(&mut merged);
                    let name = self.new_name("R");
                    let selections = vec![Selection::Field(field)];
                    self.fragments.push(Fragment { name: name.clone(), on: "Query".to_owned(), selections });
                    Selection::Spread { name, directives: self.directives() }
                }
                3..=5 => match self.repeated(&mut merged, DEPTH_MAX) {
                    Some(field) => Selection::Field(field),
                    None => Selection::Field(self.root_field(&mut merged)),
                },
                _ => Selection::Field(self.root_field(&mut merged)),
            };
            selections.push(selection);
        }
        selections
    }

    fn root_field(&mut self, merged: &mut Merged) -> Asked {
        let table = self.dice.count(0, self.model.tables.len() - 1);
        let found = &self.model.tables[table];
        if self.dice.chance(30) {
            return self.sibling(&found.list, table, DEPTH_MAX);
        }
        let (name, arguments) = if !found.lookups.is_empty() && self.dice.chance(25) {
            let lookup = self.dice.pick(&found.lookups).clone();
            let argument = self.lookup_argument(table, &lookup);
            (lookup.name, vec![argument])
        } else {
            (found.list.clone(), self.list_arguments(table))
        };
        let asked = self.asked(merged, name, arguments);
        self.with_selections(merged, asked, Some(table), DEPTH_MAX)
    }

    fn lookup_argument(&mut self, table: usize, lookup: &Lookup) -> (String, Term) {
        let field = &self.model.tables[table].fields[lookup.field];
        let Binding::Column { column, id } = field.binding else { unreachable!("lookups are by columns") };
        let value = self.operand(table, column, id);
        let of = self.model.tables[table].columns[column].kind.scalar(id);
        (field.name.clone(), self.lift(value, of, Need::NonNull))
    }

    fn list_arguments(&mut self, table: usize) -> Vec<(String, Term)> {
        let type_name = &self.model.tables[table].type_name;
        let mut arguments = Vec::new();
        if self.dice.chance(50) {
            let levels = *self.dice.pick(&[0, 1, 3]);
            let filter = self.filter(table, levels);
            let filter = self.lift(filter, &format!("{type_name}Filter"), Need::Optional);
            arguments.push(("where".to_owned(), filter));
        } else if self.dice.chance(3) {
            arguments.push(("where".to_owned(), Term::Null));
        }
        let limit = self.dice.chance(35);
        let offset = self.dice.chance(25);
        // A page without an order is in the order of the key.
        if !(limit || offset) || self.dice.chance(80) {
            let order = self.order(table);
            let order = self.lift(order, &format!("[{type_name}OrderBy!]"), Need::Given);
            arguments.push(("orderBy".to_owned(), order));
        }
        let ordered = arguments.iter().any(|(name, _)| name == "orderBy");
        if ordered
            && self.dice.chance(12)
            && let Some(columns) = self.columns(table)
        {
            let columns = self.lift(columns, &format!("[{type_name}Column!]"), Need::Given);
            arguments.push(("distinctOn".to_owned(), columns));
        }
        for (name, given, most) in [("limit", limit, 9), ("offset", offset, 5)] {
            if given {
                let count = Term::Number(self.dice.between(0, most).to_string());
                let count = if ordered && self.dice.chance(5) { Term::Null } else { count };
                let need = if ordered { Need::Particular } else { Need::Given };
                arguments.push((name.to_owned(), self.lift(count, "Int", need)));
            }
        }
        self.dice.shuffle(&mut arguments);
        arguments
    }

    /// Returns fields of an object, at least one.
    pub(super) fn selections(&mut self, table: usize, levels: usize, merged: &mut Merged) -> Vec<Selection> {
        let type_name = &self.model.tables[table].type_name;
        let mut selections = Vec::new();
        let most = if self.fields > FIELDS_MAX { 1 } else { 4 };
        for _ in 0..self.dice.count(1, most) {
            let selection = match self.dice.count(0, 99) {
                0..=7 if self.fields < FIELDS_MAX => {
                    let on = self.dice.chance(70).then(|| type_name.clone());
                    let selections = self.selections(table, levels, merged);
                    Selection::Inline { on, directives: self.directives(), selections }
                }
                8..=12 if self.fields < FIELDS_MAX => {
                    let selections = self.selections(table, levels, merged);
                    let name = self.new_name("F");
                    self.fragments.push(Fragment { name: name.clone(), on: type_name.clone(), selections });
                    Selection::Spread { name, directives: self.directives() }
                }
                13..=18 => Selection::Spread {
                    name: self.shared_fragment(table, levels),
                    directives: self.directives(),
                },
                19..=30 => match self.repeated(merged, levels) {
                    Some(field) => Selection::Field(field),
                    None => Selection::Field(self.new_field(table, levels, merged)),
                },
                31..=37 => Selection::Field(self.typename(merged)),
                _ => Selection::Field(self.new_field(table, levels, merged)),
            };
            selections.push(selection);
        }
        selections
    }

    fn shared_fragment(&mut self, table: usize, levels: usize) -> String {
        let known: Vec<String> =
            self.shared.iter().filter(|(_, of)| *of == table).map(|(name, _)| name.clone()).collect();
        if !known.is_empty() && self.dice.chance(70) {
            return self.dice.pick(&known).clone();
        }
        let name = self.new_name("S");
        let mut merged = Merged { prefix: Some(format!("{}_", name.to_lowercase())), ..Merged::default() };
        let selections = self.selections(table, levels.min(2), &mut merged);
        let on = self.model.tables[table].type_name.clone();
        self.fragments.push(Fragment { name: name.clone(), on, selections });
        self.shared.push((name.clone(), table));
        name
    }

    pub(super) fn new_name(&mut self, prefix: &str) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }

    fn typename(&mut self, merged: &mut Merged) -> Asked {
        let asked = self.asked(merged, "__typename".to_owned(), Vec::new());
        self.with_selections(merged, asked, None, 0)
    }

    fn new_field(&mut self, table: usize, levels: usize, merged: &mut Merged) -> Asked {
        let deep = levels > 1 && self.fields < FIELDS_MAX;
        let is_column = |field: &&Field| matches!(field.binding, Binding::Column { .. });
        let fields: Vec<&Field> =
            self.model.tables[table].fields.iter().filter(|field| deep || is_column(field)).collect();
        let Some(field) = (!fields.is_empty()).then(|| *self.dice.pick(&fields)) else {
            return self.typename(merged);
        };
        if let Binding::ToMany(way) = &field.binding
            && self.dice.chance(30)
        {
            return self.sibling(&field.name, way.target, levels);
        }
        let (arguments, below) = match &field.binding {
            Binding::Column { .. } => (Vec::new(), None),
            Binding::ToOne(way) => (Vec::new(), Some(way.target)),
            Binding::ToMany(way) => (self.list_arguments(way.target), Some(way.target)),
        };
        let asked = self.asked(merged, field.name.clone(), arguments);
        self.with_selections(merged, asked, below, levels)
    }

    /// Returns a field under a key that is free, or taken by the very same field.
    fn asked(&mut self, merged: &Merged, name: String, arguments: Vec<(String, Term)>) -> Asked {
        let mut alias = match &merged.prefix {
            Some(prefix) => Some(self.new_name(prefix)),
            None if self.dice.chance(4) => Some(format!("long{}", "_ALIAS".repeat(12))),
            None if self.dice.chance(25) => Some((*self.dice.pick(ALIASES)).to_owned()),
            None => None,
        };
        let key = alias.as_ref().unwrap_or(&name);
        let is_taken = |(taken, _, _): &(Asked, Option<usize>, Merged)| {
            taken.name != name || taken.arguments != arguments
        };
        if merged.keys.get(key).is_some_and(is_taken) {
            alias = Some(self.new_name("fresh"));
        }
        Asked { alias, name, arguments, directives: Vec::new(), selections: Vec::new() }
    }

    fn with_selections(
        &mut self,
        merged: &mut Merged,
        mut asked: Asked,
        below: Option<usize>,
        levels: usize,
    ) -> Asked {
        self.fields += 1;
        let (_, _, inner) = merged
            .keys
            .entry(asked.key().to_owned())
            .or_insert_with(|| (asked.clone(), below, Merged::default()));
        if let Some(table) = below {
            asked.selections = self.selections(table, levels - 1, inner);
        }
        asked.directives = self.directives();
        asked
    }

    /// Returns a field that is there already, with selections of its own.
    fn repeated(&mut self, merged: &mut Merged, levels: usize) -> Option<Asked> {
        let keys: Vec<&String> = merged.keys.keys().collect();
        let key = (!keys.is_empty()).then(|| (*self.dice.pick(&keys)).clone())?;
        let (asked, below, _) = &merged.keys[&key];
        let (asked, below) = (asked.clone(), *below);
        Some(self.with_selections(merged, asked, below, levels))
    }

    pub(super) fn directives(&mut self) -> Vec<Directive> {
        let mut directives = Vec::new();
        for include in [true, false] {
            if self.dice.chance(7) {
                let condition = Term::Boolean(self.dice.chance(if include { 65 } else { 35 }));
                directives
                    .push(Directive { include, condition: self.lift(condition, "Boolean", Need::NonNull) });
            }
        }
        self.dice.shuffle(&mut directives);
        directives
    }

    /// Returns the value, or a variable with the value; or one that is like it, or left out.
    pub(super) fn lift(&mut self, value: Term, of: &str, need: Need) -> Term {
        if self.literal || value.has_variable() || !self.dice.chance(25) {
            return value;
        }
        let required = format!("{of}!");
        // An ID may be a text or a number, of 32 or 64 bits.
        let shares =
            !matches!(need, Need::Particular | Need::Given) && !of.trim_start_matches('[').starts_with("ID");
        if shares && self.dice.chance(15) {
            let fits = |variable: &&Variable| {
                let given = variable.sent.as_ref().or(variable.default.as_ref());
                let present = given.is_some_and(|given| *given != Term::Null);
                let certain = variable.of == required || (variable.of == of && variable.default.is_some());
                let optional = need == Need::Optional && variable.of == of && given != Some(&Term::Null);
                optional || (certain && present)
            };
            let known: Vec<String> =
                self.variables.iter().filter(fits).map(|variable| variable.name.clone()).collect();
            if !known.is_empty() {
                return Term::Variable(self.dice.pick(&known).clone());
            }
        }
        let name = self.new_name("v");
        let loose = need != Need::NonNull;
        let (of, default, sent) = match self.dice.count(0, 9) {
            0 if matches!(need, Need::Optional | Need::Particular) => (of.to_owned(), None, None),
            1 => (of.to_owned(), Some(value), None),
            2 if value != Term::Null => (required, Some(value.clone()), Some(value)),
            3..=5 if value != Term::Null => (required, None, Some(value)),
            _ if loose => (of.to_owned(), None, Some(value)),
            _ => (required, None, Some(value)),
        };
        self.variables.push(Variable { name: name.clone(), of, default, sent });
        Term::Variable(name)
    }

    /// Returns a value to compare a column with; often one that is there.
    pub(super) fn operand(&mut self, table: usize, column: usize, id: bool) -> Term {
        let mut cell = self.cell_of(table, column);
        if let Cell::Decimal(value) = &mut cell
            && self.dice.chance(10)
        {
            *value += 500;
        }
        values::term(self.dice, &cell, self.model.tables[table].columns[column].kind, id)
    }
}
